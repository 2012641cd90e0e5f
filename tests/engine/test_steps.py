import copy

import pytest
import torch
from engine_parts import Tiny
from meeting import Meeting
from torch import nn

from opengait_ext.config import ConfigError
from opengait_ext.data.collate import Batch
from opengait_ext.engine.devices import Computation
from opengait_ext.engine.distributed import Group
from opengait_ext.engine.objective import Objective
from opengait_ext.engine.steps import Step, _part, cut, joined
from opengait_ext.losses import CrossEntropyLoss, MaskLoss, TripletLoss

CPU = Computation(torch.device("cpu"))


class Wide(Computation):
    """Computes in float64, so that sums of another order differ by less than 1e-10."""

    def inputs(self, batch):
        (frames,), *rest = super().inputs(batch)
        return [frames.double()], *rest


WIDE = Wide(torch.device("cpu"))


def make_batch(lengths=None, n=8):
    types = ["rgb", "rgb", "ir", "ir"] * (n // 4)
    if lengths is None:
        frames = torch.randint(256, (n, 3, 3, 8, 4), dtype=torch.uint8)
    else:
        frames = torch.randint(256, (1, sum(lengths), 3, 8, 4), dtype=torch.uint8)
        lengths = torch.tensor([lengths], dtype=torch.int32)
    views = [f"D{place}-T0" for place in range(n)]
    labels = torch.arange(n) // 4
    return Batch(frames, labels, types, views, lengths, torch.arange(n))


def make_model(**arguments):
    model = Tiny()
    model.build(num_identities=3, **arguments)
    return model.double().train()


class WithFrames(Tiny):
    """Also returns something for each frame, and a number."""

    def forward(self, inputs):
        output = super().forward(inputs)
        frames = inputs[0][0].flatten(0, 1)
        target = frames.mean(1, keepdim=True).sigmoid()
        reconstruction = self.convolution(frames).mean(1, keepdim=True).sigmoid()
        reconstruction = nn.functional.interpolate(reconstruction, target.shape[2:])
        output["training_feat"]["mask"] = {"reconstruction": reconstruction, "target": target}
        return output


def make_objective(**more):
    losses = {"id": CrossEntropyLoss(scale=4.0), "triplet": TripletLoss(margin=0.2), **more}
    return Objective(losses, Group())


def gradients(model, objective, batch, pieces, computation=WIDE):
    model.zero_grad()
    step = Step(model, objective, computation, computation.scaler(), pieces)
    terms, summary = step(batch)
    found = {name: parameter.grad.clone() for name, parameter in model.named_parameters()}
    return terms, summary, found


@pytest.mark.parametrize("pieces", [2, 3, 8])
@pytest.mark.parametrize("lengths", [None, [3, 1, 2, 3, 2, 2, 1, 4]])
def test_the_gradient_of_a_batch_in_pieces_is_that_of_the_whole(pieces, lengths):
    model = WithFrames()
    model.build(num_identities=3, normalize=False, dropout=0.0)
    model.double().train()
    batch = make_batch(lengths)
    objective = make_objective(mask=MaskLoss())
    terms, _, expected = gradients(model, objective, batch, 1)
    in_pieces, summary, found = gradients(model, objective, batch, pieces)
    torch.testing.assert_close(in_pieces.total, terms.total, rtol=0, atol=1e-10)
    assert in_pieces.losses.keys() == terms.losses.keys() == {"id", "triplet", "decay", "mask"}
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)
    assert "image/maps" in summary


def test_two_losses_of_one_tensor_both_send_their_gradient_back():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(torch.ones(()))

        def forward(self, inputs):
            feature = inputs[0][0].mean((1, 2, 3, 4)) * self.scale
            return {"training_feat": {"first": feature, "second": feature}}

    model, batch = Shared(), make_batch()
    _, _, expected = gradients(model, Objective({}, Group()), batch, 1, CPU)
    _, _, found = gradients(model, Objective({}, Group()), batch, 4, CPU)
    torch.testing.assert_close(found, expected)


def test_dropout_draws_the_same_numbers_in_both_passes_of_a_piece():
    model = make_model(normalize=False, dropout=0.5)
    batch, objective = make_batch(), make_objective()
    seen = []
    model.dropout.register_forward_hook(lambda module, given, output: seen.append(output.detach()))
    gradients(model, objective, batch, 2)
    assert len(seen) == 4
    assert torch.equal(seen[0], seen[2])
    assert torch.equal(seen[1], seen[3])
    assert not torch.equal(seen[0] != 0, seen[1] != 0)


