"""Stacks: pages become images and channels modalities where that is wanted, else it is refused."""

import io
import zipfile
from pathlib import Path

import nibabel
import numpy as np
import pytest
import tifffile
from PIL import Image

from synthograph.archive.reader import open_archive
from synthograph.core.progress import Silent
from synthograph.core.record import UnreadableError, array_of
from synthograph.core.untrusted.containers import Folder
from synthograph.sources.base import Reading, SourceFile
from synthograph.sources.files import FileSourceOptions, read_files
from synthograph.sources.readers import FileDecoder, find_reader
from synthograph.sources.stacks import StackReader
from synthograph.sources.tiff_axes import described_axes
from synthograph.workflows import prepare
from synthograph.workflows.requests import PrepareRequest

GREY = np.random.default_rng(0).integers(0, 256, (3, 4, 2, 12, 16), np.uint8)
"""Time, depth, channel, height, width."""
DEEP = GREY.astype(np.uint16) * 257
PAGES = Reading(pages=True)


def saved(folder: Path, name: str, pixels: np.ndarray, **options: object) -> SourceFile:
    tifffile.imwrite(folder / name, pixels, **options)  # type: ignore[arg-type]
    return SourceFile(Folder(folder), name)


def images(file: SourceFile, reading: Reading) -> dict[str, np.ndarray]:
    """Name of every image -> its channels [h, w, n]."""
    reader = find_reader(file, reading)
    return {
        frame.name: array_of(reader.read(file, frame.name, reading)[0])
        for frame in reader.frames(file, reading)
    }


@pytest.mark.parametrize("pixels", [GREY[0, :, 0], DEEP[0, :, 0], DEEP[0, :, 0] / np.float32(7)])
@pytest.mark.parametrize(
    "options",
    [
        {"photometric": "minisblack"},
        {"photometric": "minisblack", "contiguous": False, "metadata": None},
        {"photometric": "minisblack", "byteorder": ">"},
        {"imagej": True},
        {"photometric": "minisblack", "metadata": {"axes": "ZYX"}},
        {"photometric": "minisblack", "compression": "zlib"},
        {"photometric": "minisblack", "ome": True},
    ],
)
def test_pages_are_images(tmp_path: Path, pixels: np.ndarray, options: dict[str, object]) -> None:
    file = saved(tmp_path, "a.tif", pixels, **options)
    with pytest.raises(UnreadableError, match="holds 4 pages; --pages takes each as an image"):
        FileDecoder((("image", file.container, file.name),))()
    found = images(file, PAGES)
    assert len(found) == 4
    for page, expected in zip(found.values(), pixels, strict=True):
        assert page.dtype == expected.dtype and np.array_equal(page[:, :, 0], expected)
    assert list(images(file, Reading(pages=True, every=3)).values())[1].tolist() == (
        pixels[3][:, :, None].tolist()
    )


@pytest.mark.parametrize("kind", ["imagej", "ome"])
def test_hyperstacks_have_slices_times_and_channels(tmp_path: Path, kind: str) -> None:
    file = saved(tmp_path, "a.tif", DEEP, **{kind: True}, metadata={"axes": "TZCYX"})
    with pytest.raises(UnreadableError, match="holds 2 channels; .* --channels c0,c1"):
        images(file, PAGES)
    with pytest.raises(UnreadableError, match="holds 12 pages; --pages"):
        images(file, Reading(channels=("a", "b")))
    with pytest.raises(UnreadableError, match="holds 2 channels, --channels names 3"):
        images(file, Reading(pages=True, channels=("a", "b", "c")))
    wanted = Reading(pages=True, channels=("a", "b"))
    found = images(file, wanted)
    assert list(found)[:5] == ["t0z0", "t0z1", "t0z2", "t0z3", "t1z0"]
    for t in range(3):
        for z in range(4):
            assert np.array_equal(found[f"t{t}z{z}"], DEEP[t, z].transpose(1, 2, 0))
    frames = list(StackReader().frames(file, Reading(pages=True, channels=("a", "b"), every=2)))
    assert [frame.name for frame in frames] == ["t0z0", "t0z2", "t1z0", "t1z2", "t2z0", "t2z2"]
    assert frames[3].columns == {"time": "1", "slice": "2"} and frames[3].group == "a"
    decoder = FileDecoder((("image", file.container, file.name),), None, "t1z2", wanted)
    assert [*decoder().modalities] == ["a", "b"]


