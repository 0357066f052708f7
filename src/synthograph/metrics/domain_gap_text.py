"""A domain gap for the console and as a picture."""

import io
import itertools
from functools import partial
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.text import Text

from synthograph.metrics.report_text import empty_table, interval_text, number
from synthograph.results.domain_gap import DomainGap, Gap

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#F0E442")
"""Okabe and Ito 2008: distinguishable with every kind of colour vision."""
MARKERS = "osD^vP*X"
INCHES, DOTS = (8.0, 6.4), 150


def table(gap: DomainGap) -> RenderableType:
    """All of it for a terminal: a row and a sentence per pair."""
    sizes = empty_table(("set", "origin"), ("images", "groups"))
    for each in gap.sets:
        sizes.add_row(Text(each.name), each.origin, str(each.images), str(each.groups))
    numbers = ("kernel", "95 % interval", "floors", "AUC", "95 % interval", "accuracy", "p")
    pairs = empty_table(("pair", "features"), numbers)
    for pair in gap.pairs:
        pairs.add_row(*_cells(pair))
    lines = [*(pair.sentence for pair in gap.pairs), *gap.notes]
    return Group(sizes, pairs, *(Text(f"- {line}") for line in lines))


def _cells(pair: Gap) -> list[str | Text]:
    kernel, classifier = pair.kernel, pair.classifier
    below = [floor.value for floor in (pair.floor.one, pair.floor.other) if floor is not None]
    return [
        Text(f"{pair.one} | {pair.other}"),
        pair.extractor,
        number(kernel.value),
        interval_text(kernel.interval),
        ", ".join(number(value) for value in below) or "-",
        number(classifier.auc),
        interval_text(classifier.interval),
        number(classifier.accuracy),
        number(classifier.p_adjusted),
    ]


def draw(gap: DomainGap, kind: str = "png") -> bytes:
    """The map as a picture: colour and shape of a point tell its set.

    Args:
        gap: with its map.
        kind: `png` or `svg`.
    """
    from matplotlib import rc_context

    figure = _figure(gap)
    file = io.BytesIO()
    # a fixed salt and no date: the same map is the same file
    with rc_context({"svg.hashsalt": "synthograph", "svg.fonttype": "none"}):
        figure.savefig(
            file, format=kind, dpi=DOTS, metadata={"Date": None} if kind == "svg" else {}
        )
    return file.getvalue()


def _figure(gap: DomainGap) -> "Figure":
    """Points of sets mixed in drawing order, so that no set hides another."""
    import numpy as np
    from matplotlib.figure import Figure

    figure = Figure(figsize=INCHES, layout="constrained")
    axes = figure.add_subplot()
    points, sets = np.array(gap.map.points), np.array(gap.map.set)
    size = float(np.clip(12_000 / len(points), 8, 60))
    layers = 8
    dots = partial(axes.scatter, alpha=0.75, linewidths=0.3, edgecolors="white")
    looks = list(zip(gap.sets, itertools.cycle(COLOURS), itertools.cycle(MARKERS), strict=False))
    for layer, (place, (_, colour, marker)) in itertools.product(range(layers), enumerate(looks)):
        rows = np.flatnonzero(sets == place)[layer::layers]
        x, y = points[rows].T
        dots(x, y, s=size, c=colour, marker=marker, zorder=2 + layer)
    for place, (each, colour, marker) in enumerate(looks):
        shown = int((sets == place).sum())
        name = f"{each.name} ({shown} {each.origin} images)".replace("$", r"\$")
        axes.scatter([], [], s=50, c=colour, marker=marker, label=name)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(f"{gap.map.about}\nfeatures: {gap.map.extractor}", fontsize=10)
    figure.legend(loc="outside lower center", ncols=1 if len(gap.sets) > 4 else 2, fontsize=9)
    return figure
