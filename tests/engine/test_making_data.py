import pickle
import shutil
import signal
import sys
from pathlib import Path

import cv2
import pytest
import torch
from engine_parts import CATALOG, make_config

from opengait_ext.data.layout import LayoutError
from opengait_ext.data.samplers import Draws
from opengait_ext.data.transforms import Chain
from opengait_ext.engine.data import (
    DataError,
    check_identities,
    ready_partition,
)
from opengait_ext.engine.distributed import Group
from opengait_ext.engine.loader import make_loader, start_worker
from opengait_ext.engine.readers import batches_of
from opengait_ext.engine.sections import check
from opengait_ext.errors import UserError

PROGRAM = """
import shutil, sys
from pathlib import Path
assert sys.argv[1] == "--target"
if Path("fail").exists():
    sys.exit(int(Path("fail").read_text()))
shutil.copytree({toy!r}, sys.argv[2])
"""


@pytest.fixture
def scripts(toy_root, work):
    """A working folder with a script that makes the data."""
    folder = work / "datasets" / "prep"
    folder.mkdir(parents=True)
    (folder / "toy.py").write_text(PROGRAM.format(toy=str(toy_root)))
    (work / "outside.py").write_text("")
    return work


def options(commands, run=True, root="a folder"):
    prepare = {"run": run, "access": "ask the author", "commands": commands}
    config = make_config(Path(root), {"data_cfg.prepare": prepare})
    return check(config, CATALOG).data


def test_missing_data_are_made_and_then_read(scripts, caplog):
    caplog.set_level("INFO")
    command = "datasets/prep/toy.py --target 'a folder'"
    partition = ready_partition(options([command]), Group())
    assert len(partition.tracklets) == 36
    assert f"the data are missing; running: python {command}" in caplog.messages
    (scripts / "fail").write_text("3")
    assert ready_partition(options([command]), Group()) == partition


def test_a_script_that_fails_or_makes_nothing_is_named(scripts):
    command = "datasets/prep/toy.py --target 'a folder'"
    (scripts / "fail").write_text("3")
    with pytest.raises(DataError, match=r"'python datasets/prep/toy.py .*' ended with .* 3"):
        ready_partition(options([command]), Group())
    (scripts / "fail").write_text("0")
    with pytest.raises(DataError, match=r"partition.json: data_cfg.prepare.commands ran, but did"):
        ready_partition(options([command]), Group())


def test_missing_data_that_nobody_may_make_end_in_what_to_do(work):
    commands = ["datasets/prep/real.py --source <download>", "curl -o x.pth https://example.org"]
    with pytest.raises(DataError) as error:
        ready_partition(options(commands, run=False, root="data/real"), Group())
    assert str(error.value).splitlines() == [
        f"{Path('data/real/partition.json')}: the data are not there (data_cfg.dataset_partition).",
        "Where to ask for them: ask the author",
        "Then run, with your own paths:",
        "  python datasets/prep/real.py --source <download>",
        "  curl -o x.pth https://example.org",
    ]


def test_a_script_that_is_not_there_is_run_by_the_package(work, monkeypatch, caplog):
    caplog.set_level("INFO")
    started = []
    answer = type("Answer", (), {"returncode": 3})
    monkeypatch.setattr("subprocess.run", lambda words, check: started.append(words) or answer)
    command = "datasets/prep/hitsz_vcm.py --source a --target 'b c'"
    said = "opengait-ext prepare vcm --source a --target 'b c'"
    with pytest.raises(DataError, match=f"'{said}' ended with exit status 3"):
        ready_partition(options([command]), Group())
    assert f"the data are missing; running: {said}" in caplog.messages
    words = ["-m", "opengait_ext.cli", "prepare", "vcm", "--source", "a", "--target", "b c"]
    assert started == [[sys.executable, *words]]
    with pytest.raises(DataError) as error:
        ready_partition(options([f"python {command}"], run=False), Group())
    assert str(error.value).endswith(f":\n  {said}")


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("outside.py", "expected a Python script below datasets/prep, found 'outside.py'"),
        ("datasets/prep/../../outside.py", "expected a Python script below datasets/prep"),
        ("python -c 'print(1)'", "expected a Python script below datasets/prep"),
        ("rm -rf datasets/prep", "expected a Python script below datasets/prep"),
        ("", "expected a Python script below datasets/prep, found ''"),
        ("datasets/prep/none.py", "there is no .*none.py; start from the folder that holds"),
    ],
)
def test_a_config_file_starts_nothing_but_scripts_that_prepare_data(scripts, command, message):
    with pytest.raises(DataError, match=message):
        ready_partition(options([command]), Group())


