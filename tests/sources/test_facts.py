"""Who is believed: what the user gives goes before what is found near the images."""

from pathlib import Path

import pytest

from synthograph.core.errors import UserError
from synthograph.core.pseudonyms import pseudonym
from synthograph.sources.base import Dicom, Reading
from tests.sources.test_file_source import draw, labels, listing, read

NAMES = ["mel_p1_1.png", "mel_p2_2.png", "nv_p3_3.png"]


@pytest.mark.parametrize("beside", [False, True])
def test_a_pattern_wins_over_a_dataset_json(tmp_path: Path, beside: bool) -> None:
    source = draw(tmp_path / "images", *NAMES)
    folder = "images/" if beside else ""
    entries = [[f"{folder}{name}", 0, f"q{n}"] for n, name in enumerate(NAMES[:2])]
    listing(tmp_path if beside else source, meta=entries, classes=["x", "y"])
    found = read(source, name_regex=r"(?P<class>[a-z]+)_(?P<patient>p\d)")
    assert list(labels(found).values()) == ["mel", "mel", "nv"]
    assert [item.group for item in found.items] == ["p1", "p2", "p3"]
    assert not found.rejects
    assert any(
        "labels come from --name-regex, not from" in r and "dataset.json" in r
        for r in found.remarks
    )


@pytest.mark.parametrize("content", ['{"labels": [["gone.png", 1]]}', '{"labels": [', "[]"])
def test_a_table_wins_over_a_dataset_json_that_is_wrong(tmp_path: Path, content: str) -> None:
    source = draw(tmp_path / "images", *NAMES)
    (source / "dataset.json").write_text(content)
    table = tmp_path / "t.csv"
    table.write_text("file,label\n" + "".join(f"{name},a\n" for name in NAMES))
    found = read(source, table=table)
    assert set(labels(found).values()) == {"a"} and len(found.items) == 3
    assert any("dataset.json" in remark for remark in found.remarks)
    with pytest.raises(UserError):
        read(source)


def test_a_table_wins_over_label_vectors(tmp_path: Path) -> None:
    source = draw(tmp_path / "images", *NAMES)
    listing(source, labels=[[name, [0.5, 1.0]] for name in NAMES])
    found = read(source, name_regex=r"(?P<class>[a-z]+)_")
    assert not any("y.0" in item.columns for item in found.items)
    assert read(source).items[0].columns["y.1"] == "1.0"


def test_folders_win_over_a_dataset_json(tmp_path: Path) -> None:
    source = draw(tmp_path / "images", "a/1.png", "b/2.png")
    listing(source, labels=[["a/1.png", 0], ["b/2.png", 0]])
    assert set(labels(read(source)).values()) == {"0"}
    assert list(labels(read(source, folders="class")).values()) == ["a", "b"]


def test_a_table_of_groups_leaves_the_labels_to_the_dataset_json(tmp_path: Path) -> None:
    source = draw(tmp_path / "images", *NAMES)
    listing(source, labels=[[name, n] for n, name in enumerate(NAMES)], classes=["x", "y", "z"])
    found = read(source, name_regex=r"(?P<patient>p\d)")
    assert list(labels(found).values()) == ["x", "y", "z"]
    assert [item.group for item in found.items] == ["p1", "p2", "p3"]


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?P<class>[a-z]+)_(?P<patient>p\d)",
        r"(?P<class>[a-z]+)_(?P<group>p\d)_(?P<patient>\d)",
        r"(?P<group>(?P<again>p\d))",
        None,
    ],
)
def test_nothing_beside_a_pseudonym_says_whose_it_is(tmp_path: Path, pattern: str | None) -> None:
    source = draw(tmp_path / "images", *NAMES)
    (tmp_path / "t.csv").write_text(
        "file,group,Patient,same,age\n" + "".join(f"{n},p{n[-7]},Roe,p{n[-7]},40\n" for n in NAMES)
    )
    where = {"table": tmp_path / "t.csv"} if pattern is None else {"name_regex": pattern}
    reading = Reading(dicom=Dicom(salt=b"0123456789abcdef"))
    for item, open_item in zip(
        read(source, reading=reading, **where).items, read(source, **where).items, strict=True
    ):
        assert open_item.group and item.group == pseudonym(b"0123456789abcdef", open_item.group)
        left = {"age": "40"} if pattern is None else {}
        assert {k: v for k, v in item.columns.items() if k != "class"} == left


