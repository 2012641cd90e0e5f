"""Run the command lines of README and docs on generated data: ``make docs-test``.

Each runs in the order of the pages in one scratch folder, with the words of `plan` added, which
make it small. Those that cannot run are listed with their reason.
"""

import argparse
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from documented import ROOT, documented
from plan import PLACES, added_to, reason_of
from scene import make_scene

PROGRAMS = {
    "python": [sys.executable],
    "opengait-ext": [sys.executable, "-m", "opengait_ext.cli"],
    "pytest": [sys.executable, "-m", "pytest"],
}


def command_of(text: str, folder: Path) -> list[str]:
    """Return the words that run a documented command in the scratch folder."""
    for place, meaning in PLACES.items():
        text = text.replace(place, meaning)
    program, *words = shlex.split(text)
    added = added_to(text)
    if "{query}" in added:
        query = min((folder / "data/synth_vvi").glob("05*/ir/*"))
        added = added.replace("{query}", query.relative_to(folder).as_posix())
    words = [*words, *shlex.split(added)]
    return [*PROGRAMS[program], *words]


def before(text: str, folder: Path) -> None:
    """Prepare what a page leaves to the reader: another download into the same folder."""
    if "--source downloads/" in text or "--source Train.zip" in text:
        subprocess.run(["rm", "-rf", folder / "data/hitsz_vcm"], check=True)
    if "biggait_ccpg.yaml" in text and not (folder / "data/ccpg").exists():
        (folder / "data/ccpg").mkdir(parents=True)
        words = "--benchmark ccpg --kind rgb --source CCPG-pkl --target data/ccpg --lists"
        run = ["datasets/prep/gait.py", *words.split(), "checkout/datasets/CCPG/CCPG.json"]
        run = [sys.executable, *run]
        subprocess.run(run, cwd=folder, check=True, capture_output=True, env=environment())


def environment() -> dict[str, str]:
    """Return the environment: this checkout's package, no other."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "OPENGAIT_ROOT": ""}


def run_all(folder: Path, only: str) -> int:
    """Run every documented command once; return how many failed."""
    failed, seen = 0, set()
    for line in documented():
        if line.text in seen or only not in line.text:
            continue
        seen.add(line.text)
        reason = reason_of(line.text)
        if reason:
            print(f"not run  {line.place}: {line.text}\n         ({reason})", flush=True)
            continue
        before(line.text, folder)
        start = time.monotonic()
        done = subprocess.run(
            command_of(line.text, folder), cwd=folder, env=environment(), capture_output=True,
            text=True,
        )  # fmt: skip
        seconds = time.monotonic() - start
        print(f"{'FAILED' if done.returncode else 'ok    '} {seconds:4.0f} s  "
              f"{line.place}: {line.text}", flush=True)  # fmt: skip
        if done.returncode:
            failed += 1
            print(f"exit status {done.returncode}\n{(done.stdout + done.stderr)[-2000:]}")
    return failed


def main() -> int:
    """Make the scene and run the commands."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--only", default="", metavar="TEXT", help="commands that hold this text")
    parser.add_argument("--folder", type=Path, help="keep the scratch folder, and use it again")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="docs-test-") as name:
        folder = (given.folder or Path(name)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        if not (folder / "VCM").exists():
            make_scene(folder)
        failed = run_all(folder, given.only)
    print(f"{failed} commands failed" if failed else "every command works as written")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
