"""Predictions of archives, folders and single files."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import synthograph as sg
from synthograph.archive.reader import open_archive
from synthograph.archive.split import SplitOptions, split_archive
from synthograph.core.errors import UserError
from synthograph.core.heat import LINE
from synthograph.downstream import classifier
from tests.conftest import make_archive

FEW = {"backbone": "small", "steps": 8, "batch": 8, "every": 4, "transforms": "none"}


def write_files(folder: Path, count: int, size: tuple[int, int] = (20, 20)) -> Path:
    """Pictures of dark and bright noise by class."""
    rng = np.random.default_rng(0)
    for i in range(count):
        pixels = rng.integers(0, 128, (*size, 3)).astype(np.uint8) + 127 * (i % 2)
        path = folder / ("dark", "bright")[i % 2] / f"P{i:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels.astype(np.uint8)).save(path)
    return folder


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_files(tmp_path_factory.mktemp("predict") / "files", 60)


@pytest.fixture(scope="module")
def trained(files: Path) -> Path:
    """A classifier of files that were cropped, reduced and windowed."""
    data, out = files.with_name("set.zip"), files.with_name("c.safetensors")
    sg.prepare(
        files, data, size=16, transform="center-crop", window="10,240", invariant="none", workers=1
    )
    split_archive(data, SplitOptions(test=0.3, val=0.2))
    sg.classify_train(data=data, out=out, **FEW)
    return out


def table(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def test_files_are_prepared_as_the_training_images_were(
    files: Path, trained: Path, tmp_path: Path
) -> None:
    data = trained.with_name("set.zip")
    assert open_archive(data).info.sizing == {"fit": "center-crop", "resize_filter": "lanczos"}
    assert classifier.load(trained).info.preparation["sizing"]["fit"] == "center-crop"
    sg.classify_predict(model=trained, data=str(data), out=tmp_path / "a.csv")
    sg.classify_predict(model=trained, data=str(files), out=tmp_path / "f.csv")
    by_archive = {
        Path(row.source).name: table(tmp_path / "a.csv")[row.file]
        for row in open_archive(data).rows
    }
    by_file = table(tmp_path / "f.csv")
    assert len(by_file) == 60
    assert all(
        row["p.bright"] == by_archive[Path(name).name]["p.bright"] for name, row in by_file.items()
    )


def test_one_file_of_another_shape_with_its_picture(trained: Path, tmp_path: Path) -> None:
    wide = write_files(tmp_path / "wide", 2, (30, 50)) / "bright" / "P001.png"
    made = sg.classify_predict(
        model=trained, data=str(wide), out=tmp_path / "one.csv", pictures=tmp_path / "pictures"
    )
    assert list(table(tmp_path / "one.csv")) == ["P001.png"]
    assert made.images == 1
    with Image.open(tmp_path / "pictures" / "P001.png") as picture:
        assert picture.height == LINE + 224
        assert picture.width > 2 * 224


def test_broken_files_are_named(files: Path, trained: Path, tmp_path: Path) -> None:
    some = write_files(tmp_path / "some", 2)
    (some / "broken.png").write_bytes(b"broken")
    made = sg.classify_predict(model=trained, data=str(some), out=tmp_path / "p.csv")
    assert made.images == 2
    assert "broken.png" in "\n".join(made.lines())


def test_what_cannot_be_predicted(trained: Path, tmp_path: Path) -> None:
    grey = tmp_path / "grey.png"
    Image.fromarray(np.zeros((20, 20), np.uint8)).save(grey)
    asked = {"model": trained, "out": tmp_path / "p.csv"}
    with pytest.raises(UserError, match="--colour rgb"):
        sg.classify_predict(data=str(grey), **asked)
    with pytest.raises(UserError, match="is not there"):
        sg.classify_predict(data=str(tmp_path / "no"), **asked)
    with pytest.raises(UserError, match="is an archive"):
        sg.classify_predict(data=str(trained.with_name("set.zip")), transform="pad", **asked)
    assert not (tmp_path / "p.csv").exists()


def test_files_alone_do_not_tell_several_modalities(tmp_path: Path) -> None:
    data = make_archive(tmp_path / "two.zip", modalities={"vis": 3, "nir": 1}, count=32)
    split_archive(data, SplitOptions(test=0.25, val=0.25))
    model = tmp_path / "two.safetensors"
    sg.classify_train(data=data, out=model, **FEW)
    some = write_files(tmp_path / "some", 2)
    with pytest.raises(UserError, match="--modality"):
        sg.classify_predict(model=model, data=str(some), out=tmp_path / "p.csv")
    made = sg.classify_predict(
        model=model, data=f"{data}:test", out=tmp_path / "p.csv", pictures=tmp_path / "pictures"
    )
    assert len(list((tmp_path / "pictures").rglob("*.png"))) == made.images
