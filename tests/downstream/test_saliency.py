"""Where classifiers look."""

import pytest
import torch
from torch import Tensor

from synthograph.core.errors import UserError
from synthograph.downstream.classifier import Classifier, trained_extractor
from synthograph.downstream.networks import ImageFeatures, SmallBody
from synthograph.downstream.probe import LogisticProbe
from synthograph.downstream.saliency import saliency
from synthograph.features.registry import extractor


class Model:
    """A classifier of two classes by the first map of a network."""

    def __init__(self, dims: int) -> None:
        generator = torch.Generator().manual_seed(0)
        weight = torch.rand(3, dims, generator=generator, dtype=torch.float64) - 0.5
        some = torch.zeros(1, dims).double()
        one = torch.ones(dims, dtype=torch.float64)
        bias = torch.zeros(3, dtype=torch.float64)
        self.probe = LogisticProbe(0 * one, 2 * one, weight, bias, 1.0, some, some[0, :1] + 1, 1.0)


def made() -> tuple[Classifier, ImageFeatures, Tensor]:
    torch.manual_seed(1)
    network = ImageFeatures(SmallBody(3), size=(64, 64), mean=[0.5] * 3, deviation=[0.3] * 3)
    images = torch.randint(0, 256, (2, 3, 48, 32), dtype=torch.uint8)
    return Model(network.dims), network.eval(), images  # type: ignore[return-value]


def test_it_is_the_gradient_of_the_class_by_the_maps() -> None:
    model, network, images = made()
    classes = torch.tensor([2, 0])
    maps = network.maps(images.float() / 255).detach().requires_grad_()
    features = maps.mean((2, 3)).double()
    logits = (features - model.probe.mean) / model.probe.scale @ model.probe.weight.T
    score = (logits - logits.mean(1, keepdim=True)).gather(1, classes[:, None]).sum()
    weights = torch.autograd.grad(score, maps)[0].mean((2, 3), keepdim=True)
    wanted = (weights * maps).sum(1).clamp(min=0).detach()
    wanted = wanted / wanted.amax((1, 2), keepdim=True)
    wanted = torch.nn.functional.interpolate(wanted[:, None], (48, 32), mode="bilinear")[:, 0]
    own = trained_extractor("small", network, torch.device("cpu"))
    found = saliency(model, own, images, classes)
    assert found.shape == (2, 48, 32)
    assert found.allclose(wanted, atol=1e-5)


def test_16_bits_are_read_as_such() -> None:
    model, network, images = made()
    own = trained_extractor("small", network, torch.device("cpu"))
    deep = (images.int() * 257).to(torch.uint16)
    classes = torch.tensor([1, 1])
    assert saliency(model, own, deep, classes).allclose(
        saliency(model, own, images, classes), atol=1e-4
    )


def test_features_that_are_no_means_over_maps_are_refused() -> None:
    model, _, images = made()
    with pytest.raises(UserError, match="leave --pictures out"):
        saliency(model, extractor("random-vgg16"), images, torch.tensor([0, 1]))
