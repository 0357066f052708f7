"""Splits from Python."""

from pathlib import Path

import synthograph
from tests.conftest import make_archive


def test_the_table_is_for_programs_too(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "set.zip", count=60)
    found = synthograph.split(archive, test=0.5, val=0)
    assert {part: images for part, images, _, _ in found.parts} == {"train": 30, "test": 30}
    assert found.grouped and "warning" not in repr(found)
    rows = [line.replace("│", " ").split() for line in repr(found).splitlines()]
    assert ["images", "30", "30"] in rows and any(row[:1] == ["dark"] for row in rows)
