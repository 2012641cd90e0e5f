import math

import pytest
import torch

from opengait_ext.losses.cross_entropy import CrossEntropyLoss


def batch():
    torch.manual_seed(0)
    return torch.randn(4, 5, 3, dtype=torch.float64), torch.tensor([0, 4, 2, 2])


def test_cross_entropy_equals_a_loop_over_tracklets_and_parts():
    logits, labels = batch()
    terms = []
    for n in range(4):
        for part in range(3):
            exponentials = [math.exp(16 * value) for value in logits[n, :, part].tolist()]
            for k, value in enumerate(exponentials):
                target = 0.1 / 5 + (0.9 if k == labels[n] else 0)
                terms.append(-target * math.log(value / sum(exponentials)))
    loss, _ = CrossEntropyLoss()(logits, labels)
    assert loss.item() == pytest.approx(sum(terms) / 12)


def test_cross_entropy_counts_a_part_as_right_when_its_largest_logit_is_the_labels():
    logits = torch.zeros(2, 3, 2)
    logits[0, 1, 0] = logits[0, 1, 1] = logits[1, 0, 0] = logits[1, 2, 1] = 1
    _, info = CrossEntropyLoss()(logits, torch.tensor([1, 2]))
    assert info["accuracy"] == 0.75


def test_cross_entropy_gives_info_without_a_gradient():
    logits, labels = batch()
    loss, info = CrossEntropyLoss()(logits.requires_grad_(), labels)
    assert loss.requires_grad
    assert not any(value.requires_grad for value in info.values())
    torch.testing.assert_close(info["loss"], loss.detach())


def test_cross_entropy_computes_in_float32_inside_autocast():
    logits, labels = batch()
    half = (logits / 16).bfloat16()
    expected, _ = CrossEntropyLoss()(half.float(), labels)
    with torch.autocast("cpu", torch.bfloat16):
        loss, _ = CrossEntropyLoss()(half, labels)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, expected)


def test_cross_entropy_has_right_gradients():
    logits, labels = batch()
    loss = CrossEntropyLoss(scale=2.0)
    assert torch.autograd.gradcheck(lambda x: loss(x, labels)[0], logits.requires_grad_())


@pytest.mark.parametrize(("shape", "n"), [((4, 5), 4), ((4, 5, 3), 3)])
def test_cross_entropy_names_shapes_that_do_not_fit(shape, n):
    with pytest.raises(ValueError, match=r"expected \[n, k, p\] and \[n\]"):
        CrossEntropyLoss()(torch.zeros(shape), torch.zeros(n, dtype=torch.int64))


@pytest.mark.parametrize("wrong", [{"scale": 0.0}, {"label_smoothing": 1.5}])
def test_cross_entropy_refuses_numbers_that_teach_nothing(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"{name}: expected"):
        CrossEntropyLoss(**wrong)
