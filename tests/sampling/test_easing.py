"""Curves begin at 0, end at 1 and go by numbers that were worked out by hand."""

import pytest
import torch

from synthograph.sampling.easing import Easing


@pytest.mark.parametrize("easing", Easing)
def test_ends_are_met(easing: Easing) -> None:
    ends = easing(torch.tensor([0.0, 1.0], dtype=torch.float64))
    torch.testing.assert_close(ends, torch.tensor([0.0, 1.0], dtype=torch.float64))
    way = easing(torch.linspace(0, 1, 101, dtype=torch.float64))
    assert way.min() >= 0 and way.max() <= 1 + 1e-12


@pytest.mark.parametrize(
    ("name", "at", "way"),
    [
        ("linear", 0.3, 0.3),
        ("easeInOutQuad", 0.25, 0.125),
        ("easeInOutQuad", 0.75, 0.875),
        ("circularEaseOut", 0.5, 0.75**0.5),
        ("circularEaseOut2", 0.2, 0.6),
        ("bounceEaseOut", 0.2, 7.5625 * 0.04),
        ("bounceEaseOut", 4 / 11, 1),  # hits the ground
        ("bounceEaseOut", 6 / 11, 0.75),  # and lifts off, ever lower
        ("bounceEaseOut", 8 / 11, 1),
        ("bounceEaseOut", 9 / 11, 0.9375),
        ("bounceEaseOut", 10.5 / 11, 0.984375),
    ],
)
def test_values_between(name: str, at: float, way: float) -> None:
    found = Easing(name)(torch.tensor([at], dtype=torch.float64))
    assert found.item() == pytest.approx(way, abs=1e-9)
