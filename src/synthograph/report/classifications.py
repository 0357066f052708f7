"""Scores of classifiers in tables and pictures: the same words for the page and for the console."""

from collections.abc import Iterable, Iterator, Sequence

from synthograph.report.squares import SquareLine, matrix, square
from synthograph.report.tables import (
    TableText,
    score_cell,
    scores_title,
    size_cell,
    three,
    with_ends,
)
from synthograph.report.validations import fit_tree, history_tree
from synthograph.report.words import count, score_words
from synthograph.results.base import Tree
from synthograph.results.classification import ClassifierEvaluation, ClassRisk, ScoreValue

SHOWN = (
    *("auroc", "accuracy", "balanced_accuracy", "sensitivity", "specificity", "macro_f1", "brier"),
)
"""Scores of the parts by a column; the JSON file has all."""
AT = (0.1, 0.2, 0.3, 0.5)
"""Thresholds of the table of net benefit; the picture has all."""
COMBINED = {"mean": "the mean probability", "vote": "the vote"}


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
    if "group" in units:
        notes.append(f"A group counts by {COMBINED[found.combine]} of its images.")
    if len(found.classes) == 2:
        notes.append(f"Sensitivity and specificity are those of class {found.classes[1]}.")
    yield TableText(scores_title(found), head, rows, notes)
    yield of_classes(found)
    if found.risks:
        yield _calibration(found.risks)
        yield _benefit(found.risks)
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


def _calibration(risks: Sequence[ClassRisk]) -> TableText:
    """Slope and intercept of every class."""
    rows = [
        [
            each.of_class,
            three(each.share),
            with_ends(each.slope.value, each.slope.interval),
            with_ends(each.intercept.value, each.intercept.interval),
        ]
        for each in risks
    ]
    head = ["class", "share of the images", "calibration slope", "calibration intercept"]
    notes = [
        "With slope 1 and intercept 0 probabilities are, on the whole, neither too extreme nor too "
        "high or low; the reliability picture shows the rest. A slope below 1 says that they are "
        "too extreme, an intercept above 0 that the class comes true more often than is said. The "
        "intercept depends on the share of the class.",
    ]
    if any(each.slope.value is None for each in risks):
        notes.append(
            "There is no slope where the images are told apart without error, or where all "
            "probabilities are equal."
        )
    return TableText("Calibration of every class against the others", head, rows, notes)


def _benefit(risks: Sequence[ClassRisk]) -> TableText:
    """Net benefit at a few thresholds."""
    rows = []
    for each in risks:
        for at in AT:
            k = each.nearest(at)
            numbers = (each.benefit[k].value, max(each.everyone[k], 0.0))
            gain = with_ends(each.gain[k].value, each.gain[k].interval)
            rows.append([each.of_class, f"{at:g}", *map(three, numbers), gain])
    head = ["class", "acting from this probability on", "net benefit"]
    return TableText(
        "Standardised net benefit of acting on a class",
        [*head, "of acting on all or none", "gain"],
        rows,
        [
            "True positives less false positives times the odds of the threshold, divided by the "
            "images of the class: 1 finds all without a false alarm, 0 is acting on none. A "
            "classifier is worth using at a threshold where it gains something over acting on all "
            "images or on none, whichever is better. This depends on the share of the class, which "
            "may be another where the classifier is used.",
        ],
    )


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
    for risk in found.risks:
        pictures[
            f"Standardised net benefit of acting on {risk.of_class}, with 95 % intervals. 1 finds "
            "all without a false alarm, 0 is no better than acting on none. Less than 0 does harm, "
            "and is drawn at 0."
        ] = _decision(risk)
    for title, counts in confusions(found).items():
        pictures[f"{title}."] = matrix(counts, found.classes, name=f"{title}, {of}")
    return pictures


def _decision(risk: ClassRisk) -> str:
    """The decision curve as SVG."""

    def shown(values: Iterable[float | None]) -> list[float]:
        return [min(max(value or 0.0, 0.0), 1.0) for value in values]

    ends = [each.interval for each in risk.benefit if each.interval is not None]
    whole = len(ends) == len(risk.benefit)
    low, high = ([e.low for e in ends], [e.high for e in ends]) if whole else ([], [])
    return square(
        [
            SquareLine(
                "classifier",
                risk.thresholds,
                shown(each.value for each in risk.benefit),
                low=shown(low),
                high=shown(high),
            ),
            SquareLine("acting on all images", risk.thresholds, shown(risk.everyone)),
        ],
        across="acting from this probability on",
        upright="standardised net benefit",
        name=f"decision curve of {risk.of_class}",
        even=False,
    )


def confusions(found: ClassifierEvaluation) -> dict[str, Sequence[Sequence[int]]]:
    """Title and counts of the confusion matrices: of images, and of groups where they are fewer."""
    axes = "by true class (rows) and decided class (columns)"
    shown: dict[str, Sequence[Sequence[int]]] = {f"Images {axes}": found.confusion}
    if found.confusion_by_group:
        title = f"Groups, by {COMBINED[found.combine]} of their images, {axes}"
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
        "history": history_tree(found.model.history),
        "fit": fit_tree(found.model.fit),
        "notes": list(found.notes),
    }
