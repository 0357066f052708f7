"""Curves as SVG inside the page: colours are those of its style, light or dark."""

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MAX_POINTS = 400
SIZE = (5.2, 2.7)
"""Inches; a dot is a 72nd."""
INK, MUTED, ACCENT, SECOND, SIGNAL, RULE = (f"#01020{digit}" for digit in range(6))
_VARIABLES = {
    INK: "var(--ink)",
    MUTED: "var(--muted)",
    ACCENT: "var(--accent)",
    SECOND: "var(--second)",
    SIGNAL: "var(--signal)",
    RULE: "var(--rule)",
}
"""Colours that nobody else draws with -> variables of the style sheet."""
_HEAD = re.compile(r"<svg [^>]*?viewBox=\"([^\"]+)\"[^>]*>", re.DOTALL)


@dataclass(frozen=True)
class Curve:
    """A curve.

    Attributes:
        name: in the legend.
        x: thousands of images.
        y: values; None where there is none.
        low: lower ends of intervals.
        high: upper ends.
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
    x = np.asarray(line.x, dtype=np.float64)
    y = np.asarray([np.nan if v is None else v for v in line.y], dtype=np.float64)
    xs: list[float] = []
    ys: list[float | None] = []
    for part in np.array_split(np.arange(len(x)), most):
        values = y[part][~np.isnan(y[part])]
        xs.append(float(x[part].mean()))
        ys.append(float(values.mean()) if len(values) else None)
    return Curve(line.name, xs, ys)


def draw(
    lines: Sequence[Curve],
    *,
    label: str,
    name: str,
    alarms: Sequence[float] = (),
) -> str:
    """An SVG element.

    Args:
        lines: curves, at most two.
        label: of the upright axis.
        name: of the picture, for readers who do not see it; also keeps its parts' names apart.
        alarms: where a vertical line stands.
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
        figure = Figure(figsize=SIZE, layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.grid(axis="y", color=RULE, linewidth=0.6)
        axes.set_axisbelow(True)
        for x in alarms:
            axes.axvline(x, color=SIGNAL, linewidth=1, linestyle=(0, (2, 2)))
        for line, color in zip(lines, (ACCENT, SECOND), strict=False):
            _plot(axes, thinned(line), color)
        axes.set_xlabel("thousand images shown")
        axes.set_ylabel(label)
        if len(lines) > 1:
            axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(0, 1.2), ncols=2)
        file = io.StringIO()
        figure.savefig(
            file,
            format="svg",
            transparent=True,
            metadata={"Date": None, "Creator": None, "Format": None, "Type": None},
        )
    return _inline(file.getvalue(), name)


def _plot(axes: "Axes", line: Curve, color: str) -> None:
    y = [np.nan if value is None else value for value in line.y]
    few = len(y) <= 60 and bool(line.low or len(y) <= 12)
    axes.plot(line.x, y, color=color, linewidth=1.6, label=line.name, marker="o" if few else None)
    if line.low:
        low, high = (
            [np.nan if value is None else value for value in ends] for ends in (line.low, line.high)
        )
        axes.fill_between(line.x, low, high, color=color, alpha=0.15, linewidth=0)


def _inline(svg: str, name: str) -> str:
    """Without the head of a file, as wide as its place, in the page's colours and letters."""
    start = svg.index("<svg ")
    found = _HEAD.match(svg, start)
    assert found is not None, "matplotlib writes a view box"
    head = f'<svg class="curve" viewBox="{found[1]}" role="img" aria-label="{escape(name)}">'
    body = re.sub(r"<metadata>.*?</metadata>", "", svg[found.end() :], flags=re.DOTALL)
    body = re.sub(r"font: ([^;\"]*?)px [^;\"]*", r"font-size: \1px", body)
    for color, variable in _VARIABLES.items():
        body = body.replace(color, variable)
    return head + body


def curves_of(
    x: Sequence[float], curves: Mapping[str, Sequence[float | None]], names: Mapping[str, str]
) -> list[Curve]:
    """Those of the named statistics that are there."""
    return [Curve(names[name], x, curves[name]) for name in names if name in curves]
