"""Gait data sets of OpenGait: file names, protocols, counts, and OpenGait's JSON lists."""

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from opengait_ext.evaluation.gait_protocols import GAIT_PROTOCOLS
from opengait_ext.prepare.faults import Faults, Kind, SourceError

RGB, SILHOUETTES = "rgb", "silhouettes"


def _camera_of_view(kind: str, view: str) -> str:
    return view


def _camera_of_ccpg(kind: str, view: str) -> str:
    return view.split("_")[0]


def _camera_of_gait3d(kind: str, view: str) -> str:
    found = re.match(r"camid(\d+)", kind)
    return found[1] if found else kind


def _no_camera(kind: str, view: str) -> str:
    return "0"


@dataclass(frozen=True)
class GaitSet:
    """The facts about a gait data set.

    Attributes:
        title: Its name, and that of OpenGait's JSON file.
        streams: Possible file names by kind of image, see ``pack.named_stream``; the first
            existing one is used.
        protocol: For ``partition.json``: rules of the view matrix, camera rule of rankings.
        published: Numbers of training and test identities and of sequences; unknown: absent.
        access: Who distributes it.
        camera: The camera's name, from type and view.
        listed: ``PROBE_SET`` or ``GALLERY_SET``, if that list of OpenGait's JSON file defines
            the probes or the gallery.
    """

    title: str
    streams: Mapping[str, tuple[str, ...]]
    protocol: Mapping[str, Any]
    published: Mapping[str, int]
    access: str
    camera: Callable[[str, str], str] = _camera_of_view
    listed: str = ""


def _by_views(name: str, ignore: str = "same_pid_camid") -> dict[str, Any]:
    return {**GAIT_PROTOCOLS[name], "ignore": ignore}


def _by_list(name: str) -> dict[str, Any]:
    return {"name": name, "ignore": "none"}


_ALIGNED = {RGB: ("{view}-aligned-rgbs", "{view}-rgbs"), SILHOUETTES: ("{view}-aligned-sils",)}

GAIT_SETS: dict[str, GaitSet] = {
    "casia_b": GaitSet(
        "CASIA-B",
        {RGB: _ALIGNED[RGB], SILHOUETTES: ("{view}", *_ALIGNED[SILHOUETTES])},
        _by_views("gait_casia_b"),
        {"train": 74, "test": 50, "sequences": 13640},
        "a form of the Institute of Automation, Chinese Academy of Sciences",
    ),
    "oumvlp": GaitSet(
        "OUMVLP",
        {SILHOUETTES: ("{view}",)},
        _by_views("gait_oumvlp"),
        {"train": 5153, "test": 5154},
        "an agreement with Osaka University (OU-ISIR)",
    ),
    "grew": GaitSet(
        "GREW",
        {SILHOUETTES: ("{view}",)},
        _by_views("gait_grew", "none"),
        {"train": 20000, "test": 6001},
        "an agreement, grew-benchmark.org",
        _no_camera,
    ),
    "ccpg": GaitSet(
        "CCPG",
        _ALIGNED,
        _by_views("gait_ccpg"),
        {"train": 100, "test": 100},
        "an agreement, BNU-IVC@outlook.com",
        _camera_of_ccpg,
    ),
    "sustech1k": GaitSet(
        "SUSTech1K",
        {RGB: ("05-*",), SILHOUETTES: ("06-*",)},
        _by_views("gait_sustech1k"),
        {"train": 250, "test": 800, "sequences": 25239},
        "an agreement, lidargait.github.io",
    ),
    "gait3d": GaitSet(
        "Gait3D",
        {SILHOUETTES: ("{view}", "sils-{view}")},
        _by_list("gait3d"),
        {"train": 3000, "test": 1000},
        "an agreement, gait3d.github.io; RGB frames are not given out",
        _camera_of_gait3d,
        "PROBE_SET",
    ),
    "ccgr_mini": GaitSet(
        "CCGR-MINI",
        {RGB: ("001-*",), SILHOUETTES: ("002-*",)},
        _by_list("ccgr_mini"),
        {"train": 571, "test": 400},
        "on request, github.com/ShinanZou/CCGR",
        listed="GALLERY_SET",
    ),
}


@dataclass(frozen=True)
class Lists:
    """The lists of OpenGait's JSON file.

    Attributes:
        path: The file.
        train: Identities of the training half.
        test: Identities of the test half.
        listed: Tracklets ``identity-type-view`` that are probes, or the gallery; empty for data
            sets whose types define it.
        digest: SHA-256 of the file.
    """

    path: Path
    train: list[str]
    test: list[str]
    listed: list[str] = field(default_factory=list)
    digest: str = ""


def find_lists(given: Path | None, source: Path, gait_set: GaitSet) -> Path:
    """Return the JSON file: the given one, or one beside the data or in an OpenGait checkout.

    Raises:
        SourceError: If there is none.
    """
    if given is not None:
        return given
    name = f"{gait_set.title}.json"
    places = [source / name, source.resolve().parent / name]
    root = os.environ.get("OPENGAIT_ROOT")
    if root:
        places.append(Path(root) / "datasets" / gait_set.title / name)
    for place in places:
        if place.is_file():
            return place
    raise SourceError(
        f"{name}: the lists of identities are neither in {source} nor beside it"
        + ("" if root else ", and OPENGAIT_ROOT names no checkout of OpenGait")
        + f"; say where they are: --lists <checkout>/datasets/{gait_set.title}/{name}"
    )


def read_lists(path: Path, gait_set: GaitSet) -> Lists:
    """Read OpenGait's JSON file.

    Raises:
        SourceError: If it cannot be read, lacks a list, or contradicts itself.
    """
    try:
        data = path.read_bytes()
        content = json.loads(data)
    except (OSError, ValueError, RecursionError) as error:
        raise SourceError(f"{path}: cannot be read as JSON ({error}); see --lists") from error
    faults = Faults()
    keys = ["TRAIN_SET", "TEST_SET", *([gait_set.listed] if gait_set.listed else [])]
    train, test, *rest = (_texts(content, key, path, faults) for key in keys)
    for pid in sorted(set(train) & set(test)):
        faults.add(Kind.IN_TWO_PARTS, f"identity {pid!r}", "TRAIN_SET and in TEST_SET")
    faults.refuse(str(path))
    return Lists(path, train, test, rest[0] if rest else [], sha256(data).hexdigest())


def _texts(content: Any, key: str, path: Path, faults: Faults) -> list[str]:
    value = content.get(key) if isinstance(content, Mapping) else None
    place = f"{path}, {key}"
    if not isinstance(value, list) or not value:
        faults.add(Kind.MALFORMED, place, value, "a list of names")
        return []
    wrong = [each for each in value if not _is_name(each)]
    if wrong:
        faults.add(Kind.MALFORMED, place, wrong[0], "the name of a folder")
    texts = [str(each) for each in value]
    twice = sorted(text for text, count in Counter(texts).items() if count > 1)
    if twice:
        faults.add(Kind.LISTED_TWICE, place, ", ".join(twice[:5]))
    return texts


def _is_name(value: Any) -> bool:
    forbidden = set("/\\:")
    return isinstance(value, str) and value not in ("", ".", "..") and not forbidden & set(value)
