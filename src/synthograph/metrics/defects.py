"""Damage planted on purpose, in grades from weak to strong: what a measure should notice.

Two sorts, both pure functions: a `PixelDefect` changes pixels of integer images, a
`SelectionDefect` changes which images a set holds. What is random follows from a seed and the
number of the image, so the same call gives the same damage in any batch.

Blur and noise follow Heusel et al. 2017, "GANs trained by a two time-scale update rule", figure 3;
lost classes the experiments on mode dropping of Naeem et al. 2020, "Reliable fidelity and diversity
metrics for generative models".
"""

import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt
from PIL import Image
from torch import Tensor
from torch.nn.functional import conv2d, pad

from synthograph.core.errors import UserError
from synthograph.core.seeds import Streams

# n image, c channel, k image of a selection, m image after it

SIGMAS = (0.5, 0.75, 1.0, 1.5, 2.0, 4.0)
NOISES = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)
"""In grey levels of 8-bit images; 257 times as many of 16-bit ones, the same share of the range."""
QUALITIES = (95, 85, 70, 50, 30, 10)
GAINS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2)
LOSSES = (0.25, 0.5, 0.75)
MAX_CLASSES = 12
MAX_REPEATS = 8

Images = UInt[Tensor, "n c h w"]


@runtime_checkable
class Defect(Protocol):
    """What all defects say of themselves."""

    @property
    def kind(self) -> str:
        """What is damaged; the grades of one kind stand in one row of a table."""
        ...

    @property
    def grade(self) -> float:
        """How much, in the unit of the kind."""
        ...

    @property
    def amount(self) -> str:
        """The grade in a few words."""
        ...

    @property
    def description(self) -> str:
        """The damage in one line."""
        ...


@runtime_checkable
class PixelDefect(Defect, Protocol):
    """Damage to the pixels of every image."""

    def refusal(self, bits: int) -> str | None:
        """Why images of that bit depth cannot have it; None where they can."""
        ...

    def __call__(self, images: Images, numbers: Int64[Tensor, " n"]) -> Images:
        """The damaged images, of the same shape and type.

        Args:
            images: uint8 or uint16, any channels, modalities concatenated along them.
            numbers: of the images in their set; they key what is random.
        """
        ...


@runtime_checkable
class SelectionDefect(Defect, Protocol):
    """Damage to what a set holds."""

    def __call__(
        self, numbers: Int64[Tensor, " k"], labels: Int64[Tensor, " n"] | None, streams: Streams
    ) -> Int64[Tensor, " m"]:
        """The images of the damaged set.

        Args:
            numbers: images of the undamaged set.
            labels: class of every image that `numbers` can name; negative without a class.
            streams: which images are hit.
        """
        ...


@dataclass(frozen=True)
class Blur:
    """A Gaussian window of standard deviation `sigma` pixels, edges repeated."""

    sigma: float
    kind: ClassVar[str] = "blur"

    @property
    def grade(self) -> float:
        """The standard deviation in pixels."""
        return self.sigma

    @property
    def amount(self) -> str:
        """Such as "sigma 2"."""
        return f"sigma {self.sigma:g}"

    @property
    def description(self) -> str:
        """The damage in one line."""
        return f"Gaussian blur of {self.sigma:g} pixels"

    def refusal(self, bits: int) -> str | None:
        """None: every image can be blurred."""
        return None

    def __call__(self, images: Images, numbers: Int64[Tensor, " n"]) -> Images:
        """The blurred images."""
        reach = max(1, math.ceil(3 * self.sigma))
        offset = torch.arange(-reach, reach + 1, dtype=torch.float64)
        taps = torch.exp(-offset.square() / (2 * self.sigma**2))
        taps = (taps / taps.sum()).to(torch.float32)
        flat = pad(images.to(torch.float32), (reach,) * 4, mode="replicate").flatten(0, 1)[:, None]
        smooth = conv2d(conv2d(flat, taps.reshape(1, 1, 1, -1)), taps.reshape(1, 1, -1, 1))
        return _integers(smooth[:, 0].unflatten(0, images.shape[:2]), images.dtype)


