"""A film of a training shows the grids of its run, in order, and how far the training was."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import synthograph as sg
from synthograph.core.errors import UserError
from synthograph.workflows.film import STRIP

NAMES = ("fakes-init.png", "fakes-000000.png", "fakes-000000.400.png", "fakes-000012.png")


def grid(path: Path, shade: int, size: tuple[int, int] = (96, 64)) -> None:
    Image.new("RGB", size, (shade, 20, 20)).save(path)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run directory of four grids, from dark to bright."""
    folder = tmp_path / "00000-run"
    (folder / "snapshots").mkdir(parents=True)
    for name in ("config.json", "log.txt"):
        (folder / name).write_text("{}")
    for number, name in enumerate(NAMES):
        grid(folder / name, 40 * number + 20)
    grid(folder / "reals.png", 250)
    return folder


def shades(film: Path) -> list[int]:
    """Red of every frame of an animation."""
    with Image.open(film) as frames:
        found = []
        for number in range(frames.n_frames):
            frames.seek(number)
            found.append(np.asarray(frames.convert("RGB"))[10, 10, 0].item())
        return found


@pytest.mark.parametrize("ending", [".webp", ".gif"])
def test_grids_follow_each_other(run: Path, tmp_path: Path, ending: str) -> None:
    found = sg.film(run, out=tmp_path / f"film{ending}")
    assert shades(found.out) == pytest.approx([20, 60, 100, 140], abs=3)
    assert found.size == (96, 64 + STRIP)
    assert found.words == ["before training", "kimg 0", "kimg 0.4", "kimg 12"]
    assert list(found.lines())[1] == "from before training to kimg 12"


def test_below_a_grid_stands_how_far_the_training_was(run: Path, tmp_path: Path) -> None:
    sg.film(run, out=tmp_path / "frames")
    files = sorted((tmp_path / "frames").iterdir())
    pixels = [np.asarray(Image.open(path)) for path in files]
    words = [each[64:] for each in pixels]
    assert all((each < 100).any() and each[:, -1].min() == 255 for each in words)
    assert len({each.tobytes() for each in words}) == 4
    assert (pixels[3][:64] == (140, 20, 20)).all()


def test_fewer_and_smaller_grids(run: Path, tmp_path: Path) -> None:
    found = sg.film(run, out=tmp_path / "film.webp", every=3, width=64)
    assert shades(found.out) == pytest.approx([20, 140], abs=1)
    assert found.size == (64, 43 + STRIP)
    assert "2 frames of 64x65 pixels, from grids of 96x64" in next(iter(found.lines()))
    assert sg.film(run, out=tmp_path / "b.webp", width=4000).size[0] == 96


def test_grids_of_another_size_are_refused(run: Path, tmp_path: Path) -> None:
    grid(run / "fakes-000004.png", 9, (96, 32))
    with pytest.raises(UserError, match=r"fakes-000004.png: has 96x32 .*fakes-000012.png has 96x6"):
        sg.film(run, out=tmp_path / "film.webp")
    assert not (tmp_path / "film.webp").exists()


def test_what_is_no_film_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is a folder of 1 run.*00000-run"):
        sg.film(tmp_path, out=tmp_path / "film.webp")
    with pytest.raises(UserError, match="is no run directory; give one"):
        sg.film(run / "snapshots" / "x", out=tmp_path / "film.webp")
    (tmp_path / "there.gif").touch()
    with pytest.raises(UserError, match="exists already"):
        sg.film(run, out=tmp_path / "there.gif")
    with pytest.raises(UserError, match="GIF shows 0.01 to 50 frames a second"):
        sg.film(run, out=tmp_path / "film.gif", fps=60)
    (run / NAMES[1]).write_bytes((run / NAMES[1]).read_bytes()[:80])
    with pytest.raises(UserError, match=r"fakes-000000.png: is a broken PNG"):
        sg.film(run, out=tmp_path / "film.webp")
    assert not (tmp_path / "film.webp").exists()
    for name in NAMES:
        (run / name).unlink()
    with pytest.raises(UserError, match="holds no grid of synthetic images"):
        sg.film(run, out=tmp_path / "film.webp")
