"""A video as a stream of numbered upright frames, and what is odd about it."""

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
        """Gives the last decoded frame, uint8 ``[h, w, 3]``, blue first; None if damaged."""
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

    def _watch_time(self) -> None:
        """Notes the first frame that is not where an even rate would have it."""
        moment = self._video.get(cv2.CAP_PROP_POS_MSEC)
        if self.read == 0:
            self._start = moment
        elif self.jump is None and self._rate > 0.0 and moment > 0.0:
            ahead = round((moment - self._start) * self._rate / 1000.0) - self.read
            if ahead:
                self.jump = (self.read, ahead)
