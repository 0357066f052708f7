"""Files of the TensorBoard projector."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from synthograph.core.errors import UserError
from synthograph.metrics.audit import projector
from synthograph.metrics.audit.embeddings import export, pair_distances
from synthograph.metrics.audit.projector import read_metadata, read_tensors

FEATURES = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
ROWS = [{"label": "a", "image_name": f"{i}.png"} for i in range(5)]
PICTURES = [np.full((4, 6, 3), 10 * i, dtype=np.uint8) for i in range(5)]


def test_what_is_written_can_be_read(tmp_path: Path) -> None:
    files = export(tmp_path / "new" / "board", FEATURES, ROWS, pictures=PICTURES)
    assert [path.name for path in files] == [
        "metadata.tsv",
        "projector_config.pbtxt",
        "sprite.png",
        "tensors.tsv",
    ]
    folder = tmp_path / "new" / "board"
    assert torch.equal(read_tensors(folder / "tensors.tsv"), FEATURES)
    metadata = read_metadata(folder / "metadata.tsv")
    assert metadata.columns == ("label", "image_name") and metadata[3] == ROWS[3]
    with Image.open(folder / "sprite.png") as image:
        pixels = np.asarray(image)
    assert pixels.shape == (12, 18, 3), "three by three pictures: TensorBoard wants a square"
    assert (pixels[4:8, :6] == 30).all() and (pixels[8:] == 255).all()


def test_tensorboard_reads_the_settings(tmp_path: Path) -> None:
    text_format = pytest.importorskip("google.protobuf.text_format")
    pytest.importorskip("tensorboard")
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

    export(tmp_path / "board", FEATURES, ROWS, pictures=PICTURES, name='my "set"')
    text = (tmp_path / "board" / "projector_config.pbtxt").read_text()
    (embedding,) = text_format.Parse(text, ProjectorConfig()).embeddings
    assert embedding.tensor_path == "tensors.tsv" and embedding.metadata_path == "metadata.tsv"
    assert embedding.tensor_name == "my _set_" and embedding.sprite.image_path == "sprite.png"
    assert list(embedding.sprite.single_image_dim) == [6, 4], "width and height"


def test_cells_cannot_break_lines(tmp_path: Path) -> None:
    rows = [{"label": "a\tb\nc", "image_name": "x"}] * 5
    export(tmp_path / "board", FEATURES, rows)
    assert read_metadata(tmp_path / "board" / "metadata.tsv")[0]["label"] == "a b c"
    assert not (tmp_path / "board" / "sprite.png").exists()


def test_a_single_column_has_no_header(tmp_path: Path) -> None:
    export(tmp_path / "board", FEATURES[:4], [{"label": str(i)} for i in range(4)])
    assert (tmp_path / "board" / "metadata.tsv").read_text() == "0\n1\n2\n3\n"
    found = pair_distances(tmp_path / "board" / "tensors.tsv", tmp_path / "board" / "metadata.tsv")
    assert found.labels == ("0", "2")


def test_nothing_is_overwritten_and_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    (tmp_path / "board").mkdir()
    (tmp_path / "board" / "mine").write_text("")
    with pytest.raises(UserError, match="exists already"):
        export(tmp_path / "board", FEATURES, ROWS)
    other = tmp_path / "other"
    with pytest.raises(UserError, match="4 rows for 5 vectors"):
        export(other, FEATURES, ROWS[:4])
    with pytest.raises(UserError, match="4 pictures for 5 vectors"):
        export(other, FEATURES, ROWS, pictures=PICTURES[:4])
    with pytest.raises(UserError, match="differ in their columns"):
        export(other, FEATURES, [*ROWS[:4], {"label": "a"}])
    with pytest.raises(UserError, match="finite"):
        export(other, FEATURES * torch.inf, ROWS)
    assert not other.exists()


def test_files_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "tensors.tsv"
    path.write_text("1\t2\n" * 6)
    monkeypatch.setattr(projector, "MAX_ROWS", 4)
    with pytest.raises(UserError, match="line 5: more than 4 vectors"):
        read_tensors(path)
    with pytest.raises(UserError, match="more than 4 lines"):
        read_metadata(path)
    monkeypatch.setattr(projector, "MAX_LINE", 2)
    with pytest.raises(UserError, match="line 1: is longer than"):
        read_tensors(path)


def test_pipes_and_folders_are_refused(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path):
        with pytest.raises(UserError, match="no ordinary file"):
            read_tensors(path)
    with pytest.raises(UserError, match="No such file"):
        read_tensors(tmp_path / "none")
