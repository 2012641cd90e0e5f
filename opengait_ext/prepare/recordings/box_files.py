"""Readers of box files: CSV with a header, MOT text, and the file on cameras and modalities."""

import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from opengait_ext.data.words import WORDS, is_missing, modality_of
from opengait_ext.prepare.recordings.box_forms import Classes, Reading, are_classes, in_form
from opengait_ext.prepare.recordings.boxes import VIDEOS, About, Boxes, collected, find_videos
from opengait_ext.prepare.recordings.names import (
    Faults,
    OwnDataError,
    camera_of,
    natural_key,
    normal,
    pid_of,
)
from opengait_ext.prepare.recordings.plan import Recordings
from opengait_ext.prepare.recordings.tables import Table, number_of, read_lines, whole_of

COLUMNS = ("video", "frame", "x", "y", "w", "h", "track")
MOT = "frame,id,x,y,w,h,conf"


def read_about(path: Path | None, camera: str, modality: str, faults: Faults) -> dict[str, About]:
    """Return camera and modality by video, from a CSV ``video,camera,modality``.

    The entry ``""`` holds the default, for videos that the file does not name.

    Args:
        path: The CSV file, or None.
        camera: Camera of every video that the file does not name; may be empty.
        modality: Modality of these: ``visible``, ``infrared`` or empty.
        faults: Collects the faults of single lines.
    """
    about = {"": About("", camera, modality)}
    if path is None:
        return about
    for line, (video, name, word) in Table(path, ("video", "camera", "modality"), (), faults):
        found = modality_of(word)
        if found is None or not camera_of(name):
            faults.add(f"{path}:{line}: {name!r}, {word!r}: expected a camera and one of {WORDS}")
        else:
            about[normal(video.replace("\\", "/"))] = About("", normal(name), found)
    return about


def is_mot(path: Path) -> bool:
    """Return whether boxes are in MOT format: a folder, or a text that starts with a number."""
    if not path.is_file():
        return path.is_dir() or path.suffix.lower() != ".csv"
    first = re.split(r"[,;\s]+", next(read_lines(path), "").strip())
    return not math.isnan(number_of(first[0]))


def _check_about(
    about: dict[str, About], videos: dict[str, str], folder: Path, faults: Faults
) -> None:
    """Note names of missing videos as faults: a misspelled one would silently get the default."""
    for name in sorted(about.keys() - videos.keys() - {""}):
        faults.add(f"--cameras: video {name!r} is not in {folder}")


def read_box_table(
    folder: Path, path: Path, reading: Reading, about: dict[str, About], faults: Faults
) -> Recordings:
    """Read boxes from a CSV file with a header.

    Args:
        folder: Folder of the videos, or the only video.
        path: The CSV file.
        reading: How the boxes are to be read; frames are counted from 0 by default.
        about: Camera and modality by video (``""``: default), for a file without these columns.
        faults: Collects the faults of single lines.

    Raises:
        OwnDataError: If the file or the folder cannot be read, or a column is missing.
    """
    videos = find_videos(folder)
    _check_about(about, videos, folder, faults)
    first_frame = reading.first_frame or 0
    table = Table(path, COLUMNS, ("pid", "camera", "modality", "class"), faults)
    boxes, classes = Boxes(first_frame, faults), Classes(reading.classes)
    unknown: Counter[str] = Counter()
    for line, values in table:
        video = normal(values[0].replace("\\", "/"))
        if video not in videos:
            unknown[values[0]] += 1
            if unknown[values[0]] == 1:
                faults.add(f"{path}:{line}: video {values[0]!r} is not in {folder}")
            continue
        if not classes.takes(values[10]):
            continue
        if is_missing(values[6]):
            found = f"track {values[6]!r} is a missing value" if values[6] else "track is empty"
            faults.add(f"{path}:{line}: {found}; number the people of each video")
            continue
        place = f"{path}:{line}"
        known = _about(place, values[7:10], about.get(video, about[""]), faults)
        if known is not None:
            boxes.add(str(path), line, (videos[video], values[6]), known, values[1:6])
        if faults.are_many:
            break
    remarks = classes.judge(str(path), "its column class", faults)
    recorded = in_form(boxes.recorded(str(path)), str(path), reading.form, faults)
    layout = f"videos, boxes of {path.name}"
    return collected(layout, recorded, videos, first_frame, faults, remarks)


def _about(place: str, values: list[str], default: About, faults: Faults) -> About | None:
    """Return the facts of a track from its line, completed by the defaults of its video."""
    pid, camera, word = values
    modality = modality_of(word) if word else default.modality
    camera = camera_of(camera) or default.camera
    if not modality:
        found = f"modality {word!r}" if word else "no modality (give --modality or --cameras)"
        faults.add(f"{place}: {found}, expected one of {WORDS}")
        return None
    if not camera:
        faults.add(f"{place}: camera is empty (give --camera or --cameras)")
        return None
    return About(pid_of(pid), normal(camera), modality, pid)


