"""Contradictions in a ``partition.json``, each with its place."""

from collections.abc import Iterator

from opengait_ext.data.partition import Partition, Tracklet

VISIBLE, INFRARED = "visible", "infrared"
FOLDERS = {VISIBLE: "rgb", INFRARED: "ir"}
DIRECTIONS = ("infrared_to_visible", "visible_to_infrared")  # query _to_ gallery
WITHIN_VISIBLE = "visible_to_visible"  # for data without infrared frames: gait data sets
SPLITS = ("train", "val", "test")

_MOST = 2**31  # limit on numbers of frames and cameras


def faults_of_partition(partition: Partition) -> list[str]:
    """Return the contradictions in the tracklets or, if there are none, in the rest."""
    faults = [*_tracklet_faults(partition.tracklets)]
    if faults:
        return faults
    faults = [*_split_faults(partition.tracklets), *_task_faults(partition)]
    return [*faults, *_pair_faults(partition)]


def _tracklet_faults(tracklets: list[Tracklet]) -> Iterator[str]:
    seen = set()
    for number, tracklet in enumerate(tracklets):
        start = f"tracklets[{number}] {tracklet.path!r}:"
        if not isinstance(tracklet.pid, str):
            yield f"{start} pid {tracklet.pid!r}, expected text"
        if tracklet.modality not in FOLDERS:
            yield f"{start} modality {tracklet.modality!r}, expected one of {sorted(FOLDERS)}"
            continue
        home = f"{tracklet.pid}/{_type_of(tracklet)}/{tracklet.view}"
        if tracklet.path != home or not _is_plain(tracklet.path):
            yield f"{start} the path should be '<pid>/<rgb|ir>/<view>', here {home!r}"
        if tracklet.split not in SPLITS:
            yield f"{start} split {tracklet.split!r}, expected one of {list(SPLITS)}"
        if type(tracklet.frames) is not int or not 1 <= tracklet.frames < _MOST:
            yield f"{start} frames {_short(tracklet.frames)}, expected at least 1"
        if type(tracklet.camid) is not int or abs(tracklet.camid) >= _MOST:
            yield f"{start} camid {_short(tracklet.camid)}, expected a whole number"
        if tracklet.path in seen:
            yield f"{start} is listed twice"
        seen.add(tracklet.path)


def _short(value: object) -> str:
    """Return a value for a message; Python refuses to print an integer of many digits."""
    huge = type(value) is int and abs(value) >= _MOST
    return f"above {_MOST:,}" if huge else repr(value)[:80]


def _type_of(tracklet: Tracklet) -> str:
    """Return the type that a path should have; visible frames may have any type but ``ir``."""
    parts = tracklet.path.split("/")
    own = len(parts) == 3 and tracklet.modality == VISIBLE and parts[1] != FOLDERS[INFRARED]
    return parts[1] if own else FOLDERS[tracklet.modality]


def _is_plain(path: str) -> bool:
    """Return whether a path stays below the root on every system."""
    parts = path.split("/")
    return len(parts) == 3 and not any(
        part in ("", ".", "..") or "\\" in part or ":" in part for part in parts
    )


def _split_faults(tracklets: list[Tracklet]) -> Iterator[str]:
    home: dict[str, str] = {}
    for tracklet in tracklets:
        split = home.setdefault(tracklet.pid, tracklet.split)
        if split != tracklet.split:
            yield f"identity {tracklet.pid!r} is both in {split!r} and in {tracklet.split!r}"


def _task_faults(partition: Partition) -> Iterator[str]:
    for split, tasks in partition.tasks.items():
        for direction, task in tasks.items():
            start = f"tasks.{split}.{direction}"
            plain = direction.rpartition(" ")[2]
            if split not in SPLITS or plain not in (*DIRECTIONS, WITHIN_VISIBLE):
                yield f"{start}: expected a split of {list(SPLITS)} and one of {list(DIRECTIONS)}"
                continue
            for name, modality in zip(("query", "gallery"), plain.split("_to_"), strict=True):
                yield from _list_faults(
                    getattr(task, name), f"{start}.{name}", partition.tracklets, split, modality
                )


def _list_faults(
    positions: list[int], start: str, tracklets: list[Tracklet], split: str, modality: str
) -> Iterator[str]:
    for position in positions:
        if type(position) is not int or not 0 <= position < len(tracklets):
            yield f"{start}: position {position!r}, there are {len(tracklets)} tracklets"
        elif (tracklets[position].split, tracklets[position].modality) != (split, modality):
            yield f"{start}: tracklet {position} is not {modality} or not of split {split!r}"
    if len(set(map(repr, positions))) != len(positions):
        yield f"{start}: lists a tracklet twice"


def _pair_faults(partition: Partition) -> Iterator[str]:
    tracklets = partition.tracklets
    seen: set[int] = set()
    for number, pair in enumerate(partition.pairs):
        start = f"pairs[{number}] {list(pair)}:"
        there = [type(p) is int and 0 <= p < len(tracklets) for p in pair]
        if there != [True, True]:
            yield f"{start} expected a visible and an infrared position below {len(tracklets)}"
            continue
        visible, infrared = (tracklets[position] for position in pair)
        if (visible.modality, infrared.modality) != (VISIBLE, INFRARED):
            found = f"{visible.modality} and {infrared.modality}"
            yield f"{start} is {found}, expected visible and infrared"
        if (visible.pid, visible.camid) != (infrared.pid, infrared.camid):
            yield f"{start} {visible.path} and {infrared.path}: expected one identity and camera"
        if visible.frames != infrared.frames:
            yield (
                f"{start} {visible.path} has {visible.frames} frames and {infrared.path} "
                f"{infrared.frames}: expected equally many"
            )
        if not seen.isdisjoint(pair):
            yield f"{start} a tracklet of it is in another pair already"
        seen.update(pair)
