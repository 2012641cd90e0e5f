import io
import json
import logging
import sys

import pytest
import torch

from opengait_ext.engine import provenance
from opengait_ext.engine.journal import Journal
from opengait_ext.engine.objective import Terms
from opengait_ext.engine.progress import Clock, LiveLine, duration, logging_to
from opengait_ext.engine.summary import Summary, grid, numbers_of
from opengait_ext.errors import UserError


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0:00"), (61.4, "1:01"), (3599.6, "1:00:00"), (36061, "10:01:01")]
)
def test_a_time_reads_as_on_a_clock(seconds, text):
    assert duration(seconds) == text


def test_the_time_left_follows_from_the_work_of_this_session():
    clock = Clock(total=100, done=40)
    assert clock.left == "?"
    clock.add(20, seconds=10.0)
    assert clock.rate == pytest.approx(2.0)
    assert clock.left == "0:20"


def test_the_bar_is_written_over_on_a_terminal_and_silent_elsewhere(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    terminal = Terminal()
    live = LiveLine(terminal)
    assert live.due
    live.show("one", 1, 4)
    assert not live.due
    live.show("two", 2, 4)
    live.clear()
    live.clear()
    _, one, two, erased, end = terminal.getvalue().split("\r")
    assert one.startswith(" 25%|")
    assert one.endswith("| one")
    assert two.startswith(" 50%|")
    assert two.endswith("| two")
    assert not erased.strip()
    assert len(erased) >= len(two)
    assert end == ""
    plain = io.StringIO()
    live = LiveLine(plain)
    live.show("one", 1, 4)
    live.clear()
    assert not live.due
    assert plain.getvalue() == ""


def test_log_lines_stand_above_the_bar_and_go_to_the_file(tmp_path, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # no program that logs by itself
    terminal = Terminal()
    live = LiveLine(terminal)
    logger = logging.getLogger("opengait_ext.engine.anything")
    with logging_to(tmp_path / "logs", live):
        live.show("iteration 1", 1, 2)
        logger.info("saved")
        logger.info("iteration 2", extra={"live": True})
    (file,) = (tmp_path / "logs").iterdir()
    assert "[INFO]: saved\n" in file.read_text()
    assert "[INFO]: iteration 2\n" in file.read_text()
    _, bar, erased, line = terminal.getvalue().split("\r")
    assert bar.endswith("iteration 1")
    assert not erased.strip()
    assert line.startswith("[")
    assert line.endswith("[INFO]: saved\n")
    assert logging.getLogger("opengait_ext").handlers == []


def test_processes_after_the_first_only_warn(tmp_path, monkeypatch):
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    stream = io.StringIO()
    with logging_to(tmp_path / "logs", LiveLine(stream), rank=1):
        logging.getLogger("opengait_ext.x").info("hidden")
        logging.getLogger("opengait_ext.x").warning("shown")
    assert "shown" in stream.getvalue()
    assert "hidden" not in stream.getvalue()
    assert not (tmp_path / "logs").exists()


def tell(journal, optimizer, values):
    for value in values:
        journal.begins()
        journal.has_batch()
        losses = {"id": torch.tensor(value / 2), "mask": torch.tensor(value / 2)}
        terms = Terms(torch.tensor(value), losses, {"id/accuracy": torch.tensor(0.5)})
        images = {"image/input": torch.rand(12, 3, 4, 2), "scalar/size": torch.tensor(7.0)}
        journal.ends(terms, images, torch.tensor(1.0), 8, optimizer)


def test_the_journal_tells_means_since_the_last_line(tmp_path, caplog):
    caplog.set_level(logging.INFO)
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.25)
    terminal = Terminal()
    journal = Journal(5, 2, 0, True, Summary(tmp_path), LiveLine(terminal))
    tell(journal, optimizer, [1.0, 2.0, 3.0, 4.0, 5.0])
    journal.tested({"val/mAP": 0.5})
    journal.close()
    assert [line.split("  data")[0] for line in caplog.messages] == [
        "iteration 2/5  loss 1.500 (id 0.750, mask 0.750)",
        "iteration 4/5  loss 3.500 (id 1.750, mask 1.750)",
        "iteration 5/5  loss 5.000 (id 2.500, mask 2.500)",
    ]
    assert " %  " in caplog.messages[0]
    assert caplog.messages[0].endswith(" left")
    assert "iteration 1/5" in terminal.getvalue()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["iteration"] for line in lines] == [2, 4, 5, 5]
    assert lines[0]["loss/total"] == 1.5
    assert lines[0]["id/accuracy"] == 0.5
    assert lines[0]["size"] == 7.0
    assert lines[0]["learning_rate"] == 0.25
    assert lines[0]["gradient_norm"] == 1.0
    assert 0 <= lines[0]["data_wait"] <= 1
    assert lines[3] == {"iteration": 5, "val/mAP": 0.5}
    (events,) = (tmp_path / "summary").iterdir()
    assert events.stat().st_size > 500


def test_curves_of_iterations_that_are_done_again_are_dropped(tmp_path):
    summary = Summary(tmp_path)
    for iteration in (2, 4, 6):
        summary.scalars({"scalar/loss": 1.0 / iteration, "other": float("nan")}, iteration)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"iteration": 3, "cut off')
    Summary(tmp_path, start=4)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == [
        {"iteration": 2, "loss": 0.5, "other": None},
        {"iteration": 4, "loss": 0.25, "other": None},
    ]


def test_a_missing_tensorboard_names_the_package(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(UserError, match="pip install tensorboard"):
        Summary(tmp_path)


@pytest.mark.parametrize(("channels", "shown"), [(3, 8), (1, 8), (2, 16)])
def test_pictures_stand_side_by_side_and_are_few(channels, shown):
    images = torch.rand(20, channels, 4, 2)
    picture = grid(images)
    rows = shown // 8
    assert picture.shape == (3, rows * (4 + 1) + 1, 8 * (2 + 1) + 1)
    torch.testing.assert_close(picture[0, 1:5, 1:3], images[0, 0])


def test_numbers_among_the_pictures_become_curves():
    numbers = numbers_of({"image/a": torch.ones(1), "scalar/b": torch.tensor([1.0, 3.0])})
    assert numbers == {"b": torch.tensor(2.0)}


@pytest.mark.parametrize(
    ("command", "file"),
    [(["m", "--cfgs", "a.yaml"], "a.yaml"), (["m", "--cfgs=a.yaml"], "a.yaml"), (["m"], "")],
)
def test_the_config_file_stands_on_the_command_line(command, file):
    assert provenance.config_file(command) == file


def test_a_package_outside_git_has_no_commit(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "_PACKAGE", tmp_path)
    assert provenance.commit() is None
    monkeypatch.setenv("PATH", "")
    assert provenance.commit() is None


def test_a_commit_tells_whether_files_were_changed(tmp_path, monkeypatch):
    monkeypatch.setattr(provenance, "_PACKAGE", tmp_path)
    file = tmp_path / "__init__.py"
    file.write_text("a = 1\n")
    who = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for words in (["init", "-q"], ["add", "."], [*who, "commit", "-q", "-m", "first"]):
        assert provenance._git(*words) is not None
    commit = provenance.commit()
    assert commit is not None
    assert len(commit["hash"]) == 40
    assert commit["changed"] is False
    file.write_text("a = 2\n")
    assert provenance.commit() == {"hash": commit["hash"], "changed": True}
