"""The reading processes: how many there is room for, and what is said when they fail."""

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from engine_parts import CATALOG, make_config

from opengait_ext.data.samplers import Draws
from opengait_ext.data.transforms import Chain
from opengait_ext.engine.data import ready_partition
from opengait_ext.engine.distributed import Group
from opengait_ext.engine.interrupt import Interrupt
from opengait_ext.engine.loader import make_loader
from opengait_ext.engine.readers import LoaderError, batches_of
from opengait_ext.engine.sections import check
from opengait_ext.engine.shared_memory import (
    Plan,
    free_descriptors,
    free_shared_memory,
    plan_reading,
)

# Of processes that are more than this machine has cores.
pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create")

MB = 10**6
CPU = torch.device("cpu")


def plan(workers, batch_bytes, memory, descriptors=None):
    return plan_reading(workers, batch_bytes, lambda: memory, lambda: descriptors)


@pytest.fixture
def dataset(toy_root):
    config = make_config(toy_root)
    settings = check(config, CATALOG)
    partition = ready_partition(settings.data, Group())
    return settings.training.dataset(settings.data, partition, ["train"])


def sampler_of(dataset, toy_root, total=40):
    training = check(make_config(toy_root), CATALOG).training
    return training.sampler(dataset=dataset, draws=Draws(seed=1, total=total))


def test_with_room_for_all_batches_nothing_is_changed():
    assert plan(4, MB, None) == Plan(4, 4)
    assert plan(4, MB, 64 * MB) == Plan(4, 4)
    assert plan(0, MB, 0) == Plan(0, 0)


def test_fewer_batches_ahead_come_before_fewer_processes():
    # Batches of 1 MB: so many ahead of each process, and two in use.
    found = [plan(4, MB, megabytes * MB)[:2] for megabytes in (21, 16, 12, 7.5, 6, 4)]
    assert found == [(4, 4), (4, 3), (4, 2), (4, 1), (3, 1), (1, 1)]


def test_where_no_batch_fits_the_main_process_reads_and_the_remedies_are_told():
    found = plan(4, 75 * MB, 64 * 2**20)
    assert found[:2] == (0, 0)
    assert found.reason == (
        "data_cfg.num_workers: 4 with 4 batches ahead of each needs 1.4 GB of /dev/shm (batches "
        "of 75.0 MB), and this process may take 60.4 MB; for the full speed give the container "
        "more (docker run --shm-size=8g, or --ipc=host), or read in the main process "
        "(data_cfg.num_workers: 0). Now the main process reads; the batches stay the same"
    )


def test_the_semaphores_of_many_processes_count_too():
    assert plan(8, 100, 64 * 1024)[0] == 0
    assert plan(1, 100, 128 * 1024)[0] == 1


def test_processes_of_one_machine_share_its_memory(monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert plan(2, MB, 41 * MB)[:2] == (2, 3)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "many")
    assert plan(2, MB, 41 * MB) == Plan(2, 4)


def test_too_few_open_files_mean_fewer_processes():
    found = plan(4, MB, None, 64)
    assert found[:2] == (4, 1)
    assert "needs 88 more open files, and 64 are allowed; raise the limit (ulimit -n 4096)" in (
        found.reason
    )
    assert plan(4, MB, None, 30)[:2] == (0, 0)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux says it in /dev/shm and /proc")
def test_this_machine_is_asked():
    about = os.statvfs("/dev/shm")
    free = free_shared_memory()
    assert free is None or 0 <= free <= about.f_blocks * about.f_frsize
    files = free_descriptors()
    with Path(os.devnull).open():
        assert files is None or free_descriptors() == files - 1


@pytest.mark.slow
@pytest.mark.parametrize("memory", [0, 100_000, 10**9])
def test_the_batches_are_the_same_with_little_shared_memory(dataset, toy_root, memory, caplog):
    sampler = sampler_of(dataset, toy_root, 6)

    def planned(workers, size):
        assert size == sum(dataset[request].frames.nbytes for request in next(iter(sampler)))
        return plan_reading(workers, size, lambda: memory, lambda: None)

    loader = make_loader(dataset, sampler, 3, CPU, plan=planned)
    expected = list(make_loader(dataset, sampler, 0, CPU))
    found = list(batches_of(loader))
    assert (loader.num_workers == 3) == (memory == 10**9)
    assert ("Now " in caplog.text) == (memory != 10**9)
    assert len(found) == len(expected) == 6
    assert all(torch.equal(a.frames, b.frames) for a, b in zip(found, expected, strict=True))


