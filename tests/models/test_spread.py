"""The spread loss against its formula."""

import pytest
import torch

from synthograph.models.spread import follow, pair_stats, spread_loss


def drawn() -> dict[str, list[torch.Tensor]]:
    torch.manual_seed(0)
    sizes = {"visible": (4, 2), "infrared": (8, 1)}
    return {m: [torch.randn(4, 3, s, s) for s in each] for m, each in sizes.items()}


def distance(x: torch.Tensor, pair: int) -> float:
    return float((x[2 * pair] - x[2 * pair + 1]).double().square().mean().sqrt())


def test_pairs_that_differ_less_than_real_ones_pay() -> None:
    pictures, labels = drawn(), torch.eye(2)[[1, 1, 0, 0]]
    wanted = {
        "visible": torch.tensor([[0.5, 2.0], [3.0, 0.0]]),
        "infrared": torch.tensor([[9.0, 0.1], [4.0, 5.0]]),
    }
    loss, ratio = spread_loss(pictures, labels, wanted)
    for pair, kind in enumerate((1, 0)):
        expected, ratios = 0.0, []
        for name, seen in pictures.items():
            real = wanted[name][kind].tolist()
            own = [distance(x, pair) / r if r else 1.0 for x, r in zip(seen, real, strict=True)]
            expected += sum(max(0.0, 1 - r) ** 2 for r in own) / 2
            ratios += own
        assert loss[2 * pair : 2 * pair + 2].tolist() == pytest.approx([expected] * 2, rel=1e-4)
        assert float(ratio[2 * pair]) == pytest.approx(sum(ratios) / 4, rel=1e-4)


def test_the_gradient_drives_a_pair_apart() -> None:
    close = torch.tensor([0.0, 0.1]).reshape(2, 1, 1, 1).requires_grad_()
    loss, _ = spread_loss({"image": [close]}, torch.zeros(2, 0), {"image": torch.ones(1, 1)})
    loss.sum().backward()
    assert close.grad is not None
    assert float(close.grad[0]) > 0 > float(close.grad[1])


def test_means_follow_the_classes_of_a_batch() -> None:
    pictures, labels = drawn(), torch.eye(3)[[1, 1, 1, 1]]
    found = pair_stats(pictures, labels, dict.fromkeys(pictures, torch.zeros(3, 2)))
    assert all(len(rows) == 4 for rows in found.values()), "a row per image"
    means = {name: rows.mean(0) for name, rows in found.items()}
    for name, seen in pictures.items():
        own = torch.tensor([(distance(x, 0) + distance(x, 1)) / 2 for x in seen])
        mean = torch.zeros(3, 2)
        follow(mean, means, name, 0.75)
        torch.testing.assert_close(mean[1], own, msg="the first batch is taken as it is")
        mean = torch.ones(3, 2)
        follow(mean, means, name, 0.75, unit=2.0)
        torch.testing.assert_close(mean[1], 0.75 + 0.25 * 2 * own)
        assert mean[[0, 2]].eq(1).all(), "classes that are not there stay"


def test_label_vectors_are_one_class() -> None:
    found = pair_stats(drawn(), torch.rand(4, 5), dict.fromkeys(drawn(), torch.zeros(1, 2)))
    assert found["share"].eq(1).all() and found["share"].shape == (4, 1)
