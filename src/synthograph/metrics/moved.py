"""Whether one picture is in two sets as another cut of it: shifted, cropped, padded, resized, or
turned a little. `recoded` finds a picture that stays in its place.

What a shift keeps is the size of a picture's waves (Fourier), so the images with the most similar
spectra are candidates. Each of them is laid over the picture in all places, and counts as found
where the overlap correlates far more than that of any candidate of other groups.
"""

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch
from jaxtyping import Bool, Float32, Int64
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample, interpolate, pad

from synthograph.archive.batches import ImageSet
from synthograph.core.progress import Tracks, silent
from synthograph.metrics.columns import Column, rows_of
from synthograph.metrics.recoded import ALIKE, BLOCK, SIDE, Recoded, is_same, parts_of

ZOOMS = tuple(1.07**step for step in range(-4, 5))
"""How much larger or smaller a cut may show the picture."""
BAND = (1.5, 9.0)
"""Frequencies that are compared, in waves per image."""
FINE, COARSE = 0.9, 3.0
"""Standard deviations of Gaussians in pixels: detail below the first is grain, what is above the
second all images share."""
APART = 0.2
"""Most that a cut differs (1 - correlation), as a share of what the next image differs."""
CANDIDATES = 6
IMAGES = 4096
"""Images that are looked for at most; of more, some are."""
OVERLAP, POWER = 0.5, 0.3
"""Least share of the area, and of what each picture shows, that lies in an overlap."""


def moved(tested: ImageSet, known: ImageSet, *, folder: Path, tracks: Tracks = silent) -> Recoded:
    """Find other cuts of images among those of another set; arguments as for `recoded`."""
    column = Column("small picture", f"small picture 1 {SIDE}", SIDE * SIDE, lambda _: _small)
    looked, there = (
        rows_of(each, [column], folder=folder, track=tracks(f"small pictures of {each.name}"))[0]
        for each in (tested, known)
    )
    parts = parts_of(len(looked), len(there), "metrics/moved", IMAGES)
    same = is_same(tested, known)
    index = Index.of(there, known.groups)
    found: list[tuple[int, int]] = []
    for chosen in tracks(f"other cuts of {tested.name}")(parts, len(parts)):
        pictures = looked[chosen].view(-1, SIDE, SIDE)
        places, where = index.find(pictures, tested.groups[chosen] if same else None)
        found += zip(chosen[places].tolist(), where.tolist(), strict=True)
    return Recoded(found, sum(map(len, parts)))


@dataclass(frozen=True)
class Index:
    """The images in which others are looked for.

    Attributes:
        pictures: their outlines.
        spectra: of these, less their mean.
        mean: of all spectra: what all images share tells none apart.
        groups: number of each one's group.
    """

    pictures: Float32[Tensor, "m s s"]
    spectra: Float32[Tensor, "m f"]
    mean: Float32[Tensor, " f"]
    groups: Int64[Tensor, " m"]

    @classmethod
    def of(cls, there: Float32[Tensor, "m p"], groups: Int64[Tensor, " m"]) -> "Index":
        """Of small pictures, flat, and the number of each one's group."""
        pictures = torch.cat([_outlines(part.view(-1, SIDE, SIDE)) for part in there.split(BLOCK)])
        spectra = torch.cat([_spectra(part) for part in pictures.split(BLOCK)])
        mean = spectra.mean(0)
        return cls(pictures, _unit(spectra - mean), mean, groups)

    def find(
        self, pictures: Float32[Tensor, "n s s"], own: Int64[Tensor, " n"] | None
    ) -> tuple[Int64[Tensor, " k"], Int64[Tensor, " k"]]:
        """Places of the pictures that were found, and of the images that they are cuts of.

        Args:
            pictures: what is looked for.
            own: their groups, where these are left out.
        """
        variants = torch.stack([_outlines(each) for each in _variants(pictures)])
        alike = torch.full((len(pictures), len(self.pictures)), -2.0)
        kind = torch.zeros(alike.shape, dtype=torch.int64)
        for number, outlines in enumerate(variants):
            now = _unit(_spectra(outlines) - self.mean) @ self.spectra.T
            kind[now > alike] = number
            torch.maximum(alike, now, out=alike)
        if own is not None:
            alike[own[:, None] == self.groups[None]] = -3
        near = alike.topk(min(CANDIDATES, alike.shape[1])).indices
        rows = torch.arange(len(pictures))
        found = [
            _overlaid(variants[kind[rows, each], rows], self.pictures[each]) for each in near.T
        ]
        scores = torch.stack(found, 1).masked_fill(alike.gather(1, near) < -2, 0)
        best, place = scores.max(1)
        where = near[rows, place]
        rows = rows[best > ALIKE]
        if not len(rows):
            return rows, rows
        cuts = variants[kind[rows, where[rows]], rows]  # laid over the others as over the best
        found = [_overlaid(cuts, self.pictures[each]) for each in near[rows].T]
        others = torch.maximum(torch.stack(found, 1), scores[rows])
        of_best = self.groups[near[rows]] == self.groups[where[rows]][:, None]
        apart = 1 - others.masked_fill(of_best, 0).amax(1)
        rows = rows[1 - best[rows] < APART * apart]
        return rows, where[rows]


