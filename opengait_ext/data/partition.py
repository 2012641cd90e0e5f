"""A prepared dataset in words: its tracklets, and who queries whom."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Tracklet:
    """The frames of one person in one camera.

    Args:
        path: Below the root, ``0001/rgb/D3-T17``: identity, type, view.
        pid: The identity, as published: text.
        camid: The camera's number; both modalities share the numbers.
        modality: ``visible`` or ``infrared``.
        frames: How many there are.
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
        """The middle part of the path, OpenGait's type: ``rgb``, ``ir``, or a gait data set's."""
        return self.path.split("/")[1]

    @property
    def view(self) -> str:
        """Camera and row, ``D3-T17``: the last part of the path, OpenGait's view."""
        return self.path.rsplit("/", 1)[-1]


@dataclass(frozen=True)
class Task:
    """Who queries whom: positions in ``Partition.tracklets``."""

    query: list[int]
    gallery: list[int]


@dataclass(frozen=True)
class Partition:
    """What ``partition.json`` says about a prepared dataset.

    Args:
        dataset: Its name, printed beside every result.
        tracklets: All of them, of every split.
        tasks: ``tasks[split][direction]``, directions as in ``DIRECTIONS`` or, of gait data,
            ``WITHIN_VISIBLE``; a condition may stand before, ``CL visible_to_visible``.
        protocol: ``{"name": "vcm", "ignore": "same_pid_camid" | "none", "min_frames": 12}``; of
            gait data also what ``evaluation.gait`` reads.
        source: Where the data come from: ``digest``, ``tool``, ``counts``, ``dropped`` ...;
            ``discard_lists`` is None, or tells of ``train`` and ``test`` what their list removed.
        pairs: Positions ``(visible, infrared)`` of tracklets whose frames of one number were taken
            together; empty for data without such, and in files that do not speak of pairs.
    """

    dataset: str
    tracklets: list[Tracklet]
    tasks: dict[str, dict[str, Task]]
    protocol: dict[str, Any] = field(default_factory=dict)
    source: dict[str, Any] = field(default_factory=dict)
    pairs: list[tuple[int, int]] = field(default_factory=list)
