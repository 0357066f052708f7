"""Curves as SVG inside the page: colours are those of its style, light or dark."""

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MAX_POINTS = 400
SIZE = (5.2, 2.7)
"""Inches; a dot is a 72nd."""
DOTS = 150
"""Of an inch of a picture that is a file."""


class Palette(NamedTuple):
    """Colours, called as in the style sheet."""

    ink: str
    muted: str
    accent: str
    second: str
    signal: str
    rule: str


PAGE = Palette(*(f"#01020{digit}" for digit in range(6)))
"""Colours that nobody else draws with; on the page those of its style sheet take their place."""
PAPER = Palette("#1d2321", "#66706c", "#0b6e66", "#b9772a", "#b3402a", "#e3e1da")
"""Those of the style sheet by day, for a picture that is a file."""
INK, MUTED, ACCENT, SECOND, SIGNAL, RULE = PAGE
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


@dataclass(frozen=True)
class Panel:
    """Curves over one level axis, at most two, with the labels of both axes; vertical lines stand
    at alarms, and where a step was chosen.
    """

    lines: Sequence[Curve]
    label: str
    across: str = "thousand images shown"
    alarms: Sequence[float] = ()
    chosen: float | None = None

    def paint(self, axes: "Axes", colours: Palette) -> None:
        """Draw them."""
        axes.grid(axis="y", color=colours.rule, linewidth=0.6)
        axes.set_axisbelow(True)
        for x in self.alarms:
            axes.axvline(x, color=colours.signal, linewidth=1, linestyle=(0, (2, 2)))
        for line, color in zip(self.lines, (colours.accent, colours.second), strict=False):
            _plot(axes, thinned(line), color)
        if self.chosen is not None:
            axes.axvline(
                self.chosen, color=colours.muted, linewidth=1.2, zorder=1, label="chosen step"
            )
        axes.set_xlabel(self.across)
        axes.set_ylabel(self.label)
        if len(self.lines) > 1:
            axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(0, 1.2), ncols=3)


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


def draw(panel: Panel, name: str) -> str:
    """A panel as an SVG element; `name` as of `painted`."""
    return painted(lambda figure: panel.paint(figure.add_subplot(), PAGE), SIZE, name)


def picture(panels: Sequence[Panel]) -> bytes:
    """PNG bytes of curves side by side, in the page's colours on white."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_settings(PAPER)):
        figure = Figure(figsize=(SIZE[0] * len(panels), SIZE[1]), dpi=DOTS, layout="constrained")
        for place, panel in enumerate(panels, start=1):
            panel.paint(figure.add_subplot(1, len(panels), place), PAPER)
        file = io.BytesIO()
        figure.savefig(file, format="png")
    return file.getvalue()


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

    with mpl.rc_context({**_settings(PAGE), "svg.fonttype": "none", "svg.hashsalt": name}):
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


def _settings(colours: Palette) -> dict[Any, Any]:
    """Of matplotlib."""
    return {
        "font.size": 10,
        "text.parse_math": False,
        "axes.edgecolor": colours.rule,
        "axes.labelcolor": colours.muted,
        "text.color": colours.ink,
        "xtick.color": colours.muted,
        "ytick.color": colours.muted,
        "axes.spines.top": False,
        "axes.spines.right": False,
    }


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
    for color, variable in zip(PAGE, Palette._fields, strict=True):
        body = body.replace(color, f"var(--{variable})")
    return head + body
