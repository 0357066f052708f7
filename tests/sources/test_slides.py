"""Whole slides: tiles of tissue at a scale, without ink and blur, a few of each slide."""

import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from synthograph.archive.reader import open_archive
from synthograph.core.errors import UserError
from synthograph.core.progress import Silent
from synthograph.core.pseudonyms import pseudonym
from synthograph.core.record import UnreadableError, UnwantedError, array_of
from synthograph.core.untrusted.containers import Folder, open_container
from synthograph.sources import slides
from synthograph.sources.base import AS_IT_COMES, Dicom, Reading, Slides, SourceFile
from synthograph.sources.readers import find_reader, frames_of
from synthograph.sources.slides import SlideReader, overview, sharpness, sketch
from synthograph.workflows import prepare
from synthograph.workflows.requests import PrepareRequest

openslide = pytest.importorskip("openslide")
SIDE = 512


def painted() -> np.ndarray:
    """Paper; tissue at the left, a blurred half of it below; a pen stroke at the right."""
    random = np.random.default_rng(0)
    slide = np.full((SIDE, SIDE, 3), 240, np.uint8)
    slide[:, :256] = (190, 110, 170)
    noise = random.integers(-30, 30, (256, 256, 1))
    slide[:256, :256] = np.clip(slide[:256, :256].astype(int) + noise, 0, 255)
    slide[:, 448:480] = (20, 160, 60)
    return slide


def write(path: Path, *, scaled: bool = True) -> SourceFile:
    told = {"tile": (128, 128), "photometric": "rgb", "compression": "deflate"}
    slide = painted()
    with tifffile.TiffWriter(path) as file:
        for step in (1, 2, 4):
            scale = {"resolution": (20000 / step,) * 2, "resolutionunit": "CENTIMETER"}
            more = scale if scaled else {}
            file.write(slide[::step, ::step], subfiletype=int(step > 1), **told, **more)
    return SourceFile(Folder(path.parent), path.name)


def reading(**wanted: object) -> Reading:
    return Reading(slides=Slides(**{"tile": 64, "mpp": 0.5, **wanted}))  # type: ignore[arg-type]


def corners(file: SourceFile, how: Reading) -> list[str]:
    return [frame.name for frame in frames_of(file, how)]


def test_tiff_files_are_slides_where_slides_are_wanted(tmp_path: Path) -> None:
    file = write(tmp_path / "a.tif")
    assert isinstance(find_reader(file, reading()), SlideReader)
    assert not isinstance(find_reader(file, AS_IT_COMES), SlideReader)
    Image.new("RGB", (80, 80)).save(tmp_path / "plain.tif")
    plain = SourceFile(file.container, "plain.tif")
    assert not isinstance(find_reader(plain, reading()), SlideReader)


def test_tiles_are_those_of_openslide_at_the_scale(tmp_path: Path) -> None:
    file = write(tmp_path / "a.tif")
    full, half = reading(), reading(mpp=1.0)
    assert len(corners(file, full)) == 32 and len(corners(file, half)) == 8
    reader = find_reader(file, full)
    tile = array_of(reader.read(file, "x64y128", full)[0])
    assert np.array_equal(tile, painted()[128:192, 64:128])
    coarse = array_of(reader.read(file, "x128y0", half)[0])
    assert np.array_equal(coarse, painted()[:128:2, 128:256:2])
    between = array_of(reader.read(file, "x0y0", reading(mpp=0.75))[0])
    assert between.shape == (64, 64, 3)
    frame = next(iter(frames_of(file, half)))
    assert frame.group == "a" and frame.columns["mpp"] == "1" and frame.columns["slide_x"] == "0"
    hidden = replace(half, dicom=Dicom(salt=b"0123456789abcdef"))
    assert next(iter(frames_of(file, hidden))).group == pseudonym(b"0123456789abcdef", "a")


def test_tissue_is_found_and_ink_is_not(tmp_path: Path) -> None:
    file = write(tmp_path / "a.tif")
    seen = overview(openslide.OpenSlide(tmp_path / "a.tif"))
    assert seen.tissue[:, :250].mean() > 0.95 and not seen.tissue[:, 260:].any()
    assert seen.pen[:, 452:476].all() and not seen.pen[:, :256].any()
    names = corners(file, reading(tissue=0.0))
    assert len(names) == 56 and not any(name.startswith("x448") for name in names)


def test_blurred_tiles_are_left_out(tmp_path: Path) -> None:
    file, wanted, sharp = write(tmp_path / "a.tif"), reading(sharpness=10.0), []
    for name in corners(file, wanted):
        try:
            SlideReader().read(file, name, wanted)
            sharp.append(name)
        except UnwantedError as error:
            assert "tiles blurred (sharpness below 10)" in str(error)
    assert len(sharp) == 16 and all(int(name.split("y")[1]) < 256 for name in sharp)
    flat = Image.new("RGB", (8, 8), (9, 9, 9))
    assert sharpness(flat) == 0.0


def test_a_draw_is_the_same_each_time_and_differs_between_slides(tmp_path: Path) -> None:
    one, two = write(tmp_path / "a.tif"), write(tmp_path / "b.tif")
    few = reading(per_slide=5)
    assert corners(one, few) == corners(one, few) != corners(two, few)
    assert corners(one, few) != corners(one, reading(per_slide=5, seed=1))
    assert len(corners(one, few)) == 5