def read_mot(
    folder: Path, path: Path, reading: Reading, about: dict[str, About], faults: Faults
) -> Recordings:
    """Read boxes in MOT format: no header, ``frame,id,x,y,w,h,conf,class``, frames from 1.

    A 0 in the seventh column means "ignore" in that format; such boxes are left out.

    Args:
        folder: Folder of the videos, or the only video.
        path: A text file for the only video, or a folder with one ``<video>.txt`` per video.
        reading: How the boxes are to be read; frames are counted from 1 by default.
        about: Camera and modality by video; ``""``: default.
        faults: Collects the faults of single lines.

    Raises:
        OwnDataError: If a text has no video, or a video has no text.
    """
    videos = find_videos(folder)
    _check_about(about, videos, folder, faults)
    first_frame = 1 if reading.first_frame is None else reading.first_frame
    recorded, ignored, classes = [], 0, Classes(reading.classes)
    for video, text in _pairs(folder, videos, path):
        known = about.get(normal(video), about[""])
        if not (known.camera and known.modality):
            raise OwnDataError(
                f"{video}: its camera and modality are not known; give --camera and --modality, "
                "or --cameras FILE with the columns video,camera,modality"
            )
        boxes = Boxes(first_frame, faults)
        ignored += _read_mot_text(text, video, known, boxes, classes, faults)
        recorded += boxes.recorded(str(text))
    remarks = []
    if ignored:
        remarks.append(f"{ignored:,} boxes are marked as to be ignored (conf 0): left out")
    if reading.classes or are_classes(list(classes.counts)):
        remarks += classes.judge(str(path), "the eighth column", faults)
    recorded = in_form(recorded, str(path), reading.form, faults)
    layout = "videos, boxes in the form of MOT"
    return collected(layout, recorded, videos, first_frame, faults, remarks)


def _read_mot_text(
    text: Path, video: str, known: About, boxes: Boxes, classes: Classes, faults: Faults
) -> int:
    """Read the boxes of one video; return the number of ignored ones."""
    total = ignored = detections = first = 0
    for line, fields in _mot_rows(text, faults):
        total += 1
        number = number_of(fields[1])
        if len(fields) > 6 and number_of(fields[6]) == 0.0:
            ignored += 1
        elif math.isnan(number) or number < 0:
            detections += 1
            first = first or line
        elif classes.takes(fields[7] if len(fields) > 7 else ""):
            whole = whole_of(fields[1])
            key = (video, fields[1] if whole is None else str(whole))
            boxes.add(str(text), line, key, known, [fields[0], *fields[2:6]])
    if detections:
        faults.add(
            f"{text}:{first}: {detections:,} of {total:,} boxes have no id of 0 or more (-1, say): "
            "they are detections without tracks; let a tracker number the people first"
        )
    if total and ignored == total:
        faults.add(
            f"{text}: all {total:,} boxes are marked as to be ignored (0 in the seventh column, "
            "conf); write the confidence or 1 there if they are people"
        )
    return ignored


def _pairs(folder: Path, videos: dict[str, str], path: Path) -> Iterator[tuple[str, Path]]:
    """Yield every video with its text."""
    movies = [name for name in videos.values() if Path(name).suffix.lower() in VIDEOS]
    if path.is_file():
        named = [name for name in movies if Path(name).stem == path.stem]
        chosen = named or movies
        if len(chosen) != 1:
            raise OwnDataError(
                f"--boxes {path}: is for one video, and {folder} holds {len(movies)}; name the "
                "text as the video, or give a folder with a text for each"
            )
        yield chosen[0], path
        return
    if not path.is_dir():
        raise OwnDataError(f"--boxes {path}: no such file or folder")
    texts = {t.relative_to(path).with_suffix("").as_posix(): t for t in path.rglob("*.txt")}
    stems: dict[str, list[str]] = {}
    for name in movies:
        stems.setdefault(Path(name).with_suffix("").as_posix(), []).append(name)
    found = ", ".join(movies[:5]) or "none"
    wrong = sorted(stem for stem in texts if len(stems.get(stem, [])) != 1)
    if wrong:
        fitting = ", ".join(stems.get(wrong[0], [])) or "no video"
        raise OwnDataError(
            f"{texts[wrong[0]]}: is called as {fitting}, expected one (videos in {folder}: {found})"
        )
    if not texts:
        raise OwnDataError(f"--boxes {path}: no .txt in it (videos in {folder}: {found})")
    for stem in sorted(texts, key=natural_key):
        yield stems[stem][0], texts[stem]


def _mot_rows(path: Path, faults: Faults) -> Iterator[tuple[int, list[str]]]:
    for line, text in enumerate(read_lines(path), 1):
        fields = re.split(r"[,\s]+", text.strip())
        if fields == [""]:
            continue
        if len(fields) < 6 or math.isnan(number_of(fields[0])):
            faults.add(f"{path}:{line}: {text.strip()[:100]!r}, expected {MOT} without a header")
            if faults.are_many:
                return
            continue
        yield line, fields
