"""Features of many images as points of a plane, for people to look at; no number comes from it.

- UMAP (McInnes et al. 2018) where the extra `umap` is installed;
- else t-SNE (van der Maaten and Hinton 2008) with exact gradients, started from the principal
  components (Kobak and Berens 2019), with the learning rate of Belkina et al. 2019;
- else, below `LEAST` images, principal components.
"""

import importlib
import importlib.util
import math
import warnings
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor

from synthograph.core.progress import Track
from synthograph.core.seeds import Streams

# n image, d feature, r component

LEAST = 20
MOST = 3000
"""Points of an exact t-SNE: its time grows with the square."""
DIMS = 50
OVERSAMPLING, POWERS = 10, 6
PERPLEXITY = 30.0
STEPS, EARLY, START = 500, 150, 1e-4
EXAGGERATION = 12.0


@dataclass(frozen=True)
class FlatMap:
    """Points of a plane.

    Attributes:
        method: `umap`, `t-sne` or `pca`.
        about: the method with its settings, for the reader.
        points: of every image; units mean nothing.
    """

    method: str
    about: str
    points: Float32[Tensor, "n 2"]


def flat_map(
    values: Float[Tensor, "n d"],
    *,
    seed: int = 0,
    track: Track = lambda items, total: items,
) -> FlatMap:
    """A map of all images together, by the best method at hand.

    Args:
        values: features; at most `MOST` images unless UMAP is installed.
        seed: of the method.
        track: shows progress of t-SNE, in steps.
    """
    count = len(values)
    if count >= LEAST and _has_umap():
        return _umap(values, seed)
    if LEAST <= count <= MOST:
        dims = min(DIMS, values.shape[1], count - 1)
        flat = principal(values, dims, seed=seed).to(torch.float32)
        perplexity = min(PERPLEXITY, (count - 1) / 3)
        about = f"t-SNE of {dims} principal components, perplexity {perplexity:g}, {STEPS} steps"
        points = tsne(flat, perplexity=perplexity, track=track)
        return FlatMap("t-sne", about, points)
    points = principal(values, min(2, values.shape[1]), seed=seed)
    points = torch.nn.functional.pad(points, (0, 2 - points.shape[1]))
    return FlatMap("pca", "the first two principal components", points.to(torch.float32))


@dataclass(frozen=True)
class Components:
    """Principal components.

    Attributes:
        mean: of the images.
        basis: directions, largest variance first; signs so that the largest entry of each is
            positive.
    """

    mean: Float64[Tensor, " d"]
    basis: Float64[Tensor, "d r"]

    def scores(self, values: Float[Tensor, "n d"]) -> Float64[Tensor, "n r"]:
        """Coordinates of images."""
        return (values.to(torch.float64) - self.mean) @ self.basis


def components(values: Float[Tensor, "n d"], count: int, *, seed: int = 0) -> Components:
    """The first principal components of images, by subspace iteration (Halko et al. 2011).

    Args:
        values: features.
        count: of components, at most as many as there are features.
        seed: of the start; it hardly matters.
    """
    mean = values.to(torch.float64).mean(0)
    centred = values.to(torch.float64) - mean
    features = values.shape[1]
    width = min(count + OVERSAMPLING, features)
    start = Streams(seed).normal("metrics/principal", torch.arange(features), (width,))
    basis = torch.linalg.qr(start.to(torch.float64)).Q
    for _ in range(POWERS):
        basis = torch.linalg.qr(centred.T @ (centred @ basis)).Q
    scores = centred @ basis
    turned = torch.linalg.eigh(scores.T @ scores).eigenvectors.flip(1)[:, :count]
    basis = basis @ turned
    largest = basis.gather(0, basis.abs().argmax(0, keepdim=True))
    return Components(mean, basis * torch.where(largest < 0, -1.0, 1.0))


def principal(values: Float[Tensor, "n d"], count: int, *, seed: int = 0) -> Float64[Tensor, "n r"]:
    """Coordinates of images along their own first principal components; see `components`."""
    return components(values, count, seed=seed).scores(values)


