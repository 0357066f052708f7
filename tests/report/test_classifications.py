"""Scores of classifiers on the page."""

from pathlib import Path

from synthograph.core.interval import Interval
from synthograph.report.classifications import drawings, of_classes, tables
from synthograph.report.write import write_report
from synthograph.results import ClassifierEvaluation
from synthograph.results.classification import (
    CalibrationCurve,
    ClassCurve,
    ClassifierRecord,
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
    first, _, by_site = tables(evaluation())
    assert list(first.rows[0]) == ["AUROC", "0.900 (0.850 to 0.950)", "0.910"]
    assert list(by_site.rows[0]) == ["b", "7 of 3 groups", "–"]


def test_pictures_are_on_the_page_and_names_are_escaped(tmp_path: Path) -> None:
    file, page = tmp_path / "ev.json", tmp_path / "page.html"
    evaluation().save(file)
    write_report([file], page)
    html = page.read_text()
    assert html.count('class="square"') == 5
    assert "&lt;bad&gt;" in html
    assert "<bad>" not in html
    assert "70 real" not in html
    assert "100 real and 50 synthetic images" in html


def test_confusion_is_drawn_of_images_and_of_groups() -> None:
    images, groups = list(drawings(evaluation()))[-2:]
    assert images.startswith("Images by true class")
    assert groups.startswith("Groups, by the mean probability of their images, by true class")


def test_files_of_before_have_no_curves_and_no_confusion_by_group() -> None:
    later = ("curves", "confusion_by_group")
    old = ClassifierEvaluation.parse(
        {k: v for k, v in evaluation().tree().items() if k not in later}, "old.json"
    )
    assert len(drawings(old)) == 2
    assert later[1] not in old.tree()
