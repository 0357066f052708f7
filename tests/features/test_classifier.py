"""`classifier:FILE`: residual networks of users, read off the shapes of their tensors."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d, interpolate, max_pool2d

from synthograph.core.errors import UserError
from synthograph.core.untrusted.tensors import write_tensors
from synthograph.features import classifier, registry
from synthograph.features.base import Extractor
from synthograph.features.resnet import BlockPlan, Convolution, ResNet, ResNetShape
from tests.features.states import images, random_state, save, with_counters

State = dict[str, Tensor]
MEANS = ("running_mean", "running_var", "weight", "bias")


def basic(inputs: int, outputs: int) -> BlockPlan:
    """With a bias in the shortcut, as MONAI has it."""
    around = None if inputs == outputs else Convolution(inputs, outputs, 1, bias=True)
    return BlockPlan((Convolution(inputs, outputs, 3), Convolution(outputs, outputs, 3)), around)


def bottleneck(inputs: int, inner: int, outputs: int, groups: int) -> BlockPlan:
    shapes = (
        Convolution(inputs, inner, 1),
        Convolution(inner, inner, 3, groups),
        Convolution(inner, outputs, 1),
    )
    return BlockPlan(shapes, Convolution(inputs, outputs, 1))


SMALL = ResNetShape(Convolution(3, 8, 7), ((basic(8, 8), basic(8, 8)), (basic(8, 12),)))
GROUPED = ResNetShape(
    Convolution(3, 6, 3), ((bottleneck(6, 8, 10, 4),), (bottleneck(10, 8, 14, 2),))
)
GREY = ResNetShape(Convolution(1, 4, 3), ((basic(4, 4),), (basic(4, 6),), (basic(6, 8),)))


def state_of(plan: ResNetShape, seed: int = 0) -> State:
    """A network as a framework saves it: with its classes and with counters."""
    head = {"fc.weight": torch.randn(4, plan.dims), "fc.bias": torch.zeros(4)}
    return with_counters(random_state(ResNet(plan), seed)) | head


def written_out(state: State, x: Tensor, *, stem_stride: int = 2, pool: bool = True) -> Tensor:
    """The same network in plain operations, its strides and groups from the papers."""

    def unit(name: str, number: object, x: Tensor, stride: int = 1) -> Tensor:
        weight = state[f"{name}conv{number}.weight"]
        groups = x.shape[1] // weight.shape[1]
        x = conv2d(x, weight, stride=stride, padding=weight.shape[2] // 2, groups=groups)
        return normalised(f"{name}bn{number}", x)

    def normalised(name: str, x: Tensor) -> Tensor:
        return batch_norm(x, *[state[f"{name}.{part}"] for part in MEANS])

    x = unit("", 1, x, stem_stride).relu()
    x = max_pool2d(x, 3, 2, 1) if pool else x
    blocks = sorted({tuple(name.split(".")[:2]) for name in state if name.startswith("layer")})
    for layer, block in blocks:
        name, stride = f"{layer}.{block}.", 2 if layer != "layer1" and block == "0" else 1
        beside = x
        if f"{name}downsample.0.weight" in state:
            bias = state.get(f"{name}downsample.0.bias")
            beside = conv2d(x, state[f"{name}downsample.0.weight"], bias, stride=stride)
            beside = normalised(f"{name}downsample.1", beside)
        if f"{name}conv3.weight" in state:
            x = unit(name, 2, unit(name, 1, x).relu(), stride).relu()
            x = unit(name, 3, x)
        else:
            x = unit(name, 2, unit(name, 1, x, stride).relu())
        x = (x + beside).relu()
    return x.mean((2, 3))


def inputs(x: Tensor, side: int, mean: Tensor, deviation: Tensor) -> Tensor:
    x = interpolate(x.float(), (side, side), mode="bilinear", antialias=True) / 255
    return (x - mean.view(-1, 1, 1)) / deviation.view(-1, 1, 1)


IMAGENET = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


@pytest.mark.parametrize("plan", [SMALL, GROUPED])
def test_features_are_those_before_the_classes(plan: ResNetShape, tmp_path: Path) -> None:
    state = state_of(plan)
    path = save(tmp_path / "cells.pth", state)
    (tmp_path / "cells.json").write_text('{"side": 48, "source": "cells of our hospital"}')
    extract = registry.extractor(f"classifier:{path}")
    assert isinstance(extract, Extractor)
    seen = images(3, 3, 40, 56)
    got, expected = extract(seen), written_out(state, inputs(seen, 48, *IMAGENET))
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)
    assert float(expected.std(0).mean()) > 1e-3

    told = extract.describe()
    assert json.loads(json.dumps(told)) == told
    assert told["extractor"] == extract.name
    assert extract.name == f"classifier:cells.pth@{told['weights']['sha256'][:8]}"
    assert (told["input_size"], told["dims"], told["indicative"]) == (48, plan.dims, True)
    assert told["source"].startswith("cells of our hospital: ResNet")
    assert len(told["weights"]["sha256"]) == 64


def test_every_wrapping_gives_the_same(tmp_path: Path) -> None:
    state = state_of(SMALL)
    about = '{"side": 32, "stem_stride": 1, "stem_pool": false, "mean": [0.2, 0.3, 0.4], '
    (tmp_path / "x.json").write_text(about + '"deviation": [0.5, 0.25, 0.125]}')
    seen = images(2, 3, 32, 32)
    shift, scale = torch.tensor([0.2, 0.3, 0.4]), torch.tensor([0.5, 0.25, 0.125])
    expected = written_out(state, inputs(seen, 32, shift, scale), stem_stride=1, pool=False)
    wrapped = [
        save(tmp_path / "x.pth", {"model." + name: tensor for name, tensor in state.items()}),
        save(tmp_path / "x.pt", {"state_dict": {f"module.{k}": v for k, v in state.items()}}),
        save(tmp_path / "x.bin", {k.replace("downsample", "shortcut"): state[k] for k in state}),
        tmp_path / "x.safetensors",
    ]
    save_file({f"net.encoder.{k}": v.contiguous() for k, v in state.items()}, wrapped[-1])
    for path in wrapped:
        got = registry.extractor(f"classifier:{path}")(seen)
        torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


def test_a_network_for_grey_images_sees_every_channel_by_itself(tmp_path: Path) -> None:
    state = state_of(GREY)
    path = save(tmp_path / "mr.pth", state)
    (tmp_path / "mr.json").write_text('{"side": 32}')
    extract = registry.extractor(f"classifier:{path}")
    seen = images(2, 2, 32, 32)
    half = torch.tensor([0.5])
    each = [written_out(state, inputs(seen[:, [c]], 32, half, half)) for c in (0, 1)]
    torch.testing.assert_close(extract(seen), (each[0] + each[1]) / 2, rtol=1e-4, atol=1e-4)
    assert "by itself" in extract.describe()["channels"]


def test_a_network_for_five_channels_takes_just_those(tmp_path: Path) -> None:
    plan = ResNetShape(Convolution(5, 4, 3), ((basic(4, 4),),))
    state = state_of(plan)
    path = save(tmp_path / "five.pth", state)
    (tmp_path / "five.json").write_text('{"side": 16}')
    extract = registry.extractor(f"classifier:{path}")
    seen, half = images(2, 5, 16, 16), torch.full((5,), 0.5)
    expected = written_out(state, inputs(seen, 16, half, half))
    torch.testing.assert_close(extract(seen), expected, rtol=1e-4, atol=1e-4)
    with pytest.raises(UserError, match="images have 3 channels, the network takes 5"):
        extract(images(2, 3, 16, 16))


def without(prefix: str) -> State:
    return {k: v for k, v in state_of(SMALL).items() if not k.startswith(prefix)}


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"a.weight": torch.zeros(2)}, "holds no residual network .* begin a.weight"),
        (without("layer1.0"), "holds no residual network"),
        (without("layer1.1.conv2"), "layer1.1 has no second convolution"),
        (without("layer1.1.bn2.running_mean"), "lacks tensor 'layer1.1.bn2.running_mean'"),
        (without("bn1.running_var"), "lacks tensor 'bn1.running_var'"),
        (state_of(SMALL) | {"layer4.0.conv1.weight": torch.zeros(1)}, "layer4.0 has no place"),
        (state_of(SMALL) | {"conv1.weight": torch.zeros(8, 3, 4, 4)}, "odd kernel"),
        (state_of(SMALL) | {"conv1.weight": torch.zeros(9, 3, 7, 7)}, "do not fit one another"),
        (state_of(SMALL) | {"bn1.weight": torch.full((8,), torch.nan)}, "not finite"),
        (state_of(SMALL) | {"module.bn1.weight": torch.zeros(8)}, "there twice"),
        (
            state_of(SMALL) | {"layer1.0.se.fc1.weight": torch.zeros(2, 8, 1, 1)},
            "no place in a plain",
        ),
        (state_of(SMALL) | {"maxpool_conv.weight": torch.zeros(8, 8, 3, 3)}, "no place in a plain"),
        ({f"{a}.{k}": v for a in "qk" for k, v in state_of(SMALL).items()}, "2 residual networks"),
        (state_of(GROUPED) | {"layer1.0.conv2.weight": torch.zeros(7, 2, 3, 3)}, "do not fit one"),
    ],
)
def test_what_is_no_such_network(state: State, says: str, tmp_path: Path) -> None:
    path = save(tmp_path / "x.pth", state)
    with pytest.raises(UserError, match=says) as caught:
        registry.extractor(f"classifier:{path}")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[64]", "is not a JSON object"),
        ('{"size": 64}', "unknown setting 'size'"),
        ('{"side": 4}', "'side': must be at least 8"),
        ('{"mean": [0.5, 0.5, 0.5]}', "goes with deviation"),
        ('{"mean": [0.5], "deviation": [0.5, 1]}', "as many numbers as deviation"),
        ('{"mean": [0.5], "deviation": [0]}', "greater than 0"),
        ('{"mean": [0.5], "deviation": [1]}', "mean has 1 numbers, the network takes 3 channels"),
    ],
)
def test_a_wrong_description(text: str, says: str, tmp_path: Path) -> None:
    path = save(tmp_path / "x.pth", state_of(SMALL))
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(UserError, match=says) as caught:
        registry.extractor(f"classifier:{path}")
    assert "x.json" in str(caught.value)


def test_classifiers_made_here_are_opened_as_their_header_says(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    inside = {f"network/body.net.{name}": tensor for name, tensor in state_of(SMALL).items()}
    write_tensors(path, inside, {"task": "classify", "network": {"height": 32, "width": 32}})
    with pytest.raises(UserError, match="open it with synthograph.downstream.classifier") as caught:
        registry.extractor(f"classifier:{path}")
    assert str(path) in str(caught.value)


def test_a_missing_file_and_a_program(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        registry.extractor(f"classifier:{tmp_path / 'none.pth'}")
    with pytest.raises(UserError, match="give the file"):
        registry.extractor("classifier:")
    torch.save(nn.Linear(2, 2), tmp_path / "whole.pth")
    with pytest.raises(UserError):
        registry.extractor(f"classifier:{tmp_path / 'whole.pth'}")


def test_names(tmp_path: Path) -> None:
    path = save(tmp_path / "x.pth", state_of(SMALL))
    made = classifier.make(path, torch.device("cpu"), registry.Precision.FP32)
    other = save(tmp_path / "y.pth", state_of(SMALL, seed=1))
    again = classifier.make(other, made.device, made.precision)
    assert made.digest != again.digest
    assert made.name != again.name