def test_running_averages_see_each_piece_once():
    model = make_model(dropout=0.0)
    twin = copy.deepcopy(model)
    batch = make_batch()
    gradients(model, make_objective(), batch, 2)
    with torch.no_grad():
        for piece in cut(batch, 2):
            twin(WIDE.inputs(piece))
    assert model.normalization.num_batches_tracked == 2
    torch.testing.assert_close(dict(model.named_buffers()), dict(twin.named_buffers()))


@pytest.mark.parametrize("lengths", [None, [3, 1, 2, 3, 2, 2, 1, 4]])
def test_every_piece_gets_whole_tracklets_and_its_share_of_either_modality(lengths):
    batch = make_batch(lengths)
    pieces = cut(batch, 2)
    assert sorted(place for piece in pieces for place in piece.positions.tolist()) == list(range(8))
    ends = torch.tensor(lengths or []).cumsum(0).tolist()
    for piece in pieces:
        assert sorted(piece.types) == ["ir", "ir", "rgb", "rgb"]
        places = piece.positions.tolist()
        assert piece.labels.tolist() == [batch.labels[place].item() for place in places]
        assert piece.views == [batch.views[place] for place in places]
        if lengths is None:
            assert torch.equal(piece.frames, batch.frames[places])
            continue
        assert piece.lengths.tolist() == [[lengths[place] for place in places]]
        expected = [batch.frames[0, ends[place] - lengths[place] : ends[place]] for place in places]
        assert torch.equal(piece.frames[0], torch.cat(expected))


@pytest.mark.parametrize("count", [2, 3])
def test_processes_cut_their_shares_as_one_process_cuts_the_batch(count):
    batch = make_batch()
    expected = [set(piece.positions.tolist()) for piece in cut(batch, count)]
    assert sorted(batch.types[:4]) == ["ir", "ir", "rgb", "rgb"]

    def work(member):
        places = list(range(4 * member.rank, 4 * member.rank + 4))
        return [piece.positions.tolist() for piece in cut(_part(batch, places), count, member)]

    shares = Meeting(2).run(work)
    assert [set(one) | set(other) for one, other in zip(*shares, strict=True)] == expected


def test_a_process_that_would_have_an_empty_piece_cuts_its_share_by_itself():
    batch = make_batch()

    def work(member):
        places = list(range(4 * member.rank, 4 * member.rank + 4))
        return [len(piece.labels) for piece in cut(_part(batch, places), 4, member)]

    assert Meeting(2).run(work) == [[1, 1, 1, 1]] * 2


def test_more_pieces_than_tracklets_are_refused():
    with pytest.raises(ConfigError, match="a batch of 8 tracklets cannot be cut into 9 pieces"):
        cut(make_batch(), 9)


def test_numbers_of_the_pieces_become_their_mean_over_the_tracklets():
    outputs = [{"a": {"x": torch.tensor(1.0), "note": "n"}}, {"a": {"x": torch.tensor(4.0)}}]
    result = joined([{**outputs[0]}, {"a": {**outputs[1]["a"], "note": "n"}}], [1, 2])
    assert result == {"a": {"x": torch.tensor(3.0), "note": "n"}}


def test_a_model_that_is_frozen_as_a_whole_cannot_be_trained():
    model = make_model().requires_grad_(False)
    step = Step(model, make_objective(), WIDE, WIDE.scaler())
    with pytest.raises(ConfigError, match="is all of the model frozen"):
        step(make_batch())


def test_bfloat16_changes_the_gradient_a_little_and_losses_stay_float32():
    model = Tiny()
    model.build(num_identities=3, dropout=0.0)
    batch, objective = make_batch(), make_objective()
    _, _, expected = gradients(model, objective, batch, 1, CPU)
    low = Computation(torch.device("cpu"), torch.bfloat16)
    terms, _, found = gradients(model, objective, batch, 1, low)
    assert terms.total.dtype is torch.float32
    assert not torch.equal(found["convolution.weight"], expected["convolution.weight"])
    torch.testing.assert_close(found, expected, rtol=0.3, atol=0.1)
