"""The result of reading published data: tracklets and remarks."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from opengait_ext.prepare.sources import Image


@dataclass(frozen=True)
class Row:
    """One published tracklet; a still image is a tracklet of one frame.

    Args:
        path: Folder of its prepared form, ``<pid>/<rgb|ir>/D<camera>-T<number>``.
        pid: The identity, as published.
        camid: The camera's number.
        modality: ``visible`` or ``infrared``.
        half: ``train``, ``test``, or ``val`` where the publishers name validation identities.
        images: Its frames in order: paths, or members of archives.
        role: A mark for the data set's own `tasks`, for instance ``query``.
        discarded: Number of further frames that a discard list removes.
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
    """The tracklets that a reader found.

    Args:
        layout: Where they were found, in words.
        rows: All tracklets, training tracklets first.
        digest: sha256 of the content of the lists; "" lets the pipeline compute one.
        remarks: Accepted oddities, a line each.
    """

    layout: str
    rows: Sequence[Row]
    digest: str = ""
    remarks: list[str] = field(default_factory=list)


def numbered(rows: Sequence[Row]) -> list[Row]:
    """Return images with tracklet numbers in their paths, in the text order of their names.

    Published code sorts names as texts, padded or not, and draws galleries from that order.

    Args:
        rows: Images whose paths end with the camera, ``0001/rgb/D3``. The images of one path get
            ``-T0001``, ``-T0002`` and so on.
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
