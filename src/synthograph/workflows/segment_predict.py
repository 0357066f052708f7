"""Masks for images that have none."""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from synthograph.archive.batches import open_rows
from synthograph.archive.png import encode_png
from synthograph.core.devices import pick_device
from synthograph.core.files import new_folder, refuse_output
from synthograph.core.outputs import refuse_other_kinds
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.downstream import segmenter
from synthograph.workflows.downstream_requests import SegmentPredictRequest
from synthograph.workflows.segmenting import drawn_beside, predicted_masks
from synthograph.workflows.trained import refuse_other_modalities

TABLE = "masks.csv"


@dataclass(frozen=True, repr=False)
class SegmentPredictResult(Result):
    """Masks that were written.

    Attributes:
        out: their folder.
        images: how many.
        values: name of every class -> its mask value.
        shares: share of all pixels that each class got.
        pictures: folder of pictures, if any were asked for.
    """

    out: Path
    images: int
    values: Mapping[str, int]
    shares: Mapping[str, float]
    pictures: Path | None = None

    def lines(self) -> Iterator[str]:
        """How many masks, their values and classes."""
        said = ", ".join(
            f"{value} {name} ({self.shares[name]:.1%})" for name, value in self.values.items()
        )
        yield f"mask values: {said}"
        yield f"{self.out}: {self.images} masks, pixels by class in {TABLE}"
        if self.pictures is not None:
            yield f"{self.pictures}: {self.images} pictures"


def run(request: SegmentPredictRequest, *, progress: Progress) -> SegmentPredictResult:
    """Predict images of an archive: all of them, or a split.

    Raises:
        UserError: the images have other modalities than the segmenter was trained on, or a result
            exists.
    """
    for folder, flag in ((request.out, "--out"), (request.pictures, "--pictures")):
        if folder is not None:
            refuse_other_kinds(folder, flag)
            refuse_output(folder, flag)
    model = segmenter.load(request.model, pick_device(request.device))
    rows, info = open_rows(request.data), model.info
    refuse_other_modalities(info.spec, rows, "segmenter")
    masks = predicted_masks(model, rows, progress.track("predicting")).numpy()
    counts = np.stack([np.bincount(m.reshape(-1), minlength=len(info.classes)) for m in masks])
    values = np.array(info.values, np.uint8)
    lines = io.StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(["file", "group", "split", *(f"pixels.{name}" for name in info.classes)])
    with new_folder(request.out) as folder:
        table = {}
        for row, mask, pixels in zip(rows.ordered, masks, counts.tolist(), strict=True):
            _put(folder / row.file, encode_png(values[mask][:, :, None]))
            table[row.file] = [row.file, row.group, row.split or "", *pixels]
        writer.writerows(table[row.file] for row in rows.rows)
        _put(folder / TABLE, lines.getvalue().encode("utf-8"))
    if request.pictures is not None:
        with new_folder(request.pictures) as folder:
            numbers = range(len(masks))
            for n in progress.track("drawing")(numbers, len(numbers)):
                picture = np.concatenate(drawn_beside(rows, n, [masks[n]]), axis=1)
                _put(folder / rows.ordered[n].file, encode_png(picture))
    return SegmentPredictResult(
        request.out,
        len(masks),
        dict(zip(info.classes, info.values, strict=True)),
        dict(zip(info.classes, (counts.sum(0) / counts.sum()).tolist(), strict=True)),
        request.pictures,
    )


def _put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
