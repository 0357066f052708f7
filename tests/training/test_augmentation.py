"""Augmentation with the random numbers of a run."""

from collections import Counter

import pytest
import torch
from torch import Tensor

from synthograph.core.seeds import Streams
from synthograph.ops.augment import AugmentPipe
from synthograph.ops.draws import StreamDraws
from synthograph.ops.operations import OPERATIONS

COUNT, SIDE = 4000, 64


@pytest.mark.parametrize("modalities", [None, {"vis": 3, "nir": 1}])
def test_no_number_is_used_twice(modalities: dict[str, int] | None, monkeypatch) -> None:
    """A gate and a value from one number would depend on each other."""
    names: Counter[str] = Counter()
    for owner, kind in ((StreamDraws, "words"), (Streams, "normal")):
        drawn = getattr(owner, kind)

        def noted(self: object, name: str, *args: object, drawn=drawn) -> Tensor:
            names[name] += 1
            return drawn(self, name, *args)

        monkeypatch.setattr(owner, kind, noted)
    channels = 3 if modalities is None else sum(modalities.values())
    pipe = AugmentPipe(modalities=modalities, **dict.fromkeys(OPERATIONS, 1))
    pipe.p.fill_(0.5)
    images = torch.randn(4, channels, 16, 16)
    pipe(images, draws=StreamDraws(Streams(0), torch.arange(4), images.device, {}))
    assert len(names) > 2 * len(OPERATIONS) - 2
    assert [name for name, times in names.items() if times > 1] == []


def test_draws_made_together_are_those_made_one_by_one() -> None:
    streams, indices, expected = Streams(1, "Dreg/"), torch.tensor([3, 1 << 40]), {}
    for _ in range(2):  # the second time all are expected
        draws = StreamDraws(streams, indices, indices.device, expected)
        assert torch.equal(draws.uniform("hue", 2), streams.uniform("hue", indices, (2,)))
        assert torch.equal(draws.normal("xfrac", 2), streams.normal("xfrac", indices, (2,)))
        assert torch.equal(draws.normal("scale", 1), streams.normal("scale", indices, (1,)))
        acts = streams.uniform("scale/gate", indices) < 0.5
        assert torch.equal(draws.gate("scale", torch.tensor(0.5)), acts.float())
    assert list(expected) == ["hue", "xfrac", "scale", "scale/gate"]


@pytest.mark.parametrize("p", [0.1, 0.5])
def test_what_acts_is_spread_as_if_it_always_acted(p: float) -> None:
    draws = StreamDraws(Streams(0), torch.arange(COUNT), torch.device("cpu"), {})

    def shifts(**operation: float) -> Tensor:
        pipe = AugmentPipe(**operation)
        pipe.p.fill_(p)
        inverse = pipe.inverse(draws, (SIDE, SIDE))
        assert inverse is not None
        return inverse[:, 0, 2]

    whole = shifts(xint=1)
    moved = whole[whole != 0]  # a seventeenth of the shifts that act rounds to 0
    assert len(moved) / COUNT == pytest.approx(p * 16 / 17, abs=0.03)
    assert abs(float(moved.mean())) < 1
    assert float(moved.std()) == pytest.approx(SIDE / 8 / 3**0.5, abs=0.6)
    part = shifts(xfrac=1)
    assert float(part[part != 0].std()) == pytest.approx(SIDE / 8, rel=0.1)
