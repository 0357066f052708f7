"""Sensitivity tables: what must be noticed, what must not, and on what they rest."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from synthograph.archive.batches import ImageSet
from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.metrics import sensitivity as room
from synthograph.metrics.defects import blur
from synthograph.metrics.probes import BY_LABEL, UNLABELLED, Labelled, Probe
from synthograph.metrics.sensitivity import Effort, sensitivity_of
from synthograph.results.measures import Direction
from synthograph.results.sensitivity import RULE, Outcome, Sensitivity
from synthograph.stats.sample import Sample
from tests.metrics.draws import gaussian
from tests.metrics.images import Means

QUICK = Effort(splits=6, damaged=0)
FEATURE_COLUMNS = ("frechet", "kernel", "precision", "recall", "density", "coverage")


@dataclass(frozen=True)
class Extract(Means):
    """An extractor from a function."""

    function: Callable[[Tensor], Tensor] = field(kw_only=True)

    def __call__(self, images: Tensor) -> Tensor:
        return self.function(images)


def image_set(images: Tensor, groups: Tensor, batch: int = 7, **more: Any) -> ImageSet:
    spec = ImageSpec(
        height=images.shape[2],
        width=images.shape[3],
        modalities={"image": images.shape[1]},
        bits=8 * images.dtype.itemsize,
    )
    return ImageSet(
        "set", spec, len(images), lambda: iter(images.split(batch)), batch, groups, **more
    )


def known(sample: Sample, **more: Any) -> tuple[ImageSet, Extract]:
    """Images that are their own number, and an extractor that looks their features up."""
    numbers = torch.arange(len(sample)).to(torch.uint16)[:, None, None, None].expand(-1, 1, 4, 4)

    def look_up(images: Tensor) -> Tensor:
        return sample.values[images[:, 0, 0, 0].to(torch.int64)]

    return image_set(numbers, sample.groups, **more), Extract(
        "known", sample.features, function=look_up
    )


def flat_images(n: int = 60, bits: int = 8) -> Tensor:
    """Images of one grey level each, in the middle of the range."""
    generator = torch.Generator().manual_seed(3)
    level = torch.randint(100, 130, (n, 1, 1, 1), generator=generator)
    dtype, unit = (torch.uint8, 1) if bits == 8 else (torch.uint16, 257)
    return (level * unit).expand(n, 1, 6, 6).to(dtype).clone()


def pictured(images: Tensor, *, batch: int = 7) -> ImageSet:
    return image_set(images, torch.arange(len(images)) // 2, batch)


def grey_and_texture(images: Tensor) -> Tensor:
    x = images.to(torch.float32).flatten(1)
    return torch.stack((x.mean(1), x.std(1, correction=0)), dim=1)


def cells(numbers: Tensor) -> tuple[str, ...]:
    return tuple(map(str, numbers.tolist()))


SEEN = Extract("seen", 2, function=grey_and_texture)


def single(name: str, better: Direction, function: Callable[[Labelled, Labelled], float]) -> Probe:
    return Probe({name: better}, lambda real, fake: {(name, ""): function(real, fake)})


def three_classes() -> tuple[Sample, tuple[str, ...]]:
    """Three clusters; 24 of 184 images are of the last."""
    labels = torch.tensor([0] * 100 + [1] * 60 + [2] * 24)
    sample = gaussian(5, 184, 4)
    sample.values[:, 1] += 8 * labels
    return sample, tuple(("a", "b", "rare")[label] for label in labels.tolist())


@pytest.fixture(scope="module")
def classes_table(tmp_path_factory: pytest.TempPathFactory) -> Sensitivity:
    sample, labels = three_classes()
    folder = tmp_path_factory.mktemp("features")
    return sensitivity_of(*known(sample, labels=labels), folder=folder, effort=QUICK)


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


def test_only_labels_tell_classes_apart_that_look_alike(tmp_path: Path) -> None:
    real = known(gaussian(2, 160, 4), labels=("a", "b") * 80)
    found = sensitivity_of(*real, folder=tmp_path, effort=QUICK)
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
def test_what_has_no_effect_is_not_noticed(seed: int, tmp_path: Path) -> None:
    sample = gaussian(seed, 120, 5)
    chance = torch.rand(120, generator=torch.Generator().manual_seed(seed))
    real = known(sample, columns={"chance": cells(chance)})
    found = sensitivity_of(*real, folder=tmp_path, effort=QUICK, seed=seed)
    noticed = [
        (cell.measure, trial.amount)
        for cell in found.cells
        for trial in cell.trials
        if cell.kind == "high chance missing" and trial.noticed
    ]
    assert noticed == []


def test_a_column_without_different_numbers_is_no_factor(tmp_path: Path) -> None:
    columns = {"age": ("",) * 40, "side": ("left", "right") * 20, "year": ("1", "2") * 20}
    found = sensitivity_of(
        *known(gaussian(0, 40, 3), columns=columns), folder=tmp_path, effort=QUICK
    )
    assert {cell.kind for cell in found.cells} == {"few images repeated"}


def test_a_lost_range_of_a_factor_lowers_recall(tmp_path: Path) -> None:
    sample = gaussian(8, 240, 3, scale=1.0)
    sample.values[:, 0] *= 3
    real = known(sample, columns={"age": cells(sample.values[:, 0])})
    found = sensitivity_of(*real, folder=tmp_path, effort=QUICK)
    cell = found.cell("high age missing", "recall")
    assert cell.smallest_trial is not None
    last = cell.trials[-1]
    assert last.value is not None
    assert last.floor is not None
    assert last.value < last.floor[0] - 0.1
    assert found.cell("high age missing", "precision").verdict is Outcome.UNNOTICED


def test_pixels_are_damaged_and_seen_only_by_what_looks_at_them(tmp_path: Path) -> None:
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
    found = sensitivity_of(
        pictured(flat_images()),
        SEEN,
        folder=tmp_path,
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


def test_16_bits_cannot_be_jpeg(tmp_path: Path) -> None:
    real = pictured(flat_images(bits=16))
    found = sensitivity_of(real, SEEN, folder=tmp_path, effort=Effort(splits=3, damaged=10))
    cell = found.cell("JPEG", "frechet")
    assert cell.verdict is Outcome.UNFIT
    assert cell.text == "not applicable"
    assert "16" in cell.reason
    assert cell.trials == ()


def test_undamaged_halves_have_as_many_images_as_damaged_ones(tmp_path: Path) -> None:
    sample, labels = three_classes()
    counts = [single(way.name, way, lambda _, fake: float(len(fake))) for way in Direction]
    real = known(sample, labels=labels)
    found = sensitivity_of(*real, folder=tmp_path, probes=counts, effort=QUICK)
    assert {cell.verdict for cell in found.cells} == {Outcome.UNNOTICED}
    trial = found.cell("class a missing", "LOW").trials[-1]
    assert trial.floor is not None
    assert trial.value == trial.floor[1] < 60


def test_no_patient_is_on_both_sides_and_splits_differ(tmp_path: Path) -> None:
    groups = torch.arange(9).repeat_interleave(torch.arange(3, 12))  # no two are of one size
    seen = []

    def shared(real: Labelled, fake: Labelled) -> float:
        ours, theirs = set(real.values[:, 0].tolist()), set(fake.values[:, 0].tolist())
        seen.append(tuple(sorted(ours)))
        assert real.groups.unique().tolist() == sorted(ours)
        assert len(fake.groups.unique()) == len(fake)  # as synthetic images
        return float(len(ours & theirs))

    sample = Sample(groups[:, None].to(torch.float32), groups)
    probe = single("shared", Direction.LOW, shared)
    found = sensitivity_of(*known(sample), folder=tmp_path, probes=(probe,), effort=QUICK)
    assert {trial.floor for cell in found.cells for trial in cell.trials} == {(0.0, 0.0, 0.0)}
    assert len(set(seen)) >= 4


def test_damaged_images_come_from_the_damaged_half_and_keep_their_class(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(room, "pixel_defects", lambda *_, **__: (blur(1.0), blur(2.0)))
    level = torch.arange(40) + 100
    images = level.to(torch.uint8)[:, None, None, None].expand(40, 1, 4, 4)

    def strangers(real: Labelled, fake: Labelled) -> float:
        ours, theirs = (each.values[:, 0].round().to(torch.int64) for each in (real, fake))
        assert torch.equal(fake.labels, (theirs - 100) % 2)
        return float(torch.isin(theirs, ours).sum())

    probe = single("strangers", Direction.LOW, strangers)
    real = replace(pictured(images), labels=("a", "b") * 20)
    effort = Effort(splits=4, damaged=17)
    found = sensitivity_of(real, SEEN, folder=tmp_path, probes=(probe,), effort=effort)
    assert {trial.value for trial in found.cell("blur", "strangers").trials} == {0.0}


def test_the_same_call_gives_the_same_table_in_any_batches(tmp_path: Path) -> None:
    images, effort = flat_images(), Effort(splits=3, damaged=20)
    first, again, other = (
        sensitivity_of(
            pictured(images, batch=batch), SEEN, folder=tmp_path, effort=effort, seed=seed
        )
        for batch, seed in ((7, 0), (60, 0), (7, 1))
    )
    assert first == again and other.cells != first.cells


def test_images_are_extracted_once_and_a_bounded_number_of_damaged_ones(tmp_path: Path) -> None:
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

    effort = Effort(splits=3, images=60, damaged=10)
    found = sensitivity_of(
        pictured(flat_images(200)),
        Extract("counted", 2, function=extract),
        folder=tmp_path,
        effort=effort,
        track=track,
    )
    assert found.images == 60
    assert found.damaged == 10
    pixel_grades = 6 * 4
    assert sum(seen) == 200 + pixel_grades * 10
    assert stages[:2] == [(29, 29), (pixel_grades * 10, pixel_grades * 10)], "batches, images"
    assert all(done == total for done, total in stages)
    assert any("140 of 200" in note for note in found.notes)
    assert found.half == 30


def test_the_table_says_what_it_rests_on(classes_table: Sensitivity) -> None:
    text = classes_table.table()
    head, rule = text.splitlines()[:2]
    assert head.split()[:7] == ["defect", *FEATURE_COLUMNS]
    assert set(rule) == {"-", " "}
    assert "184 real images of 184 groups in 6 splits into halves of 92" in text
    assert RULE in text
    assert "absent" not in text.split("not measurable:")[0]
    document = json.loads(json.dumps(classes_table.tree(), allow_nan=False))
    assert document["rule"] == RULE
    cell = next(c for c in document["cells"] if c["kind"] == "class rare missing")
    assert cell["verdict"] in {"noticed", "not measurable"}
    assert cell["trials"][0]["floor"][0] <= cell["trials"][0]["floor"][2]


def test_too_few_groups_are_refused(tmp_path: Path) -> None:
    real = replace(pictured(flat_images()), groups=torch.zeros(60, dtype=torch.int64))
    with pytest.raises(UserError, match="60 images of 1 groups"):
        sensitivity_of(real, SEEN, folder=tmp_path)


def test_damaged_features_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    def extract(images: Tensor) -> Tensor:
        found = grey_and_texture(images)
        return found.masked_fill(found[:, 1:] > 20, torch.nan)

    broken, effort = Extract("broken", 2, function=extract), Effort(splits=3, damaged=5)
    with pytest.raises(UserError, match="noise of 32 grey levels"):
        sensitivity_of(pictured(flat_images()), broken, folder=tmp_path, effort=effort)


def test_classes_of_one_group_and_missing_classes_are_named(tmp_path: Path) -> None:
    sample, labels = three_classes()
    groups = sample.groups.clone()
    groups[torch.tensor([label == "rare" for label in labels])] = 500
    sample = Sample(sample.values, groups)
    found = sensitivity_of(*known(sample, labels=labels), folder=tmp_path, effort=QUICK)
    assert any("class rare come from one group" in note for note in found.notes)
    assert found.cell("class rare missing", "coverage per class").verdict is Outcome.UNNOTICED
    alike = known(gaussian(0, 40, 3), labels=("a",) * 40)
    (note,) = sensitivity_of(*alike, folder=tmp_path, effort=QUICK).notes
    assert note.startswith("Classes not dropped") and note.endswith(": a.")
    (note,) = sensitivity_of(*known(gaussian(0, 40, 3)), folder=tmp_path, effort=QUICK).notes
    assert "no classes" in note
