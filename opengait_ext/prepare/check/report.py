"""The reports of a check: table and bars on the terminal, JSON, and a figure of the sizes."""

import hashlib
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from opengait_ext.data.layout import INFRARED, VISIBLE, atomic_write
from opengait_ext.errors import UserError
from opengait_ext.prepare.check.findings import CHECKS, FAULT, WARNING, Findings, Result, printable
from opengait_ext.prepare.check.plan import Plan, counts_of
from opengait_ext.prepare.check.tracklets import Checked

FORMAT = "opengait_ext/check/1"
BARS, WIDTH = 10, 40
TOLD = 5  # examples per check on the terminal
_STEPS = (1, 2, 5)
Histograms = dict[str, dict[str, Counter[int]]]  # quantity -> modality -> value -> count


def histograms_of(plan: Plan, checked: Sequence[Checked]) -> Histograms:
    """Count frames per tracklet, and heights and widths of the undamaged frames that were read."""
    names = ("frames a tracklet", "height in pixels", "width in pixels")
    found: Histograms = {name: {m: Counter() for m in (INFRARED, VISIBLE)} for name in names}
    for listed, one in zip(plan.tracklets, checked, strict=True):
        found[names[0]][listed.modality][one.frames] += 1
        for height, width, number in one.sizes:
            found[names[1]][listed.modality][height] += number
            found[names[2]][listed.modality][width] += number
    return found


def content_digest(plan: Plan, checked: Sequence[Checked]) -> str:
    """Return the sha256 of all frames that were read, independent of the order of the lists."""
    digest = hashlib.sha256()
    pairs = zip(plan.tracklets, checked, strict=True)
    for listed, one in sorted(pairs, key=lambda pair: pair[0].path):
        digest.update(f"\n{ascii(listed.path)} {one.frames} ".encode() + one.digests)
    return digest.hexdigest()


def make_report(
    plan: Plan, histograms: Histograms, digests: Mapping[str, str], quick: bool
) -> dict[str, Any]:
    """Return the whole report as plain data for JSON; the same data yield the same report."""
    return {
        "format": FORMAT,
        "root": str(plan.root),
        "kind": plan.kind,
        "layout": plan.layout,
        "dataset": plan.dataset,
        "frames_looked_at": "first, middle and last" if quick else "all",
        "result": plan.findings.severity,
        "counts": counts_of(plan),
        "digests": dict(digests),
        "checks": [
            {"number": number, "name": name, "what": CHECKS[name], **_plain(result)}
            for number, (name, result) in enumerate(plan.findings.results.items(), 1)
        ],
        "histograms": {
            what: {m: {str(k): n for k, n in sorted(c.items())} for m, c in sides.items()}
            for what, sides in histograms.items()
        },
    }


def _plain(result: Result) -> dict[str, Any]:
    return {
        "result": result.severity,
        "faults": result.counts[FAULT],
        "warnings": result.counts[WARNING],
        "note": result.note,
        "numbers": result.numbers,
        "examples": [
            {"severity": severity, "place": place, "text": text}
            for severity, examples in result.examples.items()
            for place, text in examples
        ],
    }


def tell_plan(plan: Plan, quick: bool) -> None:
    """Print which data are checked."""
    frames = sum(listed.frames for listed in plan.tracklets)
    name = f"{printable(plan.dataset)}; " if plan.dataset else ""
    print(f"{plan.root}: {plan.layout}; {name}{len(plan.tracklets):,} tracklets, {frames:,} frames")
    for split, sides in counts_of(plan).items():
        for modality, numbers in sides.items():
            cells = ", ".join(f"{number:,} {what}" for what, number in numbers.items())
            print(f"  {split} {modality}: {cells}")
    if quick:
        print("--quick: of each tracklet only the first, the middle and the last frame")


def tell_examples(findings: Findings, report: str) -> None:
    """Print the first examples of all findings."""
    for name, result in findings.results.items():
        for severity, examples in result.examples.items():
            more = result.counts[severity] - min(len(examples), TOLD)
            if examples:
                print(f"\n{name}: {result.counts[severity]:,} {severity}s")
            for place, text in examples[:TOLD]:
                print(f"  {printable(place)}: {printable(text)}")
            if examples and more:
                print(f"  and {more:,} more{report}")


def tell_bars(histograms: Histograms) -> None:
    """Print the histograms as bars."""
    for what, sides in histograms.items():
        print(f"\n{what}")
        for line in bars(sum(sides.values(), Counter())):
            print(f"  {line}")


def bars(values: Counter[int]) -> Iterator[str]:
    """Yield a histogram as lines of text, at most ``BARS`` and one more.

    Args:
        values: Count of each value.
    """
    if not values:
        yield "none"
        return
    low, high = min(values), max(values)
    step, power = 1, 0
    while (high - low) // step >= BARS:
        power += 1
        step = _STEPS[power % 3] * 10 ** (power // 3)
    bins: Counter[int] = Counter()
    for value, number in values.items():
        bins[value // step] += number
    most = max(bins.values())
    for place in range(min(bins), max(bins) + 1):
        first, last = place * step, place * step + step - 1
        label = f"{first}" if step == 1 else f"{first} - {last}"
        bar = "#" * -(-bins[place] * WIDTH // most)
        yield f"{label:>13}  {bar:<{WIDTH}} {bins[place]:>9,}".rstrip()


def tell_table(findings: Findings) -> None:
    """Print the table of all checks."""
    print(f"\n{'':<4}{'check':<12}{'result':<9}{'count':>9}  first example")
    for number, (name, result) in enumerate(findings.results.items(), 1):
        count = f"{result.count:,}" if result.count else ""
        line = f"{number:>2}  {name:<12}{result.severity:<9}{count:>9}  {printable(result.first)}"
        print(line.rstrip())


def tell_end(findings: Findings, digests: Mapping[str, str]) -> None:
    """Print the digests, and the result in one line."""
    print()
    for what, digest in digests.items():
        print(f"sha256 of {what:<18}{digest}")
    totals = {s: sum(r.counts[s] for r in findings.results.values()) for s in (FAULT, WARNING)}
    print(f"\n{totals[FAULT]:,} faults, {totals[WARNING]:,} warnings")


def check_matplotlib() -> None:
    """Raise UserError if matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UserError(
            "--picture needs matplotlib: pip install 'matplotlib>=3.8' (the bars on the terminal "
            "need nothing)"
        ) from error


def draw(path: Path, histograms: Histograms, title: str) -> None:
    """Draw the histograms side by side, each with both modalities.

    Args:
        path: The PNG to write.
        histograms: Quantity -> modality -> value -> count.
        title: Title of the figure.

    Raises:
        UserError: If matplotlib is not installed.
    """
    check_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.0 * len(histograms), 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    for number, (what, sides) in enumerate(histograms.items(), 1):
        axes = figure.add_subplot(1, len(histograms), number)
        filled = {modality: values for modality, values in sides.items() if values}
        if filled:
            axes.hist(
                [list(values) for values in filled.values()],
                bins=20,
                weights=[list(values.values()) for values in filled.values()],
                label=list(filled),
                stacked=True,
            )
            axes.legend()
        axes.set_xlabel(what)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    atomic_write(path, buffer.getvalue())
