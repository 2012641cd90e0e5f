"""Which tracklets of HITSZ-VCM are used, for what, and how many there are."""

from collections.abc import Sequence

from opengait_ext.data.layout import (
    DIRECTIONS,
    INFRARED,
    VISIBLE,
    Partition,
    Task,
    Tracklet,
)
from opengait_ext.errors import UserError
from opengait_ext.prepare.partition import MODALITIES, Dropped, validation_identities
from opengait_ext.prepare.vcm.lists import Row


def select(
    rows: Sequence[Row], frames: Sequence[int], min_frames: int
) -> tuple[list[int], list[Dropped]]:
    """Chooses the tracklets that are used.

    Short tracklets go out first. Then a training identity that is left in one modality only goes
    out, because every training batch shows an identity in both; in the test half it stays, as a
    distractor or as a query without a match.

    Args:
        rows: All published tracklets, discarded images left out.
        frames: How many whole frames each of them has.
        min_frames: That a tracklet needs.

    Returns:
        Positions of the used rows, and the others with their reasons, both in the order of rows.
    """
    reasons: dict[int, str] = {}
    robbed: dict[str, set[str]] = {}  # modalities that lost a tracklet to the discard list alone
    for position, (row, count) in enumerate(zip(rows, frames, strict=True)):
        if count < min_frames:
            reasons[position] = _too_few(row, count, min_frames)
            if count + row.discarded >= min_frames:
                robbed.setdefault(row.pid, set()).add(row.modality)
    seen: dict[str, set[str]] = {}
    for position, row in enumerate(rows):
        if row.half == "Train" and position not in reasons:
            seen.setdefault(row.pid, set()).add(row.modality)
    for position, row in enumerate(rows):
        if row.half == "Train" and position not in reasons and len(seen[row.pid]) < 2:
            note = " by the discard list" if robbed.get(row.pid, set()) - {row.modality} else ""
            reasons[position] = (
                f"training identity {row.pid} is left with {row.modality} only{note}"
            )
    dropped = [
        Dropped(row.path, row.half, row.pid, row.modality, row.camid, count, reasons[position])
        for position, (row, count) in enumerate(zip(rows, frames, strict=True))
        if position in reasons
    ]
    return [position for position in range(len(rows)) if position not in reasons], dropped


def _too_few(row: Row, count: int, min_frames: int) -> str:
    """Says why a tracklet has fewer frames than it needs."""
    damaged = len(row.files) - count
    if row.discarded:
        note = f" left of {len(row.files) + row.discarded}, {row.discarded} are in the discard list"
        note += f", {damaged} more are damaged" if damaged else ""
    else:
        note = f" ({damaged} more are damaged)" if damaged else ""
    return f"{count} frames{note}, at least {min_frames} needed"


def make_partition(
    rows: Sequence[Row],
    frames: Sequence[int],
    dataset: str,
    min_frames: int,
    validation: float,
) -> Partition:
    """Gives the partition of the used rows, without ``source``.

    Args:
        rows: Used tracklets.
        frames: How many frames each of them has.
        dataset: Name, printed beside results.
        min_frames: That every tracklet has; noted in the protocol.
        validation: Fraction of the training identities.

    Raises:
        UserError: If a split that is needed is empty.
    """
    training = {row.pid for row in rows if row.half == "Train"}
    held_out = validation_identities(training, validation)
    tracklets = [
        Tracklet(row.path, row.pid, row.camid, row.modality, count, _split(row, held_out))
        for row, count in zip(rows, frames, strict=True)
    ]
    for split, modality in (("train", VISIBLE), ("test", INFRARED), ("test", VISIBLE)):
        if not any(t.split == split and t.modality == modality for t in tracklets):
            raise UserError(
                f"no {modality} tracklet of at least {min_frames} frames is left for {split}; "
                "lower --min-frames, or use more data"
            )
    tasks = {"val": _tasks(tracklets, "val")} if held_out else {}
    tasks["test"] = _tasks(tracklets, "test")
    protocol = {"name": "vcm", "ignore": "same_pid_camid", "min_frames": min_frames}
    return Partition(dataset, tracklets, tasks, protocol)


def _split(row: Row, held_out: set[str]) -> str:
    if row.half == "Test":
        return "test"
    return "val" if row.pid in held_out else "train"


def _tasks(tracklets: list[Tracklet], split: str) -> dict[str, Task]:
    """All infrared tracklets query all visible ones, and the reverse."""
    positions = {
        modality: [
            position
            for position, t in enumerate(tracklets)
            if (t.split, t.modality) == (split, modality)
        ]
        for modality in MODALITIES
    }
    pairs = {direction: direction.split("_to_") for direction in DIRECTIONS}
    return {
        direction: Task(positions[query], positions[gallery])
        for direction, (query, gallery) in pairs.items()
    }
