"""Rejecting copies during generation: which images are too like a training image to be kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from synthograph.archive.batches import ImageSet
from synthograph.core.progress import Tracks, silent
from synthograph.metrics.audit.calibration import AgreementScale
from synthograph.metrics.audit.copies import calibrate
from synthograph.metrics.audit.identical import digests
from synthograph.metrics.audit.search import Index
from synthograph.metrics.audit.sets import check_sets
from synthograph.results.audit import Threshold


@dataclass(frozen=True)
class CopyJudge:
    """Decides whether synthetic images count as copies at any level of `find_copies`, so that an
    audit by the same training images flags none of those that are kept.
    """

    index: Index
    scale: AgreementScale
    threshold: Threshold  # the loosest: 1 % of real images of other groups reach it
    known: frozenset[bytes]  # digests of the training images
    origin: dict[str, Any]  # of the training images

    def __call__(self, pixels: Sequence[np.ndarray]) -> list[bool]:
        """Whether each image [channels, h, w] is to be left out."""
        batch = torch.from_numpy(np.stack(pixels))
        scores, _ = self.scale.scores(self.index.search(batch))
        return [
            score >= self.threshold.score or digest in self.known
            for score, digest in zip(scores.tolist(), digests([batch]), strict=True)
        ]


def copy_judge(train: ImageSet, *, folder: Path, tracks: Tracks = silent) -> CopyJudge:
    """Set the threshold on training images, each against those of all other groups. The folder is
    for a nameless file of them.

    Raises:
        UserError: too few groups.
    """
    check_sets(train)
    index = Index(train, folder, tracks)
    known = calibrate(index, seed=0)
    same = frozenset(digests(train.batches()))
    origin = {"name": train.name, **train.origin}
    return CopyJudge(index, known.scale, known.thresholds[-1], same, origin)
