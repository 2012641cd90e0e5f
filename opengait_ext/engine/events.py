"""Files of curves that survive a full disk: training continues, records are left out."""

import io
import logging
import os
import platform
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from ..edge import explained, placed
from ..errors import UserError
from .files import append_whole

logger = logging.getLogger(__name__)


class GrowingFile:
    """A file of records, each appended atomically; records that do not fit the disk are left out.

    Args:
        path: The file; its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lost = 0  # bytes of the largest record that did not fit

    def add(self, record: bytes) -> None:
        """Append a record; a disk error is logged once until it is over."""
        try:
            append_whole(self.path, record)
            if len(record) >= self._lost:
                self._lost = 0
        except OSError as fault:
            if not self._lost:
                logger.warning(
                    "%s. The training goes on; until then its curves are not written",
                    explained(placed(fault, self.path)),
                )
            self._lost = max(self._lost, len(record))


class Events:
    """TensorBoard's file, written synchronously: its own writer thread dies silently.

    Args:
        folder: Folder of the file.
        purge_step: Step from which the records of earlier files are void.

    Raises:
        UserError: If TensorBoard is not installed.
    """

    def __init__(self, folder: Path, purge_step: int) -> None:
        try:
            from tensorboard.compat.proto.event_pb2 import Event, SessionLog
            from tensorboard.summary.writer.record_writer import RecordWriter
            from torch.utils.tensorboard import summary
        except ImportError as fault:
            raise UserError(
                f"TensorBoard is not installed ({fault}): pip install tensorboard"
            ) from None
        self._event, self._writer, self._forms = Event, RecordWriter, summary
        folder.mkdir(parents=True, exist_ok=True)
        name = f"events.out.tfevents.{time.time_ns()}.{platform.node()}.{os.getpid()}"
        self._file = GrowingFile(folder / name)
        start = SessionLog(status=SessionLog.START)
        self._add([{"file_version": "brain.Event:2"}], 0)
        self._add([{"session_log": start}], purge_step)

    def scalars(self, values: Iterable[tuple[str, float]], step: int) -> None:
        """Add a point to each curve."""
        self._add([{"summary": self._forms.scalar(tag, value)} for tag, value in values], step)

    def image(self, tag: str, picture: Any, step: int) -> None:
        """Add an image ``[3, h, w]`` in 0..1."""
        self._add([{"summary": self._forms.image(tag, picture, dataformats="CHW")}], step)

    def _add(self, contents: Iterable[dict[str, Any]], step: int) -> None:
        buffer = io.BytesIO()
        for content in contents:
            event = self._event(wall_time=time.time(), step=step, **content)
            self._writer(buffer).write(event.SerializeToString())
        self._file.add(buffer.getvalue())
