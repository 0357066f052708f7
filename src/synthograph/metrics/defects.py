"""Damage planted on purpose, in grades from weak to strong: what a measure should notice.

Two sorts, both pure functions: a `PixelDefect` changes pixels of integer images, a
`SelectionDefect` changes which images a set holds. A defect is declared by one function, which says
what it is called and how it is planted. What is random follows from a seed and the number of the
image, so the same call gives the same damage in any batch.

Blur and noise follow Heusel et al. 2017, "GANs trained by a two time-scale update rule", figure 3;
lost classes the experiments on mode dropping of Naeem et al. 2020, "Reliable fidelity and diversity
metrics for generative models".
"""

import io
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int64, UInt
from PIL import Image
from torch import Tensor
from torch.nn.functional import pad

from synthograph.core.errors import UserError
from synthograph.core.seeds import Streams
from synthograph.ops.similarity import gaussian_means

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
Numbers = Int64[Tensor, " n"]
"""Of images in their set."""


@dataclass(frozen=True)
class Defect:
    """A planted defect of one grade."""

    kind: str  # what is damaged; the grades of one kind stand in one row of a table
    grade: float  # how much, in the unit of the kind
    amount: str  # the grade in a few words
    description: str  # the damage in one line


@dataclass(frozen=True)
class PixelDefect(Defect):
    """Damage to the pixels of every image."""

    damage: Callable[[Images, Numbers], Images]
    max_bits: int = 16  # of images that can have it

    def refusal(self, bits: int) -> str | None:
        """Why images of that bit depth cannot have it; None where they can."""
        if bits <= self.max_bits:
            return None
        return f"{self.kind} holds {self.max_bits} bits and the images have {bits}"

    def __call__(self, images: Images, numbers: Numbers) -> Images:
        """The damaged images, of the same shape and type.

        Args:
            images: uint8 or uint16, any channels, modalities concatenated along them.
            numbers: of the images in their set; they key what is random.

        Raises:
            UserError: images that cannot have it, or of other channels than the modalities.
        """
        reason = self.refusal(8 * images.dtype.itemsize)
        if reason is not None:
            raise UserError(f"{reason}: plant another defect")
        return self.damage(images, numbers)


@dataclass(frozen=True)
class SelectionDefect(Defect):
    """Damage to what a set holds."""

    select: Callable[[Int64[Tensor, " k"], Streams], Int64[Tensor, " m"]]
    """Images of the undamaged set, and where random choices come from, to those of the damaged."""


def blur(sigma: float) -> PixelDefect:
    """A Gaussian window of standard deviation `sigma` pixels, edges repeated."""
    reach = max(1, math.ceil(3 * sigma))

    def damage(images: Images, numbers: Numbers) -> Images:
        padded = pad(images.to(torch.float32), (reach,) * 4, mode="replicate")
        return _integers(gaussian_means(padded, reach, sigma), images.dtype)

    about = f"Gaussian blur of {sigma:g} pixels"
    return PixelDefect("blur", sigma, f"sigma {sigma:g}", about, damage)


def noise(deviation: float, seed: int = 0) -> PixelDefect:
    """Independent normal noise of standard deviation `deviation`, in grey levels of the images;
    stronger grades scale the same noise.
    """

    def damage(images: Images, numbers: Numbers) -> Images:
        streams, shape = Streams(seed), tuple(images.shape[1:])
        result = images.clone()
        for place in range(len(images)):  # random words need much more memory than pixels
            drawn = streams.normal("defects/noise", numbers[place : place + 1], shape)[0]
            noisy = images[place].to(torch.float32) + deviation * drawn
            result[place] = _integers(noisy, images.dtype)
        return result

    about = f"normal noise of {deviation:g} grey levels"
    return PixelDefect("noise", deviation, f"sd {deviation:g}", about, damage)


def jpeg(quality: int, widths: tuple[int, ...]) -> PixelDefect:
    """Compression and decompression, colour at half the resolution (4:2:0). JPEG holds 8 bits; to
    reduce others would be another defect.

    Args:
        quality: of the encoder, 1 ... 100; lower is stronger damage.
        widths: channels of every modality; threes are coded as RGB, all others one by one.
    """
    steps = [step for width in widths for step in ((3,) if width == 3 else (1,) * width)]
    ends = [*itertools.accumulate(steps, initial=0)]

    def damage(images: Images, numbers: Numbers) -> Images:
        _check_widths(widths, images)
        coded = images.clone().numpy()
        for image, (start, stop) in itertools.product(coded, itertools.pairwise(ends)):
            image[start:stop] = jpeg_of(image[start:stop], quality)
        return torch.from_numpy(coded)

    about = f"JPEG of quality {quality}"
    return PixelDefect("JPEG", quality, f"quality {quality}", about, damage, max_bits=8)


def jpeg_of(planes: np.ndarray, quality: int, subsampling: int = 2) -> np.ndarray:
    """One picture of one or three planes [c, h, w] as JPEG; 0: colours at full resolution."""
    picture = planes.transpose(1, 2, 0) if len(planes) == 3 else planes[0]
    file = io.BytesIO()
    more = {"subsampling": subsampling} if len(planes) == 3 else {}
    Image.fromarray(np.ascontiguousarray(picture)).save(file, "JPEG", quality=quality, **more)
    decoded = np.asarray(Image.open(file))
    return decoded.transpose(2, 0, 1) if len(planes) == 3 else decoded[None]


