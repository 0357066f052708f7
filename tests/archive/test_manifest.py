"""The manifest is read back as it was written, and refused by line."""

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthograph.archive.manifest import (
    FIXED,
    Row,
    check_member,
    count_labels,
    in_split,
    label_vector,
    manifest_hash,
    read_manifest,
    spelling,
    write_manifest,
)
from synthograph.core.errors import UserError

ROWS = [
    Row("00000/img00000000.png", "nævus, benign", "p 1", "train", 0, "real", {"age": "50"}),
    Row("00000/img00000001.png", None, 'p "2"', "test", None, "real", {"age": "", "side": "l\nr"}),
    Row("00000/img00000002.png", "x", "g", "train", 3, "synthetic", {"seed": "7"}),
]


def text(*lines: str) -> bytes:
    return "\n".join(lines).encode()


def test_the_file_is_as_documented() -> None:
    row = Row("a.png", "x", "g", "train", 2, "real", {"site": "b"})
    assert write_manifest([row]) == (
        b"file,label,group,split,fold,origin,site\na.png,x,g,train,2,real,b\n"
    )


def test_round_trip() -> None:
    read = read_manifest(write_manifest(ROWS), "m")
    every = {"age": "", "side": "", "seed": ""}
    assert read == [replace(row, columns={**every, **row.columns}) for row in ROWS]
    assert write_manifest(read) == write_manifest(ROWS)


cell = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
plain = st.text("abc/_-.", min_size=1, max_size=8).filter(
    lambda name: not name.startswith("/") and ".." not in name
)


@given(
    st.lists(
        st.builds(
            Row,
            plain,
            st.one_of(st.none(), cell.filter(bool)),
            cell.filter(bool),
            st.sampled_from([None, "val", "test"]),
            st.none(),
            st.sampled_from(["real", "synthetic"]),
            st.fixed_dictionaries({"site": cell, "a,b\r": cell}),
        ),
        max_size=5,
        unique_by=lambda row: row.file,
    )
)
@settings(max_examples=80, deadline=None)
def test_any_cells_come_back(rows: list[Row]) -> None:
    assert read_manifest(write_manifest(rows), "m") == rows


def test_a_table_of_other_tools_is_enough() -> None:
    rows = read_manifest("\ufefffile,age\r\na.png,4\r\n\r\nb.png,5\r\n".encode(), "m")
    assert rows == [
        Row("a.png", None, "a.png", columns={"age": "4"}),
        Row("b.png", None, "b.png", columns={"age": "5"}),
    ]


HEAD = ",".join(FIXED)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"\xff\xfe", "not UTF-8 text .byte 0.; save it as CSV"),
        (text("name,label", "a.png,x"), "needs a column 'file'"),
        (text("file,a,a", "a.png,1,2"), "no column twice"),
        (text("file,label", "a.png,x", "b.png"), "line 3: 1 cells under a header of 2"),
        (text("file,label", "a.png,x,y"), "line 2: 3 cells"),
        (text("file", "a.png", "a.png"), "line 3: 'a.png' has a row already, in line 2"),
        (text("file", "../a.png"), "line 2: '../a.png' is not a path inside"),
        (text("file,label", "/a.png,x"), "line 2: '/a.png' is not a path"),
        (text("file,label", ",x"), "line 2: '' is not a path"),
        (text("file,split", "a.png,training"), "line 2: split 'training' is none of"),
        (text("file,split,fold", "a.png,train,-1"), "line 2: fold '-1'"),
        (text("file,split,fold", "a.png,train,x"), "line 2: fold 'x'"),
        (text("file,split,fold", "a.png,test,1"), "line 2: fold '1' of split 'test'"),
        (text("file,split,fold", "a.png,train," + "9" * 5000), "line 2: fold"),
        (text("file,origin", "a.png,fake"), "line 2: origin 'fake'"),
        (text("file,y.0", "a.png,1", "b.png,nan"), "line 3: column y.0 holds 'nan'"),
        (text("file,y.0", "a.png,inf"), "line 2: column y.0 holds 'inf'"),
        (text("file,y.0", "a.png,one"), "line 2: column y.0 holds 'one'"),
        (text("file,y.0,y.1", "a.png,,2"), "line 2: a label vector of 1 values lacks y.0"),
        (text("file", '"a.png'), "line 2: not a readable CSV"),
        (text("file,a", "a.png,1", "b.png,\0"), "line 3: holds a NUL byte"),
        (text("file,a", '"x\ny.png",1', "z.png"), "line 4: 1 cells"),
    ],
)
def test_refusals_name_the_line(data: bytes, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        read_manifest(data, "set.zip: manifest.csv")
    assert str(caught.value).startswith("set.zip: manifest.csv")


def test_a_cell_may_be_long() -> None:
    (row,) = read_manifest(text("file,mask", f"a.png,{'1 2 ' * 50_000}"), "m")
    assert len(row.columns["mask"]) == 200_000


@given(st.one_of(st.binary(max_size=80), st.binary(max_size=60).map(lambda b: b"file,y.0\n" + b)))
@settings(max_examples=150, deadline=None)
def test_any_bytes_are_rows_or_a_user_error(data: bytes) -> None:
    try:
        rows = read_manifest(data, "m")
    except UserError:
        return
    assert read_manifest(write_manifest(rows), "m") == rows
    assert all(isinstance(row.vector(), list) for row in rows)


@pytest.mark.parametrize("name", ["", "/a", "../a", "a/../b", "a\\b", "C:a"])
def test_members_stay_inside(name: str) -> None:
    with pytest.raises(UserError, match="not a path inside the archive"):
        check_member(name, "here")


def test_label_vectors() -> None:
    assert label_vector({"y.0": "1", "y.1": "-2.5e1", "age": "3"}) == [1.0, -25.0]
    assert label_vector({"y.left": "no number", "y.01": "x", "y": "2"}) == []
    assert label_vector({"y.0": "", "y.1": ""}) == []
    numbers = {f"y.{i}": str(i) for i in range(12)}
    assert label_vector(dict(sorted(numbers.items()))) == list(map(float, range(12)))
    with pytest.raises(ValueError, match=r"lacks y\.1"):
        label_vector({"y.0": "1", "y.2": "1"})


def test_the_hash_knows_content_and_not_order() -> None:
    rows = read_manifest(write_manifest(ROWS), "m")
    shuffled = random.Random(0).sample(rows, len(rows))
    turned = [replace(r, columns=dict(reversed(list(r.columns.items())))) for r in shuffled]
    assert manifest_hash(turned) == manifest_hash(rows) == manifest_hash(ROWS)
    for change in ({"label": "y"}, {"group": "h"}, {"split": "val"}, {"columns": {"age": "51"}}):
        assert manifest_hash([replace(rows[0], fold=None, **change), *rows[1:]]) != manifest_hash(
            [replace(rows[0], fold=None), *rows[1:]]
        )


def test_counts_and_parts() -> None:
    assert count_labels(ROWS, ["y", "x"]) == {"y": 0, "x": 1, "(none)": 1}
    assert [row.file[-5] for row in in_split(ROWS, "train")] == ["0", "2"]
    assert in_split(ROWS, None) == ROWS
    for name in ("fold", "folder", "fold²", "fold1234"):
        assert in_split(ROWS, name) == []


def test_a_name_of_many_dashes_is_spelled_in_no_time() -> None:
    assert spelling("P__01") == spelling("p-1") == "p1"
    assert spelling("a" + "_" * 200_000 + "b0") == "a" + "_" * 200_000 + "b0"
