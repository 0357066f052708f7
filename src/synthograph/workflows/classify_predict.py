"""Probabilities of classes for images whose class nobody said."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Int64
from torch import Tensor

from synthograph.archive.png import encode_png
from synthograph.core.contact_sheets import as_rgb
from synthograph.core.files import new_folder, placed, refuse_output, write_text
from synthograph.core.heat import predicted_picture
from synthograph.core.outputs import refuse_other_kinds
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.downstream import classifier
from synthograph.downstream.classifier import Classifier
from synthograph.downstream.saliency import last_maps, saliency
from synthograph.features.base import Extractor
from synthograph.report.words import several
from synthograph.stats.scores import decide
from synthograph.workflows.classifying import Predicted, extractor_of, predict
from synthograph.workflows.downstream_requests import ClassifyPredictRequest
from synthograph.workflows.predict_inputs import Inputs, open_inputs, place
from synthograph.workflows.tables import csv_text
from synthograph.workflows.trained import other_size_note, refuse_out

UNLIKE = "unlike the training images"


@dataclass(frozen=True, repr=False)
class ClassifyPredictResult(Result):
    """Predictions that were written.

    Attributes:
        out: the table.
        images: how many.
        unlike: how many are less like the training images than 99 % of those are.
        left_out: which files could not be read, in words.
        pictures: folder of pictures, if any were asked for.
    """

    out: Path
    images: int
    unlike: int
    left_out: str = ""
    pictures: Path | None = None

    def lines(self) -> Iterator[str]:
        """How many images, and how many are unlike the training images."""
        if self.left_out:
            yield f"warning: {self.left_out}"
        if self.unlike:
            yield (
                f"warning: {self.unlike} of {self.images} images are less like the training "
                "images than 99 % of those are (column 'unlike'): do not rely on their classes"
            )
        yield f"{self.out}: {several(self.images, 'image')}"
        if self.pictures is not None:
            yield f"{self.pictures}: {several(self.images, 'picture')}"


def run(request: ClassifyPredictRequest, *, progress: Progress) -> ClassifyPredictResult:
    """Predict images of an archive or a split of it, or image files.

    Raises:
        UserError: the images have other modalities than the classifier was trained on, a result
            exists, or the classifier does not tell where it looks.
    """
    refuse_out(request.out, ".csv")
    if request.pictures is not None:
        refuse_other_kinds(request.pictures, "--pictures")
        refuse_output(request.pictures, "--pictures")
    model = classifier.load(request.model)
    extractor = extractor_of(model, request.device)
    with open_inputs(request, model.info, progress) as inputs:
        for note in other_size_note(model.info, inputs.rows):
            progress.log(f"note: {note}")
        if request.pictures is not None:
            last_maps(extractor, next(inputs.rows.images.batches())[:1])  # refused now or never
        found = predict(model, extractor, inputs.rows.images, progress.track)
        decided = decide(found.probabilities, model.info.threshold)
        if request.pictures is not None:
            with new_folder(request.pictures) as folder:
                _draw(folder, model, extractor, inputs, found, decided, progress)
        table = _table(model.info.classes, inputs, found, decided)
    write_text(placed(request.out), table)
    return ClassifyPredictResult(
        request.out,
        len(decided),
        int((found.distances > 1).sum()),
        inputs.left_out_note(),
        request.pictures,
    )


def _table(
    classes: Sequence[str], inputs: Inputs, found: Predicted, decided: Int64[Tensor, " n"]
) -> str:
    columns = ["file", "group", "split", "label", "decided", *(f"p.{name}" for name in classes)]
    table = {}
    each = (found.probabilities.tolist(), decided.tolist(), found.distances.tolist())
    for row, p, one, distance in zip(inputs.rows.ordered, *each, strict=True):
        group = row.group if row.grouped or not inputs.files else inputs.name(row)
        table[row.file] = [
            *(inputs.name(row), group, row.split or "", row.label or "", classes[one]),
            *(f"{value:.9g}" for value in p),
            *(f"{distance:.4g}", "yes" if distance > 1 else ""),
        ]
    in_order = (table[row.file] for row in inputs.rows.rows)
    return csv_text([*columns, "distance", "unlike"], in_order)


def _draw(
    folder: Path,
    model: Classifier,
    extractor: Extractor,
    inputs: Inputs,
    found: Predicted,
    decided: Int64[Tensor, " n"],
    progress: Progress,
) -> None:
    """A picture per image: itself, what speaks for the decided class, and all probabilities."""
    images, classes, start = inputs.rows.images, model.info.classes, 0
    files = inputs.png_files()
    count = -(-images.count // images.batch)
    for batch in progress.track("pictures")(images.batches(), count):
        numbers = torch.arange(start, start + len(batch))
        for part in numbers.split(32):
            pixels = batch[part[0] - start : part[-1] - start + 1]
            heat = saliency(model, extractor, pixels, decided[part])
            for n, one, warmth in zip(part.tolist(), pixels, heat.numpy(), strict=True):
                modalities = model.info.spec.modalities.values()
                wide = warmth[None].repeat(len(modalities), 0).transpose(1, 0, 2)
                picture = predicted_picture(
                    as_rgb(one.numpy(), modalities),
                    wide.reshape(len(warmth), -1),
                    list(zip(classes, found.probabilities[n].tolist(), strict=True)),
                    chosen=classes[int(decided[n])],
                    remark=UNLIKE if float(found.distances[n]) > 1 else "",
                )
                place(folder, files[n], encode_png(picture))
        start += len(batch)
