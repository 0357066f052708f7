"""Splits never cut a group, keep the classes' shares, and change nothing but the split."""

import json
import os
import re
import zipfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from synthograph.archive.copies import RepeatedImages
from synthograph.archive.manifest import Row
from synthograph.archive.png import encode_png
from synthograph.archive.reader import Archive, SplitRecord, open_archive
from synthograph.archive.split import SplitOptions, assign, rewrite, split_archive, split_table
from synthograph.core.errors import UserError

Make = Callable[..., Archive]


def options(**kwargs: object) -> SplitOptions:
    return SplitOptions.parse(kwargs)


def realistic(seed: int = 0) -> list[Row]:
    """400 patients with 1 to 8 images of three classes, the rarest in 6 % of the patients."""
    rng = np.random.default_rng(seed)
    rows = []
    for patient in range(400):
        label = rng.choice(["common", "second", "rare"], p=[0.66, 0.28, 0.06])
        for _ in range(int(rng.integers(1, 9))):
            mixed = str(rng.choice(["common", label], p=[0.2, 0.8]))
            rows.append(Row(f"{len(rows):05d}.png", mixed, f"p{patient}"))
    return rows


CLASSES = ["common", "second", "rare"]


def share(rows: list[Row], part: str, label: str | None = None) -> float:
    chosen = [row for row in rows if label is None or row.label == label]
    return sum(row.split == part for row in chosen) / len(chosen)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_realistic_set_is_stratified_within_a_few_percent(seed: int) -> None:
    rows = assign(realistic(seed), CLASSES, options(seed=seed, folds=5))
    for part, wanted in (("train", 0.7), ("val", 0.1), ("test", 0.2)):
        assert abs(share(rows, part) - wanted) < 0.01
        for label in CLASSES:
            assert abs(share(rows, part, label) - wanted) < 0.03
    train = [row for row in rows if row.split == "train"]
    for fold in range(5):
        inside = [row for row in train if row.fold == fold]
        assert abs(len(inside) / len(train) - 0.2) < 0.01
    places: dict[str, set[object]] = {}
    for row in rows:
        places.setdefault(row.group, set()).add((row.split, row.fold))
    assert all(len(place) == 1 for place in places.values())
    assert all((row.fold is None) == (row.split != "train") for row in rows)


@given(
    st.lists(st.tuples(st.integers(0, 25), st.sampled_from(["a", "b", None])), max_size=60),
    st.integers(0, 3),
)
@settings(max_examples=80, deadline=None)
def test_any_set_is_split_by_group_or_refused(
    pairs: list[tuple[int, str | None]], seed: int
) -> None:
    rows = [Row(f"{i}.png", label, f"g{group}") for i, (group, label) in enumerate(pairs)]
    try:
        result = assign(rows, ["a", "b"], options(seed=seed, folds=2))
    except UserError:
        return
    assert [replace(row, split=None, fold=None) for row in result] == rows
    for group in {row.group for row in rows}:
        assert len({(row.split, row.fold) for row in result if row.group == group}) == 1
    for label in {row.label for row in rows} - {None}:
        assert {r.split for r in result if r.label == label} == {"train", "val", "test"}


def test_the_seed_decides() -> None:
    rows = realistic()
    first = assign(rows, CLASSES, options(seed=1))
    assert first == assign(rows, CLASSES, options(seed=1))
    assert first != assign(rows, CLASSES, options(seed=2))
    by_file = {row.file: row.split for row in assign(rows[::-1], CLASSES, options(seed=1))}
    assert by_file == {row.file: row.split for row in first}  # whatever the order of the rows


def test_synthetic_images_only_train_and_are_no_evidence_of_a_class() -> None:
    rows = realistic()
    made = [Row(f"s{i}.png", "second", "synthetic-x", origin="synthetic") for i in range(500)]
    result = assign([*rows, *made], CLASSES, options(folds=3))
    assert {(r.split, r.fold) for r in result if r.origin == "synthetic"} == {("train", None)}
    assert [r for r in result if r.origin == "real"] == assign(rows, CLASSES, options(folds=3))
    ghosts = [replace(row, label="ghost") for row in made]
    assign([*rows, *ghosts], [*CLASSES, "ghost"], options())


def test_old_splits_are_forgotten() -> None:
    once = assign(realistic(), CLASSES, options(folds=5))
    assert assign(once, CLASSES, options()) == assign(realistic(), CLASSES, options())


