"""A look at labelled images: the most uncertain first, with pictures of where."""

import io
from pathlib import Path

import numpy as np
import pytest
from numpy.random import RandomState
from PIL import Image

import synthograph as sg
from synthograph.archive.batches import open_rows
from synthograph.archive.manifest import Row
from synthograph.archive.masked import masked_images
from synthograph.archive.png import encode_png
from synthograph.archive.reader import ArchiveInfo
from synthograph.archive.writer import ArchiveWriter, encode
from synthograph.core.errors import UserError
from synthograph.core.progress import Silent
from synthograph.core.spec import ImageSpec
from synthograph.workflows.annotate_review import worst_first

SPEC = ImageSpec(height=16, width=16, modalities={"vis": 3, "nir": 1})
VALUES = ("0.1", "0.4", "", "0.2")
CLASSES = [{"name": "background", "colour": [0, 0, 0]}, {"name": "cell", "colour": [9, 8, 7]}]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "S.zip"
    writer = ArchiveWriter(path, {})
    for k, value in enumerate(VALUES):
        random = RandomState(k)
        parts = {
            m: random.randint(0, 256, (16, 16, n), np.uint8) for m, n in SPEC.modalities.items()
        }
        columns = {"seed": str(k), **({"uncertainty": value} if value else {})}
        row = Row("", "a", "synthetic", None, None, "synthetic", columns)
        writer.add([encode(parts, random.randint(0, 2, (16, 16)).astype(np.uint8), row)])
    about = {"mask_generator": {"classes": CLASSES}}
    writer.finish(ArchiveInfo(classes=["a", "b"], spec=SPEC, namespace="n", snapshots=[about]))
    return path


def test_the_most_uncertain_come_first(archive: Path, tmp_path: Path) -> None:
    images = masked_images(open_rows(str(archive)), Silent().track(""))
    assert [each.row.columns["seed"] for each in worst_first(images)] == ["1", "3", "0", "2"]
    found = sg.annotate_review(str(archive), num=3)
    assert found.out == tmp_path / "S-review.png" and len(found.shown) == 3
    assert "3 images of 4, the most uncertain first" in repr(found)
    plain = np.asarray(Image.open(found.out))
    assert (plain == (9, 8, 7)).all(2).any(), "the class in the colour of the mask generator"
    palette = tmp_path / "p.json"
    palette.write_text('{"background": 0, "cell": "#010203"}')
    other = sg.annotate_review(str(archive), out=tmp_path / "o.png", palette=palette).out
    assert (np.asarray(Image.open(other)) == (1, 2, 3)).all(2).any()


def test_with_pictures_of_uncertainty(archive: Path, tmp_path: Path) -> None:
    folder = tmp_path / "U"
    folder.mkdir()
    grey = np.zeros((16, 16, 1), np.uint8)
    grey[3, 4] = 40
    for k in range(4):
        (folder / f"seed000{k}_a.png").write_bytes(encode_png(grey))
    without = sg.annotate_review(str(archive), out=tmp_path / "new" / "a.png").out
    found = sg.annotate_review(str(archive), out=tmp_path / "b.png", uncertainty=folder).out
    with Image.open(without) as narrow, Image.open(found) as wide:
        assert wide.width > narrow.width
    (folder / "seed0002_a.png").unlink()
    with pytest.raises(UserError, match="has no seed0002_a.png"):
        sg.annotate_review(str(archive), out=tmp_path / "c.png", uncertainty=folder)
    data = io.BytesIO()
    Image.new("L", (4, 4)).save(data, format="PNG")
    (folder / "seed0002.png").write_bytes(data.getvalue())
    with pytest.raises(UserError, match="no picture of the uncertainty"):
        sg.annotate_review(str(archive), out=tmp_path / "c.png", uncertainty=folder)
    assert not (tmp_path / "c.png").exists()


def test_refusals(archive: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="the sheet is a picture"):
        sg.annotate_review(str(archive), out=tmp_path / "x.jpg")
    (tmp_path / "x.png").touch()
    with pytest.raises(UserError, match="exists already"):
        sg.annotate_review(str(archive), out=tmp_path / "x.png")


def with_values(path: Path, *values: int) -> Path:
    writer = ArchiveWriter(path, {})
    for k in range(3):
        pixels = {"image": np.full((16, 16, 1), 200, np.uint8)}
        mask = np.full((16, 16), values[0], np.uint8)
        mask[4 + k : 12] = values[-1]
        writer.add([encode(pixels, mask, Row("", None, f"p{k}"))])
    spec = ImageSpec(height=16, width=16, modalities={"image": 1})
    writer.finish(ArchiveInfo(classes=[], spec=spec, namespace="n"))
    return path


def test_masks_of_any_values(tmp_path: Path) -> None:
    """Areas have the colour that the legend names, whatever number stands for them."""
    archive = with_values(tmp_path / "a.zip", 0, 128)
    assert sg.annotate_review(str(archive)).out.exists()
    assert sg.annotate_review(str(with_values(tmp_path / "one.zip", 7, 7))).out.exists()
    palette, out = tmp_path / "p.json", tmp_path / "o.png"
    palette.write_text('{"background": 0, "nucleus": {"colour": "#ff0000", "value": 128}}')
    sheet = np.asarray(Image.open(sg.annotate_review(str(archive), out=out, palette=palette).out))
    red = (sheet[:, :, 0] > sheet[:, :, 1].astype(int) + 60) & (sheet[:, :, 1] == sheet[:, :, 2])
    assert red.sum() > 1000
    palette.write_text('{"background": 0, "nucleus": "#ff0000"}')
    with pytest.raises(UserError, match="its masks hold 128, which no class of the palette has"):
        sg.annotate_review(str(archive), out=tmp_path / "x.png", palette=palette)
