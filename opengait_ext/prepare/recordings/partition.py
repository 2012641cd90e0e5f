"""The partition of own recordings: splits, tasks and counts."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from opengait_ext.data.layout import DIRECTIONS, SPLITS, Partition, Task, Tracklet
from opengait_ext.prepare.partition import MODALITIES, queries_without_match, validation_identities
from opengait_ext.prepare.recordings.names import OwnDataError
from opengait_ext.prepare.recordings.plan import Piece


@dataclass(frozen=True)
class Rules:
    """The user's choices for the partition.

    Args:
        split: ``test``, ``search`` (no scores) or ``train``.
        train: Share of the identities seen in both modalities that are trained on; 0 for none.
        validation: Share of these that is held out to choose models.
        camera_rule: ``same_pid_camid`` or ``none``.
        distractors: Whether unknown people are in the gallery.
        min_frames: Number of frames that a tracklet needs.
    """

    split: str
    train: float
    validation: float
    camera_rule: str
    distractors: bool
    min_frames: int


@dataclass(frozen=True)
class Dropped:
    """A tracklet that is not used, and why."""

    tracklet: str
    place: str
    pid: str
    modality: str
    camera: str
    frames: int
    reason: str


def select(
    pieces: Sequence[Piece], frames: Sequence[int], left_out: Sequence[dict[str, int]], rules: Rules
) -> tuple[list[int], list[Dropped]]:
    """Select the tracklets that are used.

    Args:
        pieces: All planned tracklets.
        frames: Number of frames of each.
        left_out: Number of frames that were left out of each, by reason.
        rules: The user's choices.

    Returns:
        Positions of the used tracklets, and the dropped ones with their reasons.
    """
    reasons = {
        n: _too_few(count, left_out[n], rules.min_frames)
        for n, count in enumerate(frames)
        if count < rules.min_frames
    }
    if rules.split == "train":
        rest = [n for n in range(len(pieces)) if n not in reasons]
        both = _seen_in_both([pieces[n] for n in rest])
        for n in rest:
            if not pieces[n].is_known:
                reasons[n] = "nobody known, training needs a pid"
            elif pieces[n].pid not in both:
                only = pieces[n].recorded.modality
                reasons[n] = f"{pieces[n].pid} is seen in {only} only, training needs both"
    dropped = []
    for n in sorted(reasons):
        piece = pieces[n]
        about = (piece.pid, piece.recorded.modality, piece.recorded.camera)
        dropped.append(Dropped(piece.path, piece.recorded.place, *about, frames[n], reasons[n]))
    return [n for n in range(len(pieces)) if n not in reasons], dropped


def _too_few(count: int, left_out: dict[str, int], least: int) -> str:
    noun = "frame" if count == 1 else "frames"
    more = ", ".join(f"{number} {reason}" for reason, number in left_out.items())
    return f"{count} {noun}{f' ({more})' if more else ''}, at least {least} needed"


def _seen_in_both(pieces: Sequence[Piece]) -> set[str]:
    """Return the known pids with a tracklet in each modality."""
    first, second = (
        {p.pid for p in pieces if p.is_known and p.recorded.modality == modality}
        for modality in MODALITIES
    )
    return first & second


def make_partition(
    pieces: Sequence[Piece], frames: Sequence[int], dataset: str, rules: Rules
) -> Partition:
    """Return the partition of the used tracklets, with ``source`` still empty.

    Everybody is in ``test`` unless the rules ask for training. A share to train on is drawn from
    the identities seen in both modalities, by the sha256 of their pid; all others are in
    ``test``. Unknown people are embedded in ``test``. They are no queries, and are in the gallery
    only as distractors, because one of them may be a known person.

    Args:
        pieces: The used tracklets.
        frames: Number of frames of each.
        dataset: Name of the data, printed alongside results.
        rules: The user's choices.

    Raises:
        OwnDataError: If no tracklet is left, or nobody to train on.
    """
    if not pieces and rules.split != "train":
        raise OwnDataError(
            f"no tracklet of at least {rules.min_frames} frames is left; lower --min-frames"
        )
    splits = _splits(pieces, rules)
    tracklets = [
        Tracklet(p.path, p.pid, p.camid, p.recorded.modality, count, splits.get(p.pid, "test"))
        for p, count in zip(pieces, frames, strict=True)
    ]
    known = [piece.is_known for piece in pieces]
    wanted = [] if rules.split == "search" else ["val", "test"]
    tasks = {
        split: made
        for split in wanted
        if (made := _tasks(tracklets, known, split, rules.distractors))
    }
    protocol = {"name": "own", "ignore": rules.camera_rule, "min_frames": rules.min_frames}
    return Partition(dataset, tracklets, tasks, protocol)


def _splits(pieces: Sequence[Piece], rules: Rules) -> dict[str, str]:
    """Return the split by pid of everybody who is not in ``test``."""
    trains = rules.split == "train" or rules.train > 0.0
    if not trains:
        return {}
    both = _seen_in_both(pieces)
    training = validation_identities(both, rules.train) if rules.train else both
    if not training:
        least = 2 if rules.train else 1
        raise OwnDataError(
            f"training needs people with a pid who are seen in both modalities, at least {least}; "
            f"here there are {len(both)}. Without --train and with --split test or search the "
            "data are prepared for testing and searching"
        )
    held_out = validation_identities(training, rules.validation)
    return {pid: "val" if pid in held_out else "train" for pid in training}


def _tasks(
    tracklets: Sequence[Tracklet], known: Sequence[bool], split: str, distractors: bool
) -> dict[str, Task]:
    """Return both directions among known people; a direction with an empty side is omitted."""
    queries: dict[str, list[int]] = {modality: [] for modality in MODALITIES}
    galleries: dict[str, list[int]] = {modality: [] for modality in MODALITIES}
    for position, tracklet in enumerate(tracklets):
        if tracklet.split == split:
            if known[position]:
                queries[tracklet.modality].append(position)
            if known[position] or distractors:
                galleries[tracklet.modality].append(position)
    pairs = {direction: direction.split("_to_") for direction in DIRECTIONS}
    return {
        direction: Task(queries[query], galleries[gallery])
        for direction, (query, gallery) in pairs.items()
        if queries[query] and galleries[gallery]
    }


def count_all(partition: Partition, known: Sequence[bool]) -> dict[str, Any]:
    """Count identities, tracklets, frames, unknown people, and queries without a match.

    Args:
        partition: The partition.
        known: Whether the pid of each tracklet is known.
    """
    counts: dict[str, Any] = {}
    pairs = list(zip(partition.tracklets, known, strict=True))
    for split in SPLITS:
        for modality in MODALITIES:
            chosen = [(t, k) for t, k in pairs if (t.split, t.modality) == (split, modality)]
            counts.setdefault(split, {})[modality] = {
                "identities": len({t.pid for t, is_known in chosen if is_known}),
                "tracklets": len(chosen),
                "frames": sum(t.frames for t, _ in chosen),
            }
    counts["tracklets_without_pid"] = len(pairs) - sum(known)
    counts["queries_without_match"] = queries_without_match(partition)
    return counts
