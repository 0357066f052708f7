"""Scores of segmenters in tables: the same words for the page and for the console."""

from collections.abc import Iterator, Sequence

from synthograph.report.tables import TableText, score_cell, scores_title, size_cell
from synthograph.report.validations import fit_tree, history_tree
from synthograph.report.words import count
from synthograph.results.base import Tree
from synthograph.results.segmentation import MEAN, MaskScoreValue, SegmenterEvaluation

OF_GROUPS = {
    "dice": "Dice, mean over groups, pixels of a group together",
    "iou": "IoU, mean over groups, pixels of a group together",
}
"""Scores of groups that are shown."""


def tables(found: SegmenterEvaluation) -> Iterator[TableText]:
    """Scores by class, by the values of columns, and empty cases with their rules."""
    whole = [each for each in found.scores if not each.column]
    rows = [
        (title, [each for each in whole if (each.score, each.unit) == (score, unit)])
        for unit, titles in (("image", found.titles), ("group", OF_GROUPS))
        for score, title in titles.items()
    ]
    yield _table(scores_title(found), rows)
    parts = [each for each in found.scores if each.column and each.score == "dice"]
    levels = dict.fromkeys((each.column, each.level) for each in parts)
    if levels:
        rows = [
            (f"{column}={level}", [e for e in parts if (e.column, e.level) == (column, level)])
            for column, level in levels
        ]
        yield _table("Dice, mean over images, by part", rows, sizes=True)
    yield _cases(found)


def _table(
    title: str, rows: Sequence[tuple[str, Sequence[MaskScoreValue]]], *, sizes: bool = False
) -> TableText:
    """A column for the mean over the classes, and for each class."""
    rows = [row for row in rows if row[1]]
    heads = list(dict.fromkeys(value.of_class for _, values in rows for value in values))
    cells = []
    for name, values in rows:
        of_class = {value.of_class: value for value in values}
        size = [size_cell(values[0])] * sizes
        cells.append([name, *size, *(score_cell(of_class.get(head)) for head in heads)])
    named = [head if head != MEAN else "mean" for head in heads]
    return TableText(title, ["", *(["images"] * sizes), *named], cells)


def _cases(found: SegmenterEvaluation) -> TableText:
    head = ["class", "in both", "missed", "false alarms", "in neither"]
    rows = [
        [each.of_class, *map(count, (each.both, each.missed, each.false_alarms, each.neither))]
        for each in found.cases
    ]
    return TableText("Images in which the truth and the prediction have a class", head, rows)


def segmentation_tree(found: SegmenterEvaluation) -> Tree:
    """Scores of a segmenter for the page."""
    return {
        "name": found.model.file,
        "network": found.model.network,
        "trained_on": found.model.data,
        "counts": dict(found.model.counts),
        "tables": [each.tree() for each in tables(found)],
        "history": history_tree(found.model.history),
        "fit": fit_tree(found.model.fit),
        "notes": [*found.rules, *found.notes],
    }
