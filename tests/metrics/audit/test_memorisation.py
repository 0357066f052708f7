"""Tests of memorisation: nothing is found where there is nothing, copies are found, and the numbers
are those of the papers, computed plainly.
"""

import math

import pytest
import torch
from scipy.stats import mannwhitneyu

from synthograph.core.errors import UserError
from synthograph.core.seeds import Streams
from synthograph.metrics.audit import memorisation
from synthograph.metrics.audit.findings import NAMES, RULES, judge
from synthograph.metrics.audit.memorisation import measure
from synthograph.metrics.audit.neighbours import Draw
from synthograph.results.audit import NeighbourTest
from synthograph.stats.sample import Sample
from tests.metrics.audit.planted import Three, three
from tests.metrics.draws import gaussian

FEW = 39
"""Exchanges: the fewest with which an interval can be had."""


def findings(sets: Three, exchanges: int = FEW, seed: int = 0) -> dict[str, NeighbourTest]:
    found = judge([measure(*sets, extractor="x", exchanges=exchanges, seed=seed)])
    return {each.test: each for each in found}


@pytest.mark.parametrize("seed", range(2))
def test_with_nothing_memorised_half_are_closer_to_training(seed: int) -> None:
    found = findings(three(seed))
    for test, each in found.items():
        assert each.interval[0] <= each.expected <= each.interval[1], (test, each)
        assert each.interval[0] <= each.value <= each.interval[1]
        assert not each.flagged and each.draws >= 20
    half = found["closer_to_training"]
    assert half.expected == 0.5 and abs(half.value - 0.5) < 0.1
    # groups of 4 alike: far wider than for 200 independent images
    assert half.interval[1] - half.interval[0] > 2 * 1.96 * math.sqrt(0.25 / 200)
    assert half.detail["training_images"] == half.detail["held_out_images"] == 80


def test_without_cutting_training_down_unequal_sizes_alone_give_73_percent() -> None:
    sets = (three(seed, likeness=0.0) for seed in range(3))
    found = [measure(*each, extractor="x", exchanges=1) for each in sets]
    shares = [each.detail["closer_to_training"]["with_all_training_images"] for each in found]
    assert sum(shares) / 3 == pytest.approx(54 / 74, abs=0.04)  # 0.73: 216 images against 80
    cut = [float(each.found[NAMES.index("closer_to_training")]) for each in found]
    assert sum(cut) / 3 == pytest.approx(0.5, abs=0.05)


def test_every_test_reacts_to_copies() -> None:
    found = findings(three(1, copied=1.0, train=24))
    for test, each in found.items():
        assert each.flagged, (test, each)
        assert not each.interval[0] <= each.expected <= each.interval[1]
        assert each.p <= 0.025 and each.sentence.endswith("chance does not explain this")
    rules = {rule.name: rule for rule in RULES}
    assert all(rules[t].sign * (e.value - e.expected) > 0 for t, e in found.items())
    subset = findings(three(1, copied=0.3))
    assert subset["much_closer"].flagged, "a part of copies shows where distances are halved"


def test_copies_of_held_out_images_are_no_memorising() -> None:
    train, held, synthetic = three(2)
    values = held.values[torch.arange(200) % len(held)] + 0.01
    found = findings((train, held, Sample(values, synthetic.groups)))
    assert not any(each.flagged for each in found.values())
    assert found["closer_to_training"].value < 0.2


@pytest.mark.slow
def test_false_alarms_are_as_rare_as_promised() -> None:
    alarms, outside = 0, 0
    for seed in range(25):
        found = findings(three(100 + seed, likeness=0.7, synthetic=120, train=30, held=15))
        alarms += any(each.flagged for each in found.values())
        outside += any(not e.interval[0] <= e.expected <= e.interval[1] for e in found.values())
    assert alarms <= 3  # 2.5 % each
    assert outside <= 5


def test_likeness_within_groups_widens_the_intervals() -> None:
    widths = []
    for likeness in (0.0, 0.9):
        sets = three(3, likeness=likeness, train=20, synthetic=80)
        low, high = findings(sets)["closer_to_training"].interval
        widths.append(high - low)
    assert widths[1] > 1.3 * widths[0]


