"""`synthograph domain-gap` as it is typed."""

import csv
import io
import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from synthograph.archive.split import SplitOptions, split_archive
from synthograph.features import registry
from synthograph.features.base import MissingWeightsError
from synthograph.metrics import maps
from tests.cli.conftest import Typed
from tests.conftest import make_archive
from tests.metrics.images import Means

FILES = ["domain-gap.json", "map.png", "map.svg", "sprite.png"]


@pytest.fixture
def gap(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> Typed:
    """The verb with features that take no time."""
    monkeypatch.setattr(registry, "extractor", lambda name, **_: Means(name))
    monkeypatch.setattr(maps, "_has_umap", lambda: False)

    def call(*words: object) -> tuple[int, str, str]:
        return typed("domain-gap", *words)

    return call


def two(folder: Path) -> tuple[Path, Path]:
    """The same kind of noise, and one of another namespace with brighter images."""
    one = make_archive(folder / "one.zip", count=40, seed=1)
    other = unpacked(make_archive(folder / "other.zip", count=30, seed=2), "other-hospital")
    return one, other


def unpacked(archive: Path, namespace: str, **cells: str) -> Path:
    """As a folder of another namespace, with other cells in every row of its manifest."""
    folder = archive.with_suffix("")
    shutil.unpack_archive(archive, folder)
    about = json.loads((folder / "dataset.json").read_text())
    (folder / "dataset.json").write_text(json.dumps(about | {"namespace": namespace}))
    manifest = folder / "manifest.csv"
    rows = [row | cells for row in csv.DictReader(io.StringIO(manifest.read_text()))]
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    manifest.write_text("\n".join(lines) + "\n")
    return folder


def test_classes_stay_in_the_names_of_sets_whose_files_are_called_alike(
    gap: Typed, tmp_path: Path
) -> None:
    one, other = two(tmp_path)
    (tmp_path / "a").mkdir()
    one.rename(tmp_path / "a" / "x")
    (tmp_path / "b").mkdir()
    other.rename(tmp_path / "b" / "x")
    table = io.StringIO((tmp_path / "b/x/manifest.csv").read_text())
    label = next(row["label"] for row in csv.DictReader(table))
    sets = tmp_path / "a" / "x", tmp_path / "b" / "x"
    code, text, error = gap(*sets, "--class", label, "--outdir", tmp_path / "gap")
    assert code == 0, error
    names = json.loads((tmp_path / "gap" / "domain-gap.json").read_text())["sets"]
    assert [each["name"] for each in names] == [f"{each}/{label}" for each in sets]


def test_a_folder_with_numbers_and_pictures(gap: Typed, tmp_path: Path) -> None:
    one, other = two(tmp_path)
    out = tmp_path / "new" / "gap"
    code, text, error = gap(one, other, "--outdir", out)
    assert code == 0, error
    assert "one.zip: 40 real images of 20 groups" in text and "one.zip | other" in text
    assert sorted(path.name for path in out.iterdir()) == FILES
    document = json.loads((out / "domain-gap.json").read_text())
    assert document["kind"] == "domain-gap" and document["pairs"][0]["classifier"]["p"] is not None
    assert document["thumbnails"] == {
        "file": "sprite.png",
        "width": 40,
        "height": 40,
        "columns": 9,
        "count": 70,
    }
    with Image.open(out / "sprite.png") as sprite, Image.open(out / "map.png") as drawn:
        assert sprite.size == (360, 360) and min(drawn.size) > 600
    code, _, error = gap(one, other, "--outdir", out)
    assert code == 2 and "exists already" in error
    code, again, _ = gap(one, other, "--outdir", tmp_path / "again")
    assert code == 0
    for name in FILES:
        assert (tmp_path / "again" / name).read_bytes() == (out / name).read_bytes(), name


def test_splits_are_sets(gap: Typed, tmp_path: Path) -> None:
    one, _ = two(tmp_path)
    split_archive(one, SplitOptions(test=0.5, val=0.0))
    code, text, error = gap(f"{one}:train", f"{one}:test")
    assert code == 0, error
    assert "one.zip:train | one.zip:test" in text
    code, _, error = gap(one, f"{one}:test")
    assert code == 2 and "one.zip and one.zip:test share 10 groups, such as 'P" in error


def test_classes_of_all_or_of_one(gap: Typed, tmp_path: Path) -> None:
    one, other = two(tmp_path)
    code, text, error = gap(one, other, "--class", "bright", "--dry-run")
    assert code == 0, error
    assert "one.zip/bright: 20 real" in text and "other/bright: 15 real" in text
    code, text, error = gap(one, other, "--class", "one.zip=dark", "--dry-run")
    assert code == 0, error
    assert "one.zip/dark: 20 real" in text and "other: 30 real" in text
    code, _, error = gap(one, other, "--class", "brigth")
    assert code == 2 and "its classes are dark, bright" in error
    code, _, error = gap(one, other, "--class", "two.zip=dark")
    assert code == 2 and "no archive 'two.zip' was named" in error


def test_a_dry_run_writes_nothing(gap: Typed, tmp_path: Path) -> None:
    one, other = two(tmp_path)
    code, text, _ = gap(one, other, "--dry-run", "--outdir", tmp_path / "out")
    assert code == 0 and "p =" not in text and not (tmp_path / "out").exists()


def test_most_images_are_drawn_and_it_says_so(gap: Typed, tmp_path: Path) -> None:
    one, other = two(tmp_path)
    code, text, error = gap(one, other, "--most", "20")
    assert code == 0, error
    assert "one.zip: 20 of 40 images, drawn at random (--most)" in text


def test_synthetic_sets(gap: Typed, tmp_path: Path) -> None:
    one, _ = two(tmp_path)
    made = unpacked(
        make_archive(tmp_path / "made.zip", count=40, seed=5), "made", origin="synthetic"
    )
    code, text, error = gap(one, made)
    assert code == 0, error
    assert "made: 40 synthetic images\n" in text and "another training gives others" in text
    assert "every 2 images of made count as one group" in text


def test_the_same_pictures_in_two_archives_are_refused(gap: Typed, tmp_path: Path) -> None:
    one, _ = two(tmp_path)
    copy = tmp_path / "copy.zip"
    shutil.copy(one, copy)
    code, _, error = gap(one, unpacked(copy, "elsewhere"))
    assert code == 2 and "40 pictures are in both" in error


def test_extractors_of_one_name_or_without_weights_are_refused(
    gap: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = two(tmp_path)

    def extractor(name: str, **_: object) -> Means:
        if name == "inception":
            raise MissingWeightsError("get them")
        return Means("classifier:m.pt")

    monkeypatch.setattr(registry, "extractor", extractor)
    named = ("--features", "classifier:a/m.pt,classifier:b/m.pt")
    code, _, error = gap(one, other, *named)
    assert code == 2 and "are both called classifier:m.pt" in error
    code, _, error = gap(one, other, "--features", "inception,random-vgg16")
    assert code == 2 and "get them" in error


def test_bad_input_ends_in_one_line(gap: Typed, tmp_path: Path) -> None:
    one, _ = two(tmp_path)
    small = make_archive(tmp_path / "small.zip", count=20, size=(8, 8), seed=3)
    few = make_archive(tmp_path / "few.zip", count=4, seed=4)
    for words, part in (
        ((one,), "1 sets"),
        ((one, unpacked(small, "x")), "bring them to one size and kind"),
        ((one, unpacked(few, "y")), "few: 4 images"),
        ((one, tmp_path / "none.zip"), "none.zip"),
        ((one, one), "share 20 groups"),
        ((one, f"{one}:val"), "no image is in split 'val'"),
    ):
        code, _, error = gap(*words)
        assert code == 2 and part in error, error
        assert len(error.strip().splitlines()) == 1
