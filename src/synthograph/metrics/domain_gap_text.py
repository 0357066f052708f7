"""A domain gap for the console and as a picture."""

import io
from typing import TYPE_CHECKING

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from synthograph.metrics.report_text import interval_text, number
from synthograph.results.domain_gap import DomainGap, Gap

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000", "#F0E442")
"""Okabe and Ito 2008: distinguishable with every kind of colour vision."""
MARKERS = "osD^vP*X"
INCHES, DOTS = (8.0, 6.4), 150


def table(gap: DomainGap) -> RenderableType:
    """All of it for a terminal: a row and a sentence per pair."""
    sizes = Table(box=box.SIMPLE, pad_edge=False)
    for name in ("set", "origin", "images", "groups"):
        sizes.add_column(name, justify="right" if name in ("images", "groups") else "left")
    for each in gap.sets:
        counts = (str(each.images), str(each.groups))
        sizes.add_row(Text(each.name), each.origin, *counts)
    pairs = Table(box=box.SIMPLE, pad_edge=False)
    for name in ("pair", "features"):
        pairs.add_column(name)
    for name in ("kernel", "95 % interval", "floors", "AUC", "95 % interval", "accuracy", "p"):
        pairs.add_column(name, justify="right")
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
    for layer in range(layers):
        for place in range(len(gap.sets)):
            rows = np.flatnonzero(sets == place)[layer::layers]
            axes.scatter(
                points[rows, 0],
                points[rows, 1],
                s=size,
                c=COLOURS[place % len(COLOURS)],
                marker=MARKERS[place % len(MARKERS)],
                alpha=0.75,
                linewidths=0.3,
                edgecolors="white",
                zorder=2 + layer,
            )
    for place, each in enumerate(gap.sets):
        shown = int((sets == place).sum())
        axes.scatter(
            [],
            [],
            s=50,
            c=COLOURS[place % len(COLOURS)],
            marker=MARKERS[place % len(MARKERS)],
            label=f"{each.name} ({shown} {each.origin} images)".replace("$", r"\$"),
        )
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(f"{gap.map.about}\nfeatures: {gap.map.extractor}", fontsize=10)
    figure.legend(loc="outside lower center", ncols=1 if len(gap.sets) > 4 else 2, fontsize=9)
    return figure