def test_numbers_are_those_of_the_papers() -> None:
    train, held, synthetic = three(
        4, copied=0.3, train=20, held=20, likeness=0.0, per=1, synthetic=90
    )
    streams = Streams(0)
    synthetic.values[:3] = train.values[:3]
    tables = memorisation._distance_tables(train, held, synthetic, None, streams)
    both = tables.tests([Draw(~tables.pool.held, tables.pool.held)] * 2)
    named = dict(zip(NAMES, both.tolist(), strict=True))
    t, h, f = (each.values.double() for each in (train, held, synthetic))
    s = f[tables.subset]
    assert len(s) == 20

    def near(x: torch.Tensor, y: torch.Tensor, *, same: bool = False) -> torch.Tensor:
        far = torch.cdist(x, y)
        if same:
            far.fill_diagonal_(torch.inf)
        return far.amin(1)

    def above(x: torch.Tensor, y: torch.Tensor) -> float:
        same = torch.isclose(x, y, atol=1e-6)  # as with synthetic images that equal real ones
        return float(((x > y) & ~same).double().mean() + same.double().mean() / 2)

    assert named["closer_to_training"] == pytest.approx(above(near(f, h), near(f, t)))
    ratio = (near(f, t) / near(f, h)).log().clamp(-math.log(10), math.log(10)).mean()
    assert named["distance_ratio"] == pytest.approx(float(ratio), abs=1e-4)

    def accuracy(real: torch.Tensor) -> float:
        told = above(near(real, s), near(real, real, same=True))
        return (told + above(near(s, real), near(s, s, same=True))) / 2

    assert named["adversarial_accuracy"] == pytest.approx(accuracy(h) - accuracy(t))

    def authentic(real: torch.Tensor) -> float:
        nearest = torch.cdist(f, real).argmin(1)
        return above(near(f, real), near(real, real, same=True)[nearest])

    assert named["authenticity"] == pytest.approx(authentic(h) - authentic(t))

    def copying(real: torch.Tensor, other: torch.Tensor) -> float:
        p, q = near(other, real).numpy(), near(f, real).numpy()
        found = mannwhitneyu(q, p, method="asymptotic", use_continuity=False)
        n, m = len(p), len(q)
        return float((found.statistic - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12))

    assert bool((tables.cells == 0).all()), "one cell for so few images"
    assert named["data_copying"] == pytest.approx(copying(t, h) - copying(h, t), abs=1e-6)