@dataclass(frozen=True)
class Noise:
    """Independent normal noise of standard deviation `deviation`, in grey levels of the images."""

    deviation: float
    seed: int = 0
    kind: ClassVar[str] = "noise"

    @property
    def grade(self) -> float:
        """The standard deviation in grey levels of the images."""
        return self.deviation

    @property
    def amount(self) -> str:
        """Such as "sd 4"."""
        return f"sd {self.deviation:g}"

    @property
    def description(self) -> str:
        """The damage in one line."""
        return f"normal noise of {self.deviation:g} grey levels"

    def refusal(self, bits: int) -> str | None:
        """None: every image can be noisy."""
        return None

    def __call__(self, images: Images, numbers: Int64[Tensor, " n"]) -> Images:
        """The noisy images; stronger grades scale the same noise."""
        streams, shape = Streams(self.seed), tuple(images.shape[1:])
        result = images.clone()
        for place in range(len(images)):  # random words need much more memory than pixels
            drawn = streams.normal("defects/noise", numbers[place : place + 1], shape)[0]
            noisy = images[place].to(torch.float32) + self.deviation * drawn
            result[place] = _integers(noisy, images.dtype)
        return result


@dataclass(frozen=True)
class Jpeg:
    """Compression and decompression, colour at half the resolution (4:2:0).

    Attributes:
        quality: of the encoder, 1 ... 100.
        widths: channels of every modality; threes are coded as RGB, all others one by one.
    """

    quality: int
    widths: tuple[int, ...]
    kind: ClassVar[str] = "JPEG"

    @property
    def grade(self) -> float:
        """The quality; lower is stronger damage."""
        return self.quality

    @property
    def amount(self) -> str:
        """Such as "quality 50"."""
        return f"quality {self.quality}"

    @property
    def description(self) -> str:
        """The damage in one line."""
        return f"JPEG of quality {self.quality}"

    def refusal(self, bits: int) -> str | None:
        """JPEG holds 8 bits; to reduce others would be another defect."""
        return None if bits == 8 else f"JPEG holds 8 bits and the images have {bits}"

    def __call__(self, images: Images, numbers: Int64[Tensor, " n"]) -> Images:
        """The images after compression.

        Raises:
            UserError: images of 16 bits, or of other channels than `widths` says.
        """
        reason = self.refusal(_bits(images))
        if reason is not None:
            raise UserError(f"{reason}: plant another defect")
        _check_widths(self.widths, images)
        steps = [step for width in self.widths for step in ((3,) if width == 3 else (1,) * width)]
        coded = images.clone().numpy()
        for image in coded:
            start = 0
            for step in steps:
                planes = slice(start, start + step)
                image[planes] = self._coded(image[planes])
                start += step
        return torch.from_numpy(coded)

    def _coded(self, planes: np.ndarray) -> np.ndarray:
        """One picture of one or three planes [c, h, w]."""
        picture = planes.transpose(1, 2, 0) if len(planes) == 3 else planes[0]
        file = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(picture)).save(file, "JPEG", quality=self.quality)
        decoded = np.asarray(Image.open(file))
        return decoded.transpose(2, 0, 1) if len(planes) == 3 else decoded[None]


