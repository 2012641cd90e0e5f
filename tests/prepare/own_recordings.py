"""A user's recordings, made on the spot: trees of images, videos with moving people, boxes."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np

from opengait_ext.data.frames import decode
from opengait_ext.data.layout import read_frames

ROOT = Path(__file__).parents[2]

COLORS = {"red": (0, 0, 200), "green": (0, 200, 0), "blue": (200, 0, 0), "gray": (120, 120, 120)}
PEOPLE = ("anna", "ben")
HEADER = "video,frame,x,y,w,h,track,pid,camera,modality"
MOVE, SIZE = 3, (96, 160)  # pixels a frame; height and width of pictures
LEVELS = 200  # what the brightness of a frame counts up to


def picture(value, height=32, width=16):
    """An image of one color that tells its number: blue, green, red [h, w, 3]."""
    return np.full((height, width, 3), (value % LEVELS, 40, LEVELS - value % LEVELS), np.uint8)


def encoded(image, suffix=".jpg"):
    """The bytes of an image file."""
    return cv2.imencode(suffix, image)[1].tobytes()


def write_images(folder, count=3, first=0, suffix=".jpg", start=1):
    """Writes 1.jpg, 2.jpg ... whose color tells their number; gives their bytes in order."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = [encoded(picture(5 * (first + n)), suffix) for n in range(count)]
    for number, content in enumerate(contents, start):
        (folder / f"{number}{suffix}").write_bytes(content)
    return contents


def write_tree(root, people=PEOPLE, frames=3):
    """<pid>/<rgb|ir>/<camera>/<tracklet>: everybody in cameras 1 (rgb) and 2 (ir), two walks."""
    for number, pid in enumerate(people):
        for word, camera in (("rgb", "cam1"), ("ir", "cam2")):
            for walk in ("a", "b"):
                write_images(root / pid / word / camera / walk, frames, 10 * number)
    return root


def box_of(person, frame):
    """Where a person is: left, top, width, height."""
    return 4 + MOVE * frame, 8 + 44 * person, 20, 36


def write_video(path, colors=("red", "green"), frames=12, code="MJPG", background=20):
    """People of these colors, one below the other, walk to the right, a frame a step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    size = (SIZE[1], SIZE[0])
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, cv2.VideoWriter_fourcc(*code), 10, size)
    assert writer.isOpened(), f"OpenCV cannot write {code}"
    for frame in range(frames):
        image = np.full((*SIZE, 3), background, np.uint8)
        image[:6] = min(10 * frame + 30, 250)  # a bar that tells the frame
        for person, color in enumerate(colors):
            x, y, w, h = box_of(person, frame)
            image[y : y + h, x : x + w] = COLORS[color]
        writer.write(image)
    writer.release()
    return path


def box_rows(video, person=0, frames=range(12), track=1, about=("anna", "1", "rgb")):
    """Rows of the box file for one person."""
    return [
        ",".join(map(str, (video, frame, *box_of(person, frame), track, *about)))
        for frame in frames
    ]


def write_lines(path, *lines):
    """Writes a text of lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def prepare(*command):
    """Runs the script in this process, one worker; gives its exit status."""
    from opengait_ext.prepare.recordings import run as own

    return own.main(["--workers", "1", *map(str, command)])


def start_script(*command):
    """Starts the script in a process of its own, which Ctrl-C reaches."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's & ignores it
    try:
        return subprocess.Popen(
            [sys.executable, "datasets/prep/own.py", *map(str, command)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    finally:
        signal.signal(signal.SIGINT, before)


def kill_when(process, is_time):
    """Kills a process the hard way as soon as a condition holds; it must not be done by then."""
    while not is_time():
        assert process.poll() is None, process.stdout.read()
        time.sleep(0.002)
    process.kill()
    process.communicate()


def pixels_of(root, path):
    """The decoded frames of a prepared tracklet, as the training reads them: RGB [h, w, 3]."""
    from opengait_ext.data.layout import count_frames

    folder = root / path
    return [decode(image) for image in read_frames(folder, range(count_frames(folder)))]


def is_color(image, name):
    """Whether an RGB image is of one color, up to what JPEG and video do to it."""
    inner = image[4:-4, 4:-4].reshape(-1, 3).astype(int)
    return bool(np.abs(inner - COLORS[name][::-1]).max() < 40)
