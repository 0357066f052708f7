"""VGG16, ResNet-50 and DINOv2 against plain writings-out, with random weights."""

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn.functional import batch_norm, conv2d, gelu, interpolate, layer_norm, linear
from torch.nn.functional import max_pool2d as pool

from synthograph.core.errors import UserError
from synthograph.features import vgg16
from synthograph.features.dinov2 import SIZES, Size, Transformer
from synthograph.features.resnet import plain_names
from synthograph.features.resnet50 import ResNet50
from synthograph.features.vgg16 import VGG16
from synthograph.features.weights import WEIGHTS
from tests.features.states import random_state

State = dict[str, Tensor]
CONVOLUTIONS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
BEFORE_POOLS = (2, 7, 14, 21, 28)


def filled(network: nn.Module, state: State) -> nn.Module:
    network.load_state_dict(state)
    return network.eval()


def shapes(build: type[nn.Module]) -> nn.Module:
    with torch.device("meta"):
        return build()


def close(got: Tensor, expected: Tensor) -> None:
    assert float(expected.std(0).mean()) > 1e-3 * float(expected.abs().mean())
    scale = float(expected.abs().max())
    torch.testing.assert_close(got / scale, expected / scale, rtol=1e-4, atol=1e-5)


def test_vgg16(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vgg16, "DIMS", 40)
    state = random_state(VGG16())
    x = torch.randn(2, 3, 224, 224)
    with torch.inference_mode():
        got = filled(VGG16(), state)(x)
        found = []
        for place in CONVOLUTIONS:
            weight, bias = state[f"features.{place}.weight"], state[f"features.{place}.bias"]
            x = conv2d(x, weight, bias, padding=1).relu()
            if place in BEFORE_POOLS:
                found.append(x)
                x = pool(x, 2)
        x = x.flatten(1)
        for place in (0, 3):
            x = linear(x, state[f"classifier.{place}.weight"], state[f"classifier.{place}.bias"])
            x = x.relu()
    close(got, x)
    assert [part.shape[1] for part in found] == list(vgg16.TAPPED)


def test_taps_come_before_the_pools() -> None:
    layers = vgg16.trunk()
    x = torch.randn(1, 3, 32, 48)
    with torch.inference_mode():
        found = vgg16.pool_inputs(layers, x)
        for place, tap in zip(BEFORE_POOLS, found, strict=True):
            close(tap.flatten(2).mT[0], layers[: place + 2](x).flatten(2).mT[0])


def normalised(state: State, name: str, x: Tensor) -> Tensor:
    parts = ("running_mean", "running_var", "weight", "bias")
    return batch_norm(x, *[state[f"{name}.{part}"] for part in parts])


def residual(state: State, name: str, x: Tensor, stride: int) -> Tensor:
    beside = x
    if f"{name}.downsample.0.weight" in state:
        beside = conv2d(x, state[f"{name}.downsample.0.weight"], stride=stride)
        beside = normalised(state, f"{name}.downsample.1", beside)
    x = normalised(state, f"{name}.bn1", conv2d(x, state[f"{name}.conv1.weight"])).relu()
    x = conv2d(x, state[f"{name}.conv2.weight"], stride=stride, padding=1)
    x = normalised(state, f"{name}.bn2", x).relu()
    return (
        normalised(state, f"{name}.bn3", conv2d(x, state[f"{name}.conv3.weight"])) + beside
    ).relu()


def test_resnet50() -> None:
    state = random_state(shapes(ResNet50))
    assert len(state) == 53 * 5
    x = torch.randn(2, 3, 96, 64)
    with torch.inference_mode():
        network = shapes(ResNet50).to_empty(device="cpu")
        got = filled(network, state)(x)
        x = normalised(state, "bn1", conv2d(x, state["conv1.weight"], stride=2, padding=3)).relu()
        x = pool(x, 3, 2, 1)
        for layer, count in enumerate((3, 4, 6, 3), start=1):
            for block in range(count):
                stride = 2 if layer > 1 and block == 0 else 1
                x = residual(state, f"layer{layer}.{block}", x, stride)
    close(got, x.mean((2, 3)))


