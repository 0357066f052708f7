"""The best snapshot, patience and alarms as functions of what was measured."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from synthograph.training import alarms, model_selection
from synthograph.training.state import Score, TrainingProgress


def measured(tmp_path: Path, *rows: dict, names: tuple[str, ...] = ()) -> TrainingProgress:
    """A run with a snapshot for every row of measures; numbers have intervals of +- 0.05."""
    progress = TrainingProgress()
    for place, row in enumerate(rows):
        progress.images += 1000
        path = tmp_path / (names[place] if names else f"generator-{place + 1:06d}.safetensors")
        path.write_bytes(bytes([place]))
        scores = [
            Score(
                name,
                value,
                None if value is None else (value - 0.05, value + 0.05, 0.95),
                smaller=name == "frechet",
                leads=name == "frechet",
            )
            for name, value in row.items()
        ]
        model_selection.record_scores(progress, path, scores)
    return TrainingProgress.parse(json.loads(json.dumps(asdict(progress))))  # as states keep it


def values(*numbers: float | None) -> list[dict]:
    return [{"frechet": number} for number in numbers]


def test_the_best_is_the_first_of_the_smallest(tmp_path: Path) -> None:
    progress = measured(tmp_path, *values(3.0, 1.0, 2.0, 1.0))
    found = model_selection.best_document(progress, "random-vgg16")
    assert found is not None
    assert (found.snapshot, found.value, found.kimg) == ("generator-000002.safetensors", 1.0, 2)
    assert found.tree()["interval"] == [0.95, 1.05, 0.95] and found.measure == "frechet"
    assert len(found.sha256) == 64
    assert model_selection.since_best(progress) == 2
    assert model_selection.describe_best(progress) == (
        "best by frechet: generator-000002.safetensors with 1; 2 snapshots since then"
    )


def test_larger_is_better_where_a_measure_says_so(tmp_path: Path) -> None:
    progress = measured(tmp_path)
    for place, value in enumerate((0.2, 0.6, 0.4)):
        path = tmp_path / f"generator-{place:06d}.safetensors"
        path.write_bytes(b"x")
        model_selection.record_scores(
            progress, path, [Score("coverage", value, None, smaller=False, leads=True)]
        )
    found = model_selection.best_document(progress, "random-vgg16")
    assert found is not None and found.value == 0.6 and found.interval is None


def test_patience_counts_snapshots_with_a_number(tmp_path: Path) -> None:
    assert not model_selection.patience_exhausted(measured(tmp_path), 1)
    assert model_selection.best_document(measured(tmp_path, *values(None)), "x") is None
    assert not model_selection.patience_exhausted(measured(tmp_path, *values(None, None)), 1)
    progress = measured(tmp_path, *values(2.0, None, 1.0, None, 1.5, 1.2))
    assert model_selection.since_best(progress) == 2
    assert model_selection.patience_exhausted(progress, 2)
    assert not model_selection.patience_exhausted(progress, 3)
    assert not model_selection.patience_exhausted(progress, None)


def test_a_snapshot_that_was_overwritten_is_no_choice(tmp_path: Path) -> None:
    names = ("generator-000001", "generator-000002", "generator-000002")
    progress = measured(tmp_path, *values(2.0, 1.0, 3.0), names=names)
    found = model_selection.best_document(progress, "random-vgg16")
    assert found is not None
    assert (found.snapshot, found.value) == ("generator-000001", 2.0)


def test_measures_that_do_not_lead_choose_nothing(tmp_path: Path) -> None:
    progress = measured(tmp_path, {"recall": 0.5})
    assert (
        model_selection.best_document(progress, "random-vgg16") is None
        and model_selection.describe_best(progress) is None
    )
    assert not model_selection.patience_exhausted(progress, 1)


@pytest.mark.parametrize(
    ("rows", "alarm"),
    [
        ([(2.0, 0.6), (1.0, 0.4)], True),
        ([(2.0, 0.6), (1.0, 0.55)], False),  # within the intervals
        ([(1.0, 0.6), (2.0, 0.4)], False),  # everything got worse
        ([(2.0, 0.4), (1.0, 0.6)], False),  # everything got better
        ([(2.0, 0.6), (1.9, 0.55), (1.8, 0.48)], True),  # slowly
        ([(2.0, None), (1.0, 0.4)], False),
        ([(2.0, 0.6), (None, 0.4)], False),
        ([(2.0, 0.6)], False),
    ],
)
@pytest.mark.parametrize("name", ["recall", "coverage"])
def test_images_that_get_better_and_more_alike(
    tmp_path: Path, rows: list[tuple], alarm: bool, name: str
) -> None:
    progress = measured(tmp_path, *({"frechet": f, name: v} for f, v in rows))
    found = alarms.of_measures(progress)
    assert len(found) == alarm
    if alarm:
        assert found[0].startswith(f"{name} fell from 0.60 (0.55 .. 0.65) at generator-000001")
        assert alarms.of_measures(progress) == [], "what holds on is told once"


def varied(tmp_path: Path, *rows: tuple[float, float, float]) -> TrainingProgress:
    """A run with a snapshot for every Frechet distance, with the upper end of the spread of class
    `cells` and the lower end of the repetition of class `plates`.
    """
    progress = TrainingProgress()
    for place, (distance, spread, repetition) in enumerate(rows):
        path = tmp_path / f"generator-{place + 1:06d}.safetensors"
        path.write_bytes(bytes([place]))
        scores = [
            Score("frechet", distance, None, smaller=True, leads=True),
            Score("spread", 1.0, (0.9, 1.1, 0.95), smaller=False),
            Score("spread", spread / 2, (0.0, spread, 0.95), smaller=False, part="cells"),
            Score("repetition", repetition, (repetition, 1.0, 0.95), smaller=True, part="plates"),
        ]
        model_selection.record_scores(progress, path, scores)
    return TrainingProgress.parse(json.loads(json.dumps(asdict(progress))))


def test_a_snapshot_whose_class_repeats_itself_is_not_the_best(tmp_path: Path) -> None:
    progress = varied(tmp_path, (3.0, 0.9, 0.0), (1.6, 0.2, 0.0), (2.0, 0.9, 0.99), (4.0, 1.0, 0.0))
    assert [entry.too_alike() for entry in progress.measured] == [[], ["cells"], ["plates"], []]
    assert model_selection.describe_best(progress) == (
        "best by frechet: generator-000001.safetensors with 3; 3 snapshots since then; passed "
        "over, since images of a class are too much alike: generator-000002.safetensors, "
        "generator-000003.safetensors"
    )
    assert model_selection.patience_exhausted(progress, 3)


def test_where_all_snapshots_repeat_themselves_the_measure_chooses(tmp_path: Path) -> None:
    progress = varied(tmp_path, (3.0, 0.2, 0.0), (1.0, 0.2, 0.95))
    said = model_selection.describe_best(progress)
    assert said is not None and "generator-000002.safetensors with 1" in said
    assert "its images are too much alike (cells, plates)" in said


def test_much_worse_images_take_no_place_however_varied(tmp_path: Path) -> None:
    progress = varied(tmp_path, (300.0, 1.0, 0.0), (60.0, 0.5, 0.0))
    found = model_selection.best_document(progress, "x")
    assert found is not None and found.value == 60.0


@pytest.mark.parametrize(("other", "chosen"), [(0.3, 0.3), (0.2, 0.5)])
def test_much_worse_where_larger_is_better(tmp_path: Path, other: float, chosen: float) -> None:
    progress = TrainingProgress()
    for place, (value, spread) in enumerate([(other, 1.0), (0.5, 0.1)]):
        path = tmp_path / f"generator-{place:06d}.safetensors"
        path.write_bytes(b"x")
        scores = [
            Score("precision", value, None, smaller=False, leads=True),
            Score("spread", spread, (0.0, spread, 0.95), smaller=False, part="cells"),
        ]
        model_selection.record_scores(progress, path, scores)
    found = model_selection.best_document(progress, "x")
    assert found is not None and found.value == chosen


def test_classes_that_repeat_themselves_are_told_once(tmp_path: Path) -> None:
    progress = varied(tmp_path, (2.0, 0.9, 0.0), (1.0, 0.2, 0.0))
    (alarm,) = alarms.of_measures(progress)
    assert alarm.startswith(
        "cells: synthetic images are too much alike (they lie 0.10 times as far apart as real ones"
    )
    assert alarms.of_measures(progress) == []
    again = varied(tmp_path, (2.0, 0.9, 0.0), (1.0, 0.9, 0.96))
    (alarm,) = alarms.of_measures(again)
    assert alarm.startswith("plates: ") and "96% have a near duplicate" in alarm


def test_a_class_that_varies_by_noise_is_too_much_alike(tmp_path: Path) -> None:
    progress = TrainingProgress()
    for place, (distance, noise) in enumerate([(2.0, 0.28), (1.0, 0.32)]):
        path = tmp_path / f"generator-{place:06d}.safetensors"
        path.write_bytes(b"x")
        scores = [
            Score("frechet", distance, None, smaller=True, leads=True),
            Score("noise_share", 0.5, (noise, 0.7, 0.95), smaller=True, part="cells"),
        ]
        model_selection.record_scores(progress, path, scores)
    (alarm,) = alarms.of_measures(progress)
    assert alarm.startswith(
        "cells: synthetic images are too much alike (50% of their variety is lost where all have "
        "the same noise inputs)"
    )
    assert "model.noise=false" in alarm and "--gamma" not in alarm
    found = model_selection.best_document(progress, "x")
    assert found is not None and found.value == 2.0, "the other one is passed over"


def test_without_classes_all_images_count(tmp_path: Path) -> None:
    progress = TrainingProgress()
    path = tmp_path / "generator-000001.safetensors"
    path.write_bytes(b"x")
    scores = [Score("spread", 0.1, (0.0, 0.2, 0.95), smaller=False)]
    model_selection.record_scores(progress, path, scores)
    assert progress.measured[0].too_alike() == ["all images"]
    (alarm,) = alarms.of_measures(progress)
    assert alarm.startswith("all images: ")


def test_few_images_without_an_interval_accuse_nobody(tmp_path: Path) -> None:
    progress = TrainingProgress()
    path = tmp_path / "generator-000001.safetensors"
    path.write_bytes(b"x")
    scores = [Score("spread", 0.0, None, smaller=False, part="cells")]
    model_selection.record_scores(progress, path, scores)
    assert progress.measured[0].too_alike() == [] and alarms.of_measures(progress) == []


def test_networks_that_grow_are_compared_at_their_last_size(tmp_path: Path) -> None:
    progress, seen = TrainingProgress(), []
    for place, (value, grown) in enumerate(
        [(1, False), (9, False), (9, False), (8, True), (7, True), (7.5, True), (7.5, True)]
    ):
        path = tmp_path / f"generator-{place:06d}.safetensors"
        path.write_bytes(bytes([place]))
        scores = [Score("frechet", value, None, smaller=True, leads=True)]
        model_selection.record_scores(progress, path, scores, grown=grown)
        best = model_selection.best(progress)
        assert best is not None
        seen.append((best[1].value, model_selection.patience_exhausted(progress, 2)))
    assert seen == [(1, False)] * 3 + [(8, False), (7, False), (7, False), (7, True)]