def cast(gain: float, widths: tuple[int, ...]) -> PixelDefect:
    """Gains from 1 + `gain` for a modality's first channel to 1 - `gain` for its last, clipped to
    the range; a modality of one channel becomes brighter by 1 + `gain`.

    Args:
        gain: above 0, below 1.
        widths: channels of every modality.
    """
    gains = torch.cat([torch.linspace(1 + gain, 1 - gain, width) for width in widths])

    def damage(images: Images, numbers: Numbers) -> Images:
        _check_widths(widths, images)
        return _integers(images.to(torch.float32) * gains[:, None, None], images.dtype)

    amount = f"{100 * gain:g} %"
    if max(widths) == 1:
        return PixelDefect("brightness", gain, amount, f"{amount} brighter", damage)
    about = f"first channel {amount} brighter, last {amount} darker"
    return PixelDefect("colour cast", gain, amount, about, damage)


def drop(labels: Int64[Tensor, " n"], label: int, name: str, share: float) -> SelectionDefect:
    """Images of one class are missing.

    Args:
        labels: class of every image.
        label: the class.
        name: of the class.
        share: of its images that are missing, 0 ... 1; which ones is random.
    """
    amount = {0.5: "half", 1.0: "all"}.get(share, f"{100 * share:g} %")

    def select(numbers: Tensor, streams: Streams) -> Tensor:
        places = (labels[numbers] == label).nonzero()[:, 0]
        order = streams.permutation(f"defects/drop/{label}", 0, len(places))
        kept = torch.ones(len(numbers), dtype=torch.bool)
        kept[places[order[: int(share * len(places))]]] = False
        return numbers[kept]

    about = f"{amount} of class {name} missing"
    return SelectionDefect(f"class {name} missing", share, amount, about, select)


def repeat(distinct: int) -> SelectionDefect:
    """Only `distinct` different images, each repeated until there are as many as before; fewer is
    stronger damage. A set that has no more than that stays as it is.
    """

    def select(numbers: Tensor, streams: Streams) -> Tensor:
        if distinct >= len(numbers):
            return numbers
        chosen = numbers[streams.permutation("defects/repeat", 0, len(numbers))[:distinct]]
        return chosen[torch.arange(len(numbers)) % distinct]

    about = f"{distinct} {'image' if distinct == 1 else 'distinct images'} repeated"
    return SelectionDefect("few images repeated", distinct, f"{distinct} distinct", about, select)


def narrow(name: str, values: Float[Tensor, " n"], lost: float) -> SelectionDefect:
    """The images with the largest values of a factor are missing.

    Args:
        name: of the factor, such as age.
        values: of every image; NaN where unknown, and such images stay.
        lost: share of the known values that is lost, 0 ... 1.
    """
    # not torch.quantile, which refuses more than 16 million values
    border = float(np.nanquantile(values.numpy(), 1 - lost))

    def select(numbers: Tensor, streams: Streams) -> Tensor:
        return numbers[~(values[numbers] > border)]

    amount = f"upper {100 * lost:g} %"
    about = f"images of the {amount} of {name} missing"
    return SelectionDefect(f"high {name} missing", lost, amount, about, select)


def pixel_defects(widths: tuple[int, ...], bits: int, *, seed: int = 0) -> tuple[PixelDefect, ...]:
    """Blur, noise, JPEG and colour cast, each from weak to strong.

    JPEG stands there for 16 bits too, and refuses.

    Args:
        widths: channels of every modality.
        bits: 8 or 16.
        seed: of the noise.
    """
    unit = 1 if bits == 8 else 257
    return (
        *(blur(sigma) for sigma in SIGMAS),
        *(noise(unit * deviation, seed) for deviation in NOISES),
        *(jpeg(quality, widths) for quality in QUALITIES),
        *(cast(gain, widths) for gain in GAINS),
    )


def selection_defects(
    size: int,
    labels: Int64[Tensor, " n"],
    classes: Sequence[str],
    factors: Mapping[str, Float32[Tensor, " n"]],
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
        found += [drop(labels, label, classes[label], share) for share in (0.5, 1.0)]
    for name, values in factors.items():
        found += [narrow(name, values, lost) for lost in LOSSES]
    distinct = [size >> shift for shift in range(1, MAX_REPEATS + 1)]
    return (*found, *(repeat(count) for count in distinct if count > 0))


def droppable(labels: Int64[Tensor, " n"], classes: Sequence[str]) -> list[int]:
    """The classes that are dropped, in their order; see `selection_defects`."""
    counts = torch.bincount(labels[labels >= 0], minlength=len(classes)).tolist()
    there = [label for label, count in enumerate(counts) if count > 0]
    if len(there) == 1 and counts[there[0]] == len(labels):
        return []
    return sorted(sorted(there, key=lambda label: counts[label])[:MAX_CLASSES])


def _integers(x: Float32[Tensor, "..."], dtype: torch.dtype) -> UInt[Tensor, "..."]:
    return x.round().clamp(0, torch.iinfo(dtype).max).to(dtype)


def _check_widths(widths: tuple[int, ...], images: Images) -> None:
    if sum(widths) != images.shape[1]:
        raise UserError(
            f"modalities of {', '.join(map(str, widths))} channels, but images of "
            f"{images.shape[1]}: their sum must be the channels of the images"
        )
