"""Scores of segmenters on the page and on the console."""

from pathlib import Path

from synthograph.core.interval import Interval
from synthograph.report.segmentations import tables
from synthograph.report.write import write_report
from synthograph.results import SegmenterEvaluation
from synthograph.results.segmentation import ClassCases, MaskScoreValue, SegmenterRecord


def evaluation() -> SegmenterEvaluation:
    shared = {"images": 40, "groups": 20}
    ends = Interval(0.85, 0.95)
    scores = [
        MaskScoreValue(score="dice", value=0.9, interval=ends, **shared),
        MaskScoreValue(score="dice", of_class="core", value=0.91, interval=ends, **shared),
        MaskScoreValue(score="dice", of_class="rare", value=None, **shared),
        MaskScoreValue(score="dice", unit="group", value=0.88, **shared),
        MaskScoreValue(score="dice", column="site", level="b", value=0.8, images=7, groups=3),
    ]
    return SegmenterEvaluation(
        model=SegmenterRecord(
            file="s.safetensors",
            sha256="0",
            network="unet",
            data="cells.zip",
            counts={"real": 100, "synthetic": 50},
        ),
        data="cells.zip",
        split="test",
        images_hash="0",
        classes=("back", "core", "rare"),
        scores=tuple(scores),
        titles={"dice": "Dice, mean over images"},
        cases=(ClassCases(of_class="core", both=38, missed=2, false_alarms=0, neither=0),),
        rules=("a rule",),
        without=0,
        ignored=0.0,
        seed=0,
        version="1",
        notes=("a note",),
        **shared,
    )


def test_every_row_has_a_cell_per_column() -> None:
    found = list(tables(evaluation()))
    assert [len(each.rows) for each in found] == [2, 1, 1]
    for table in found:
        assert {len(row) for row in table.rows} == {len(table.head)}, table
    assert found[0].rows[0] == [
        "Dice, mean over images",
        "0.900 (0.850 to 0.950)",
        "0.910 (0.850 to 0.950)",
        "–",
    ]
    assert found[1].rows[0] == ["site=b", "7 of 3 groups", "0.800"]


def test_the_page_holds_the_scores(tmp_path: Path) -> None:
    evaluation().save(tmp_path / "s.json")
    written = write_report([tmp_path / "s.json"], tmp_path / "page.html")
    page = written.page.read_text()
    assert "Segmenter s.safetensors" in page and "0.910 (0.850 to 0.950)" in page
    assert "a rule" in page and "100 real and 50 synthetic" in page
