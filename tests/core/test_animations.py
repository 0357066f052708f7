"""Animations hold the frames that were added, in order, and appear whole or not at all."""

import os
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthograph.core import animations
from synthograph.core.animations import (
    AnimationKind,
    Canvas,
    Padding,
    check_animation,
    filmstrip,
    frame_name,
    kind_of,
    open_animation,
)
from synthograph.core.errors import UserError

ENDINGS = [kind.value for kind in AnimationKind]


def shades(count: int, height: int = 10, width: int = 14) -> list[np.ndarray]:
    """Frames of one shade each, with a bright corner."""
    frames = [np.full((height, width, 3), 20 * k + 5, np.uint8) for k in range(count)]
    for frame in frames:
        frame[:4, :4] = 250, 30, 60
    return frames


def write(path: Path, frames: list[np.ndarray], fps: float = 24) -> None:
    with open_animation(path, frames=len(frames), fps=fps) as film:
        for pixels in frames:
            film.add(pixels)


def test_a_folder_holds_a_file_for_every_frame(tmp_path: Path) -> None:
    frames = shades(3)
    write(tmp_path / "new" / "loop", frames)
    names = sorted(path.name for path in (tmp_path / "new" / "loop").iterdir())
    assert names == ["frame0000.png", "frame0001.png", "frame0002.png"]
    for name, pixels in zip(names, frames, strict=True):
        assert (np.asarray(Image.open(tmp_path / "new" / "loop" / name)) == pixels).all()


def test_names_of_frames_sort_however_many_there_are() -> None:
    names = [frame_name(number, 12001) for number in (0, 9, 10, 999, 12000)]
    assert names == sorted(names) and names[-1] == "frame12000.png"


def test_webp_holds_every_pixel_and_runs_as_long_as_asked(tmp_path: Path) -> None:
    frames = shades(7)
    write(tmp_path / "loop.webp", frames, fps=24)
    with Image.open(tmp_path / "loop.webp") as film:
        assert film.n_frames == 7 and film.info["loop"] == 0
        total = 0
        for number, pixels in enumerate(frames):
            film.seek(number)
            assert (np.asarray(film.convert("RGB")) == pixels).all()
            total += film.info["duration"]
    assert total == round(7 * 1000 / 24), "rounded as a whole, not seven times"


@pytest.mark.parametrize("grey", [True, False], ids=["grey", "colour"])
def test_gif_holds_grey_images_as_they_are(tmp_path: Path, grey: bool) -> None:
    frames = shades(7)
    if grey:
        ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
        frames = [np.roll(ramp, k, 1)[:, :, None].repeat(3, 2) for k in range(7)]
    write(tmp_path / "loop.gif", frames, fps=24)
    with Image.open(tmp_path / "loop.gif") as film:
        assert film.n_frames == 7 and film.info["loop"] == 0
        total = 0
        for number, pixels in enumerate(frames):
            film.seek(number)
            shown = np.asarray(film.convert("RGB")).astype(int)
            assert np.abs(shown - pixels).max() <= (0 if grey else 8)
            total += film.info["duration"]
    assert total == 290, "7 / 24 s, rounded as a whole"


def test_gif_is_not_faster_than_viewers_show(tmp_path: Path) -> None:
    check_animation(tmp_path / "loop.gif", 2, (8, 8), fps=50)
    for fps in (60, 0.001):
        with pytest.raises(UserError, match=r"0.01 to 50 frames .* change --fps, .*loop\.webp"):
            check_animation(tmp_path / "loop.gif", 2, (8, 8), fps=fps)


def test_equal_frames_that_a_gif_cannot_hold_so_long_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"last at most 655 seconds together; name it .*loop\.webp"):
        write(tmp_path / "loop.gif", [np.zeros((4, 4, 3), np.uint8)] * 10, fps=0.011)
    assert not list(tmp_path.iterdir())


def test_a_filmstrip_reads_from_left_to_right(tmp_path: Path) -> None:
    frames = shades(13)
    write(tmp_path / "strip.png", frames)
    strip = np.asarray(Image.open(tmp_path / "strip.png"))
    assert strip.shape == (20, 12 * 14, 3)
    assert (strip[:10, 11 * 14 :] == frames[11]).all() and (strip[10:, :14] == frames[12]).all()
    assert (strip[10:, 14:] == 255).all()
    assert (filmstrip(frames[:2]) == np.concatenate(frames[:2], axis=1)).all()


@pytest.mark.parametrize("size", [(10, 14), (9, 13)], ids=["even", "odd"])
def test_mp4_shows_the_frames(tmp_path: Path, size: tuple[int, int]) -> None:
    av = pytest.importorskip("av", reason="MP4 needs the package av")
    frames = shades(6, *size)
    write(tmp_path / "loop.mp4", frames, fps=12.5)
    with av.open(str(tmp_path / "loop.mp4")) as film:
        assert film.streams.video[0].average_rate == 12.5
        shown = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(shown) == 6
    for pixels, seen in zip(frames, shown, strict=True):
        assert seen.shape == (10, 14, 3)
        near = np.abs(seen[: size[0], : size[1]].astype(int) - pixels.astype(int))
        assert near[6:, 6:].max() <= 4, "flat areas keep their shade"
        assert near.mean() < 8


