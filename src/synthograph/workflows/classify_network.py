"""A classifier whose network is trained with it."""

import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import cross_entropy

from synthograph.archive.batches import ArchiveRows
from synthograph.core.devices import pick_device
from synthograph.core.files import remove
from synthograph.core.progress import Progress
from synthograph.downstream import fitting, networks, orders, probe
from synthograph.downstream.classifier import NetworkInfo, trained_extractor
from synthograph.downstream.fit_time import fit_seconds
from synthograph.downstream.fitting import Batch, FitConfig, Fitted, Score, Task
from synthograph.downstream.networks import Backbone, ImageNetwork
from synthograph.downstream.start import begin, moments_of
from synthograph.downstream.watcher import Watcher
from synthograph.stats.scores import scores_of
from synthograph.training.loop import duration
from synthograph.workflows.classifying import (
    SELECTING,
    Made,
    decided_on,
    labels_of,
    own_features,
    predictions_of,
    real_shares,
)
from synthograph.workflows.downstream_requests import ClassifyTrainRequest
from synthograph.workflows.trained import estimated, unfinished
from synthograph.workflows.transforming import Transforming, transforming

RATE, GENTLE_RATE = 1e-3, 3e-4
"""Learning rates from random numbers, and from weights that see already."""


@dataclass(frozen=True)
class NetworkJob:
    """Trains a network; validation images choose when it was best.

    Raises:
        UserError: the backbone is unknown, a package or weights are not here, or do not fit.
    """

    request: ClassifyTrainRequest
    train: ArchiveRows
    validation: ArchiveRows

    def __post_init__(self) -> None:
        assert self.transforming and self.network, "what does not fit is refused now"

    @cached_property
    def backbone(self) -> Backbone:
        """The network by name."""
        return networks.backbone(self.request.backbone or networks.default_backbone())

    @cached_property
    def config(self) -> FitConfig:
        """How it is trained."""
        gentle = self.backbone.weights is not None or self.request.weights is not None
        rate = GENTLE_RATE if gentle else RATE
        return FitConfig.parse(self.request.fit_settings(images=len(self.train.rows), rate=rate))

    @cached_property
    def size(self) -> tuple[int, int]:
        """Height and width that the network sees."""
        return self.backbone.size(self.train.archive.info.spec, self.request.side)

    @property
    def state(self) -> Path:
        """Where a training that is not at its end is kept."""
        return unfinished(self.request.place("out"))

    def clear(self) -> None:
        """Remove the state."""
        remove(self.state)

    def notes(self) -> list[str]:
        """Where the weights come from, what the network sees, and how it is trained."""
        spec, config = self.train.archive.info.spec, self.config
        height, width = self.size
        found = [
            f"{self.backbone.name} {self.start}",
            f"at most {config.steps} steps of {config.batch} images, {config.optimiser} with "
            f"{config.schedule} rate {config.rate:g}",
        ]
        found += self.transforming.notes
        if (height, width) != (spec.height, spec.width):
            found.append(f"images of {spec.width}x{spec.height} are seen at {width}x{height}")
        return found

    @property
    def network(self) -> ImageNetwork:
        """What is trained."""
        return self._begun[0]

    @cached_property
    def _begun(self) -> tuple[ImageNetwork, str]:
        info = self.train.archive.info
        return begin(
            self.backbone,
            info.spec,
            len(info.classes),
            size=self.size,
            seed=self.config.seed,
            device=self.device,
            moments=lambda: moments_of(self.train.images),
            file=self.request.weights,
        )

    @cached_property
    def transforming(self) -> Transforming:
        """What is done to training images."""
        return transforming(self.request, self.train.archive)

    @cached_property
    def device(self) -> torch.device:
        """Where it is trained."""
        return pick_device(self.request.device)

    @cached_property
    def labels(self) -> Int64[Tensor, " n"]:
        """Class of every training image."""
        return labels_of(self.train, self.train.archive.info.classes)

    def loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Cross-entropy of one step's images, classes weighted if asked for."""
        images = self.train.gather(batch.numbers).to(self.device)
        images = self.transforming.apply(images, batch.indices)
        truth = self.labels[batch.numbers].to(self.device)
        return cross_entropy(self.network(images), truth, self._class_weights)

    @cached_property
    def _class_weights(self) -> Float[Tensor, " k"] | None:
        if self.request.balance != "weights":
            return None
        counts = self.labels.bincount(minlength=len(self.train.archive.info.classes))
        return (counts.sum() / (len(counts) * counts)).to(self.device)

    def task(self) -> Task:
        """What the loop trains."""
        seed, count = self.config.seed, len(self.labels)
        sampled = self.request.balance == "sampling"
        order = orders.balanced(self.labels, seed) if sampled else orders.shuffled(count, seed)
        classes = self.train.archive.info.classes
        labels = (self.labels.tolist(), labels_of(self.validation, classes).tolist(), classes)
        parts = (self.train.images.key, self.validation.images.key, *labels)
        network = (self.backbone.name, self.start, self.size)
        rules = (self.request.balance, self.request.measure, self.transforming.key)
        about = (*parts, *network, *rules)
        key = hashlib.sha256(json.dumps(about).encode()).hexdigest()
        return Task(self.network, self.loss, self.score, order, key)

    def score(self) -> Score:
        """The chosen score of the validation images, and their loss."""
        logits = torch.cat([self._logits(batch) for batch in self.validation.images.batches()])
        blank = predictions_of(self.validation, self.train.archive.info.classes)
        said = replace(blank, probabilities=logits.double().softmax(1))
        values = {each.name: each.value(said) for each in scores_of(said.classes)}
        score = SELECTING[self.request.measure]
        value = values[score.name]
        loss = float(cross_entropy(logits, blank.labels))
        return Score(value if score.higher_is_better else -value, loss, values)

    def _logits(self, images: Tensor) -> Float[Tensor, "n k"]:
        whole = self.validation.archive.info.spec.max_value
        parts = images.split(self.config.batch)
        return torch.cat([self.network(p.to(self.device).float() / whole).cpu() for p in parts])

    def seconds(self) -> float:
        """How long it takes at most, measured on a few steps."""
        return fit_seconds(
            self.task(),
            self.config,
            lambda count: self._logits(next(self.validation.images.batches())[:count]),
            checked=len(self.validation.rows),
            more=len(self.train.rows),
        )

    def estimate(self) -> list[str]:
        """How long it takes, in words."""
        return [estimated(self.config, self.seconds(), self.device)]

    def make(self, progress: Progress, watcher: Watcher) -> Made:
        """Train, and calibrate the probabilities on the validation images."""
        fitted = fitting.fit(
            self.task(),
            self.config,
            state=self.state,
            tracks=progress.track,
            log=progress.log,
            watcher=watcher,
        )
        network, head = self.network.features, self.network.head
        extractor = trained_extractor(self.backbone.name, network, self.device)
        seen, checked = (
            own_features(part.images, extractor, progress.track)
            for part in (self.train, self.validation)
        )
        classes = self.train.archive.info.classes
        blank = predictions_of(self.validation, classes)
        shares = real_shares(self.train, self.validation, classes)
        weight, bias = (tensor.detach().cpu() for tensor in (head.weight, head.bias))
        layer = probe.of_layer(weight, bias, seen, checked, blank.labels, shares)
        chosen = decided_on(layer, checked, blank)
        return Made(
            layer,
            extractor,
            chosen,
            f"step {fitted.best.step} of {fitted.steps} ({duration(fitted.seconds)}, "
            f"{fitted.precision})",
            [each.tree() for each in fitted.history],
            network,
            self._about(fitted),
            self.transforming.style,
            fitted.environments,
        )

    def _about(self, fitted: Fitted) -> NetworkInfo:
        height, width = self.size
        return NetworkInfo(
            height=height,
            width=width,
            start=self.start,
            settings={
                **fitted.settings,
                "balance": self.request.balance,
                "transforms": self.transforming.apply.describe(),
            },
            steps=fitted.steps,
            seconds=fitted.seconds,
        )

    @property
    def start(self) -> str:
        """Where its weights come from, in words."""
        return self._begun[1]
