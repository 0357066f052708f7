"""Inception score: how sure a classifier is of every image, and how evenly it uses its classes.

Source: Salimans et al. 2016, "Improved techniques for training GANs", section 4:
exp(E KL(p(y|x) || p(y))). It knows nothing of real images, so it never decides anything here.
"""

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from synthograph.core.errors import UserError
from synthograph.metrics.measure import Measure, Source
from synthograph.results.evaluation import Value
from synthograph.stats.intervals import Plan, interval, plan
from synthograph.stats.sample import CHUNK, Sample

# n image, c class, k split, g block, e evaluation

SPLITS = 10
TOLERANCE = 1e-3


def inception_score(
    probabilities: Float[Tensor, "n c"], *, splits: int = SPLITS, seed: int = 0
) -> tuple[Value, float]:
    """The inception score of synthetic images.

    Args:
        probabilities: class probabilities of every image, in the order in which they were made.
        splits: consecutive parts of the set whose scores are averaged.
        seed: which images share a block.

    Returns:
        The mean over the splits, 1 to the number of classes, with an interval for its expectation
        at this number of images; and the standard deviation over the splits.

    Raises:
        UserError: rows that are no probabilities.
    """
    _check(probabilities)
    count = len(probabilities)
    if count < splits:
        reason = f"{count} synthetic images, at least {splits} are needed"
        return Value(name="inception_score", value=None, n_fake=count, notes=(reason,)), 0.0
    cut = plan(torch.arange(count), pairs=0, seed=seed)
    scores = split_scores(probabilities, cut, splits)
    mean = scores.mean(1)
    value = Value(
        name="inception_score",
        value=float(mean[0]),
        interval=interval(mean, cut, low=1.0),
        n_fake=count,
        notes=() if cut.reason is None else (cut.reason,),
    )
    return value, float(scores[0].std(correction=0))


def split_scores(
    probabilities: Float[Tensor, "n c"], cut: Plan, splits: int
) -> Float64[Tensor, "e k"]:
    """Score of every split, for every evaluation of a plan."""
    count, classes = probabilities.shape
    split = (torch.arange(count) * splits + splits - 1) // count  # split i starts at i n // splits
    cell = split.clamp(max=splits - 1) * cut.count + cut.blocks[0]
    cells = splits * cut.count
    sums = torch.zeros(cells, classes, dtype=torch.float64)
    terms = torch.zeros(cells, dtype=torch.float64)
    for start in range(0, count, CHUNK):
        rows = slice(start, start + CHUNK)
        chunk = probabilities[rows].to(torch.float64)
        sums.index_add_(0, cell[rows], chunk)
        terms.index_add_(0, cell[rows], torch.xlogy(chunk, chunk).sum(1))
    images = torch.bincount(cell, minlength=cells).to(torch.float64)
    keep = cut.kept.to(torch.float64)
    total = torch.einsum("eg,kgc->ekc", keep, sums.reshape(splits, cut.count, -1))
    term = keep @ terms.reshape(splits, cut.count).T
    number = (keep @ images.reshape(splits, cut.count).T).clamp(min=1)
    # exp(mean of p log p - entropy term of the mean), from sums per split and block
    mean = total / number[:, :, None]
    divergence = term / number - torch.xlogy(mean, mean).sum(2)
    return divergence.clamp(min=0).exp()


def _check(probabilities: Float[Tensor, "n c"]) -> None:
    for start in range(0, len(probabilities), CHUNK):
        chunk = probabilities[start : start + CHUNK].to(torch.float64)
        good = chunk.isfinite().all(1) & (chunk >= 0).all(1)
        good &= (chunk.sum(1) - 1).abs() < TOLERANCE
        if not bool(good.all()):
            row = start + int((~good).nonzero()[0, 0])
            raise UserError(
                f"synthetic image {row}: its class probabilities must be at least 0 and sum to 1; "
                "give probabilities (after the softmax), not logits"
            )


def _estimate(real: Sample, fake: Sample, seed: int) -> dict[str, Value]:
    """The score of synthetic images; real images are not used."""
    found, deviation = inception_score(fake.values, seed=seed)
    notes = ["made for photographs of 1,000 things: it tells little of medical images"]
    if found.value is not None:
        notes.append(f"standard deviation over splits {deviation:.3g}")
    return {"inception_score": found.noted(*notes)}


INCEPTION_SCORE = Measure("inception_score", Source.PROBABILITIES, _estimate)
