"""Generators that saw an image against one that did not."""

import pytest
import torch
from torch import Tensor

from synthograph.core.errors import UserError
from synthograph.metrics.audit import cross_fold as module
from synthograph.metrics.audit.cross_fold import cross_fold
from synthograph.results.folds import FoldTest

GENERATORS, GROUPS, PER = 4, 28, 3
FOLDS = (torch.arange(GROUPS) % GENERATORS).repeat_interleave(PER)
PATIENTS = torch.arange(GROUPS).repeat_interleave(PER)
UNSEEN = range(GENERATORS)


def drawn(seed: int, memory: float = 0.0) -> Tensor:
    """Nearness with good and bad generators, and near and far patients."""
    generator = torch.Generator().manual_seed(seed)
    quality = torch.randn(GENERATORS, 1, generator=generator) * 3
    patient = torch.randn(GROUPS, generator=generator)[PATIENTS]
    taste = torch.randn(GENERATORS, GROUPS, generator=generator)[:, PATIENTS]
    own = torch.randn(GENERATORS, len(FOLDS), generator=generator) * 0.3
    saw = torch.arange(GENERATORS)[:, None] != FOLDS
    return quality + patient + 0.5 * taste + own + memory * saw


def test_without_memory_p_is_uniform() -> None:
    found = [cross_fold(drawn(s), UNSEEN, FOLDS, PATIENTS, permutations=99) for s in range(200)]
    for ps in (torch.tensor([f.p for f in found]), torch.tensor([f.group_p for f in found])):
        assert (ps < 0.05).float().mean() <= 0.08
        assert 0.42 < ps.mean() < 0.58
    assert sum(each.seen for each in found) <= 16


def test_memory_is_seen_and_measured() -> None:
    found = [cross_fold(drawn(s, 1.0), UNSEEN, FOLDS, PATIENTS) for s in range(10)]
    assert all(each.seen for each in found)
    gains = torch.tensor([each.gain for each in found])
    # brought to one mean, a generator's own fold counts for a quarter in it
    assert gains.mean() == pytest.approx(1.0, abs=0.15)
    assert sum(1.0 in each.interval for each in found if each.interval) >= 7
    assert min(each.share_nearer for each in found) > 0.7


def test_equals_plain_means() -> None:
    scores = drawn(0, 0.5)
    found = cross_fold(scores, UNSEEN, FOLDS, PATIENTS, permutations=9)
    centred = scores.double() - scores.double().mean(1, keepdim=True)
    gains = []
    for i, fold in enumerate(FOLDS.tolist()):
        seen = [float(centred[k, i]) for k in UNSEEN if k != fold]
        gains.append(sum(seen) / len(seen) - float(centred[fold, i]))
    assert found.gain == pytest.approx(sum(gains) / len(gains))
    assert found.share_nearer == pytest.approx(sum(gain > 0 for gain in gains) / len(gains))


def test_folds_without_generator_are_counted() -> None:
    found = cross_fold(drawn(0)[:2], [0, 2], FOLDS, PATIENTS, permutations=9)
    assert found.images == 42 and found.left_out == 42 and found.groups == 14
    assert any("no generator left out" in note for note in found.notes)
    assert FoldTest.parse(found.tree(), "x") == found


def test_what_does_not_fit_is_refused() -> None:
    scores = drawn(0)
    with pytest.raises(UserError, match="at least two"):
        cross_fold(scores[:1], [0], FOLDS, PATIENTS)
    with pytest.raises(UserError, match="a fold of its own"):
        cross_fold(scores, [0, 1, 1, 2], FOLDS, PATIENTS)
    with pytest.raises(UserError, match="a row per generator"):
        cross_fold(scores[:3], UNSEEN, FOLDS, PATIENTS)
    with pytest.raises(UserError, match="split by group"):
        cross_fold(scores, UNSEEN, FOLDS, torch.zeros_like(PATIENTS))
    with pytest.raises(UserError, match="not finite"):
        cross_fold(scores * torch.nan, UNSEEN, FOLDS, PATIENTS)
    with pytest.raises(UserError, match="4 groups to compare"):
        cross_fold(scores[:, :12], UNSEEN, FOLDS[:12], PATIENTS[:12])
    assert module.PERMUTATIONS == 999
