"""What a reader finds in published data: tracklets, and what is odd about them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from opengait_ext.prepare.sources import Image


@dataclass(frozen=True)
class Row:
    """One published tracklet; a picture is a tracklet of one frame.

    Args:
        path: Where its prepared form goes, ``<pid>/<rgb|ir>/D<camera>-T<number>``.
        pid: The identity, as published.
        camid: The camera's number.
        modality: ``visible`` or ``infrared``.
        half: ``train``, ``test``, or ``val`` where the publishers name validation identities.
        images: Its frames in order: paths, or members of archives.
        role: What the data set's own `tasks` want to know, ``query`` for instance.
        discarded: How many more frames it has that a discard list takes out.
    """

    path: str
    pid: str
    camid: int
    modality: str
    half: str
    images: tuple[Image, ...]
    role: str = ""
    discarded: int = 0


@dataclass(frozen=True)
class Published:
    """What a reader found.

    Args:
        layout: Where it was found, in words.
        rows: All tracklets, those of training first.
        digest: sha256 of what the lists say; "" leaves it to the pipeline.
        remarks: What is odd and was accepted.
    """

    layout: str
    rows: Sequence[Row]
    digest: str = ""
    remarks: list[str] = field(default_factory=list)


def numbered(rows: Sequence[Row]) -> list[Row]:
    """Return pictures with numbers in their paths, in the order of their names as texts.

    Published code sorts names so, padded or not, and draws from that order.

    Args:
        rows: Pictures whose paths end with the camera, ``0001/rgb/D3``: each gets ``-T0001``,
            ``-T0002`` and so on among those of its path.
    """
    ranked = sorted(
        range(len(rows)), key=lambda place: (rows[place].path, file_name(rows[place].images[0]))
    )
    numbers: dict[str, int] = {}
    result = list(rows)
    for place in ranked:
        path = rows[place].path
        numbers[path] = numbers.get(path, 0) + 1
        result[place] = replace(rows[place], path=f"{path}-T{numbers[path]:04d}")
    return result


def file_name(image: Image) -> str:
    """Return the name of an image without its folder."""
    place = image if isinstance(image, str) else image.name
    if "\\" in place:
        place = place.replace("\\", "/")
    return place[place.rfind("/") + 1 :]
