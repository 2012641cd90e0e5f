"""The folders with images below a user's folder, and the diagnosis if their levels fit no form."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from opengait_ext.data.words import WORDS, modality_of
from opengait_ext.prepare.image_files import IMAGES, content_of, tell_others
from opengait_ext.prepare.recordings.names import OwnDataError, natural_key

_DEEPEST = 12
_SHOWN = 5


@dataclass(frozen=True)
class ImageFolder:
    """A folder with images.

    Args:
        levels: Names of the folders from the source down to this one, included.
        files: Names of its images, ``2.jpg`` before ``10.jpg``.
    """

    levels: tuple[str, ...]
    files: tuple[str, ...]

    @property
    def place(self) -> str:
        """The path below the source, ``0001/rgb/gate/1``."""
        return "/".join(self.levels)


def find_images(source: Path) -> tuple[list[ImageFolder], Counter[str]]:
    """Return all folders with images in natural order, and the number of other files by suffix.

    Hidden files and system files (``.DS_Store``, ``Thumbs.db``) are skipped.

    Raises:
        OwnDataError: If the source is no folder, or cannot be read.
    """
    if not source.is_dir():
        raise OwnDataError(f"--source {source}: no such folder")
    others: Counter[str] = Counter()
    folders = sorted(_walk(source, (), (), others), key=lambda f: [*map(natural_key, f.levels)])
    return folders, others


def _walk(
    folder: Path, levels: tuple[str, ...], above: tuple[str, ...], others: Counter[str]
) -> Iterator[ImageFolder]:
    """Yield the folders with images; links are followed, but never back into a parent folder."""
    real = os.path.realpath(folder)
    if real in above or len(levels) > _DEEPEST:
        return
    found = content_of(folder)
    others.update(found.others)
    if found.images:
        yield ImageFolder(levels, found.images)
    for name in found.folders:
        yield from _walk(folder / name, (*levels, name), (*above, real), others)


def drawn(form: Sequence[str]) -> str:
    """Return the form of a tree as text: ``<pid>/<modality>/<camera>/<tracklet>/images``."""
    return "/".join([*(f"<{level}>" for level in form), "images"])


def diagnose(
    source: Path,
    folders: list[ImageFolder],
    others: Counter[str],
    forms: Sequence[Sequence[str]],
    given: bool,
) -> OwnDataError:
    """Return the error that says why no form fits, and what the user may have meant.

    Args:
        source: The user's folder.
        folders: Folders with images.
        others: Number of the other files by suffix.
        forms: The forms that would be accepted.
        given: Whether the user chose the form.
    """
    expected = " or ".join(drawn(form) for form in forms)
    head = f"--source {source}: found 0 tracklets; expected {expected}."
    if not folders:
        rest = f"There are {tell_others(others)} files" if others else "The folder is empty"
        hint = "; images end in " + ", ".join(IMAGES) + " (for videos give --videos and --boxes)"
        return OwnDataError(f"{head}\n{rest}{hint}.")
    reason = _depth_reason(folders, forms)
    if reason is None:
        reason = _modality_reason(folders, forms, given)
    return OwnDataError("\n".join([head, reason, *_hint(source, folders, forms)]))


def _depth_reason(folders: list[ImageFolder], forms: Sequence[Sequence[str]]) -> str | None:
    depths = Counter(len(folder.levels) for folder in folders)
    examples = {len(f.levels): f"{'/'.join((*f.levels, f.files[0]))}" for f in reversed(folders)}
    if len(depths) > 1:
        found = ", ".join(
            f"{count:,} folders {depth} deep ({examples[depth]})"
            for depth, count in depths.most_common(_SHOWN)
        )
        return f"Images lie at different depths: {found}."
    depth = next(iter(depths))
    expected = [len(form) for form in forms]
    if depth in expected:
        return None
    more = depth - max(expected) if depth > max(expected) else min(expected) - depth
    levels = "one level" if more == 1 else f"{more} levels"
    side = "too many" if depth > max(expected) else "too few"
    found = f"Its images lie {depth} folders deep, as {examples[depth]} does"
    return f"{found}: you have {levels} {side}."


def _modality_reason(
    folders: list[ImageFolder], forms: Sequence[Sequence[str]], given: bool
) -> str:
    depth = len(folders[0].levels)
    form = next(form for form in forms if len(form) == depth)
    level = form.index("modality")
    strange = sorted({f.levels[level] for f in folders if modality_of(f.levels[level]) is None})
    names = ", ".join(map(repr, strange[:_SHOWN]))
    text = f"Folder {level + 1} of {depth} should name the modality, one of {WORDS}; found {names}."
    if given:
        return text
    return f"{text}\nIf all images are of one modality, give --modality rgb or --modality ir."


def _hint(
    source: Path, folders: list[ImageFolder], forms: Sequence[Sequence[str]]
) -> Iterator[str]:
    """Yield a hint on the folder that was meant, concluded from the level of the modality."""
    depths = {len(folder.levels) for folder in folders}
    place = next((form.index("modality") for form in forms if "modality" in form), None)
    if len(depths) > 1 or place is None:
        return
    depth = depths.pop()
    columns = [[folder.levels[level] for folder in folders] for level in range(depth)]
    found = [n for n, column in enumerate(columns) if all(map(modality_of, column))]
    if not found:
        return
    above = found[0] - place
    outer = {folder.levels[:above] for folder in folders}
    is_deeper = depth > max(map(len, forms))
    if above > 0 and is_deeper and len(outer) == 1:
        yield f"Did you mean --source {source.joinpath(*outer.pop())}?"
    elif above > 0:
        yield f"The modality stands in folder {found[0] + 1}; say with --tree what the others are."
    elif above < 0:
        yield (
            "The modality stands in the first folder, there is none for the person: give the "
            f"folder above ({source.resolve().parent}), or say --tree modality/camera/tracklet if "
            "nobody knows the people."
        )
    elif is_deeper:
        yield "If a level is to be passed over, say so: --tree pid/modality/camera/_/tracklet."
