import copy
import logging

import pytest
import torch
from fake_clock import CLOCK
from torch import nn

from opengait_ext.data.collate import Batch
from opengait_ext.engine.compiled import Compilation
from opengait_ext.engine.devices import Computation

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _clock(monkeypatch):
    CLOCK.put_in(monkeypatch)


class Part(nn.Module):
    """Takes five milliseconds, or none if it is compiled by ``faster``."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(6, 4).requires_grad_(False)

    def forward(self, frames):
        CLOCK.passes(0.005)
        return self.linear(frames.flatten(1)[:, :6]), {"twice": [2 * frames]}


class Holder(nn.Module):
    frozen_parts = ("inner.part",)

    def __init__(self):
        super().__init__()
        self.inner = nn.ModuleDict({"part": Part()})

    def forward(self, inputs):
        with torch.no_grad():
            return self.inner["part"](inputs[0][0].flatten(0, 1))


def holder():
    return Holder(), Compilation(CPU, compiler=faster)


def faster(call):
    def compiled(frames):
        return call.__self__.linear(frames.flatten(1)[:, :6]), {"twice": [2 * frames]}

    return compiled


def slower(call):
    def compiled(frames):
        CLOCK.passes(0.02)
        return call(frames)

    return compiled


def batch(n, frames=1):
    images = torch.arange(n * frames * 6, dtype=torch.uint8).view(n, frames, 3, 2, 1) * 7
    return Batch(images, torch.zeros(n), ["rgb"] * n, ["a"] * n, None, torch.arange(n))


def going_through(compiler, sizes=(4, 4, 2), dtype=torch.float32):
    """Gives results of batches as they are and as chosen, the calls of the compiled form, parts."""
    model, calls = Holder(), []

    def counting(call):
        compiled = compiler(call)

        def counted(frames):
            calls.append(len(frames))
            return compiled(frames)

        return counted

    computation = Computation(CPU, dtype, Compilation(CPU, dtype, counting))
    results = []
    for size in sizes:
        given = batch(size)
        chosen = computation.forward(model, given)
        results.append((Computation(CPU, dtype).forward(model, given), chosen))
    return results, calls, computation.compiled


def close(results, tolerance=1e-6):
    return all(
        torch.allclose(plain[0], chosen[0], atol=tolerance)
        and torch.equal(plain[1]["twice"][0], chosen[1]["twice"][0])
        for plain, chosen in results
    )


def test_a_faster_compiled_form_is_used_from_then_on_for_batches_of_any_size(caplog):
    caplog.set_level(logging.INFO)
    results, calls, parts = going_through(faster, sizes=(4, 4, 2, 7))
    assert close(results)
    assert calls[-3:] == [4, 2, 7]
    assert calls.count(4) >= 5  # compared, timed three times, and the second batch
    assert parts == ["inner.part"]
    (line,) = caplog.messages
    assert line.startswith("compile: inner.part takes ")
    assert ": compiled (found out in " in line


def test_a_slower_compiled_form_is_tried_once_and_not_used(caplog):
    caplog.set_level(logging.INFO)
    results, calls, parts = going_through(slower, sizes=(4, 3, 5))
    assert close(results)
    assert set(calls) == {4}
    assert parts == []
    (line,) = caplog.messages
    words = line.split()
    assert float(words[3]) >= 0.02  # seconds, compiled
    assert 0.005 <= float(words[6]) < float(words[3])
    assert " s as it is: as it is (found out in " in line


def refused(call):
    raise RuntimeError("this platform is not supported\nmore about it")


def broken(call):
    def compiled(frames):
        error = RuntimeError("backend='inductor' raised:\nNoCompiler: no g++")
        error.inner_exception = FileNotFoundError("no g++\nsee the manual")
        raise error

    return compiled


@pytest.mark.parametrize(
    ("compiler", "reason"),
    [
        (refused, "RuntimeError: this platform is not supported"),
        (broken, "FileNotFoundError: no g++"),
    ],
)
def test_what_cannot_be_compiled_stays_as_it_is_and_the_log_says_why(caplog, compiler, reason):
    results, calls, parts = going_through(compiler)
    assert close(results, 0)
    assert (len(calls), parts) == (int(compiler is broken), [])
    assert caplog.messages == [
        f"compile: inner.part stays as it is: it cannot be compiled here: {reason}"
    ]


def off(change):
    def compiler(call):
        def compiled(frames):
            result, more = faster(call)(frames)
            return change(result), more

        return compiled

    return compiler


def one_token_off(result):
    return torch.cat([1.001 * result[:1], result[1:]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (one_token_off, "stays as it is: compiled, its result differs by 0.001 of its size"),
        (lambda result: result * float("nan"), "compiled, its result differs by nan of its size"),
        (lambda result: result[:1], "compiled here: ValueError: its result is [1, 4], expected [4"),
    ],
)
def test_a_compiled_form_with_another_result_is_not_used(caplog, change, message):
    results, calls, parts = going_through(off(change))
    assert close(results, 0)
    assert (len(calls), parts) == (1, [])
    (line,) = caplog.messages
    assert message in line


def test_in_lower_precision_results_may_differ_by_its_rounding(caplog):
    near = off(lambda result: 1.02 * result)
    assert going_through(near, dtype=torch.bfloat16)[2] == ["inner.part"]
    assert going_through(near)[2] == []
    half = off(lambda result: 1.5 * result)
    assert going_through(half, dtype=torch.bfloat16)[2] == []
    assert "its result differs by 0.5 of its size" in caplog.messages[-1]


def test_a_compiled_form_that_fails_later_is_given_up(caplog):
    def moody(call):
        def compiled(frames):
            if len(frames) == 3:
                raise MemoryError("too much")
            return faster(call)(frames)

        return compiled

    results, calls, _ = going_through(moody, sizes=(4, 3, 4))
    assert close(results)
    assert calls[-1] == 3
    assert caplog.messages == [
        "compile: inner.part stays as it is: its compiled form failed: MemoryError: too much"
    ]


def test_an_error_of_the_part_itself_is_none_of_compiling(caplog):
    model, compilation = holder()
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"), compilation.of(model):
        model(([torch.ones(2, 1, 3)],))
    assert caplog.messages == []
    with compilation.of(model):
        model(([torch.ones(2, 1, 6)],))
    assert compilation.used == {"inner.part"}


def test_a_single_frame_is_not_compiled_for():
    _, calls, parts = going_through(faster, sizes=(1, 1))
    assert (calls, parts) == ([], [])
    results, calls, parts = going_through(faster, sizes=(1, 4, 1))
    assert close(results)
    assert (set(calls), parts) == ({4}, ["inner.part"])


def test_outside_of_a_forward_pass_the_model_knows_nothing_of_it():
    model, compilation = holder()
    keys, attributes = list(model.state_dict()), set(vars(model.inner["part"]))
    frames = torch.randn(4, 1, 6)
    with compilation.of(model):
        assert list(model.state_dict()) == keys
        before = model(([frames],))[0]
    assert list(model.state_dict()) == keys
    assert set(vars(model.inner["part"])) == attributes
    twin = copy.deepcopy(model)
    nn.init.zeros_(twin.inner["part"].linear.weight)
    with compilation.of(twin):  # a choice is of one model
        after = twin(([frames],))[0]
    assert torch.equal(after, twin.inner["part"].linear.bias.expand(4, 4))
    with compilation.of(model):
        assert torch.allclose(model(([frames],))[0], before)


def test_a_wrapped_model_has_its_parts_compiled_too():
    model, compilation = holder()
    with compilation.of(nn.DataParallel(model)):
        model(([torch.ones(4, 1, 6)],))
    assert compilation.used == {"inner.part"}


def test_random_numbers_go_on_as_if_nothing_had_been_tried():
    drawn = []

    def drawing(call):
        drawn.append(torch.rand(5))
        return slower(call)

    model = Holder()
    before = torch.get_rng_state()
    Computation(CPU, compilation=Compilation(CPU, compiler=drawing)).forward(model, batch(4))
    assert len(drawn) == 1
    assert torch.equal(torch.get_rng_state(), before)
