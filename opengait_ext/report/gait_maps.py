"""Pictures of a model's silhouettes and gait maps for a report. Needs the checkpoint."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..data.collate import collate
from ..engine.catalog import Catalog, own_catalog
from ..engine.checkpoint import read_checkpoint
from ..engine.devices import Computation, choose_device
from ..engine.distributed import Group
from ..engine.origin import beginnings, located, resolved
from ..engine.progress import LiveLine
from ..engine.run import Run, load_model
from ..engine.sections import check
from .ranking import ReportError
from .sources import Sources
from .thumbnails import encoded

MOST = 500  # tracklets with pictures; those of the worst queries come first
_HEIGHT = 64  # pixels


class GaitPictures:
    """Pictures of the silhouette and the gait map of one frame per tracklet, side by side.

    Args:
        sources: The files of the run.
        device: ``auto``, ``cpu``, or another device name of the engine.
        catalog: Registries of the components; None: those of this package.

    Raises:
        UserError: If the checkpoint is missing or does not fit, or the model makes no silhouettes.
    """

    def __init__(
        self, sources: Sources, device: str = "auto", catalog: Catalog | None = None
    ) -> None:
        config = resolved(sources.record.config, beginnings_of(sources))
        settings = check(config, catalog or own_catalog(), "stored")
        run = Run(settings, choose_device(device), Group(), [], LiveLine())
        self._computation: Computation = run.computation(
            settings.evaluator.precision, "evaluator_cfg.precision"
        )
        strict = settings.evaluator.restore_strict
        path = checkpoint_of(sources)
        content = read_checkpoint(path)
        self._model: nn.Module = load_model(run, self._computation, path, content, strict).eval()
        if not hasattr(self._model, "sasg_maps"):
            raise ReportError(
                f"{settings.model_name} makes no silhouettes and gait maps; leave --maps out"
            )
        self._dataset = settings.testing.dataset(
            replace(settings.data, dataset_root=str(sources.root)),
            sources.partition,
            [str(sources.record.result["split"])],
        )
        rows = {tracklet.path: row for row, tracklet in enumerate(self._dataset.tracklets)}
        self._rows = [rows.get(tracklet.path) for tracklet in sources.partition.tracklets]

    def __call__(self, wanted: Sequence[int], budget: int) -> dict[int, str]:
        """Return pictures by position in the partition, JPEG in base64.

        Args:
            wanted: Positions in the partition, the most important first.
            budget: Maximum bytes of all pictures; at most ``MOST`` are made.
        """
        pictures: dict[int, str] = {}
        for place in wanted[:MOST]:
            row = self._rows[place]
            if row is None:
                continue
            picture = encoded(self._drawn(row), _HEIGHT)
            budget -= len(picture) + 4
            if budget < 0:
                break
            pictures[place] = picture
        return pictures

    def _drawn(self, row: int) -> np.ndarray:
        """Return uint8 ``[h, 2 w, 3]``: the middle one of the frames that the test read."""
        inputs = self._computation.inputs(collate([self._dataset[row, 0]]))
        frames = inputs[0][0].flatten(0, 1)  # [s, 3, h, w]
        frame = frames[len(frames) // 2][None]
        with torch.no_grad(), self._computation.autocast():
            made = self._model.sasg_maps(frame)  # type: ignore[operator]
        gait = made.gait_prior if hasattr(made, "gait_prior") else made.gait
        return side_by_side(made.silhouettes[0].float().cpu(), gait[0].float().cpu())


def side_by_side(silhouette: Tensor, gait: Tensor) -> np.ndarray:
    """Return a silhouette in gray and, beside it, a gait map in color.

    The channels of the gait map are summed in three groups: red, green and blue.

    Shape:
        - Input: ``[1, h, w]`` and ``[c, h, w]``, from 0 to 1.
        - Output: uint8 ``[h, 2 w, 3]``.
    """
    colors = torch.stack([group.sum(0) for group in gait.chunk(3)])  # [3, h, w]
    both = torch.cat([silhouette.expand_as(colors), colors], dim=2)  # [3, h, 2 w]
    return (255 * both.clamp(0, 1)).byte().permute(1, 2, 0).numpy()


def beginnings_of(sources: Sources) -> list[Path]:
    """Return the folders that relative paths of a record may start from."""
    record = sources.record
    return beginnings(record.content.get("started_in"), record.path)


def checkpoint_of(sources: Sources) -> Path:
    """Return the path of the tested checkpoint: as recorded, or in the run's folder.

    Raises:
        ReportError: If it is at neither place.
    """
    named = located(str(sources.record.content.get("checkpoint", "")), beginnings_of(sources))
    path = named if named.is_file() else sources.folder / "checkpoints" / named.name
    if not path.is_file():
        raise ReportError(
            f"{named}: the tested checkpoint is not there, and silhouettes need it; leave --maps "
            "out"
        )
    return path
