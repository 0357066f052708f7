"""The classifier two-sample test: chance where sets are alike, whatever their groups are like."""

import json
from collections.abc import Callable

import pytest
import torch

from synthograph.core.errors import UserError
from synthograph.metrics import two_sample
from synthograph.metrics.two_sample import classifier_test, permutations_for
from synthograph.stats.comparisons import holm
from synthograph.stats.sample import Sample
from tests.metrics.draws import gaussian

REPEATS = 80
ALIKE: dict[str, Callable[[int], tuple[Sample, Sample]]] = {
    "patients": lambda s: (
        gaussian(s, 30, 6, per=4, likeness=0.7),
        gaussian(1000 + s, 30, 6, per=4, likeness=0.7),
    ),
    "patients and single images": lambda s: (
        gaussian(s, 20, 6, per=5, likeness=0.8),
        gaussian(1000 + s, 400, 6),
    ),
    "few with many images and many with few": lambda s: (
        gaussian(s, 12, 6, per=8, likeness=0.9),
        gaussian(1000 + s, 100, 6, per=2, likeness=0.2),
    ),
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", ALIKE)
def test_alike_sets_are_told_apart_by_chance_only(kind: str) -> None:
    found = [classifier_test(*ALIKE[kind](s), permutations=59, seed=s) for s in range(REPEATS)]
    ps = torch.tensor([each.p for each in found])
    assert (ps < 0.05).float().mean() <= 0.10
    assert 0.35 < ps.mean() < 0.65
    aucs = torch.tensor([each.auc for each in found])
    assert aucs.mean() == pytest.approx(0.5, abs=0.03)
    assert sum(0.5 in each.interval for each in found if each.interval) / REPEATS > 0.88


def test_another_mean_and_another_spread_are_seen() -> None:
    one = gaussian(0, 40, 6, per=4, likeness=0.5)
    for other in (
        gaussian(1, 40, 6, per=4, likeness=0.5, shift=2.0),
        gaussian(1, 40, 6, per=4, likeness=0.5, scale=1.7),
    ):
        found = classifier_test(one, other, permutations=199)
        assert found.p == pytest.approx(1 / 200) and found.auc is not None and found.auc > 0.65
        assert found.interval is not None and found.auc in found.interval
        assert found.interval.low > 0.5
        assert found.accuracy is not None and found.accuracy > 0.6


def test_the_auc_is_that_of_the_best_discriminant() -> None:
    """Two Gaussians a distance of 1 apart: 76 % of the pairs are right."""
    found = classifier_test(gaussian(0, 800, 4), gaussian(1, 800, 4, shift=1.0), permutations=19)
    assert found.auc == pytest.approx(0.760, abs=0.02)
    assert found.accuracy == pytest.approx(0.691, abs=0.025)


def test_concordance_equals_plain_sums() -> None:
    generator = torch.Generator().manual_seed(0)
    scores = torch.randint(0, 5, (12, 6), generator=generator).to(torch.float64)
    ours = torch.rand(12, 6, generator=generator) < 0.5
    found, pairs = two_sample._concordant(scores, ours)
    for e in range(6):
        mine, theirs = scores[ours[:, e], e].tolist(), scores[~ours[:, e], e].tolist()
        assert found[e] == sum((a > b) + (a == b) / 2 for a in mine for b in theirs)
        assert pairs[e] == len(mine) * len(theirs)


def test_copies_of_the_same_images_are_chance() -> None:
    one = gaussian(0, 60, 4)
    found = classifier_test(one, Sample(one.values.clone(), one.groups), permutations=99)
    assert found.auc is not None and found.p is not None
    assert found.p > 0.05 and found.auc < 0.55


def test_groups_are_matched_and_it_says_so() -> None:
    found = classifier_test(
        gaussian(0, 20, 4, per=5), gaussian(1, 400, 4), permutations=9, names=("here", "there")
    )
    assert found.groups == (20, 20) and found.images == (100, 100)
    assert found.notes == (
        "for the classifier, every 5 images of there count as one group",
        "the classifier is shown 20 of the 80 groups of there",
    )


def test_chunks_do_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    pair = gaussian(0, 20, 4, per=2), gaussian(1, 20, 4, per=2, shift=0.5)
    whole = classifier_test(*pair, permutations=40)
    monkeypatch.setattr(two_sample, "ELEMENTS", 1600)
    cut = classifier_test(*pair, permutations=40)
    assert cut.auc == pytest.approx(whole.auc) and cut.p == whole.p
    assert json.loads(json.dumps(whole.tree(), allow_nan=False)) == whole.tree()


def test_too_few_groups_say_nothing() -> None:
    found = classifier_test(gaussian(0, 4, 3, per=30), gaussian(1, 40, 3, per=3))
    assert found.auc is None and found.p is None
    assert found.reason == "4 groups in a set, at least 5 are needed"


def test_features_that_are_no_numbers_are_refused() -> None:
    bad = gaussian(0, 9, 3)
    bad.values[4] = torch.nan
    with pytest.raises(UserError, match="there image 4"):
        classifier_test(gaussian(0, 9, 3), bad, names=("here", "there"))


def test_the_smallest_p_of_many_tests_stays_small() -> None:
    for count in (1, 20, 51, 56, 200):
        assert holm([1 / (permutations_for(count) + 1)] * count)[0] < 0.05
    assert permutations_for(1) == 999 and permutations_for(10_000) == 9999
