"""The study of the demonstration."""

from pathlib import Path

import pytest

from synthograph.archive.reader import open_archive
from synthograph.core.progress import Silent
from synthograph.workflows import study_demo


def test_both_sites_and_the_study_file_are_made_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_demo, "SITES", {"a": 8, "b": 8})
    path = study_demo.prepare(tmp_path / "demo", Silent())
    names = sorted(each.name for each in path.parent.iterdir())
    assert names == ["demo.yaml", "site-a.zip", "site-b.zip"], names
    groups = [{row.group for row in open_archive(path.parent / name).rows} for name in names[1:]]
    assert not groups[0] & groups[1], "patients of two sites are not called alike"
    path.write_text("changed by a reader")
    study_demo.prepare(tmp_path / "demo", Silent())
    assert path.read_text() == "changed by a reader"
