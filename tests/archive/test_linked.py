"""Archives that link to their images: read as any other, and checked against what they name."""

import dataclasses
import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import synthograph as sg
from synthograph.archive.batches import ArchiveRows, rows_of_split
from synthograph.archive.cache import cache_order, pixel_cache
from synthograph.archive.describe import describe
from synthograph.archive.linked import linked
from synthograph.archive.manifest import Row
from synthograph.archive.reader import Archive, ArchiveInfo, open_archive
from synthograph.archive.split import SplitOptions, split_archive
from synthograph.archive.stream import TrainingStream
from synthograph.archive.writer import ArchiveWriter, encode
from synthograph.core.errors import UserError
from synthograph.core.seeds import Streams
from synthograph.core.spec import ImageSpec
from tests.conftest import make_archive
from tests.workflows.test_mix import synthetic


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an archive, split, and a set of a generator that saw its training images."""
    folder = tmp_path_factory.mktemp("linked")
    real = make_archive(folder / "real.zip", count=40)
    split_archive(real, SplitOptions(test=0.2, val=0.2))
    synthetic(folder / "made.zip", real)
    return folder


@pytest.fixture
def real(tmp_path: Path, built: Path) -> Path:
    return shutil.copyfile(built / "real.zip", tmp_path / "real.zip")


@pytest.fixture
def made(tmp_path: Path, built: Path) -> Path:
    return shutil.copyfile(built / "made.zip", tmp_path / "made.zip")


def mix(real: Path, made: Path, dest: Path, **options: object) -> Archive:
    sg.mix(real, synthetic=(made,), add="5", dest=dest, **options)
    return open_archive(dest)


def pixels_of(rows: ArchiveRows) -> np.ndarray:
    return np.concatenate([batch.numpy() for batch in rows.images.batches()])


@pytest.mark.parametrize("name", ["linked.zip", "linked"])
def test_a_mixture_of_links_is_the_mixture_of_copies(
    real: Path, made: Path, tmp_path: Path, name: str
) -> None:
    full = mix(real, made, tmp_path / "full.zip")
    links = mix(real, made, tmp_path / name, link=True)
    assert links.rows == full.rows
    assert links.info == full.info
    assert links.images_hash == full.images_hash
    for row in (full.rows[0], full.rows[-1]):
        assert np.array_equal(links.read(row), full.read(row))
    for split in ("train", "val"):
        one, other = (rows_of_split(archive, split) for archive in (full, links))
        assert one.pixels == other.pixels
        assert one.groups == other.groups
        assert np.array_equal(pixels_of(one), pixels_of(other))
    batches = [TrainingStream(a, a.rows, Streams(0)).batch(0, 7)[0] for a in (full, links)]
    assert bool((batches[0] == batches[1]).all())


def test_it_holds_no_pixels_and_becomes_a_full_archive_by_one_command(
    real: Path, made: Path, tmp_path: Path
) -> None:
    before = mix(real, made, tmp_path / "linked", link=True)
    facts: dict = {}
    describe(tmp_path / "linked", facts)
    assert [Path(each).name for each in facts["images lie in"]] == [real.name, made.name]
    names = {path.name for path in (tmp_path / "linked").iterdir()}
    assert names == {"links.json", "manifest.csv", "dataset.json"}
    sg.convert(tmp_path / "linked", tmp_path / "full.zip")
    hash_before = before.images_hash
    real.unlink()
    made.unlink()
    after = open_archive(tmp_path / "full.zip")
    assert (after.rows, after.images_hash) == (before.rows, hash_before)
    assert after.info == before.info
    describe(tmp_path / "full.zip", {})


@pytest.mark.parametrize("move", ["all", "beside", "alone", "sources"])
def test_archives_may_move(real: Path, made: Path, tmp_path: Path, move: str) -> None:
    home, other = tmp_path / "study", tmp_path / "other"
    home.mkdir()
    pixels = mix(real, made, home / "linked.zip", link=True)
    first = pixels.read(pixels.rows[0])
    other.mkdir()
    moved = home if move == "sources" else other / "study"
    moved.mkdir(exist_ok=True)
    if moved != home:
        shutil.move(home / "linked.zip", moved / "linked.zip")
    for path in (real, made):
        if move == "all":
            shutil.move(path, other / path.name)
        elif move in ("beside", "sources"):
            shutil.move(path, moved / path.name)
    archive = open_archive(moved / "linked.zip")
    assert np.array_equal(archive.read(archive.rows[0]), first)
    assert sum(1 for _ in archive.items()) == len(archive.rows)
    assert archive.items()[0].decode().modalities["image"].shape == (16, 16, 3)


def test_a_source_that_is_gone_or_changed_is_named_with_a_way_out(
    real: Path, made: Path, tmp_path: Path
) -> None:
    mix(real, made, tmp_path / "linked.zip", link=True)
    kept = real.read_bytes()
    real.unlink()
    with pytest.raises(UserError, match=r"real\.zip is not there: put .* make linked\.zip again"):
        open_archive(tmp_path / "linked.zip")
    make_archive(real, count=40, seed=1)
    with pytest.raises(UserError, match=r"real\.zip: 00000/img\d+\.png has changed"):
        open_archive(tmp_path / "linked.zip")
    real.write_bytes(b"no archive")
    with pytest.raises(UserError, match=r"real\.zip"):
        open_archive(tmp_path / "linked.zip")
    real.write_bytes(kept)
    open_archive(tmp_path / "linked.zip")


def test_images_that_joined_a_source_and_other_splits_change_nothing(
    real: Path, made: Path, tmp_path: Path
) -> None:
    before = mix(real, made, tmp_path / "linked.zip", link=True)
    hash_before = before.images_hash
    split_archive(real, SplitOptions(test=0.3, val=0.3, seed=5), force=True)
    assert open_archive(tmp_path / "linked.zip").rows == before.rows
    shutil.copytree(unpacked(real, tmp_path / "folder"), tmp_path / "copy")
    after = open_archive(tmp_path / "linked.zip")
    assert after.images_hash == hash_before
    assert np.array_equal(pixels_of(rows_of_split(after, "val")), pixels_of(val_of(before)))


def val_of(archive: Archive) -> ArchiveRows:
    return rows_of_split(archive, "val")


def unpacked(path: Path, folder: Path) -> Path:
    shutil.unpack_archive(path, folder)
    return folder


def test_a_folder_that_was_copied_is_known_by_its_pixels(tmp_path: Path) -> None:
    """Copies have other times, so that their files are read once more."""
    make_archive(tmp_path / "real", count=8, split="train")
    one = linked(
        open_archive(tmp_path / "real"),
        open_archive(tmp_path / "real").rows[:5],
        tmp_path / "fold.zip",
    )
    want = one.read(one.rows[4])
    shutil.copytree(tmp_path / "real", tmp_path / "new" / "real", copy_function=shutil.copyfile)
    shutil.rmtree(tmp_path / "real")
    shutil.move(tmp_path / "fold.zip", tmp_path / "new" / "fold.zip")
    again = open_archive(tmp_path / "new" / "fold.zip")
    assert np.array_equal(again.read(again.rows[4]), want)
    assert again.sources[0].images_hash
    assert pixels_of(ArchiveRows(again, again.rows)).shape == (5, 3, 16, 16)


def test_folds_are_other_splits_of_the_same_patients(real: Path, tmp_path: Path) -> None:
    whole = open_archive(real)
    turned = {"train": "val", "val": "test", "test": "train"}
    rows = [dataclasses.replace(row, split=turned[row.split or ""]) for row in whole.rows]
    fold = linked(whole, rows, tmp_path / "fold0.zip")
    assert fold.images_hash == whole.images_hash
    assert fold.rows == rows
    assert rows_of_split(fold, "val").groups == rows_of_split(whole, "train").groups
    with pytest.raises(UserError, match="exists"):
        linked(whole, rows, tmp_path / "fold0.zip")
    with pytest.raises(UserError, match="one of the inputs"):
        linked(fold, rows, real, replace=True)


def test_links_of_links_lead_to_the_images(real: Path, made: Path, tmp_path: Path) -> None:
    whole = open_archive(real)
    linked(whole, whole.rows, tmp_path / "fold.zip")
    cell = mix(tmp_path / "fold.zip", made, tmp_path / "cell.zip", link=True)
    (tmp_path / "fold.zip").unlink()
    assert open_archive(tmp_path / "cell.zip").images_hash == cell.images_hash
    assert {source.path.name for source in cell.sources} == {"real.zip", "made.zip"}
    split_archive(tmp_path / "cell.zip", SplitOptions(seed=3), force=True)
    assert open_archive(tmp_path / "cell.zip").images_hash == cell.images_hash


def test_masks_and_modalities_come_along(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    spec = ImageSpec(height=16, width=16, modalities={"vis": 3, "nir": 1})
    writer = ArchiveWriter(tmp_path / "two.zip", {"test": 1})
    for number in range(4):
        images = {
            name: rng.integers(0, 256, (16, 16, n)).astype(np.uint8)
            for name, n in spec.modalities.items()
        }
        mask = rng.integers(0, 3, (16, 16)).astype(np.uint8) if number else None
        writer.add([encode(images, mask, Row("", None, f"P{number}", split="train"))])
    writer.finish(ArchiveInfo(spec=spec, namespace="two"))
    whole = open_archive(tmp_path / "two.zip")
    some = linked(whole, whole.rows[:2], tmp_path / "some.zip")
    assert some.read_mask(some.rows[0]) is None
    mask = some.read_mask(some.rows[1])
    assert mask is not None
    assert np.array_equal(mask, whole.read_mask(whole.rows[1]))
    assert np.array_equal(pixels_of(ArchiveRows(some, some.rows[1:]))[0], whole.read(whole.rows[1]))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d["sources"].clear(), "lies in archive 0, which is not named"),
        (lambda d: d.update(format=2), "format"),
        (lambda d: d["sources"][0].update(paths=["/etc"]), "has no .* make fold again"),
        (lambda d: d["images"].clear(), "which is not there"),
        (lambda d: first(d).update(file="/etc/passwd"), "is not a path inside the archive"),
        (lambda d: first(d).update(file="none.png"), "which is not there|has no none.png"),
        (lambda d: first(d).update(sha256={"": "0"}), "sha256"),
        (lambda d: d["sources"][0].update(paths=["fold"]), "links to some"),
    ],
)
def test_links_of_others_are_data(real: Path, tmp_path: Path, change: object, message: str) -> None:
    whole = open_archive(real)
    linked(whole, whole.rows, tmp_path / "fold")
    path = tmp_path / "fold" / "links.json"
    document = json.loads(path.read_text())
    change(document)  # type: ignore[operator]
    path.write_text(json.dumps(document))
    with pytest.raises(UserError, match=message):
        archive = open_archive(tmp_path / "fold")
        for row in archive.rows:
            archive.read(row)


def test_hashes_of_a_stranger_name_no_cache(tmp_path: Path) -> None:
    """Links that call other images by the hashes of somebody's archive, which they fit well."""
    victim, other = (
        open_archive(make_archive(tmp_path / f"{seed}", count=8, seed=seed)) for seed in (101, 102)
    )
    linked(other, other.rows, tmp_path / "crafted")
    path = tmp_path / "crafted" / "links.json"
    document = json.loads(path.read_text())
    document["sources"][0]["images_hash"] = victim.images_hash
    for file, image in document["images"].items():
        image["sha256"] = {"": victim.digests[file]}
    path.write_text(json.dumps(document))
    crafted = open_archive(tmp_path / "crafted")
    assert crafted.images_hash == other.images_hash
    rows = ArchiveRows(crafted, crafted.rows)
    assert rows.images.key != ArchiveRows(victim, victim.rows).images.key
    pixels_of(rows)
    pixels, order = pixel_cache(victim), cache_order(victim)
    for row in victim.rows:
        assert np.array_equal(pixels[order[row.file]], victim.read(row))


def test_images_of_a_source_that_changes_are_hashed_anew(tmp_path: Path) -> None:
    source = open_archive(make_archive(tmp_path / "a", count=8, seed=1))
    for name in ("one", "other"):
        linked(source, source.rows, tmp_path / name)
        assert open_archive(tmp_path / name).images_hash == source.images_hash
    changed = tmp_path / "a" / source.rows[0].file
    changed.write_bytes((tmp_path / "a" / source.rows[1].file).read_bytes())
    document = json.loads((tmp_path / "one" / "links.json").read_text())
    first(document)["sha256"][""] = hashlib.sha256(changed.read_bytes()).hexdigest()
    (tmp_path / "one" / "links.json").write_text(json.dumps(document))
    again = open_archive(tmp_path / "one")
    assert again.images_hash == open_archive(tmp_path / "a").images_hash != source.images_hash


def first(document: dict) -> dict:
    return next(iter(document["images"].values()))
