"""The gait data sets that OpenGait prepares: names of their files, protocols, published counts."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from opengait_ext.evaluation.gait_protocols import GAIT_PROTOCOLS

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
    """What is known of a data set.

    Attributes:
        title: Its name, and that of OpenGait's JSON file.
        streams: By kind of picture, the names a file can have, see ``pack.named_stream``; the
            first that is there is taken.
        protocol: For ``partition.json``: rules of the view matrix, camera rule of rankings.
        published: Identities of training and of test, sequences; what is not known is not there.
        access: Who gives it out.
        camera: The camera's name, from type and view.
        listed: ``PROBE_SET`` or ``GALLERY_SET``: a list of OpenGait's JSON file says who is it.
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
