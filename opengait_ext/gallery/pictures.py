"""Thumbnails of queries and their matches: a self-contained page, or one picture."""

import base64
import html
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..data.frames import decode
from ..data.layout import PACKED, PICKLED, atomic_write, count_frames, read_frames
from ..errors import UserError
from ..escaping import POLICY, escaped
from ..prepare.image_files import FrameFolder

_HEIGHT, _WIDTH, _LABEL = 128, 72, 34  # pixels of a thumbnail, and of the text below it
_EDGE = {True: (60, 140, 60), False: (150, 150, 150), None: (150, 150, 150)}  # RGB, near or not

_STYLE = """
:root { color-scheme: light dark; font: 15px/1.4 system-ui, sans-serif; }
body { margin: 1rem; }
ol { display: flex; flex-wrap: wrap; gap: .6rem; list-style: none; padding: 0; }
li { width: 92px; overflow-wrap: anywhere; font-size: 12px; }
img { width: 72px; height: 128px; border: 4px solid #969696; border-radius: 4px; }
.near img { border-color: #3c8c3c; }
.query img { border-color: #3060c0; }
"""


def write_pictures(path: Path, answer: dict[str, Any]) -> None:
    """Write an answer with the middle frame of each tracklet.

    Args:
        path: ``.html`` for a page with the pictures inside, ``.png`` for a row per query.
        answer: The result of ``answers.answered``.
    """
    if path.suffix == ".html":
        atomic_write(path, _page(answer).encode())
        return
    rows = [[_tile(query, None), *(_tile(match, match["near"]) for match in query["matches"])]
            for query in answer["queries"]]  # fmt: skip
    width = max(map(len, rows))
    blank = np.full_like(rows[0][0], 255)
    picture = np.vstack([np.hstack(row + [blank] * (width - len(row))) for row in rows])
    atomic_write(path, _encoded(picture, ".png"))


def thumbnail(root: str, path: str) -> np.ndarray | None:
    """Return the middle frame of a tracklet, uint8 ``[128, 72, 3]``, RGB; None if there is none."""
    folder = Path(root, path)
    try:
        if any((folder / name).is_file() for name in (PACKED, PICKLED)):
            (image,) = read_frames(folder, [count_frames(folder) // 2])
        else:
            frames = FrameFolder(folder)
            image = frames.jpeg(len(frames) // 2).content
        pixels = decode(image, _HEIGHT, _WIDTH)
    except (UserError, OSError, ValueError, IndexError):
        return None
    return cv2.resize(pixels, (_WIDTH, _HEIGHT), interpolation=cv2.INTER_AREA)


def _page(answer: dict[str, Any]) -> str:
    parts = [_section(query) for query in answer["queries"]]
    threshold = answer["threshold"]
    note = f"threshold {threshold['distance']:.4f}, {threshold['source']}" if threshold else ""
    hows = "; ".join(f"{kind}: {each['how']}" for kind, each in answer["searches"].items())
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width"><title>search</title>'
        f"<style>{_STYLE}</style><h1>Search in {_shown(answer['gallery'])}</h1>"
        f"{''.join(parts)}<p>{_shown(hows)}</p><p>{_shown(note)}</p></html>\n"
    )


def _section(query: dict[str, Any]) -> str:
    verdict = "<p><strong>nobody</strong> of the gallery is near enough</p>" if (
        query["nobody"]) else ""  # fmt: skip
    items = [f'<li class="query">{_picture(query)}<br>query, {_shown(query["modality"])}</li>']
    for match in query["matches"]:
        kind = ' class="near"' if match["near"] else ""
        far = ", too far" if match["near"] is False else ""
        text = f"{match['rank']}. {match['pid'] or '?'}, {match['distance']:.3f}{far}"
        items.append(f"<li{kind}>{_picture(match)}<br>{_shown(text)}</li>")
    return f"<h2>{_shown(query['path'])}</h2>{verdict}<ol>{''.join(items)}</ol>"


def _picture(entry: dict[str, Any]) -> str:
    label = _shown(entry["path"])
    pixels = thumbnail(entry["root"], entry["path"])
    if pixels is None:
        return f"(no picture: {label})"
    content = base64.b64encode(_encoded(pixels, ".jpg")).decode()
    return f'<img alt="{label}" title="{label}" src="data:image/jpeg;base64,{content}">'


def _shown(text: object) -> str:
    return html.escape(escaped(text))


def _tile(entry: dict[str, Any], near: bool | None) -> np.ndarray:
    """Return one thumbnail with its text, uint8 ``[h, w, 3]``, RGB."""
    pixels = thumbnail(entry["root"], entry["path"])
    edge = _EDGE[near] if "rank" in entry else (48, 96, 192)
    if pixels is None:
        pixels = np.full((_HEIGHT, _WIDTH, 3), 230, np.uint8)
    framed = cv2.copyMakeBorder(pixels, 4, 4, 4, 4, cv2.BORDER_CONSTANT, value=edge)
    tile = cv2.copyMakeBorder(framed, 2, _LABEL, 6, 6, cv2.BORDER_CONSTANT, value=(255,) * 3)
    lines = ["query", entry["modality"]]
    if "rank" in entry:
        lines = [f"{entry['rank']}. {entry['pid'] or '?'}"[:13], f"{entry['distance']:.3f}"]
    for number, line in enumerate(lines):
        place = (8, _HEIGHT + 22 + 14 * number)
        cv2.putText(tile, escaped(line).encode("ascii", "replace").decode(), place,
                    cv2.FONT_HERSHEY_SIMPLEX, 0.38, (0, 0, 0), 1, cv2.LINE_AA)  # fmt: skip
    return tile


def _encoded(pixels: np.ndarray, suffix: str) -> bytes:
    done, content = cv2.imencode(suffix, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    if not done:
        raise UserError(f"the picture cannot be written as {suffix}")
    return content.tobytes()
