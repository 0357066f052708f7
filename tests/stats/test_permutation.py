"""Permutations of whole groups, their p values, and groups that fit."""

import math

import pytest
import torch

from synthograph.core.errors import UserError
from synthograph.core.seeds import Streams
from synthograph.stats import permutation
from synthograph.stats.permutation import (
    arrangements,
    groups_that_fit,
    joint_p_value,
    p_value,
    permute_groups,
    permute_labels,
    pool_groups,
    random_subsets,
)

MEMBER = torch.tensor([True] * 6 + [False] * 4)
STRATA = torch.tensor([0, 0, 0, 1, 1, 1, 0, 0, 1, 1])


def test_groups_of_two_sets_are_never_one() -> None:
    pooled = pool_groups(torch.tensor([7, 3, 7]), torch.tensor([3, 3, 9, 1]))
    assert pooled.groups.tolist() == [1, 0, 1, 3, 3, 4, 2]
    assert pooled.of_second.tolist() == [False, False, True, True, True]
    assert pooled.table.tolist() == [[1], [2], [1], [2], [1]] and not pooled.classes.any()


def test_classes_are_counted_by_group() -> None:
    first, second = torch.tensor([7, 3, 7]), torch.tensor([3, 3])
    pooled = pool_groups(first, second, (["b", "a", "a"], ["c", "c"]))
    assert pooled.classes.tolist() == [1, 0, 0, 2, 2]
    assert pooled.table.tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 2]]
    with pytest.raises(UserError, match="2 and 2 labels for 3 and 2 images"):
        pool_groups(first, second, (["a", "b"], ["a", "b"]))


def test_every_stratum_keeps_as_many_members() -> None:
    members = permute_groups(MEMBER, STRATA, 50, Streams(0))
    assert members.shape == (51, 10) and torch.equal(members[0], MEMBER)
    for stratum in (0, 1):
        assert (members[:, STRATA == stratum].sum(1) == 3).all()
    assert len(members.unique(dim=0)) > 30, "permutations differ"
    often = members[1:].double().mean(0)
    assert float((often - 0.6).abs().max()) < 0.2, "any group may be exchanged"
    assert not torch.equal(members, permute_groups(MEMBER, STRATA, 50, Streams(1)))


def test_labels_are_dealt_out_anew() -> None:
    labels = torch.tensor([0, 0, 1, 1, 2, 2, 2])
    dealt = permute_labels(labels, 20, Streams(0), "folds")
    assert dealt.shape == (21, 7) and torch.equal(dealt[0], labels)
    assert torch.equal(dealt.sort(1).values, labels.expand(21, 7))
    assert len(dealt.unique(dim=0)) > 15
    assert permute_labels(labels, 0, Streams(0), "folds").tolist() == [labels.tolist()]


def test_how_much_is_drawn_at_once_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    subsets = random_subsets(9, 4, 20, Streams(0), "x")
    labels = permute_labels(STRATA, 20, Streams(0), "x")
    assert (subsets.sum(1) == 4).all()
    monkeypatch.setattr(permutation, "DRAWN_AT_ONCE", 30)
    assert torch.equal(random_subsets(9, 4, 20, Streams(0), "x"), subsets)
    assert torch.equal(permute_labels(STRATA, 20, Streams(0), "x"), labels)


def test_arrangements_are_counted_within_strata() -> None:
    assert arrangements(MEMBER, torch.zeros(10, dtype=torch.int64)) == math.comb(10, 6)
    assert arrangements(MEMBER, STRATA) == math.comb(5, 3) ** 2
    assert arrangements(MEMBER, torch.arange(10)) == 1


def test_the_data_count_as_one_permutation() -> None:
    null = torch.tensor([0.1, 0.5, 0.5, 0.9], dtype=torch.float64)
    assert p_value(1.0, null) == 1 / 5, "p is never 0"
    assert p_value(0.5, null) == 4 / 5, "as large counts"
    assert p_value(0.5 + 1e-13, null) == 2 / 5 and p_value(0.5 + 1e-13, null, slack=1e-12) == 4 / 5
    assert p_value(0.3, null[:0]) == 1


def test_the_smallest_of_several_p_is_paid_for() -> None:
    generator = torch.Generator().manual_seed(0)
    null = torch.randn(199, 6, generator=generator, dtype=torch.float64)
    far = torch.cat((torch.full((1, 6), 9.0, dtype=torch.float64), null))
    assert joint_p_value(far) == 1 / 200
    one = null.clone()
    one[0] = 0.0
    one[0, 3] = one[1:, 3].kthvalue(194).values  # five of 198 are as large
    alone = p_value(float(one[0, 3]), one[1:, 3])
    assert alone < 0.04 < 2 * alone < joint_p_value(one) <= 6 * alone + 1e-12
    found = [joint_p_value(null.roll(shift, 0)) for shift in range(199)]
    assert sum(p <= 0.05 for p in found) <= 0.05 * 199 + 1, "it holds its level"


def test_groups_that_do_not_fit_are_passed_over() -> None:
    sizes = torch.tensor([5, 3, 4, 2])
    assert groups_that_fit(sizes, torch.tensor([1, 0, 2, 3]), 7).tolist() == [
        False,
        True,
        True,
        False,
    ]
    assert groups_that_fit(sizes, torch.tensor([0, 1, 3, 2]), 7).tolist() == [
        True,
        False,
        False,
        True,
    ]
    assert groups_that_fit(sizes, torch.arange(4), 14).all()
    assert not groups_that_fit(sizes, torch.arange(4), 1).any()
