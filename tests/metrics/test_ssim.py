"""Diversity of sets by structural similarity of pairs."""

import pytest
import torch

from synthograph.metrics.ssim import mean_similarity
from synthograph.ops.similarity import ms_ssim
from tests.ops.test_similarity import images


def test_pairs_have_a_mean_with_an_interval() -> None:
    x = images(20, 1, (32, 32))
    similar = torch.full((21,), -1.0)
    similar[1:20:2] = ms_ssim(x[0::2], x[1::2]).float()
    found = mean_similarity(similar)
    assert found.counts == {"pairs": 10} and found.n_fake == 21
    assert found.value == pytest.approx(float(ms_ssim(x[0::2], x[1::2]).mean()), rel=1e-6)
    assert found.interval is not None and found.value in found.interval


def test_a_generator_of_one_image_has_no_diversity() -> None:
    x = images(1, 3, (32, 32)).repeat(20, 1, 1, 1)
    assert mean_similarity(ms_ssim(x[0::2], x[1::2]).float()).value == pytest.approx(1)


def test_sets_without_pairs() -> None:
    assert mean_similarity(torch.zeros(0)).notes == ("no synthetic images",)
    assert mean_similarity(torch.full((3,), -1.0)).notes == ("no two images to compare",)
