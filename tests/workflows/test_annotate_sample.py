"""Images to paint: the bytes of `generate`, latents that draw them again, nothing half-written."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import synthograph as sg
from synthograph.core.errors import UserError
from synthograph.models.snapshot import Snapshot
from synthograph.results.annotations import AnnotationSet
from synthograph.workflows.annotation_sets import OpenSet, drawn_digest
from tests.sampling.test_generate import make_snapshot


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    return make_snapshot(tmp_path / "snapshots")


def test_images_are_those_of_generate(snapshot: Snapshot, tmp_path: Path) -> None:
    found = sg.annotate_sample(network=snapshot.path, num=9, trunc=0.7, outdir=tmp_path / "A")
    sg.generate(network=snapshot.path, num=9, trunc=0.7, outdir=tmp_path / "g")
    images = tmp_path / "A" / "images"
    made = sorted(p.stem for p in (tmp_path / "g").glob("*.png"))
    assert sorted(each.id for each in found.about.images) == made
    for name in made:
        vis, nir = (images / f"{name}.{each}.png" for each in ("vis", "nir"))
        assert vis.read_bytes() == (tmp_path / "g" / f"{name}.png").read_bytes()
        assert nir.read_bytes() == (tmp_path / "g" / "nir" / f"{name}.png").read_bytes()
        sheet = np.asarray(Image.open(images / f"{name}.png"))
        parts = [np.asarray(Image.open(path).convert("RGB")) for path in (vis, nir)]
        np.testing.assert_array_equal(sheet, np.concatenate(parts, axis=1))
    assert (tmp_path / "A" / "sheet.png").is_file()
    assert "9 images to paint" in repr(found)


def test_latents_draw_the_images_again(snapshot: Snapshot, tmp_path: Path) -> None:
    """Styles are stored truncated, and are not truncated a second time."""
    sg.annotate_sample(network=snapshot.path, num=7, trunc=0.5, batch=3, outdir=tmp_path / "A")
    opened = OpenSet.read(tmp_path / "A")
    again = list(opened.redrawn(snapshot, "cpu"))
    assert len(again) == 7
    assert all(drawn_digest(pixels) == image.digest for image, pixels in again)
    assert [image.row for image, _ in again] == list(range(7))
    assert [image.row for image in opened.about.images] != list(range(7)), "an order of its own"


def test_the_same_request_gives_the_same_files(snapshot: Snapshot, tmp_path: Path) -> None:
    """Also the order of the images, which the published code took from a set of texts."""
    written = []
    for name in ("A", "B"):
        sg.annotate_sample(network=snapshot.path, num=12, outdir=tmp_path / name / "S")
        folder = tmp_path / name / "S"
        files = {p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()}
        tree = json.loads(files.pop(Path("annotations.json")))
        written.append((files, {**tree, "command": ""}))
    assert written[0] == written[1]


@pytest.mark.parametrize(("bits", "files"), [(16, {"seed0000.png", "seed0000.image.png"})])
def test_sixteen_bits_are_kept_beside_the_view(bits: int, files: set[str], tmp_path: Path) -> None:
    snapshot = make_snapshot(tmp_path / "s", bits=bits, classes=(), width=0)
    sg.annotate_sample(network=snapshot.path, seeds="0", outdir=tmp_path / "A")
    images = tmp_path / "A" / "images"
    assert {path.name for path in images.iterdir()} == files
    whole = np.asarray(Image.open(images / "seed0000.image.png"))
    view = np.asarray(Image.open(images / "seed0000.png"))
    np.testing.assert_array_equal(view, whole >> 8)


def test_a_chosen_class_and_seeds(snapshot: Snapshot, tmp_path: Path) -> None:
    found = sg.annotate_sample(
        network=snapshot.path, seeds="5-7", classes=["c/d"], outdir=tmp_path / "A"
    )
    assert {(each.seed, each.label) for each in found.about.images} == {
        (5, "c/d"),
        (6, "c/d"),
        (7, "c/d"),
    }


def test_refusals_leave_nothing(snapshot: Snapshot, tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    cases: list[tuple[dict[str, object], str]] = [
        ({"outdir": tmp_path / "full"}, "exists already"),
        ({"noise_mode": "random"}, "const"),
        ({"outdir": tmp_path / "new.zip"}, "name it new"),
        ({"seeds": "0-5000"}, "more than 4096"),
        ({"seeds": "1,1", "classes": ["c/d"]}, "more than once"),
        ({"classes": ["eye"]}, "eye"),
    ]
    for options, message in cases:
        with pytest.raises(UserError, match=message):
            sg.annotate_sample(
                network=snapshot.path, **{"outdir": tmp_path / "new", "num": 2, **options}
            )
        assert not (tmp_path / "new").exists()


def test_sets_of_others_are_data(snapshot: Snapshot, tmp_path: Path) -> None:
    folder = tmp_path / "A"
    sg.annotate_sample(network=snapshot.path, num=2, outdir=folder)
    other = make_snapshot(tmp_path / "other", size=(16, 16))
    with pytest.raises(UserError, match="give --network the one"):
        OpenSet.read(folder).latents(other)
    tree = json.loads((folder / "annotations.json").read_text())
    tree["images"][0]["id"] = "../../etc"
    (folder / "annotations.json").write_text(json.dumps(tree))
    with pytest.raises(UserError, match="no name of a file"):
        OpenSet.read(folder)
    tree["images"] = [tree["images"][1]] * 2
    (folder / "annotations.json").write_text(json.dumps(tree))
    with pytest.raises(UserError, match="one id"):
        AnnotationSet.load(folder / "annotations.json")
    with pytest.raises(UserError, match="annotate sample"):
        OpenSet.read(tmp_path / "nowhere")
