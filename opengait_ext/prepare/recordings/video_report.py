"""Report lines on videos: unreadable frames with the boxes that need them, and oddities."""

from collections.abc import Sequence
from typing import Any

from opengait_ext.prepare.recordings.plan import Piece
from opengait_ext.prepare.recordings.video import VideoDone


def damage_of(video: str, pieces: Sequence[Piece], done: VideoDone, first: int) -> list[str]:
    """Return lines on the unreadable frames of a video, and the boxes that need them.

    Args:
        video: Name of the video.
        pieces: The tracklets to cut out of it.
        done: The result of the video.
        first: The number of its first frame in the user's files.
    """
    facts, texts = done.facts, []
    if "closed" in facts:
        count = sum(len(piece.lines) for piece in pieces)
        return [f"{facts['closed']}; {count:,} boxes of {len(pieces):,} tracklets need it"]
    for frame in facts["lost"]:
        texts.append(f"{video}: frame {frame + first} is damaged, {_needs(pieces, frame, frame)}")
    end = facts["end"]
    if end is None:
        return texts
    said = facts["said"]
    last = max(int(piece.frames[-1]) for piece in pieces)
    start = f"{video}: frame {end + first} cannot be read"
    if said > end:
        reason = f"the video is damaged or cut off there, it says that it has {said:,} frames"
    else:
        reason = f"the video ends after {end:,} frames"
        if last == end and first == 0 and all(piece.frames[0] > 0 for piece in pieces):
            reason += "; do the boxes count from 1 (--first-frame 1)?"
    return [*texts, f"{start}, {_needs(pieces, end, last)}; {reason}"]


def _needs(pieces: Sequence[Piece], start: int, stop: int) -> str:
    """Return as text the number of boxes in a range of frames, with the line of the first."""
    lines: list[int] = []
    for piece in pieces:
        lines += piece.lines[(piece.frames >= start) & (piece.frames <= stop)].tolist()
    count = len(lines)
    noun = "box needs" if count == 1 else "boxes need"
    return f"{count:,} {noun} {'it' if start == stop else 'it or later ones'} (line {min(lines)})"


def remarks_of(video: str, facts: dict[str, Any], first: int) -> list[str]:
    """Return lines on oddities of a video that are usually harmless."""
    remarks = []
    if facts.get("rotation"):
        remarks.append(rotation_remark(video, facts["rotation"]))
    if facts.get("depth", 8) > 8:
        remarks.append(f"{video}: {facts['depth']} bits a channel, read in 8 as players show them")
    if facts.get("jump"):
        frame, ahead = facts["jump"]
        what = f"{abs(ahead)} frames {'ahead of' if ahead > 0 else 'behind'} an even rate"
        remarks.append(
            f"{video}: the time stamp of frame {frame + first} is {what}: the rate varies, or "
            "frames are lost there; boxes are taken by the count of frames that can be decoded"
        )
    return remarks


def rotation_remark(video: str, degrees: int) -> str:
    """Return the line that a video is turned, with what this means for its boxes."""
    return (
        f"{video}: turned by {degrees} degrees, as the file asks; boxes are taken in the "
        "upright picture"
    )
