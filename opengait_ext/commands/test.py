"""``opengait-ext test``: the launcher ``python -m opengait.main --phase test``."""

HELP = "test a trained model by its config file"


def main(words: list[str]) -> int:
    """Run the launcher for this phase only and return its exit status."""
    from opengait.main import main as launch

    return launch(words, "test")
