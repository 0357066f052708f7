"""Kernel distance against plain sums and against other tools."""

import numpy as np
import pytest
import torch

from synthograph.metrics import kernel
from synthograph.stats.intervals import plan
from synthograph.stats.sample import Sample
from tests.metrics.draws import gaussian
from tests.metrics.peers import peer


def plain(real: Sample, fake: Sample) -> float:
    """Means over pairs of images of different groups, one by one."""

    def mean(a: Sample, b: Sample, apart: bool) -> float:
        found = [
            (float(x @ y) / a.features + 1) ** 3
            for x, g in zip(a.values.double().numpy(), a.groups.tolist(), strict=True)
            for y, h in zip(b.values.double().numpy(), b.groups.tolist(), strict=True)
            if not apart or g != h
        ]
        return float(np.mean(found))

    return mean(real, real, True) + mean(fake, fake, True) - 2 * mean(real, fake, False)


@pytest.mark.parametrize("per", [1, 3])
def test_equals_plain_sums(per: int) -> None:
    real = gaussian(0, 8, 4, per=per, likeness=0.5, shift=1.0)
    fake = gaussian(1, 30, 4, scale=1.2)
    value = kernel.kernel_distance(real, fake)
    assert value.value == pytest.approx(plain(real, fake), rel=1e-5)


@pytest.mark.parametrize("evaluation", [1, 5, 12, -1])
def test_leaving_out_blocks_equals_starting_without_them(evaluation: int) -> None:
    real, fake = gaussian(0, 12, 4, per=3, likeness=0.5), gaussian(1, 30, 4, shift=1.0)
    cut = plan(real.groups, fake.groups, most=6)
    kept = [each.subset(cut.rows(place, evaluation)) for place, each in enumerate((real, fake))]
    assert len(kept[0]) < len(real)
    got = float(kernel.distances(real, fake, cut)[0][evaluation])
    assert got == pytest.approx(plain(*kept), rel=1e-5)


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = gaussian(0, 30, 4, per=3), gaussian(1, 80, 4, shift=0.5)
    whole = kernel.kernel_distance(real, fake)
    monkeypatch.setattr(kernel, "CHUNK", 17)
    chunked = kernel.kernel_distance(real, fake)
    assert chunked.value == pytest.approx(whole.value, rel=1e-5)
    assert chunked.interval.high == pytest.approx(whole.interval.high, rel=1e-4)


def test_one_patient_alone_has_no_value() -> None:
    value = kernel.kernel_distance(gaussian(0, 1, 4, per=9), gaussian(1, 30, 4))
    assert value.value is None
    assert "one group" in value.notes[0]


def test_subsets_are_seeded_and_no_larger_than_the_sets() -> None:
    real, fake = gaussian(0, 60, 8), gaussian(1, 50, 8, shift=1.0)
    first = kernel.subset_distances(real, fake, subsets=7)
    assert len(first) == 7
    for same in ({}, {"size": 50}):
        again = kernel.subset_distances(real, fake, subsets=7, **same)
        torch.testing.assert_close(first, again, rtol=0, atol=0)
    other = kernel.subset_distances(real, fake, subsets=7, seed=1)
    assert first.mean() != other.mean()
    assert first.std() > 0


def test_agrees_with_torch_fidelity() -> None:
    fidelity = peer("torch_fidelity.metric_kid")
    real, fake = gaussian(0, 200, 32, shift=1.0), gaussian(1, 200, 32, scale=1.1)
    theirs = fidelity.kid_features_to_metric(
        fake.values, real.values, kid_subsets=2, kid_subset_size=200, verbose=False
    )["kernel_inception_distance_mean"]
    assert kernel.kernel_distance(real, fake).value == pytest.approx(theirs, rel=1e-4)
    ours = kernel.subset_distances(real, fake, subsets=2, size=200)
    assert float(ours.mean()) == pytest.approx(theirs, rel=1e-4)


def test_agrees_with_torchmetrics() -> None:
    metrics = peer("torchmetrics.image.kid")
    real, fake = gaussian(0, 200, 32, shift=1.0), gaussian(1, 200, 32, scale=1.1)
    theirs = float(metrics.poly_mmd(real.values, fake.values))
    assert kernel.kernel_distance(real, fake).value == pytest.approx(theirs, rel=1e-4)