@dataclass(frozen=True)
class Cast:
    """Gains from 1 + `gain` for a modality's first channel to 1 - `gain` for its last; a modality
    of one channel becomes brighter by 1 + `gain`.

    Attributes:
        gain: above 0, below 1.
        widths: channels of every modality.
    """

    gain: float
    widths: tuple[int, ...]

    @property
    def kind(self) -> str:
        """Grey images can only become brighter."""
        return "colour cast" if max(self.widths) > 1 else "brightness"

    @property
    def grade(self) -> float:
        """Relative change of the first channel."""
        return self.gain

    @property
    def amount(self) -> str:
        """Such as "5 %"."""
        return f"{100 * self.gain:g} %"

    @property
    def description(self) -> str:
        """The damage in one line."""
        if max(self.widths) == 1:
            return f"{self.amount} brighter"
        return f"first channel {self.amount} brighter, last {self.amount} darker"

    def refusal(self, bits: int) -> str | None:
        """None: every image can have it."""
        return None

    def __call__(self, images: Images, numbers: Int64[Tensor, " n"]) -> Images:
        """The images with their channels scaled and clipped to the range.

        Raises:
            UserError: images of other channels than `widths` says.
        """
        _check_widths(self.widths, images)
        ends = 1 + self.gain, 1 - self.gain
        gains = torch.cat([torch.linspace(*ends, width) for width in self.widths])
        return _integers(images.to(torch.float32) * gains[:, None, None], images.dtype)


@dataclass(frozen=True)
class Drop:
    """Images of one class are missing.

    Attributes:
        label: index of the class.
        name: of the class.
        share: of its images that are missing, 0 ... 1; which ones is random.
    """

    label: int
    name: str
    share: float

    @property
    def kind(self) -> str:
        """Every class has its own row."""
        return f"class {self.name} missing"

    @property
    def grade(self) -> float:
        """Share of the class that is missing."""
        return self.share

    @property
    def amount(self) -> str:
        """Such as "half"."""
        return {0.5: "half", 1.0: "all"}.get(self.share, f"{100 * self.share:g} %")

    @property
    def description(self) -> str:
        """The damage in one line."""
        return f"{self.amount} of class {self.name} missing"

    def __call__(
        self, numbers: Int64[Tensor, " k"], labels: Int64[Tensor, " n"] | None, streams: Streams
    ) -> Int64[Tensor, " m"]:
        """The images that stay.

        Raises:
            UserError: no labels.
        """
        if labels is None:
            raise UserError(f"{self.description}: the images have no labels, give them classes")
        places = (labels[numbers] == self.label).nonzero()[:, 0]
        order = streams.permutation(f"defects/drop/{self.label}", 0, len(places))
        kept = torch.ones(len(numbers), dtype=torch.bool)
        kept[places[order[: int(self.share * len(places))]]] = False
        return numbers[kept]


@dataclass(frozen=True)
class Repeat:
    """Only `distinct` different images, each repeated until there are as many as before."""

    distinct: int
    kind: ClassVar[str] = "few images repeated"

    @property
    def grade(self) -> float:
        """How many different images are left; fewer is stronger damage."""
        return self.distinct

    @property
    def amount(self) -> str:
        """Such as "20 distinct"."""
        return f"{self.distinct} distinct"

    @property
    def description(self) -> str:
        """The damage in one line."""
        noun = "image" if self.distinct == 1 else "distinct images"
        return f"{self.distinct} {noun} repeated"

    def __call__(
        self,
        numbers: Int64[Tensor, " k"],
        labels: Int64[Tensor, " n"] | None,
        streams: Streams,
    ) -> Int64[Tensor, " m"]:
        """As many numbers as before, of few images; unchanged where there are no more than that."""
        if self.distinct >= len(numbers):
            return numbers
        chosen = numbers[streams.permutation("defects/repeat", 0, len(numbers))[: self.distinct]]
        return chosen[torch.arange(len(numbers)) % self.distinct]


