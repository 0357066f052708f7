"""Lists of nearest groups against plain sorting, and draws of whole groups."""

import torch

from synthograph.core.seeds import Streams
from synthograph.metrics.audit.neighbours import (
    choose,
    draws,
    permute_groups,
    pool_of,
    rank,
)
from synthograph.stats.nearest import nearest_squared
from synthograph.stats.sample import Sample
from tests.metrics.draws import gaussian


def labels_of(sample: Sample, seed: int, *, by_group: bool) -> list[str]:
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(0, 3, (len(sample),), generator=generator)
    return ["abb"[int(drawn[int(g) if by_group else i])] for i, g in enumerate(sample.groups)]


def test_lists_find_the_nearest_image_of_any_choice() -> None:
    pool = pool_of(gaussian(0, 30, 4, per=3, likeness=0.5), gaussian(1, 20, 4, per=2))
    synthetic = gaussian(2, 50, 4)
    ranked, own = rank(synthetic.values, pool), rank(pool.values, pool, own=pool.groups)
    generator = torch.Generator().manual_seed(3)
    for _ in range(5):
        chosen = torch.rand(50, generator=generator) < 0.3
        rows = pool.rows(chosen)
        far = torch.cdist(synthetic.values.double(), pool.values[rows].double()).square()
        squared, images = ranked.nearest(chosen)
        assert torch.allclose(squared.double(), far.amin(1), atol=1e-5)
        assert torch.equal(images, rows[far.argmin(1)])
        far = torch.cdist(pool.values.double(), pool.values[rows].double()).square()
        far[pool.groups[:, None] == pool.groups[rows][None]] = torch.inf
        some = torch.arange(0, 130, 7)
        squared, images = own.nearest(chosen, some)
        assert torch.allclose(squared.double(), far.amin(1)[some], atol=1e-5)
        assert not bool((pool.groups[images] == pool.groups[some]).any())


def test_lists_are_long_enough_for_a_small_hold_out_of_a_large_pool() -> None:
    pool = pool_of(gaussian(0, 700, 3), gaussian(1, 20, 3))
    synthetic = gaussian(2, 200, 3)
    ranked = rank(synthetic.values, pool)
    assert ranked.groups.shape[1] < 720
    held = pool.values[pool.held[pool.groups]]
    centre = torch.zeros(3, dtype=torch.float64)
    assert torch.allclose(
        ranked.nearest(pool.held)[0],
        nearest_squared(synthetic.values, held, centre)[:, 0],
        atol=1e-5,
    )


def test_equal_images_are_at_no_distance() -> None:
    real = gaussian(0, 40, 16, scale=100.0)
    ranked = rank(real.values[5:8], pool_of(real, gaussian(1, 10, 16)))
    squared, images = ranked.nearest(torch.arange(50) < 40)
    assert squared.tolist() == [0, 0, 0] and images.tolist() == [5, 6, 7]


def test_groups_of_two_sets_stay_apart_and_whole() -> None:
    train, held = gaussian(0, 6, 2, per=4), gaussian(1, 5, 2, per=3)
    shuffled = torch.randperm(24, generator=torch.Generator().manual_seed(0))
    pool = pool_of(train.subset(shuffled), held)
    assert pool.held.tolist() == [False] * 6 + [True] * 5
    assert pool.table[:, 0].tolist() == [4] * 6 + [3] * 5
    for group in range(6):
        mine = pool.values[pool.groups == group]
        assert torch.equal(mine.sort(0).values, train.values[train.groups == group].sort(0).values)


def test_training_is_cut_to_the_size_and_mix_of_the_hold_out() -> None:
    for by_group, slack in ((True, 2), (False, 4)):
        train, held = gaussian(0, 120, 2, per=3), gaussian(1, 30, 2, per=3)
        labels = [
            labels_of(each, place, by_group=by_group) for place, each in enumerate((train, held))
        ]
        pool = pool_of(train, held, (labels[0], labels[1]))
        assert pool.single is by_group
        found = draws(pool, pool.held, 20, Streams(0))
        target = pool.table[pool.held].sum(0)
        sizes = torch.stack([pool.table[draw.train].sum(0) for draw in found])
        assert all(torch.equal(draw.holdout, pool.held) for draw in found)
        assert not any(bool((draw.train & pool.held).any()) for draw in found)
        assert int((sizes - target).abs().max()) <= slack
        assert abs(float(sizes.sum(1).double().mean() / target.sum()) - 1) < 0.02
        assert len({tuple(draw.train.tolist()) for draw in found}) == 20


def test_the_hold_out_is_cut_where_training_has_less() -> None:
    train, held = gaussian(0, 30, 2), gaussian(1, 90, 2)
    pool = pool_of(train, held, (["a"] * 20 + ["b"] * 10, ["a"] * 10 + ["b"] * 80))
    for draw in draws(pool, pool.held, 3, Streams(0)):
        assert pool.table[draw.train].sum(0).tolist() == [10, 10]
        assert pool.table[draw.holdout].sum(0).tolist() == [10, 10]


def test_exchanges_hold_out_as_many_of_every_class() -> None:
    train, held = gaussian(0, 60, 2, per=2), gaussian(1, 20, 2, per=2)
    names = ["a", "a", "b", "b"]
    pool = pool_of(train, held, (names * 30, names * 10))
    ways = permute_groups(pool, 200, Streams(0))
    assert all(pool.table[way].sum(0).tolist() == [20, 20] for way in ways)
    often = torch.stack(ways).double().mean(0)  # 20 of 80 groups each time
    assert float((often - 0.25).abs().max()) < 0.13


def test_no_group_is_taken_that_does_not_bring_it_nearer() -> None:
    pool = pool_of(
        Sample(torch.randn(13, 1), torch.tensor([0] * 10 + [1, 2, 3])), gaussian(0, 5, 1)
    )
    taken = choose(pool, torch.ones(9, dtype=torch.bool), torch.tensor([4]), torch.arange(9))
    assert not bool(taken[0]) and int(pool.table[taken].sum()) == 4
