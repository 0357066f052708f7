"""Files of classifiers; see `trained.py` for what they share with those of segmenters.

All classifiers are features and a linear layer behind them, a `LogisticProbe`. The features are
those of an extractor that stays as it is, or of a network of its own, which the file holds.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from jaxtyping import Float32
from pydantic import Field, model_validator
from torch import Tensor

from synthograph.core.config import Config
from synthograph.core.devices import Precision
from synthograph.core.errors import UserError
from synthograph.core.files import disk_errors, sha256_file
from synthograph.core.untrusted.documents import JsonObject
from synthograph.core.untrusted.tensors import SizeLimit, load_tensors, select, write_tensors
from synthograph.downstream.networks import LITES, ImageFeatures, backbone
from synthograph.downstream.probe import LogisticProbe
from synthograph.downstream.trained import TrainedInfo, read_trained
from synthograph.features.base import WeightDigest, to_device
from synthograph.features.classifier import name_of
from synthograph.features.preprocess import check_images, chunk_for
from synthograph.stats.scores import Threshold

NETWORK = "network/"
"""How the names of a network's tensors begin in the file."""
MAX_SIDE = 8192


class NetworkInfo(Config):
    """What the file says of a network of its own.

    Attributes:
        height: of what the network sees, and `width`.
        start: where its weights came from before the training, in words.
        settings: of the training (`FitConfig`), and the transforms.
        steps: that were done; `seconds` that they took.
    """

    height: int = Field(ge=1, le=MAX_SIDE)
    width: int = Field(ge=1, le=MAX_SIDE)
    start: str
    settings: JsonObject
    steps: int
    seconds: float


class ClassifierInfo(TrainedInfo):
    """What the header of a classifier's file holds beside what all have.

    Attributes:
        backbone: name of the extractor or of the network; `extractor` is its description with the
            hash of its weights.
        network: of a network of its own; None where an extractor stays as it is.
        threshold: what decides; none with more than two classes in older files, whose most probable
            class is decided.
        counts: real and synthetic training images of each class.
    """

    noun = "classifier"
    task: Literal["classify"] = "classify"
    backbone: str
    extractor: JsonObject
    network: NetworkInfo | None = None
    threshold: Threshold | None = None
    counts: dict[str, dict[str, int]]

    @model_validator(mode="after")
    def _threshold_of_each_class(self) -> "ClassifierInfo":
        shares = self.threshold if isinstance(self.threshold, tuple) else None
        if shares is not None and (len(shares) != len(self.classes) or min(shares) <= 0):
            raise ValueError(
                f"threshold: is no positive share of each of {len(self.classes)} classes"
            )
        return self


@dataclass(frozen=True)
class Classifier:
    """A trained classifier.

    Attributes:
        info: header of its file.
        probe: features to probabilities.
        network: images to features; None where an extractor gives them.
    """

    info: ClassifierInfo
    probe: LogisticProbe
    network: ImageFeatures | None = None


@dataclass(frozen=True, eq=False)
class TrainedExtractor:
    """A trained network as an `Extractor`: integer images to its features."""

    name: str
    network: ImageFeatures
    device: torch.device
    digest: WeightDigest
    indicative: bool = False
    precision: Precision = Precision.FP32

    @property
    def dims(self) -> int:
        """Features per image."""
        return self.network.dims

    def takes(self, channels: int) -> bool:
        """Whether images of so many channels are accepted."""
        return channels == len(self.network.mean)

    def __call__(self, images: Tensor) -> Float32[Tensor, "n d"]:
        """Features of integer images, on the CPU.

        Raises:
            UserError: the images have another shape, number type or number of channels.
        """
        check_images(images)
        if not self.takes(images.shape[1]):
            raise UserError(
                f"images have {images.shape[1]} channels, {self.name} takes "
                f"{len(self.network.mean)}: give it images of those, or take another extractor"
            )
        low = self.precision is Precision.BF16
        whole = 255 if images.dtype == torch.uint8 else 65535
        chunk = chunk_for(max(self.network.size))
        found = torch.empty((len(images), self.dims))
        with (
            torch.inference_mode(),
            torch.autocast(self.device.type, torch.bfloat16, enabled=low),
        ):
            for start in range(0, len(images), chunk):
                part = images[start : start + chunk].to(self.device)
                found[start : start + chunk] = self.network(part.float() / whole).cpu()
        return found

    def describe(self) -> JsonObject:
        """What results record of it."""
        height, width = self.network.size
        return {
            "extractor": self.name,
            "indicative": self.indicative,
            "dims": self.dims,
            "source": "network that was trained with the classifier, last pool",
            "weights": self.digest.document(),
            "size": [height, width],
            "precision": self.precision.value,
        }