def test_a_test_is_planned_by_its_longest_batch(dataset, toy_root):
    dataset.frames = 0  # all frames of each tracklet
    asked = []

    def planned(workers, size):
        asked.append(size)
        return Plan(0, 0)

    batches = [[(0, 0)], [(1, 0), (2, 0), (3, 0)], [(4, 0)]]
    make_loader(dataset, batches, 2, CPU, plan=planned)
    make_loader(dataset, [], 2, CPU, plan=planned)
    assert asked == [sum(dataset[request].frames.nbytes for request in batches[1]), 0]


@pytest.mark.slow
def test_a_dead_reading_process_is_a_sentence_and_ends_the_others(dataset, toy_root):
    batches = batches_of(make_loader(dataset, sampler_of(dataset, toy_root), 2, CPU))
    next(batches)
    processes = multiprocessing.active_children()
    assert len(processes) == 2
    os.kill(processes[0].pid, signal.SIGKILL)
    with pytest.raises(LoaderError, match=r"was ended by SIGKILL, for lack of .*num_workers \(2\)"):
        list(batches)
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_a_process_that_makes_no_progress_ends_the_run_in_bounded_time(dataset, toy_root):
    loader = make_loader(dataset, sampler_of(dataset, toy_root), 1, CPU, patience=1)
    batches = batches_of(loader)
    next(batches)
    (process,) = multiprocessing.active_children()
    os.kill(process.pid, signal.SIGSTOP)
    with pytest.raises(LoaderError, match=r"no batch came .* raise data_cfg.loader_timeout"):
        list(batches)
    assert not multiprocessing.active_children()


@pytest.mark.slow
def test_a_slow_batch_is_waited_for(dataset, toy_root):
    slow = [lambda frames, modality, rng: (time.sleep(0.2), frames)[1]]
    dataset.transform = Chain([*dataset.transform, *slow])
    sampler = sampler_of(dataset, toy_root, 1)
    assert len(next(iter(sampler))) * 0.2 > 1.2  # longer than between two looks
    assert len(list(batches_of(make_loader(dataset, sampler, 1, CPU)))) == 1


@pytest.mark.slow
def test_who_no_longer_wants_a_batch_does_not_wait_for_it(dataset, toy_root):
    batches = batches_of(
        make_loader(dataset, sampler_of(dataset, toy_root), 1, CPU), gives_up=lambda: True
    )
    next(batches)
    (process,) = multiprocessing.active_children()
    os.kill(process.pid, signal.SIGSTOP)
    assert len(list(batches)) < 40
    assert not multiprocessing.active_children()


def test_a_batch_that_finds_no_room_is_a_sentence(dataset, toy_root, monkeypatch):
    def full(tensor):
        raise RuntimeError("unable to allocate shared memory(shm) for file </t>: No space left")

    monkeypatch.setattr(torch.Tensor, "share_memory_", full)  # as the kernel refuses it
    with pytest.raises(LoaderError, match=r"No space left\): give the container more \(docker"):
        list(batches_of(make_loader(dataset, sampler_of(dataset, toy_root), 1, CPU)))


@pytest.mark.parametrize("workers", [0, 1])
def test_a_file_that_the_disk_does_not_give_is_named(dataset, toy_root, workers):
    def unreadable(frames, modality, rng):
        raise OSError(5, "Input/output error")

    loader = make_loader(dataset, [[(3, 0)]], workers, CPU)
    dataset.transform = Chain([*dataset.transform, unreadable])
    with pytest.raises(LoaderError, match=f"{dataset.tracklets[3].path}: .*Input/output error"):
        list(batches_of(loader))


@pytest.mark.slow
def test_a_second_signal_ends_a_process_that_never_looks_at_signals():
    program = (
        "import ctypes, signal\n"
        "from opengait_ext.engine import interrupt\n"
        "interrupt._GRACE = 0.2\n"
        "with interrupt.Interrupt():\n"
        "    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])  # another thread gets it\n"
        "    print('ready', flush=True)\n"
        "    ctypes.CDLL(None).sleep(120)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 143
        assert "SIGTERM came again: ended at once" in process.stderr.read()


def test_signals_are_as_before_when_the_training_is_over():
    before = signal.getsignal(signal.SIGTERM)
    with Interrupt():
        assert signal.getsignal(signal.SIGTERM) != before
    assert signal.getsignal(signal.SIGTERM) == before
    assert signal.set_wakeup_fd(-1) == -1