def test_ome_names_channels_and_orders_planes(tmp_path: Path) -> None:
    told = {"axes": "CZYX", "Channel": {"Name": ["DAPI", "GFP 488"]}}
    file = saved(tmp_path, "a.ome.tif", DEEP[0].transpose(1, 0, 2, 3), metadata=told)
    with pytest.raises(UnreadableError, match=r"2 channels \(DAPI, GFP 488\); .* DAPI,GFP_488"):
        images(file, PAGES)
    found = images(file, Reading(pages=True, channels=("dapi", "gfp")))
    assert np.array_equal(found["z3"], DEEP[0, 3].transpose(1, 2, 0))


def test_planes_that_a_file_puts_in_another_order() -> None:
    data = "".join(
        f'<TiffData IFD="{ifd}" FirstZ="{z}" FirstC="{c}" PlaneCount="1"/>'
        for ifd, (z, c) in enumerate(((1, 1), (0, 0), (1, 0), (0, 1)))
    )
    text = (
        f'<OME><Image><Pixels DimensionOrder="XYZCT" SizeC="2" SizeT="1" SizeZ="2">{data}'
        '</Pixels></Image><Image><Pixels SizeZ="9"/></Image></OME>'
    )
    axes = described_axes(text, depth=1, size=(8, 8), samples=1)
    assert axes.letters == "cz" and axes.frames() == {"z0": [1, 3], "z1": [2, 0]}
    again = described_axes(text.replace('IFD="3"', 'IFD="0"'), depth=1, size=(8, 8), samples=1)
    assert not again.places


@pytest.mark.parametrize(
    "text",
    ["ImageJ=1\nimages=999999999\n", '{"shape": [99999999, 99999999, 12, 16]}', '{"shape": [[]]}']
    + ['<OME><Pixels SizeZ="999999999" SizeC="0" SizeT="999999999"/></OME>', "ImageJ=1\nimages=0"],
)
def test_descriptions_that_claim_too_much(tmp_path: Path, text: str) -> None:
    file = saved(tmp_path, "a.tif", GREY[0, 0, 0], description=text, metadata=None)
    with pytest.raises(UnreadableError):
        images(file, PAGES)
        raise UnreadableError("read as one image")


