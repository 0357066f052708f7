"""Feature extractors: their protocol, weights, recipes, and what results record of them."""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import ClassVar, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn
from torch.nn.functional import batch_norm

from synthograph.core.devices import Precision
from synthograph.core.errors import UserError
from synthograph.core.untrusted.documents import JsonObject
from synthograph.features.packaged import Package
from synthograph.features.preprocess import Preprocess, check_images, chunk_for

# n image, d feature, g group of channels, k class


class MissingWeightsError(UserError):
    """A network's weights are not on this machine; the message says how to get them."""


@dataclass(frozen=True)
class WeightDigest:
    """Identifies the weights behind a number.

    Attributes:
        sha256: hex, of the file that they came from; of the numbers for random weights.
        file: name of that file.
        verified: whether it equals the published hash; False where none is known.
    """

    sha256: str
    file: str
    verified: bool

    def document(self) -> dict[str, str | bool]:
        """As JSON data."""
        return asdict(self)


@dataclass(frozen=True)
class WeightFile:
    """A published file of weights.

    Attributes:
        name: as users write it.
        file: its published name.
        address: where it is.
        licence: of the weights.
        size: bytes, as published or about.
        sha256: hex, or how it begins where no more is known; None where nothing is.
        build: makes the network without numbers.
        unused: how names of tensors begin that the network leaves out.
        note: what else a user should know.
        package: the Python package that the file comes in, if any.
    """

    name: str
    file: str
    address: str
    licence: str
    size: int
    sha256: str | None
    build: Callable[[], nn.Module]
    unused: tuple[str, ...] = ()
    note: str = ""
    package: Package | None = None


@runtime_checkable
class Extractor(Protocol):
    """Maps images to feature vectors."""

    @property
    def name(self) -> str:
        """As users write it, and as it stands in every result."""

    @property
    def dims(self) -> int:
        """Features per image."""

    @property
    def digest(self) -> WeightDigest:
        """Identifies the weights."""

    @property
    def indicative(self) -> bool:
        """Whether its numbers compare only with themselves and are no standard measure."""

    def __call__(self, images: Tensor) -> Float32[Tensor, "n d"]:
        """Features of images, on the CPU.

        Args:
            images: uint8 or uint16 [n, channels, h, w], of any size and number of channels.

        Raises:
            UserError: the images have another shape or number type.
        """

    def describe(self) -> JsonObject:
        """What results record of the extractor; plain data."""


@runtime_checkable
class ClassifyingExtractor(Extractor, Protocol):
    """An extractor whose network also gives class probabilities."""

    @property
    def classes(self) -> int:
        """Probabilities per image."""

    def features_and_probabilities(
        self, images: Tensor
    ) -> tuple[Float32[Tensor, "n d"], Float32[Tensor, "n k"]]:
        """Both in one pass; see `Extractor`."""


@runtime_checkable
class ChoosyExtractor(Extractor, Protocol):
    """An extractor that says which images it takes; any other takes all."""

    def takes(self, channels: int) -> bool:
        """Whether images of so many channels are accepted."""


