"""Selection, splits, tasks and counts of the tracklets of BUPTCampus."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from opengait_ext.data.layout import DIRECTIONS, VISIBLE, Partition, Task, Tracklet
from opengait_ext.errors import UserError
from opengait_ext.prepare.bupt.folders import Published
from opengait_ext.prepare.bupt.lists import Row
from opengait_ext.prepare.partition import Dropped, validation_identities
from opengait_ext.prepare.partition import count_all as count_splits

CAMERA_RULES = {"none": "bupt_official", "same_pid_camid": "bupt_m3reid"}  # name of the protocol


def select(
    rows: Sequence[Row], frames: Sequence[int], min_frames: int
) -> tuple[list[int], list[Dropped]]:
    """Select the tracklets that are long enough.

    Both tracklets of a pair have the same number of frames, so no identity loses one modality.

    Args:
        rows: All published tracklets.
        frames: Per row, the number of undamaged frames whose partners are undamaged too.
        min_frames: Fewest frames of a used tracklet.

    Returns:
        Positions of the used rows, and the dropped rows with their reasons, both in row order.
    """
    kept, dropped = [], []
    for position, (row, count) in enumerate(zip(rows, frames, strict=True)):
        if count >= min_frames:
            kept.append(position)
            continue
        damaged = len(row.files) - count
        note = f" ({damaged} more are damaged, here or beside it)" if damaged else ""
        reason = f"{count} frames{note}, at least {min_frames} needed"
        dropped.append(Dropped(row.path, row.part, row.pid, row.modality, row.camid, count, reason))
    return kept, dropped


def tested(published: Published, drop: int) -> tuple[dict[str, list[int]], str]:
    """Select the query and gallery tracklets to test.

    The published sampler makes batches of one modality. It drops the visible tracklets at the end
    of each list that do not fill a batch. If the last batch is full, its slice drops all visible
    tracklets; here none is dropped.

    Args:
        published: The published data.
        drop: The size of those batches; 0 tests all tracklets.

    Returns:
        Positions of the rows by ``query`` and ``gallery``, and a text on what was dropped, or "".

    Raises:
        UserError: If no visible tracklet would be left.
    """
    chosen, said = {}, []
    for name, listed in (("query", published.query), ("gallery", published.gallery)):
        visible = [place for place in listed if published.rows[place].modality == VISIBLE]
        count = len(visible) % drop if drop else 0
        if visible and count == len(visible):
            raise UserError(
                f"--official-drop {drop}: of {count} visible {name} tracklets none would be left; "
                "a smaller number, or no --official-drop, tests them"
            )
        left_out = set(visible[len(visible) - count :])
        chosen[name] = [place for place in listed if place not in left_out]
        said.append(f"{len(visible) - count:,} of {len(visible):,} visible {name} tracklets")
    return chosen, f"{' and '.join(said)} tested" if drop else ""


def make_partition(
    published: Published,
    kept: Sequence[int],
    frames: Sequence[int],
    dataset: str,
    min_frames: int,
    camera_rule: str,
    drop: int,
    validation: float,
) -> Partition:
    """Return the partition of the used rows, without ``source``.

    Args:
        published: The published data.
        kept: Positions of the used rows.
        frames: Number of frames of every row.
        dataset: Name, printed with results.
        min_frames: Fewest frames of a used tracklet; recorded in the protocol.
        camera_rule: One of ``CAMERA_RULES``.
        drop: As for `tested`.
        validation: Fraction taken of the training identities seen by at least two cameras.

    Raises:
        UserError: If a required split is empty.
    """
    rows = published.rows
    held_out = validation_identities(_seen_twice([rows[place] for place in kept]), validation)
    tracklets = [
        Tracklet(row.path, row.pid, row.camid, row.modality, frames[place], _split(row, held_out))
        for place, row in ((place, rows[place]) for place in kept)
    ]
    chosen, left_out = tested(published, drop)
    new = {place: position for position, place in enumerate(kept)}
    sides = {side: [new[p] for p in places if p in new] for side, places in chosen.items()}
    tasks = {"test": _tasks(tracklets, sides["query"], sides["gallery"])}
    if held_out:
        tasks = {"val": _validation(tracklets), **tasks}
    if not any(t.split == "train" for t in tracklets):
        raise UserError(
            f"no training tracklet of at least {min_frames} frames is left; lower --min-frames, "
            "or use more data"
        )
    pairs = [(new[one], new[two]) for one, two in published.pairs if {one, two} <= new.keys()]
    protocol: dict[str, Any] = {
        "name": CAMERA_RULES[camera_rule] + (f", {left_out}" if left_out else ""),
        "ignore": camera_rule,
        "min_frames": min_frames,
        **({"official_drop": drop} if drop else {}),
    }
    return Partition(dataset, tracklets, tasks, protocol, {}, pairs)


def _seen_twice(rows: Iterable[Row]) -> set[str]:
    """Return the training identities seen by at least two cameras."""
    cameras: dict[str, set[str]] = {}
    for row in rows:
        if row.part == "train":
            cameras.setdefault(row.pid, set()).add(row.camera)
    return {pid for pid, seen in cameras.items() if len(seen) > 1}


def _split(row: Row, held_out: set[str]) -> str:
    if row.part == "test":
        return "test"
    return "val" if row.pid in held_out else "train"


def _tasks(
    tracklets: Sequence[Tracklet], query: Sequence[int], gallery: Sequence[int]
) -> dict[str, Task]:
    """Return both directions: queries of one modality, gallery of the other, in list order.

    Raises:
        UserError: If the queries or the gallery of a direction are empty.
    """
    tasks = {}
    for direction in DIRECTIONS:
        asked, offered = direction.split("_to_")
        task = Task(
            [place for place in query if tracklets[place].modality == asked],
            [place for place in gallery if tracklets[place].modality == offered],
        )
        for name, places in (("query", task.query), ("gallery", task.gallery)):
            if not places:
                raise UserError(
                    f"no tracklet is left as {name} of {direction.replace('_', ' ')}; lower "
                    "--min-frames, or use more data"
                )
        tasks[direction] = task
    return tasks


def _validation(tracklets: Sequence[Tracklet]) -> dict[str, Task]:
    """Return validation tasks: per identity, queries of one camera, gallery of the others."""
    cameras: dict[str, set[int]] = {}
    for tracklet in tracklets:
        if tracklet.split == "val":
            cameras.setdefault(tracklet.pid, set()).add(tracklet.camid)
    asking = {pid: min(seen, key=_drawn_by(pid)) for pid, seen in cameras.items()}
    mine = [place for place, t in enumerate(tracklets) if t.split == "val"]
    asks = {place: tracklets[place].camid == asking[tracklets[place].pid] for place in mine}
    return _tasks(
        tracklets,
        [place for place in mine if asks[place]],
        [place for place in mine if not asks[place]],
    )


def _drawn_by(pid: str) -> Callable[[int], str]:
    """Return a sort key of the cameras of an identity that depends only on the pid."""
    return lambda camid: hashlib.sha256(f"{pid} {camid}".encode()).hexdigest()


def count_all(partition: Partition, published: Published) -> dict[str, Any]:
    """Count identities, tracklets, frames, tracklets of one frame, and queries without a match."""
    rows = [row for row in published.rows if row.part == "auxiliary"]
    return {
        **count_splits(partition),
        "pairs": len(partition.pairs),
        "auxiliary_identities": len({row.pid for row in rows}),
        "single_frame_tracklets": sum(t.frames == 1 for t in partition.tracklets),
    }
