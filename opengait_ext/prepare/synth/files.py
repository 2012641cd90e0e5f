"""Files of SynthVVI: the tracklets to draw, and their layout, which is that of HITSZ-VCM."""

import io
import json
import os
import zipfile
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from opengait_ext.prepare.synth.camera import CAMERAS
from opengait_ext.prepare.synth.outfit import INFRARED, VISIBLE
from opengait_ext.prepare.synth.render import Rendered, draw_identity, render_tracklet

FORMAT = "synth_vvi/1"
SPLITS = ("Train", "Test")
FRAME_STEP = 5  # every fifth video frame is kept, as in HITSZ-VCM
FIRST_TEST_PID = 503  # as in HITSZ-VCM; later if there are more training identities
FOLDERS = {VISIBLE: "rgb", INFRARED: "ir"}
CODES = {INFRARED: 1, VISIBLE: 2}
LIMITS = {
    "seed": (0, 2**32 - 1),
    "train_identities": (1, 5000),
    "test_identities": (1, 4000),
    "tracklets": (1, 9),
    "frames": (1, 500),
    "height": (48, 512),
}


class SynthError(ValueError):
    """Invalid options; the message names the remedy."""


@dataclass(frozen=True)
class Options:
    """The options that decide the content of the data.

    Args:
        seed: Seed of all random draws.
        train_identities: Number of people in ``Train``.
        test_identities: Number of people in ``Test``.
        tracklets: Largest number of tracklets of a person in one camera and modality.
        frames: Largest number of frames of a tracklet.
        height: Height of a frame in pixels; the width is half of it.

    Raises:
        SynthError: If a number is outside of the limits of the format or the drawing.
    """

    seed: int = 0
    train_identities: int = 60
    test_identities: int = 30
    tracklets: int = 2
    frames: int = 20
    height: int = 144

    def __post_init__(self) -> None:
        for name, (low, high) in LIMITS.items():
            value = getattr(self, name)
            if not low <= value <= high:
                flag = "--" + name.replace("_", "-")
                raise SynthError(f"{flag} is {value}; expected {low} to {high}.")
        if self.height % 2:
            raise SynthError(f"--height is {self.height}; expected an even number of pixels.")

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of a frame in pixels."""
        return self.height, self.height // 2

    def pids(self, split: str) -> list[int]:
        """Return the pids of ``Train`` or ``Test``."""
        if split == "Train":
            return list(range(1, self.train_identities + 1))
        first = max(FIRST_TEST_PID, self.train_identities + 1)
        return list(range(first, first + self.test_identities))


@dataclass(frozen=True)
class Plan:
    """One tracklet to draw."""

    modality: str
    camera: int
    tracklet: int  # from 1, in (identity, modality, camera)
    first_frame: int
    frames: int


def plan_identity(options: Options, pid: int) -> list[Plan]:
    """Draw the cameras that see a person, and the number and lengths of tracklets in each.

    Every person passes two or three cameras in each modality. The first tracklet in a camera is
    long; later ones are sometimes the short rest of a walk, as in the real data.
    """
    rng = np.random.default_rng([options.seed, pid, 1])
    shortest = min(options.frames, max(12, 2 * options.frames // 3))
    plans = []
    for modality in (INFRARED, VISIBLE):
        cameras = rng.permutation(sorted(CAMERAS))[: int(rng.integers(2, 4))]
        for camera in sorted(int(c) for c in cameras):
            first = 1
            for tracklet in range(1, int(rng.integers(1, options.tracklets + 1)) + 1):
                length = int(rng.integers(shortest, options.frames + 1))
                if tracklet > 1 and rng.random() < 0.25:
                    length = int(rng.integers(1, max(2, options.frames // 2)))
                plans.append(Plan(modality, camera, tracklet, first, length))
                first += FRAME_STEP * length
    return plans


def tracklet_rng(options: Options, pid: int, plan: Plan) -> np.random.Generator:
    """Return the generator of one tracklet, independent of process and drawing order."""
    key = [options.seed, pid, 2, CODES[plan.modality], plan.camera, plan.tracklet]
    return np.random.default_rng(key)


def image_names(pid: int, plan: Plan) -> list[str]:
    """Return the frame names of a tracklet as in the lists: ``0001M2D3T1F6.jpg``."""
    stem = f"{pid:04d}M{CODES[plan.modality]}D{plan.camera}T{plan.tracklet}"
    numbers = range(plan.first_frame, plan.first_frame + FRAME_STEP * plan.frames, FRAME_STEP)
    return [f"{stem}F{number}.jpg" for number in numbers]


def image_paths(pid: int, plan: Plan) -> list[str]:
    """Return the frame paths of a tracklet relative to ``Train`` or ``Test``."""
    folder = f"{pid:04d}/{FOLDERS[plan.modality]}/D{plan.camera}"
    return [f"{folder}/{name.split('F')[1]}" for name in image_names(pid, plan)]


def write_file(path: Path, data: bytes) -> None:
    """Write a file atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".part")
    with open(temporary, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def is_complete(target: Path, split: str, pid: int, names: list[str], paths: list[str]) -> bool:
    """Return whether all images of an identity exist with the sizes recorded in its truth file."""
    try:
        with np.load(target / "truth" / split / f"{pid:04d}.npz") as truth:
            same = truth["names"].tolist() == names
            sizes = truth["sizes"].tolist()
        return same and all(
            (target / split / path).stat().st_size == size
            for path, size in zip(paths, sizes, strict=True)
        )
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
        return False


def write_identity(target: Path, options: Options, split: str, pid: int) -> int:
    """Draw and write one person unless complete; return the number of frames."""
    plans = plan_identity(options, pid)
    names = [name for plan in plans for name in image_names(pid, plan)]
    paths = [path for plan in plans for path in image_paths(pid, plan)]
    if is_complete(target, split, pid, names, paths):
        return len(names)
    identity = draw_identity(options.seed, pid)
    rendered: list[Rendered] = []
    sizes: list[int] = []
    for plan in plans:
        camera = CAMERAS[plan.camera]
        rng = tracklet_rng(options, pid, plan)
        one = render_tracklet(identity, camera, plan.modality, plan.frames, options.size, rng)
        files = [target / split / path for path in image_paths(pid, plan)]
        sizes += write_images(files, one.frames, camera.sensors[plan.modality].quality)
        rendered.append(one)
    silhouettes = np.concatenate([one.silhouettes for one in rendered])
    buffer = io.BytesIO()
    np.savez(
        buffer,
        names=np.array(names),
        sizes=np.array(sizes),
        shape=np.array(options.size),
        silhouettes=np.packbits(silhouettes.reshape(len(names), -1), axis=1),
        keypoints=np.concatenate([one.keypoints for one in rendered]),
    )
    write_file(target / "truth" / split / f"{pid:04d}.npz", buffer.getvalue())
    return len(names)


def write_images(files: list[Path], frames: np.ndarray, quality: int) -> list[int]:
    """Write the JPEG files of one tracklet; return their sizes in bytes.

    The writes are not atomic. The truth file of the identity holds these sizes and is written
    last; without it, all images are drawn again.
    """
    files[0].parent.mkdir(parents=True, exist_ok=True)
    sizes = []
    for file, frame in zip(files, frames, strict=True):
        data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        file.write_bytes(data)
        sizes.append(len(data))
    return sizes


def write_lists(target: Path, options: Options) -> tuple[int, int]:
    """Write the five lists in ``info``; return the numbers of tracklets and frames."""
    total, frames = 0, 0
    for split in SPLITS:
        names: list[str] = []
        rows, infrared = [], []
        for pid in options.pids(split):
            for plan in plan_identity(options, pid):
                start = len(names) + 1
                names += image_names(pid, plan)
                code = CODES[plan.modality]
                rows.append(f"{code} {start} {len(names)} {pid:04d} {plan.camera}")
                if plan.modality == INFRARED:
                    infrared.append(str(len(rows)))
        prefix = split.lower()
        info = target / "info"
        write_file(info / f"{prefix}_name.txt", ("\n".join(names) + "\n").encode())
        write_file(info / f"track_{prefix}_info.txt", ("\n".join(rows) + "\n").encode())
        if split == "Test":
            write_file(info / "query_IDX.txt", (" ".join(infrared) + "\n").encode())
        total, frames = total + len(rows), frames + len(names)
    return total, frames


def claim_target(target: Path, options: Options) -> None:
    """Write the parameters of all identities, or check that existing ones are equal.

    Raises:
        SynthError: If the folder holds data drawn with other options.
    """
    place = target / "truth" / "identities.json"
    content = {"format": FORMAT, "options": asdict(options)}
    if place.exists():
        found = json.loads(place.read_text())
        if {k: found.get(k) for k in content} != content:
            raise SynthError(
                f"{target}: holds data drawn with {found.get('options')}, not with "
                f"{asdict(options)}. Give another --target, or delete that folder."
            )
        return
    if (target / "info").exists():
        raise SynthError(f"{target}: holds data not made by this script; give another --target.")
    content["identities"] = {
        split: {f"{i:04d}": asdict(draw_identity(options.seed, i)) for i in options.pids(split)}
        for split in SPLITS
    }
    write_file(place, (json.dumps(content, indent=1) + "\n").encode())
