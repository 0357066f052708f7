"""Differences with their intervals as SVG inside the page, in the colours of its style."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

ROW, WIDTH = 26, 780
LEFT, RIGHT = 210, 590
"""Between names and numbers."""
LONGEST = 30
"""Letters of a name; the tables have all of them."""
TICKS = 6
"""Marks of the axis, at most."""


@dataclass(frozen=True)
class Line:
    """A row: a heading where it has no value, else a difference.

    Attributes:
        name: of the row.
        value: the difference.
        ends: of its interval.
        text: difference and interval in words.
        strong: whether the study is about it.
    """

    name: str
    value: float | None = None
    ends: tuple[float, float] | None = None
    text: str = ""
    strong: bool = False


def forest(lines: Sequence[Line], *, label: str, margin: float | None, name: str) -> str:
    """An SVG element.

    Args:
        lines: rows from top to bottom.
        label: of the axis.
        margin: where a loss begins to matter; None where no margin was fixed.
        name: of the picture, for readers who do not see it.
    """
    ticks = _ticks([0.0, *_shown(lines), *([] if margin is None else [margin])])

    def place(value: float) -> float:
        return LEFT + (value - ticks[0]) / (ticks[-1] - ticks[0]) * (RIGHT - LEFT)

    bottom = ROW * len(lines) + 6
    parts = [_upright(place(0), bottom, "zero")]
    if margin is not None:
        parts.append(_upright(place(margin), bottom, "margin"))
        parts.append(_text(place(margin), bottom + 34, "margin", "mid"))
    parts += [_text(place(tick), bottom + 17, _number(tick), "mid") for tick in ticks]
    parts.append(_text((LEFT + RIGHT) / 2, bottom + 52, label, "mid"))
    for number, line in enumerate(lines):
        parts += _row(line, ROW * number + ROW / 2, place)
    return (
        f'<svg class="forest" viewBox="0 0 {WIDTH} {bottom + 60}" role="img" '
        f'aria-label="{escape(name)}">{"".join(parts)}</svg>'
    )


def _shown(lines: Sequence[Line]) -> Iterator[float]:
    for line in lines:
        if line.value is not None:
            yield from (line.value, *(line.ends or ()))


def _ticks(values: Sequence[float]) -> list[float]:
    """Round numbers from below the smallest to above the largest value."""
    low, high = min(values), max(values)
    wide = max(high - low, 1e-3) / (TICKS - 2)
    power = 10.0 ** math.floor(math.log10(wide))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= wide)
    first = math.floor(low / step)
    return [step * n for n in range(first, max(math.ceil(high / step), first + 1) + 1)]


def _number(value: float) -> str:
    return f"{round(value, 6) + 0.0:g}".replace("-", "\N{MINUS SIGN}")


def _row(line: Line, y: float, place: Callable[[float], float]) -> Iterator[str]:
    short = line.name if len(line.name) <= LONGEST else f"{line.name[: LONGEST - 1]}…"
    if line.value is None:
        yield _text(0, y + 4, line.name, "head")
        return
    kind = "strong" if line.strong else "plain"
    yield _text(12, y + 4, short, kind)
    yield _text(WIDTH, y + 4, line.text, f"end {kind}")
    if line.ends is not None:
        low, high = map(place, line.ends)
        yield f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y}" y2="{y}" class="{kind}"/>'
    size = 5 if line.strong else 4
    x = place(line.value)
    yield f'<rect x="{x - size:.1f}" y="{y - size}" width="{2 * size}" height="{2 * size}"/>'


def _upright(x: float, bottom: float, kind: str) -> str:
    return f'<line x1="{x:.1f}" x2="{x:.1f}" y1="2" y2="{bottom}" class="{kind}"/>'


def _text(x: float, y: float, text: str, kind: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}">{escape(text)}</text>'
