"""Memorisation by recovery in words, a table and a picture, for the page and the console."""

from collections.abc import Iterator

from synthograph.report.curves import Curve, Panel, draw
from synthograph.report.tables import TableText
from synthograph.report.words import as_sentence, count, percent
from synthograph.results.authenticity import Authenticity, RecoveredSet, RecoveryAnswer
from synthograph.results.base import Tree
from synthograph.results.pairs import Spread

ROLES = {
    "train": "training images",
    "held-out": "held-out images",
    "own": "the generator's own images",
}
MEANING = {
    RecoveryAnswer.SIGNS: (
        "The generator comes closer to its training images than to held-out ones, as one that "
        "memorises does. Project more images to be surer, and do not share it before the cause "
        "is known."
    ),
    RecoveryAnswer.OPEN: (
        "Training images are reached a little more closely than held-out ones. Chance explains "
        "that in up to one of five such tests, so project more images before you decide."
    ),
    RecoveryAnswer.NOT_SHOWN: (
        "As far as these images can show, training and held-out images are reached alike."
    ),
    RecoveryAnswer.UNDECIDABLE: "These images cannot answer the question.",
}


def tables(found: Authenticity) -> Iterator[TableText]:
    """How closely every set is reached: medians with quartiles."""
    rows = [
        [
            ROLES.get(each.role, each.role),
            count(each.size.images),
            count(each.size.groups),
            _shares(each.pixel),
            _spread(each.perceptual),
            _spread(each.cosine),
            percent(each.as_close_as_own),
        ]
        for each in found.sets
    ]
    head = ["set", "images", "groups", "pixels", "perceptual", "cosine", "as close as own"]
    notes = ["distances are medians, with quartiles in brackets; smaller is closer"]
    if found.recoverable is not None:
        notes.append(
            f"the search reaches {percent(found.recoverable)} of the generator's own images with "
            "a PSNR above 30 dB"
        )
    if found.of("own") is not None:
        notes.append("as close as own: images reached as closely as 9 of 10 of the generator's own")
    yield TableText(f"How closely {found.network} reaches real images", head, rows, notes)


def _shares(found: Spread) -> str:
    return f"{percent(found.median)} ({percent(found.q1)} to {percent(found.q3)})"


def _spread(found: Spread | None) -> str:
    if found is None:
        return "–"
    return f"{found.median:.3f} ({found.q1:.3f} to {found.q3:.3f})"


def recovery_tree(found: Authenticity) -> Tree:
    """The comparison for the page."""
    return {
        "network": found.network,
        "answer": found.answer.value,
        "meaning": MEANING[found.answer],
        "sentence": as_sentence(found.sentence),
        "rule": found.rule,
        "tables": [each.tree() for each in tables(found)],
        "limits": list(map(as_sentence, found.limits)),
        "notes": list(found.notes),
    }


def histogram(found: Authenticity, name: str) -> str:
    """Differences of pixels of training and held-out images, as SVG; a line at the median of the
    generator's own.
    """
    sets = [each for role in ("train", "held-out") if (each := found.of(role)) is not None]
    own, across = found.of("own"), "difference of pixels, % of the range"
    alarms = () if own is None else [100 * own.pixel.median]
    return draw(Panel([_curve(each) for each in sets], "share of images, %", across, alarms), name)


def _curve(of: RecoveredSet) -> Curve:
    edges, total = of.histogram.edges, max(sum(of.histogram.counts), 1)
    middles = [50 * (low + high) for low, high in zip(edges[:-1], edges[1:], strict=True)]
    return Curve(ROLES[of.role], middles, [100 * n / total for n in of.histogram.counts])
