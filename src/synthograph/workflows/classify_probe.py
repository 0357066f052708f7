"""A classifier on features of a network that stays as it is."""

from dataclasses import asdict, dataclass
from functools import cached_property

import torch

from synthograph.archive.batches import ArchiveRows
from synthograph.core.errors import UserError
from synthograph.core.progress import Progress
from synthograph.downstream import probe
from synthograph.downstream.watcher import Watcher
from synthograph.features.base import Extractor
from synthograph.features.registry import CLASSIFIER, feature_folder
from synthograph.metrics.columns import features_of
from synthograph.workflows.classifying import (
    SELECTING,
    Made,
    decided_on,
    labels_of,
    open_backbone,
    predictions_of,
    real_shares,
)
from synthograph.workflows.downstream_requests import FIT_FIELDS, ClassifyTrainRequest
from synthograph.workflows.environment import here
from synthograph.workflows.followed import Followed
from synthograph.workflows.transforming import stands_for_augmentation


@dataclass(frozen=True)
class ProbeJob:
    """Reads features once and fits a linear layer to them.

    Raises:
        UserError: the backbone is unknown or a file, its weights are not here, or settings are
            given that only a network of its own has.
    """

    request: ClassifyTrainRequest
    train: ArchiveRows
    validation: ArchiveRows

    def __post_init__(self) -> None:
        if self.request.weights is not None:
            raise UserError(
                "--weights with --probe: the extractors have weights of their own; leave one out"
            )
        named = self.request.backbone or ""
        if named.startswith(CLASSIFIER):
            raise UserError(
                f"--backbone {named} with --probe: a probe that is used later would not find this "
                "file again: name an extractor that evaluate --features has without a file, or "
                "train the network with the probe (such as --backbone resnet18 --weights "
                f"{named.removeprefix(CLASSIFIER)}, without --probe)"
            )
        if stands_for_augmentation(self.train.archive):
            raise UserError(
                f"{self.train.archive.path}: in this mixture augmentation stands for synthetic "
                "images, and a probe reads every image once, as it is: leave --probe out"
            )
        assert self.extractor, "what is not here is refused now"

    @cached_property
    def extractor(self) -> Extractor:
        """What gives the features."""
        return open_backbone(self.request.backbone, self.request.device)

    def notes(self) -> list[str]:
        """Which options have no effect."""
        others = {"side", "curves", "transforms", "invariant", "style", *Followed.model_fields}
        idle = sorted((FIT_FIELDS | others) - {"seed"})
        given = self.request.changed(idle)
        return [f"without effect on a probe, which takes no steps: {', '.join(given)}"] * bool(
            given
        )

    def estimate(self) -> list[str]:
        """Nothing worth telling: it takes seconds."""
        return []

    def clear(self) -> None:
        """It leaves nothing."""

    def make(self, progress: Progress, watcher: Watcher) -> Made:
        """Fit one probe for each penalty; validation images choose."""
        del watcher  # it takes no steps
        classes = self.train.archive.info.classes
        seen, checked = (
            features_of(
                part.images, self.extractor, folder=feature_folder(), tracks=progress.track
            ).values
            for part in (self.train, self.validation)
        )
        labels = labels_of(self.train, classes)
        weights = torch.ones(len(labels), dtype=torch.float64)
        if self.request.balance != "none":  # a fit to all images at once draws none more often
            weights = probe.balanced_weights(labels, len(classes))
        blank, score = predictions_of(self.validation, classes), SELECTING[self.request.measure]
        shares = real_shares(self.train, self.validation, classes)
        made, tried, penalty = probe.fit(seen, labels, weights, blank, checked, shares, score)
        chosen = decided_on(made, checked, blank)
        how, lines = f"penalty {penalty:.3g}", [asdict(each) for each in tried]
        return Made(
            made,
            self.extractor,
            chosen,
            how,
            lines,
            environments=(here(self.request.device),),
            settings={"penalty": penalty, "balance": self.request.balance},
        )