@pytest.fixture
def dataset(toy_root):
    config = make_config(toy_root)
    settings = check(config, CATALOG)
    partition = ready_partition(settings.data, Group())
    return settings.training.dataset(settings.data, partition, ["train"])


def test_a_model_for_another_number_of_identities_is_refused(dataset):
    check_identities({"num_identities": 4}, dataset)
    check_identities({}, dataset)
    with pytest.raises(DataError) as error:
        check_identities({"num_identities": 500}, dataset)
    assert "model_cfg.num_identities is 500, but the training data have 4 identities" in str(
        error.value
    )
    assert "Set num_identities: 4" in str(error.value)


@pytest.mark.slow
def test_a_reading_process_gives_what_the_main_process_gives(toy_root, dataset):
    training = check(make_config(toy_root), CATALOG).training
    sampler = training.sampler(dataset=dataset, draws=Draws(seed=1, start=2, total=4))
    state = torch.get_rng_state()
    alone, helped = (
        list(make_loader(dataset, sampler, workers, torch.device("cpu"))) for workers in (0, 1)
    )
    assert torch.equal(torch.get_rng_state(), state)
    assert len(alone) == len(helped) == 2
    for one, other in zip(alone, helped, strict=True):
        assert torch.equal(one.frames, other.frames)
        assert torch.equal(one.positions, other.positions)
        assert one.types == other.types


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_what_is_wrong_with_a_file_is_said_as_it_was_said_where_it_was_read(
    toy_root, tmp_path, workers
):
    shutil.copytree(toy_root, tmp_path / "toy")
    (tmp_path / "toy/2/ir/D3-T3/0-frames.zip").write_bytes(b"PK")
    config = make_config(tmp_path / "toy")
    settings = check(config, CATALOG)
    partition = ready_partition(settings.data, Group())
    dataset = settings.testing.dataset(settings.data, partition, ["train"])
    sampler = settings.testing.sampler(dataset=dataset)
    loader = make_loader(dataset, sampler, workers, torch.device("cpu"))
    with pytest.raises(LayoutError) as error:
        list(batches_of(loader))
    assert str(error.value).startswith(str(tmp_path / "toy/2/ir/D3-T3"))
    assert "Traceback" not in str(error.value)


def test_frames_of_different_sizes_are_an_error_of_the_batch(dataset):
    dataset.transform = Chain(
        [lambda frames, modality, rng: frames[..., : 3 + int(rng.integers(5))]]
    )
    loader = make_loader(dataset, [[(0, 1), (0, 2), (0, 3)]], 0, torch.device("cpu"))
    with pytest.raises(UserError, match="frames of different sizes"):
        list(batches_of(loader))


@pytest.mark.filterwarnings("ignore:You are using `torch.load`:FutureWarning")  # torch 2.4, 2.5
def test_what_a_spawned_process_needs_can_be_pickled(toy_root, dataset):
    training = check(make_config(toy_root), CATALOG).training
    sampler = training.sampler(dataset=dataset, draws=Draws(seed=1, total=1))
    loader = make_loader(dataset, sampler, 1, torch.device("cpu"))
    parts = (loader.dataset, loader.collate_fn, loader.worker_init_fn, loader.batch_sampler)
    assert len(pickle.loads(pickle.dumps(parts))[0]) == len(dataset)


def test_a_reading_process_computes_with_one_thread_and_leaves_signals_alone(monkeypatch):
    handlers, threads = {}, []
    monkeypatch.setattr(signal, "signal", handlers.__setitem__)
    monkeypatch.setattr(cv2, "setNumThreads", threads.append)
    monkeypatch.setattr(torch, "set_num_threads", threads.append)
    start_worker(0)
    assert handlers == {signal.SIGTERM: signal.SIG_IGN, signal.SIGINT: signal.SIG_IGN}
    assert threads == [1, 0]
