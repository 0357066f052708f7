"""Curves as SVG inside the page: colours are those of its style, light or dark."""

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_POINTS = 400
SIZE = (5.2, 2.7)
"""Inches; a dot is a 72nd."""
INK, MUTED, ACCENT, SECOND, SIGNAL, RULE = COLOURS = tuple(f"#01020{digit}" for digit in range(6))
VARIABLES = ("ink", "muted", "accent", "second", "signal", "rule")
"""Of the style sheet, in place of colours that nobody else draws with."""
_HEAD = re.compile(r"<svg [^>]*?viewBox=\"([^\"]+)\"[^>]*>", re.DOTALL)


@dataclass(frozen=True)
class Curve:
    """A curve over thousands of images, with the ends of intervals where there are any; None where
    there is no value.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()


def thinned(line: Curve, most: int = MAX_POINTS) -> Curve:
    """Means over neighbouring points where there are more than can be seen."""
    if len(line.x) <= most or line.low:
        return line
    xs = [float(part.mean()) for part in np.array_split(np.asarray(line.x, np.float64), most)]
    ys: list[float | None] = []
    for part in np.array_split(np.asarray(line.y, np.float64), most):  # None is no number there
        values = part[~np.isnan(part)]
        ys.append(float(values.mean()) if len(values) else None)
    return Curve(line.name, xs, ys)


def draw(
    lines: Sequence[Curve],
    *,
    label: str,
    name: str,
    across: str = "thousand images shown",
    alarms: Sequence[float] = (),
) -> str:
    """An SVG element.

    Args:
        lines: curves, at most two.
        label: of the upright axis.
        across: of the level axis.
        name: of the picture, for readers who do not see it; also keeps its parts' names apart.
        alarms: where a vertical line stands.
    """

    def paint(figure: "Figure") -> None:
        axes = figure.add_subplot()
        axes.grid(axis="y", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        for x in alarms:
            axes.axvline(x, color=SIGNAL, linewidth=1, linestyle=(0, (2, 2)))
        for line, color in zip(lines, (ACCENT, SECOND), strict=False):
            _plot(axes, thinned(line), color)
        axes.set_xlabel(across)
        axes.set_ylabel(label)
        if len(lines) > 1:
            axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(0, 1.2), ncols=2)

    return painted(paint, SIZE, name)


def painted(paint: Callable[["Figure"], None], size: tuple[float, float], name: str) -> str:
    """An SVG element in the colours and letters of the page.

    Args:
        paint: fills the figure; colours are those of this module.
        size: width and height in inches.
        name: of the picture, for readers who do not see it; also keeps its parts' names apart.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    settings: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": name,
        "font.size": 10,
        "text.parse_math": False,
        "axes.edgecolor": RULE,
        "axes.labelcolor": MUTED,
        "text.color": INK,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }
    with mpl.rc_context(settings):
        figure = Figure(figsize=size, layout="constrained")
        FigureCanvasSVG(figure)
        paint(figure)
        file = io.StringIO()
        figure.savefig(
            file,
            format="svg",
            transparent=True,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    return _inline(file.getvalue(), name)


def _plot(axes: "Axes", line: Curve, color: str) -> None:
    y, low, high = (np.asarray(each, np.float64) for each in (line.y, line.low, line.high))
    few = len(y) <= 60 and bool(len(low) or len(y) <= 12)
    axes.plot(line.x, y, color=color, linewidth=1.6, label=line.name, marker="o" if few else None)
    if len(low):
        axes.fill_between(line.x, low, high, color=color, alpha=0.15, linewidth=0)


def _inline(svg: str, name: str) -> str:
    """Without the head of a file, as wide as its place, in the page's colours and letters."""
    start = svg.index("<svg ")
    found = _HEAD.match(svg, start)
    assert found is not None, "matplotlib writes a view box"
    head = f'<svg class="curve" viewBox="{found[1]}" role="img" aria-label="{escape(name)}">'
    body = re.sub(r"<metadata>.*?</metadata>", "", svg[found.end() :], flags=re.DOTALL)
    body = re.sub(r"font: ([^;\"]*?)px [^;\"]*", r"font-size: \1px", body)
    for color, variable in zip(COLOURS, VARIABLES, strict=True):
        body = body.replace(color, f"var(--{variable})")
    return head + body
