"""A video as a stream of numbered upright frames, and what is odd about it."""

import struct
from pathlib import Path

import cv2
import numpy as np

from opengait_ext.data.image_size import check_pixels
from opengait_ext.prepare.recordings.names import OwnDataError

_TURNS = {
    90: cv2.ROTATE_90_CLOCKWISE,
    180: cv2.ROTATE_180,
    270: cv2.ROTATE_90_COUNTERCLOCKWISE,
}
_GRAY16 = b"Y1\0\x10"  # the one form of more than 8 bits that OpenCV hands on unchanged
_PLANES = (b"Y1", b"Y2", b"Y3", b"Y4", b"G3", b"G4")  # FFmpeg's tags; the last byte is the depth
_DEEP = {b"P010": 10, b"P210": 10, b"P410": 10, b"Y210": 10, b"XV30": 10, b"Y212": 12,
         b"XV36": 12, b"P016": 16, b"P216": 16, b"P416": 16, b"XV48": 16,
         b"RGB0": 16, b"BGR0": 16, b"RBA@": 16, b"BRA@": 16}  # fmt: skip
_DEPTHS = range(9, 17)


class DamagedVideoError(OwnDataError):
    """A video cannot be opened."""


class FrameReader:
    """Gives frames of a video in ascending order, one in memory at a time.

    A frame's number is its place among the frames that can be decoded, from 0: what trackers that
    read with OpenCV or FFmpeg count. Time stamps do not matter for it, so a variable frame rate
    does no harm. Frames come upright, as the video's own note of rotation says. They are turned
    here, because some versions of OpenCV (4.11) leave them as they lie.

    Args:
        path: The video.
        threads: For decoding.

    Attributes:
        read: How many frames are decoded.
        said: How many frames the file says it has; 0 if it does not say.
        size: Height and width as the file says, upright.
        rotation: By how many degrees the frames are turned, as the file asks.
        depth: Bits a channel. Gray frames of 16 bits come as they are, others in 8 bits.
        jump: Where and by how many frames the time stamps first depart from an even rate, or None.

    Raises:
        DamagedVideoError: If the video cannot be opened, or is to be turned by no quarter turn.
        OwnDataError: If this OpenCV opens none.
    """

    def __init__(self, path: str | Path, threads: int = 1) -> None:
        if cv2.CAP_FFMPEG not in cv2.videoio_registry.getBackends():
            raise OwnDataError(
                "this OpenCV reads no videos (built without FFmpeg); "
                "pip install opencv-python-headless has one that does"
            )
        # Named, so that the same decoder counts the frames on every system.
        self._video = cv2.VideoCapture(
            str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, max(threads, 1)]
        )
        if not self._video.isOpened():
            size = Path(path).stat().st_size
            raise DamagedVideoError(
                f"{path}: is no video that FFmpeg can read, or a damaged one ({size:,} bytes)"
            )
        self._video.set(cv2.CAP_PROP_ORIENTATION_AUTO, 0)
        self.said = max(int(self._video.get(cv2.CAP_PROP_FRAME_COUNT)), 0)
        height, width = (
            int(self._video.get(name))
            for name in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH)
        )
        try:
            check_pixels(height, width)
        except ValueError as error:
            raise DamagedVideoError(f"{path}: a frame {error}") from error
        tag = struct.pack("<I", int(self._video.get(cv2.CAP_PROP_CODEC_PIXEL_FORMAT)) & 0xFFFFFFFF)
        self.depth = depth_of(tag)
        self.is_wide = tag == _GRAY16 and self._video.set(cv2.CAP_PROP_CONVERT_RGB, 0)
        self.rotation = int(self._video.get(cv2.CAP_PROP_ORIENTATION_META)) % 360
        if self.rotation % 90:
            raise DamagedVideoError(
                f"{path}: its note asks to be turned by {self.rotation} degrees, expected 0, 90, "
                "180 or 270; convert the video to one without that note"
            )
        self._lying = (height, width)
        self.size = (width, height) if self.rotation in (90, 270) else (height, width)
        self._turn: int | None = None
        self._is_first = True
        self.read = 0
        self.jump: tuple[int, int] | None = None
        self._rate = self._video.get(cv2.CAP_PROP_FPS)
        self._start = 0.0

    def __enter__(self) -> "FrameReader":
        return self

    def __exit__(self, *_: object) -> None:
        self._video.release()

    def grab(self) -> bool:
        """Decodes the next frame; whether there is one."""
        if not self._video.grab():
            return False
        self._watch_time()
        self.read += 1
        return True

    def picture(self) -> np.ndarray | None:
        """Return the last decoded frame; None if damaged.

        Returns:
            uint8 ``[h, w, 3]``, blue first; of gray video of 16 bits, uint16 ``[h, w]``.
        """
        whole, image = self._video.retrieve()
        if not whole:
            return None
        image = np.asarray(image)
        if self._is_first:
            self._is_first = False
            self._turn = self._turn_of(image.shape[:2])
        return image if self._turn is None else np.asarray(cv2.rotate(image, self._turn))

    def _turn_of(self, shape: tuple[int, ...]) -> int | None:
        """Return how to turn frames whose first one came in this shape."""
        is_upright = self._lying != self.size and shape == self.size  # turned against our word
        return None if is_upright else _TURNS.get(self.rotation)

    def refuse_infrared_depth(self, path: str | Path) -> None:
        """Refuse infrared video whose levels OpenCV would round to 8 bits.

        Raises:
            OwnDataError: With the depth and how to convert the video.
        """
        if self.depth > 8 and not self.is_wide:
            raise OwnDataError(
                f"{path}: has {self.depth} bits a channel in a form that is read in 8 bits only, "
                "which can leave a warm person two gray levels; convert it: ffmpeg -i VIDEO "
                "-pix_fmt gray16le -c:v ffv1 VIDEO.mkv"
            )

    def _watch_time(self) -> None:
        """Notes the first frame that is not where an even rate would have it."""
        moment = self._video.get(cv2.CAP_PROP_POS_MSEC)
        if self.read == 0:
            self._start = moment
        elif self.jump is None and self._rate > 0.0 and moment > 0.0:
            ahead = round((moment - self._start) * self._rate / 1000.0) - self.read
            if ahead:
                self.jump = (self.read, ahead)


def depth_of(tag: bytes) -> int:
    """Return the bits a channel of FFmpeg's four-letter tag of a pixel format; 8 if unknown."""
    if tag in _DEEP:
        return _DEEP[tag]
    for prefix, depth in ((tag[:2], tag[3]), (tag[:1:-1], tag[0])):  # little and big end first
        if prefix in _PLANES and depth in _DEPTHS:
            return depth
    return 8