def test_channels_of_one_image(tmp_path: Path) -> None:
    bands = GREY[0].reshape(8, 12, 16)[:5]
    for name, pixels, planar in (
        ("a.tif", bands.transpose(1, 2, 0), "contig"),
        ("b.tif", bands, "separate"),
    ):
        file = saved(
            tmp_path, name, pixels, photometric="minisblack", planarconfig=planar, metadata=None
        )
        with pytest.raises(UnreadableError, match="5 channels of which .* --channels"):
            FileDecoder((("image", file.container, name),))()
        names = tuple("vwxyz")
        picture = FileDecoder((("image", file.container, name),), None, "", Reading(channels=names))
        found = picture().modalities
        assert [*found] == list(names)
        assert np.array_equal(array_of(found["y"])[:, :, 0], bands[3])
    rich = np.stack([DEEP[0, 0, 0], DEEP[0, 1, 0], DEEP[0, 2, 0]], axis=2)
    file = saved(tmp_path, "rich.tif", rich, photometric="rgb")
    wanted = Reading(channels=("red", "green", "blue"))
    found = FileDecoder((("image", file.container, file.name),), None, "", wanted)().modalities
    assert np.array_equal(array_of(found["green"])[:, :, 0], DEEP[0, 1, 0])
    with pytest.raises(UnreadableError, match="has 3 channels, --channels names 2"):
        FileDecoder((("i", file.container, file.name),), None, "", Reading(channels=("a", "b")))()
    few = saved(tmp_path, "few.tif", GREY[0, 0, :], photometric="minisblack", metadata=None)
    two = Reading(channels=("a", "b"))
    assert np.array_equal(images(few, two)[""], GREY[0, 0].transpose(1, 2, 0))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_frames_of_animations(tmp_path: Path, kind: str, mode: str) -> None:
    shades = [Image.fromarray(page) for page in GREY[0, :3, 0]]
    if mode == "RGB":
        shades = [Image.merge("RGB", (one, one.rotate(180), one)) for one in shades]
    name = f"a.{kind.lower()}"
    options: dict[str, object] = {"lossless": True} if kind == "WEBP" else {}
    shades[0].save(
        tmp_path / name, kind, save_all=True, append_images=shades[1:], duration=40, **options
    )
    file = SourceFile(Folder(tmp_path), name)
    with pytest.raises(UnreadableError, match="holds 3 animation frames; --pages takes"):
        FileDecoder((("image", file.container, name),))()
    found = images(file, PAGES)
    assert [*found] == ["p0", "p1", "p2"]
    colours = 1 if mode == "L" and kind != "WEBP" else 3
    for page, shade in zip(found.values(), shades, strict=True):
        assert page.shape == (12, 16, colours) and page.dtype == np.uint8
        expected = np.asarray(shade.convert("RGB"))[:, :, :colours]
        tolerance = 60 if kind == "GIF" and mode == "RGB" else 0  # 256 colours
        assert np.abs(page.astype(int) - expected).max() <= tolerance
    single = tmp_path / f"single.{kind.lower()}"
    shades[0].save(single, kind)
    assert not isinstance(
        find_reader(SourceFile(Folder(tmp_path), single.name), PAGES), StackReader
    )


def test_pages_in_colour_palette_and_white_is_zero(tmp_path: Path) -> None:
    pages = [Image.fromarray(page) for page in GREY[0, :2, 0]]
    for name, changed in (
        ("bits.tif", [p.point(lambda v: 255 * (v > 99), "1") for p in pages]),
        ("palette.tif", [p.convert("RGB").quantize(9) for p in pages]),
        ("lzw.tif", [p.convert("RGB") for p in pages]),
    ):
        changed[0].save(tmp_path / name, save_all=True, append_images=changed[1:])
        found = images(SourceFile(Folder(tmp_path), name), PAGES)
        for page, image in zip(found.values(), changed, strict=True):
            expected = np.asarray(image.convert("RGB"))
            assert np.array_equal(np.broadcast_to(page, expected.shape), expected)
    white = saved(tmp_path, "white.tif", DEEP[0, :, 0], photometric="miniswhite")
    assert np.array_equal(images(white, PAGES)["p2"][:, :, 0], 65535 - DEEP[0, 2, 0])
    rich = np.stack([DEEP[0, :2, 0]] * 3, axis=3)
    file = saved(tmp_path, "rich.tif", rich, photometric="rgb", metadata=None)
    assert np.array_equal(images(file, PAGES)["p1"], rich[1])


def test_empty_pages_are_left_out(tmp_path: Path) -> None:
    pixels = GREY[0, :, 0].copy()
    pixels[1] = 0
    pixels[3, 1:] = 0
    file = saved(tmp_path, "a.tif", pixels, photometric="minisblack")
    assert [*images(file, Reading(pages=True, min_foreground=0.2))] == ["p0", "p2"]


def test_pages_of_channels_without_a_meaning(tmp_path: Path) -> None:
    pixels = GREY[0].transpose(0, 2, 3, 1)
    file = saved(tmp_path, "a.tif", pixels, photometric="minisblack", planarconfig="contig")
    found = images(file, Reading(pages=True, channels=("a", "b")))
    assert np.array_equal(found["p2"], GREY[0, 2].transpose(1, 2, 0))


