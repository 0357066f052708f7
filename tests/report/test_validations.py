"""How a training went, as curves on the page and as a file."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthograph.core.errors import UserError
from synthograph.report.validations import curves_png, drawings, panels, settings_text
from synthograph.report.write import write_report
from synthograph.results import ClassifierEvaluation, SegmenterEvaluation
from synthograph.results.validations import Fit, Validation, ValidationHistory
from tests.report import test_classifications, test_segmentations


def history(score: str = "auroc", *values: float | None) -> ValidationHistory:
    tried = [
        Validation(step=10 * (place + 1), value=value, loss=0.5, training=0.4, rate=1e-3)
        for place, value in enumerate(values or (0.6, 0.9, None, 0.8))
    ]
    return ValidationHistory(score=score, tried=tuple(tried))


def test_what_older_files_leave_open_is_no_setting() -> None:
    settings = {"steps": 8, "every": None, "precision": "auto", "transforms": {}}
    fit = Fit(settings=settings, start="begins with random numbers", environments=())
    assert settings_text(fit) == "steps at most: 8; augmentation: none"


def test_losses_and_the_score_that_chose() -> None:
    (losses, _), (score, caption) = panels(history())
    assert [line.name for line in losses.lines] == ["training images", "validation images"]
    assert score.lines[0].y == [0.6, 0.9, None, 0.8]
    assert losses.chosen == score.chosen == 20
    segmenter = ValidationHistory(
        score="dice", tried=(Validation(step=1, value=0.5, training=1.0),)
    )
    (loss, words), _ = panels(segmenter)
    assert [line.name for line in loss.lines] == ["training images"]
    assert "Where the second rises" not in words
    assert losses.across == "steps" and score.label == "AUROC, validation"
    assert "too good for a report" in caption


def test_a_score_of_which_less_is_better_is_shown_as_it_is() -> None:
    found = history("brier", -0.5, -0.2, -0.3)
    assert found.chosen.step == 20
    assert [*panels(found)][1][0].lines[0].y == [0.5, 0.2, 0.3]


def test_older_segmenters_know_the_score_only() -> None:
    tree = {"score": "dice:core", "tried": [{"step": 5, "value": 0.3}, {"step": 10, "value": 0.2}]}
    ((score, _),) = panels(ValidationHistory.parse(tree, "s"))
    assert (score.label, score.chosen) == ("dice:core, validation", 5)
    with pytest.raises(UserError):
        ValidationHistory.parse({"score": "auroc", "tried": []}, "s")


def test_a_picture_shows_both_and_where_the_chosen_step_is() -> None:
    shown = np.asarray(Image.open(io.BytesIO(curves_png(history()))).convert("RGB")).astype(int)
    assert shown.shape[1] > 3 * shown.shape[0]
    assert (shown[0, 0] == 255).all()
    teal = (np.abs(shown - (0x0B, 0x6E, 0x66)).sum(2) < 30).sum(0)
    half = shown.shape[1] // 2
    assert teal[:half].any() and teal[half:].any()
    line = (np.abs(shown - (0x66, 0x70, 0x6C)).sum(2) < 60).sum(0)
    assert line[:half].max() > shown.shape[0] / 2 < line[half:].max()


def test_the_page_shows_how_a_network_was_trained(tmp_path: Path) -> None:
    of_classifier, of_segmenter = test_classifications.evaluation(), test_segmentations.evaluation()
    paths = []
    for name, found in {"c": of_classifier, "d": of_classifier, "s": of_segmenter}.items():
        known = None if name == "d" else history("dice" if name == "s" else "auroc")
        model = found.model.model_copy(update={"history": known})
        paths.append(tmp_path / f"{name}.json")
        found.model_copy(update={"model": model}).save(paths[-1])
    kinds = (ClassifierEvaluation, ClassifierEvaluation, SegmenterEvaluation)
    read = [kind.load(path) for kind, path in zip(kinds, paths, strict=True)]
    assert [each.model.history is None for each in read] == [False, True, False]
    assert "history" not in paths[1].read_text()
    content = write_report(paths, tmp_path / "page.html").content
    html = (tmp_path / "page.html").read_text()
    assert html.count('class="curve"') == 4
    assert html.count("learns images by heart") == html.count("at the vertical line, so") == 2
    assert content.classifications[0]["history"]["chosen"] == 20
    assert drawings(None, "nothing") == []
