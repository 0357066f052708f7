"""Scores of classifiers on the page."""

from pathlib import Path

import pytest

from synthograph.core.interval import Interval
from synthograph.report import facts_models
from synthograph.report.classifications import drawings, of_classes, tables
from synthograph.report.write import write_report
from synthograph.results import ClassifierEvaluation
from synthograph.results.classification import (
    CalibrationCurve,
    ClassCurve,
    ClassifierRecord,
    ClassRisk,
    Estimated,
    ScoreValue,
)


def evaluation() -> ClassifierEvaluation:
    shared = {"images": 40, "groups": 20}
    scores = [
        ScoreValue(score="auroc", value=0.9, interval=Interval(0.85, 0.95), **shared),
        ScoreValue(score="auroc", unit="group", value=0.91, **shared),
        ScoreValue(score="auroc", column="site", level="b", value=None, images=7, groups=3),
    ]
    curve = ClassCurve(
        of_class="<bad>",
        auroc=0.9,
        average_precision=0.8,
        false_alarms=(0, 0.5, 1),
        sensitivity=(0, 0.9, 1),
        precision=(1, 0.8, 0.5),
    )
    thresholds = tuple(k / 10 for k in range(1, 10))
    worth = Estimated(value=0.3, interval=Interval(0.1, 0.5))
    risk = ClassRisk(
        of_class="<bad>",
        share=0.5,
        slope=Estimated(value=0.7, interval=Interval(0.4, 1.0)),
        intercept=Estimated(value=None),
        thresholds=thresholds,
        benefit=(worth,) * 9,
        everyone=tuple(0.5 - 0.5 * t / (1 - t) for t in thresholds),
        gain=(worth,) * 9,
    )
    return ClassifierEvaluation(
        model=ClassifierRecord(
            file="c.safetensors",
            sha256="0",
            backbone="lite0",
            data="cells.zip",
            counts={"good": {"real": 60, "synthetic": 20}, "<bad>": {"real": 40, "synthetic": 30}},
        ),
        data="cells.zip",
        split="test",
        images_hash="0",
        classes=("good", "<bad>"),
        scores=tuple(scores),
        confusion=((18, 2), (4, 16)),
        confusion_by_group=((9, 1), (3, 7)),
        calibration=CalibrationCurve(said=(0.6, 0.9), came=(0.5, 0.9), counts=(20, 20), error=0.05),
        curves=(curve,),
        risks=(risk,),
        majority=0.5,
        unlike=0,
        seed=0,
        version="1",
        extractor={},
        notes=("a note",),
        **shared,
    )


def test_every_class_against_the_others() -> None:
    rows = of_classes(evaluation()).rows
    assert rows[0][:5] == ["good", "20", "0.900", "0.800", "0.818"]
    assert rows[1] == ["<bad>", "20", "0.800", "0.900", "0.889", "0.900", "0.800"]


def test_tables_of_images_groups_and_columns() -> None:
    first, *_, by_site = tables(evaluation())
    assert first.notes[1] == "A group counts by the mean probability of its images."
    assert list(first.rows[0]) == ["AUROC", "0.900 (0.850 to 0.950)", "0.910"]
    assert list(by_site.rows[0]) == ["b", "7 of 3 groups", "–"]


def test_pictures_are_on_the_page_and_names_are_escaped(tmp_path: Path) -> None:
    file, page = tmp_path / "ev.json", tmp_path / "page.html"
    evaluation().save(file)
    write_report([file], page)
    html = page.read_text()
    assert html.count('class="square"') == 6
    assert "&lt;bad&gt;" in html
    assert "<bad>" not in html
    assert "70 real" not in html
    assert "100 real and 50 synthetic images" in html


def test_confusion_is_drawn_of_images_and_of_groups() -> None:
    images, groups = list(drawings(evaluation()))[-2:]
    assert images.startswith("Images by true class")
    assert groups.startswith("Groups, by the mean probability of their images, by true class")


@pytest.mark.parametrize(
    ("threshold", "said"),
    [
        (None, "The class with the largest one is decided."),
        (0.25, "<bad> is decided from 0.250 on"),
        ((0.5, 0.5), "The class with the largest one is decided."),
        ((0.8, 0.2), "largest multiple of these shares"),
    ],
)
def test_what_decides_is_said(threshold: float | tuple | None, said: str) -> None:
    found = evaluation()
    model = found.model.model_copy(update={"threshold": threshold})
    assert said in facts_models.output(found.model_copy(update={"model": model}))


def test_calibration_and_net_benefit_of_a_class() -> None:
    _, _, calibration, benefit, _ = tables(evaluation())
    assert list(calibration.rows[0]) == ["<bad>", "0.500", "0.700 (0.400 to 1.000)", "–"]
    assert len(calibration.notes) == 1
    assert [row[:4] for row in benefit.rows] == [
        ["<bad>", "0.1", "0.300", "0.444"],
        ["<bad>", "0.2", "0.300", "0.375"],
        ["<bad>", "0.3", "0.300", "0.286"],
        ["<bad>", "0.5", "0.300", "0.000"],
    ]
    assert benefit.rows[3][4] == "0.300 (0.100 to 0.500)"
    curve = next(svg for title, svg in drawings(evaluation()).items() if "net benefit" in title)
    assert "fill-opacity:.16" in curve  # the band of the intervals


def test_without_intervals_no_band_is_drawn_and_a_missing_slope_is_explained() -> None:
    found = evaluation()
    bare = found.risks[0].replace(slope=Estimated(value=None), benefit=(Estimated(value=0.3),) * 9)
    found = found.replace(risks=(bare,))
    assert not any("fill-opacity:.16" in svg for svg in drawings(found).values())
    assert list(tables(found))[2].notes[-1].startswith("There is no slope")


def test_by_vote_titles_say_so() -> None:
    found = evaluation().replace(combine="vote")
    assert list(drawings(found))[-1].startswith("Groups, by the vote of their images")
    assert next(tables(found)).notes[1] == "A group counts by the vote of its images."


def test_files_of_before_have_no_curves_and_no_confusion_by_group() -> None:
    later = ("curves", "confusion_by_group", "risks", "combine")
    old = ClassifierEvaluation.parse(
        {k: v for k, v in evaluation().tree().items() if k not in later}, "old.json"
    )
    assert len(drawings(old)) == 2
    assert later[1] not in old.tree()
