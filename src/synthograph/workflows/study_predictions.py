"""From the tables of cells to the arms of a study: predictions out of fold, means over the seeds of
the classifier, one per draw of the generator.
"""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float64
from torch import Tensor

from synthograph.archive.batches import ArchiveRows
from synthograph.archive.manifest import Row
from synthograph.core.errors import UserError
from synthograph.core.files import disk_errors, write_bytes
from synthograph.core.untrusted.documents import parse_csv, read_text
from synthograph.downstream.probe import class_numbers
from synthograph.stats.scores import Predictions
from synthograph.workflows.study_cells import TEST, TESTED, Cell, CellRecord, TestRecord


@dataclass(frozen=True)
class Tested:
    """A cell that was trained and has predicted.

    Attributes:
        folder: where its tables are.
    """

    cell: Cell
    folder: Path
    trained: CellRecord
    tested: TestRecord

    def table(
        self, name: str, images: Sequence[Row], classes: Sequence[str]
    ) -> Float64[Tensor, "n k"]:
        """Probabilities of a set's images, in their order in the manifest.

        Raises:
            UserError: the table was changed.
        """
        path = self.folder / self.tested.tables[name]
        table = [cells for _, cells in parse_csv(read_text(path, "it is a table"), str(path))]
        try:
            places = [table[0].index(f"p.{each}") for each in classes]
            rows = [[float(cells[place]) for place in places] for cells in table[1:]]
            files = [cells[table[0].index("file")] for cells in table[1:]]
            if files != [row.file for row in images]:
                raise ValueError(f"{len(files)} rows, not those of its {len(images)} images")
        except (ValueError, IndexError) as error:
            raise UserError(
                f"{path}: was changed ({error}): remove {TESTED} beside it and run again"
            ) from None
        found = torch.tensor(rows, dtype=torch.float64).reshape(len(rows), len(places))
        return found / found.sum(1, keepdim=True)  # digits were cut


def out_of_fold(
    cells: Sequence[Tested], parts: Mapping[int, ArchiveRows], classes: Sequence[str]
) -> tuple[Predictions, list[Row]]:
    """Predictions of the test images of all folds, means over the seeds.

    Args:
        cells: of one arm and draw.
        parts: fold to its test images.
        classes: in the order of the probabilities.

    Returns:
        The predictions, and the row of every image.
    """
    rows = [row for part in parts.values() for row in part.rows]
    groups = {name: n for n, name in enumerate(sorted({row.group for row in rows}))}
    means, thresholds = [], list[Tensor]()
    for fold, part in parts.items():
        same = [each for each in cells if each.cell.fold == fold]
        mean, threshold = _mean(same, TEST, classes, part.rows)
        means.append(mean)
        if threshold is not None:
            thresholds.append(torch.full((len(part.rows),), threshold, dtype=torch.float64))
    return Predictions(
        torch.cat(means),
        class_numbers([row.label or "" for row in rows], classes),
        torch.tensor([groups[row.group] for row in rows]),
        torch.cat([torch.full((len(part.rows),), fold) for fold, part in parts.items()]),
        torch.cat(thresholds) if thresholds else None,
    ), rows


def on_external(
    cells: Sequence[Tested], name: str, images: ArchiveRows, classes: Sequence[str]
) -> Predictions:
    """Predictions of external images, means over folds and seeds; all images in fold 0."""
    rows = images.rows
    groups = {group: n for n, group in enumerate(sorted({row.group for row in rows}))}
    mean, threshold = _mean(cells, name, classes, rows)
    return Predictions(
        mean,
        class_numbers([row.label or "" for row in rows], classes),
        torch.tensor([groups[row.group] for row in rows]),
        torch.zeros(len(rows), dtype=torch.int64),
        threshold,
    )


def _mean(
    cells: Sequence[Tested], name: str, classes: Sequence[str], rows: Sequence[Row]
) -> tuple[Float64[Tensor, "n k"], float | None]:
    """Mean probabilities over cells, and their mean threshold."""
    tables = [each.table(name, rows, classes) for each in cells]
    cuts = [c.trained.threshold for c in cells if c.trained.threshold is not None]
    return torch.stack(tables).mean(0), sum(cuts) / len(cuts) if cuts else None


def write_table(
    path: Path, predictions: Predictions, rows: Sequence[Row], classes: Sequence[str]
) -> None:
    """Predictions as CSV: file, group, split, fold, label, p.<class>..."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = ["file", "group", "split", "fold", "label"]
    writer.writerow([*columns, *(f"p.{name}" for name in classes)])
    of_each = zip(rows, predictions.folds.tolist(), predictions.probabilities.tolist(), strict=True)
    for row, fold, p in of_each:
        cells = [row.file, row.group, "test", fold, row.label or ""]
        writer.writerow([*cells, *(f"{each:.6g}" for each in p)])
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(path, text.getvalue().encode("utf-8"))
