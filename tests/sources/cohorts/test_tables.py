"""Tables of cohorts: where they are found, and what they say."""

import gzip
import zipfile
from pathlib import Path

import pytest

from synthograph.core.errors import UserError
from synthograph.core.untrusted.containers import Folder, ZipFolder, open_container
from synthograph.sources.cohorts import Cohort
from synthograph.sources.cohorts.tables import FoundTable, find_tables, join_table

BASE = {
    "name": "ours",
    "title": "t",
    "holds": "h",
    "home": "https://example.org",
    "paper": "p",
    "unit": "u",
    "official_split": "none",
    "why_invariant": "w",
}
USED = ("x", "KL", "ED", "Group", "image")


def cohort(*tables: dict[str, object], **more: object) -> Cohort:
    return Cohort.parse({**BASE, "tables": list(tables), **more})


def found(asked: Cohort, folder: Path, given: Path | None = None) -> list[FoundTable]:
    source = open_container(folder, "SOURCE")
    return list(find_tables(asked, source, source.members().names, given, USED))


def test_a_table_inside_goes_before_one_beside(tmp_path: Path) -> None:
    asked = cohort({"names": ["a.csv", "b.csv"], "key": "image"})
    (tmp_path / "data" / "deep").mkdir(parents=True)
    (tmp_path / "B.CSV").write_text("image,x\n1,beside\n")
    assert found(asked, tmp_path / "data")[0].rows == {2: {"image": "1", "x": "beside"}}
    (tmp_path / "data" / "deep" / "A.csv").write_text("image,x\n1,inside\n")
    assert found(asked, tmp_path / "data")[0].rows[2]["x"] == "inside"
    (tmp_path / "own.csv").write_text("image;x\n1;given\n")
    assert found(asked, tmp_path / "data", tmp_path / "own.csv")[0].rows[2]["x"] == "given"


def test_a_table_in_a_zip_and_packed(tmp_path: Path) -> None:
    asked = cohort({"names": ["a.csv.gz"], "key": "image"})
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as file:
        file.writestr("a.csv.gz", gzip.compress(b"image,x\n1,yes\n"))
    source = ZipFolder(tmp_path / "data.zip")
    (table,) = find_tables(asked, source, source.members().names, None, USED)
    assert table.rows[2]["x"] == "yes"


def test_one_that_is_missing_is_named_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a.csv or b.csv .* --labels TABLE"):
        found(cohort({"names": ["a.csv", "b.csv"], "key": "image"}), tmp_path)
    with pytest.raises(UserError, match=r"expects its table b.csv .* put it there$"):
        (tmp_path / "a.csv").write_text("image\n1\n")
        found(
            cohort({"names": ["a.csv"], "key": "image"}, {"names": ["b.csv"], "join": {"x": "y"}}),
            tmp_path,
        )
    assert found(cohort({"names": ["b.csv"], "key": "image", "optional": True}), tmp_path) == []


def test_another_version_of_a_table(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("picture,x\n1,2\n")
    first = {"names": ["a.csv"], "key": "image"}
    with pytest.raises(UserError, match=r"column 'image', and there are picture, x; .*file=NAME"):
        found(cohort(first), tmp_path)
    (tmp_path / "b.csv").write_text("picture\n1\n")
    other = {"names": ["b.csv"], "key": "image", "optional": True}
    with pytest.raises(UserError, match=r"give that of https://example.org or take it away"):
        found(cohort({**first, "key": "picture"}, other), tmp_path)


def test_rows_are_chosen_renamed_and_given_columns(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("ID|SIDE|READ|KL\n7|1|15|2\n7|1|37|3\n8|2|15|0\n")
    table = {
        "names": ["a.txt"],
        "join": {"ID": "patient", "SIDE": "side", "visit": "visit"},
        "rename": {"SIDE": "side"},
        "only": {"READ": ["15"]},
        "adds": {"visit": "first"},
    }
    (one,) = found(cohort(table, values={"side": {"1": "right", "2": "left"}}), tmp_path)
    known = {
        "a": {"patient": "7", "side": "right", "visit": "first"},
        "b": {"patient": "7", "side": "right", "visit": "second"},
        "c": {"patient": "8", "side": "left", "visit": "first"},
        "d": {},
    }
    joined = join_table(one, known, "data")
    assert {name: cells["KL"] for name, cells in joined.items()} == {"a": "2", "c": "0"}


def test_a_list_has_no_header_and_pairs_are_about_their_folder(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("1.png\n3.png\n")
    (tmp_path / "p1").mkdir()
    (tmp_path / "p1" / "Info.cfg").write_text("ED: 1\nGroup: DCM\n\n")
    names = {"1.png": {}, "p1/2.png": {}, "p10/3.png": {}}
    asked = cohort(
        {"names": ["list.txt"], "header": ["file"], "key": "file", "adds": {"split": "test"}},
        {"names": ["Info.cfg"], "pairs": True},
    )
    listed, pairs = found(asked, tmp_path)
    assert join_table(listed, names, "data").keys() == {"1.png", "p10/3.png"}
    assert join_table(pairs, names, "data") == {"p1/2.png": {"ED": "1", "Group": "DCM"}}


def test_only_columns_that_are_used_stay_in_memory(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("image,day,x\n1,2012-01-01,2\n")
    (one,) = found(cohort({"names": ["a.csv"], "key": "image"}), tmp_path)
    assert one.rows == {2: {"image": "1", "x": "2"}} and one.columns == {"image", "day", "x"}


def test_rows_about_one_thing_must_agree(tmp_path: Path) -> None:
    asked = cohort({"names": ["a.csv"], "key": "image"})
    (tmp_path / "a.csv").write_text("image,x\n1,2\n1,2\n")
    (same,) = found(asked, tmp_path)
    assert join_table(same, {"1.png": {}}, "data") == {"1.png": {"image": "1", "x": "2"}}
    (tmp_path / "a.csv").write_text("image,x\nJane Doe,2\nJane Doe,3\n")
    (other,) = found(asked, tmp_path)
    with pytest.raises(UserError, match="row 2 and row 3 have the same image") as caught:
        join_table(other, {"1.png": {}}, "data")
    assert "Jane" not in str(caught.value)


def test_a_table_that_cannot_be_read(tmp_path: Path) -> None:
    asked = cohort({"names": ["a.csv"], "key": "image"})
    (tmp_path / "a.csv").write_bytes(b"\x1f\x8b damaged")
    with pytest.raises(UserError, match="packed by gzip, and damaged"):
        found(asked, tmp_path)
    source = Folder(tmp_path)
    with pytest.raises(UserError, match="cannot be read"):
        list(find_tables(asked, source, ["gone/a.csv"], None, USED))
