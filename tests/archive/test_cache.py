"""The pixel cache is built once and made again when it is damaged."""

import errno
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from synthograph.archive import cache as module
from synthograph.archive.cache import cache_order, pixel_cache
from synthograph.archive.png import encode_png
from synthograph.archive.reader import Archive, open_archive
from synthograph.archive.split import SplitOptions, split_archive
from synthograph.core.errors import DiskFullError, UserError
from synthograph.core.halves import half_path

Make = Callable[..., Archive]


@pytest.fixture
def builds(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The paths of all caches that are built."""
    built: list[Path] = []
    build = module._build

    def counted(archive: Archive, path: Path, *rest: object) -> None:
        built.append(path)
        build(archive, path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "_build", counted)
    return built


@pytest.mark.parametrize("bits", [8, 16])
def test_pixels_in_the_order_of_names(make_archive: Make, bits: int) -> None:
    archive = make_archive(
        bits=bits, modalities={"vis": 3, "nir": 1} if bits == 8 else {"image": 1}
    )
    pixels, order = pixel_cache(archive), cache_order(archive)
    assert pixels.dtype == (np.uint8 if bits == 8 else np.uint16)
    assert pixels.shape == (6, archive.info.spec.channels, 8, 8) and not pixels.flags.writeable
    for row in archive.rows:
        assert np.array_equal(pixels[order[row.file]], archive.read(row))


def test_it_is_built_once_for_zip_folder_and_any_split(
    make_archive: Make, builds: list[Path], cache: Path
) -> None:
    pixel_cache(make_archive("a.zip", count=40))
    pixel_cache(make_archive("a", count=40))
    pixel_cache(split_archive(make_archive("b", count=40).path, SplitOptions()))
    assert len(builds) == 1 and builds[0].parent == cache / "pixels"
    pixel_cache(make_archive("c", count=7))
    assert len(builds) == 2


@pytest.mark.parametrize(
    "damage", ["cut", "empty", "garbage", "header", "other shape", "other kind"]
)
def test_a_damaged_cache_is_made_again(make_archive: Make, builds: list[Path], damage: str) -> None:
    archive = make_archive()
    expected = np.array(pixel_cache(archive))
    path = builds[0]
    data = path.read_bytes()
    if damage == "other shape":
        np.save(path, expected[:, :1])
    elif damage == "other kind":
        np.save(path, expected.astype(np.int8))
    else:
        broken = {"cut": data[:-1], "empty": b"", "garbage": b"PK\3\4" + data, "header": data[:12]}
        path.write_bytes(broken[damage])
    assert np.array_equal(pixel_cache(archive), expected)
    assert len(builds) == 2 and path.read_bytes() == data


def test_a_wrong_image_leaves_no_cache(make_archive: Make, cache: Path) -> None:
    archive = make_archive("a")
    bad = archive.path / archive.rows[4].file
    bad.write_bytes(encode_png(np.zeros((9, 8, 3), np.uint8)))
    with pytest.raises(UserError, match="img00000004.png is 8x9"):
        pixel_cache(open_archive(archive.path))
    assert [p.suffix for p in (cache / "pixels").iterdir()] in ([], [".lock"])


def test_a_declared_size_is_not_believed(make_archive: Make, cache: Path) -> None:
    archive = make_archive("a")
    path = archive.path / "dataset.json"
    path.write_text(path.read_text().replace('"height": 8', '"height": 65536'))
    with pytest.raises(UserError, match="img00000000.png is 8x8"):
        pixel_cache(open_archive(archive.path))
    assert not list((cache / "pixels").glob("*.npy"))


def test_a_cache_that_cannot_be_written(
    make_archive: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = make_archive()
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="file"), monkeypatch.context() as patch:
        patch.setenv("SYNTHOGRAPH_CACHE", str(tmp_path / "file"))
        pixel_cache(archive)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", full)
    with pytest.raises(DiskFullError):
        pixel_cache(archive)


def test_halves_of_a_kill_go_and_a_whole_cache_needs_no_writing(
    make_archive: Make, builds: list[Path], cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = make_archive(count=9)
    pixel_cache(archive)
    path = builds[0]
    left = path.with_name(f".{path.name[:40]}.00000000-1-00000000-00000000.tmp")
    half = half_path(path)  # of this length names are cut
    half.touch()
    left.touch()
    path.unlink()
    pixel_cache(archive)
    assert path.exists() and not half.exists() and left.exists()

    def closed(name: str) -> None:
        pytest.fail("the cache is whole")

    monkeypatch.setattr(module, "cache_part", closed)
    pixel_cache(archive)
