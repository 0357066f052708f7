"""The truth: calibration, patients, confounders. Nothing is rendered here."""

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.spatial import cKDTree
from scipy.special import ndtri
from scipy.stats import rankdata

from synthograph.core.record import SourceItem
from synthograph.sources.phantoms import PhantomOptions, PhantomSet, make_phantoms
from synthograph.sources.phantoms.labels import calibrate_signal, population_auroc


def auroc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Mann-Whitney statistic, ties count half."""
    ranks, n = rankdata(scores), int(positive.sum())
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(ranks) - n)))


def make(kind: str, **options: object) -> PhantomSet:
    return make_phantoms(PhantomOptions.parse({"kind": kind, **options}))


def column(phantoms: PhantomSet, name: str) -> np.ndarray:
    return np.array([float(item.columns[name]) for item in phantoms.items])


def positives(phantoms: PhantomSet) -> np.ndarray:
    return np.array([item.label == phantoms.classes[1] for item in phantoms.items])


def standardised(phantoms: PhantomSet) -> np.ndarray:
    """Standard normal numbers [images, factors], of which the factors' values are made."""
    columns = []
    for factor in phantoms.factors:
        inside = (column(phantoms, factor.name) - factor.low) / (factor.high - factor.low)
        columns.append(ndtri(np.clip(inside, 1e-7, 1 - 1e-7)))
    return np.stack(columns, axis=1)


def leak_gap(kind: str, seed: int, neighbours: int) -> float:
    """AUROC of nearest neighbours on the factors: split by image minus split by patient."""
    phantoms = make(kind, count=2000, seed=seed)
    known, label = standardised(phantoms), positives(phantoms)
    group = np.array([item.group for item in phantoms.items])
    generator = np.random.default_rng(seed)
    patients = np.unique(group)
    by_image = generator.random(len(group)) < 0.3
    by_patient = np.isin(group, patients[generator.random(len(patients)) < 0.3])
    values = []
    for test in (by_image, by_patient):
        nearest = cKDTree(known[~test]).query(known[test], k=[*range(1, neighbours + 1)])[1]
        values.append(auroc(label[~test][nearest].mean(axis=1), label[test]))
    return values[0] - values[1]


@pytest.mark.parametrize("kind", ["skin", "knee"])
@pytest.mark.parametrize("wanted", [0.8, 0.9, 0.95])
def test_auroc_of_the_score_is_the_one_asked_for(kind: str, wanted: float) -> None:
    phantoms = make(kind, count=12000, auroc=wanted, seed=5)
    assert auroc(column(phantoms, "score"), positives(phantoms)) == pytest.approx(wanted, abs=0.02)
    assert positives(phantoms).mean() == pytest.approx(0.4, abs=0.03)


def test_population_auroc_agrees_with_simulation() -> None:
    generator = np.random.default_rng(0)
    score, noise = generator.standard_normal((2, 400_000))
    positive = 0.6 * score + 0.8 * noise > 0.5244005127  # the threshold of prevalence 0.3
    assert population_auroc(0.6, 0.3) == pytest.approx(auroc(score, positive), abs=0.003)


@pytest.mark.parametrize("prevalence", [0.05, 0.5])
@pytest.mark.parametrize("wanted", [0.51, 0.9, 0.999])
def test_calibration_inverts_the_population_auroc(wanted: float, prevalence: float) -> None:
    assert population_auroc(calibrate_signal(wanted, prevalence), prevalence) == pytest.approx(
        wanted, abs=1e-5
    )


@pytest.mark.parametrize("separation", [0.0, 1.0])
def test_no_function_of_the_factors_beats_the_score(separation: float) -> None:
    """The probabilities are calibrated, so ranking by them is the best (Neyman and Pearson)."""
    phantoms = make("skin", count=12000, seed=2, images_per_patient=1, separation=separation)
    probability, positive = column(phantoms, "probability"), positives(phantoms)
    for low in np.arange(0, 1, 0.2):
        chosen = (probability >= low) & (probability < low + 0.2)
        assert positive[chosen].mean() == pytest.approx(probability[chosen].mean(), abs=0.05)


@pytest.mark.parametrize("kind", ["skin", "knee"])
def test_score_is_the_documented_sum_of_factors(kind: str) -> None:
    phantoms = make(kind, count=3000, seed=1)
    weights = np.array([f.weight for f in phantoms.factors])
    score = standardised(phantoms) @ weights / np.linalg.norm(weights)
    np.testing.assert_allclose(score, column(phantoms, "score"), atol=0.02)
    assert score.std() == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("kind", ["skin", "knee"])
def test_classes_can_be_moved_apart(kind: str) -> None:
    parsed = PhantomOptions.parse({"kind": kind, "count": 1})
    assert "separation" not in parsed.recorded(), "so unfinished archives of before go on"
    near, far = make(kind, count=3000, seed=1), make(kind, count=3000, seed=1, separation=2)
    positive = positives(near)
    np.testing.assert_array_equal(positive, positives(far))
    moved = column(far, "score") - column(near, "score")
    np.testing.assert_allclose(moved, np.where(positive, 1, -1), atol=1e-5)
    free = next(f.name for f in near.factors if not f.weight)
    np.testing.assert_array_equal(column(near, free), column(far, free))
    weights = np.array([f.weight for f in far.factors])
    score = standardised(far) @ weights / np.linalg.norm(weights)
    np.testing.assert_allclose(score, column(far, "score"), atol=0.02)
    assert auroc(score, positive) > 0.99


@pytest.mark.parametrize("kind", ["skin", "knee"])
@pytest.mark.parametrize("neighbours", [1, 3])
def test_split_by_image_overstates_auroc(kind: str, neighbours: int) -> None:
    gaps = [leak_gap(kind, seed, neighbours) for seed in range(6)]
    assert np.mean(gaps) >= 0.05


def test_patients_share_tone_and_have_several_lesions() -> None:
    phantoms = make("skin", count=1000, images_per_patient=4)
    tones: dict[str, set[str]] = {}
    for item in phantoms.items:
        assert item.group is not None
        tones.setdefault(item.group, set()).add(item.columns["skin_tone"])
    assert all(len(shown) == 1 for shown in tones.values())
    assert 1000 / len(tones) == pytest.approx(4, abs=0.4)


@pytest.mark.parametrize("kind", ["skin", "eye", "knee"])
def test_larger_count_only_appends(kind: str) -> None:
    few = make(kind, count=23).items
    many = make(kind, count=60).items

    def truth(items: Sequence[SourceItem]) -> list[tuple[object, ...]]:
        return [(i.name, i.label, i.group, i.columns) for i in items]

    assert truth(few) == truth(many[:23])


def test_confounders_ignore_the_label_unless_told() -> None:
    free = make("skin", count=6000)
    tied = make("skin", count=6000, confounder_correlation=0.8)
    assert auroc(column(free, "hair"), positives(free)) == pytest.approx(0.5, abs=0.03)
    assert auroc(column(tied, "hair"), positives(tied)) > 0.8
    assert column(tied, "hair").mean() == pytest.approx(column(free, "hair").mean(), rel=0.15)
    np.testing.assert_array_equal(positives(free), positives(tied))
