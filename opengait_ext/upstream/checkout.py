"""Location and version of an OpenGait checkout."""

import logging
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from ..errors import UserError

logger = logging.getLogger(__name__)

VARIABLE = "OPENGAIT_ROOT"
# The versions of OpenGait that both hosts are tested with (tests/test_upstream.py).
CHECKED = {"0efafd4779f127fbce34f22aff301bd82e923da5": "2026-07-13"}

_MARK = Path("opengait", "modeling", "base_model.py")
_NEEDED = (
    _MARK,
    Path("opengait", "main.py"),
    Path("opengait", "modeling", "models", "__init__.py"),
    Path("opengait", "modeling", "losses", "__init__.py"),
    Path("configs", "default.yaml"),
)


class CheckoutError(UserError):
    """A folder is no checkout of OpenGait, or an incomplete one."""


def find_checkout(
    given: str | None, environment: Mapping[str, str] = os.environ, here: Path | None = None
) -> Path | None:
    """Find the checkout for a run.

    Args:
        given: Value of ``--opengait``; comes first.
        environment: Environment variables; ``OPENGAIT_ROOT`` comes second.
        here: The working directory; comes last, if it holds
            ``opengait/modeling/base_model.py``.

    Returns:
        The absolute path; None without a checkout.

    Raises:
        CheckoutError: If a named folder is no checkout.
    """
    here = here or Path.cwd()
    if given is not None:
        return checked_folder(Path(given), "--opengait")
    if environment.get(VARIABLE):
        return checked_folder(Path(environment[VARIABLE]), VARIABLE)
    return checked_folder(here, "the working directory") if (here / _MARK).is_file() else None


def checked_folder(folder: Path, where: str) -> Path:
    """Return the absolute path of a checkout.

    Args:
        folder: The expected checkout.
        where: The option or variable that named it, for the message.

    Raises:
        CheckoutError: If it is no checkout; the message names what is missing.
    """
    if not folder.is_dir():
        raise CheckoutError(
            f"{where}: there is no folder {folder}. Expected a clone of OpenGait: "
            "git clone https://github.com/ShiqiYu/OpenGait"
        )
    missing = [str(path) for path in _NEEDED if not (folder / path).is_file()]
    if not missing:
        return folder.resolve()
    inside = folder.name == "opengait" and (folder.parent / _MARK).is_file()
    hint = f" Take the folder above it: {folder.parent}." if inside else ""
    raise CheckoutError(
        f"{where}: {folder} is no checkout of OpenGait; missing there: {', '.join(missing)}.{hint}"
    )


def commit_of(checkout: Path) -> str | None:
    """Return the commit of a checkout; None if it is no git repository."""
    if not (checkout / ".git").exists():
        return None  # git would answer for an enclosing repository
    try:
        answer = subprocess.run(
            ["git", "-C", str(checkout), "rev-parse", "HEAD"],
            capture_output=True, text=True, timeout=30,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() if answer.returncode == 0 else None


def log_terms() -> None:
    """Log the terms of use of OpenGait's code, once per run that uses it."""
    logger.info("OpenGait's code is for academic use only; that holds for a run that uses it")


def log_version(checkout: Path) -> None:
    """Log the commit of a checkout; warn if it is untested."""
    commit = commit_of(checkout)
    checked = ", ".join(f"{name[:7]} ({date})" for name, date in CHECKED.items())
    if commit in CHECKED:
        logger.info("OpenGait %s at %s (a checked version)", checkout, commit[:7])
        return
    found = f"stands at {commit[:7]}" if commit else "is not under git's control"
    logger.warning(
        "OpenGait %s %s; checked versions: %s. It may well work; if it does not, try: "
        "git -C %s checkout %s",
        checkout, found, checked, checkout, next(iter(CHECKED))[:7],
    )  # fmt: skip
