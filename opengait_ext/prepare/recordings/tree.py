"""Recordings from folders of images: trees of known forms, and lists of folders."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from opengait_ext.data.words import WORDS, modality_of
from opengait_ext.prepare.image_files import tell_others, twins_of
from opengait_ext.prepare.recordings.folders import (
    ImageFolder,
    diagnose,
    drawn,
    find_images,
)
from opengait_ext.prepare.recordings.names import (
    Faults,
    OwnDataError,
    camera_of,
    check_people,
    normal,
    pid_of,
)
from opengait_ext.prepare.recordings.plan import Recorded, Recordings, digest_of
from opengait_ext.prepare.recordings.tables import Table

LEVELS = ("pid", "modality", "camera", "tracklet", "_")
KNOWN_FORMS = (
    ("pid", "modality", "camera", "tracklet"),
    ("pid", "modality", "camera"),
    ("pid", "camera", "tracklet"),
    ("pid", "camera"),
    ("pid", "modality", "tracklet"),
    ("pid", "modality"),
    ("pid", "tracklet"),
    ("pid",),
)


def parse_tree(text: str) -> tuple[str, ...]:
    """Return the levels of a form given as text: ``pid/camera/_/tracklet``.

    Raises:
        ValueError: If a level is unknown or repeated.
    """
    form = tuple(re.split(r"[/\\]", text.strip("/\\")))
    twice = [level for level, count in Counter(form).items() if count > 1 and level != "_"]
    if twice or not set(form) <= set(LEVELS):
        raise ValueError(f"{text!r}, expected levels of {', '.join(LEVELS)} with / between them")
    return form


def read_tree(
    source: Path, form: tuple[str, ...] | None, modality: str, camera: str, faults: Faults
) -> Recordings:
    """Read a tree of folders whose levels name identity, modality, camera and tracklet.

    Args:
        source: The folder.
        form: The meaning of its levels; None to recognize one of the usual forms.
        modality: Modality of all images; empty if a level names it.
        camera: Camera of all images; empty if a level names it.
        faults: Collects the faults of single folders.

    Raises:
        OwnDataError: If the folders do not have the form; the message says what was found.
    """
    folders, others = find_images(source)
    given = {"modality"} if modality else set()
    given |= {"camera"} if camera else set()
    forms = [form] if form else _forms_for(given)
    for level in ("modality", "camera"):
        if form and (level in form) == (level in given):
            text = "is both in --tree and in" if level in given else "is neither in --tree nor in"
            raise OwnDataError(f"the {level} {text} --{level}; say it in one place")
    fitting = [f for f in forms if folders and all(_fits(folder.levels, f) for folder in folders)]
    if not fitting:
        raise diagnose(source, folders, others, forms, given=bool(form))
    chosen = fitting[0]
    recorded = []
    for folder in folders:
        names = dict(zip(chosen, folder.levels, strict=True))
        name = camera_of(names.get("camera", camera))
        if not name:
            faults.add(f"{folder.place}: camera {names['camera']!r} is a missing value; name it")
        kind = modality_of(names.get("modality", modality)) or ""
        fields = (names.get("pid", ""), name, kind)
        recorded.append(_recorded(source, folder, fields, faults))
    return _recordings(f"folders {drawn(chosen)}", recorded, others, faults)


def _forms_for(given: set[str]) -> list[tuple[str, ...]]:
    """Return the usual forms that have a level for exactly those facts that are not given."""
    return [form for form in KNOWN_FORMS if {"modality", "camera"}.difference(form) == given]


def _fits(levels: Sequence[str], form: Sequence[str]) -> bool:
    if len(levels) != len(form):
        return False
    return all(
        modality_of(name) is not None
        for name, level in zip(levels, form, strict=True)
        if level == "modality"
    )


def read_list(source: Path | None, path: Path, faults: Faults) -> Recordings:
    """Read a list of folders, ``folder,pid,camera,modality``; each folder is one tracklet.

    Args:
        source: The folder that relative names start from; None: the folder of the list.
        path: The CSV file.
        faults: Collects the faults of single lines.

    Raises:
        OwnDataError: If the list or the source cannot be read, or a column is missing.
    """
    home = source if source is not None else path.resolve().parent
    table = Table(path, ("folder", "camera", "modality"), ("pid",), faults)
    found, others = find_images(home)
    folders = {normal(folder.place): folder for folder in found}
    recorded, lines = [], dict[str, int]()
    for line, (name, camera, word, pid) in table:
        key = _key_of(home, name)
        place = f"{path}:{line}"
        elsewhere = _folder_elsewhere(home, name) if key not in folders else None
        if elsewhere:
            folders[key] = elsewhere
        modality = modality_of(word)
        if key in lines:
            faults.add(f"{place}: folder {name!r} stands in line {lines[key]} already")
        elif key not in folders:
            there = "holds no images" if os.path.isdir(_path_of(home, name)) else "is not there"
            faults.add(f"{place}: folder {name[:200]!r} {there} (below {home})")
        elif modality is None:
            faults.add(f"{place}: modality {word!r}, expected one of {WORDS}")
        elif not camera_of(camera):
            empty = f"camera {camera!r} is a missing value" if camera else "camera is empty"
            faults.add(f"{place}: {empty}; any name or number will do")
        else:
            fields = (pid, normal(camera), modality)
            recorded.append(_recorded(home, folders[key], fields, faults))
        lines.setdefault(key, line)
    if not recorded and not faults.texts:
        raise OwnDataError(f"{path}: lists no folder")
    result = _recordings(f"folders of {path.name}", recorded, others, faults)
    free = len(folders.keys() - lines.keys())
    if free:
        result.remarks.append(f"{free:,} folders with images are not in {path.name}")
    return result


def _path_of(home: Path, name: str) -> Path:
    """Return the path of a listed folder; an absolute one is used as it is, if it exists."""
    name = name.replace("\\", "/")
    whole = Path(name)
    path = whole if whole.is_absolute() and whole.is_dir() else home / name.strip("/")
    return Path(os.path.normpath(path))


def _key_of(home: Path, name: str) -> str:
    """Return a folder's name below the home of the list, or its full path if it is elsewhere."""
    path = _path_of(home, name)
    roots = (Path(os.path.normpath(home)), home.absolute(), home.resolve())
    below = (path.relative_to(root) for root in roots if path.is_relative_to(root))
    key = normal(next(below, path).as_posix())
    return "" if key == "." else key


