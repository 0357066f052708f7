"""Bare numbers, floors and samples of equal size."""

from pathlib import Path

import pytest
import torch

from synthograph.metrics import measures
from synthograph.metrics.evaluate import EvaluationTask, evaluate
from synthograph.metrics.measure import Measure, Source
from synthograph.metrics.measures import BY_NAME, compare, floors, matched, plain
from synthograph.metrics.names import FEATURE_MEASURES
from synthograph.results.evaluation import Value, compared
from synthograph.results.measures import About, Direction
from synthograph.stats.sample import Sample
from tests.metrics.contract import MeasureContract
from tests.metrics.draws import gaussian
from tests.metrics.images import Means, noise


def test_bare_numbers_are_the_values() -> None:
    real, fake = gaussian(0, 60, 5, per=2, likeness=0.5), gaussian(1, 90, 5, shift=0.5)
    bare = plain(real, fake, FEATURE_MEASURES)
    values = compare(real, fake, FEATURE_MEASURES)
    assert list(bare) == [value.name for value in values] == list(FEATURE_MEASURES)
    for value in values:
        assert value.value == pytest.approx(bare[value.name], rel=1e-9)


def test_a_floor_is_what_equal_sets_show_at_that_number() -> None:
    real, same, other = gaussian(0, 100, 4), gaussian(1, 300, 4), gaussian(2, 300, 4, shift=3.0)
    alike = floors(real, same, ("frechet", "coverage"))
    apart = floors(real, other, ("frechet", "coverage"))
    assert alike["frechet"] != apart["frechet"]
    assert alike["frechet"].n == (50, 50) and alike["frechet"].splits == 3
    assert alike["frechet"].value == apart["frechet"].value, "the floor is of real images alone"
    assert alike["frechet"].same_n is not None and apart["frechet"].same_n is not None
    assert alike["frechet"].same_n < 3 * alike["frechet"].value
    assert apart["frechet"].same_n > 9.0 > 3 * apart["frechet"].high
    assert apart["coverage"].same_n < apart["coverage"].low


def test_equal_images_have_no_bias_to_speak_of() -> None:
    some = gaussian(0, 60, 5)
    (value,) = compare(some, some, ("frechet",))
    assert value.value == pytest.approx(0, abs=1e-9)
    zero = type(some)(torch.zeros(60, 5), some.groups)
    (value,) = compare(zero, zero, ("frechet",))
    assert value.value == 0


def test_halves_never_part_a_patient() -> None:
    twins = gaussian(0, 20, 4, per=10, likeness=0.999)
    parted = gaussian(0, 20, 4, per=10, likeness=0.999)
    loose = type(parted)(parted.values, torch.arange(200))
    names = ("recall",)
    whole = floors(twins, twins, names)["recall"].value
    leaking = floors(loose, loose, names)["recall"].value
    assert whole < 0.3 < 0.9 < leaking


def test_too_few_for_a_floor() -> None:
    lone = gaussian(0, 1, 4, per=30)
    assert floors(lone, lone, FEATURE_MEASURES) == {}
    few = floors(gaussian(0, 6, 4), gaussian(1, 2, 4), FEATURE_MEASURES)
    assert set(few) == {"frechet", "kernel", "spread"} and few["frechet"].same_n is None


@pytest.mark.parametrize(("per", "patients"), [(4, 11), (50, 1), (200, 1)])
def test_training_images_are_cut_to_the_same_number_along_patients(per: int, patients: int) -> None:
    sample = gaussian(0, 50, 3, per=per)
    cut = matched(sample, 41)
    assert len(cut) == 41 and cut.group_count == patients
    assert matched(sample, 30_000) is sample


def test_much_bias_is_said() -> None:
    (biased,) = compare(gaussian(0, 90, 8), gaussian(1, 90, 8), ("frechet",))
    (far,) = compare(gaussian(0, 900, 2), gaussian(1, 900, 2, shift=5.0), ("frechet",))
    assert any("because the images are few" in note for note in biased.notes)
    assert not any("images are few" in note for note in far.notes)


class TestFrechet(MeasureContract):
    name = "frechet"


class TestKernel(MeasureContract):
    name = "kernel"


class TestPrecision(MeasureContract):
    name = "precision"


class TestRecall(MeasureContract):
    name = "recall"


class TestDensity(MeasureContract):
    name = "density"


class TestCoverage(MeasureContract):
    name = "coverage"


class TestInceptionScore(MeasureContract):
    name = "inception_score"


class TestSpectrum(MeasureContract):
    name = "spectrum"


class TestMsSsim(MeasureContract):
    name = "ms_ssim"


def test_every_measure_keeps_the_contract() -> None:
    assert {each.name for each in MeasureContract.__subclasses__()} == set(BY_NAME)


def test_a_measure_that_readers_do_not_know_is_described_in_the_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A file of its own and one line in the registry."""

    def gap(real: Sample, fake: Sample) -> dict[str, float]:
        return {"mean_gap": float((real.values.mean(0) - fake.values.mean(0)).norm())}

    def estimate(real: Sample, fake: Sample, seed: int) -> dict[str, Value]:
        number = gap(real, fake)["mean_gap"]
        return {"mean_gap": compared("mean_gap", number, real, fake)}

    about = About("Gap of means", better=Direction.LOW)
    new = Measure("mean_gap", Source.FEATURES, estimate, gap, described=about)
    monkeypatch.setattr(measures, "MEASURES", (*measures.MEASURES, new))
    monkeypatch.setitem(measures.BY_NAME, "mean_gap", new)
    task = EvaluationTask(noise("real"), noise("made", bright=40), measures=("mean_gap",))
    entry = evaluate(task, [Means()], folder=tmp_path).entries[0]
    assert entry.floor is not None and entry.at_floor is False
    assert (entry.title, entry.better) == ("Gap of means", Direction.LOW)