def tsne(
    values: Float32[Tensor, "n r"],
    *,
    perplexity: float = PERPLEXITY,
    track: Track = lambda items, total: items,
) -> Float32[Tensor, "n 2"]:
    """t-SNE with exact gradients; nothing in it is random.

    Args:
        values: principal components, the first with the largest variance.
        perplexity: about how many neighbours a point has; below the number of points.
        track: shows progress, in steps.
    """
    count = len(values)
    likely = _affinities(values, perplexity)
    points = values[:, :2] / values[:, 0].std().clamp(min=1e-12) * START
    if points.shape[1] < 2:
        points = torch.cat((points, points.flip(0)), dim=1)
    speed, rate = torch.zeros_like(points), max(count / EXAGGERATION / 4, 50.0)
    gain = torch.ones_like(points)
    for step in track(range(STEPS), STEPS):
        early = step < EARLY
        lengths = points.square().sum(1)
        near = torch.addmm(lengths[:, None] + lengths[None], points, points.T, alpha=-2)
        near = near.clamp_(min=0).add_(1).reciprocal_()
        near.fill_diagonal_(0)
        pull = (likely * (EXAGGERATION if early else 1.0)).sub_(near / near.sum()).mul_(near)
        slope = 4 * (pull.sum(1)[:, None] * points - pull @ points)
        gain = torch.where(slope * speed < 0, gain + 0.2, gain * 0.8).clamp(min=0.01)
        speed = (0.5 if early else 0.8) * speed - rate * gain * slope
        points = points + speed
        points = points - points.mean(0)
        if early and float(points.std()) < START:  # the pull shrinks a cloud without clusters
            points, speed = points * (START / points.std()), torch.zeros_like(speed)
    return points


def _affinities(values: Float32[Tensor, "n r"], perplexity: float) -> Float32[Tensor, "n n"]:
    """Joint probabilities of neighbours: every point has a Gaussian of its own width, found by
    bisection, whose entropy is the logarithm of the perplexity.
    """
    count = len(values)
    squared = torch.cdist(values.to(torch.float64), values.to(torch.float64)).square()
    squared.fill_diagonal_(torch.inf)
    squared = squared - squared.amin(1, keepdim=True)  # the nearest of all is at 0
    scale = squared.masked_fill(squared.isinf(), 0).mean(1, keepdim=True).clamp(min=1e-12)
    squared = squared / scale
    low, high = torch.full((count, 1), -20.0), torch.full((count, 1), 40.0)
    low, high = low.to(torch.float64), high.to(torch.float64)
    for _ in range(60):
        middle = (low + high) / 2
        weights = (-squared * middle.exp()).exp()
        total = weights.sum(1, keepdim=True)
        mean = (weights * squared.masked_fill(squared.isinf(), 0)).sum(1, keepdim=True) / total
        entropy = total.log() + middle.exp() * mean
        wide = entropy > math.log(perplexity)
        low, high = torch.where(wide, middle, low), torch.where(wide, high, middle)
    share = weights / total
    return ((share + share.T) / (2 * count)).clamp(min=1e-12).to(torch.float32)


def _has_umap() -> bool:
    """Whether the package is here; a folder that is called so has no origin."""
    found = importlib.util.find_spec("umap")
    return found is not None and found.origin is not None


def _umap(values: Float[Tensor, "n d"], seed: int) -> FlatMap:
    """UMAP with a fixed seed, in one thread."""
    neighbours = min(15, len(values) - 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it warns that a seed makes it slower
        umap = importlib.import_module("umap")
        model = umap.UMAP(n_neighbors=neighbours, min_dist=0.1, random_state=seed, n_jobs=1)
        points = model.fit_transform(values.to(torch.float32).numpy())
    about = f"UMAP {umap.__version__}, {neighbours} neighbours, min_dist 0.1, seed {seed}"
    return FlatMap("umap", about, torch.from_numpy(points).to(torch.float32))
