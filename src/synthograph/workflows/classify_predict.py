"""Probabilities of classes for images whose class nobody said."""

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from synthograph.archive.batches import open_rows
from synthograph.core.files import write_bytes
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.downstream import classifier
from synthograph.stats.scores import decide
from synthograph.workflows.classifying import extractor_of, predict
from synthograph.workflows.downstream_requests import ClassifyPredictRequest
from synthograph.workflows.trained import refuse_other_modalities, refuse_out


@dataclass(frozen=True, repr=False)
class ClassifyPredictResult(Result):
    """Predictions that were written.

    Attributes:
        out: the table.
        images: how many.
        unlike: how many are less like the training images than 99 % of those are.
    """

    out: Path
    images: int
    unlike: int

    def lines(self) -> Iterator[str]:
        """How many images, and how many are unlike the training images."""
        if self.unlike:
            yield (
                f"warning: {self.unlike} of {self.images} images are less like the training "
                "images than 99 % of those are (column 'unlike'): do not rely on their classes"
            )
        yield f"{self.out}: {self.images} images"


def run(request: ClassifyPredictRequest, *, progress: Progress) -> ClassifyPredictResult:
    """Predict images of an archive: all of them, or a split.

    Raises:
        UserError: the images have other modalities than the classifier was trained on.
    """
    refuse_out(request.out, ".csv")
    model = classifier.load(request.model)
    images = open_rows(request.data)
    refuse_other_modalities(model.info.spec, images, "classifier")
    found = predict(model, extractor_of(model, request.device), images.images, progress.track)
    probabilities, distances = found.probabilities, found.distances
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    classes = model.info.classes
    columns = ["file", "group", "split", "label", "decided", *(f"p.{name}" for name in classes)]
    writer.writerow([*columns, "distance", "unlike"])
    table = {}
    decided = decide(probabilities, model.info.threshold)
    found_of_each = (probabilities.tolist(), decided.tolist(), distances.tolist())
    for row, p, one, distance in zip(images.ordered, *found_of_each, strict=True):
        table[row.file] = [
            *(row.file, row.group, row.split or "", row.label or "", classes[one]),
            *(f"{each:.6g}" for each in p),
            *(f"{distance:.4g}", "yes" if distance > 1 else ""),
        ]
    writer.writerows(table[row.file] for row in images.rows)
    write_bytes(request.out, lines.getvalue().encode("utf-8"))
    return ClassifyPredictResult(request.out, len(table), int((distances > 1).sum()))
