"""Pictures of an archive: a row per class, patients before repetitions."""

from pathlib import Path

from synthograph.archive.gallery import gallery
from synthograph.archive.reader import open_archive
from tests.conftest import make_archive


def test_rows_show_classes_and_patients_first(tmp_path: Path) -> None:
    path = make_archive(tmp_path / "a.zip", count=12, classes=("x", "y", "z"), size=(8, 16))
    archive = open_archive(path)
    rows = gallery(archive, columns=3)
    assert [title for title, _ in rows] == ["x", "y", "z"]
    assert all(len(images) == 3 for _, images in rows)
    assert all(image.shape == (8, 16, 3) for _, images in rows for image in images)
    twins = [row for row in archive.rows if row.group in ("P0", "P1") and row.label == "x"]
    assert len(gallery(archive, twins)[0][1]) == len(twins)


def test_archives_without_classes_have_one_row(tmp_path: Path) -> None:
    path = make_archive(tmp_path / "a.zip", classes=(), modalities={"vis": 3, "nir": 1})
    ((title, images),) = gallery(open_archive(path))
    assert title == ""
    assert images[0].shape == (16, 32, 3)
