"""What training, evaluating and using a classifier have in common."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from synthograph.archive.batches import ArchiveRows, ImageSet, group_numbers
from synthograph.archive.reader import Archive
from synthograph.core.devices import pick_device
from synthograph.core.errors import UserError
from synthograph.core.progress import Tracks, silent
from synthograph.core.untrusted.documents import JsonObject
from synthograph.downstream import probe
from synthograph.downstream.classifier import Classifier, NetworkInfo, trained_extractor
from synthograph.downstream.mixing import DUPLICATE_OF
from synthograph.downstream.networks import LITES, ImageFeatures
from synthograph.downstream.probe import LogisticProbe
from synthograph.features import registry
from synthograph.features.base import Extractor
from synthograph.features.packaged import default_extractor
from synthograph.features.registry import feature_folder
from synthograph.metrics.columns import features_of
from synthograph.results.environment import Environment
from synthograph.stats import scores
from synthograph.stats.scores import Predictions, Threshold, best_threshold

SELECTING = {score.name: score for score in scores.SCORES}
"""Scores that can choose, by name."""


@dataclass(frozen=True)
class Predicted:
    """What a classifier says of images, in the order of their set.

    Attributes:
        probabilities: of every class.
        distances: from the training images; 1 is where 99 % of those end.
    """

    probabilities: Float64[Tensor, "n k"]
    distances: Float64[Tensor, " n"]


def refuse_single_class(archive: Archive) -> None:
    """Refuse images that a classifier has nothing to tell apart in.

    Raises:
        UserError: they are of fewer than two classes.
    """
    if len(archive.info.classes) < 2:
        raise UserError(
            f"{archive.path}: has fewer than two classes, nothing can be told apart: prepare the "
            "images with --labels, or in one folder per class"
        )


def open_backbone(name: str | None, device: str) -> Extractor:
    """The extractor whose features are read; a backbone with its weights may be named, too.

    Raises:
        UserError: there is none of that name, or its weights are not on this machine.
    """
    wanted = name or default_extractor()
    return registry.extractor(LITES.get(wanted, wanted), device=device)


def extractor_of(model: Classifier, device: str) -> Extractor:
    """What gives the features of a classifier.

    Raises:
        UserError: its weights are not on this machine, or others are.
    """
    if model.network is not None:
        return trained_extractor(model.info.backbone, model.network, pick_device(device))
    found = open_backbone(model.info.backbone, device)
    if model.info.extractor.get("weights") != found.describe().get("weights"):
        raise UserError(
            f"the classifier reads features of {model.info.backbone} with other weights than are "
            "on this machine: install the version that it was trained with, or train it anew"
        )
    return found


def predict(
    model: Classifier, extractor: Extractor, images: ImageSet, tracks: Tracks = silent
) -> Predicted:
    """Probabilities and distances of images; labels are not needed."""
    if model.network is None:
        found = features_of(images, extractor, folder=feature_folder(), tracks=tracks).values
    else:
        found = own_features(images, extractor, tracks)
    return Predicted(model.probe.probabilities(found), model.probe.distances(found))


def own_features(
    images: ImageSet, extractor: Extractor, tracks: Tracks = silent
) -> Float[Tensor, "n d"]:
    """Features of a network that only this classifier has, so they are not kept in the cache."""
    count = -(-images.count // images.batch)
    shown = tracks(f"features of {images.name}")(images.batches(), count)
    return torch.cat([extractor(batch) for batch in shown])


def labels_of(images: ArchiveRows, classes: Sequence[str]) -> Int64[Tensor, " n"]:
    """Number of the class of every image, in the order of `images.images`."""
    return probe.class_numbers([row.label or "" for row in images.ordered], classes)


def real_shares(
    train: ArchiveRows, validation: ArchiveRows, classes: Sequence[str]
) -> Float64[Tensor, " k"]:
    """How frequent the classes are among real images; repeated ones count once."""
    rows = [row for part in (train, validation) for row in part.rows if row.real]
    real = [row.label or "" for row in rows if not row.columns.get(DUPLICATE_OF)]
    return probe.frequencies(probe.class_numbers(real, classes), len(classes))


def predictions_of(
    images: ArchiveRows,
    classes: Sequence[str],
    probabilities: Float64[Tensor, "n k"] | None = None,
    threshold: Threshold | None = None,
) -> Predictions:
    """Predictions of images that have labels, in the order of `images.images`.

    Args:
        images: what is predicted.
        classes: in the order of the probabilities.
        probabilities: even ones where nothing was predicted yet.
        threshold: what decides; the most probable class by default.
    """
    labels = labels_of(images, classes)
    if probabilities is None:
        probabilities = torch.full((len(labels), len(classes)), 1 / len(classes)).double()
    return Predictions(
        probabilities, labels, group_numbers(images.ordered), torch.zeros_like(labels), threshold
    )


@dataclass(frozen=True)
class Made:
    """A classifier that was fitted, before it has a file.

    Attributes:
        probe: features to probabilities.
        extractor: what gives the features.
        chosen: predictions of the validation images, with what decides.
        how: what the validation images chose, in words.
        tried: what was tried, for the header of the file.
        network: that gives the features, where the classifier has its own; `about` describes it.
        style: images whose style the training images were given.
        environments: where it was trained.
        settings: of a training without a network of its own.
    """

    probe: LogisticProbe
    extractor: Extractor
    chosen: Predictions
    how: str
    tried: Sequence[JsonObject]
    network: ImageFeatures | None = None
    about: NetworkInfo | None = None
    style: ArchiveRows | None = None
    environments: Sequence[Environment] = ()
    settings: JsonObject = field(default_factory=dict)

    @property
    def threshold(self) -> Threshold:
        """What decides."""
        found = self.chosen.threshold
        assert isinstance(found, float | tuple), "validation images chose one for all images"
        return found


def decided_on(made: LogisticProbe, features: Tensor, blank: Predictions) -> Predictions:
    """Predictions of the validation images with what decides: of two classes the best threshold; of
    more, what training says.

    Args:
        made: what was fitted.
        features: of the validation images.
        blank: those images.
    """
    found = replace(blank, probabilities=made.probabilities(features))
    threshold = best_threshold(found) if found.classes == 2 else made.shares
    return replace(found, threshold=threshold)
