"""What tests say together: intervals that hold at once."""

import math

import pytest
import torch

from synthograph.metrics.audit.findings import NAMES, RULES, PermutedTests, judge


def measured(found: torch.Tensor, null: torch.Tensor, name: str = "x") -> PermutedTests:
    detail = {"closer_to_training": {"training_images": 5}}
    return PermutedTests(name, found, null, detail, {}, images=1000)


CENTRES = torch.tensor([rule.expected for rule in RULES], dtype=torch.float64)


def draw(seed: int, rows: int, extractors: int = 1) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    shape = (rows, extractors, len(RULES))
    return CENTRES + 0.1 * torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_intervals_of_all_tests_hold_together() -> None:
    """Of 400 audits with 12 independent tests about 10 are suspected, and 20 have an interval that
    misses; with intervals one by one it would be 180.
    """
    alarms, missed = 0, 0
    for seed in range(400):
        drawn = draw(seed, 200, extractors=2)
        found = judge([measured(drawn[0, e], drawn[1:, e]) for e in range(2)])
        assert len(found) == 12
        alarms += any(each.flagged for each in found)
        missed += any(not e.interval[0] <= e.expected <= e.interval[1] for e in found)
    assert alarms <= 22
    assert 5 <= missed <= 38


def test_a_deviation_counts_on_the_side_of_memorising_only() -> None:
    null = draw(0, 199)[:, 0]
    signs = torch.tensor([rule.sign for rule in RULES], dtype=torch.float64)
    for side in (1, -1):
        found = judge([measured(CENTRES + side * signs, null)])
        assert [each.flagged for each in found] == [side > 0] * len(RULES)
        assert all(not e.interval[0] <= e.expected <= e.interval[1] for e in found)
        assert all(each.p == (1 / 200 if side > 0 else 1) for each in found)


def test_flags_are_where_the_interval_misses_towards_memorising() -> None:
    for seed in range(60):
        drawn = draw(seed, 100)
        found = judge([measured(drawn[0, 0] + 0.3 * (seed % 3), drawn[1:, 0])])
        for each, rule in zip(found, RULES, strict=True):
            below, above = each.interval[0] > each.expected, each.interval[1] < each.expected
            assert each.flagged == (below if rule.sign > 0 else above)


def test_ratios_are_shown_as_ratios_and_shares_within_their_range() -> None:
    found = judge([measured(CENTRES + 0.45, draw(0, 99)[:, 0])])
    shown = {each.test: each for each in found}
    assert list(shown) == list(NAMES)
    assert shown["distance_ratio"].value == pytest.approx(math.exp(0.45))
    assert shown["distance_ratio"].expected == 1
    assert shown["closer_to_training"].interval[1] == 1
    document = shown["closer_to_training"].tree()
    assert document["interval"] == list(shown["closer_to_training"].interval)
    assert document["draws"] >= 20 and document["exchanges"] == 99
    assert document["detail"] == {"training_images": 5}
    assert document["sentence"].startswith("95.0% of the synthetic images (")


def test_a_test_that_never_moves_is_judged_by_whole_images() -> None:
    null = draw(0, 99)[:, 0]
    null[:, 2] = 0
    found = judge([measured(CENTRES, null)])
    low, high = found[2].interval
    assert not found[2].flagged and low < 0 < high < 0.01


def test_nothing_measured_nothing_found() -> None:
    assert judge([]) == []
