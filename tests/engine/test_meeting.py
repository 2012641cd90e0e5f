"""Left-over variables of torchrun and clusters."""

import socket
from datetime import timedelta

import pytest
import torch

from opengait_ext.engine import distributed
from opengait_ext.engine.meeting import MeetingError, Place, local_rank, own_place

WHOLE = {"WORLD_SIZE": "4", "RANK": "1", "MASTER_ADDR": "10.0.0.1", "MASTER_PORT": "29500"}


def test_without_world_size_or_with_one_process_the_process_is_alone():
    assert own_place({}) == own_place({"RANK": "7"}) == Place(0, 1, "")
    assert own_place({"WORLD_SIZE": "1", "RANK": "x"}) == Place(0, 1, "")
    assert own_place(WHOLE) == Place(1, 4, "10.0.0.1:29500")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"WORLD_SIZE": ""}, "WORLD_SIZE is '' in the environment; expected a number from 1"),
        ({"WORLD_SIZE": "two"}, "WORLD_SIZE is 'two' in the environment"),
        ({"WORLD_SIZE": "0"}, "WORLD_SIZE is '0'"),
        ({"WORLD_SIZE": "-2"}, "WORLD_SIZE is '-2'"),
        ({"WORLD_SIZE": "9" * 5000}, "WORLD_SIZE is '999"),
        ({"WORLD_SIZE": "\u0664"}, "WORLD_SIZE is '\u0664'"),
        ({"RANK": None}, "RANK is missing in the environment, with WORLD_SIZE 4; expected a number "
         "from 0 to 3"),
        ({"RANK": "4"}, "RANK is '4' in the environment, with WORLD_SIZE 4"),
        ({"RANK": ""}, "RANK is ''"),
        ({"MASTER_ADDR": None}, "WORLD_SIZE is 4 in the environment, but MASTER_ADDR, where"),
        ({"MASTER_ADDR": ""}, "MASTER_ADDR, where the processes meet, is missing"),
        ({"MASTER_PORT": None}, "MASTER_PORT is missing"),
        ({"MASTER_PORT": "70000"}, "MASTER_PORT is '70000'"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_named_with_the_way_to_run_alone(changes, said):
    environment = {name: text for name, text in {**WHOLE, **changes}.items() if text is not None}
    with pytest.raises(MeetingError) as error:
        own_place(environment)
    assert said in str(error.value)
    assert str(error.value).endswith(
        "To run alone: unset WORLD_SIZE. To start several processes: torchrun"
    )
    assert len(str(error.value)) < 300


def test_a_place_on_the_machine_is_a_number():
    assert local_rank({}) == 0
    assert local_rank({"LOCAL_RANK": "3"}) == 3
    with pytest.raises(MeetingError, match="LOCAL_RANK is 'first'"):
        local_rank({"LOCAL_RANK": "first"})


@pytest.mark.parametrize(
    ("rank", "size", "others"),
    [(0, 2, "process 1 of 2"), (0, 4, "processes 1 to 3"), (3, 4, "process 0 of 4")],
)
def test_a_process_names_whom_it_waits_for(rank, size, others):
    assert Place(rank, size, "h:1").others == others


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_who_waits_in_vain_says_so_at_once_and_gives_up_in_bounded_time(monkeypatch, caplog, rank):
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = str(listener.getsockname()[1])
    alone = {"WORLD_SIZE": "2", "RANK": str(rank), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    for name, text in alone.items():
        monkeypatch.setenv(name, text)
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    monkeypatch.setattr(distributed, "PATIENCE", 1)
    other = f"process {1 - rank} of 2"
    with (
        pytest.raises(MeetingError) as error,
        distributed.process_group("cpu"),
    ):
        pytest.fail("nobody is there")
    (line,) = caplog.messages
    assert line.startswith(f"process {rank} of 2 waits for {other} at 127.0.0.1:{port}")
    assert f"waited for {other} at 127.0.0.1:{port} in vain" in str(error.value)
    assert "\n" not in str(error.value)
    assert not torch.distributed.is_initialized()


def test_the_work_has_more_time_than_the_meeting():
    assert timedelta(seconds=distributed.PATIENCE) < distributed._PATIENCE / 100