def _small(images: Tensor) -> Float32[Tensor, "n p"]:
    grey = images.to(torch.float32).mean(1, keepdim=True)
    return interpolate(grey, (SIDE, SIDE), mode="area").flatten(1)


def _variants(pictures: Float32[Tensor, "n s s"]) -> Float32[Tensor, "v n s s"]:
    """Larger and smaller, and turned or mirrored; half a turn more has the same spectrum."""
    found = []
    for zoom in ZOOMS:
        matrix = torch.tensor([[1 / zoom, 0.0, 0.0], [0.0, 1 / zoom, 0.0]])
        shape = (len(pictures), 1, SIDE, SIDE)
        grid = affine_grid(matrix.expand(len(pictures), 2, 3), list(shape), align_corners=False)
        zoomed = grid_sample(
            pictures[:, None].float(), grid, padding_mode="border", align_corners=False
        )[:, 0]
        found += [each for one in (zoomed, zoomed.mT) for each in (one, one.flip(1))]
    return torch.stack(found)


def _outlines(pictures: Float32[Tensor, "n s s"]) -> Float32[Tensor, "n s s"]:
    """Without grain and without what all images share; sum of squares 1, or 0 of a plain one."""
    sharp, coarse = (_blurred(pictures, sigma) for sigma in (FINE, COARSE))
    return _unit((sharp - coarse).flatten(1)).view_as(pictures)


def _blurred(pictures: Float32[Tensor, "n s s"], sigma: float) -> Float32[Tensor, "n s s"]:
    reach = round(2 * sigma) + 1
    weights = torch.exp(-0.5 * (torch.arange(-reach, reach + 1) / sigma) ** 2)
    weights = weights / weights.sum()
    padded = pad(pictures[:, None].float(), (reach,) * 4, mode="reflect")
    rows = torch.nn.functional.conv2d(padded, weights[None, None, :, None])
    return torch.nn.functional.conv2d(rows, weights[None, None, None, :])[:, 0]


def _spectra(outlines: Float32[Tensor, "n s s"]) -> Float32[Tensor, "n f"]:
    """Roots of the amplitudes of the compared frequencies; the border fades, so that a shift keeps
    them.
    """
    window = torch.hann_window(SIDE + 2, periodic=False)[1:-1]
    waves = torch.fft.rfft2(outlines * window[:, None] * window).abs()
    return _unit(waves[:, _band()].sqrt())


@cache
def _band() -> Bool[Tensor, "s h"]:
    across, along = torch.fft.fftfreq(SIDE) * SIDE, torch.fft.rfftfreq(SIDE) * SIDE
    radius = torch.hypot(across[:, None], along[None])
    return (radius >= BAND[0]) & (radius < BAND[1])


def _unit(rows: Float32[Tensor, "n f"]) -> Float32[Tensor, "n f"]:
    size = rows.norm(dim=1, keepdim=True)
    return torch.where(size > 1e-6, rows / size.clamp(min=1e-6), torch.zeros_like(rows))


def _overlaid(
    one: Float32[Tensor, "n s s"], other: Float32[Tensor, "n s s"]
) -> Float32[Tensor, " n"]:
    """Largest correlation over all places of one picture on another, and of its half turn; a
    negative counts as its print.
    """
    upright, turned = (_correlations(each, other) for each in (one, one.flip(1, 2)))
    return torch.maximum(upright, turned)


def _correlations(
    one: Float32[Tensor, "n s s"], other: Float32[Tensor, "n s s"]
) -> Float32[Tensor, " n"]:
    """By Fourier transforms of twice the side, so that nothing wraps around."""
    size = (2 * SIDE, 2 * SIDE)
    whole = torch.fft.rfft2(torch.ones(SIDE, SIDE), size)
    parts = [torch.fft.rfft2(each, size) for each in (one, other, one.square(), other.square())]
    both = parts[0] * parts[1].conj(), parts[2] * whole.conj(), whole * parts[3].conj()
    product, first, second = (torch.fft.irfft2(each, size) for each in both)
    area = torch.fft.irfft2(whole * whole.conj(), size)
    fits = (area > OVERLAP * SIDE * SIDE) & (first > POWER) & (second > POWER)
    found = product.abs() / (first * second).clamp(min=POWER * POWER).sqrt()
    return torch.where(fits, found, torch.zeros_like(found)).flatten(1).amax(1)
