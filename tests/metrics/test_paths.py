"""Path length from distances of image pairs."""

import numpy as np
import pytest
import torch

from synthograph.core.errors import UserError
from synthograph.metrics.paths import (
    VARIANTS,
    Sampling,
    Space,
    check_size,
    path_length,
    seen,
    step_lengths,
    trimmed_mean,
)


def distances(count: int) -> torch.Tensor:
    return torch.rand(count, generator=torch.Generator().manual_seed(count)).double() ** 4 * 1000


@pytest.mark.parametrize("count", [1, 2, 50, 100, 101, 1003])
def test_the_percentiles_are_distances_and_count(count: int) -> None:
    values = distances(count)
    low = np.percentile(values.numpy(), 1, method="lower")
    high = np.percentile(values.numpy(), 99, method="higher")
    kept = values[(values >= low) & (values <= high)]
    assert float(trimmed_mean(values)) == pytest.approx(float(kept.mean()), rel=1e-12)


def test_extreme_steps_do_not_count() -> None:
    values = torch.ones(1000)
    values[3] = 1e9
    got = path_length([values[:400], values[400:]])
    assert got.value == 1
    assert got.n_fake == 1000


def test_the_interval_holds_the_expectation() -> None:
    hits, truth = 0, float(trimmed_mean(distances(2_000_003)))
    for seed in range(100):
        generator = torch.Generator().manual_seed(seed)
        drawn = torch.rand(400, generator=generator).double() ** 4 * 1000
        got = path_length([drawn])
        assert got.interval is not None and got.value in got.interval
        hits += truth in got.interval
    assert 88 <= hits <= 99


def test_published_variants() -> None:
    table = {name: (v.space, v.sampling, v.crop) for name, v in VARIANTS.items()}
    assert table == {
        "ppl2_wend": (Space.W, Sampling.END, False),
        "ppl_zfull": (Space.Z, Sampling.FULL, True),
        "ppl_wfull": (Space.W, Sampling.FULL, True),
        "ppl_zend": (Space.Z, Sampling.END, True),
        "ppl_wend": (Space.W, Sampling.END, True),
    }
    assert {v.epsilon for v in VARIANTS.values()} == {1e-4}


def test_bad_input() -> None:
    for poison in (float("nan"), float("inf"), -1.0):
        with pytest.raises(UserError, match="ppl_zend"):
            path_length([torch.tensor([1.0, poison])], name="ppl_zend")
    assert path_length([]).notes == ("no pairs of images",)
    few = path_length([torch.ones(3)])
    assert few.value == 1 and few.interval is None


def test_what_the_distance_sees() -> None:
    whole, cut = VARIANTS["ppl2_wend"], VARIANTS["ppl_wend"]
    rows = torch.arange(64.0).view(1, 1, 64, 1).expand(1, 3, 64, 64)
    assert torch.equal(seen(rows, whole), rows)
    assert torch.equal(seen(rows, cut), rows[:, :, 24:56, 16:48])
    columns = rows.transpose(2, 3)
    assert torch.equal(seen(columns, cut), columns[:, :, 24:56, 16:48])


def test_large_images_are_reduced_by_means() -> None:
    whole, cut = VARIANTS["ppl2_wend"], VARIANTS["ppl_wend"]
    large = torch.rand(1, 1, 1024, 512, generator=torch.Generator().manual_seed(0))
    small = large.view(1, 1, 256, 4, 128, 4).mean((3, 5))
    torch.testing.assert_close(seen(large, whole), small)
    middle = large[:, :, 384:896, 128:384].reshape(1, 1, 256, 2, 128, 2).mean((3, 5))
    torch.testing.assert_close(seen(large, cut), middle)


def test_steps_are_measured_by_their_square() -> None:
    first = torch.rand(6, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    pairs = [(first[:4], first[:4] + 3e-4), (first[4:], first[4:] + 3e-4)]
    found = list(
        step_lengths(pairs, VARIANTS["ppl2_wend"], lambda a, b: (a - b).square().mean((1, 2, 3)))
    )
    assert [len(each) for each in found] == [4, 2]
    torch.testing.assert_close(torch.cat(found), torch.full((6,), 9.0).double(), rtol=1e-2, atol=0)


def test_images_that_are_too_small() -> None:
    check_size(VARIANTS["ppl2_wend"], 16, 16)
    check_size(VARIANTS["ppl_zend"], 32, 32)
    with pytest.raises(UserError, match="images of 8x16: a perceptual distance"):
        check_size(VARIANTS["ppl2_wend"], 16, 8)
    with pytest.raises(UserError, match="of which ppl_zend leaves 8x8.*ppl2_wend takes whole"):
        check_size(VARIANTS["ppl_zend"], 16, 16)
