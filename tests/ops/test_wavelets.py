"""The filters are the wavelets that they are called after."""

import pytest
import torch

from synthograph.ops.wavelets import SYM2, SYM6, octave_bank


@pytest.mark.parametrize(("taps", "moments"), [(SYM2, 2), (SYM6, 6)])
def test_orthonormal_with_vanishing_moments(taps: tuple[float, ...], moments: int) -> None:
    h = torch.tensor(taps, dtype=torch.float64)
    assert h.sum().item() == pytest.approx(2**0.5)
    for shift in range(0, len(h), 2):
        assert float(h[shift:] @ h[: len(h) - shift]) == pytest.approx(float(shift == 0), abs=1e-10)
    k = torch.arange(len(h), dtype=torch.float64)
    alternating = h * (-1) ** k
    for power in range(moments):
        assert float((alternating * k**power).sum()) == pytest.approx(0, abs=1e-8)


def test_octaves_add_up_to_the_identity() -> None:
    bank = octave_bank()
    identity = torch.zeros(bank.shape[1], dtype=torch.float64)
    identity[bank.shape[1] // 2] = 1
    torch.testing.assert_close(bank.sum(0), identity)
    torch.testing.assert_close(bank, bank.flip(1))
    assert bank[0].sum().item() == pytest.approx(1)  # only the coarsest passes a constant
    assert bank[1:].sum(1).abs().max().item() == pytest.approx(0, abs=1e-12)
