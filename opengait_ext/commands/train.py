"""``opengait-ext train``: the launcher ``python -m opengait.main --phase train``."""

HELP = "train a model by a config file"


def main(words: list[str]) -> int:
    """Run the launcher for this phase only and return its exit status."""
    from opengait.main import main as launch

    return launch(words, "train")
