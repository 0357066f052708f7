"""Frechet distance against a plain formula and against other tools."""

import time

import numpy as np
import pytest
import scipy.linalg
import torch

from synthograph.metrics import frechet
from synthograph.stats.sample import Sample
from tests.metrics.draws import gaussian
from tests.metrics.peers import peer


def covariance(of: frechet.Moments) -> torch.Tensor:
    scatter = of.scatter if of.rows is None else of.rows.T @ of.rows
    assert scatter is not None
    return scatter / of.count


def plain(real: Sample, fake: Sample, correction: int = 0) -> float:
    x, y = (each.values.double().numpy() for each in (real, fake))
    s, t = (np.cov(each, rowvar=False, ddof=correction) for each in (x, y))
    root = scipy.linalg.sqrtm(s @ t).real
    gap = x.mean(0) - y.mean(0)
    return float(gap @ gap + np.trace(s) + np.trace(t) - 2 * np.trace(root))


@pytest.mark.parametrize(("real", "fake"), [(300, 400), (20, 400), (400, 20), (20, 25), (25, 20)])
def test_equals_the_plain_formula_with_more_and_with_fewer_images_than_features(
    real: int, fake: int
) -> None:
    x = gaussian(0, real, 30, shift=3.0)
    y = gaussian(1, fake, 30, scale=1.3)
    got = frechet.distance(frechet.moments(x), frechet.moments(y))
    singular = min(real, fake) < 30  # sqrtm itself is exact to the root of rounding there
    assert got == pytest.approx(plain(x, y), rel=1e-5 if singular else 1e-9)


def test_features_that_others_determine() -> None:
    x, y = gaussian(0, 200, 6), gaussian(1, 300, 6, scale=1.5)
    mix = torch.randn(6, 20, generator=torch.Generator().manual_seed(2))
    wide = [Sample(each.values @ mix, each.groups) for each in (x, y)]
    got = frechet.distance(*(frechet.moments(each) for each in wide))
    # tr (S1 S2)^(1/2) of the six features with the mixing moved between them
    root = np.linalg.svd(mix.double().numpy(), full_matrices=False)
    small = [
        Sample((each.values.double() @ torch.from_numpy(root[0] * root[1])), each.groups)
        for each in (x, y)
    ]
    assert got == pytest.approx(plain(*small), rel=1e-5)


def test_dead_features_change_nothing() -> None:
    x, y = gaussian(0, 200, 6), gaussian(1, 300, 6, scale=1.5)
    padded = [
        Sample(torch.cat((each.values, torch.zeros(len(each), 3)), 1), each.groups)
        for each in (x, y)
    ]
    got = frechet.distance(*(frechet.moments(each) for each in padded))
    assert got == pytest.approx(plain(x, y), rel=1e-7)


def test_a_set_has_no_distance_from_itself() -> None:
    for count in (20, 300):
        side = frechet.moments(gaussian(0, count, 30))
        assert frechet.distance(side, side) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("count", [20, 300])
def test_taking_images_away_equals_starting_without_them(count: int) -> None:
    sample = gaussian(0, count, 15, shift=100.0)
    left_out = torch.arange(count) % 4 == 1
    whole = frechet.moments(sample)
    got = frechet.without(whole, sample, left_out)
    expected = frechet.moments(sample.subset(~left_out))
    assert got.count == expected.count
    torch.testing.assert_close(got.mean, expected.mean)
    torch.testing.assert_close(covariance(got), covariance(expected))


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    real, fake = gaussian(0, 100, 5, per=3), gaussian(1, 250, 5)
    whole = frechet.frechet_distance(real, fake)
    monkeypatch.setattr(frechet.chunks, "__defaults__", (7,))
    chunked = frechet.frechet_distance(real, fake)
    assert chunked.value == pytest.approx(whole.value, rel=1e-10)
    assert chunked.interval is not None and whole.interval is not None
    assert chunked.interval.low == pytest.approx(whole.interval.low, rel=1e-6)


def test_a_memory_map_will_do(tmp_path) -> None:
    real, fake = gaussian(0, 100, 5), gaussian(1, 250, 5)
    np.save(tmp_path / "features.npy", fake.values.numpy())
    mapped = np.load(tmp_path / "features.npy", mmap_mode="c")
    stored = Sample(torch.from_numpy(mapped), fake.groups)
    assert frechet.frechet_distance(real, stored) == frechet.frechet_distance(real, fake)


def test_agrees_with_torch_fidelity() -> None:
    fidelity = peer("torch_fidelity.metric_fid")
    real, fake = gaussian(0, 300, 40, shift=1.0), gaussian(1, 500, 40, scale=1.2)
    one, two = (fidelity.fid_features_to_statistics(each.values.double()) for each in (fake, real))
    theirs = fidelity.fid_statistics_to_metric(one, two, False)["frechet_inception_distance"]
    # it divides by n - 1
    ours = [frechet.moments(each) for each in (real, fake)]
    scaled = [frechet.Moments(each.count - 1, each.mean, scatter=each.scatter) for each in ours]
    assert frechet.distance(*scaled) == pytest.approx(theirs, rel=1e-6)


def test_agrees_with_torchmetrics() -> None:
    metrics = peer("torchmetrics.image.fid")
    real, fake = gaussian(0, 300, 40, shift=1.0), gaussian(1, 500, 40, scale=1.2)
    ours = [frechet.moments(each) for each in (real, fake)]
    theirs = metrics._compute_fid(
        ours[0].mean, covariance(ours[0]), ours[1].mean, covariance(ours[1])
    )
    assert frechet.distance(*ours) == pytest.approx(float(theirs), rel=1e-6)


def test_extrapolation_removes_the_bias_of_small_sets() -> None:
    """The true distance is 0; a set of 400 has 1 or more."""
    pairs = [(gaussian(2 * i, 400, 16), gaussian(2 * i + 1, 400, 16)) for i in range(10)]
    limits = [limit for pair in pairs if (limit := frechet.extrapolate(*pair)) is not None]
    values = [frechet.distance(*(frechet.moments(each) for each in pair)) for pair in pairs]
    assert len(limits) == 10
    assert np.mean(values) > 0.3
    assert abs(np.mean(limits)) < 0.1 * np.mean(values)


def test_extrapolation_needs_three_groups() -> None:
    assert frechet.extrapolate(gaussian(0, 2, 3, per=50), gaussian(1, 100, 3)) is None


def test_fewer_images_than_features_are_noted() -> None:
    value = frechet.frechet_distance(gaussian(0, 30, 40), gaussian(1, 60, 40))
    assert any("is too large" in note for note in value.notes)


@pytest.mark.slow
def test_two_thousand_images_of_2048_features_take_seconds() -> None:
    x, y = gaussian(0, 2000, 2048), gaussian(1, 2000, 2048)
    before = time.process_time()
    frechet.distance(frechet.moments(x), frechet.moments(y))
    assert time.process_time() - before < 12, "3 s on a quiet core"
