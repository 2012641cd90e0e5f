"""Check of videos without decoding them: they can be opened, and the boxes fit their frames."""

from collections.abc import Sequence
from pathlib import Path

from opengait_ext.data.layout import INFRARED
from opengait_ext.prepare.faults import listed
from opengait_ext.prepare.recordings.names import Faults, OwnDataError
from opengait_ext.prepare.recordings.plan import Piece, Recordings
from opengait_ext.prepare.recordings.reader import FrameReader
from opengait_ext.prepare.recordings.video import OUTSIDE, SMALL, clip
from opengait_ext.prepare.recordings.video_report import rotation_remark
from opengait_ext.prepare.work import be_quiet


def look_at_videos(
    pieces: Sequence[Piece], recordings: Recordings, home: Path, min_side: int, faults: Faults
) -> None:
    """Open every video, and compare its own facts with the boxes.

    Args:
        pieces: The planned tracklets.
        recordings: The recordings that they come from.
        home: The folder of the videos.
        min_side: Smallest side of a box, in pixels.
        faults: Collects videos that cannot be opened, and boxes after the end of a video.
    """
    be_quiet()
    by_video: dict[str, list[Piece]] = {}
    for piece in pieces:
        by_video.setdefault(piece.recorded.video, []).append(piece)
    lines = []
    for video, members in by_video.items():
        try:
            with FrameReader(home / video) as reader:
                if any(piece.recorded.modality == INFRARED for piece in members):
                    reader.refuse_infrared_depth(home / video)
                said, (height, width), rotation = reader.said, reader.size, reader.rotation
        except OwnDataError as error:
            faults.add(str(error))
            continue
        kinds = [
            clip(box, height, width, min_side)[0]
            for piece in members
            for box in piece.boxes.tolist()
        ]
        left = [f"{kinds.count(kind):,} {kind}" for kind in (OUTSIDE, SMALL) if kind in kinds]
        note = f", left out: {', '.join(left)}" if left else ""
        lines.append(
            f"{video}: {width} x {height}, {said:,} frames as it says, {len(kinds):,} boxes{note}"
        )
        if rotation:
            lines.append(rotation_remark(video, rotation))
        last = max(int(piece.frames[-1]) for piece in members)
        if 0 < said <= last:
            faults.add(
                f"{video}: says that it has {said:,} frames, boxes go to frame "
                f"{last + recordings.first_frame} (first frame {recordings.first_frame})"
            )
    print("\n" + listed(f"{len(by_video):,} videos", lines))
