"""Features of a classifier that users trained themselves: `classifier:FILE`.

The file holds the tensors of a residual network as torchvision, timm and MONAI name them; depth and
width are read off their shapes. What shapes cannot tell, such as the size of its images, stands in
a small JSON file beside it (see `Description`). The features are those before the classes.

Files of `classify train` say all that in their header, and may hold other networks, too:
`downstream.classifier.file_extractor` opens them.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from itertools import count, takewhile
from pathlib import Path

import torch
from pydantic import Field, model_validator
from torch import Tensor

from synthograph.core.config import Config
from synthograph.core.devices import Precision
from synthograph.core.errors import SettingError, UserError
from synthograph.core.files import disk_errors, sha256_file
from synthograph.core.untrusted.documents import parse_json, read_text
from synthograph.core.untrusted.tensors import load_tensors, read_document
from synthograph.core.untrusted.torch_files import read_state
from synthograph.features.base import NetworkExtractor, WeightDigest, to_device
from synthograph.features.preprocess import Preprocess, chunk_for
from synthograph.features.resnet import BlockPlan, Convolution, ResNet, ResNetShape, plain_names

PREFIX = "classifier:"
TASK = "classify"
"""What the headers of classifiers made here say that they do."""
_STEM, _FIRST = "conv1.weight", "layer1.0.conv1.weight"
_USED = re.compile(r"(conv1|bn1|layer\d+\.\d+\.(conv\d|bn\d|downsample\.[01]))\.\w+")
_COUNTER = "num_batches_tracked"
_HEADS = ("fc.", "linear.", "head.", "classifier.")
"""What comes after the features."""
_BLOCK = re.compile(r"layer(\d+)\.(\d+)\.")


class Description(Config):
    """What shapes do not show: the JSON file beside the weights, such as `cells.json` for
    `cells.pth`. Every key may be left out.

    Attributes:
        side: height and width of its images, which others are resized to.
        mean: subtracted per channel from values 0 ... 1; ImageNet's, where 3 channels go in, and
            0.5 otherwise.
        deviation: what they are divided by then, likewise.
        stem_stride: stride of its first convolution.
        stem_pool: whether a maximum of stride 2 follows it.
        source: in words, for results.
    """

    side: int = Field(default=224, ge=8, le=2048)
    mean: tuple[float, ...] | None = None
    deviation: tuple[float, ...] | None = None
    stem_stride: int = Field(default=2, ge=1, le=4)
    stem_pool: bool = True
    source: str = Field(default="", max_length=500)

    @model_validator(mode="after")
    def _both(self) -> "Description":
        if (self.mean is None) != (self.deviation is None):
            raise SettingError("mean", "goes with deviation: give both or neither")
        if self.mean and self.deviation and len(self.mean) != len(self.deviation):
            raise SettingError("mean", "must have as many numbers as deviation, one per channel")
        if any(value <= 0 for value in self.deviation or ()):
            raise SettingError("deviation", "must be greater than 0")
        return self

    def preprocess(self, channels: int, path: Path) -> Preprocess:
        """The way from images to the network's input.

        Raises:
            UserError: means for another number of channels.
        """
        if self.mean is None or self.deviation is None:
            if channels == 3:
                return Preprocess(self.side)
            middle = (127.5,) * channels
            return Preprocess(self.side, mean=middle, deviation=middle)
        if len(self.mean) != channels:
            raise UserError(
                f"{path}: mean has {len(self.mean)} numbers, the network takes {channels} channels"
            )
        mean, deviation = (tuple(255 * v for v in each) for each in (self.mean, self.deviation))
        return Preprocess(self.side, mean=mean, deviation=deviation)


def made_here(path: Path) -> bool:
    """Whether `classify train` wrote this file."""
    try:
        return read_document(path).get("task") == TASK
    except UserError:  # of others, or nothing that can be read, which is said later
        return False


def make(path: Path, device: torch.device, precision: Precision) -> NetworkExtractor:
    """The extractor from a classifier's file.

    Args:
        path: weights of a residual network: safetensors, or what `torch.save` wrote; beside it the
            description, of the same name with `.json`.
        device: where it computes.
        precision: of convolutions.

    Raises:
        UserError: missing, damaged, another kind of network, a wrong description, or a file of
            `classify train`.
    """
    if made_here(path):
        raise UserError(
            f"{path}: comes from 'synthograph classify train', and its header says how it sees "
            "images: open it with synthograph.downstream.classifier.file_extractor"
        )
    tensors = _tensors(read_state(path), path)
    beside = path.with_suffix(".json")
    about = _description(beside)
    plan = _plan(tensors, about, path)
    preprocess = about.preprocess(plan.stem.inputs, beside)
    network = _network(plan, about.side, path)
    load_tensors(network, tensors, path)
    with disk_errors(path):
        sha256 = sha256_file(path)
    whose = about.source or "classifier of the user"
    return NetworkExtractor(
        name=name_of(path, sha256),
        dims=plan.dims,
        digest=WeightDigest(sha256, path.name, verified=False),
        network=to_device(network.eval(), device),
        preprocess=preprocess,
        source=f"{whose}: {plan}, mean over the last stage",
        chunk=chunk_for(about.side),
        device=device,
        precision=precision,
        indicative=True,
    )


def name_of(path: Path, sha256: str) -> str:
    """Name of the extractor from a file; files of several folders may be called alike."""
    return f"{PREFIX}{path.name}@{sha256[:8]}"


def _description(path: Path) -> Description:
    if not path.exists():
        return Description()
    way_out = 'expected a description such as {"side": 64}'
    tree = parse_json(read_text(path, way_out), str(path))
    if not isinstance(tree, dict):
        raise UserError(f"{path}: is not a JSON object; {way_out}")
    try:
        return Description.parse(tree)
    except SettingError as error:
        raise UserError(f"{path}: {error}") from None


def _tensors(found: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The tensors that make features, under torchvision's names.

    Raises:
        UserError: it is no residual network, or a tensor is there twice.
    """
    plain = plain_names(found, path)
    outer = _outer(plain, path)
    inner = {
        name.removeprefix(outer).replace(".shortcut.", ".downsample."): tensor
        for name, tensor in plain.items()
        if name.startswith(outer)
    }
    used = {
        name: tensor
        for name, tensor in inner.items()
        if not name.startswith(_HEADS) and not name.endswith(_COUNTER)
    }
    odd = next((name for name in used if not _USED.fullmatch(name)), None)
    if odd is not None:
        raise UserError(
            f"{path}: tensor {odd!r:.100} has no place in a plain residual network, and leaving it "
            "out would give other features"
        )
    return used


