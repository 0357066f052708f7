"""Sensitivity tables: what must be noticed, what must not, and on what they rest."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from synthograph.core.errors import UserError
from synthograph.metrics import sensitivity as room
from synthograph.metrics.defects import Blur
from synthograph.metrics.probes import BY_LABEL, UNLABELLED, Labelled, Probe
from synthograph.metrics.sensitivity import Effort, RealSet, sensitivity
from synthograph.results.measures import Direction
from synthograph.results.sensitivity import RULE, Outcome, Sensitivity
from synthograph.stats.sample import Sample
from tests.metrics.draws import gaussian

QUICK = Effort(splits=6, damaged=0)
FEATURE_COLUMNS = ("frechet", "kernel", "precision", "recall", "density", "coverage")


def no_images() -> Iterator[Tensor]:
    raise AssertionError("these images are not needed")


def no_features(images: Tensor) -> Tensor:
    raise AssertionError(f"{len(images)} images need no features")


def known(sample: Sample, **more: Any) -> RealSet:
    """A set whose features are known, so that no image is looked at."""
    return RealSet(no_images, sample.groups, features=sample.values, **more)


def flat_images(n: int = 60, bits: int = 8) -> Tensor:
    """Images of one grey level each, in the middle of the range."""
    generator = torch.Generator().manual_seed(3)
    level = torch.randint(100, 130, (n, 1, 1, 1), generator=generator)
    dtype, unit = (torch.uint8, 1) if bits == 8 else (torch.uint16, 257)
    return (level * unit).expand(n, 1, 6, 6).to(dtype).clone()


def pictured(images: Tensor, *, batch: int = 7) -> RealSet:
    return RealSet(lambda: images.split(batch), torch.arange(len(images)) // 2)


def grey_and_texture(images: Tensor) -> Tensor:
    x = images.to(torch.float32).flatten(1)
    return torch.stack((x.mean(1), x.std(1, correction=0)), dim=1)


def single(name: str, better: Direction, function: Callable[[Labelled, Labelled], float]) -> Probe:
    return Probe({name: better}, lambda real, fake: {(name, ""): function(real, fake)})


def three_classes() -> tuple[Sample, Tensor]:
    """Three clusters; 24 of 184 images are of the last."""
    labels = torch.tensor([0] * 100 + [1] * 60 + [2] * 24)
    sample = gaussian(5, 184, 4)
    sample.values[:, 1] += 8 * labels
    return sample, labels


@pytest.fixture(scope="module")
def classes_table() -> Sensitivity:
    sample, labels = three_classes()
    real = known(sample, labels=labels, classes=("a", "b", "rare"))
    return sensitivity(real, no_features, effort=QUICK)


@pytest.mark.parametrize("column", [BY_LABEL, UNLABELLED])
@pytest.mark.parametrize("name", ["a", "b", "rare"])
def test_a_lost_class_shows_in_the_coverage_of_that_class(
    classes_table: Sensitivity, name: str, column: str
) -> None:
    cell = classes_table.cell(f"class {name} missing", column)
    assert cell.verdict is Outcome.NOTICED
    last = cell.trials[-1]
    assert (last.amount, last.part, last.value, last.beyond) == ("all", name, 0.0, 6)


def test_precision_misses_a_lost_class(classes_table: Sensitivity) -> None:
    assert classes_table.cell("class rare missing", "precision").text == "not measurable"
    assert classes_table.cell("class a missing", "coverage").verdict is Outcome.NOTICED


def test_only_labels_tell_classes_apart_that_look_alike() -> None:
    sample, labels = gaussian(2, 160, 4), torch.arange(160) % 2
    real = known(sample, labels=labels, classes=("a", "b"))
    found = sensitivity(real, no_features, effort=QUICK)
    assert found.cell("class a missing", BY_LABEL).text.endswith("(a)")
    assert found.cell("class a missing", UNLABELLED).verdict is Outcome.UNNOTICED
    assert found.cell("class a missing", "coverage").verdict is Outcome.UNNOTICED


def test_repeats_are_noticed_the_more_the_fewer_there_are(classes_table: Sensitivity) -> None:
    for column in ("frechet", "coverage", "recall"):
        cell = classes_table.cell("few images repeated", column)
        assert cell.smallest_trial is not None
        assert all(trial.noticed for trial in cell.trials[-2:])
        assert [trial.grade for trial in cell.trials] == [46, 23, 11, 5, 2, 1]
        assert {trial.images for trial in cell.trials} == {92}


@pytest.mark.parametrize("seed", range(6))
def test_what_has_no_effect_is_not_noticed(seed: int) -> None:
    sample = gaussian(seed, 120, 5)
    chance = torch.rand(120, generator=torch.Generator().manual_seed(seed))
    real = known(sample, factors={"chance": chance})
    found = sensitivity(real, no_features, effort=replace(QUICK, seed=seed))
    noticed = [
        (cell.measure, trial.amount)
        for cell in found.cells
        for trial in cell.trials
        if cell.kind == "high chance missing" and trial.noticed
    ]
    assert noticed == []


def test_a_factor_that_does_not_vary_is_named() -> None:
    sample = gaussian(0, 40, 3)
    real = known(sample, factors={"age": torch.full((40,), torch.nan)})
    found = sensitivity(real, no_features, effort=QUICK)
    assert {cell.kind for cell in found.cells} == {"few images repeated"}
    assert "age has no two different values, so none are missing." in found.notes


def test_known_features_do_not_replace_missing_images() -> None:
    real = replace(known(gaussian(0, 40, 3)), batches=lambda: iter(()))
    with pytest.raises(UserError, match="no images"):
        sensitivity(real, no_features, effort=Effort(splits=3, damaged=5))


def test_a_lost_range_of_a_factor_lowers_recall() -> None:
    sample = gaussian(8, 240, 3, scale=1.0)
    sample.values[:, 0] *= 3
    real = known(sample, factors={"age": sample.values[:, 0].clone()})
    found = sensitivity(real, no_features, effort=QUICK)
    cell = found.cell("high age missing", "recall")
    assert cell.smallest_trial is not None
    last = cell.trials[-1]
    assert last.value is not None
    assert last.floor is not None
    assert last.value < last.floor[0] - 0.1
    assert found.cell("high age missing", "precision").verdict is Outcome.UNNOTICED


def test_pixels_are_damaged_and_seen_only_by_what_looks_at_them() -> None:
    shades = single(
        "shade",
        Direction.LOW,
        lambda real, fake: float((fake.values - real.values.mean(0))[:, 0].mean()),
    )
    texture = single(
        "texture",
        Direction.LOW,
        lambda _, fake: float(fake.values[:, 1].mean()),
    )
    found = sensitivity(
        pictured(flat_images()),
        grey_and_texture,
        probes=(shades, texture),
        effort=Effort(splits=5, damaged=40),
    )
    assert {cell.text for cell in found.cells if cell.kind == "blur"} == {"not measurable"}
    assert found.cell("noise", "texture").text == "sd 1"
    assert found.cell("noise", "shade").verdict is Outcome.UNNOTICED
    assert found.cell("brightness", "shade").verdict is Outcome.NOTICED
    assert found.cell("brightness", "texture").verdict is Outcome.UNNOTICED
    assert found.damaged == 40
    assert found.cell("noise", "texture").trials[0].images < 40


def test_16_bits_cannot_be_jpeg() -> None:
    real = pictured(flat_images(bits=16))
    found = sensitivity(real, grey_and_texture, effort=Effort(splits=3, damaged=10))
    cell = found.cell("JPEG", "frechet")
    assert cell.verdict is Outcome.UNFIT
    assert cell.text == "not applicable"
    assert "16" in cell.reason
    assert cell.trials == ()


def test_undamaged_halves_have_as_many_images_as_damaged_ones() -> None:
    sample, labels = three_classes()
    counts = [single(way.name, way, lambda _, fake: float(len(fake))) for way in Direction]
    real = known(sample, labels=labels, classes=("a", "b", "rare"))
    found = sensitivity(real, no_features, probes=counts, effort=QUICK)
    assert {cell.verdict for cell in found.cells} == {Outcome.UNNOTICED}
    trial = found.cell("class a missing", "LOW").trials[-1]
    assert trial.floor is not None
    assert trial.value == trial.floor[1] < 60


def test_no_patient_is_on_both_sides_and_splits_differ() -> None:
    groups = torch.arange(9).repeat_interleave(torch.arange(3, 12))  # no two are of one size
    seen = []

    def shared(real: Labelled, fake: Labelled) -> float:
        ours, theirs = set(real.values[:, 0].tolist()), set(fake.values[:, 0].tolist())
        seen.append(tuple(sorted(ours)))
        assert real.groups.unique().tolist() == sorted(ours)
        assert len(fake.groups.unique()) == len(fake)  # as generated images
        return float(len(ours & theirs))

    sample = Sample(groups[:, None].to(torch.float32), groups)
    probe = single("shared", Direction.LOW, shared)
    found = sensitivity(known(sample), no_features, probes=(probe,), effort=QUICK)
    assert {trial.floor for cell in found.cells for trial in cell.trials} == {(0.0, 0.0, 0.0)}
    assert len(set(seen)) >= 4


def test_damaged_images_come_from_the_damaged_half_and_keep_their_class(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(room, "pixel_defects", lambda *_, **__: (Blur(1.0), Blur(2.0)))
    level = torch.arange(40) + 100
    images = level.to(torch.uint8)[:, None, None, None].expand(40, 1, 4, 4)

    def strangers(real: Labelled, fake: Labelled) -> float:
        ours, theirs = (each.values[:, 0].round().to(torch.int64) for each in (real, fake))
        assert torch.equal(fake.labels, (theirs - 100) % 2)
        return float(torch.isin(theirs, ours).sum())

    probe = single("strangers", Direction.LOW, strangers)
    real = replace(pictured(images), labels=(level - 100) % 2, classes=("a", "b"))
    effort = Effort(splits=4, damaged=17)
    found = sensitivity(real, grey_and_texture, probes=(probe,), effort=effort)
    assert {trial.value for trial in found.cell("blur", "strangers").trials} == {0.0}


def test_the_same_call_gives_the_same_table_in_any_batches() -> None:
    images, effort = flat_images(), Effort(splits=3, damaged=20)
    first = sensitivity(pictured(images), grey_and_texture, effort=effort).tree()
    again = sensitivity(pictured(images, batch=60), grey_and_texture, effort=effort).tree()
    assert first == again
    other = sensitivity(pictured(images), grey_and_texture, effort=replace(effort, seed=1))
    assert other.tree()["cells"] != first["cells"]


def test_images_are_extracted_once_and_a_bounded_number_of_damaged_ones() -> None:
    seen, stages = [], []

    def extract(images: Tensor) -> Tensor:
        seen.append(len(images))
        return grey_and_texture(images)

    def track(items: Iterable[Any], total: int) -> Iterable[Any]:
        done = 0
        for item in items:
            done += 1
            yield item
        stages.append((done, total))

    real = pictured(flat_images(200))
    found = sensitivity(real, extract, effort=Effort(splits=3, images=60, damaged=10), track=track)
    assert found.images == 60
    assert found.damaged == 10
    pixel_grades = 6 * 4
    assert sum(seen) == 60 + pixel_grades * 10
    assert stages[:2] == [(60, 60), (pixel_grades * 10, pixel_grades * 10)]
    assert all(done == total for done, total in stages)
    assert any("140 of 200" in note for note in found.notes)
    assert found.half == 30


def test_the_table_says_what_it_rests_on(classes_table: Sensitivity) -> None:
    text, markdown = classes_table.table(), classes_table.markdown()
    head, rule = text.splitlines()[:2]
    assert head.split()[:7] == ["defect", *FEATURE_COLUMNS]
    assert set(rule) == {"-", " "}
    assert "184 real images of 184 groups in 6 splits into halves of 92" in text
    assert RULE in text
    assert "absent" not in text.split("not measurable:")[0]
    assert markdown.startswith("| defect | frechet |")
    assert len({line.count("|") for line in markdown.splitlines() if line.startswith("|")}) == 1
    document = json.loads(json.dumps(classes_table.tree(), allow_nan=False))
    assert document["rule"] == RULE
    cell = next(c for c in document["cells"] if c["kind"] == "class rare missing")
    assert cell["verdict"] in {"noticed", "not measurable"}
    assert cell["trials"][0]["floor"][0] <= cell["trials"][0]["floor"][2]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": torch.zeros(60, dtype=torch.int64)}, "60 images of 1 groups"),
        ({"groups": torch.arange(59)}, "more images for 59 groups"),
        ({"groups": torch.arange(61)}, "60 images for 61 groups"),
        ({"labels": torch.zeros(9, dtype=torch.int64)}, "9 labels for 60 images"),
        ({"labels": torch.ones(60, dtype=torch.int64), "classes": ("a",)}, "label 1 with 1"),
        ({"features": torch.zeros(7, 2)}, "features of 7 images"),
        ({"features": torch.full((60, 2), torch.nan)}, "not finite"),
        ({"batches": lambda: iter(())}, "0 images for 60 groups"),
    ],
)
def test_sets_that_do_not_fit_are_refused(change: dict[str, Any], message: str) -> None:
    real = replace(pictured(flat_images()), **change)
    with pytest.raises(UserError, match=message):
        sensitivity(real, grey_and_texture, effort=Effort(splits=3, damaged=5))


def test_damaged_features_that_are_no_numbers_are_refused() -> None:
    def extract(images: Tensor) -> Tensor:
        found = grey_and_texture(images)
        return found.masked_fill(found[:, 1:] > 20, torch.nan)

    with pytest.raises(UserError, match="noise of 32 grey levels"):
        sensitivity(pictured(flat_images()), extract, effort=Effort(splits=3, damaged=5))


def test_too_little_effort_is_refused() -> None:
    with pytest.raises(UserError, match="1 splits"):
        sensitivity(pictured(flat_images()), grey_and_texture, effort=Effort(splits=1))


def test_classes_that_cannot_be_judged_are_named() -> None:
    sample, labels = three_classes()
    groups = sample.groups.clone()
    groups[labels == 2] = 500
    real = known(Sample(sample.values, groups), labels=labels, classes=("a", "b", "rare", "never"))
    found = sensitivity(real, no_features, effort=QUICK)
    assert any("class rare come from one group" in note for note in found.notes)
    assert any("never" in note for note in found.notes)
    assert found.cell("class rare missing", "coverage per class").verdict is Outcome.UNNOTICED
    assert any(
        "no classes" in note
        for note in room._notes(known(sample), Labelled(sample.values, groups, labels))
    )
