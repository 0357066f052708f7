"""Inception score against a plain formula and torch-fidelity."""

import math

import numpy as np
import pytest
import torch

from synthograph.core.errors import UserError
from synthograph.metrics.scores import inception_score, split_scores
from synthograph.stats.intervals import plan
from tests.metrics.peers import peer


def logits(count: int = 203, classes: int = 7) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return 3 * torch.randn(count, classes, generator=generator)


def plain(probabilities: np.ndarray, splits: int) -> list[float]:
    count, scores = len(probabilities), []
    for i in range(splits):
        part = probabilities[i * count // splits : (i + 1) * count // splits]
        terms = part * (np.log(part) - np.log(part.mean(0, keepdims=True)))
        scores.append(math.exp(terms.sum(1).mean()))
    return scores


@pytest.mark.parametrize("count", [200, 203, 10])
def test_equals_the_plain_formula(count: int) -> None:
    probabilities = logits(count).double().softmax(1)
    value, std = inception_score(probabilities)
    expected = plain(probabilities.numpy(), 10)
    assert value.value == pytest.approx(np.mean(expected), rel=1e-9)
    assert std == pytest.approx(np.std(expected), rel=1e-6, abs=1e-9)
    assert value.interval is not None and value.value in value.interval


def test_leaving_out_blocks_equals_starting_without_them() -> None:
    probabilities = logits(200).double().softmax(1)
    cut = plan(torch.arange(200), pairs=0)
    kept = probabilities[cut.rows(0, 3)]
    got = split_scores(probabilities, cut, 1)[3]
    assert float(got[0]) == pytest.approx(plain(kept.numpy(), 1)[0], rel=1e-9)


def test_certain_and_undecided_classifiers() -> None:
    certain = torch.eye(5).repeat(20, 1)
    assert inception_score(certain)[0].value == pytest.approx(5)
    assert inception_score(torch.full((100, 5), 0.2))[0].value == pytest.approx(1)


def test_agrees_with_torch_fidelity() -> None:
    fidelity = peer("torch_fidelity.metric_isc")
    theirs = fidelity.isc_features_to_metric(logits(), splits=10, shuffle=False)
    value, std = inception_score(logits().double().softmax(1))
    assert value.value == pytest.approx(theirs["inception_score_mean"], rel=1e-6)
    assert std == pytest.approx(theirs["inception_score_std"], rel=1e-5)


def test_bad_input() -> None:
    with pytest.raises(UserError, match="synthetic image 0.*softmax"):
        inception_score(logits())
    poisoned = torch.full((20, 4), 0.25)
    poisoned[13, 2] = float("nan")
    with pytest.raises(UserError, match="synthetic image 13"):
        inception_score(poisoned)
    few, _ = inception_score(torch.full((4, 4), 0.25))
    assert few.value is None and "4 synthetic images" in few.notes[0]
