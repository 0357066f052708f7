"""Curves between 0 and 1, and matrices, as SVG inside the page."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

SIDE, LEFT, TOP = 240, 46, 8
ROW = 16
COLOURS = (
    *("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8a7f00", "#7a5195"),
    *("#b33a3a", "#3a7a6a", "#666666", "#a05a2c"),
)
"""Of curves, and so on anew: told apart by colour-blind people (Okabe and Ito 2008), then more."""
SHADE = "#0072b2"
LONGEST = 26


@dataclass(frozen=True)
class SquareLine:
    """A curve.

    Attributes:
        name: of the curve, in the legend.
        x, y: its points, 0 ... 1.
        marked: whether its points are drawn, too.
        low, high: of a band around it, if any.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float]
    marked: bool = False
    low: Sequence[float] = ()
    high: Sequence[float] = ()


def square(lines: Sequence[SquareLine], *, across: str, upright: str, name: str, even: bool) -> str:
    """An SVG element with curves and their legend.

    Args:
        lines: curves.
        across: label of the level axis.
        upright: label of the upright axis.
        name: of the picture, for readers who do not see it.
        even: whether the diagonal is drawn.
    """
    parts = list(_frame(across, upright))
    if even:
        parts.append(
            f'<line class="even" x1="{LEFT}" y1="{TOP + SIDE}" x2="{LEFT + SIDE}" y2="{TOP}"/>'
        )
    for number, line in enumerate(lines):
        parts += _curve(line, COLOURS[number % len(COLOURS)], number)
    height = TOP + SIDE + 44 + ROW * len(lines)
    return _svg(LEFT + SIDE + 10, height, name, parts)


def _frame(across: str, upright: str) -> Iterator[str]:
    yield f'<rect class="frame" x="{LEFT}" y="{TOP}" width="{SIDE}" height="{SIDE}"/>'
    for tick in (0, 0.25, 0.5, 0.75, 1):
        x, y = _place(tick, tick)
        yield f'<text class="mid muted" x="{x}" y="{TOP + SIDE + 15}">{tick:g}</text>'
        yield f'<text class="end muted" x="{LEFT - 6}" y="{y + 4}">{tick:g}</text>'
    middle = LEFT + SIDE / 2
    yield f'<text class="mid" x="{middle}" y="{TOP + SIDE + 32}">{escape(across)}</text>'
    y = TOP + SIDE / 2
    turned = f'x="10" y="{y}" transform="rotate(-90 10 {y})"'
    yield f'<text class="mid" {turned}>{escape(upright)}</text>'


def _place(x: float, y: float) -> tuple[float, float]:
    return round(LEFT + x * SIDE, 1), round(TOP + (1 - y) * SIDE, 1)


def _curve(line: SquareLine, colour: str, number: int) -> Iterator[str]:
    points = [_place(x, y) for x, y in zip(line.x, line.y, strict=True)]
    if line.low:
        around = [*line.low, *reversed(line.high)]
        band = _path(map(_place, [*line.x, *reversed(line.x)], around))
        yield f'<path d="{band}Z" style="fill:{colour};fill-opacity:.16;stroke:none"/>'
    yield f'<path d="{_path(points)}" stroke="{colour}"/>'
    if line.marked:
        for x, y in points:
            yield f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>'
    y = TOP + SIDE + 48 + ROW * number
    yield f'<rect x="{LEFT}" y="{y - 6}" width="14" height="3" fill="{colour}"/>'
    yield f'<text x="{LEFT + 20}" y="{y}">{escape(_short(line.name))}</text>'


def _path(points: Iterable[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{x} {y}" for x, y in points)


def matrix(rows: Sequence[Sequence[int]], names: Sequence[str], *, name: str) -> str:
    """A table of counts as an SVG element: cells are the darker the larger their share of the row.
    Rows and columns have the same names; `name` as of `square`.
    """
    cell = max(24, min(56, SIDE // max(len(names), 1)))
    left = 10 + 6.6 * max(len(_short(each)) for each in names)
    wide, parts = cell * len(names), []
    for r, row in enumerate(rows):
        y, total = TOP + r * cell, max(sum(row), 1)
        middle = y + cell / 2 + 4
        parts.append(f'<text class="end" x="{left - 6:.0f}" y="{middle}">{_label(names[r])}</text>')
        for c, count in enumerate(row):
            x, share = left + c * cell, count / total
            parts.append(
                f'<rect class="cell" x="{x:.1f}" y="{y}" width="{cell - 1}" height="{cell - 1}" '
                f'fill="{SHADE}" fill-opacity="{0.04 + 0.76 * share:.2f}"/>'
            )
            ink = ' fill="#fff" style="fill:#fff"' if share > 0.6 else ""
            at = f'x="{x + cell / 2:.1f}" y="{middle}"'
            parts.append(f'<text class="mid" {at}{ink}>{count}</text>')
    bottom = TOP + wide + 6
    for c, each in enumerate(names):
        x = left + (c + 0.5) * cell + 4
        turned = f"rotate(-90 {x:.1f} {bottom})"
        parts.append(
            f'<text class="end" x="{x:.1f}" y="{bottom}" transform="{turned}">{_label(each)}</text>'
        )
    return _svg(left + wide + 10, bottom + left, name, parts)


def _label(name: str) -> str:
    return escape(_short(name))


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else f"{name[: LONGEST - 1]}\u2026"


def _svg(width: float, height: float, name: str, parts: Sequence[str]) -> str:
    return (
        f'<svg class="square" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'aria-label="{escape(name)}">{"".join(parts)}</svg>'
    )
