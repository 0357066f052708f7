"""Files of vectors are bounded and read without trust."""

import os
from pathlib import Path

import pytest

from synthograph.core.errors import UserError
from synthograph.metrics.audit import vectors
from synthograph.metrics.audit.vectors import read_metadata, read_vectors


def test_lines_of_other_systems_and_empty_ends(tmp_path: Path) -> None:
    path = tmp_path / "metadata.tsv"
    path.write_bytes(b"label\tsplit\r\na\ttrain\r\n\ttest\r\n\r\n")
    rows = read_metadata(path)
    assert rows.cells == [{"label": "a", "split": "train"}, {"label": "", "split": "test"}]
    assert rows.line(1) == 3
    path.write_bytes(b"1\t2\r\n3\t4\r\n\r\n")
    assert read_vectors(path).tolist() == [[1, 2], [3, 4]]


def test_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tensors.tsv"
    path.write_text("1\t2\n" * 6)
    monkeypatch.setattr(vectors, "MAX_ROWS", 4)
    with pytest.raises(UserError, match="line 5: more than 4 vectors"):
        read_vectors(path)
    with pytest.raises(UserError, match="more than 4 lines"):
        read_metadata(path)
    monkeypatch.setattr(vectors, "MAX_LINE", 2)
    with pytest.raises(UserError, match="line 1: is longer than"):
        read_vectors(path)


def test_pipes_and_folders_are_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path):
        with pytest.raises(UserError, match="no ordinary file"):
            read_vectors(path)
    with pytest.raises(UserError, match="No such file"):
        read_vectors(tmp_path / "none")
