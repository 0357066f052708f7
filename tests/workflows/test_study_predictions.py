"""What the cells of a study predicted, as outcomes that a comparison takes."""

from pathlib import Path

import torch

from synthograph.archive.batches import ArchiveRows
from synthograph.archive.reader import open_archive
from synthograph.stats.scores import Predictions
from synthograph.workflows import study_cells, study_predictions
from synthograph.workflows.study_settings import Condition
from tests.conftest import make_archive


class Task:
    """Says the same of every image."""

    def read(self, path, rows, groups, threshold) -> Predictions:
        even = torch.full((len(rows), 2), 0.5, dtype=torch.float64)
        zeros = torch.zeros_like(groups)
        return Predictions(even, zeros, groups, zeros, threshold)

    def mean(self, seeds) -> Predictions:
        return seeds[0]


def test_patients_with_an_equal_image_count_as_one(tmp_path: Path) -> None:
    """They are kept in one fold for the same reason: what is drawn again is what was divided. In
    an external set they are one, too.
    """
    archive = open_archive(make_archive(tmp_path / "set.zip", count=12))
    names = sorted({row.group for row in archive.rows})
    assert len(names) > 2
    trained = study_cells.CellRecord(commands=[], validation={}, sha256="0")
    cell = study_cells.Cell(Condition.REAL, None, 0, 0, 0)
    cells = [
        study_predictions.Tested(
            cell,
            tmp_path,
            trained,
            study_cells.TestRecord(tables={study_cells.TEST: "test.csv", "b.zip": "b.csv"}),
        )
    ]
    parts = {0: ArchiveRows(archive, archive.rows)}
    alone, rows = study_predictions.out_of_fold(Task(), cells, parts, {})
    assert len(alone.groups.unique()) == len(names)
    units = {name: names[0] if name == names[1] else name for name in names}
    found, _ = study_predictions.out_of_fold(Task(), cells, parts, units)
    assert len(found.groups.unique()) == len(names) - 1
    both = [number for number, row in enumerate(rows) if row.group in names[:2]]
    assert len(set(found.groups[both].tolist())) == 1
    there = study_predictions.on_external(Task(), cells, "b.zip", parts[0], units)
    assert len(there.groups.unique()) == len(names) - 1
