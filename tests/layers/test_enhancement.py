"""LGE and PBMGE against the explicit [d, c], [c, c] products and loops of Eq. 11-16."""

import copy
import functools

import pytest
import torch
from torch import nn

from opengait_ext.layers.enhancement import PBMGE, LocalGlobalEnhancement

C, WIDTH = 6, 5


def random_lge(seed=0, width=WIDTH):
    torch.manual_seed(seed)
    lge = LocalGlobalEnhancement(C, width).double()
    for parameter in lge.parameters():
        nn.init.normal_(parameter)
    return lge


def explicit_step(lge, vector, strip):
    """One LGE step as written in the paper: embeddings, affinity, two weighted sums."""
    changes = []
    for q, k in zip(vector, strip, strict=True):
        query, key, value = lge.query(q[None]), lge.key(k[None]), lge.value(k[None])  # [d, c]
        affinity = query.T @ key / len(k)  # [c, c]
        positive, negative = affinity.clamp(min=0), (-affinity).clamp(min=0)
        changes.append((lge.positive(value @ positive.T), lge.negative(value @ negative.T)))
    confirmed, contradicted = (torch.stack(column) for column in zip(*changes, strict=True))
    change = lge.positive_norm(confirmed) - lge.negative_norm(contradicted)  # [n, 1, c]
    return vector + change[:, 0]


def explicit(lge, vector, strips):
    for j in range(strips.shape[2]):
        vector = explicit_step(lge, vector, strips[:, :, j])
    return vector


@pytest.mark.parametrize("training", [True, False])
def test_lge_equals_the_explicit_products_in_value_gradient_and_buffer(training):
    vector = torch.randn(3, C, dtype=torch.float64)
    strips = torch.randn(3, C, 4, dtype=torch.float64)
    results = []
    for function in (lambda lge, *inputs: lge(*inputs), explicit):
        lge = random_lge().train(training)
        inputs = [vector.clone().requires_grad_(), strips.clone().requires_grad_()]
        output = function(lge, *inputs)
        wanted = [*inputs, *lge.parameters()]
        slopes = torch.autograd.grad((output * torch.arange(C)).sum(), wanted)
        results.append((output, *slopes, *lge.buffers()))
    for ours, reference in zip(*results, strict=True):
        torch.testing.assert_close(ours, reference, rtol=1e-8, atol=1e-9)


def test_the_split_of_lge_has_a_meaning_only_by_a_projection_of_its_own_for_each_side():
    lge = random_lge(2).eval()
    vector, strip = torch.randn(2, 3, C, dtype=torch.float64).unbind(0)
    other = copy.deepcopy(lge)
    other.negative.load_state_dict(lge.positive.state_dict())  # as Eq. 14 is written: one value
    other.negative_norm.load_state_dict(lge.positive_norm.state_dict())
    scale = lge.positive_norm.weight / (1 + lge.positive_norm.eps) ** 0.5
    linear = []
    for q, k in zip(vector, strip, strict=True):
        affinity = lge.query(q[None]).T @ lge.key(k[None]) / C  # [c, c], both signs
        weighted = lge.positive.weight[0, :, 0] @ (lge.value(k[None]) @ affinity.T)  # [c]
        linear.append(q + scale * weighted)
    torch.testing.assert_close(other(vector, strip[..., None]), torch.stack(linear))
    assert not torch.allclose(lge(vector, strip[..., None]), torch.stack(linear))


def test_the_derivatives_of_lge_equal_finite_differences():
    lge = random_lge(1).eval()
    vector = torch.randn(2, C, dtype=torch.float64, requires_grad=True)
    strips = torch.randn(2, C, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lge, (vector, strips))


@pytest.mark.parametrize("sign", [1.0, -1.0, 0.0])
@pytest.mark.parametrize("flat", [0.0, -0.0])
def test_an_affinity_that_does_not_depend_on_the_strip_is_counted_right(sign, flat):
    lge = random_lge(2).eval()
    with torch.no_grad():
        lge.query.weight.fill_(flat)
        lge.query.bias.fill_(1.0)
        lge.key.weight.fill_(flat)
        lge.key.bias.fill_(sign)
    vector, strips = torch.randn(2, C).double(), torch.randn(2, C, 1).double()
    torch.testing.assert_close(lge(vector, strips), explicit(lge, vector, strips))


def test_equal_and_zero_entries_are_counted_right():
    lge = random_lge(3).eval()
    vector = torch.zeros(1, C).double()
    strips = torch.tensor([0.0, 0.0, 1.0, 1.0, -1.0, -1.0]).double()[None, :, None]
    torch.testing.assert_close(lge(vector, strips), explicit(lge, vector, strips))


def test_lge_leaves_the_vector_alone_before_training():
    torch.manual_seed(0)
    vector, strips = torch.randn(4, C), torch.randn(4, C, 3)
    torch.testing.assert_close(LocalGlobalEnhancement(C)(vector, strips), vector)


