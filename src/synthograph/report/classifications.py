"""Scores of classifiers in tables and pictures: the same words for the page and for the console."""

from collections.abc import Iterator, Sequence

from synthograph.report.squares import SquareLine, matrix, square
from synthograph.report.tables import TableText, score_cell, scores_title, size_cell, three
from synthograph.report.words import count
from synthograph.results.base import Tree
from synthograph.results.classification import ClassifierEvaluation, ScoreValue

SHOWN = ("auroc", "balanced_accuracy", "sensitivity", "specificity", "macro_f1", "brier")
"""Scores of the parts by a column; the JSON file has all."""
TITLES = {"auroc": "AUROC", "macro_f1": "macro F1", "brier": "Brier score"}


def tables(found: ClassifierEvaluation) -> Iterator[TableText]:
    """Scores by image and by group, of every class, and by the values of columns."""
    whole = [each for each in found.scores if not each.column]
    units = list(dict.fromkeys(each.unit for each in whole))
    rows = [
        [score_words(name), *(_cell(whole, name, unit) for unit in units)]
        for name in dict.fromkeys(each.score for each in whole)
    ]
    head = ["score", *(f"by {unit}" for unit in units)]
    notes = [f"Always saying the most frequent class has accuracy {three(found.majority)}."]
    if len(found.classes) == 2:
        notes.append(f"Sensitivity and specificity are those of class {found.classes[1]}.")
    yield TableText(scores_title(found), head, rows, notes)
    yield of_classes(found)
    yield from _by_column(found)


def of_classes(found: ClassifierEvaluation) -> TableText:
    """Every class against the others."""
    curves = {each.of_class: each for each in found.curves}
    columns = list(zip(*found.confusion, strict=True))
    total = sum(map(sum, found.confusion))
    rows = []
    for k, name in enumerate(found.classes):
        own, said, hits = sum(found.confusion[k]), sum(columns[k]), found.confusion[k][k]
        others = total - own
        curve = curves.get(name)
        rows.append(
            [
                name,
                count(own),
                _share(hits, own),
                _share(others - (said - hits), others),
                _share(hits, said),
                "–" if curve is None else three(curve.auroc),
                "–" if curve is None else three(curve.average_precision),
            ]
        )
    head = ["class", "images", "sensitivity", "specificity", "precision", "AUROC"]
    return TableText("Every class against the others", [*head, "average precision"], rows)


def _share(part: int, whole: int) -> str:
    return three(part / whole) if whole else "–"


def _by_column(found: ClassifierEvaluation) -> Iterator[TableText]:
    """A table per column: a row for each of its values."""
    parts = [each for each in found.scores if each.column]
    for column in dict.fromkeys(each.column for each in parts):
        own = [each for each in parts if each.column == column]
        names = [name for name in SHOWN if any(each.score == name for each in own)]
        rows = []
        for level in dict.fromkeys(each.level for each in own):
            here = [each for each in own if each.level == level]
            rows.append(
                [level or "(none)", size_cell(here[0]), *(_cell(here, name) for name in names)]
            )
        yield TableText(f"By {column}", [column, "images", *map(score_words, names)], rows)


def score_words(score: str) -> str:
    """The name of a score for readers."""
    return TITLES.get(score, score.replace("_", " "))


def _cell(values: list[ScoreValue], name: str, unit: str = "image") -> str:
    value = next((each for each in values if (each.score, each.unit) == (name, unit)), None)
    return score_cell(value)


def drawings(found: ClassifierEvaluation) -> dict[str, str]:
    """Caption and SVG of the pictures of an evaluation."""
    of = found.model.file
    pictures = {}
    if found.curves:
        pictures["ROC curves, one class against the others. The dashed line is chance."] = square(
            [
                SquareLine(f"{c.of_class} ({three(c.auroc)})", c.false_alarms, c.sensitivity)
                for c in found.curves
            ],
            across="1 \u2212 specificity",
            upright="sensitivity",
            name=f"ROC curves of {of}",
            even=True,
        )
        pictures["Precision over sensitivity (recall)."] = square(
            [
                SquareLine(
                    f"{c.of_class} ({three(c.average_precision)})", c.sensitivity, c.precision
                )
                for c in found.curves
            ],
            across="sensitivity",
            upright="precision",
            name=f"precision and sensitivity of {of}",
            even=False,
        )
    said = found.calibration
    pictures[
        "How often a class came true that was said with a probability, in bins of equally many "
        "images. On the dashed line probabilities can be believed."
    ] = square(
        [SquareLine(f"calibration error {three(said.error)}", said.said, said.came, marked=True)],
        across="probability that was said",
        upright="share that was right",
        name=f"reliability of {of}",
        even=True,
    )
    for title, counts in confusions(found).items():
        pictures[f"{title}."] = matrix(counts, found.classes, name=f"{title}, {of}")
    return pictures


def confusions(found: ClassifierEvaluation) -> dict[str, Sequence[Sequence[int]]]:
    """Title and counts of the confusion matrices: of images, and of groups where they are fewer."""
    axes = "by true class (rows) and decided class (columns)"
    shown: dict[str, Sequence[Sequence[int]]] = {f"Images {axes}": found.confusion}
    if found.confusion_by_group:
        title = f"Groups, by the mean probability of their images, {axes}"
        shown[title] = found.confusion_by_group
    return shown


def classification_tree(found: ClassifierEvaluation) -> Tree:
    """Scores of a classifier for the page."""
    counts = found.model.counts.values()
    return {
        "name": found.model.file,
        "backbone": found.model.backbone,
        "trained_on": found.model.data,
        "counts": {kind: sum(of[kind] for of in counts) for kind in ("real", "synthetic")},
        "tables": [each.tree() for each in tables(found)],
        "curves": [each.tree() for each in found.curves],
        "notes": list(found.notes),
    }