@dataclass(frozen=True, eq=False)
class Narrow:
    """The images with the largest values of a factor are missing.

    Attributes:
        name: of the factor, such as age.
        values: of every image; NaN where unknown, and such images stay.
        lost: share of the known values that is lost, 0 ... 1.
    """

    name: str
    values: Float[Tensor, " n"]
    lost: float

    @property
    def kind(self) -> str:
        """Every factor has its own row."""
        return f"high {self.name} missing"

    @property
    def grade(self) -> float:
        """Share that is lost."""
        return self.lost

    @property
    def amount(self) -> str:
        """Such as "upper 25 %"."""
        return f"upper {100 * self.lost:g} %"

    @property
    def description(self) -> str:
        """The damage in one line."""
        return f"images of the {self.amount} of {self.name} missing"

    def __call__(
        self,
        numbers: Int64[Tensor, " k"],
        labels: Int64[Tensor, " n"] | None,
        streams: Streams,
    ) -> Int64[Tensor, " m"]:
        """The images that stay."""
        # not torch.quantile, which refuses more than 16 million values
        border = float(np.nanquantile(self.values.numpy(), 1 - self.lost))
        return numbers[~(self.values[numbers] > border)]


def modality_widths(channels: int) -> tuple[int, ...]:
    """Channels of every modality where nobody said: three are colour, others stand alone."""
    return (3,) if channels == 3 else (1,) * channels


def pixel_defects(
    channels: int, bits: int, *, widths: Sequence[int] | None = None, seed: int = 0
) -> tuple[PixelDefect, ...]:
    """Blur, noise, JPEG and colour cast, each from weak to strong.

    JPEG stands there for 16 bits too, and refuses.

    Args:
        channels: of the images.
        bits: 8 or 16.
        widths: channels of every modality; by `modality_widths` where not given.
        seed: of the noise.
    """
    each = tuple(widths) if widths is not None else modality_widths(channels)
    unit = 1 if bits == 8 else 257
    return (
        *(Blur(sigma) for sigma in SIGMAS),
        *(Noise(unit * deviation, seed) for deviation in NOISES),
        *(Jpeg(quality, each) for quality in QUALITIES),
        *(Cast(gain, each) for gain in GAINS),
    )


def selection_defects(
    size: int,
    *,
    labels: Int64[Tensor, " n"] | None = None,
    classes: Sequence[str] = (),
    factors: Mapping[str, Float32[Tensor, " n"]] | None = None,
) -> tuple[SelectionDefect, ...]:
    """Lost classes, lost values of factors and repeats, each from weak to strong.

    Args:
        size: images in the set that is damaged.
        labels: class of every image; negative without a class.
        classes: their names. Of more than `MAX_CLASSES` the rarest are dropped, one at a time; of
            a set of one class nothing is.
        factors: numbers that every image has, NaN where unknown.
    """
    found: list[SelectionDefect] = []
    for label in droppable(labels, classes):
        found += [Drop(label, classes[label], share) for share in (0.5, 1.0)]
    for name, values in (factors or {}).items():
        found += [Narrow(name, values, lost) for lost in LOSSES]
    distinct = [size >> shift for shift in range(1, MAX_REPEATS + 1)]
    return (*found, *(Repeat(count) for count in distinct if count > 0))


def droppable(labels: Int64[Tensor, " n"] | None, classes: Sequence[str]) -> list[int]:
    """The classes that are dropped, in their order; see `selection_defects`."""
    if labels is None:
        return []
    counts = torch.bincount(labels[labels >= 0], minlength=len(classes)).tolist()
    there = [label for label, count in enumerate(counts) if count > 0]
    if len(there) == 1 and counts[there[0]] == len(labels):
        return []
    return sorted(sorted(there, key=lambda label: counts[label])[:MAX_CLASSES])


def _integers(x: Float32[Tensor, "..."], dtype: torch.dtype) -> UInt[Tensor, "..."]:
    return x.round().clamp(0, torch.iinfo(dtype).max).to(dtype)


def _bits(images: Images) -> int:
    return 8 * images.dtype.itemsize


def _check_widths(widths: tuple[int, ...], images: Images) -> None:
    if sum(widths) != images.shape[1]:
        raise UserError(
            f"modalities of {', '.join(map(str, widths))} channels, but images of "
            f"{images.shape[1]}: their sum must be the channels of the images"
        )