def _folder_elsewhere(home: Path, name: str) -> ImageFolder | None:
    """Return a folder with images that is not below the home of the list; None if there is none."""
    path = _path_of(home, name)
    if not path.is_dir():
        return None
    inside = [folder for folder in find_images(path)[0] if not folder.levels]
    return ImageFolder((path.absolute().as_posix(),), inside[0].files) if inside else None


def _recorded(
    source: Path, folder: ImageFolder, fields: tuple[str, str, str], faults: Faults
) -> Recorded:
    """Return a folder as a recording; note two images of one frame (an image and its mask)."""
    twins = twins_of(folder.files)
    if twins:
        faults.add(f"{source.joinpath(*folder.levels)}: {twins.told()}")
    said, camera, modality = fields
    home = source.joinpath(*folder.levels)
    files = tuple(str(home / name) for name in folder.files)
    place = folder.place or source.name
    return Recorded(place, pid_of(said), camera, modality, files, said=said)


def _recordings(
    layout: str, recorded: list[Recorded], others: Counter[str], faults: Faults
) -> Recordings:
    check_people((r.pid for r in recorded), faults)
    remarks = []
    if others:
        remarks.append(f"other files are left alone: {tell_others(others)}")
    return Recordings(layout, recorded, digest_of(recorded), remarks)
