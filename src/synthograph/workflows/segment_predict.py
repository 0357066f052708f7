"""Masks for images that have none."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Int64, UInt8

from synthograph.archive.png import encode_png
from synthograph.core.contact_sheets import contact_sheet
from synthograph.core.devices import pick_device
from synthograph.core.files import new_folder, refuse_output
from synthograph.core.outputs import refuse_other_kinds
from synthograph.core.overlays import legend
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.downstream import segmenter
from synthograph.downstream.segmenter import SegmenterInfo
from synthograph.report.words import several
from synthograph.workflows.downstream_requests import SegmentPredictRequest
from synthograph.workflows.predict_inputs import Inputs, open_inputs, place
from synthograph.workflows.segmenting import drawn_beside, predicted_masks
from synthograph.workflows.tables import csv_text

TABLE = "masks.csv"
HEADS = ("image", "prediction")


@dataclass(frozen=True, repr=False)
class SegmentPredictResult(Result):
    """Masks that were written.

    Attributes:
        out: their folder.
        images: how many.
        values: name of every class -> its mask value.
        shares: share of all pixels that each class got.
        left_out: which files could not be read, in words.
        pictures: folder of pictures, if any were asked for.
    """

    out: Path
    images: int
    values: Mapping[str, int]
    shares: Mapping[str, float]
    left_out: str = ""
    pictures: Path | None = None

    def lines(self) -> Iterator[str]:
        """How many masks, their values and classes."""
        if self.left_out:
            yield f"warning: {self.left_out}"
        said = ", ".join(
            f"{value} {name} ({self.shares[name]:.1%})" for name, value in self.values.items()
        )
        yield f"mask values: {said}"
        yield f"{self.out}: {several(self.images, 'mask')}, pixels by class in {TABLE}"
        if self.pictures is not None:
            yield f"{self.pictures}: {several(self.images, 'picture')}"


def run(request: SegmentPredictRequest, *, progress: Progress) -> SegmentPredictResult:
    """Predict images of an archive or a split of it, or image files.

    Raises:
        UserError: the images have other modalities than the segmenter was trained on, or a result
            exists.
    """
    for folder, flag in ((request.out, "--out"), (request.pictures, "--pictures")):
        if folder is not None:
            refuse_other_kinds(folder, flag)
            refuse_output(folder, flag)
    model = segmenter.load(request.model, pick_device(request.device))
    info = model.info
    with open_inputs(request, info, progress) as inputs:
        masks = predicted_masks(model, inputs.rows, progress.track("predicting")).numpy()
        with new_folder(request.out) as folder:
            counts = _write(folder, info, inputs, masks)
        if request.pictures is not None:
            colours, files = legend(info.classes), inputs.png_files()
            with new_folder(request.pictures) as folder:
                for n in progress.track("drawing")(range(len(masks)), len(masks)):
                    line = ("", drawn_beside(inputs.rows, n, [masks[n]]))
                    picture = contact_sheet([line], factor=1, heads=HEADS, legend=colours)
                    place(folder, files[n], picture)
    shares = counts.sum(0) / counts.sum()
    return SegmentPredictResult(
        request.out,
        len(masks),
        dict(zip(info.classes, info.values, strict=True)),
        dict(zip(info.classes, shares.tolist(), strict=True)),
        inputs.left_out_note(),
        request.pictures,
    )


def _write(
    folder: Path, info: SegmenterInfo, inputs: Inputs, masks: UInt8[np.ndarray, "n h w"]
) -> Int64[np.ndarray, "n k"]:
    """Write masks and their table; pixels of every image and class."""
    counts = np.stack([np.bincount(m.reshape(-1), minlength=len(info.classes)) for m in masks])
    values = np.array(info.values, np.uint8)
    table = {}
    each = (inputs.rows.ordered, inputs.png_files(), masks, counts.tolist())
    for row, file, mask, pixels in zip(*each, strict=True):
        place(folder, file, encode_png(values[mask][:, :, None]))
        table[row.file] = [inputs.name(row), row.group, row.split or "", file, *pixels]
    head = ["file", "group", "split", "mask", *(f"pixels.{name}" for name in info.classes)]
    in_order = (table[row.file] for row in inputs.rows.rows)
    (folder / TABLE).write_bytes(csv_text(head, in_order).encode("utf-8"))
    return counts