def test_names_of_wrappers_are_taken_off() -> None:
    def names(*given: str) -> set[str]:
        return set(plain_names({name: torch.zeros(1) for name in given}, Path("x.pth")))

    assert names("module.conv1.weight", "fc.bias") == {"conv1.weight", "fc.bias"}
    assert names("backbone.0.weight", "backbone.1.bias") == {"conv1.weight", "bn1.bias"}
    assert names("backbone.4.0.conv1.weight") == {"layer1.0.conv1.weight"}
    assert names("backbone.7.2.downsample.0.weight") == {"layer4.2.downsample.0.weight"}
    assert names("module.backbone.layer4.1.bn2.bias") == {"layer4.1.bn2.bias"}
    with pytest.raises(UserError, match="x.pth: a tensor is there twice"):
        names("module.conv1.weight", "conv1.weight")


def attention(state: State, name: str, x: Tensor, heads: int) -> Tensor:
    """By torch's own layer, which packs the three projections as the files do."""
    width = x.shape[2]
    layer = nn.MultiheadAttention(width, heads, batch_first=True)
    layer.load_state_dict(
        {
            "in_proj_weight": state[f"{name}.qkv.weight"],
            "in_proj_bias": state[f"{name}.qkv.bias"],
            "out_proj.weight": state[f"{name}.proj.weight"],
            "out_proj.bias": state[f"{name}.proj.bias"],
        }
    )
    mixed: Tensor = layer.eval()(x, x, x, need_weights=False)[0]
    return mixed


def transformer(state: State, x: Tensor, *, depth: int, heads: int) -> Tensor:
    width = state["cls_token"].shape[2]

    def norm(name: str, x: Tensor) -> Tensor:
        return layer_norm(x, (width,), state[f"{name}.weight"], state[f"{name}.bias"], 1e-6)

    patches = conv2d(x, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=14)
    side = patches.shape[2]
    table = state["pos_embed"][:, 1:].mT.unflatten(2, (37, 37))
    if side != 37:
        table = interpolate(table, scale_factor=((side + 0.1) / 37,) * 2, mode="bicubic")
    x = (patches + table).flatten(2).mT
    first = (state["cls_token"] + state["pos_embed"][:, :1]).expand(len(x), 1, width)
    x = torch.cat((first, x), 1)
    for number in range(depth):
        b = f"blocks.{number}"
        x = x + state[f"{b}.ls1.gamma"] * attention(
            state, f"{b}.attn", norm(f"{b}.norm1", x), heads
        )
        inner = linear(
            norm(f"{b}.norm2", x), state[f"{b}.mlp.fc1.weight"], state[f"{b}.mlp.fc1.bias"]
        )
        outer = linear(gelu(inner), state[f"{b}.mlp.fc2.weight"], state[f"{b}.mlp.fc2.bias"])
        x = x + state[f"{b}.ls2.gamma"] * outer
    return norm("norm", x)[:, 0]


@pytest.mark.parametrize("side", [224, 518])
def test_dinov2(side: int) -> None:
    size = Size(128, 2)
    state = random_state(Transformer(size))
    x = torch.randn(2, 3, side, side)
    with torch.inference_mode():
        got = filled(Transformer(size), state)(x)
        expected = transformer(state, x, depth=2, heads=2)
    close(got, expected)


def test_published_names_of_dinov2() -> None:
    with torch.device("meta"):
        state = Transformer(SIZES["dinov2-s"]).state_dict()
    assert len(state) == 3 + 2 + 12 * 14 + 2
    assert state["pos_embed"].shape == (1, 1370, 384)
    assert state["blocks.11.attn.qkv.weight"].shape == (1152, 384)
    assert state["blocks.0.ls2.gamma"].shape == (384,)
    values = sum(tensor.numel() for tensor in state.values())
    size = WEIGHTS["dinov2-s"].size
    assert 4 * values < size < 4 * values + 100_000  # the published file holds just that