def test_cells_that_equal_a_patient_by_chance_stay(tmp_path: Path) -> None:
    source = draw(tmp_path / "images", *NAMES)
    table = tmp_path / "t.csv"
    rows = "".join(f"{name},{n},{n},3,{4 - n},2\n" for n, name in enumerate(NAMES, 1))
    table.write_text(f"file,group,MRN,y.0,y.1,grade\n{rows}")
    reading = Reading(dicom=Dicom(salt=b"0123456789abcdef"))
    for n, item in enumerate(read(source, table=table, reading=reading).items, 1):
        assert dict(item.columns) == {"y.0": "3", "y.1": str(4 - n), "grade": "2"}


def test_a_column_origin_tells_synthetic_images_from_real_ones(tmp_path: Path) -> None:
    source = draw(tmp_path / "images", *NAMES)
    table = tmp_path / "t.csv"
    for cells, origins, columns in (
        (["synthetic", "real", ""], ["synthetic", "real", "real"], [{}, {}, {"table_origin": ""}]),
        (["lab", "real", "x"], ["real"] * 3, [{"table_origin": "lab"}, {}, {"table_origin": "x"}]),
    ):
        rows = zip(NAMES, cells, strict=True)
        table.write_text("file,origin\n" + "".join(f"{name},{cell}\n" for name, cell in rows))
        found = read(source, table=table)
        assert [item.origin for item in found.items] == origins
        assert [dict(item.columns) for item in found.items] == columns
        told = "1 image(s) are synthetic, as a column origin says" in found.remarks
        assert told == ("synthetic" in cells)


def test_splits_patients_and_missing_values_of_names(tmp_path: Path) -> None:
    source = draw(tmp_path, "Train_NA_1.png", "valid_p2_2.png", "test_p3_3.png")
    found = read(source, name_regex=r"(?P<split>[A-Za-z]+)_(?P<patient>[^_]+)_(?P<slice>\d)")
    said = {item.columns["slice"]: (item.split, item.group) for item in found.items}
    assert said == {"1": ("train", None), "2": ("val", "p2"), "3": ("test", "p3")}
    assert found.split_origin == "--name-regex"
    with pytest.raises(UserError, match="finds the split 'p2'"):
        read(source, name_regex=r"_(?P<split>p2)_")


def test_images_without_label_or_split_are_rejected_by_name(tmp_path: Path) -> None:
    source = draw(tmp_path / "set", *(f"{n}.png" for n in range(4)))
    table = tmp_path / "t.csv"
    table.write_text("file,label,group,split\n0,a,p,train\n1,n/a,p,test\n2,,p,test\n3,a,NaN,-\n")
    found = read(source, table=table)
    assert [reject.reason.replace(str(table), "t.csv") for reject in found.rejects] == [
        "no label in t.csv, row 3 ('n/a' marks a missing value; --missing says which cells do)",
        "no label in t.csv, row 4",
        "no split in t.csv, row 5 ('-' marks a missing value; --missing says which cells do)",
    ]
    again = read(source, table=table, missing=["nan", "-"])
    assert labels(again) == {"0.png": "a", "1.png": "n/a"}


def test_images_without_label_vector_are_rejected_by_name(tmp_path: Path) -> None:
    source = draw(tmp_path / "set", "0.png", "1.png")
    table = tmp_path / "t.csv"
    table.write_text("file,y.0,y.1\n0,1,2\n1,,NaN\n")
    (reject,) = read(source, table=table).rejects
    assert reject.name == "1.png" and "no label vector in" in reject.reason