def test_mp4_of_a_name_that_reads_as_an_address(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("av", reason="MP4 needs the package av")
    if os.name == "nt":
        pytest.skip("no such names there")
    monkeypatch.chdir(tmp_path)
    write(Path("scan:1.mp4"), shades(2))
    assert [path.name for path in tmp_path.iterdir()] == ["scan:1.mp4"]


@pytest.mark.parametrize("ending", ENDINGS)
def test_nothing_is_left_of_a_film_that_failed(tmp_path: Path, ending: str) -> None:
    if ending == ".mp4":
        pytest.importorskip("av", reason="MP4 needs the package av")
    with (
        pytest.raises(RuntimeError, match="in the middle"),
        open_animation(tmp_path / f"loop{ending}", frames=9) as film,
    ):
        film.add(shades(1)[0])
        raise RuntimeError("in the middle")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "frames", "size", "says"),
    [
        ("loop.avi", 2, (8, 8), r"name it .*loop\.webp"),
        ("loop.webp", 2, (8, 20000), r"16383 a side: name it .*loop\.mp4"),
        ("loop.webp", 10**6, (64, 64), r"too many for one WEBP.*loop for a folder"),
        ("loop.gif", 10**6, (64, 64), r"too many for one GIF"),
        ("loop.png", 10**6, (64, 64), r"too many for one STRIP"),
        ("there.webp", 2, (8, 8), r"there\.webp exists already: choose another --out"),
        ("empty.mp4", 2, (8, 8), r"empty\.mp4 is a folder: name a file, such as --out"),
    ],
)
def test_what_cannot_be_written_is_refused_before_work(
    tmp_path: Path, name: str, frames: int, size: tuple[int, int], says: str
) -> None:
    (tmp_path / "there.webp").write_bytes(b"1")
    (tmp_path / "empty.mp4").mkdir()
    with pytest.raises(UserError, match=says):
        check_animation(tmp_path / name, frames, size)


def test_without_the_package_mp4_names_the_way_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(animations.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"synthograph\[video\].*\.webp, which needs no package"):
        check_animation(tmp_path / "loop.mp4", 2, (8, 8))
    check_animation(tmp_path / "loop.webp", 2, (8, 8))


def test_a_package_without_the_codec_is_no_way_to_mp4(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = type(sys)("av")
    bare.codecs_available = {"mpeg4"}  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "av", bare)
    monkeypatch.setattr(animations.importlib.util, "find_spec", lambda name: bare)
    with pytest.raises(UserError, match="built without libx264"):
        check_animation(tmp_path / "loop.mp4", 2, (8, 8))


def test_the_ending_is_read_whatever_its_case() -> None:
    assert kind_of(Path("LOOP.MP4")) is AnimationKind.MP4
    assert kind_of(Path("frames")) is AnimationKind.FOLDER


CORNERS = np.arange(6, dtype=np.uint8).reshape(2, 3)[:, :, None].repeat(3, 2)


def test_small_images_are_enlarged_without_new_shades() -> None:
    canvas = Canvas.of(2, 3, None, Padding.PAD, least=5)
    assert (canvas.factor, canvas.height, canvas.width) == (3, 6, 9)
    frame = canvas.frame(CORNERS)
    assert (frame[::3, ::3] == CORNERS).all() and (frame[2::3, 1::3] == CORNERS).all()
    assert Canvas.of(2, 3, None, Padding.PAD).factor == 1


@pytest.mark.parametrize(
    ("padding", "row"),
    [
        ("pad", [0, 0, 3, 4, 5, 0, 0]),
        ("padside", [3, 4, 5, 0, 0, 0, 0]),
        ("symm", [4, 3, 3, 4, 5, 5, 4]),
        ("symmside", [3, 4, 5, 5, 4, 3, 3]),
    ],
)
def test_frames_are_filled_as_asked(padding: str, row: list[int]) -> None:
    canvas = Canvas.of(2, 3, "7x2", Padding(padding))
    assert canvas.frame(CORNERS)[1, :, 0].tolist() == row
    assert Canvas.of(2, 3, "9", Padding(padding)).frame(CORNERS).shape == (9, 9, 3)


@pytest.mark.parametrize("size", ["2x2", "0", "big", "x7", "10x", "-4", "99999"])
def test_sizes_that_are_none_are_refused(size: str) -> None:
    with pytest.raises(UserError, match=f"--size {size}"):
        Canvas.of(2, 3, size, Padding.PAD)


def test_a_package_that_cannot_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a library of the system is missing."""
    monkeypatch.setattr(animations.importlib.util, "find_spec", lambda name: name)
    monkeypatch.setitem(sys.modules, "av", None)
    with (
        pytest.raises(UserError, match="the package av cannot be loaded"),
        open_animation(tmp_path / "a.mp4", frames=2, fps=1),
    ):
        pass
