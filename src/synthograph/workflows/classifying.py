"""What training, evaluating and using a classifier have in common."""

import torch
from jaxtyping import Float64
from torch import Tensor

from synthograph.archive.batches import ArchiveRows, group_numbers
from synthograph.downstream import probe
from synthograph.features import registry
from synthograph.features.base import Extractor
from synthograph.features.packaged import default_extractor
from synthograph.stats.scores import Predictions


def open_backbone(name: str | None, device: str) -> Extractor:
    """The network whose features are read.

    Raises:
        UserError: there is none of that name, or its weights are not on this machine.
    """
    return registry.extractor(name or default_extractor(), device=device)


def predictions_of(
    images: ArchiveRows,
    classes: list[str],
    probabilities: Float64[Tensor, "n k"] | None = None,
    threshold: float | None = None,
) -> Predictions:
    """Predictions of images that have labels, in the order of `images.images`.

    Args:
        images: what is predicted.
        classes: in the order of the probabilities.
        probabilities: even ones where nothing was predicted yet.
        threshold: with two classes, the probability of the second from which it is decided.
    """
    rows = images.ordered
    labels = probe.class_numbers([row.label or "" for row in rows], classes)
    if probabilities is None:
        probabilities = torch.full((len(rows), len(classes)), 1 / len(classes)).double()
    return Predictions(
        probabilities, labels, group_numbers(rows), torch.zeros_like(labels), threshold
    )
