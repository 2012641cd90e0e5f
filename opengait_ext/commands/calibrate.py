"""``opengait-ext calibrate``: the distance threshold that separates persons."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UserError

if TYPE_CHECKING:
    from ..api import Embedder
    from ..data.layout import Partition
    from ..gallery.calibration import Pairs

HELP = "find the distance of a wanted false accept rate, and keep it beside the checkpoint"
_MOST_SAMPLES = 100_000


def add_arguments(add: Callable[..., Any]) -> None:
    """Add the command's arguments to its parser."""
    add("model", metavar="RUN", help="the folder of a run, or a checkpoint (.pt)")
    add(
        "--far",
        type=float,
        default=0.01,
        metavar="RATE",
        help="wanted false accept rate: of pairs of two persons (default: 0.01)",
    )
    add("--data", metavar="DIR", help="prepared data (default: those of the config)")
    add("--split", default="val", help="whose tracklets are paired (default: val)")
    add("--samples", type=int, default=500, help="of the bootstrap (default: 500)")
    add("--device", default="auto", help="default: auto")
    add("--config", metavar="NAME_OR_FILE", help="for a checkpoint that holds none")


def run(arguments: argparse.Namespace) -> int:
    """Calibrate a model and write ``calibration.json`` beside the checkpoint.

    Raises:
        UserError: If the model was trained on the split, the split has no pairs, or the data are
            missing.
    """
    from ..api import load
    from ..data.layout import read_partition
    from ..engine.progress import LiveLine, logging_to
    from ..engine.provenance import now
    from ..gallery.calibration import FILE, calibrated, write_calibration

    if not 1 <= arguments.samples <= _MOST_SAMPLES:
        raise UserError(f"--samples: expected 1 to {_MOST_SAMPLES}, found {arguments.samples}")
    if not 0 < arguments.far < 1:
        raise UserError(f"--far: expected above 0 and below 1, such as 0.01, found {arguments.far}")
    with logging_to(None, LiveLine()):
        model = load(arguments.model, arguments.device, arguments.config)
        data = model.config["data_cfg"]
        root = Path(arguments.data or data["dataset_root"])
        path = root / "partition.json" if arguments.data else Path(data["dataset_partition"])
        if not path.is_file():
            raise UserError(
                f"{path}: the prepared data are not there; give their folder (--data DIR)"
            )
        partition = read_partition(path)
        if not arguments.data and arguments.split in data["train_splits"]:
            raise UserError(
                f"--split {arguments.split}: the model was trained on it (data_cfg.train_splits), "
                "and knows these persons too well; take one that it has not seen (--split test), "
                "or other data (--data DIR)"
            )
        if not arguments.data:
            _check_same_data(model, partition, path)
        pairs = _pairs(model, root, partition, arguments.split, str(path))
    found = calibrated(pairs, arguments.far, arguments.samples)
    about = {name: model.about[name] for name in ("sha256", "metric", "frames", "frame_rule")}
    content = {
        **about,
        **found,
        "dataset": partition.dataset,
        "split": arguments.split,
        "protocol": partition.protocol,
        "made": now(),
    }
    target = Path(model.about["checkpoint"]).parent / FILE
    write_calibration(target, content)
    sys.stdout.write("\n".join([*described(content), f"written to {target}"]) + "\n")
    return 0


def described(content: dict[str, Any]) -> list[str]:
    """Return a calibration as lines of text."""
    low, high = content["threshold_interval"]
    tar_low, tar_high = content["tar_interval"]
    percent = round(100 * content["interval"])
    return [
        f"{content['dataset']}, split {content['split']}: {content['identities']} identities, "
        f"{content['pairs_of_two']} pairs of two persons, {content['pairs_of_one']} of one, "
        f"infrared and visible; camera rule {content['protocol'].get('ignore', 'none')}",
        f"threshold {content['threshold']:.4f} ({percent} % interval over identities "
        f"{low:.4f} to {high:.4f}) at a false accept rate of {content['far']:.4f} "
        f"(wanted {content['wanted_far']:g})",
        f"true accept rate there {content['tar']:.4f} ({tar_low:.4f} to {tar_high:.4f})",
    ]


def _check_same_data(model: "Embedder", partition: "Partition", path: Path) -> None:
    """Refuse data that differ from those of the training, at the path that the config names."""
    before, now = model.trained_on.get("source"), partition.source.get("digest")
    if before and now and before != now:
        raise UserError(
            f"{path}: these data were prepared from another source than those that the model was "
            f"trained on (digest {str(before)[:12]} -> {str(now)[:12]}); give the folder that is "
            "meant (--data DIR)"
        )


def _pairs(
    model: "Embedder", root: Path, partition: "Partition", split: str, place: str
) -> "Pairs":
    """Return the pairs of infrared and visible tracklets of a split's tasks."""
    import numpy as np

    from ..data.layout import INFRARED, VISIBLE
    from ..evaluation.distance import part_distance
    from ..evaluation.protocols import checked
    from ..gallery.calibration import pairs_of

    protocol = checked(partition.protocol)
    tasks = partition.tasks.get(split) or {}
    wanted = sorted({place for task in tasks.values() for place in (*task.query, *task.gallery)})
    tracklets = [partition.tracklets[place] for place in wanted]
    tracklets = [tracklet for tracklet in tracklets if tracklet.pid not in protocol.junk]
    kinds = np.array([tracklet.modality for tracklet in tracklets])
    sides = [np.flatnonzero(kinds == kind) for kind in (INFRARED, VISIBLE)]
    if not all(map(len, sides)):
        known = [name for name, found in partition.tasks.items() if found and name != split]
        advice = " or ".join(f"--split {name}" for name in known)
        raise UserError(
            f"{place}: the split {split!r} has no tasks with infrared and visible tracklets; give "
            f"{advice or 'data whose people have a pid in both modalities'}"
            f"{', or other data' if advice else ''} (--data DIR)"
        )
    embeddings = model.embed_prepared(root, replace(partition, tracklets=tracklets, tasks={},
                                                    pairs=[]))  # fmt: skip
    pids = np.array([tracklet.pid for tracklet in tracklets])
    places = protocol.places(np.array([tracklet.camid for tracklet in tracklets]))
    infrared, visible = sides
    distance = part_distance(embeddings[infrared], embeddings[visible], model.about["metric"])
    match = pids[infrared, None] == pids[visible]
    ignore = protocol.left_out(match, places[infrared, None] == places[visible])
    return pairs_of(distance.numpy(), pids[infrared], pids[visible], ignore)
