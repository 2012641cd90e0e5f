"""What is wrong with a gait data set, and what is only worth knowing, each with file and value."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from opengait_ext.data.layout import Partition
from opengait_ext.evaluation.gait_protocols import checked
from opengait_ext.prepare.faults import Faults, SourceError, listed
from opengait_ext.prepare.gait.lists import Lists
from opengait_ext.prepare.gait.partition import of_type, views_by_side
from opengait_ext.prepare.gait.sets import GaitSet
from opengait_ext.prepare.gait.tree import Row, Tree

_CODE = ": refused, nothing was run"


def faults_of_tree(tree: Tree, lists: Lists, gait_set: GaitSet, absent: bool, skip: bool) -> Faults:
    """Collects what forbids to use the data.

    Args:
        tree: The tracklets, measured.
        lists: Of OpenGait's JSON file.
        gait_set: What is known of the data set.
        absent: Whether identities and listed tracklets may be missing.
        skip: Whether files that cannot be used are left out; never such that carry code.
    """
    faults = Faults()
    if not absent:
        for half, key in (("train", "TRAIN_SET"), ("test", "TEST_SET")):
            for pid in tree.absent[half]:
                faults.add(f"identity {pid!r} of {key} ({lists.path}) has no folder")
        there = {row.path.replace("/", "-") for row in tree.rows}
        for key in lists.listed:
            if key not in there:
                faults.add(f"{gait_set.listed} of {lists.path} names {key!r}, which is not there")
    for row in tree.rows:
        if row.problem and (not skip or _CODE in row.problem):
            faults.add(row.problem)
    channels = Counter(row.shape[1] for row in tree.rows if not row.problem)
    if len(channels) > 1:
        rare = min(channels, key=lambda each: channels[each])
        odd = next(row for row in tree.rows if row.shape[1] == rare)
        faults.add(
            f"{odd.path}: has {rare} channels, {channels.total() - channels[rare]} other tracklets "
            f"have {max(channels, key=lambda each: channels[each])}"
        )
    return faults


def refuse(faults: Faults, source: Path) -> None:
    """Raises what was found, and says what can be done about it.

    Raises:
        SourceError: If there is a fault.
    """
    texts = faults.texts
    ways = []
    if any("has no folder" in text or "is not there" in text for text in texts):
        ways.append("--allow-missing works with the identities and tracklets that are there.")
    if any(_CODE in text for text in texts):
        ways.append(
            "A file that asks for classes is always refused: get it again from its publisher."
        )
    if any(text.startswith(str(source)) and _CODE not in text for text in texts):
        ways.append("--skip-damaged leaves out the tracklets whose file cannot be used.")
    if texts:
        head = f"{source}: {len(texts)} faults, nothing was written"
        raise SourceError("\n".join([listed(head, texts), *ways]))


def faults_of_partition(partition: Partition, gait_set: GaitSet) -> Faults:
    """Collects what would make the test of the partition impossible or empty of meaning."""
    faults = Faults()
    for split in ("train", "test"):
        if not any(tracklet.split == split for tracklet in partition.tracklets):
            faults.add(f"no tracklet is left for {split}")
    if gait_set.listed:
        if "test" not in partition.tasks:
            faults.add(f"no tracklet of {gait_set.listed} is there, or no other")
        return faults
    rules = checked(gait_set.protocol)
    tested = [tracklet for tracklet in partition.tracklets if tracklet.split == "test"]
    for name in rules.probe:
        for side, wanted, substring in (
            ("probe", rules.probe[name], rules.probe_substring),
            ("gallery", rules.gallery[name], rules.gallery_substring),
        ):
            if not any(of_type(each.type, wanted, substring) for each in tested):
                kinds = ", ".join(sorted({each.type for each in tested})[:8])
                faults.add(
                    f"condition {name}: no {side} is there, of types {', '.join(wanted)} (types "
                    f"of the test half: {kinds})"
                )
    views = {view for sides in views_by_side(partition, gait_set).values() for view in
             sides[0] | sides[1]}  # fmt: skip
    if len(views) == 1 and not (rules.pooled or rules.identical_view):
        faults.add(
            f"the test half has the view {views.pop()!r} alone: without pairs of one view, which "
            "the protocol leaves out, there is nothing to measure"
        )
    return faults


def notes(tree: Tree, partition: Partition, gait_set: GaitSet) -> list[str]:
    """Gives lines on what does not stop the work but should be known."""
    lines = []
    if tree.unlisted:
        lines.append(listed(f"{len(tree.unlisted)} folders in no list, not used:", tree.unlisted))
    if tree.strays:
        head = f"{len(tree.strays)} files that are no pickles; OpenGait itself stops at them:"
        lines.append(listed(head, tree.strays))
    lines += _sizes([row for row in tree.rows if not row.problem])
    if gait_set.listed or gait_set.protocol.get("pool_views"):
        return lines
    tested: dict[str, set[str]] = {}
    for tracklet in partition.tracklets:
        if tracklet.split == "test":
            tested.setdefault(tracklet.pid, set()).add(tracklet.view)
    single = sorted(pid for pid, views in tested.items() if len(views) == 1)
    if single:
        lines.append(listed(f"{len(single)} test identities with one view only:", single))
    sides = views_by_side(partition, gait_set)
    every = {view for pair in sides.values() for side in pair for view in side}
    empty = [
        f"condition {name}: no {side} in the view {view}; its cells are left out of the mean"
        for name, pair in sides.items()
        for side, views in zip(("probe", "gallery"), pair, strict=True)
        for view in sorted(every - views)
    ]
    if empty:
        lines.append(listed(f"{len(empty)} empty rows or columns of view matrices:", empty))
    return lines


def _sizes(rows: Sequence[Row]) -> list[str]:
    sizes = Counter(row.shape[2:] for row in rows)
    if len(sizes) < 2:
        return []
    found = [f"{h} x {w}: {number} tracklets" for (h, w), number in sizes.most_common()]
    return [listed("frames of different sizes; put Resize first in transform:", found)]