def test_one_sequence_alone_can_be_enhanced_in_training():
    lge = random_lge().train()
    vector, strips = torch.randn(1, C).double(), torch.randn(1, C, 2).double()
    torch.testing.assert_close(lge(vector, strips), explicit(random_lge().train(), vector, strips))


def test_lge_stays_in_float32_under_autocast():
    lge = random_lge().float().eval()
    vector, strips = torch.randn(2, C), torch.randn(2, C, 2)
    expected = lge(vector, strips)
    with torch.autocast("cpu", torch.bfloat16):
        output = lge(vector, strips)
        from_half = lge(vector.bfloat16(), strips.bfloat16())
    assert output.dtype == from_half.dtype == torch.float32
    torch.testing.assert_close(output, expected, rtol=0, atol=0)


def random_pbmge(share):
    torch.manual_seed(4)
    module = PBMGE(C, [1, 2, 4], share_granularities=share).double()
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module


@pytest.mark.parametrize("share", [False, True])
def test_pbmge_equals_loops_over_streams_granularities_and_strips(share):
    module, reference = random_pbmge(share), random_pbmge(share)
    gait, appearance = torch.randn(3, C, 7).double(), torch.randn(3, C, 7).double()
    outputs = module(gait, appearance)
    expected = []
    for own, other, sets in (
        (gait, appearance, reference.gait),
        (appearance, gait, reference.appearance),
    ):
        expected.append(own[:, :, 0])
        for granularity, parts in enumerate(([1, 2], [3, 4, 5, 6])):
            vector = own[:, :, 0]
            for part in parts:
                lge = sets[0 if share else granularity]
                vector = explicit_step(lge, vector, other[:, :, part])
            expected.append(vector)
    torch.testing.assert_close(outputs[0], torch.stack(expected[:3], dim=2))
    torch.testing.assert_close(outputs[1], torch.stack(expected[3:], dim=2))
    for name, buffer in module.named_buffers():  # the running means tell the order of the steps
        torch.testing.assert_close(buffer, reference.get_buffer(name))


@pytest.mark.parametrize("share", [False, True])
@pytest.mark.parametrize("change", ["shared by processes", "at rest", "cumulative"])
def test_normalizations_of_another_kind_are_called_one_by_one_in_the_same_order(share, change):
    one = random_pbmge(share)
    if change == "shared by processes":
        other = nn.SyncBatchNorm.convert_sync_batchnorm(copy.deepcopy(one))
    else:
        norm = one.gait[0].negative_norm
        norm.train(change != "at rest")
        norm.momentum = None if change == "cumulative" else norm.momentum
        other = copy.deepcopy(one)
        for lge in [*other.gait, *other.appearance]:
            lge.forward = functools.partial(explicit, lge)
    gait, appearance = torch.randn(3, C, 7).double(), torch.randn(3, C, 7).double()
    found, expected = one(gait, appearance), in_turn(other, gait, appearance)
    for ours, reference in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, reference)
    for name, buffer in one.named_buffers():
        torch.testing.assert_close(buffer, other.get_buffer(name))


def in_turn(module, gait, appearance):
    """Enhances one stream at one granularity after the other."""
    streams = []
    for sets, own, other in (
        (module.gait, gait, appearance),
        (module.appearance, appearance, gait),
    ):
        vectors = [own[:, :, 0]]
        for level, strips in enumerate(other.split(module.bins, dim=2)[1:]):
            vectors.append(sets[min(level, len(sets) - 1)](vectors[0], strips))
        streams.append(torch.stack(vectors, dim=2))
    return streams


def test_each_granularity_has_its_own_weights_unless_they_are_shared():
    alone = sum(p.numel() for p in LocalGlobalEnhancement(C).parameters())
    assert sum(p.numel() for p in random_pbmge(False).parameters()) == 4 * alone
    assert sum(p.numel() for p in random_pbmge(True).parameters()) == 2 * alone


def test_without_strips_the_global_vectors_stay_alone():
    gait, appearance = torch.randn(2, C, 1), torch.randn(2, C, 1)
    outputs = PBMGE(C, [1])(gait, appearance)
    assert [output.tolist() for output in outputs] == [gait.tolist(), appearance.tolist()]


def test_without_strips_a_vector_and_the_statistics_stay_as_they_are():
    lge = random_lge().train()
    before = copy.deepcopy(lge.state_dict())
    vector = torch.randn(2, C).double()
    assert torch.equal(lge(vector, torch.randn(2, C, 0).double()), vector)
    for name, value in lge.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("bins", [[2, 4], []])
def test_bins_without_a_global_part_are_refused(bins):
    with pytest.raises(ValueError, match="expected 1, the global part, and then the numbers"):
        PBMGE(C, bins)


def test_a_wrong_number_of_parts_is_refused():
    with pytest.raises(ValueError, match=r"5 parts: bins \[1, 2, 4\] make 7 parts"):
        random_pbmge(False)(torch.zeros(2, C, 7).double(), torch.zeros(2, C, 5).double())
