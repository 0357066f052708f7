"""Nearest-neighbour measures against plain definitions and torch-fidelity."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from synthograph.metrics import manifold
from synthograph.metrics.manifold import manifold_measures
from synthograph.stats import sample
from synthograph.stats.intervals import halving_plan, plan
from synthograph.stats.sample import Sample
from tests.metrics.draws import gaussian
from tests.metrics.peers import peer


def plain(real: Sample, fake: Sample, k_pr: int = 3, k_dc: int = 5) -> dict[str, int]:
    x, y = (each.values.double().numpy() for each in (real, fake))
    between = cdist(x, y)

    def radius(points: np.ndarray, k: int) -> np.ndarray:
        return np.sort(cdist(points, points), axis=1)[:, k]  # place 0 is the image itself

    return {
        "n_precise": int((between <= radius(x, k_pr)[:, None]).any(0).sum()),
        "n_recalled": int((between <= radius(y, k_pr)[None]).any(1).sum()),
        "balls": int((between <= radius(x, k_dc)[:, None]).sum()),
        "n_covered": int((between.min(1) <= radius(x, k_dc)).sum()),
    }


def test_counts_equal_the_definitions() -> None:
    real = gaussian(0, 40, 6, per=4, likeness=0.6)
    fake = gaussian(1, 150, 6, scale=0.8, shift=0.7)
    got, expected = manifold_measures(real, fake), plain(real, fake)
    assert got.precision.counts == {"hits": expected["n_precise"], "images": 150}
    assert got.recall.counts == {"hits": expected["n_recalled"], "images": 160}
    assert got.density.counts == {"balls": expected["balls"], "images": 150}
    assert got.coverage.counts == {"hits": expected["n_covered"], "images": 160}
    assert got.density.value == pytest.approx(expected["balls"] / (5 * 150))
    assert 0 < expected["n_precise"] < 150


@pytest.mark.parametrize("scheme", [plan, halving_plan])
def test_leaving_out_blocks_equals_starting_without_them(scheme) -> None:
    real = gaussian(0, 20, 4, per=5, likeness=0.9)  # neighbours are mostly of one patient
    fake = gaussian(1, 120, 4)
    cut = scheme(real.groups, fake.groups, most=6)
    counted = manifold.count(real, fake, cut, k_pr=3, k_dc=5)
    for evaluation in (0, 1, 7, len(cut.kept) - 1):
        kept = [each.subset(cut.rows(i, evaluation)) for i, each in enumerate((real, fake))]
        expected = plain(*kept)
        assert {name: int(getattr(counted, name)[evaluation]) for name in expected} == expected
        assert int(counted.n_real[evaluation]) == len(kept[0])
        assert int(counted.n_fake[evaluation]) == len(kept[1])


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = gaussian(0, 30, 5, per=4), gaussian(1, 90, 5, scale=0.7)
    whole = manifold_measures(real, fake)
    monkeypatch.setattr(sample.by_block, "__defaults__", (7,))
    monkeypatch.setattr(manifold, "CHUNK", 11)
    assert manifold_measures(real, fake) == whole


def test_a_generator_that_copies_is_precise_and_covers() -> None:
    real = gaussian(0, 100, 8)
    got = manifold_measures(real, Sample.singles(real.values.clone()))
    for value in (got.precision, got.recall, got.coverage):
        assert value.value == 1
        assert value.interval is not None and value.interval.high == 1
    repeated = Sample.singles(real.values[:1].repeat(60, 1))  # one image again and again
    got = manifold_measures(real, repeated)
    assert got.precision.value == 1
    assert got.recall.counts["hits"] == 1
    assert got.coverage.value < 0.2


def test_sets_far_apart_share_nothing() -> None:
    got = manifold_measures(gaussian(0, 60, 4), gaussian(1, 60, 4, shift=100.0))
    for value in (got.precision, got.recall, got.density, got.coverage):
        assert value.value == 0
        assert value.interval is not None and value.interval.low == 0
    assert got.recall.interval.high > 0


def test_tiny_sets_have_values_without_intervals() -> None:
    got = manifold_measures(gaussian(0, 8, 2), gaussian(1, 30, 2))
    assert got.density.value is not None and got.density.interval is None
    assert "8 images, at least 20" in got.coverage.notes[0]
    none = manifold_measures(gaussian(0, 5, 2), gaussian(1, 30, 2))
    assert none.recall.value is None


@pytest.mark.parametrize("seed", range(3))
def test_halves_that_hold_too_few_images_give_no_interval(seed: int) -> None:
    """A few large patients leave halves of the synthetic images empty."""
    sizes = [25] * 4 + [1] * 4
    groups = torch.repeat_interleave(torch.arange(8), torch.tensor(sizes))
    generator = torch.Generator().manual_seed(seed)
    real = Sample(torch.randn(104, 4, generator=generator), groups)
    fake = Sample(torch.randn(20, 4, generator=generator), torch.arange(20))
    found = manifold_measures(real, fake, seed=seed)
    for value in (found.precision, found.recall, found.density, found.coverage):
        assert value.value is not None
        assert value.interval is None or value.interval.low <= value.value


def test_agrees_with_torch_fidelity() -> None:
    fidelity = peer("torch_fidelity.metric_prc")
    real, fake = gaussian(0, 400, 32), gaussian(1, 500, 32, scale=0.9, shift=2.0)
    theirs = fidelity.prc_features_to_metric(
        fake.values, real.values, prc_neighborhood=3, prc_batch_size=128, verbose=False
    )
    ours = manifold_measures(real, fake)
    assert ours.precision.value == pytest.approx(theirs["precision"], abs=1e-7)
    assert ours.recall.value == pytest.approx(theirs["recall"], abs=1e-7)
    assert 0.1 < theirs["precision"] < 0.99