def trained_extractor(name: str, network: ImageFeatures, device: torch.device) -> TrainedExtractor:
    """A network as an extractor: moved to the device, and in evaluation mode from here on."""
    network.eval().requires_grad_(False)
    hashed = hashlib.sha256()
    for key, tensor in sorted(network.state_dict().items()):
        hashed.update(key.encode())
        hashed.update(tensor.cpu().contiguous().numpy().tobytes())
    digest = WeightDigest(hashed.hexdigest(), "network of the classifier", verified=False)
    to_device(network, device)
    return TrainedExtractor(name, network, device, digest)


def file_extractor(
    path: Path, device: torch.device, precision: Precision = Precision.FP32
) -> TrainedExtractor:
    """The network of a classifier's file as an extractor, which sees images as the classifier does.

    Raises:
        UserError: it cannot be read, is no classifier, or has no network of its own.
    """
    model = load(path)
    if model.network is None:
        used = LITES.get(model.info.backbone, model.info.backbone)
        raise UserError(
            f"{path}: is a layer behind the features of {used} and has no network of its own: "
            f"give --features {used}, or a classifier that was trained without --probe"
        )
    with disk_errors(path):
        sha256 = sha256_file(path)
    to_device(model.network, device)
    digest = WeightDigest(sha256, path.name, verified=False)
    name = name_of(path, sha256)
    return TrainedExtractor(name, model.network, device, digest, True, precision)


def save(path: Path, classifier: Classifier) -> None:
    """Write a classifier atomically."""
    tensors = classifier.probe.tensors()
    if classifier.network is not None:
        state = classifier.network.state_dict()
        tensors |= {f"{NETWORK}{name}": tensor for name, tensor in state.items()}
    write_tensors(path, tensors, classifier.info.tree())


def load(path: Path) -> Classifier:
    """Read a classifier; nothing in the file is executed.

    Raises:
        UserError: it cannot be read, is no classifier, or contradicts itself.
    """
    info, tensors = read_trained(path, ClassifierInfo)
    try:
        probe = LogisticProbe.from_tensors(tensors)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except (KeyError, ValueError, RuntimeError) as error:
        raise UserError(f"{path}: is a damaged classifier ({error})") from None
    if len(probe.bias) != len(info.classes):
        raise UserError(
            f"{path}: is a damaged classifier ({len(info.classes)} classes, numbers for "
            f"{len(probe.bias)})"
        )
    network = None
    if info.network is not None:
        network = _network(path, info, info.network)
        load_tensors(network, select(tensors, NETWORK), path)
        if network.dims != probe.weight.shape[1]:
            raise UserError(f"{path}: is a damaged classifier (its layers do not fit)")
    return Classifier(info, probe, network)


def _network(path: Path, info: ClassifierInfo, about: NetworkInfo) -> ImageFeatures:
    """The network that a file describes, without numbers."""
    try:
        chosen = backbone(info.backbone)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    channels = info.spec.channels
    with SizeLimit(path), torch.device("meta"):
        made = ImageFeatures(
            chosen.make(channels),
            size=(about.height, about.width),
            mean=[0.0] * channels,
            deviation=[1.0] * channels,
        )
    empty: ImageFeatures = made.to_empty(device="cpu")
    return empty.eval().requires_grad_(False)
