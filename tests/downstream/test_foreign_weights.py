"""Weights of others: names of the known libraries, order, channels, and what does not fit."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from synthograph.core.errors import UserError
from synthograph.downstream.foreign_weights import Taken, efficient_names, take_weights
from synthograph.downstream.networks import adapted, backbone, first_convolution

LAYERS = "layers.0.0.weight"


def take(body: nn.Module, path: Path, name: str, modalities: dict[str, int] | None = None) -> Taken:
    kernels = modalities or {"image": 3}
    return take_weights(
        body, path, backbone(name).names, first_convolution(body), lambda k: adapted(k, kernels)
    )


def state(name: str, channels: int = 3) -> dict[str, Tensor]:
    torch.manual_seed(1)
    return backbone(name).make(channels).state_dict()


def check(name: str, path: Path, wanted: dict[str, Tensor]) -> Taken:
    torch.manual_seed(2)
    body = backbone(name).make(3)
    taken = take(body, path, name)
    for key, tensor in body.state_dict().items():
        assert torch.equal(tensor, wanted[key]), key
    return taken


def torchvision_resnet(name: str) -> str:
    return name.removeprefix("net.")


def torchvision_densenet(name: str) -> str:
    return name.replace(".layers.", ".")


def old_torchvision_densenet(name: str) -> str:
    return re.sub(r"\.layers\.(norm|conv)(\d)", r".\1.\2", name)


def melas(name: str) -> str:
    return re.sub(r"_blocks\.\d+\.", "_blocks.", name.removeprefix("net."))


def timm_efficientnet(name: str) -> str:
    """MONAI's names of EfficientNet-B0 as timm's."""
    name = name.removeprefix("net.")
    starts = (0, 1, 3, 5, 8, 11, 15)
    found = re.fullmatch(r"_blocks\.(\d+)\.(\d+)\.(.+)\.(\w+)", name)
    if found is None:
        ends = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2"}
        part, _, kind = name.rpartition(".")
        return f"{ends[part]}.{kind}"
    stage, place = int(found[1]), int(found[2]) - starts[int(found[1])]
    parts = {
        "_expand_conv": "conv_pw",
        "_bn0": "bn1",
        "_depthwise_conv": "conv_dw",
        "_bn1": "bn2",
        "_se_reduce": "se.conv_reduce",
        "_se_expand": "se.conv_expand",
        "_project_conv": "conv_pwl",
        "_bn2": "bn3",
    }
    if stage == 0:
        parts |= {"_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    return f"blocks.{stage}.{place}.{parts[found[3]]}.{found[4]}"


@pytest.mark.parametrize(
    ("name", "called"),
    [
        ("resnet18", torchvision_resnet),
        ("resnet50", torchvision_resnet),
        ("densenet121", torchvision_densenet),
        ("densenet121", old_torchvision_densenet),
        ("efficientnet-b0", melas),
        ("efficientnet-b0", timm_efficientnet),
    ],
)
def test_names_of_known_libraries(name: str, called: Callable[[str], str], tmp_path: Path) -> None:
    pytest.importorskip("monai", reason="monai is missing")
    wanted = state(name)
    there = {called(key): tensor for key, tensor in wanted.items()}
    there |= {"fc.weight": torch.zeros(1000, 8), "fc.bias": torch.zeros(1000)}
    # files of safetensors are sorted by name
    save_file(dict(sorted(there.items())), tmp_path / "w.safetensors")
    taken = check(name, tmp_path / "w.safetensors", wanted)
    assert taken.unused == ("fc.bias", "fc.weight")
    assert "not used: fc.bias, fc.weight" in str(taken)
    torch.save({"state_dict": {f"module.{k}": v for k, v in there.items()}}, tmp_path / "w.pth")
    check(name, tmp_path / "w.pth", wanted)


def test_googlenet_takes_published_names_and_leaves_the_auxiliary_classifiers(
    tmp_path: Path,
) -> None:
    wanted = state("googlenet")
    known = {
        "conv1.conv.weight": (64, 3, 7, 7),
        "inception3a.branch2.1.conv.weight": (128, 96, 3, 3),
        "inception4e.branch3.1.bn.running_var": (128,),
        "inception5b.branch4.1.conv.weight": (128, 832, 1, 1),
    }
    assert {name: tuple(wanted[name].shape) for name in known} == known
    there = wanted | {"aux1.conv.conv.weight": torch.zeros(128, 512, 1, 1)}
    torch.save(there, tmp_path / "w.pth")
    assert check("googlenet", tmp_path / "w.pth", wanted).unused == ("aux1.conv.conv.weight",)


def test_lite_takes_names_of_timm() -> None:
    names = ["blocks.1.0.conv_pwl.weight", "blocks.0.0.conv_pw.weight", "blocks.0.0.bn1.bias"]
    assert efficient_names(names) == [
        "_blocks.1._project_conv.weight",
        "_blocks.0._project_conv.weight",
        "_blocks.0._bn1.bias",
    ]


def test_other_names_are_matched_by_order_kind_and_shape(tmp_path: Path) -> None:
    wanted = state("small")
    there = {f"x{n}.{key.rpartition('.')[2]}": t for n, (key, t) in enumerate(wanted.items())}
    torch.save({**there, "last.weight": torch.zeros(5, 256)}, tmp_path / "w.pth")
    assert check("small", tmp_path / "w.pth", wanted).unused == ("last.weight",)
    keys = list(there)
    swapped = [keys[1], keys[0], *keys[2:]]
    torch.save({key: there[key] for key in swapped}, tmp_path / "s.pth")
    with pytest.raises(UserError, match="of 45 tensors of this backbone 45 are not there"):
        check("small", tmp_path / "s.pth", wanted)


def test_kernels_for_colours_are_adapted_to_the_channels(tmp_path: Path) -> None:
    wanted = state("small")
    torch.save(wanted, tmp_path / "w.pth")
    body = backbone("small").make(4)
    take(body, tmp_path / "w.pth", "small", {"vis": 3, "nir": 1})
    found = body.state_dict()[LAYERS]
    assert torch.allclose(found[:, :3], wanted[LAYERS] / 2)
    assert torch.allclose(found[:, 3], wanted[LAYERS].sum(1) / 2)
    three = backbone("small").make(3)
    take(three, tmp_path / "w.pth", "small", {"a": 1, "b": 1, "c": 1})
    grey = wanted[LAYERS].sum(1, keepdim=True) / 3
    assert torch.allclose(three.state_dict()[LAYERS], grey.expand(-1, 3, -1, -1))


def test_what_does_not_fit_is_counted_and_named(tmp_path: Path) -> None:
    there = state("small")
    lacking = {key: t for key, t in there.items() if not key.startswith("layers.3.")}
    lacking["layers.1.0.weight"] = torch.zeros(7, 7, 3, 3)
    torch.save(lacking, tmp_path / "w.pth")
    with pytest.raises(UserError) as refused:
        take(backbone("small").make(3), tmp_path / "w.pth", "small")
    text = str(refused.value)
    assert "5 are not there: layers.3.0.weight" in text
    assert "1 have another shape: layers.1.0.weight (7, 7, 3, 3) instead of (32, 32, 3, 3)" in text
    with pytest.raises(UserError, match="expected a file of weights"):
        take(backbone("small").make(3), tmp_path / "none.pth", "small")
