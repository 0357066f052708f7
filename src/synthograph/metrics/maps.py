"""Features of many images as points of a plane, for people to look at; no number comes from it.

By UMAP (McInnes et al. 2018) where the extra `umap` is installed, else by principal components.
"""

import importlib
import importlib.util
import warnings
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Float32, Float64
from torch import Tensor

from synthograph.core.seeds import Streams

# n image, d feature, r component

MIN_UMAP = 20
"""Images from which UMAP is used."""
OVERSAMPLING, POWERS = 10, 6


@dataclass(frozen=True)
class FlatMap:
    """Points of a plane, by `umap` or `pca`; units mean nothing."""

    method: str
    about: str  # the method with its settings, for the reader
    points: Float32[Tensor, "n 2"]


def flat_map(values: Float[Tensor, "n d"], *, seed: int = 0) -> FlatMap:
    """A map of all images together, by the best method at hand."""
    if len(values) >= MIN_UMAP and _has_umap():
        return _umap(values, seed)
    points = principal(values, min(2, values.shape[1]), seed=seed)
    points = torch.nn.functional.pad(points, (0, 2 - points.shape[1]))
    return FlatMap("pca", "the first two principal components", points.to(torch.float32))


def principal(
    values: Float[Tensor, "n d"],
    count: int,
    *,
    learn: Bool[Tensor, " n"] | None = None,
    seed: int = 0,
) -> Float64[Tensor, "n r"]:
    """Coordinates of images along first principal components, largest variance first, by subspace
    iteration (Halko et al. 2011); signs so that the largest entry of each is positive.

    Args:
        values: features.
        count: of components, at most as many as there are features.
        learn: images whose components they are; all by default.
        seed: of the start; it hardly matters.
    """
    every = values.to(torch.float64)
    learnt = every if learn is None else every[learn]
    mean = learnt.mean(0)
    centred = learnt - mean
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
    return (every - mean) @ (basis * torch.where(largest < 0, -1.0, 1.0))


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