@pytest.mark.parametrize(
    ("groups", "kwargs", "words"),
    [
        (2, {}, "2 groups cannot be cut into 3 parts, since .*: (use --|add groups)"),
        (3, {"test": 0.01, "val": 0.01}, "val would be empty, 3 groups are too few .*: use --"),
        (12, {"folds": 20}, "groups cannot be cut into 20 parts, .*: use --folds [0-9]+"),
    ],
)
def test_too_few_groups(groups: int, kwargs: dict[str, object], words: str) -> None:
    rows = [Row(f"{i}.png", None, f"g{i}") for i in range(groups)]
    with pytest.raises(UserError, match=words):
        assign(rows, [], options(**kwargs))


def test_a_class_that_would_be_missing() -> None:
    rows = [Row(f"{i}.png", "rare" if i < 2 else "common", f"g{i}") for i in range(40)]
    with pytest.raises(UserError, match="no image of class 'rare', which has 2 groups"):
        assign(rows, ["common", "rare", "unused"], options())


@pytest.mark.parametrize("kwargs", [{}, {"test": 0, "val": 0.1}, {"test": 0, "val": 0, "folds": 3}])
def test_a_class_of_as_many_groups_as_parts_is_in_all_of_them(kwargs: dict[str, float]) -> None:
    rare = [Row(f"r{i}.png", "rare", f"g{i}") for i in range(3)]
    rows = [*rare, *(Row(f"{i}.png", "common", f"g{i}") for i in range(40))]
    result = assign(rows, ["common", "rare"], options(**kwargs))
    parts = {(row.split, row.fold) for row in result}
    assert {(row.split, row.fold) for row in result if row.label == "rare"} == parts
    assert Counter(row.split for row in result)["val"] <= 6, "the parts stay about as large"


@pytest.mark.parametrize(
    "kwargs",
    [
        {"test": 0.6, "val": 0.4},
        {"test": -0.1},
        {"val": 1},
        {"folds": 1},
        {"folds": 0},
        {"seed": -1},
    ],
)
def test_options_that_make_no_sense(kwargs: dict[str, object]) -> None:
    with pytest.raises(UserError):
        options(**kwargs)


@pytest.mark.parametrize("name", ["set.zip", "set"])
def test_archives_are_rewritten_in_place(make_archive: Make, tmp_path: Path, name: str) -> None:
    before = make_archive(name, count=40, masks=True)
    document = json.loads(before.files.read("dataset.json"))
    os.chmod(before.path, 0o750)
    listing = sorted(os.listdir(tmp_path))
    after = split_archive(before.path, options(folds=2))
    assert sorted(os.listdir(tmp_path)) == listing
    assert after.images_hash == before.images_hash
    assert after.manifest_hash != before.manifest_hash
    record = json.loads(after.files.read("dataset.json"))
    assert record == {**document, "split": record["split"]} and document["split"] is None
    assert record["split"]["origin"] == "synthograph split"
    assert [replace(r, split=None, fold=None) for r in after.rows] == before.rows
    assert (
        after.info.model_copy(update={"split": None}) == before.info
        and before.path.stat().st_mode & 0o777 == 0o750
    )
    with pytest.raises(UserError, match="is split already: add --force"):
        split_archive(before.path, options())
    # equal sizes and times must not hide the new manifest
    for seed in range(1, 4):
        again = split_archive(before.path, options(seed=seed), force=True)
        assert again.rows == assign(before.rows, before.info.classes, options(seed=seed))


def test_labels_of_the_published_form_are_kept(make_archive: Make) -> None:
    archive = make_archive(count=40)
    labels = json.loads(archive.files.read("dataset.json"))["labels"]
    assert labels[1] == ["00000/img00000001.png", 1]
    after = split_archive(archive.path, options())
    assert json.loads(after.files.read("dataset.json"))["labels"] == labels


def test_a_zipped_folder_stays_an_archive(make_archive: Make, tmp_path: Path) -> None:
    archive = make_archive("a", count=40)
    with zipfile.ZipFile(tmp_path / "w.zip", "w") as packed:
        for path in sorted(archive.path.rglob("*")):
            packed.write(path, f"a/{path.relative_to(archive.path)}")
    after = split_archive(tmp_path / "w.zip", options())
    assert after.images_hash == archive.images_hash
    assert all(row.split for row in open_archive(tmp_path / "w.zip").rows)


def test_a_link_stays_a_link(make_archive: Make, tmp_path: Path) -> None:
    archive = make_archive(count=40)
    link = tmp_path / "link.zip"
    link.symlink_to(archive.path)
    split_archive(link, options())
    assert link.is_symlink() and all(row.split for row in open_archive(archive.path).rows)


