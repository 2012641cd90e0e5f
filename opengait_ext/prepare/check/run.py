"""Check of a data set before hours of training are spent on it.

    python datasets/prep/check.py data/hitsz_vcm --report check.json

The data are a prepared folder (with ``partition.json``) or published data. Every file is checked:
present, undamaged, in its place, not a duplicate, and as the protocol expects. The check ends with
a table and the exit status 0 (no fault), 1 (faults), 2 (misuse) or 130 (stopped). It changes
nothing in the data and runs no code from files. A stopped check resumes with the same command.
Needs numpy, OpenCV and simplejpeg, no torch.
"""

import argparse
import json
import os
import time
from collections.abc import Sequence
from pathlib import Path

from opengait_ext.data.layout import INFRARED, atomic_write
from opengait_ext.errors import UserError
from opengait_ext.prepare.check.duplicates import check_duplicates
from opengait_ext.prepare.check.findings import FAULT, WARNING
from opengait_ext.prepare.check.images import CONTRAST_LIMIT
from opengait_ext.prepare.check.journal import NAME, Journal, JournalError
from opengait_ext.prepare.check.plan import Listed, Plan, check_lists
from opengait_ext.prepare.check.published import RAW_KINDS, UnknownDataError, close, read_plan
from opengait_ext.prepare.check.report import (
    FORMAT,
    check_matplotlib,
    content_digest,
    draw,
    histograms_of,
    make_report,
    tell_bars,
    tell_end,
    tell_examples,
    tell_plan,
    tell_table,
)
from opengait_ext.prepare.check.tracklets import QUICK, Checked, check_all
from opengait_ext.prepare.options import positive, status_of
from opengait_ext.prepare.packing import available_cores
from opengait_ext.prepare.progress import Progress


class MisuseError(UserError):
    """The command line asks for something impossible."""


def arguments_of(command: Sequence[str] | None) -> argparse.Namespace:
    """Return the options of the command line."""
    parser = argparse.ArgumentParser(
        description="Check a data set, prepared or as published, before training.",
        epilog="exit status: 0 no fault, 1 faults, 2 misuse, 130 stopped",
    )
    add = parser.add_argument
    add("data", type=Path, help="a prepared folder, or published data")
    add("--raw-kind", choices=RAW_KINDS, help="of published data (default: found out)")
    add(
        "--min-frames",
        type=positive,
        metavar="N",
        help="of published data: shorter tracklets are counted (default: that of the protocol)",
    )
    add(
        "--workers",
        type=positive,
        default=available_cores(),
        metavar="N",
        help="processes (%(default)s)",
    )
    add("--quick", action="store_true", help="only the first, middle and last frame of tracklets")
    add("--strict", action="store_true", help="exit with 1 for warnings, too")
    add("--report", type=Path, metavar="FILE.json", help="write all that was found")
    add("--picture", type=Path, metavar="FILE.png", help="draw the sizes (needs matplotlib)")
    add(
        "--journal",
        type=Path,
        metavar="FILE",
        help=f"what is finished, to go on with (default: beside the report, or {NAME} in the data)",
    )
    add("--anew", action="store_true", help="check again what the journal says is finished")
    return parser.parse_args(command)


def run(arguments: argparse.Namespace) -> bool:
    """Check the data; return whether they pass.

    Args:
        arguments: Options, as `arguments_of` returns them.

    Raises:
        MisuseError: If there is nothing to check, or if an output file cannot be written.
    """
    start = time.monotonic()
    root = arguments.data
    _check_outputs(arguments)
    own = [_journal_place(arguments), *filter(None, (arguments.report, arguments.picture))]
    plan = read_plan(root, arguments.raw_kind, arguments.min_frames, own)
    tell_plan(plan, arguments.quick)
    check_lists(plan)
    with _open_journal(arguments) as journal:
        checked = _look(plan, journal, arguments)
    close(own)
    for listed, one in zip(plan.tracklets, checked, strict=True):
        _judge(plan, listed, one)
    check_duplicates(plan.tracklets, checked, arguments.quick, plan.findings)
    _tell(plan, checked, arguments)
    print(f"after {time.monotonic() - start:.1f} s")
    return not (plan.findings.has(FAULT) or arguments.strict and plan.findings.has(WARNING))


def _check_outputs(arguments: argparse.Namespace) -> None:
    """Refuse output files that cannot be written or must not be overwritten, before the work."""
    if arguments.picture:
        try:
            check_matplotlib()
        except UserError as error:
            raise MisuseError(str(error)) from error
    for path, mark, what in (
        (arguments.report, f'"{FORMAT}"'.encode(), "report of a check"),
        (arguments.picture, b"\x89PNG", "PNG"),
    ):
        if path is None:
            continue
        folder = path.resolve().parent
        if not (folder.is_dir() and os.access(folder, os.W_OK)):
            raise MisuseError(f"{path}: its folder is not there or cannot be written to")
        if path.exists() and not (path.is_file() and mark in _start_of(path)):
            raise MisuseError(f"{path}: is there and no {what}; it is not replaced")