def _outer(names: Collection[str], path: Path) -> str:
    """What stands before every name of the network.

    Raises:
        UserError: there is no residual network, or there are several.
    """
    firsts = [name.removesuffix(_FIRST) for name in names if name.endswith(_FIRST)]
    found = [outer for outer in firsts if outer + _STEM in names and outer[-1:] in ("", ".")]
    if not found:
        some = ", ".join(sorted(names)[:3])
        raise UserError(
            f"{path}: holds no residual network under the names of torchvision, timm or MONAI "
            f"({_STEM}, {_FIRST}, ...); its tensors begin {some:.100}"
        )
    if len(found) > 1:
        raise UserError(
            f"{path}: holds {len(found)} residual networks, {found[0]!r} and {found[1]!r}: save "
            "one of them alone"
        )
    return found[0]


def _plan(tensors: Mapping[str, Tensor], about: Description, path: Path) -> ResNetShape:
    """Shape of the network that those tensors belong to.

    Raises:
        UserError: a stage or a block is left out, or a tensor has another kind of shape.
    """
    places = {(int(m[1]), int(m[2])) for name in tensors if (m := _BLOCK.match(name))}
    counts = Counter(stage for stage, _ in places)
    numbers = list(takewhile(counts.__contains__, count(1)))
    expected = {(stage, block) for stage in numbers for block in range(counts[stage])}
    if places != expected:
        stage, block = min(places ^ expected)
        raise UserError(f"{path}: block layer{stage}.{block} has no place in a row of blocks")
    stages = tuple(
        tuple(_block(tensors, f"layer{stage}.{block}", path) for block in range(counts[stage]))
        for stage in numbers
    )
    stem = _convolution(tensors, _STEM, path)
    return ResNetShape(stem, stages, about.stem_stride, about.stem_pool)


def _block(tensors: Mapping[str, Tensor], name: str, path: Path) -> BlockPlan:
    names = [f"{name}.conv{number}.weight" for number in (1, 2, 3)]
    if names[1] not in tensors:
        raise UserError(f"{path}: {name} has no second convolution; is it no residual network?")
    shapes: list[Convolution] = []
    for each in names:
        if each in tensors:
            shape = _convolution(tensors, each, path)
            if shapes:  # the tensor shows the input channels of one group only
                inputs = shapes[-1].outputs
                shape = replace(shape, inputs=inputs, groups=max(1, inputs // shape.inputs))
            shapes.append(shape)
    around = f"{name}.downsample.0.weight"
    shortcut = _convolution(tensors, around, path) if around in tensors else None
    return BlockPlan(tuple(shapes), shortcut)


def _convolution(tensors: Mapping[str, Tensor], name: str, path: Path) -> Convolution:
    """Shape of a convolution of one group."""
    shape = tuple(tensors[name].shape)
    if len(shape) != 4 or shape[2] != shape[3] or shape[2] % 2 == 0 or 0 in shape:
        raise UserError(f"{path}: {name} of shape {shape} is no convolution with an odd kernel")
    bias = name.removesuffix("weight") + "bias" in tensors
    return Convolution(shape[1], shape[0], shape[2], bias=bias)


def _network(plan: ResNetShape, side: int, path: Path) -> ResNet:
    """The network without numbers, after a check that images can pass through it."""
    with torch.device("meta"):
        try:
            network = ResNet(plan)
            network(torch.empty(1, plan.stem.inputs, side, side))
        except (RuntimeError, ValueError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"{path}: its layers do not fit one another: {reason}") from None
    made: ResNet = network.to_empty(device="cpu")
    return made
