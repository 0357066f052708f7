"""EfficientNet-Lite: a plain writing-out with random weights, and what the real ones say of three
photographs.
"""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import batch_norm, conv2d, pad

from synthograph.core.devices import Precision
from synthograph.core.untrusted.torch_files import read_state
from synthograph.features import registry
from synthograph.features.base import NetworkExtractor
from synthograph.features.efficientnet_lite import SIZES, EfficientNetLite
from synthograph.features.packaged import PACKAGES
from tests.features.states import images, random_state

State = dict[str, Tensor]
LITE0 = "efficientnet-lite0"


def needs(*modules: str) -> None:
    """Skip where a package is missing, and name it."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"the package {module.replace('_', '-')} is missing")


def shapes(name: str) -> EfficientNetLite:
    with torch.device("meta"):
        return EfficientNetLite(SIZES[name])


def filled(name: str) -> tuple[EfficientNetLite, State]:
    state = random_state(shapes(name))
    network = shapes(name).to_empty(device="cpu").eval().requires_grad_(False)
    network.load_state_dict(state)
    return network, state


@pytest.fixture(scope="module")
def lite0() -> NetworkExtractor:
    needs(PACKAGES[LITE0].module)
    found = registry.extractor(LITE0)
    assert isinstance(found, NetworkExtractor)
    return found


def convolved(s: State, x: Tensor, conv: str, norm: str, *, stride: int = 1) -> Tensor:
    """Padded so that the last place of the filter lies behind the image, where the side is even."""
    weight = s[f"{conv}.weight"]
    size = weight.shape[-1]
    if stride == 2 and x.shape[-1] % 2 == 0:
        x = pad(x, ((size - 2) // 2, size // 2) * 2)
    else:
        x = pad(x, (size // 2,) * 4)
    groups = x.shape[1] // weight.shape[1]
    x = conv2d(x, weight, None, stride, groups=groups)
    stored = [s[f"{norm}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
    return batch_norm(x, *stored, eps=0.001)


def block(s: State, x: Tensor, number: int, stride: int) -> Tensor:
    b, y = f"_blocks.{number}", x
    if number:
        y = convolved(s, y, f"{b}._expand_conv", f"{b}._bn0").clamp(0, 6)
    y = convolved(s, y, f"{b}._depthwise_conv", f"{b}._bn1", stride=stride).clamp(0, 6)
    y = convolved(s, y, f"{b}._project_conv", f"{b}._bn2")
    return x + y if stride == 1 and x.shape == y.shape else y


@pytest.mark.parametrize(
    ("name", "side", "strided", "count"),
    [
        (LITE0, 224, (1, 3, 5, 11), 16),
        ("efficientnet-lite1", 240, (1, 4, 7, 15), 21),
        ("efficientnet-lite2", 260, (1, 4, 7, 15), 21),
    ],
)
def test_against_a_plain_writing_out(
    name: str, side: int, strided: tuple[int, ...], count: int
) -> None:
    network, s = filled(name)
    x = torch.randn(1, 3, side, side, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        got, levels = network(x), network.levels(x)
        y, pictures = convolved(s, x, "_conv_stem", "_bn0", stride=2).clamp(0, 6), []
        for number in range(count):
            y = block(s, y, number, 2 if number in strided else 1)
            pictures.append(y)
        expected = convolved(s, y, "_conv_head", "_bn1").clamp(0, 6).mean(dim=(2, 3))
    assert got.shape == (1, 1280) and float(expected.std()) > 0.05
    torch.testing.assert_close(got, expected, rtol=1e-3, atol=1e-3)
    ends = [*(number - 1 for number in (strided[1], strided[2], strided[3])), count - 1]
    for level, end, scale in zip(levels, ends, (4, 8, 16, 32), strict=True):
        assert level.shape[2] == -(-side // scale)
        torch.testing.assert_close(level, pictures[end], rtol=1e-3, atol=1e-2)


def test_levels_pass_gradients_to_the_image() -> None:
    network, _ = filled(LITE0)
    x = torch.randn(1, 3, 64, 48, requires_grad=True)
    levels = network.levels(x)
    assert [tuple(level.shape) for level in levels] == [
        (1, 24, 16, 12),
        (1, 40, 8, 6),
        (1, 112, 4, 3),
        (1, 320, 2, 2),
    ]
    sum(level.square().mean() for level in levels).backward()
    assert x.grad is not None and float(x.grad.abs().mean()) > 0


@pytest.mark.parametrize("name", SIZES)
def test_the_packages_hold_these_networks(name: str) -> None:
    needs(PACKAGES[name].module)
    path = PACKAGES[name].path
    assert path is not None
    held = {k: v.shape for k, v in read_state(path).items() if not k.endswith("_tracked")}
    assert held == {k: v.shape for k, v in shapes(name).state_dict().items()}


@pytest.mark.parametrize(
    ("picture", "number", "probability"),
    [("camera", 872, 0.95), ("coffee", 967, 0.90), ("chelsea", 285, 0.77)],
    ids=["tripod", "espresso", "Egyptian cat"],
)
def test_classes_of_photographs(
    lite0: NetworkExtractor, picture: str, number: int, probability: float
) -> None:
    needs("skimage")
    (folder,) = importlib.util.find_spec("skimage").submodule_search_locations or ()
    with Image.open(Path(folder) / "data" / f"{picture}.png") as file:
        image = torch.from_numpy(np.array(file.convert("RGB"))).permute(2, 0, 1)[None]
    assert isinstance(lite0.network, EfficientNetLite)
    found = lite0.network.probabilities(lite0(image))[0]
    assert int(found.argmax()) == number
    assert float(found.max()) == pytest.approx(probability, abs=0.01)


def test_bf16_comes_near(lite0: NetworkExtractor) -> None:
    pictures = images(8, 3, 40, 40)
    exact, coarse = lite0(pictures), registry.extractor(LITE0, precision=Precision.BF16)(pictures)
    assert float((exact - coarse).norm() / exact.norm()) < 0.1
    assert lite0.describe()["precision"] == "fp32" and not lite0.indicative


def test_batches_do_not_matter(lite0: NetworkExtractor) -> None:
    pictures = images(6, 1, 32, 32)
    parts = torch.cat([lite0(part) for part in pictures.split(5)])
    torch.testing.assert_close(lite0(pictures), parts, rtol=1e-4, atol=1e-4)


def test_distance_by_four_depths(trained_features: None) -> None:
    """Unit vectors of every place, by hand; gradients reach the images."""
    distance = registry.perceptual_distance(registry.default_distance())
    assert distance.name == f"{LITE0}-distance" and not distance.indicative
    first, second = (images(2, 3, 48, 64, seed=seed).float() for seed in (0, 1))
    inputs, total = [(x - 127) / 128 for x in (first, second)], torch.zeros(2)
    with torch.inference_mode():
        for pair in zip(*map(distance.layers.levels, inputs), strict=True):
            one, other = (each / each.norm(dim=1, keepdim=True) for each in pair)
            total += (one - other).square().sum(1).mean((1, 2)) / 4
    torch.testing.assert_close(distance(first, second), total, rtol=1e-4, atol=1e-6)
    first.requires_grad_(True)
    distance.between(distance.maps(first), distance.maps(second)).sum().backward()
    assert first.grad is not None and bool(first.grad.any())
    grey = images(2, 1, 48, 64)
    assert torch.equal(distance(grey, grey), torch.zeros(2))