def test_cells_of_the_copying_test_are_weighted_by_their_images() -> None:
    train, held, synthetic = three(
        5, train=80, held=70, per=2, likeness=0.0, features=2, synthetic=300
    )
    tables = memorisation._distance_tables(train, held, synthetic, None, Streams(0))
    sides = tables.side(~tables.pool.held), tables.side(tables.pool.held)
    pool, total, weight = tables.pool, 0.0, 0
    between = torch.cdist(pool.values[sides[1].images].double(), train.values.double()).amin(1)
    for cell in range(int(tables.cells.max()) + 1):
        p = between[tables.cells[sides[1].images] == cell]
        q = sides[0].squared.sqrt()[tables.cells[pool.count :] == cell]
        if min(len(p), len(q)) < 20:
            continue
        found = mannwhitneyu(q.numpy(), p.numpy(), method="asymptotic").statistic
        n, m = len(p), len(q)
        total += n * (found - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
        weight += n
    assert weight > 0 and int(tables.cells.max()) >= 1
    assert tables.copying(*sides) == pytest.approx(total / weight, abs=1e-4)


def test_the_same_seed_gives_the_same_numbers() -> None:
    sets = three(6, synthetic=60, train=20, held=10)
    one, same = (measure(*sets, extractor="x", exchanges=3) for _ in range(2))
    other = measure(*sets, extractor="x", exchanges=3, seed=1)
    assert torch.equal(one.found, same.found) and torch.equal(one.permuted, same.permuted)
    assert not torch.equal(one.permuted, other.permuted)


def test_distances_come_as_quartiles_and_histogram() -> None:
    found = measure(*three(7, copied=0.5, noise=0.0), extractor="x", exchanges=1).distances
    assert found["to_train"]["least"] == 0 < found["to_holdout"]["least"]
    assert found["to_train"]["median"] <= found["to_train"]["upper"]
    shares = found["histogram"]
    assert len(shares["edges"]) == len(shares["to_train"]) + 1
    assert sum(shares["to_train"]) == pytest.approx(1) == pytest.approx(sum(shares["to_holdout"]))
    assert shares["to_train"][0] > shares["to_holdout"][0]


def test_classes_are_matched() -> None:
    """Training lacks the class that synthetic images are of; without matching it seems far."""
    train, held, synthetic = three(8, train=60, held=30, per=2, likeness=0.0)
    rare = [i // 2 % 2 == 0 for i in range(60)]  # half of the hold-out, a fifth of training
    held.values[torch.tensor(rare), 0] += 6
    often = [i // 2 % 5 == 0 for i in range(120)]
    train.values[torch.tensor(often), 0] += 6
    synthetic.values[:, 0] += 6
    labels = tuple(["r" if each else "c" for each in flags] for flags in (often, rare))
    plain = measure(train, held, synthetic, extractor="x", exchanges=1)
    matched = measure(train, held, synthetic, extractor="x", labels=labels, exchanges=1)
    assert float(plain.found[0]) < 0.4
    assert float(matched.found[0]) == pytest.approx(0.5, abs=0.1)


def test_few_groups_and_broken_features_are_refused() -> None:
    train, held, synthetic = three(9)
    assert memorisation.too_small(train, held) is None
    few = held.subset(held.groups < 4)
    assert "4 groups of held-out images" in str(memorisation.too_small(train, few))
    with pytest.raises(UserError, match="4 groups of held-out images"):
        measure(train, few, synthetic, extractor="x")
    with pytest.raises(UserError, match="features"):
        measure(train, held, gaussian(0, 20, 3), extractor="x")
    broken = Sample(synthetic.values * torch.nan, synthetic.groups)
    with pytest.raises(UserError, match="not finite"):
        measure(train, held, broken, extractor="x")


def test_large_sets_are_cut_along_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memorisation, "MAX_REAL", 100)
    monkeypatch.setattr(memorisation, "MAX_SYNTHETIC", 50)
    sets = three(10)
    train, held, (ours, theirs) = memorisation._cut(
        *sets[:2], (["a"] * 216, ["b"] * 80), Streams(0)
    )
    assert train.groups.unique(return_counts=True)[1].tolist() == [4] * 25
    assert held.groups.unique(return_counts=True)[1].tolist() == [4] * 12
    assert ours == ["a"] * 100 and theirs == ["b"] * 48
    found = measure(*sets, extractor="x", exchanges=1)
    assert found.images == 50
    assert found.notes == (
        "tests of nearest neighbours took 100 of 216 training images, of 25 of 54 groups",
        "tests of nearest neighbours took 48 of 80 held-out images, of 12 of 20 groups",
        "tests of nearest neighbours took 50 of 200 synthetic images",
    )
    monkeypatch.undo()
    assert measure(*sets, extractor="x", exchanges=1).notes == ()


@pytest.mark.parametrize("largest", [70, 400])
def test_groups_for_which_there_is_no_room_are_passed_over(
    monkeypatch: pytest.MonkeyPatch, largest: int
) -> None:
    """Slides with more tiles than may take part, whichever of them is drawn first."""
    monkeypatch.setattr(memorisation, "MAX_REAL", 100)
    sizes = torch.tensor([largest] * 3 + [4] * 12)
    groups = torch.arange(15).repeat_interleave(sizes)
    real = [Sample(gaussian(place, len(groups), 4).values, groups) for place in range(2)]
    for seed in range(6):
        train, held, _ = memorisation._cut(*real, None, Streams(seed))
        for sample, most in ((train, 100), (held, 50)):
            numbers, counts = sample.groups.unique(return_counts=True)
            assert min(most, 63) - 5 < len(sample) <= most  # 63 is 3 times 5 and 12 times 4
            assert counts[numbers >= 3].tolist() == [4] * int((numbers >= 3).sum())
            assert counts[numbers < 3].tolist() == [5] * int((numbers < 3).sum())
        assert train.group_count == 15 and held.group_count >= 10
    found = measure(*real, gaussian(9, 60, 4), extractor="x", exchanges=1)
    assert "of 15 of 15 groups" in found.notes[0] and len(found.notes) == 2
    assert 0 < found.detail["closer_to_training"]["held_out_images"] <= 50
