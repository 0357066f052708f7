"""Mixing through the workflow: what joins, what stays real, and which generators are refused."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import synthograph as sg
from synthograph.archive.batches import ArchiveRows
from synthograph.archive.manifest import Row
from synthograph.archive.reader import Archive, ArchiveInfo, open_archive
from synthograph.archive.split import SplitOptions, rewrite, split_archive
from synthograph.archive.writer import ArchiveWriter, encode
from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from tests.conftest import Heard, make_archive


@pytest.fixture
def real(tmp_path: Path) -> Path:
    path = make_archive(tmp_path / "real.zip", count=40)
    split_archive(path, SplitOptions(test=0.2, val=0.2))
    return path


def digests(archive: Archive, split: str) -> dict[str, list[str]]:
    """What a generator that was trained on a split says of it."""
    rows = ArchiveRows(archive, [row for row in archive.rows if row.split == split])
    return {"group_digests": list(rows.groups), "image_digests": list(rows.pixels)}


def synthetic(path: Path, real: Path, saw: str | None = "train", per_class: int = 20) -> Path:
    """A set as `generate` writes it, by a generator that saw a split."""
    archive = open_archive(real)
    writer = ArchiveWriter(path, {"synthetic": 1})
    for number in range(2 * per_class):
        pixels = np.full((16, 16, 3), number, dtype=np.uint8)
        label = ("dark", "bright")[number % 2]
        columns = {"network": "abc", "seed": str(number // 2)}
        row = Row("", label, "synthetic-abc", origin="synthetic", columns=columns)
        writer.add([encode({"image": pixels}, None, row)])
    spec = ImageSpec(height=16, width=16, modalities={"image": 3})
    snapshots = [] if saw is None else [digests(archive, saw)]
    writer.finish(
        ArchiveInfo(classes=["dark", "bright"], spec=spec, namespace="s", snapshots=snapshots)
    )
    return path


def test_images_without_classes_are_one_class(tmp_path: Path) -> None:
    spec = ImageSpec(height=8, width=8, modalities={"image": 1})
    rng = np.random.default_rng(0)
    for name, origin in (("real", "real"), ("made", "synthetic")):
        writer = ArchiveWriter(tmp_path / f"{name}.zip", {"test": name})
        for number in range(12):
            pixels = rng.integers(0, 255, (8, 8, 1)).astype(np.uint8)
            mask = np.full((8, 8), number, np.uint8)
            row = Row("", None, f"{name}{number}", origin=origin)
            writer.add([encode({"image": pixels}, mask, row)])
        writer.finish(ArchiveInfo(spec=spec, namespace=name))
    real, dest = tmp_path / "real.zip", tmp_path / "mixed.zip"
    split_archive(real, SplitOptions(test=0.25, val=0.25))
    result = sg.mix(real, synthetic=(tmp_path / "made.zip",), replace="0.5", dest=dest)
    assert (sum(result.kept.values()), result.added) == (3, {"(none)": 3})
    mixed = open_archive(dest)
    joined = [row for row in mixed.rows if not row.real]
    assert {row.label for row in joined} == {None}
    assert all(mixed.read_mask(row) is not None for row in mixed.rows)


def train_rows(path: Path) -> list[Row]:
    return [row for row in open_archive(path).rows if row.split == "train"]


def test_synthetic_images_join_the_training_split_alone(real: Path, tmp_path: Path) -> None:
    made = synthetic(tmp_path / "made.zip", real)
    before, dest = open_archive(real), tmp_path / "mixed.zip"
    result = sg.mix(real, synthetic=(made,), add="dark=3,bright=5", dest=dest)
    after = open_archive(dest)
    assert result.added == {"dark": 3, "bright": 5}
    for split in ("val", "test"):
        old = [(row.group, row.label) for row in before.rows if row.split == split]
        assert [(r.group, r.label) for r in after.rows if r.split == split] == old
    joined = [row for row in after.rows if not row.real]
    assert {row.split for row in joined} == {"train"}
    assert sum(row.label == "bright" for row in joined) == 5
    one = joined[0]
    assert one.columns["network"] == "abc"
    source = next(r for r in open_archive(made).rows if r.file == one.columns["file_in_set"])
    assert np.array_equal(after.read(one), open_archive(made).read(source))
    assert after.info.namespace == before.info.namespace  # groups are known by it
    assert after.info.snapshots == open_archive(made).info.snapshots
    assert after.info.mixture["add"] == ["dark=3", "bright=5"]


def test_replacing_keeps_number_and_balance(real: Path, tmp_path: Path) -> None:
    made = synthetic(tmp_path / "made.zip", real)
    before = train_rows(real)
    sg.mix(real, synthetic=(made,), replace="0.5", dest=tmp_path / "m.zip")
    after = train_rows(tmp_path / "m.zip")
    for label in ("dark", "bright"):
        assert sum(r.label == label for r in after) == sum(r.label == label for r in before)
    assert sum(not row.real for row in after) == pytest.approx(len(before) / 2, abs=1)


def test_one_seed_gives_one_archive(real: Path, tmp_path: Path) -> None:
    made = synthetic(tmp_path / "made.zip", real)
    hashes = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        sg.mix(real, synthetic=(made,), add="5", seed=seed, dest=tmp_path / f"{name}.zip")
        rows = open_archive(tmp_path / f"{name}.zip").rows
        hashes.append(hashlib.sha256(repr([r.columns for r in rows]).encode()).hexdigest())
    assert hashes[0] == hashes[1] != hashes[2]


def test_repeated_real_images_are_of_the_training_split(real: Path, tmp_path: Path) -> None:
    result = sg.mix(real, control="duplicates", add_percent="100", dest=tmp_path / "m.zip")
    rows = train_rows(tmp_path / "m.zip")
    copies = [row for row in rows if row.columns.get("duplicate_of")]
    known = {row.file: row for row in train_rows(real)}
    assert len(copies) == sum(result.added.values()) == len(known)
    assert all(row.group == known[row.columns["duplicate_of"]].group for row in copies)
    assert all(row.real for row in copies)


def test_real_images_that_were_replaced_are_not_the_ones_repeated(
    real: Path, tmp_path: Path
) -> None:
    options = dict(real=real, control="duplicates", dest=tmp_path / "m.zip")
    sg.mix(**options, replace="0.5")
    rows, before = train_rows(tmp_path / "m.zip"), train_rows(real)
    pixels = ArchiveRows(open_archive(tmp_path / "m.zip"), rows).pixels
    assert len(rows) == len(before)
    assert len(pixels) == pytest.approx(len(before) / 2, abs=1), "the other half is gone"
    for nothing_left in ({"replace": "1"}, {"only_synthetic": "all"}):
        with pytest.raises(UserError, match="no real training image that could be repeated"):
            sg.mix(**options, **nothing_left, force=True)


def test_a_file_of_amounts_takes_what_it_names(real: Path, tmp_path: Path) -> None:
    made, file = synthetic(tmp_path / "made.zip", real), tmp_path / "amounts.json"
    file.write_text('{"classes": ["dark"], "seeds": ["2-5"], "class_map": ["bright"]}')
    options = dict(real=real, synthetic=(made,), amounts=file, dest=tmp_path / "m.zip")
    result = sg.mix(**options)
    assert result.added == {"dark": 0, "bright": 3}
    mixed = open_archive(tmp_path / "m.zip")
    joined = [row for row in mixed.rows if not row.real]
    assert [(r.label, r.split, r.columns["seed"]) for r in joined] == [
        ("bright", "train", str(seed)) for seed in (2, 3, 4)
    ]
    assert mixed.info.snapshots == open_archive(made).info.snapshots
    for control in ("duplicates", "augmentation", "shuffled"):
        with pytest.raises(UserError, match=f"--control {control}: --amounts names"):
            sg.mix(**options, control=control, force=True)


def test_a_mixture_that_is_prepared_again_is_one_still(real: Path, tmp_path: Path) -> None:
    sg.mix(real, control="duplicates", add_percent="50", dest=tmp_path / "m.zip")
    sg.prepare(tmp_path / "m.zip", tmp_path / "small.zip", size=8)
    small = open_archive(tmp_path / "small.zip")
    assert small.info.mixture == open_archive(tmp_path / "m.zip").info.mixture is not None
    with pytest.raises(UserError, match="is a mixture already"):
        sg.mix(tmp_path / "small.zip", only_real=True, dest=tmp_path / "again.zip")


def test_only_real_and_only_synthetic(real: Path, tmp_path: Path) -> None:
    made = synthetic(tmp_path / "made.zip", real)
    sg.mix(real, only_real=True, dest=tmp_path / "r.zip")
    assert len(train_rows(tmp_path / "r.zip")) == len(train_rows(real))
    sg.mix(real, synthetic=(made,), only_synthetic="all", dest=tmp_path / "s.zip")
    rows = train_rows(tmp_path / "s.zip")
    assert len(rows) == len(train_rows(real))
    assert not any(row.real for row in rows)


@pytest.mark.parametrize("split", ["val", "test"])
def test_a_generator_that_saw_other_splits_is_refused_by_name(
    real: Path, tmp_path: Path, split: str
) -> None:
    made = synthetic(tmp_path / "made.zip", real, saw=split)
    group = next(row.group for row in open_archive(real).rows if row.split == split)
    with pytest.raises(UserError, match="outside the training split") as refused:
        sg.mix(real, synthetic=(made,), add="1", dest=tmp_path / "m.zip")
    assert group in str(refused.value)
    assert not (tmp_path / "m.zip").exists()


def test_a_generator_that_saw_the_test_images_under_other_names_is_refused(
    real: Path, tmp_path: Path
) -> None:
    """The same pixels in an archive of its own, whose groups have other digests."""
    other = make_archive(tmp_path / "other.zip", count=40, namespace="other")
    split_archive(other, SplitOptions(test=0, val=0))
    made = synthetic(tmp_path / "made.zip", other)
    with pytest.raises(UserError, match="equal validation or test images"):
        sg.mix(real, synthetic=(made,), add="1", dest=tmp_path / "m.zip")


def test_what_cannot_be_known_is_said(real: Path, tmp_path: Path) -> None:
    made = synthetic(tmp_path / "made.zip", real, saw=None)
    found = sg.mix(real, synthetic=(made,), add="1", dry_run=True)
    assert "cannot be checked" in " ".join(found.notes)
    with pytest.raises(UserError, match="^--out is missing: archive to be written"):
        sg.mix(real, synthetic=(made,), add="1")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "give one rule"),
        ({"add": "1", "top_up": 1}, "given: --add and --top-up"),
        ({"add": "1.5"}, "give a whole number"),
        ({"only_synthetic": "0"}, "would have no training image"),
        ({"add": "500"}, r"500 of class dark \(20 are there\)"),
        ({"add": "grey=1"}, "class 'grey': known are"),
        ({"replace": "1.5"}, "from 0 to 1"),
        ({"synt_n_imgs": "1"}, "thousands of images"),
        ({"synt_n_imgs": "0,99999999", "control": "duplicates"}, "at most .* thousand"),
        ({"add": "1", "synthetic": ()}, "--synthetic is missing"),
    ],
)
def test_refusals(real: Path, tmp_path: Path, options: dict, message: str) -> None:
    made = synthetic(tmp_path / "made.zip", real)
    with pytest.raises(UserError, match=message):
        sg.mix(real, **{"synthetic": (made,), "dest": tmp_path / "m.zip", **options})
    assert not (tmp_path / "m.zip").exists()


def test_inputs_are_never_replaced_and_a_set_counts_once(real: Path, tmp_path: Path) -> None:
    made = synthetic(tmp_path / "made.zip", real)
    before = real.read_bytes()
    for dest in (real, made):
        with pytest.raises(UserError, match="is one of the inputs"):
            sg.mix(real, synthetic=(made,), add="1", dest=dest, force=True)
    assert real.read_bytes() == before
    copy = tmp_path / "copy.zip"
    copy.write_bytes(made.read_bytes())
    with pytest.raises(UserError, match="again: name it once"):
        sg.mix(real, synthetic=(made, copy), add="30", dest=tmp_path / "m.zip")


def test_sets_that_do_not_fit_are_refused(real: Path, tmp_path: Path) -> None:
    wide = make_archive(tmp_path / "wide.zip", size=(32, 32))
    with pytest.raises(UserError, match="32x32"):
        sg.mix(real, synthetic=(wide,), add="1", dest=tmp_path / "m.zip")
    with pytest.raises(UserError, match="is real"):
        sg.mix(real, synthetic=(real,), add="1", dest=tmp_path / "m.zip")
    made = [synthetic(tmp_path / f"set{number}.zip", real) for number in range(2)]
    with pytest.raises(UserError, match="set1.zip: holds synthetic images: repeat --synthetic"):
        sg.mix(real, made[1], synthetic=(made[0],), add="1", dest=tmp_path / "m.zip")
    whole = make_archive(tmp_path / "whole.zip")
    with pytest.raises(UserError, match="is not split"):
        sg.mix(whole, only_real=True, dest=tmp_path / "m.zip")


def test_patients_of_several_archives_stay_apart_and_stay_known(tmp_path: Path) -> None:
    """Both have groups P0, P1, ...: they are others, and a classifier still knows them."""
    paths = []
    for number in range(2):
        path = make_archive(
            tmp_path / f"site{number}.zip", count=40, seed=number, namespace=f"s{number}"
        )
        split_archive(path, SplitOptions(test=0.2, val=0.2, seed=number))
        paths.append(path)
    made = synthetic(tmp_path / "made.zip", paths[1])
    result = sg.mix(paths, synthetic=(made,), add="4", dest=tmp_path / "m.zip", link=True)
    mixed = open_archive(tmp_path / "m.zip")
    assert sum(result.real.values()) == sum(len(train_rows(path)) for path in paths)
    real = [row for row in mixed.rows if row.real]
    assert len({row.group for row in real}) == 40
    assert {row.columns["archive"] for row in real} == {"site0", "site1"}
    for path in paths:
        there = open_archive(path)
        assert (
            ArchiveRows(mixed, real).groups.keys() >= ArchiveRows(there, there.rows).groups.keys()
        )
    seen = synthetic(tmp_path / "seen.zip", paths[1], saw="test")
    with pytest.raises(UserError, match=r"of .*site1\.zip outside the training split"):
        sg.mix(paths, synthetic=(seen,), add="1", dest=tmp_path / "n.zip")


def test_an_image_of_two_archives_in_two_splits_is_refused(tmp_path: Path) -> None:
    paths = []
    for number in range(2):
        path = make_archive(tmp_path / f"site{number}.zip", count=40, namespace=f"s{number}")
        split_archive(path, SplitOptions(test=0.2, val=0.2, seed=number))
        paths.append(path)
    with pytest.raises(UserError, match="prepare all images as one archive, and split that"):
        sg.mix(paths, only_real=True, dest=tmp_path / "m.zip")


def split_sites(
    folder: Path, seeds: dict[str, int], spaces: dict[str, str] | None = None
) -> list[Path]:
    """Archives of different images of groups P0, P1, ..., each cut by a seed of its own."""
    paths = []
    for number, (name, seed) in enumerate(seeds.items()):
        path = folder / f"{name}.zip"
        make_archive(path, count=40, seed=number, namespace=(spaces or {}).get(name, "home"))
        split_archive(path, SplitOptions(test=0.2, val=0.2, seed=seed))
        paths.append(path)
    return paths


def test_a_patient_of_two_archives_of_one_namespace_in_two_splits_is_refused(
    tmp_path: Path,
) -> None:
    paths = split_sites(tmp_path, {"visit1": 0, "visit2": 1})
    with pytest.raises(UserError, match="groups of .*visit1.zip and .*visit2.zip are in two split"):
        sg.mix(paths, only_real=True, dest=tmp_path / "m.zip")


def test_a_patient_of_two_archives_of_one_namespace_is_one_whatever_stands_first(
    tmp_path: Path,
) -> None:
    paths = split_sites(tmp_path, {"site": 1, "visit1": 0, "visit2": 0}, {"site": "other"})
    sg.mix(paths, only_real=True, dest=tmp_path / "m.zip")
    mixed = open_archive(tmp_path / "m.zip")
    names = {name: set[str]() for name in ("site", "visit1", "visit2")}
    for row in mixed.rows:
        names[row.columns["archive"]].add(row.group)
    assert names["site"] == {f"P{number}" for number in range(20)}
    assert names["visit1"] == names["visit2"] == {f"P{number} (visit1)" for number in range(20)}
    for path in paths:
        there = open_archive(path)
        known = ArchiveRows(mixed, mixed.rows).groups
        assert known.keys() >= ArchiveRows(there, there.rows).groups.keys()


def test_two_spellings_of_a_patient_in_archives_of_one_namespace_are_refused(
    tmp_path: Path,
) -> None:
    paths = split_sites(tmp_path, {"visit1": 0, "visit2": 0})
    later = open_archive(paths[1])
    rows = [replace(row, group=row.group.replace("P", "p")) for row in later.rows]
    rewrite(later, rows)
    with pytest.raises(UserError, match="groups are called alike, such as 'P0' and 'p0'"):
        sg.mix(paths, only_real=True, dest=tmp_path / "m.zip")


def test_class_names_with_commas(tmp_path: Path) -> None:
    path = make_archive(tmp_path / "real.zip", count=40, classes=("nevus, benign", "b"))
    split_archive(path, SplitOptions(test=0.2, val=0.2))
    options = {"control": "duplicates", "dest": tmp_path / "m.zip", "dry_run": True}
    found = sg.mix(path, add="nevus, benign=3,b=2", **options)
    assert found.added == {"nevus, benign": 3, "b": 2}
    with pytest.raises(UserError, match="names no class"):
        sg.mix(path, add="nevus,b=2", **options)


def test_tables_of_files_are_sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the digital-health project writes them: `img_path`, and a column of classes."""
    monkeypatch.setenv("SYNTHOGRAPH_CACHE", str(tmp_path / "cache"))
    real = make_archive(tmp_path / "real.zip", count=40, classes=("0", "1"))
    split_archive(real, SplitOptions(test=0.2, val=0.2))
    lines = [",img_path,NPM1"]
    (tmp_path / "fakes").mkdir()
    for number in range(8):
        pixels = np.full((16, 16, 3), 10 * number, dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / "fakes" / f"s{number}.png")
        lines += [f"{number},fakes/s{number}.png,{number % 2}"] if number < 6 else []
    table = tmp_path / "fake.csv"
    table.write_text("\n".join(lines) + "\n")
    heard = Heard()
    asked = {"synthetic": table, "add": "0=1,1=3", "progress": heard}
    found = sg.mix(real, dest=tmp_path / "m.zip", **asked)
    assert found.added == {"0": 1, "1": 3}
    joined = [row for row in open_archive(tmp_path / "m.zip").rows if not row.real]
    assert {row.columns["source_file"] for row in joined} <= {f"s{n}.png" for n in range(6)}
    assert "3 of class 0, 3 of class 1, by column NPM1" in " ".join(heard.lines)
    with pytest.raises(UserError, match="--synthetic' first"):
        sg.mix(real, dest=tmp_path / "n.zip", link=True, **asked)
    with pytest.raises(UserError, match="a table has no split"):
        sg.mix(table, only_real=True, dest=tmp_path / "n.zip")
    table.write_text("img_path,NPM1\nfakes/s99.png,1\n")
    with pytest.raises(UserError, match=r"line 2: there is no file 'fakes/s99\.png'"):
        sg.mix(real, dest=tmp_path / "n.zip", **asked)
    table.write_text("file,NPM1\na,1\n")
    with pytest.raises(UserError, match="columns file, NPM1: give an archive, or a table"):
        sg.mix(real, dest=tmp_path / "n.zip", **asked)
