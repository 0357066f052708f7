"""Ranks against sums over pairs, one by one."""

import pytest
import torch

from synthograph.stats import ranks
from synthograph.stats.ranks import quantiles, rank_statistics


def plain(scores: list[float], members: list[bool], kept: list[bool], rate: float) -> list[float]:
    """Concordant pairs, all pairs, members found."""
    ours = [s for s, m, k in zip(scores, members, kept, strict=True) if m and k]
    others = [s for s, m, k in zip(scores, members, kept, strict=True) if not m and k]
    concordant = sum((a > b) + (a == b) / 2 for a in ours for b in others)
    found = sum(sum(b >= a for b in others) <= int(rate * len(others)) for a in ours)
    return [concordant, len(ours) * len(others), found, len(ours)]


@pytest.mark.parametrize("elements", [1 << 24, 30])
@pytest.mark.parametrize("rate", [0.0, 0.25])
def test_equals_plain_sums(rate: float, elements: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ranks, "ELEMENTS", elements)
    generator = torch.Generator().manual_seed(0)
    scores = torch.randint(0, 8, (25,), generator=generator).to(torch.float32)  # many ties
    members = torch.rand(7, 25, generator=generator) < 0.4
    kept = torch.rand(7, 25, generator=generator) < 0.8
    found = rank_statistics(scores, members, kept, false_positives=rate)
    for e in range(7):
        wanted = plain(scores.tolist(), members[e].tolist(), kept[e].tolist(), rate)
        got = [each[e].item() for each in (found.concordant, found.pairs, found.found)]
        assert [*got, found.members[e].item()] == wanted
        assert found.auc[e].item() == pytest.approx(wanted[0] / wanted[1])
        assert found.true_positives[e].item() == pytest.approx(wanted[2] / wanted[3])


def test_everybody_counts_by_default() -> None:
    scores, members = torch.tensor([3.0, 1.0, 2.0]), torch.tensor([[True, False, False]])
    found = rank_statistics(scores, members)
    assert found.auc.item() == 1 and found.true_positives.item() == 1


def test_quantiles_share_ties() -> None:
    assert quantiles(torch.tensor([5.0, 1.0, 5.0, 2.0])).tolist() == [0.75, 0.125, 0.75, 0.375]


def test_one_side_alone_says_nothing() -> None:
    found = rank_statistics(torch.tensor([1.0, 2.0]), torch.tensor([[True, True]]))
    assert found.auc.item() == 0.5
