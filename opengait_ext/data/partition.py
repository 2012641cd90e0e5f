"""The content of ``partition.json``: tracklets, queries and galleries."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Tracklet:
    """The frames of one person in one camera.

    Args:
        path: Relative to the root, ``0001/rgb/D3-T17``: identity, type, view.
        pid: The identity, as published, as text.
        camid: The camera's number; both modalities share one numbering.
        modality: ``visible`` or ``infrared``.
        frames: Number of frames.
        split: ``train``, ``val`` (validation: identities taken out of the training half), ``test``.
    """

    path: str
    pid: str
    camid: int
    modality: str
    frames: int
    split: str

    @property
    def type(self) -> str:
        """Return the middle part of the path, OpenGait's type: ``rgb``, ``ir``, or a gait type."""
        return self.path.split("/")[1]

    @property
    def view(self) -> str:
        """Return the last part of the path, OpenGait's view: camera and row, ``D3-T17``."""
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Task:
    """Queries and gallery of one direction, as positions in ``Partition.tracklets``."""

    query: list[int]
    gallery: list[int]


@dataclass(frozen=True)
class Partition:
    """A prepared data set, as described in ``partition.json``.

    Args:
        dataset: Name of the data set, printed with every result.
        tracklets: The tracklets of all splits.
        tasks: ``tasks[split][direction]``, directions as in ``DIRECTIONS`` or, for gait data,
            ``WITHIN_VISIBLE``; a condition may precede it, ``CL visible_to_visible``.
        protocol: ``{"name": "vcm", "ignore": "same_pid_camid" | "none", "min_frames": 12}``; for
            gait data also the keys that ``evaluation.gait`` reads.
        source: Origin of the data: ``digest``, ``tool``, ``counts``, ``dropped`` ...;
            ``discard_lists`` is None, or says what the lists removed from ``train`` and ``test``.
        pairs: Positions ``(visible, infrared)`` of tracklets whose frames of equal number were
            filmed together; empty for data without pairs and for files without this key.
    """

    dataset: str
    tracklets: list[Tracklet]
    tasks: dict[str, dict[str, Task]]
    protocol: dict[str, Any] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    pairs: list[tuple[int, int]] = field(default_factory=list)
