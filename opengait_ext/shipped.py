"""Files shipped with the package: configs and the demo's weights, found from any folder.

In a checkout they are in ``configs`` and ``datasets/prep/weights``; a wheel has copies that
``setup.py`` makes.
"""

from difflib import get_close_matches
from pathlib import Path

from .errors import UserError

_PACKAGE = Path(__file__).parent
CONFIGS = "configs"
WEIGHTS = "datasets/prep/weights"


def config_paths() -> dict[str, Path]:
    """Return the shipped config files by name."""
    return {path.stem: path for path in sorted(_folder(CONFIGS, CONFIGS).glob("*.yaml"))}


def config_file(name_or_file: str) -> Path:
    """Return the config file that a command line names.

    Args:
        name_or_file: A file; or, if there is no such file, the name of a shipped config:
            ``dinogrl_synth``, ``dinogrl_synth.yaml``, ``configs/dinogrl_synth.yaml``.

    Raises:
        UserError: If there is neither.
    """
    path = Path(name_or_file)
    if path.is_file():
        return path
    known = config_paths()
    is_name = path.parent.as_posix() in (".", CONFIGS) and path.suffix in ("", ".yaml")
    if is_name and path.stem in known:
        return known[path.stem]
    near = get_close_matches(path.stem, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
    raise UserError(
        f"{name_or_file}: there is no such config file, and none of this name comes with the "
        f"package - {hint}"
    )


def weight_file(path: str | Path) -> Path:
    """Return the path of a file of weights; the demo's files may be inside the package.

    Args:
        path: The path in a config. ``datasets/prep/weights/<name>`` is looked up in the package if
            there is no such file.

    Returns:
        The path of the file; ``path`` itself if the package has no such file either.
    """
    path = Path(path)
    inside = _folder("demo_weights", WEIGHTS) / path.name
    is_demo = f"/{path.parent.as_posix()}".endswith(f"/{WEIGHTS}")
    return inside if is_demo and not path.is_file() and inside.is_file() else path


def _folder(inside: str, in_checkout: str) -> Path:
    """Return a folder of the installed package, or of the checkout that contains the package."""
    folder = _PACKAGE / inside
    return folder if folder.is_dir() else _PACKAGE.parent / in_checkout
