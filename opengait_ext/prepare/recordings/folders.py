"""Which folders below a user's folder hold images, and what is wrong with their depth."""

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
    """A folder that holds images.

    Args:
        levels: Names of the folders on the way from the source to it, itself included.
        files: Names of its images, ``2.jpg`` before ``10.jpg``.
    """

    levels: tuple[str, ...]
    files: tuple[str, ...]

    @property
    def place(self) -> str:
        """The path below the source, ``0001/rgb/gate/1``."""
        return "/".join(self.levels)


def find_images(source: Path) -> tuple[list[ImageFolder], Counter[str]]:
    """Gives all folders with images in their natural order, and the endings of other files.

    Hidden files and what systems leave behind (``.DS_Store``, ``Thumbs.db``) are passed over.

    Raises:
        OwnDataError: If the source is no folder or cannot be read.
    """
    if not source.is_dir():
        raise OwnDataError(f"--source {source}: no such folder")
    others: Counter[str] = Counter()
    folders = sorted(_walk(source, (), (), others), key=lambda f: [*map(natural_key, f.levels)])
    return folders, others


def _walk(
    folder: Path, levels: tuple[str, ...], above: tuple[str, ...], others: Counter[str]
) -> Iterator[ImageFolder]:
    """Follows links to folders, but never into a folder that it is in already."""
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
    """Gives ``<pid>/<modality>/<camera>/<tracklet>/images``."""
    return "/".join([*(f"<{level}>" for level in form), "images"])


def diagnose(
    source: Path,
    folders: list[ImageFolder],
    others: Counter[str],
    forms: Sequence[Sequence[str]],
    given: bool,
) -> OwnDataError:
    """Says why no form fits, and what may be meant.

    Args:
        source: The user's folder.
        folders: That hold images.
        others: Endings of the other files, with their numbers.
        forms: What would have fitted.
        given: Whether the form was given by the user.
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
    """Looks where the modality stands and concludes which folder was meant."""
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
