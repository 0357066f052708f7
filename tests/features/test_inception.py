"""The 2015 network against a plain writing-out of it, and against torch-fidelity where it is."""

import importlib.util
import sys
import types
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, batch_norm, conv2d, max_pool2d

from synthograph.core.devices import Precision
from synthograph.features import inception
from synthograph.features.base import WeightDigest
from synthograph.features.inception import Inception, InceptionExtractor
from synthograph.features.preprocess import Resize, resized
from tests.features.states import images, random_state, save, with_counters

State = dict[str, Tensor]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def state() -> State:
    with torch.device("meta"):
        shapes = Inception()
    return random_state(shapes)


@pytest.fixture(scope="module")
def extractor(state: State) -> InceptionExtractor:
    with torch.device("meta"):
        network = Inception()
    network = network.to_empty(device="cpu").eval()
    network.load_state_dict(state)
    return inception.RECIPE.make(
        network, WeightDigest("0" * 64, "x.pth", False), CPU, Precision.FP32
    )


def unit(s: State, name: str, x: Tensor, stride: int = 1, padding: object = 0) -> Tensor:
    x = conv2d(x, s[f"{name}.conv.weight"], None, stride, padding)
    stored = [s[f"{name}.bn.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
    return batch_norm(x, *stored, eps=0.001).relu()


def mean3(x: Tensor) -> Tensor:
    return avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)


def block_a(s: State, b: str, x: Tensor) -> Tensor:
    five = unit(s, f"{b}.branch5x5_2", unit(s, f"{b}.branch5x5_1", x), padding=2)
    double = unit(s, f"{b}.branch3x3dbl_2", unit(s, f"{b}.branch3x3dbl_1", x), padding=1)
    double = unit(s, f"{b}.branch3x3dbl_3", double, padding=1)
    one, pool = unit(s, f"{b}.branch1x1", x), unit(s, f"{b}.branch_pool", mean3(x))
    return torch.cat((one, five, double, pool), 1)


def block_b(s: State, b: str, x: Tensor) -> Tensor:
    three = unit(s, f"{b}.branch3x3", x, stride=2)
    double = unit(s, f"{b}.branch3x3dbl_2", unit(s, f"{b}.branch3x3dbl_1", x), padding=1)
    double = unit(s, f"{b}.branch3x3dbl_3", double, stride=2)
    return torch.cat((three, double, max_pool2d(x, 3, stride=2)), 1)


def block_c(s: State, b: str, x: Tensor) -> Tensor:
    wide, tall = (0, 3), (3, 0)
    seven = unit(s, f"{b}.branch7x7_2", unit(s, f"{b}.branch7x7_1", x), padding=wide)
    seven = unit(s, f"{b}.branch7x7_3", seven, padding=tall)
    double = unit(s, f"{b}.branch7x7dbl_1", x)
    for number, padding in enumerate((tall, wide, tall, wide), start=2):
        double = unit(s, f"{b}.branch7x7dbl_{number}", double, padding=padding)
    one, pool = unit(s, f"{b}.branch1x1", x), unit(s, f"{b}.branch_pool", mean3(x))
    return torch.cat((one, seven, double, pool), 1)


def block_d(s: State, b: str, x: Tensor) -> Tensor:
    three = unit(s, f"{b}.branch3x3_2", unit(s, f"{b}.branch3x3_1", x), stride=2)
    seven = unit(s, f"{b}.branch7x7x3_2", unit(s, f"{b}.branch7x7x3_1", x), padding=(0, 3))
    seven = unit(s, f"{b}.branch7x7x3_3", seven, padding=(3, 0))
    seven = unit(s, f"{b}.branch7x7x3_4", seven, stride=2)
    return torch.cat((three, seven, max_pool2d(x, 3, stride=2)), 1)


def block_e(s: State, b: str, x: Tensor, pooled: Tensor) -> Tensor:
    three = unit(s, f"{b}.branch3x3_1", x)
    double = unit(s, f"{b}.branch3x3dbl_2", unit(s, f"{b}.branch3x3dbl_1", x), padding=1)
    parts = [unit(s, f"{b}.branch1x1", x)]
    for name, stem in (("branch3x3_2", three), ("branch3x3dbl_3", double)):
        parts.append(unit(s, f"{b}.{name}a", stem, padding=(0, 1)))
        parts.append(unit(s, f"{b}.{name}b", stem, padding=(1, 0)))
    return torch.cat((*parts, unit(s, f"{b}.branch_pool", pooled)), 1)


def plain(s: State, x: Tensor) -> Tensor:
    """The whole network, written out."""
    x = unit(s, "Conv2d_2a_3x3", unit(s, "Conv2d_1a_3x3", x, stride=2))
    x = max_pool2d(unit(s, "Conv2d_2b_3x3", x, padding=1), 3, stride=2)
    x = max_pool2d(unit(s, "Conv2d_4a_3x3", unit(s, "Conv2d_3b_1x1", x)), 3, stride=2)
    for letter in "bcd":
        x = block_a(s, f"Mixed_5{letter}", x)
    x = block_b(s, "Mixed_6a", x)
    for letter in "bcde":
        x = block_c(s, f"Mixed_6{letter}", x)
    x = block_d(s, "Mixed_7a", x)
    x = block_e(s, "Mixed_7b", x, mean3(x))
    x = block_e(s, "Mixed_7c", x, max_pool2d(x, 3, stride=1, padding=1))
    return x.mean((2, 3))


def test_features_and_probabilities(state: State, extractor: InceptionExtractor) -> None:
    pictures = images(3, 3, 40, 56)
    inputs = (resized(pictures.float(), 299, Resize.TENSORFLOW1) - 128) / 128
    expected = plain(state, inputs)
    classes = torch.softmax(expected @ state["fc.weight"].T, 1)
    features, probabilities = extractor.features_and_probabilities(pictures)
    torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(probabilities, classes, rtol=1e-3, atol=1e-7)
    assert torch.equal(extractor(pictures), features)
    assert float(features.std(0).mean()) > 0.01


def test_the_bias_of_the_classes_is_left_out(extractor: InceptionExtractor) -> None:
    features = torch.randn(2, 2048)
    network = extractor.network
    with torch.inference_mode():
        got = network.probabilities(features)
        with_bias = torch.softmax(network.fc(features), 1)
    assert float((got - with_bias).abs().max()) > 1e-4
    torch.testing.assert_close(got.sum(1), torch.ones(2))


def test_published_names(state: State) -> None:
    assert len(state) == 94 * 5 + 2  # convolution and four numbers of its normalisation; classes
    assert state["fc.weight"].shape == (1008, 2048)
    assert state["Mixed_6e.branch7x7dbl_5.conv.weight"].shape == (192, 192, 1, 7)
    assert state["Mixed_7c.branch3x3dbl_3b.conv.weight"].shape == (384, 384, 3, 1)
    assert state["Mixed_5b.branch_pool.bn.running_var"].shape == (32,)


def test_torch_fidelity_gives_the_same(
    state: State, extractor: InceptionExtractor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its package imports torchvision, its extractor alone does not: that is taken by itself."""
    found = importlib.util.find_spec("torch_fidelity")
    if found is None or not found.submodule_search_locations:
        pytest.skip("torch-fidelity is not installed")
    package = types.ModuleType("torch_fidelity")
    package.__path__ = list(found.submodule_search_locations)
    monkeypatch.setitem(sys.modules, "torch_fidelity", package)
    module = importlib.import_module("torch_fidelity.feature_extractor_inceptionv3")
    weights = save(tmp_path / "x.pth", with_counters(state))
    theirs = module.FeatureExtractorInceptionV3("x", ["2048", "logits_unbiased"], str(weights))
    for shape in ((2, 3, 64, 64), (1, 3, 301, 333)):
        pictures = images(*shape)
        with torch.inference_mode():
            features, logits = theirs.eval()(pictures)
        ours, probabilities = extractor.features_and_probabilities(pictures)
        torch.testing.assert_close(ours, features, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(probabilities, torch.softmax(logits, 1), rtol=1e-3, atol=1e-7)