def test_pages_with_depth(tmp_path: Path) -> None:
    deep = saved(
        tmp_path, "a.tif", DEEP[0, :, 0], photometric="minisblack", tile=(16, 16), volumetric=True
    )
    with pytest.raises(UnreadableError, match="holds 4 pages"):
        FileDecoder((("image", deep.container, deep.name),))()
    found = images(deep, PAGES)
    assert np.array_equal(found["p3"][:, :, 0], DEEP[0, 3, 0])


def test_pages_with_depth_whose_channels_are_asked_for(tmp_path: Path) -> None:
    pixels = GREY.reshape(-1, 12, 16, 1)[:20].reshape(4, 12, 16, 5)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for _ in range(2):
            file.write(
                pixels,
                photometric="minisblack",
                planarconfig="contig",
                tile=(16, 16),
                volumetric=True,
                metadata=None,
            )
    with pytest.raises(UnreadableError, match="planes lie packed in one page; .* a page for each"):
        images(SourceFile(Folder(tmp_path), "a.tif"), Reading(pages=True, channels=tuple("vwxyz")))


def test_damaged_stacks(tmp_path: Path) -> None:
    for n, options in enumerate(({"imagej": True}, {"photometric": "minisblack"})):
        whole = saved(tmp_path, f"{n}.tif", DEEP[0, :, 0], **options).read()
        for share in (0.1, 0.5, 0.8, 0.99):
            (tmp_path / "cut.tif").write_bytes(whole[: int(share * len(whole))])
            with pytest.raises(UnreadableError):
                images(SourceFile(Folder(tmp_path), "cut.tif"), PAGES)


