"""Reader of a video as a stream of numbered upright frames, and its oddities."""

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
_GRAY16 = b"Y1\0\x10"  # the only format above 8 bits that OpenCV passes on unchanged
_PLANES = (b"Y1", b"Y2", b"Y3", b"Y4", b"G3", b"G4")  # FFmpeg's tags; the last byte is the depth
_DEEP = {b"P010": 10, b"P210": 10, b"P410": 10, b"Y210": 10, b"XV30": 10, b"Y212": 12,
         b"XV36": 12, b"P016": 16, b"P216": 16, b"P416": 16, b"XV48": 16,
         b"RGB0": 16, b"BGR0": 16, b"RBA@": 16, b"BRA@": 16}  # fmt: skip
_DEPTHS = range(9, 17)


class DamagedVideoError(OwnDataError):
    """A video cannot be opened."""


class FrameReader:
    """Reader of the frames of a video in ascending order, one in memory at a time.

    A frame's number is its position among the frames that can be decoded, from 0, as trackers that
    read with OpenCV or FFmpeg count. Time stamps are not used, so a variable frame rate does no
    harm. Frames are turned upright as the video's rotation note says. This is done here, because
    some versions of OpenCV (4.11) do not do it.

    Args:
        path: The video.
        threads: Number of threads for decoding.

    Attributes:
        read: Number of frames decoded so far.
        said: Number of frames according to the file; 0 if it does not say.
        size: Height and width of an upright frame in pixels, according to the file.
        rotation: Degrees by which the frames are turned, as the file asks.
        depth: Bits per channel. Gray frames of 16 bits come unchanged, all others in 8 bits.
        jump: Where and by how many frames the time stamps first leave an even rate, or None.

    Raises:
        DamagedVideoError: If the video cannot be opened, or its turn is no multiple of 90 degrees.
        OwnDataError: If this OpenCV cannot open any video.
    """

    def __init__(self, path: str | Path, threads: int = 1) -> None:
        if cv2.CAP_FFMPEG not in cv2.videoio_registry.getBackends():
            raise OwnDataError(
                "this OpenCV reads no videos (built without FFmpeg); "
                "pip install opencv-python-headless has one that does"
            )
        # The backend is named, so that the same decoder counts the frames on every system.
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
        """Decode the next frame; return whether there is one."""
        if not self._video.grab():
            return False
        self._watch_time()
        self.read += 1
        return True

    def picture(self) -> np.ndarray | None:
        """Return the last decoded frame; None if it is damaged.

        Returns:
            uint8 ``[h, w, 3]``, BGR; for gray video of 16 bits, uint16 ``[h, w]``.
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
        """Return how to turn the frames, given the shape of the first; None for no turn."""
        is_upright = self._lying != self.size and shape == self.size  # OpenCV turned it anyway
        return None if is_upright else _TURNS.get(self.rotation)

    def refuse_infrared_depth(self, path: str | Path) -> None:
        """Refuse infrared video whose levels OpenCV would round to 8 bits.

        Raises:
            OwnDataError: If the levels would be rounded; the message gives depth and remedy.
        """
        if self.depth > 8 and not self.is_wide:
            raise OwnDataError(
                f"{path}: has {self.depth} bits a channel in a form that is read in 8 bits only, "
                "which can leave a warm person two gray levels; convert it: ffmpeg -i VIDEO "
                "-pix_fmt gray16le -c:v ffv1 VIDEO.mkv"
            )

    def _watch_time(self) -> None:
        """Note the first frame whose time stamp departs from an even rate."""
        moment = self._video.get(cv2.CAP_PROP_POS_MSEC)
        if self.read == 0:
            self._start = moment
        elif self.jump is None and self._rate > 0.0 and moment > 0.0:
            ahead = round((moment - self._start) * self._rate / 1000.0) - self.read
            if ahead:
                self.jump = (self.read, ahead)


def depth_of(tag: bytes) -> int:
    """Return the bits per channel for FFmpeg's four-letter tag of a pixel format; 8 if unknown."""
    if tag in _DEEP:
        return _DEEP[tag]
    for prefix, depth in ((tag[:2], tag[3]), (tag[:1:-1], tag[0])):  # little, then big endian
        if prefix in _PLANES and depth in _DEPTHS:
            return depth
    return 8
