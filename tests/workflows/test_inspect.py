"""Inspection from Python."""

from pathlib import Path

import synthograph
from tests.conftest import make_archive


def test_what_is_known_is_kept_where_a_file_is_refused(tmp_path: Path) -> None:
    folder = make_archive(tmp_path / "set")
    assert synthograph.inspect(folder).refused is None
    image = sorted(folder.glob("*/*.png"))[3]
    image.write_bytes(image.read_bytes()[:50])
    found = synthograph.inspect(folder)
    assert found.facts["kind"] == "archive" and "kind: archive" in repr(found)
    assert found.json()["refused"] == str(found.refused)
    assert "refused" not in repr(found), "the command says it in its last line"