@dataclass(frozen=True, eq=False)
class NetworkExtractor:
    """An extractor that is a preprocessing rule and a network; see `NetworkRecipe` too.

    Attributes:
        digest: which weights computed.
        network: inputs [n, 3, u, v] to features [n, d], in evaluation mode, on `device`.
        chunk: images at once.
        precision: fp32, or bf16 in convolutions and matrix products.
    """

    name: str
    dims: int
    digest: WeightDigest
    network: nn.Module
    preprocess: Preprocess
    source: str
    chunk: int
    indicative: bool = False
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    precision: Precision = Precision.FP32

    classifies: ClassVar[bool] = False
    """Whether it is a `ClassifyingExtractor`."""

    def takes(self, channels: int) -> bool:
        """Whether images of so many channels are accepted."""
        return self.preprocess.takes(channels)

    def __call__(self, images: Tensor) -> Float32[Tensor, "n d"]:
        """Features of integer images, on the CPU; see `Extractor`."""
        return self.through(self.network, images, self.dims)

    def through(
        self, network: Callable[[Tensor], Tensor], images: Tensor, dims: int
    ) -> Float32[Tensor, "n d"]:
        """Run a part of the network on images, chunk by chunk, and average over groups of channels.

        Args:
            network: inputs [n, 3, u, v] to [n, dims].
            images: uint8 or uint16 [n, channels, h, w].
            dims: width of the result.

        Raises:
            UserError: the images have another shape or number type.
        """
        check_images(images)
        found = torch.empty((len(images), dims), dtype=torch.float32)
        with torch.inference_mode(), self._arithmetic():
            for start in range(0, len(images), self.chunk):
                inputs = self.preprocess(images[start : start + self.chunk], self.device)
                parts = [network(part.to(memory_format=torch.channels_last)) for part in inputs]
                rows = torch.stack(parts).to(torch.float32).mean(dim=0)
                found[start : start + self.chunk] = rows.cpu()
        return found

    def _arithmetic(self) -> torch.autocast:
        low = self.precision is Precision.BF16
        return torch.autocast(self.device.type, torch.bfloat16, enabled=low)

    def describe(self) -> JsonObject:
        """Name, weights, preprocessing and arithmetic as plain data."""
        return {
            "extractor": self.name,
            "indicative": self.indicative,
            "dims": self.dims,
            "source": self.source,
            "weights": self.digest.document(),
            **self.preprocess.describe(),
            "precision": self.precision.value,
        }


class FeatureNetwork(nn.Module):
    """A network that makes features of inputs [n, 3, u, v]."""

    dims: int
    """Features per image."""


@dataclass(frozen=True)
class NetworkRecipe:
    """How an extractor is made: what `features/networks.py` lists.

    Attributes:
        name: as users write it.
        preprocess: images to inputs of the network.
        source: paper, and what the features are.
        weights: the file that the numbers come from; None for a network that is drawn.
        draw: makes a network that needs no file, and the hash of its numbers.
        extractor: what it becomes.
        chunk: images at once; by the size of the inputs unless given.
        indicative: whether its numbers compare only with themselves.
    """

    name: str
    preprocess: Preprocess
    source: str
    weights: WeightFile | None = None
    draw: Callable[[], tuple[FeatureNetwork, WeightDigest]] | None = None
    extractor: type[NetworkExtractor] = NetworkExtractor
    chunk: int | None = None
    indicative: bool = False

    def make(
        self,
        network: FeatureNetwork,
        digest: WeightDigest,
        device: torch.device,
        precision: Precision,
    ) -> NetworkExtractor:
        """The extractor, from its network, which is moved to the device."""
        return self.extractor(
            name=self.name,
            dims=network.dims,
            digest=digest,
            network=to_device(network, device),
            preprocess=self.preprocess,
            source=self.source,
            chunk=self.chunk or chunk_for(self.preprocess.size),
            indicative=self.indicative,
            device=device,
            precision=precision,
        )


def to_device(network: nn.Module, device: torch.device) -> nn.Module:
    """Move a network to its device, in the fastest memory format for convolutions."""
    return network.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]


class FrozenNorm(nn.Module):
    """Batch normalisation with stored statistics only, under the names of `nn.BatchNorm2d`."""

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, torch.empty(channels))

    def forward(self, x: Float[Tensor, "n c h w"]) -> Float[Tensor, "n c h w"]:
        """The normalised features."""
        mean, variance, weight, bias = self._numbers()
        return batch_norm(x, mean, variance, weight, bias, eps=self.eps)

    def folded(
        self, kernel: Float[Tensor, "c i kh kw"]
    ) -> tuple[Float[Tensor, "c i kh kw"], Float[Tensor, " c"]]:
        """Kernel and bias of one convolution that does what one without a bias and this do."""
        mean, variance, weight, bias = self._numbers()
        scale = weight * torch.rsqrt(variance + self.eps)
        return kernel * scale.view(-1, 1, 1, 1), bias - mean * scale

    def train_scales(self) -> None:
        """Make weight and bias parameters; the statistics stay stored ones."""
        for name in ("weight", "bias"):
            values = self.get_buffer(name)
            delattr(self, name)
            self.register_parameter(name, nn.Parameter(values))

    def _numbers(self) -> Iterator[Float[Tensor, " c"]]:
        """Mean, variance, weight and bias."""
        return (getattr(self, name) for name in ("running_mean", "running_var", "weight", "bias"))