def _start_of(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(100)


def _journal_place(arguments: argparse.Namespace) -> Path:
    if arguments.journal:
        return Path(arguments.journal)
    if arguments.report:
        return Path(arguments.report.with_name(f".{arguments.report.name}.journal"))
    data = Path(arguments.data)
    return (data if data.is_dir() else data.parent) / NAME


def _open_journal(arguments: argparse.Namespace) -> Journal:
    path = _journal_place(arguments)
    try:
        return Journal(path, arguments.data, arguments.anew)
    except JournalError as error:
        if arguments.journal:
            raise MisuseError(str(error)) from error
        print(f"{error}\nThe check begins without one: if it is stopped, it cannot go on.")
        return Journal(None, arguments.data, arguments.anew)


def _look(plan: Plan, journal: Journal, arguments: argparse.Namespace) -> list[Checked]:
    """Check all tracklets; unchanged ones come from the journal."""
    prefix = "quick:" if arguments.quick else "all:"
    keys = [prefix + listed.path for listed in plan.tracklets]
    found: list[Checked] = [Checked()] * len(keys)
    known = 0
    total = sum(_frames(listed, arguments.quick) for listed in plan.tracklets)
    with Progress(total, "checking", "frames") as progress:
        for position, checked in check_all(
            lambda p: plan.job(p, arguments.quick, journal.signature(keys[p])),
            len(keys),
            arguments.workers,
        ):
            before = journal.get(keys[position]) if checked.is_known else None
            if before is None:
                journal.add(keys[position], checked)
            known += before is not None
            found[position] = before or checked
            progress.add(_frames(plan.tracklets[position], arguments.quick))
    if known:
        print(
            f"{known:,} of {len(keys):,} tracklets were checked before and have not changed "
            "(size and time of their files); --anew checks all again"
        )
    return found


def _frames(listed: Listed, quick: bool) -> int:
    return min(listed.frames, QUICK) if quick else listed.frames


def _judge(plan: Plan, listed: Listed, checked: Checked) -> None:
    """Compare the content of a tracklet with the lists."""
    plan.findings.extend(checked.findings)
    wrong = plan.kind == "prepared" and checked.frames != listed.frames
    if wrong and checked.frames:
        text = f"holds {checked.frames} frames, partition.json says {listed.frames}"
        plan.findings.fault("ranges", listed.path, text)
    if listed.modality == INFRARED:
        misfits, words = checked.whole - checked.gray, "infrared frames are in color"
    else:
        misfits, words = checked.gray, "visible frames are gray"
    numbers = plan.findings.results["pixels"].numbers
    for name, number in ((f"{listed.modality} frames", checked.whole), (words, misfits)):
        numbers[name] = numbers.get(name, 0) + number
    if misfits:
        share = f"{misfits} of {checked.whole} {words} ({misfits / checked.whole:.0%})"
        plan.findings.warn("pixels", listed.path, share)
    if checked.flat:
        share = f"{checked.flat} of {checked.whole} frames have fewer than {CONTRAST_LIMIT} levels"
        plan.findings.warn("contrast", listed.path, f"{share}; were 16 bits cut to 8?")


def _tell(plan: Plan, checked: list[Checked], arguments: argparse.Namespace) -> None:
    """Print and write the reports."""
    histograms = histograms_of(plan, checked)
    digests = {"lists": plan.lists_digest}
    if plan.published_digest:
        digests["published lists"] = plan.published_digest
    frames = "quick frames" if arguments.quick else "frames"
    digests[frames] = content_digest(plan, checked)
    plan.findings.results["digest"].numbers = digests
    plan.findings.results["digest"].note = f"frames {digests[frames][:16]}"
    tell_bars(histograms)
    where = f" ({arguments.report})" if arguments.report else "; --report FILE.json keeps more"
    tell_examples(plan.findings, where)
    tell_table(plan.findings)
    tell_end(plan.findings, digests)
    if arguments.report:
        report = make_report(plan, histograms, digests, arguments.quick)
        atomic_write(arguments.report, (json.dumps(report, indent=1) + "\n").encode())
        print(f"{arguments.report} written")
    if arguments.picture:
        draw(arguments.picture, histograms, plan.dataset or str(plan.root))
        print(f"{arguments.picture} written")


def main(command: Sequence[str] | None = None) -> int:
    """Run the script; return the exit status: 0 no fault, 1 faults, 2 misuse, 130 stopped."""
    arguments = arguments_of(command)
    return status_of(lambda: run(arguments), (MisuseError, UnknownDataError))
