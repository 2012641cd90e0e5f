"""Printed report of a preparation of own recordings: plan, result, dropped parts, next commands."""

import csv
import io
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from opengait_ext.data.layout import Partition, atomic_write
from opengait_ext.prepare.faults import listed
from opengait_ext.prepare.images import CMYK, NOT_JPEG, TURNED, WIDE
from opengait_ext.prepare.partition import MODALITIES, table
from opengait_ext.prepare.recordings.partition import Dropped
from opengait_ext.prepare.recordings.plan import Piece, Recorded, Recordings
from opengait_ext.prepare.target import DROPPED, PARTITION

TRACKLETS = "tracklets.csv"
_COLUMNS = (
    *("tracklet", "pid", "camera", "camid", "modality", "split", "frames"),
    *("place", "first_frame", "last_frame"),
)
# What every user has: a shipped config with shipped weights, and the run that it makes.
_CONFIG, _RUN = "dinogrl_synth", "output/SynthVVI/DinoGRL/dinogrl"
_FEW = 6  # frames of a tracklet that the models use
_REASONS = {
    "damaged": "damaged images",
    "unreadable": "boxes in frames that cannot be read",
    "outside": "boxes outside the picture, or without area",
    "small": "boxes smaller than --min-side",
}
_CHANGES = {
    WIDE: "images of 16 bits a pixel were spread over 8 bits, one range for each tracklet",
    CMYK: "JPEG in CMYK were encoded anew",
    NOT_JPEG: "images were encoded as JPEG",
    TURNED: "images were turned upright, as their EXIF asks",
}


def tell_found(recordings: Recordings, cameras: Mapping[str, int]) -> None:
    """Print what was found, and the number of each camera."""
    recorded = recordings.recorded
    frames = sum(r.length for r in recorded)
    unit = "boxes" if recorded and recorded[0].video else "images"
    print(f"{recordings.layout}; {len(recorded):,} recordings, {frames:,} {unit}")
    shown = ", ".join(f"{name} = D{number}" for name, number in list(cameras.items())[:20])
    print(f"cameras ({len(cameras)}): {shown}{' ...' if len(cameras) > 20 else ''}")
    for remark in (*nobody_remarks(recorded), *recordings.remarks):
        print(f"  {remark}")


def nobody_remarks(recorded: Sequence[Recorded]) -> Iterator[str]:
    """Yield a line on the words in place of a pid that were taken as "unknown"."""
    words = Counter(r.said for r in recorded if not r.pid and r.said)
    if words:
        shown = ", ".join(f"{word!r} ({count:,})" for word, count in words.most_common(10))
        yield (
            f"pids that mean nobody: {shown}, {sum(words.values()):,} recordings; they can be "
            "embedded and searched, and are neither trained on nor scored"
        )


def tell_plan(pieces: Sequence[Piece]) -> None:
    """Print the table of the planned tracklets."""
    print(f"\n{'modality':<10}{'people':>10}{'unknown':>10}{'cameras':>10}"
          f"{'tracklets':>12}{'frames':>12}{'shortest':>10}{'longest':>10}")  # fmt: skip
    for modality in MODALITIES:
        chosen = [p for p in pieces if p.recorded.modality == modality]
        lengths = [len(p.positions) for p in chosen] or [0]
        print(
            f"{modality:<10}{len({p.pid for p in chosen if p.is_known}):>10,}"
            f"{len({p.pid for p in chosen if not p.is_known}):>10,}"
            f"{len({p.camid for p in chosen}):>10,}{len(chosen):>12,}{sum(lengths):>12,}"
            f"{min(lengths):>10,}{max(lengths):>10,}"
        )
    print()
    for piece in pieces[:5]:
        print(f"  {piece.recorded.place} -> {piece.path} ({len(piece.positions):,} frames)")
    if len(pieces) > 5:
        print(f"  and {len(pieces) - 5:,} more")


def tell_sizes(sizes: Sequence[tuple[int, int]]) -> None:
    """Warn if most first frames are wider than high: they may be whole camera images, not crops."""
    known = [size for size in sizes if size != (0, 0)]
    wide = Counter(size for size in known if size[1] > size[0])
    if known and 2 * sum(wide.values()) > len(known):
        height, width = wide.most_common(1)[0][0]
        print(
            f"most images are wider than high ({width} x {height}, say): models expect the crop "
            "of one standing or walking person, not the whole picture"
        )