def test_overlap_and_edges(tmp_path: Path) -> None:
    file = write(tmp_path / "a.tif")
    names = corners(file, reading(tile=64, overlap=32, tissue=0.99))
    assert "x32y0" in names and "x448y448" not in names
    assert not corners(file, reading(tile=1024))


def test_what_cannot_be_cut_is_said(tmp_path: Path) -> None:
    file = write(tmp_path / "a.tif")
    with pytest.raises(UnreadableError, match="coarser than --mpp 0.25"):
        corners(file, reading(mpp=0.25))
    bare = write(tmp_path / "bare.svs", scaled=False)
    with pytest.raises(UnreadableError, match="does not say its scale"):
        corners(bare, reading())
    assert corners(bare, reading(mpp=None))
    with pytest.raises(UnreadableError, match="give their side and scale"):
        corners(bare, AS_IT_COMES)
    (tmp_path / "text.svs").write_bytes(b"no slide")
    with pytest.raises(UnreadableError, match="damaged or of an unknown variant"):
        corners(SourceFile(file.container, "text.svs"), reading())
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as packed:
        packed.write(tmp_path / "bare.svs", "a.svs")
    packed_file = SourceFile(open_container(tmp_path / "in.zip", "SOURCE"), "a.svs")
    with pytest.raises(UnreadableError, match="unpack it"):
        corners(packed_file, reading())
    with pytest.raises(UnreadableError, match="no mask"):
        SlideReader().read_mask(bare, "x0y0", reading())


def test_an_archive_of_tiles_with_a_sheet(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    file = write(tmp_path / "in" / "a.tif")
    request = PrepareRequest(
        source=tmp_path / "in",
        dest=tmp_path / "o.zip",
        tile=64,
        mpp=1.0,
        per_slide=4,
        slide_sheet=tmp_path / "s.png",
    )
    result = prepare.run(request, progress=Silent())
    assert isinstance(result, prepare.PrepareResult)
    assert result.summary.images == 4 and result.summary.groups == 1
    assert (tmp_path / "s.png").read_bytes().startswith(b"\x89PNG")
    sheet = sketch(file, reading(), [(0, 0)], 256)
    assert sheet.shape == (256, 256, 3) and tuple(sheet[0, 5]) == (0, 90, 200)
    wrong = request.model_copy(
        update={"tile": None, "dest": tmp_path / "x.zip", "slide_sheet": None}
    )
    with pytest.raises(UserError, match="give their side"):
        prepare.run(wrong, progress=Silent())


def test_tiles_are_judged_and_read_once_until_enough_are_sharp(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "in").mkdir()
    for name in ("a", "b"):
        write(tmp_path / "in" / f"{name}.tif")
    read: list[tuple[int, int]] = []
    tile = slides._tile
    monkeypatch.setattr(slides, "_tile", lambda s, x, y, w: read.append((x, y)) or tile(s, x, y, w))
    wanted = {"tile": 64, "mpp": 0.5, "per_slide": 6, "min_sharpness": 10.0}
    request = PrepareRequest(source=tmp_path / "in", dest=tmp_path / "o.zip", workers=1, **wanted)
    result = prepare.run(request, progress=Silent())
    assert isinstance(result, prepare.PrepareResult)
    blurred = result.summary.left_out["tiles blurred (sharpness below 10)"]
    assert result.summary.images == 12 and len(read) == 12 + blurred and blurred > 2
    rows = open_archive(tmp_path / "o.zip").rows
    assert all(int(row.columns["slide_y"]) < 256 for row in rows)
    assert [row.group for row in rows] == ["a"] * 6 + ["b"] * 6
    for part in ("1/3", "2/3", "3/3"):
        other = request.model_copy(update={"dest": tmp_path / "p.zip", "part": part})
        prepare.run(other, progress=Silent())
    many = request.model_copy(update={"dest": tmp_path / "p.zip", "workers": 2})
    prepare.run(many, progress=Silent())
    assert open_archive(tmp_path / "p.zip").rows == rows
    none = request.model_copy(update={"dest": tmp_path / "n.zip", "min_sharpness": 1e6})
    with pytest.raises(UserError, match=r"no image is left: 64 tiles blurred .* ask less"):
        prepare.run(none, progress=Silent())


def test_tissue_of_a_slide_without_small_copies_is_found_in_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scale = {"resolution": (20000, 20000), "resolutionunit": "CENTIMETER"}
    large = np.kron(painted(), np.ones((5, 5, 1), np.uint8))
    path = tmp_path / "a.svs"
    tifffile.imwrite(path, large, tile=(256, 256), photometric="rgb", **scale)
    whole = overview(openslide.OpenSlide(path))
    monkeypatch.setattr(slides, "_WHOLE", 1 << 18)
    blocks = overview(openslide.OpenSlide(path))
    assert whole.picture.shape == blocks.picture.shape == (2048, 2048, 3)
    assert (whole.tissue != blocks.tissue).mean() < 0.01
    inside = whole.picture[40:1000, 1100:1700].astype(int) - blocks.picture[40:1000, 1100:1700]
    assert np.abs(inside).max() <= 1
    monkeypatch.setattr(slides, "_LARGEST", 1 << 20)
    with pytest.raises(UnreadableError, match="its smallest copy is 2560x2560 pixels: save it as"):
        overview(openslide.OpenSlide(path))
    with pytest.raises(UnreadableError, match="no copy near that scale: a tile of it is 1000x1000"):
        SlideReader().read(SourceFile(Folder(tmp_path), "a.svs"), "x0y0", reading(tile=50, mpp=10))