def test_pages_share_group_label_split_and_mask(tmp_path: Path) -> None:
    source, masks = tmp_path / "in", tmp_path / "masks"
    for n in range(8):
        folder = source / ("train" if n < 6 else "test") / ("a" if n % 2 else "b")
        folder.mkdir(parents=True, exist_ok=True)
        other = masks / folder.relative_to(source)
        other.mkdir(parents=True, exist_ok=True)
        pixels = np.roll(GREY[n % 3, :, 0], n, axis=1)
        saved(folder, f"s{n}.tif", pixels, imagej=True)
        saved(other, f"s{n}.tif", pixels // 200, photometric="minisblack")
    request = PrepareRequest(
        source=source,
        dest=tmp_path / "out.zip",
        masks=masks,
        pages=True,
        size=16,
        transform="stretch",
        workers=1,
        folders="split/class",
    )
    prepare.run(request, progress=Silent())
    archive = open_archive(tmp_path / "out.zip")
    assert len(archive.rows) == 32
    rows = [row for row in archive.rows if row.group == "train/b/s0"]
    assert len(rows) == 4 and {(row.split, row.label) for row in rows} == {("train", "b")}
    assert {row.columns["page"] for row in rows} == set("0123")
    assert {row.split for row in archive.rows if row.group == "test/a/s7"} == {"test"}
    with zipfile.ZipFile(tmp_path / "out.zip") as packed:
        assert sum(name.startswith("masks/") for name in packed.namelist()) == 32


@pytest.mark.parametrize("every", [1, 4])
def test_one_mask_or_partner_is_not_that_of_every_page(tmp_path: Path, every: int) -> None:
    for folder in ("in", "masks", "nir"):
        (tmp_path / folder).mkdir()
    saved(tmp_path / "in", "a.tif", GREY[0, :, 0], photometric="minisblack")
    for folder in ("masks", "nir"):
        Image.fromarray(GREY[0, 0, 0] // 200).save(tmp_path / folder / "a.png")
    reading = Reading(pages=True, every=every)
    options = FileSourceOptions(source=tmp_path / "in", masks=tmp_path / "masks", reading=reading)
    found = read_files(options)
    (reject,) = found.rejects
    assert not found.items
    assert reject.reason.startswith("masks file 'a.png' is one image, 'a.tif' holds 4; save it")
    nir = {"nir": tmp_path / "nir"}
    options = FileSourceOptions(source=tmp_path / "in", modalities=nir, reading=reading)
    (reject,) = read_files(options).rejects
    assert reject.reason.startswith("nir file 'a.png' is one image")


def test_a_mask_of_one_page_is_that_of_a_file_of_one_page(tmp_path: Path) -> None:
    for folder in ("in", "masks"):
        (tmp_path / folder).mkdir()
    bands = GREY[0].reshape(8, 12, 16)[:5].transpose(1, 2, 0)
    told = {"photometric": "minisblack", "planarconfig": "contig", "metadata": None}
    saved(tmp_path / "in", "a.tif", bands, **told)
    Image.fromarray(GREY[0, 0, 0] // 200).save(tmp_path / "masks" / "a.png")
    options = FileSourceOptions(
        source=tmp_path / "in",
        masks=tmp_path / "masks",
        reading=Reading(pages=True, channels=tuple("vwxyz")),
    )
    (item,) = read_files(options).items
    assert item.decode().mask is not None


def test_pseudonyms_stand_for_names_of_files(tmp_path: Path) -> None:
    secret, source = "Zanzibar", tmp_path / "in"
    source.mkdir()
    affine = np.eye(4)
    for n in range(3):
        saved(source, f"{secret}-{n}.tif", np.roll(GREY[n, :, 0], n), imagej=True)
        volume = nibabel.Nifti1Image(np.roll(GREY[n, :, 1], n).transpose(1, 2, 0), affine)
        nibabel.save(volume, source / f"{secret}_{n}.nii.gz")
        nibabel.save(volume, source / f"sub-{secret}{n}_T1w.nii")
    (tmp_path / "salt").write_bytes(b"0123456789abcdef")
    request = PrepareRequest(
        source=source,
        dest=tmp_path / "out.zip",
        pages=True,
        size=16,
        transform="stretch",
        workers=1,
        pseudonymise=tmp_path / "salt",
    )
    result = prepare.run(request, progress=Silent())
    assert isinstance(result, prepare.PrepareResult) and result.summary.groups == 9
    with zipfile.ZipFile(tmp_path / "out.zip") as packed:
        assert not any(secret.encode() in packed.read(name) for name in packed.namelist())


def test_a_patient_has_one_pseudonym_wherever_the_name_comes_from(tmp_path: Path) -> None:
    """From a folder, since all files of that depth lie in one, and from names of files."""
    for n in range(3):
        volume = nibabel.Nifti1Image(np.roll(GREY[0, :, 0], n).transpose(1, 2, 0), np.eye(4))
        for place in ("anat", "ses-2/anat"):
            folder = tmp_path / "in" / f"sub-Zanzibar{n}" / place
            folder.mkdir(parents=True)
            nibabel.save(volume, folder / f"sub-Zanzibar{n}_T1w.nii.gz")
    (tmp_path / "salt").write_bytes(b"0123456789abcdef")
    request = PrepareRequest(
        source=tmp_path / "in", dest=tmp_path / "out.zip", size=16, transform="stretch",
        workers=1, pseudonymise=tmp_path / "salt", invariant=("none",),
    )  # fmt: skip
    result = prepare.run(request, progress=Silent())
    assert isinstance(result, prepare.PrepareResult) and result.summary.groups == 3
    with zipfile.ZipFile(tmp_path / "out.zip") as packed:
        assert not any(b"Zanzibar" in packed.read(name) for name in packed.namelist())


def test_stacks_in_zip_files(tmp_path: Path) -> None:
    stream = io.BytesIO()
    tifffile.imwrite(stream, DEEP[0, :, 0], imagej=True)
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as packed:
        packed.writestr("a/s.tif", stream.getvalue())
        packed.writestr("a/t.tif", stream.getvalue())
    found = read_files(FileSourceOptions(source=tmp_path / "set.zip", reading=PAGES))
    assert len(found.items) == 8 and not found.rejects
    pixels = found.items[2].decode().modalities["image"]
    assert np.array_equal(array_of(pixels)[:, :, 0], DEEP[0, 2, 0])