def write_tracklets(
    path: Path, pieces: Sequence[Piece], partition: Partition, first_frame: int
) -> None:
    """Write the origin of every prepared tracklet as CSV.

    Args:
        path: The file.
        pieces: The used tracklets, in the order of the partition.
        partition: The partition.
        first_frame: The number of a video's first frame in the user's files.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for piece, tracklet in zip(pieces, partition.tracklets, strict=True):
        recorded = piece.recorded
        ends = [recorded.name_of(piece.positions[n], first_frame) for n in (0, -1)]
        about = (recorded.pid, recorded.camera, piece.camid, recorded.modality, tracklet.split)
        writer.writerow((piece.path, *about, tracklet.frames, recorded.place, *ends))
    atomic_write(path, text.getvalue().encode(errors="surrogateescape"))


def tell_result(
    partition: Partition, dropped: Sequence[Dropped], changed: Mapping[str, int], target: Path
) -> None:
    """Print the table of prepared data, what was left out with reasons, and oddities.

    Args:
        partition: The partition, with its counts in ``source``.
        dropped: Tracklets that are not used.
        changed: Number of changed images, by change.
        target: Folder of the prepared data.
    """
    source = partition.source
    print("\n" + "\n".join(table(source["counts"])))
    unknown = source["counts"]["tracklets_without_pid"]
    if unknown:
        print(
            f"{unknown:,} tracklets are of people without a pid; each recording is another person"
        )
    for what, count in changed.items():
        print(f"{count:,} {_CHANGES.get(what, what)}")
    for reason, count in source["left_out"].items():
        print(f"left out: {count:,} {_REASONS.get(reason, reason)}")
    short = sum(tracklet.frames < _FEW for tracklet in partition.tracklets)
    if short:
        print(f"{short:,} tracklets have fewer than {_FEW} frames; their last one is repeated")
    print("\n".join(unmatched(partition)), end="")
    if dropped:
        lines = [f"{d.place}: {d.reason}" for d in dropped]
        print("\n" + listed(f"{len(dropped):,} tracklets dropped", lines))
        print(f"  all of them: {target / DROPPED}")


def unmatched(partition: Partition) -> Iterator[str]:
    """Yield a line for every task with queries without a match, with what may help."""
    for name, count in partition.source["counts"]["queries_without_match"].items():
        split, direction = name.split()
        total = len(partition.tasks[split][direction].query)
        if not count:
            continue
        text = f"{name}: {count:,} of {total:,} queries have no match in the gallery and are "
        text += "not scored"
        if partition.protocol["ignore"] == "same_pid_camid":
            text += " (tracklets of the same person and camera number do not count as one; if one "
            text += (
                "name stands for two cameras, a visible and an infrared one: --camera-rule none)"
            )
        yield f"{text}\n"


def tell_next(partition: Partition, target: Path) -> None:
    """Print the next commands, with a config and a checkpoint that exist."""
    print(f"\nnext:\n  opengait-ext check {_quoted(target)}")
    data = (
        f"\\\n      --set data_cfg.dataset_root={_quoted(target)} \\\n"
        f"      --set data_cfg.dataset_partition={_quoted(target / PARTITION)} \\\n"
        f"      --set data_cfg.dataset_name={_quoted(partition.dataset)} \\\n"
        "      --set \"evaluator_cfg.note=''\""  # the config's own note is on the demo's data
    )
    trained = {t.pid for t in partition.tracklets if t.split == "train"}  # counted as in the config
    start = f"  python -m opengait.main --cfgs {_CONFIG}"
    if trained:
        data += f" \\\n      --set model_cfg.num_identities={len(trained)}"
        print(f"{start} --phase train {data}")
        if "test" in partition.tasks:
            print(f"{start} --phase test {data}")
        return
    if not (found := _checkpoint_here()):
        print(f"{start}   # a first model: minutes, nothing to download")
    run = found.parents[1].as_posix() if found else _RUN
    checkpoint = found.as_posix() if found else f"{_RUN}/checkpoints/NEWEST.pt"
    if "test" in partition.tasks:
        hint = f" \\\n      --set evaluator_cfg.restore_hint={_quoted(checkpoint)}"
        print(f"{start} --phase test {data}{hint}")
    else:
        print(
            "there is nobody to score: that needs people with a pid in both modalities, and "
            "--split test; the tracklets can be embedded and searched"
        )
    print(f"  opengait-ext embed {run} --data {_quoted(target)} --target gallery")


def _checkpoint_here() -> Path | None:
    """Return the newest checkpoint of the demo's run below the current folder, if any."""
    return max(Path(_RUN).glob("checkpoints/*.pt"), key=lambda path: path.name, default=None)


def _quoted(value: object) -> str:
    text = str(value)
    return f'"{text}"' if " " in text else text
