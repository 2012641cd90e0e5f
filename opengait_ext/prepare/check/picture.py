"""A picture of the sizes in a data set, for those who have matplotlib."""

import io
from pathlib import Path

from opengait_ext.data.layout import atomic_write
from opengait_ext.errors import UserError
from opengait_ext.prepare.check.report import Histograms


def check_matplotlib() -> None:
    """Raises UserError if there is no matplotlib."""
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UserError(
            "--picture needs matplotlib: pip install 'matplotlib>=3.8' (the bars on the terminal "
            "need nothing)"
        ) from error


def draw(path: Path, histograms: Histograms, title: str) -> None:
    """Draws the histograms side by side, both modalities in each.

    Args:
        path: The PNG to write.
        histograms: What -> modality -> value -> number.
        title: Above all.

    Raises:
        UserError: If there is no matplotlib.
    """
    check_matplotlib()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.0 * len(histograms), 3.2), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title)
    for number, (what, sides) in enumerate(histograms.items(), 1):
        axes = figure.add_subplot(1, len(histograms), number)
        filled = {modality: values for modality, values in sides.items() if values}
        if filled:
            axes.hist(
                [list(values) for values in filled.values()],
                bins=20,
                weights=[list(values.values()) for values in filled.values()],
                label=list(filled),
                stacked=True,
            )
            axes.legend()
        axes.set_xlabel(what)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    atomic_write(path, buffer.getvalue())
