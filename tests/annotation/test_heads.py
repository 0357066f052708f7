"""Ensembles of pixel classifiers: streamed as one array would be, and their disagreement."""

import numpy as np
import pytest
import torch
from scipy.stats import entropy

from synthograph.annotation import heads
from synthograph.annotation.heads import Head, HeadShape, decide
from synthograph.core.errors import UserError

SHAPES = [
    HeadShape(members=3),
    HeadShape(members=3, widths=[6]),
    HeadShape(members=3, widths=[6, 4], normalised=True),
]


def layers_of(count: int = 2) -> list[torch.Tensor]:
    draws = torch.Generator().manual_seed(0)
    return [
        torch.randn(count, c, side, side, generator=draws) for c, side in ((5, 4), (3, 8), (2, 16))
    ]


def made(shape: HeadShape) -> Head:
    head = Head(shape, (5, 3, 2), 4)
    head.begin(torch.Generator().manual_seed(1))
    with torch.no_grad():
        head.mean.copy_(torch.randn(10))
        head.scale.copy_(torch.rand(10) + 0.5)
        for each in head.biases:
            each.copy_(torch.randn(each.shape))
    if shape.normalised:
        head.train()
        head(torch.randn(50, 10))
    return head.eval()


@pytest.mark.parametrize("shape", SHAPES, ids=["linear", "deep", "published"])
@pytest.mark.parametrize("at_once", [1, 1 << 24])
def test_streamed_layers_are_all_layers_enlarged(
    shape: HeadShape, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heads, "AT_ONCE", at_once)
    head, layers = made(shape), layers_of()
    large = torch.cat(
        [torch.nn.functional.interpolate(x, (16, 16), mode="bilinear") for x in layers], dim=1
    )
    with torch.no_grad():
        expected = head(large.movedim(1, 3).flatten(0, 2)).softmax(2)
    expected = expected.view(3, 2, 16, 16, 4).permute(1, 0, 4, 2, 3)
    found = torch.stack(list(head.probabilities(layers, (16, 16))))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_disagreement_against_scipy() -> None:
    drawn = np.random.default_rng(0).dirichlet(np.ones(4), (5, 6, 7))
    members = torch.from_numpy(np.moveaxis(drawn, 3, 1))
    mask, divergence = decide(members, vote=False)
    mean = drawn.mean(0)
    expected = entropy(mean, axis=2) - entropy(drawn, axis=3).mean(0)
    np.testing.assert_allclose(divergence.numpy(), expected, atol=1e-12)
    np.testing.assert_array_equal(mask.numpy(), mean.argmax(2))
    same, none = decide(members[:1].expand(5, -1, -1, -1), vote=False)
    assert float(none.max()) < 1e-9
    np.testing.assert_array_equal(same.numpy(), drawn[0].argmax(2))


@pytest.mark.parametrize("vote", [False, True])
def test_an_image_network_counts_as_much_as_all_members(vote: bool) -> None:
    drawn = np.random.default_rng(0).dirichlet(np.ones(4), (6, 5, 7))
    members, network = torch.from_numpy(np.moveaxis(drawn, 3, 1)).split([5, 1])
    mask, divergence = decide(members, vote=vote, network=network[0])
    repeated = torch.cat([members, network.expand(5, -1, -1, -1)])
    expected, spread = decide(repeated, vote=vote)
    assert torch.equal(mask, expected)
    torch.testing.assert_close(divergence, spread)


def test_votes_go_before_probabilities() -> None:
    """Two weak votes beat a strong one; of equal votes the larger probability wins."""
    members = torch.tensor([[0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])[:, :, None, None]
    assert int(decide(members, vote=True)[0]) == 1
    assert int(decide(members, vote=False)[0]) == 0
    assert int(decide(members[:2], vote=True)[0]) == 0


def test_shapes_of_others_are_bounded() -> None:
    for wrong in ({"members": 0}, {"widths": [1 << 20]}, {"patch": 4}, {"widths": [1] * 9}):
        with pytest.raises(UserError):
            HeadShape.parse(wrong)
