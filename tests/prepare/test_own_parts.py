"""Parts of the preparation of a user's recordings by themselves: processes, the journal."""

import os

import pytest

from opengait_ext.errors import UserError


class Bomb:
    """Ends the process that unpickles it, as the system does when memory runs out."""

    def __reduce__(self):
        return os._exit, (1,)


@pytest.mark.slow
def test_a_process_that_died_is_told_with_what_to_do():
    from opengait_ext.prepare.progress import Progress
    from opengait_ext.prepare.work import run_all

    progress = Progress(2, "doing", "things")
    with pytest.raises(UserError, match="ended from outside.*fewer --workers"):
        list(run_all(print, [Bomb(), Bomb()], 2, progress))


def test_a_journal_survives_half_a_line(tmp_path):
    from opengait_ext.prepare.recordings.journal import Journal

    journal = Journal(tmp_path / "new" / "a.jsonl")
    assert journal.read() == {}
    journal.add("x", {"frames": 1})
    with (tmp_path / "new" / "a.jsonl").open("a") as file:
        file.write('["y", {"fra')
    journal.add("z", {"frames": 2})
    with (tmp_path / "new" / "a.jsonl").open("a") as file:
        file.write('7\n["a"]\n[1, {}]\n')
    assert journal.read() == {"x": {"frames": 1}, "z": {"frames": 2}}
