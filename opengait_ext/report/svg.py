"""Charts as SVG text: no script, no styles, every text escaped.

Colors come from CSS classes of the page (``s0`` and ``s1`` for two series), so that a chart
follows the light and the dark theme.
"""

import html
import math
from collections.abc import Mapping, Sequence

import numpy as np

from ..escaping import escaped

WIDTH, HEIGHT = 440, 270
_LEFT, _RIGHT, _TOP, _BOTTOM = 54, 12, 14, 38
_SMALL = (240, 130)  # one training curve


def escape(content: object) -> str:
    """Return a text escaped for HTML, with all control characters visible."""
    return html.escape(escaped(content))


def element(name: str, content: str = "", **attributes: object) -> str:
    """Return an SVG element.

    ``_`` in an attribute's name stands for ``-``; a trailing ``_`` is removed.

    Args:
        name: Name of the element.
        content: Inner content, already escaped.
        attributes: Attributes, escaped here; numbers are rounded to two decimals.
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_short(value))}"'
        for key, value in attributes.items()
    )
    return f"<{name}{written}>{content}</{name}>"


def text(x: float, y: float, content: str, **attributes: object) -> str:
    """Return a text element with its content escaped."""
    return element("text", escape(content), x=x, y=y, **attributes)


class Frame:
    """Coordinates and axes of a chart.

    Args:
        low: Smallest x value.
        high: Largest x value.
        top: Largest y value; the smallest is 0.
    """

    def __init__(self, low: float, high: float, top: float) -> None:
        self.low, self.high, self.top = low, high, top

    def x(self, value: float) -> float:
        """Return the horizontal position of an x value."""
        share = (value - self.low) / ((self.high - self.low) or 1)
        return _LEFT + share * (WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        """Return the vertical position of a y value."""
        return HEIGHT - _BOTTOM - value / (self.top or 1) * (HEIGHT - _TOP - _BOTTOM)

    def axes(
        self, x_marks: Mapping[float, str], y_marks: Mapping[float, str], x_name: str
    ) -> list[str]:
        """Return the lines, the marks and the name of the x axis."""
        right, floor = WIDTH - _RIGHT, HEIGHT - _BOTTOM
        parts = []
        for value, name in y_marks.items():
            y = self.y(value)
            parts.append(element("line", x1=_LEFT, x2=right, y1=y, y2=y, class_="grid"))
            parts.append(text(_LEFT - 6, y + 4, name, text_anchor="end"))
        for value, name in x_marks.items():
            parts.append(text(self.x(value), floor + 16, name, text_anchor="middle"))
        middle = (_LEFT + right) / 2
        parts.append(text(middle, HEIGHT - 5, x_name, text_anchor="middle", class_="soft"))
        return parts


def chart(parts: Sequence[str], label: str, size: tuple[int, int] = (WIDTH, HEIGHT)) -> str:
    """Return the whole SVG picture, with a label for screen readers."""
    box = f"0 0 {size[0]} {size[1]}"
    return element("svg", "".join(parts), viewBox=box, role="img", aria_label=label)


def match_curves(curves: Mapping[str, Sequence[float]]) -> str:
    """Return a chart of CMC curves: fraction found (0..1) at rank 1, 2, ..., by name."""
    length = max(map(len, curves.values()))
    frame = Frame(1, length, 1)
    marks = {float(rank): str(rank) for rank in (1, 5, 10, 15, 20) if rank <= length}
    shares = {share / 4: f"{25 * share} %" for share in range(5)}
    parts = frame.axes(marks, shares, "rank")
    for number, (name, values) in enumerate(curves.items()):
        points = [
            (frame.x(rank), frame.y(value))
            for rank, value in enumerate(values, 1)
            if not math.isnan(value)
        ]
        parts.append(_line(points, f"s{number % 2}"))
        for rank, (x, y) in enumerate(points, 1):
            title = f"{name}, rank {rank}: {100 * values[rank - 1]:.1f} %"
            dot = element("title", escape(title))
            parts.append(element("circle", dot, cx=x, cy=y, r=3, class_=f"s{number % 2} dot"))
    return chart(parts, "Cumulative matching characteristic by rank: " + ", ".join(curves))


def distance_histogram(
    edges: np.ndarray, intra: np.ndarray, inter: np.ndarray, means: tuple[float, float]
) -> str:
    """Return a chart of both histograms, their means and the margin between the means.

    Args:
        edges: ``[b + 1]``.
        intra: ``[b]``, fraction of the pairs of one identity.
        inter: ``[b]``, fraction of the pairs of two.
        means: Mean distance of each kind.
    """
    top = float(max(intra.max(), inter.max())) * 1.25 or 1.0
    frame = Frame(float(edges[0]), float(edges[-1]), top)
    ticks = _ticks(float(edges[0]), float(edges[-1]))
    shares = {share / 100: f"{name} %" for share, name in _ticks(0, 100 * top, 6).items()}
    parts = frame.axes(ticks, shares, "distance")
    for name, values in (("intra", intra), ("inter", inter)):
        outline = [(frame.x(edges[0]), frame.y(0))]
        for left, right, value in zip(edges, edges[1:], values, strict=False):
            outline += [(frame.x(left), frame.y(value)), (frame.x(right), frame.y(value))]
        outline.append((frame.x(edges[-1]), frame.y(0)))
        parts.append(element("polygon", points=_points(outline), class_=f"area {name}"))
    if not any(map(math.isnan, means)):
        parts += _margin(frame, means, top)
    return chart(parts, f"Distances: mean intra {means[0]:.4f}, mean inter {means[1]:.4f}")


def _margin(frame: Frame, means: tuple[float, float], top: float) -> list[str]:
    places = [frame.x(mean) for mean in means]
    parts = [
        element("line", x1=x, x2=x, y1=frame.y(0), y2=frame.y(top * 0.93), class_=f"mean {name}")
        for x, name in zip(places, ("intra", "inter"), strict=True)
    ]
    y = frame.y(top * 0.9)
    parts.append(element("line", x1=places[0], x2=places[1], y1=y, y2=y, class_="margin"))
    delta = f"δ = {means[1] - means[0]:.4f}"
    # The text is beside the lines, because there is rarely room between them.
    at_left = sum(places) / 2 > WIDTH / 2
    x = min(places) - 6 if at_left else max(places) + 6
    anchor = "end" if at_left else "start"
    return [*parts, text(x, y + 4, delta, text_anchor=anchor, class_="strong")]


def training_curve(name: str, steps: Sequence[float], values: Sequence[float]) -> str:
    """Return a chart of one curve with its smallest, largest and last value.

    Args:
        name: Name of the curve.
        steps: Iterations, ascending.
        values: Finite values, one per iteration.
    """
    width, height = _SMALL
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    first, reach = steps[0], (steps[-1] - steps[0]) or 1
    points = [
        (8 + (step - first) / reach * (width - 16), height - 24 - (value - low) / span * 70)
        for step, value in zip(steps, values, strict=True)
    ]
    parts = [
        text(8, 16, name, class_="strong"),
        _line(points, "s1") if len(points) > 1 else "",
        element("circle", cx=points[-1][0], cy=points[-1][1], r=2.5, class_="s1 dot"),
        text(8, height - 6, f"{low:.3g} to {high:.3g}", class_="soft"),
        text(width - 8, height - 6, f"last {values[-1]:.3g}", text_anchor="end", class_="soft"),
    ]
    return chart(parts, f"{name} over the iterations, last {values[-1]:.4g}", _SMALL)


def scatter(points: np.ndarray, facts: Sequence[Mapping[str, object]]) -> str:
    """Return the map: a circle or square for each tracklet; the page's script colors it.

    Args:
        points: ``[m, 2]`` in 0..1.
        facts: ``path``, ``pid``, ``camid`` and ``modality`` of each.
    """
    size, room = 520, 14
    parts = []
    for (x, y), fact in zip(points, facts, strict=True):
        across, down = room + x * (size - 2 * room), size - room - y * (size - 2 * room)
        infrared = fact["modality"] == "infrared"
        shape: dict[str, object] = (
            {"cx": across, "cy": down, "r": 4}
            if infrared
            else {"x": across - 3.5, "y": down - 3.5, "width": 7, "height": 7}
        )
        parts.append(
            element(
                "circle" if infrared else "rect",
                element("title", escape(f"{fact['path']}")),
                **shape,
                class_=f"point {'infrared' if infrared else 'visible'}",
                data_pid=fact["pid"],
                data_camera=fact["camid"],
            )
        )
    return chart(parts, f"Map of {len(parts)} embeddings in two dimensions", (size, size))


def _line(points: Sequence[tuple[float, float]], name: str) -> str:
    return element("polyline", points=_points(points), class_=f"line {name}")


def _points(places: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)


def _ticks(low: float, high: float, most: int = 9) -> dict[float, str]:
    """Return a few round numbers between two values, with their labels."""
    step = 10.0 ** math.floor(math.log10((high - low) or 1))
    wide = (step / 10, step / 5, step / 4, step / 2, step)
    step = next(each for each in wide if (high - low) / each <= most or each == step)
    numbers = [count * step for count in range(math.ceil(low / step), int(high / step) + 1)]
    return {number: f"{number:.4g}" for number in numbers}


def _short(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
