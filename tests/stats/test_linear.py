import math

import numpy as np
import pytest
import torch
from scipy import stats

from synthograph.core.errors import UserError
from synthograph.stats.intervals import plan
from synthograph.stats.linear import (
    Calibration,
    Components,
    correlations,
    fit_linear,
    mean_interval,
    quality,
)

N, D = 240, 10


def drawn(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Features of different spread, a value that two of them make, and patients of four images."""
    torch.manual_seed(seed)
    x = torch.randn(N, D).double() * torch.logspace(-0.5, 0.5, D).double()
    values = 3 * x[:, 0] - 0.1 * x[:, 6] + 50 + 0.2 * torch.randn(N).double()
    return x, values, torch.arange(N) // 4


def test_a_fit_without_noise_finds_the_slopes() -> None:
    x, _, groups = drawn()
    exact = 3 * x[:, 0] - 0.1 * x[:, 6] + 50
    fit = fit_linear(x, exact, groups)
    wanted = torch.zeros(D).double()
    wanted[0], wanted[6] = 3, -0.1
    assert torch.allclose(fit.slopes * x.std(0), wanted * x.std(0), atol=1e-3)
    assert fit.offset == pytest.approx(50, abs=1e-2)
    assert torch.allclose(fit.predict(x), exact, atol=1e-2)


def test_slopes_are_those_of_the_normal_equations() -> None:
    x, values, groups = drawn()
    fit = fit_linear(x, values, groups)
    a, y = x.numpy(), values.numpy()
    centred = a - a.mean(0)
    gram = centred.T @ centred + fit.penalty * N * a.var(0).mean() * np.eye(D)
    expected = np.linalg.solve(gram, centred.T @ (y - y.mean()))
    assert np.allclose(fit.slopes.numpy(), expected)


def test_held_out_values_come_from_fits_without_their_group() -> None:
    torch.manual_seed(1)
    groups = torch.arange(60).repeat_interleave(3)
    own = torch.randn(60, 100).double()[groups]  # images of a patient are all but equal
    luck = torch.randn(60).double()[groups]
    fit = fit_linear(own + 0.01 * torch.randn(180, 100), luck, groups)
    assert quality(fit.held_out, luck, groups).value < 0.35
    alone = fit_linear(own + 0.01 * torch.randn(180, 100), luck, torch.arange(180))
    assert quality(alone.held_out, luck, torch.arange(180)).value > 0.8  # what groups prevent


def test_quality_is_the_correlation_and_the_area_under_the_curve() -> None:
    x, values, groups = drawn()
    fit = fit_linear(x, values, groups)
    found = quality(fit.held_out, values, groups)
    assert found.value == pytest.approx(stats.pearsonr(fit.held_out, values)[0])
    assert found.shown
    members = (values > values.median()).double()
    fit = fit_linear(x, members, groups)
    found = quality(fit.held_out, members, groups)
    u = stats.mannwhitneyu(fit.held_out[members == 1], fit.held_out[members == 0]).statistic
    assert found.value == pytest.approx(u / (N / 2) ** 2)
    assert found.chance == 0.5
    assert found.interval is not None
    assert found.interval.high <= 1


def test_nothing_is_shown_of_noise() -> None:
    shown = 0
    for seed in range(40):
        torch.manual_seed(seed)
        x, values = torch.randn(100, 8), torch.randn(100).double()
        fit = fit_linear(x, values, torch.arange(100))
        shown += quality(fit.held_out, values, torch.arange(100)).shown
    assert shown <= 3


def test_little_is_shown_of_a_rare_class_in_noise() -> None:
    """Of 60 sets with 7 patients of the class."""
    shown, own = 0, (torch.arange(100) < 7).double()
    for seed in range(60):
        rng = torch.Generator().manual_seed(seed)
        fit = fit_linear(torch.randn(100, 20, generator=rng), own, torch.arange(100), seed=seed)
        shown += quality(fit.held_out, own, torch.arange(100), seed=seed).shown
    assert shown <= 5


def test_calibration_takes_back_what_the_penalty_shrinks() -> None:
    torch.manual_seed(2)
    truth = torch.randn(2000).double() * 10 + 60
    x = torch.stack([truth + 20 * torch.randn(2000) for _ in range(3)], dim=1)
    fit = fit_linear(x, truth, torch.arange(2000))
    scale = Calibration.of(fit, truth)
    assert 0.3 < scale.slope < 0.7  # three noisy readings say half of it
    said = scale(fit.predict(x))
    for low, high in ((45, 55), (65, 75)):
        here = (truth > low) & (truth < high)
        assert float(said[here].mean()) == pytest.approx(float(truth[here].mean()), abs=1.2)
    members = (truth > 60).double()
    fit = fit_linear(x, members, torch.arange(2000))
    said = Calibration.of(fit, members)(fit.held_out + members.mean())
    assert float(said[members == 1].mean()) == pytest.approx(1, abs=5e-3)
    assert float(said[members == 0].mean()) == pytest.approx(0, abs=5e-3)


def test_components_keep_what_varies() -> None:
    torch.manual_seed(3)
    hidden = torch.randn(50, 3)
    x = hidden @ torch.randn(3, 200) + 5
    part = Components.of(x, 8)
    assert part(x).shape == (50, 8)
    assert float(part(x)[:, 3:].abs().max()) < 1e-3
    assert part(x[:4]).allclose(part(x)[:4])


def test_correlations_leave_blocks_out() -> None:
    x, values, groups = drawn()
    cut = plan(groups)
    found = correlations(x[:, 0], values, cut)
    kept = cut.rows(0, 3)
    assert float(found[3]) == pytest.approx(stats.pearsonr(x[kept, 0], values[kept])[0])
    assert float(correlations(torch.ones(N).double(), values, cut)[0]) == 0


def test_means_have_intervals_of_student() -> None:
    values = torch.tensor([1.0, 2, 3, 4, 6]).double()
    mean, ends = mean_interval(values)
    low, high = stats.t.interval(0.95, 4, loc=mean, scale=stats.sem(values.numpy()))
    assert ends is not None
    assert (ends.low, ends.high) == pytest.approx((low, high))
    assert mean_interval(values[:1]) == (1.0, None)
    assert math.isfinite(mean)


def test_what_cannot_be_fitted_is_refused() -> None:
    x, values, groups = drawn()
    with pytest.raises(UserError, match="at least 5 are needed"):
        fit_linear(x, values, groups.clamp(max=2))
    with pytest.raises(UserError, match="50 everywhere"):
        fit_linear(x, torch.full_like(values, 50), groups)
