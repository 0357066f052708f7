"""From the tables of cells to the arms of a study: predictions out of fold, means over the seeds of
the training, one per draw of the generator.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Int64
from torch import Tensor

from synthograph.archive.batches import ArchiveRows
from synthograph.archive.manifest import Row
from synthograph.core.errors import UserError
from synthograph.core.files import disk_errors, write_text
from synthograph.stats.outcomes import O, joined
from synthograph.workflows.study_cells import TEST, TESTED, Cell, CellRecord, TestRecord
from synthograph.workflows.study_task import StudyTask
from synthograph.workflows.tables import csv_text


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

    def found(
        self, task: StudyTask[O], name: str, rows: Sequence[Row], groups: Int64[Tensor, " n"]
    ) -> O:
        """What it found on a set's images, in their order in the manifest.

        Raises:
            UserError: the table was changed.
        """
        path = self.folder / self.tested.tables[name]
        try:
            return task.read(path, rows, groups, self.trained.threshold)
        except (ValueError, LookupError) as error:
            raise UserError(
                f"{path}: was changed ({error}): remove {TESTED} beside it and run again"
            ) from None


def out_of_fold(
    task: StudyTask[O],
    cells: Sequence[Tested],
    parts: Mapping[int, ArchiveRows],
    units: Mapping[str, str],
) -> tuple[O, list[Row]]:
    """What was found on the test images of all folds, means over the seeds.

    Args:
        task: of the study.
        cells: of one arm and draw.
        parts: fold to its test images.
        units: group to the one that it counts as.

    Returns:
        The outcome, and the row of every image.
    """
    rows = [row for part in parts.values() for row in part.rows]
    groups, done, found = _numbers(rows, units), 0, list[Any]()
    for fold, part in parts.items():
        of_part = groups[done : done + len(part.rows)]
        same = [each for each in cells if each.cell.fold == fold]
        mean: Any = task.mean([each.found(task, TEST, part.rows, of_part) for each in same])
        found.append(replace(mean, folds=torch.full_like(mean.folds, fold)))
        done += len(part.rows)
    return joined(found), rows


def on_external(
    task: StudyTask[O],
    cells: Sequence[Tested],
    name: str,
    images: ArchiveRows,
    units: Mapping[str, str],
) -> O:
    """What was found on external images, means over folds and seeds; all images in fold 0."""
    groups = _numbers(images.rows, units)
    return task.mean([each.found(task, name, images.rows, groups) for each in cells])


def _numbers(rows: Sequence[Row], units: Mapping[str, str]) -> Int64[Tensor, " n"]:
    """A number for the group of every row, as it counts."""
    names = [units.get(row.group, row.group) for row in rows]
    known = {name: n for n, name in enumerate(sorted(set(names)))}
    return torch.tensor([known[name] for name in names])


def write_table(path: Path, task: StudyTask[O], outcome: O, rows: Sequence[Row]) -> None:
    """What was found as CSV."""
    head, *table = task.table(outcome, rows)
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, csv_text(head, table))
