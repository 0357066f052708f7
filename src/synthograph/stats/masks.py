"""Scores of predicted masks against true ones, with stated rules for empty cases.

Libraries skip or reward what is missed by default; here nothing is skipped silently:

- a class that is in neither mask of an image has no value there; such images are counted apart;
- a class that is in one of them only has Dice and IoU 0, and the image's diagonal as Hausdorff
  distance;
- pixels whose true id is `IGNORED` count for no class.

Class 0 is the background: it is in no mean.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64, UInt8
from scipy.ndimage import binary_erosion, distance_transform_edt
from torch import Tensor

from synthograph.core.errors import UserError
from synthograph.core.names import nearest
from synthograph.stats.outcomes import Score

# n image, k class, e weighting, h height, w width

IGNORED = 255
"""Id of pixels of which nobody says what they are; as a mask value, unless a class has it."""
MEASURES, OF = ("dice", "iou"), ":"
"""What may choose; of one class as `dice:NAME`."""
SHARE = 95
"""Percentage of the border that the Hausdorff distance is about."""
EMPTY_RULE = (
    "Dice and IoU of a class are 0 in an image where only the truth or only the prediction has it; "
    "where neither has it, they have no value and the image is counted apart"
)
MISS_RULE = (
    "the 95 % Hausdorff distance, in pixels, is the image's diagonal where only one of the two has "
    "the class"
)


@dataclass(frozen=True)
class Overlaps:
    """What masks have in common, by image and class.

    Attributes:
        hits: pixels of the class in both masks; `truth` and `predicted` are those in one.
        distance: 95 % Hausdorff distance in pixels; NaN where neither mask has the class.
        groups: patient of every image, any integers.
        folds: which training predicted it.
        diagonal: of the images in pixels, the largest distance.
        seeds: Dice and IoU of each of several trainings whose pixels are averaged here.
    """

    hits: Float64[Tensor, "n k"]
    truth: Float64[Tensor, "n k"]
    predicted: Float64[Tensor, "n k"]
    distance: Float64[Tensor, "n k"]
    groups: Int64[Tensor, " n"]
    folds: Int64[Tensor, " n"]
    diagonal: float
    seeds: Float64[Tensor, "n k s two"] | None = None

    def __len__(self) -> int:
        return len(self.groups)

    @property
    def dice(self) -> Float64[Tensor, "n k"]:
        """Twice the hits by the pixels of both masks, 0..1, NaN where there are none. Source: Dice
        1945.
        """
        return 2 * self.hits / (self.truth + self.predicted)

    @property
    def iou(self) -> Float64[Tensor, "n k"]:
        """Hits by the pixels in any of the two masks, 0..1, NaN where there are none. Source:
        Jaccard 1901.
        """
        return self.hits / (self.truth + self.predicted - self.hits)

    @property
    def occurring(self) -> list[int]:
        """Classes other than the background that are in any mask."""
        pixels = (self.truth + self.predicted).sum(0)
        return [k for k in range(1, len(pixels)) if pixels[k] > 0]

    def fewest_groups(self, classes: Sequence[int] | None = None) -> int:
        """Groups with true pixels of the class that fewest groups have; classes without any count
        for nothing, whatever was predicted.
        """
        among = range(1, self.truth.shape[1]) if classes is None else classes
        there = [len(self.groups[self.truth[:, k] > 0].unique()) for k in among]
        return min((count for count in there if count), default=0)

    def about(self, classes: Sequence[int] | None) -> Bool[Tensor, " n"]:
        """On all: where a class is not, it may be found by mistake."""
        return torch.ones(len(self), dtype=torch.bool)

    def subset(self, rows: Int64[Tensor, " m"] | Bool[Tensor, " n"]) -> "Overlaps":
        """The images at `rows`."""
        return Overlaps(
            self.hits[rows],
            self.truth[rows],
            self.predicted[rows],
            self.distance[rows],
            self.groups[rows],
            self.folds[rows],
            self.diagonal,
            None if self.seeds is None else self.seeds[rows],
        )

    def by_group(self) -> "Overlaps":
        """The same with the pixels of all images of a group together, as those of a volume; its
        distance is the mean of those that have a value.
        """
        assert self.seeds is None, "mean pixels of several trainings are those of no mask"
        keys = torch.stack((self.groups, self.folds), dim=1)
        found, inverse = keys.unique(dim=0, return_inverse=True)

        def summed(values: Float64[Tensor, "n k"]) -> Float64[Tensor, "g k"]:
            zeros = torch.zeros(len(found), values.shape[1], dtype=torch.float64)
            return zeros.index_add_(0, inverse, values)

        there = self.distance.isfinite()
        return Overlaps(
            summed(self.hits),
            summed(self.truth),
            summed(self.predicted),
            summed(self.distance.nan_to_num()) / summed(there.double()),
            found[:, 0],
            found[:, 1],
            self.diagonal,
        )

    def same_images(self, other: "Overlaps") -> bool:
        """Whether the other ones are of the same images in the same order and folds."""
        names = ("truth", "groups", "folds")
        return all(torch.equal(getattr(self, name), getattr(other, name)) for name in names)

    def mixed(self, other: "Overlaps", rows: Bool[Tensor, " n"]) -> "Overlaps":
        """The same, with the predictions of the other segmenter at `rows`."""
        inside = rows[:, None]
        return replace(
            self,
            hits=torch.where(inside, other.hits, self.hits),
            predicted=torch.where(inside, other.predicted, self.predicted),
            distance=torch.where(inside, other.distance, self.distance),
            seeds=torch.where(rows[:, None, None, None], other.each_seed, self.each_seed),
        )

    @property
    def each_seed(self) -> Float64[Tensor, "n k s two"]:
        """Dice and IoU of every training."""
        if self.seeds is not None:
            return self.seeds
        return torch.stack([self.dice, self.iou], dim=2)[:, :, None]


MaskScore = Score[Overlaps]
"""A score of predicted masks."""


def averaged(seeds: Sequence[Overlaps]) -> Overlaps:
    """The mean of several trainings on the same images, which differ by their seed only: of pixels,
    and of the distances that have a value. Means of Dice and IoU over images are means over the
    trainings, too: those of mean pixels would be lower where one training sees what is not there.
    """
    first = seeds[0]
    assert all(first.same_images(each) for each in seeds), "trainings predict the same images"
    return replace(
        first,
        hits=torch.stack([each.hits for each in seeds]).mean(0),
        predicted=torch.stack([each.predicted for each in seeds]).mean(0),
        distance=torch.stack([each.distance for each in seeds]).nanmean(0),
        seeds=torch.cat([each.each_seed for each in seeds], dim=2),
    )


def compare_masks(
    truth: UInt8[np.ndarray, "n h w"],
    predicted: UInt8[np.ndarray, "n h w"],
    classes: int,
    *,
    groups: Int64[Tensor, " n"],
    distances: bool = True,
) -> Overlaps:
    """Compare masks that one training predicted with true ones.

    Args:
        truth: class ids below `classes`, or `IGNORED`.
        predicted: class ids below `classes`.
        classes: number of classes, the background among them.
        groups: patient of every image.
        distances: whether to measure them; NaN otherwise.
    """
    pixels = np.zeros((3, len(truth), classes))
    distance = np.full((len(truth), classes), np.nan)
    for n, (true, said) in enumerate(zip(truth, predicted, strict=True)):
        known = true != IGNORED
        table = np.bincount(true[known].astype(np.int64) * classes + said[known], minlength=1)
        table = np.pad(table, (0, classes**2 - len(table))).reshape(classes, classes)
        pixels[:, n] = table.diagonal(), table.sum(1), table.sum(0)
        for k in range(1, classes) if distances else ():
            if pixels[1:, n, k].any():
                distance[n, k] = hausdorff((true == k) & known, (said == k) & known)
    hits, of_truth, of_predicted = torch.from_numpy(pixels)
    return Overlaps(
        hits,
        of_truth,
        of_predicted,
        torch.from_numpy(distance),
        groups,
        torch.zeros_like(groups),
        math.hypot(*truth.shape[1:]),
    )


def hausdorff(
    one: Bool[np.ndarray, "h w"], other: Bool[np.ndarray, "h w"], share: float = SHARE
) -> float:
    """Hausdorff distance between the borders of two areas, in pixels.

    Args:
        one: pixels of an area.
        other: pixels of the other area.
        share: percentage of each border that must be that near the other one; 100 is the classic
            distance.

    Returns:
        The larger of the two directions; the image's diagonal where one area is empty, NaN where
        both are. Source: Huttenlocher et al. 1993; the border pixels of an area are those with one
        of four neighbours outside of it, or outside of the image.
    """
    if not (one.any() or other.any()):
        return math.nan
    if not (one.any() and other.any()):
        return math.hypot(*one.shape)
    rows, columns = (np.flatnonzero((one | other).any(axis)) for axis in (1, 0))
    part = np.s_[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    borders = [area[part] & ~binary_erosion(area[part]) for area in (one, other)]
    directions = zip(borders, reversed(borders), strict=True)
    return max(float(np.percentile(distance_transform_edt(~b)[a], share)) for a, b in directions)


@dataclass(frozen=True)
class Cases:
    """In how many images a class is in which mask.

    Attributes:
        both: in the truth and in the prediction.
        missed: in the truth only.
        false_alarms: in the prediction only.
        neither: in none of them.
    """

    both: int
    missed: int
    false_alarms: int
    neither: int


def cases(overlaps: Overlaps, k: int) -> Cases:
    """In how many images class `k` is in which mask."""
    true, said = overlaps.truth[:, k] > 0, overlaps.predicted[:, k] > 0
    counts = (true & said, true & ~said, ~true & said, ~true & ~said)
    return Cases(*(int(each.sum()) for each in counts))


def mask_scores(classes: Sequence[int], diagonal: float) -> tuple[MaskScore, ...]:
    """All scores of one class, or the means over those that occur (`Overlaps.occurring`); the
    diagonal of the images in pixels is the largest distance.
    """
    return tuple(
        MaskScore(
            name,
            title,
            partial(_mean_over, compute, tuple(classes)),
            higher_is_better=name != DISTANCE,
            top=diagonal if name == DISTANCE else 1.0,
            share=False,
            classes=tuple(classes),
        )
        for name, (title, compute) in _SCORES.items()
    )


def mask_measure(text: str, classes: Sequence[str]) -> MaskScore:
    """A score that trainings and studies choose by: `dice` or `iou`, the mean over images and
    classes of which there are true pixels, or `dice:NAME` of one class. NaN where no class has any.

    Args:
        text: what was asked for.
        classes: names, the background first.

    Raises:
        UserError: there is no such score or class.
    """
    name, colon, of_class = text.partition(OF)
    if name not in MEASURES or (colon and of_class not in classes[1:]):
        of_one = (f"{each}{OF}{one}" for each in MEASURES for one in classes[1:])
        raise UserError(f"measure {text!r}: {nearest(text, [*MEASURES, *of_one])}")
    title, compute = _SCORES[name]
    numbers = (classes.index(of_class),) if colon else tuple(range(1, len(classes)))
    said = f"{title}, {of_class}" if colon else title
    found = partial(_mean_of_true, compute, numbers)
    return MaskScore(text, said, found, share=False, classes=numbers)


def _mean_of_true(
    compute: Callable[[int, Overlaps, Tensor], Tensor],
    classes: Sequence[int],
    overlaps: Overlaps,
    weights: Float64[Tensor, "e n"],
) -> Float64[Tensor, " e"]:
    there = overlaps.truth.sum(0) > 0
    found = tuple(k for k in classes if there[k])
    if not found:
        return torch.full((len(weights),), math.nan, dtype=torch.float64)
    return _mean_over(compute, found, overlaps, weights)


def _mean_over(
    compute: Callable[[int, Overlaps, Tensor], Tensor],
    classes: tuple[int, ...],
    overlaps: Overlaps,
    weights: Float64[Tensor, "e n"],
) -> Float64[Tensor, " e"]:
    return torch.stack([compute(k, overlaps, weights) for k in classes]).mean(0)


def _weighted(
    values: Float64[Tensor, " n"], there: Bool[Tensor, " n"], weights: Float64[Tensor, "e n"]
) -> Float64[Tensor, " e"]:
    """Mean over some images."""
    return (weights[:, there] @ values[there]) / weights[:, there].sum(1)


def _over_images(place: int, k: int, overlaps: Overlaps, weights: Tensor) -> Tensor:
    """Mean over the images that have a value, of every training, and over those."""
    values = overlaps.each_seed[:, k, :, place]
    there = values.isfinite().double()
    return ((weights @ values.nan_to_num()) / (weights @ there)).nanmean(1)


def _mean_distance(k: int, overlaps: Overlaps, weights: Tensor) -> Tensor:
    return _weighted(overlaps.distance[:, k], overlaps.distance[:, k].isfinite(), weights)


def _dice_present(k: int, overlaps: Overlaps, weights: Tensor) -> Tensor:
    return _weighted(overlaps.dice[:, k], overlaps.truth[:, k] > 0, weights)


def _pixels(k: int, overlaps: Overlaps, weights: Tensor) -> tuple[Tensor, Tensor]:
    """Hits, and pixels of both masks, of all images together."""
    return weights @ overlaps.hits[:, k], weights @ (overlaps.truth + overlaps.predicted)[:, k]


def _dice_set(k: int, overlaps: Overlaps, weights: Tensor) -> Tensor:
    hits, both = _pixels(k, overlaps, weights)
    return 2 * hits / both


def _iou_set(k: int, overlaps: Overlaps, weights: Tensor) -> Tensor:
    hits, both = _pixels(k, overlaps, weights)
    return hits / (both - hits)


DISTANCE = "hausdorff95"
_SCORES: dict[str, tuple[str, Callable[[int, Overlaps, Tensor], Tensor]]] = {
    "dice": ("Dice, mean over images", partial(_over_images, 0)),
    "dice_present": ("Dice, mean over images that have the class", _dice_present),
    "dice_set": ("Dice of the set", _dice_set),
    "iou": ("IoU, mean over images", partial(_over_images, 1)),
    "iou_set": ("IoU of the set", _iou_set),
    DISTANCE: ("95 % Hausdorff distance, mean over images", _mean_distance),
}
TITLES = {name: title for name, (title, _) in _SCORES.items()}
"""Name of every score -> what people are shown."""
