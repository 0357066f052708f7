"""Sheets of mixed styles from Python."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import synthograph as sg
from synthograph.models.base import NoiseMode
from synthograph.models.snapshot import Snapshot
from synthograph.sampling.latents import Rendering, as_styles, of_seeds, read, render
from synthograph.sampling.mixing import mix
from tests.conftest import NVIDIA
from tests.sampling.test_generate import make_snapshot


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    return make_snapshot(tmp_path / "snapshots")


def test_files_hold_the_mixtures(snapshot: Snapshot, tmp_path: Path) -> None:
    out = tmp_path / "mix"
    found = sg.mix_styles(
        network=snapshot.path, rows=["85,100"], cols=["55"], styles="0-1", row_class="c/d",
        col_class="0", outdir=out, trunc=0.7, noise_mode="random",
    )  # fmt: skip
    assert repr(found).splitlines()[0] == "style rows 0, 1 (of 4) come from the columns"
    names = ["85-55", "100-55", "row-85", "row-100", "col-55"]
    files = {p.relative_to(out).as_posix() for p in out.rglob("*.*")}
    singles = {f"{folder}{name}.png" for name in names for folder in ("", "nir/")}
    assert files == {*singles, "grid.png", "latents.npz"}
    how = Rendering(truncation=0.7, noise=NoiseMode.RANDOM)
    rows = as_styles(snapshot, [of_seeds(snapshot, [85, 100], ["c/d"] * 2, "{}")], how)
    cols = as_styles(snapshot, [of_seeds(snapshot, [55], ["a b"], "{}")], how)
    mixed = mix(rows, cols, [0, 1])
    images = [*render(snapshot, mixed.values, mixed.seeds, how)]
    for name, pixels in zip(mixed.names, images, strict=True):
        stored = np.asarray(Image.open(out / f"{name}.png")).transpose(2, 0, 1)
        assert np.abs(stored.astype(int) - pixels[:3]).max() <= 1
    kept = read(out / "latents.npz", snapshot)
    assert kept.names == mixed.names and (kept.values == mixed.values).all()
    with Image.open(out / "grid.png") as grid:
        assert grid.height < 4 * 70


def test_rows_of_files(snapshot: Snapshot, tmp_path: Path) -> None:
    """Projections of real images, each with its own name, beside seeds; 16 bits."""
    deep = make_snapshot(tmp_path / "deep", bits=16, classes=())
    np.savez(tmp_path / "eye_w.npz", w=np.random.RandomState(0).randn(1, 4, 8))
    out = tmp_path / "mix"
    rows = [str(tmp_path / "eye_w.npz"), "3"]
    found = sg.mix_styles(network=deep.path, rows=rows, cols=["5"], outdir=out)
    assert found.rows == ("eye_w", "3") and found.styles == (0, 1)
    with Image.open(out / "eye_w-5.png") as image:
        assert image.mode == "I;16"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "is conditional: name a class, --class a b or c/d"),
        ({"row_class": "0"}, "is conditional: name a class"),
        ({"of_class": "x"}, "--class: class 'x' is unknown"),
        ({"of_class": "0", "col_class": "y"}, "--col-class: class 'y' is unknown"),
        ({"of_class": "0", "rows": ["x"]}, "--rows 'x': 'x' is neither a number"),
        ({"of_class": "0", "rows": ["1,1"]}, "--rows and --cols: row-1 is named more than once"),
        ({"of_class": "0", "rows": ["gone.npz"]}, "gone.npz: no such file"),
        ({"of_class": "0", "rows": ["0-99"], "cols": ["0-99"]}, "more than the 4096 images"),
        ({"of_class": "0", "styles": "4"}, "the largest style row is 3"),
        ({"of_class": "0", "outdir": "x.zip"}, "x.zip"),
        ({"of_class": "0", "batch": 0}, "--batch 0"),
    ],
)
def test_refusals(snapshot: Snapshot, tmp_path: Path, options: dict, words: str) -> None:
    asked = {"rows": ["85"], "cols": ["55"], "outdir": tmp_path / "out", **options}
    if asked["outdir"] == "x.zip":
        (tmp_path / "x.zip").touch()
        asked["outdir"] = tmp_path / "x.zip"
    with pytest.raises(sg.UserError, match=words) as caught:
        sg.mix_styles(network=snapshot.path, **asked)
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()


def test_latents_of_another_network(snapshot: Snapshot, tmp_path: Path) -> None:
    of_seeds(snapshot, [3], ["a b"]).save(tmp_path / "a.npz", snapshot)
    with pytest.raises(sg.UserError, match="is bound to the network"):
        sg.mix_styles(
            network=NVIDIA / "cond2_rgb_32.pkl", rows=[str(tmp_path / "a.npz")], cols=["1"],
            of_class="0", outdir=tmp_path / "out",
        )  # fmt: skip


def test_a_published_network(tmp_path: Path) -> None:
    out = tmp_path / "mix"
    found = sg.mix_styles(
        network=NVIDIA / "cond2_rgb_32.pkl", rows="1", cols=2, of_class="1", outdir=out
    )
    assert (out / "1-2.png").is_file() and found.of == 8
