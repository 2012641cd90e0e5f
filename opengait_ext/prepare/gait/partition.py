"""Splits and tasks of a gait data set, its faults and its oddities."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from opengait_ext.data.layout import SPLITS, VISIBLE, WITHIN_VISIBLE, Partition, Task, Tracklet
from opengait_ext.evaluation.gait_protocols import checked
from opengait_ext.prepare.faults import Faults, Kind, listed
from opengait_ext.prepare.gait.sets import GaitSet, Lists
from opengait_ext.prepare.gait.tree import Row, Tree
from opengait_ext.prepare.partition import queries_without_match, validation_identities

_ALLOW = "--allow-missing works with the identities and tracklets that are there."
_GALLERY_OF_VALIDATION = 2  # tracklets per identity, as in CCGR-MINI's own gallery


def make_partition(
    rows: Sequence[Row], lists: Lists, gait_set: GaitSet, validation: float
) -> Partition:
    """Return the partition of the used tracklets, without ``source``.

    Args:
        rows: Used tracklets, measured.
        lists: The lists of OpenGait's JSON file.
        gait_set: The facts about the data set.
        validation: Fraction of the training identities used for validation.
    """
    held_out = validation_identities({row.pid for row in rows if row.half == "train"}, validation)
    numbers = camera_numbers([gait_set.camera(row.kind, row.view) for row in rows])
    tracklets = [
        Tracklet(row.path, row.pid, number, VISIBLE, row.shape[0], _split(row, held_out))
        for row, number in zip(rows, numbers, strict=True)
    ]
    tasks = {}
    for split in ("val", "test"):
        found = _tasks(tracklets, split, lists, gait_set)
        if found:
            tasks[split] = found
    return Partition(gait_set.title, tracklets, tasks, dict(gait_set.protocol))


def camera_numbers(names: Sequence[str]) -> list[int]:
    """Return camera numbers: the names themselves if all are numbers, else their positions."""
    different = sorted(set(names))
    if all(name.isascii() and name.isdecimal() for name in different):
        own = {name: int(name) for name in different}
        if len(set(own.values())) == len(different):
            return [own[name] for name in names]
    place = {name: number for number, name in enumerate(different, 1)}
    return [place[name] for name in names]


def _split(row: Row, held_out: set[str]) -> str:
    if row.half == "test":
        return "test"
    return "val" if row.pid in held_out else "train"


def _tasks(
    tracklets: Sequence[Tracklet], split: str, lists: Lists, gait_set: GaitSet
) -> dict[str, Task]:
    """Return a task per condition; a condition without probes or gallery gets none."""
    members = [place for place, each in enumerate(tracklets) if each.split == split]
    if gait_set.listed:
        chosen = _listed(tracklets, members, split, lists, gait_set)
        others = [place for place in members if place not in chosen]
        inside = sorted(chosen)
        is_probe = gait_set.listed == "PROBE_SET"
        task = Task(inside, others) if is_probe else Task(others, inside)
        return {WITHIN_VISIBLE: task} if inside and others else {}
    rules = checked(gait_set.protocol)
    tasks = {}
    for name in rules.probe:
        query, gallery = (
            [place for place in members if of_type(tracklets[place].type, wanted[name], substring)]
            for wanted, substring in (
                (rules.probe, rules.probe_substring),
                (rules.gallery, rules.gallery_substring),
            )
        )
        if query and gallery:
            tasks[f"{name} {WITHIN_VISIBLE}"] = Task(query, gallery)
    return tasks


def of_type(kind: str, wanted: Sequence[str], substring: bool) -> bool:
    """Return whether a type equals or, with ``substring``, contains a wanted one."""
    return any(text in kind if substring else text == kind for text in wanted)


def _listed(
    tracklets: Sequence[Tracklet],
    members: Sequence[int],
    split: str,
    lists: Lists,
    gait_set: GaitSet,
) -> set[int]:
    """Return the listed tracklets; for validation identities the first ones by path."""
    if split == "test":
        keys = set(lists.listed)
        return {place for place in members if tracklets[place].path.replace("/", "-") in keys}
    wanted = 1 if gait_set.listed == "PROBE_SET" else _GALLERY_OF_VALIDATION
    chosen: dict[str, list[int]] = {}
    for place in sorted(members, key=lambda place: tracklets[place].path):
        first = chosen.setdefault(tracklets[place].pid, [])
        if len(first) < wanted:
            first.append(place)
    return {place for places in chosen.values() for place in places}


def count(partition: Partition) -> dict[str, Any]:
    """Count identities, tracklets and frames per split, and queries without a match."""
    counts: dict[str, Any] = {}
    for split in SPLITS:
        chosen = [tracklet for tracklet in partition.tracklets if tracklet.split == split]
        counts[split] = {
            "identities": len({tracklet.pid for tracklet in chosen}),
            "tracklets": len(chosen),
            "frames": sum(tracklet.frames for tracklet in chosen),
        }
    counts["queries_without_match"] = queries_without_match(partition)
    return counts


def views_by_side(
    partition: Partition, gait_set: GaitSet
) -> Mapping[str, tuple[set[str], set[str]]]:
    """Return, by condition, the views of the probes and of the gallery in the test."""
    view: Callable[[str], str] = str
    until = gait_set.protocol.get("view_until")
    if until:
        view = lambda text: text.split(until)[0]  # noqa: E731
    found = {}
    for name, task in partition.tasks.get("test", {}).items():
        query, gallery = (
            {view(partition.tracklets[place].view) for place in places}
            for places in (task.query, task.gallery)
        )
        found[name.rpartition(" ")[0]] = (query, gallery)
    return found


def faults_of_tree(tree: Tree, lists: Lists, gait_set: GaitSet, absent: bool, skip: bool) -> Faults:
    """Collect the faults that make the data unusable.

    Args:
        tree: The tracklets, measured.
        lists: The lists of OpenGait's JSON file.
        gait_set: The facts about the data set.
        absent: Whether identities and listed tracklets may be missing.
        skip: Whether unusable files are left out. Files that contain code are always refused.
    """
    faults = Faults()
    if not absent:
        for half, key in (("train", "TRAIN_SET"), ("test", "TEST_SET")):
            for pid in tree.absent[half]:
                where = f"{key} of {lists.path}"
                faults.add(Kind.NO_FOLDER, f"identity {pid!r}", where, advice=_ALLOW)
        there = {row.path.replace("/", "-") for row in tree.rows}
        where = f"{gait_set.listed} of {lists.path}"
        for key in lists.listed:
            if key not in there:
                faults.add(Kind.NO_TRACKLET, repr(key), where, advice=_ALLOW)
    for row in tree.rows:
        if row.fault and (not skip or row.fault.kind is Kind.CARRIES_CODE):
            faults.found.append(row.fault)
    channels = Counter(row.shape[1] for row in tree.rows if not row.fault)
    if len(channels) > 1:
        usual, rare = (choose(channels, key=channels.__getitem__) for choose in (max, min))
        odd = next(row for row in tree.rows if row.shape[1] == rare)
        others = f"{channels.total() - channels[rare]} other tracklets have {usual}"
        faults.add(Kind.OTHER_CHANNELS, odd.path, rare, others)
    return faults


def faults_of_partition(partition: Partition, gait_set: GaitSet) -> Faults:
    """Collect the faults that make a test on the partition impossible or meaningless."""
    faults = Faults()
    for split in ("train", "test"):
        if not any(tracklet.split == split for tracklet in partition.tracklets):
            faults.add(Kind.NOTHING_LEFT, "the partition", split)
    if gait_set.listed:
        if "test" not in partition.tasks:
            faults.add(Kind.NOTHING_LEFT, gait_set.listed, "the probes or for the gallery")
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
                types = f"{', '.join(wanted)} (types of the test half: {kinds})"
                faults.add(Kind.NO_SIDE, f"condition {name}", side, types)
    views = {view for sides in views_by_side(partition, gait_set).values() for view in
             sides[0] | sides[1]}  # fmt: skip
    if len(views) == 1 and not (rules.pooled or rules.identical_view):
        faults.add(Kind.ONE_VIEW, "the test half", views.pop())
    return faults


def notes(tree: Tree, partition: Partition, gait_set: GaitSet) -> list[str]:
    """Return lines on oddities that do not stop the work."""
    lines = []
    if tree.unlisted:
        lines.append(listed(f"{len(tree.unlisted)} folders in no list, not used:", tree.unlisted))
    if tree.strays:
        head = f"{len(tree.strays)} files that are no pickles; OpenGait itself stops at them:"
        lines.append(listed(head, tree.strays))
    lines += _sizes([row for row in tree.rows if not row.fault])
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