def test_a_refused_split_changes_nothing(make_archive: Make) -> None:
    archive = make_archive(count=4)
    before = archive.path.read_bytes()
    with pytest.raises(UserError):
        split_archive(archive.path, options())
    assert archive.path.read_bytes() == before


def published(root: Path, names: list[str], **document: object) -> Path:
    """An archive of the published tools: PNGs and `dataset.json`."""
    root.mkdir()
    for number, name in enumerate(names):
        (root / name).write_bytes(encode_png(np.full((8, 8, 1), number, np.uint8)))
    (root / "dataset.json").write_text(json.dumps(document))
    return root


def test_patients_of_a_published_archive_stay_whole_and_what_others_wrote_stays(
    tmp_path: Path,
) -> None:
    names = [f"{number:02d}.png" for number in range(40)]
    meta = [[name, i % 2, i // 8, "PTC"] for i, name in enumerate(names)]
    path = published(tmp_path / "set", names, meta=meta, licence={"by": "somebody"})
    after = split_archive(path, options(test=0.2, val=0.2))
    places = {(row.group, row.split) for row in after.rows}
    assert sorted(group for group, _ in places) == ["0", "1", "2", "3", "4"]
    assert {row.split for row in after.rows} == {"train", "val", "test"}
    document = json.loads((path / "dataset.json").read_text())
    assert document["meta"] == meta and document["licence"] == {"by": "somebody"}
    assert document["labels"] == [entry[:2] for entry in meta]
    assert document["classes"] == ["0", "1"]
    again = split_archive(path, options(val=0.2, seed=1), force=True)
    assert again.info.model_copy(update={"split": after.info.split}) == after.info


@pytest.mark.parametrize("name", ["12:30 knee.png", "left\\right.png"])
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_names_that_no_manifest_may_hold(tmp_path: Path, name: str) -> None:
    names = [f"{number}.png" for number in range(20)] + [name]
    path = published(tmp_path / "set", names, labels=None)
    before = sorted(os.listdir(path))
    words = re.escape(f"{name!r} is not a path inside the archive: give the file a relative name")
    with pytest.raises(UserError, match=words):
        split_archive(path, options())
    assert sorted(os.listdir(path)) == before and len(open_archive(path).rows) == 21


def test_numbers_that_are_no_json(tmp_path: Path) -> None:
    path = published(tmp_path / "set", [f"{number}.png" for number in range(20)], labels=None)
    (path / "dataset.json").write_text('{"labels": null, "length": 1e999}')
    with pytest.raises(UserError, match="dataset.json: .* 1e999 is not a finite number"):
        split_archive(path, options())
    assert not (path / "manifest.csv").exists()


def test_the_table_adds_up(make_archive: Make) -> None:
    archive = split_archive(make_archive(count=60).path, options(folds=2))
    table = {
        part: (images, groups, classes) for part, images, groups, classes in split_table(archive)
    }
    assert list(table) == ["train", "val", "test", "fold 0", "fold 1"]
    assert sum(table[part][0] for part in ("train", "val", "test")) == 60
    assert table["fold 0"][0] + table["fold 1"][0] == table["train"][0]
    assert all(sum(classes.values()) == images for images, _, classes in table.values())


def test_a_folder_of_photographs_is_no_archive(tmp_path: Path) -> None:
    from PIL import Image

    for name in ("a.png", "b.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / name)
    with pytest.raises(UserError, match="is not an archive"):
        split_archive(tmp_path, SplitOptions())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.png", "b.png"]


def with_gaps() -> list[Row]:
    """The realistic set, in which every tenth image lost its patient."""
    rows = realistic()
    return [replace(r, group=r.file) if i % 10 == 0 else r for i, r in enumerate(rows)]


def test_images_without_group_are_refused_where_others_have_one() -> None:
    words = r" of \d+ images have no group .*: 00000.png, .* --ungrouped train .* --ungrouped own"
    with pytest.raises(UserError, match=words):
        assign(with_gaps(), CLASSES, options())


@pytest.mark.parametrize("folds", [None, 4])
def test_images_without_group_train_or_count_as_patients(folds: int | None) -> None:
    rows = assign(with_gaps(), CLASSES, options(ungrouped="train", folds=folds))
    bare = {(row.split, row.fold) for row in rows if row.group == row.file}
    assert bare == {("train", None)}
    assert abs(share([row for row in rows if row.group != row.file], "test") - 0.2) < 0.01
    own = assign(with_gaps(), CLASSES, options(ungrouped="own", folds=folds))
    assert {row.split for row in own if row.group == row.file} == {"train", "val", "test"}
    assert [replace(r, split=None, fold=None) for r in own] == with_gaps()


def test_images_that_only_train_are_no_groups_to_cut() -> None:
    rare = [Row(f"r{i}.png", "rare", f"r{i}.png") for i in range(7)]
    rows = [*rare, Row("x.png", "rare", "p0"), Row("y.png", "rare", "p1")]
    rows += [Row(f"{i}.png", "common", f"g{i}") for i in range(40)]
    rows += [Row("s.png", "rare", "generator", origin="synthetic")]
    words = "class 'rare', which has 2 groups beside images without group, which train"
    with pytest.raises(UserError, match=words):
        assign(rows, ["common", "rare"], options(ungrouped="train"))
    with pytest.raises(UserError, match="7 of 49 images have no group"):
        assign(rows, ["common", "rare"], options())
    with pytest.raises(UserError, match="empty, 3 groups are too few"):
        few = [*rare, *(Row(f"{i}.png", "rare", f"g{i}") for i in range(3))]
        assign(few, ["rare"], options(ungrouped="train", test=0.01, val=0.01))


def test_groups_that_share_equal_images_stay_together() -> None:
    rows = realistic()
    by_group = {row.group: row for row in rows}
    chains = [[f"p{i}", f"p{i + 100}", f"p{i + 200}"] for i in range(100)]
    # each pair of a chain has a picture in common, the ends have none
    sets = [[by_group[a], by_group[b]] for x, y, z in chains for a, b in ((y, x), (y, z))]
    result = assign(rows, CLASSES, options(folds=3), RepeatedImages(sets))
    assert [replace(r, split=None, fold=None) for r in result] == rows
    places: dict[str, set[object]] = {}
    for row in result:
        places.setdefault(row.group, set()).add((row.split, row.fold))
    assert all(len(set.union(*(places[group] for group in chain))) == 1 for chain in chains)


def test_a_set_of_copies_says_why_it_cannot_be_split() -> None:
    rows = [Row(f"{i}.png", None, f"g{i}") for i in range(9)]
    with pytest.raises(UserError, match="2 groups cannot .* 8 groups share equal images"):
        assign(rows, [], options(), RepeatedImages([rows[:8]]))


def test_a_patient_whose_picture_is_there_without_patient_trains() -> None:
    rows = with_gaps()
    bare, known = rows[0], rows[1]
    result = assign(rows, CLASSES, options(ungrouped="train"), RepeatedImages([[bare, known]]))
    assert {row.split for row in result if row.group == known.group} == {"train"}


def test_copies_of_an_archive_are_kept_together_and_named(tmp_path: Path) -> None:
    names = [f"{kind}{number:02d}.png" for number in range(20) for kind in "ab"]
    meta = [[name, 0, f"patient {name}"] for name in names]
    path = published(tmp_path / "set", names, meta=meta)
    rng = np.random.default_rng(0)
    for number in range(20):
        pixels = rng.integers(0, 255, (8, 8, 1), np.uint8)
        (path / f"a{number:02d}.png").write_bytes(encode_png(pixels))
        Image.fromarray(pixels[:, :, 0]).save(path / f"b{number:02d}.png", compress_level=0)
    for seed in range(2):  # the second time, the archive has a manifest of ours
        after = split_archive(path, options(seed=seed), force=True)
        for number in range(20):
            pair = {row.split for row in after.rows if row.file[1:] == f"{number:02d}.png"}
            assert len(pair) == 1
        assert after.info.split is not None and len(after.info.split.joined) == 20
        assert after.info.split.joined[0] == ["patient a00.png", "patient b00.png"]


def test_an_official_split_is_not_replaced_by_chance(tmp_path: Path) -> None:
    path = published(tmp_path / "set", [f"{n}.png" for n in range(20)], labels=None)
    archive = split_archive(path, options())
    official = SplitRecord(origin="folders train, test", official=True)
    info = archive.info.model_copy(update={"split": official})
    rewrite(replace(archive, info=info), archive.rows)
    with pytest.raises(UserError, match=r"has the official split of its images \(folders train"):
        split_archive(path, options())
    cut = split_archive(path, options(), force=True)
    assert cut.info.split is not None and not cut.info.split.official
