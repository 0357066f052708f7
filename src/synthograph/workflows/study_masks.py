"""Masks for the synthetic images of a study: a mask generator per generator, which learns from real
training images of the fold alone.
"""

import math
from dataclasses import dataclass
from pathlib import Path

from synthograph.annotation import mask_generator
from synthograph.core.errors import UserError
from synthograph.core.progress import Progress
from synthograph.core.untrusted.documents import JsonObject
from synthograph.report.words import number, several
from synthograph.results.annotations import SET, AnnotationSet
from synthograph.workflows import annotate_from_real, annotate_generate, annotate_train
from synthograph.workflows.annotate_requests import (
    AnnotateFromRealRequest,
    AnnotateGenerateRequest,
    AnnotateTrainRequest,
)
from synthograph.workflows.study_settings import MaskSettings

ANNOTATIONS, MASKS = "annotations", "masks.safetensors"


@dataclass(frozen=True)
class MaskMaking:
    """The mask generator of one generator.

    Attributes:
        settings: how it learns.
        classes: of masks, as options name them.
        archive: of the fold.
        folder: of the generator, where all files go.
        device: where to compute.
    """

    settings: MaskSettings
    classes: tuple[str, ...]
    archive: Path
    folder: Path
    device: str

    def train(self, network: Path, progress: Progress) -> None:
        """Project, annotate, learn; what is there is not done again.

        Raises:
            UserError: no projection agrees with its image.
        """
        annotations, out = self.folder / ANNOTATIONS, self.folder / MASKS
        if not (annotations / SET).exists():
            asked: JsonObject = {
                **self.settings.model_dump(exclude={"preset", "keep"}),
                "network": network,
                "archive": f"{self.archive}:train",
                "outdir": annotations,
                "classes": self.classes,
                "device": self.device,
            }
            try:
                annotate_from_real.run(AnnotateFromRealRequest.parse(asked), progress=progress)
            except UserError as error:
                raise UserError(
                    f"{error}; in a study file these are generator.kimg and generator.masks"
                ) from None
        if not out.exists():
            learn: JsonObject = {
                "annotations": annotations,
                "network": network,
                "out": out,
                "preset": self.settings.preset,
                "device": self.device,
            }
            annotate_train.run(AnnotateTrainRequest.parse(learn), progress=progress)

    def generate(self, drawn: JsonObject, count: int, dest: Path, progress: Progress) -> None:
        """Write images with masks: so many are left once the least certain are withheld.

        Args:
            drawn: network, classes, truncation and device.
            count: images of every class.
            dest: archive to be written.
            progress: who listens.
        """
        keep = self.settings.keep
        asked = {"out": dest, "mask_generator": self.folder / MASKS, "keep": keep}
        count = math.ceil(count / keep)
        request = AnnotateGenerateRequest.parse({**drawn, **asked, "per_class": count})
        annotate_generate.run(request, progress=progress)

    def said(self) -> str:
        """What the mask generator learned from, and what to expect of it."""
        about = AnnotationSet.load(self.folder / ANNOTATIONS / SET)
        info = mask_generator.load(self.folder / MASKS).info
        moved = max((each.fit.pixels for each in about.images if each.fit), default=0)
        known = [each for each in info.forecasts[1:] if each.dice is not None]
        expected = ", ".join(f"{each.of_class} {number(each.dice)}" for each in known)
        return (
            f"masks from {several(len(about.painted), 'real image')} that agree within "
            f"{several(moved, 'pixel')}; expected Dice {expected or 'unknown'}"
        )
