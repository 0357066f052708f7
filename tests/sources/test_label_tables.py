"""Tables, dataset.json and name patterns: what they give, and every refusal."""

import csv
from pathlib import Path

import pytest

from synthograph.core.errors import UserError
from synthograph.sources.files import FileSourceOptions, read_files
from synthograph.sources.tables import (
    LabelTable,
    TableRow,
    compile_name_regex,
    parse_columns,
    read_dataset_json,
)
from tests.sources.test_file_source import draw


def table(tmp_path: Path, text: str, name: str = "t.csv", **columns: str) -> LabelTable:
    path = tmp_path / name
    path.write_bytes(text.encode())
    return LabelTable.read(path, columns or None)


def test_columns_are_parsed_in_one_or_several_pieces() -> None:
    wanted = {"file": "image_name", "label": "target"}
    assert parse_columns("file=image_name,label=target") == wanted
    assert parse_columns(["file=image_name", "label = target"]) == wanted
    assert parse_columns(["file=image_name,label=target", "file=image_name"]) == wanted


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("file", "not of the form"),
        ("file=", "not of the form"),
        ("=x", "not of the form"),
        ("lable=x", "did you mean 'label'"),
        ("file=a,file=b", "twice"),
    ],
)
def test_columns_that_are_refused(text: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        parse_columns(text)


def test_roles_and_further_columns(tmp_path: Path) -> None:
    text = '\ufeffimage_name,target,site\r\n\r\na, 1 ,"x, y"\r\nb,,z\r\n'
    read = table(tmp_path, text, file="image_name", label="target")
    assert read.has_label
    assert not read.has_group
    assert read.rows[0] == TableRow("row 3", "a", "1", None, {"site": "x, y"})
    assert read.rows[1].label is None


def test_default_roles_are_headers_of_that_name(tmp_path: Path) -> None:
    read = table(tmp_path, "group,file\ng,a.png\n")
    assert not read.has_label
    assert read.rows == (TableRow("row 2", "a.png", None, "g", {}),)


def test_tabs_and_nameless_columns(tmp_path: Path) -> None:
    read = table(tmp_path, "\tfile\tlabel\n0\ta\tx\n", "t.tsv")
    assert read.rows == (TableRow("row 2", "a", "x", None, {"column_0": "0"}),)


def test_a_role_frees_the_header_of_its_name(tmp_path: Path) -> None:
    read = table(tmp_path, "file,label,has_t2\na,0,1\n", label="has_t2")
    assert read.rows == (TableRow("row 2", "a", "1", None, {"label": "0"}),)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is empty"),
        ("image,label\na,1\n", "no column 'file'.*columns are: image, label"),
        ("file,file\na,b\n", "two columns are named 'file'"),
        ("file,label\na\n", "row 2: has 1 cells, the header has 2"),
        ("file,label\n,1\n", "row 2: names no file"),
        ("file,label\na,1\nb,1\na,2\n", "row 2 and row 4 are about the same file 'a'"),
        ('file,label\n"a,1\n', "line 2: not a readable CSV file"),
        ("file,y.0,y.1\na,1,nan\n", r"row 2, column y.1: 'nan' is not a finite number"),
        ("file,y.0\na,1\nb,inf\n", "row 3, column y.0"),
        ("file,y.0,y.2\na,1,2\n", "y.1 is missing"),
    ],
)
def test_tables_that_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        table(tmp_path, text)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.txt"])
def test_any_separator_is_found(tmp_path: Path, separator: str, name: str) -> None:
    lines = [["file", "label", "note"], ["a.png", "x", '"1,5;2\t3|4"'], ["b.png", "y", ""]]
    read = table(tmp_path, "\n".join(map(separator.join, lines)), name)
    assert [row.label for row in read.rows] == ["x", "y"]
    assert read.rows[0].columns == {"note": "1,5;2\t3|4"}


def test_separators_that_only_look_so(tmp_path: Path) -> None:
    read = table(tmp_path, 'file;size (w, h, d, e)\na.png;"1"\n')
    assert read.rows[0].columns == {"size (w, h, d, e)": "1"}
    read = table(tmp_path, 'file,"a;b;c;d",label\na.png,1,x\n')
    assert read.rows[0].columns == {"a;b;c;d": "1"}
    read = table(tmp_path, "sep=;\nfile;label\na.png;x\n")
    assert read.rows == (TableRow("row 3", "a.png", "x"),)


def test_comments_at_the_top_are_passed_over(tmp_path: Path) -> None:
    read = table(tmp_path, "# made by a program\n# in May\nfile,label\na.png,x\n")
    assert read.rows == (TableRow("row 4", "a.png", "x"),)
    read = table(tmp_path, "#file,label\na.png,#x\n", file="#file")
    assert [row.file for row in read.rows] == ["a.png"]


@pytest.mark.parametrize(
    ("encoding", "guessed"),
    [
        *((name, False) for name in ("utf-8", "utf-8-sig", "utf-16", "utf-32")),
        *((name, True) for name in ("cp1252", "latin-1")),
    ],
)
def test_tables_as_office_programs_save_them(tmp_path: Path, encoding: str, guessed: bool) -> None:
    (tmp_path / "t.csv").write_bytes("file;label\nGröße.png;Müller\n".encode(encoding))
    read = LabelTable.read(tmp_path / "t.csv")
    assert read.rows == (TableRow("row 2", "Größe.png", "Müller"),)
    assert [text for text in read.remarks if "Windows-1252" in text] == list(read.remarks)
    assert bool(read.remarks) == guessed


def test_cells_may_be_as_long_as_the_run_lengths_of_a_mask(tmp_path: Path) -> None:
    long = "1 2 " * 50_000
    read = table(tmp_path, f"file,label,mask\na,x,{long}\nb,y,1 2\n")
    assert read.rows[0].columns == {"mask": long.strip()}
    assert csv.field_size_limit() == 131_072, "the limit of the process stays"


MARKS = ["", " ", "n/a", "N/A", "NA", "NaN", "nan", "None", "NULL", "-", "unknown", "\u00a0"]


@pytest.mark.parametrize("mark", MARKS)
def test_marks_for_missing_values_are_no_values(tmp_path: Path, mark: str) -> None:
    read = table(tmp_path, f"file,label,group,split,y.0,site\na,x,p,test,1,s\nb{5 * f',{mark}'}\n")
    assert read.rows[0] == TableRow("row 2", "a", "x", "p", {"y.0": "1", "site": "s"}, "test")
    row = read.rows[1]
    assert (row.label, row.group, row.split) == (None, None, None)
    assert row.columns == {"y.0": "", "site": mark.strip()}
    assert row.marks == (
        {} if not mark.strip() else dict.fromkeys(("label", "group", "split"), mark)
    )


def test_other_marks_replace_the_usual_ones(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("file,label,group\na,none,-9\nb,,NA\n")
    read = LabelTable.read(tmp_path / "t.csv", missing=["-9"])
    assert [(row.label, row.group) for row in read.rows] == [("none", None), (None, "NA")]


def test_numbers_of_a_column_with_gaps_are_those_of_one_without(tmp_path: Path) -> None:
    read = table(tmp_path, "file,label,group\na,1.0,12.0\nb,0.0,\nc,,7.0\n")
    assert [row.group for row in read.rows] == ["12", None, "7"]
    assert [row.label for row in read.rows] == ["1", "0", None]
    read = table(tmp_path, "file,group\na,1.0\nb,1.5\nc,007\n")
    assert [row.group for row in read.rows] == ["1.0", "1.5", "007"]


def test_splits_by_many_names(tmp_path: Path) -> None:
    names = ["Train", "training", "valid", "Validation", "dev", "TEST", "testing", "HOLDOUT"]
    lines = "\n".join(f"{n},{name}" for n, name in enumerate(names))
    read = table(tmp_path, f"file,split\n{lines}\n")
    assert read.has_split
    expected = ["train", "train", "val", "val", "val", "test", "test", "test"]
    assert [row.split for row in read.rows] == expected


def test_a_column_called_split_by_chance_is_kept_as_it_is(tmp_path: Path) -> None:
    text = "file,split\na,skin split\nb,train\n"
    read = table(tmp_path, text)
    assert not read.has_split
    assert read.rows[0].columns == {"split": "skin split"}
    with pytest.raises(UserError, match="row 2, column split: 'skin split' names no split"):
        table(tmp_path, text, split="split")


def test_a_column_without_a_value_gives_nothing_unless_it_was_named(tmp_path: Path) -> None:
    text = "file,label,group,split,site\na,,,,x\nb,NA,,n/a,y\n"
    read = table(tmp_path, text)
    assert not (read.has_label or read.has_group or read.has_split)
    assert read.rows[0].columns == {"site": "x"}
    named = table(tmp_path, text, label="label", group="group", split="split")
    assert named.has_label and named.has_group and named.has_split


def test_unknown_header_and_role(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no column 'image_nme': did you mean 'image_name'"):
        table(tmp_path, "image_name,target\na,1\n", file="image_nme")
    with pytest.raises(UserError, match="unknown role 'grp'"):
        table(tmp_path, "file,target\na,1\n", grp="target")


def test_files_that_are_no_tables(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes(b"file,label\na.png,\0\n")
    with pytest.raises(UserError, match="line 2: holds a NUL byte"):
        LabelTable.read(tmp_path / "t.csv")
    (tmp_path / "t.csv").write_bytes(b"\xff\xfef")
    with pytest.raises(UserError, match="is not the utf-16 text"):
        LabelTable.read(tmp_path / "t.csv")
    (tmp_path / "t.xlsx").write_bytes(b"PK\3\4\0\0")
    with pytest.raises(UserError, match="is a workbook of an office program.*as CSV"):
        LabelTable.read(tmp_path / "t.xlsx")
    with pytest.raises(UserError, match="cannot be read"):
        LabelTable.read(tmp_path / "gone.csv")
    with pytest.raises(UserError, match="cannot be read"):
        LabelTable.read(tmp_path)
    (tmp_path / "t.json").write_text('{"labels": [["a", 1]]}')
    with pytest.raises(UserError, match="leave --column out"):
        LabelTable.read(tmp_path / "t.json", {"file": "a"})
    assert LabelTable.read(tmp_path / "t.json").rows[0].label == "1"


def test_repeated_rows_are_counted(tmp_path: Path) -> None:
    read = table(tmp_path, "file,label\na,1\na,1\n")
    assert len(read.rows) == 1
    assert read.remarks == ("1 repeated row(s) of t.csv ignored",)


def matched(tmp_path: Path, files: list[str], names: list[str]) -> dict[str, str]:
    read = table(tmp_path, "\n".join(["file", *files]) + "\n")
    return {name: row.file for name, row in read.match(names).items()}


@pytest.mark.parametrize(
    ("files", "names", "expected"),
    [
        (["a/1.png"], ["a/1.png"], {"a/1.png": "a/1.png"}),
        (["a/1"], ["a/1.png"], {"a/1.png": "a/1"}),
        (["1.jpg"], ["1.png"], {"1.png": "1.jpg"}),
        (["1"], ["train/1.jpg"], {"train/1.jpg": "1"}),
        (["images/1.png"], ["1.png"], {"1.png": "images/1.png"}),
        (["1.png", "1.jpg"], ["x/1.jpg", "x/1.png"], {"x/1.jpg": "1.jpg", "x/1.png": "1.png"}),
        (["a/1", "b/1"], ["1.png"], {}),
        (["a/1", "b/1"], ["a/1.png", "b/1.png"], {"a/1.png": "a/1", "b/1.png": "b/1"}),
        (["a/1.png"], ["a/1.png", "b/1.png"], {"a/1.png": "a/1.png"}),
        (["train/1.png"], ["test/1.png"], {}),
        (["./a/1.png"], ["a/1.png"], {"a/1.png": "a/1.png"}),
        (["a\\1.png"], ["a/1.png"], {"a/1.png": "a/1.png"}),
        (["Gr\u00f6\u00dfe 1"], ["Gro\u0308\u00dfe 1.png"], {"Gro\u0308\u00dfe 1.png": "Größe 1"}),
    ],
)
def test_matching(
    tmp_path: Path, files: list[str], names: list[str], expected: dict[str, str]
) -> None:
    assert matched(tmp_path, files, names) == expected


@pytest.mark.parametrize("names", [["a/1.png", "b/1.png"], ["1.png", "1.jpg"]])
def test_one_row_for_two_images_is_refused(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(UserError, match="row 2: '1' fits two images") as caught:
        matched(tmp_path, ["1"], names)
    assert all(name in str(caught.value) for name in names)


@pytest.mark.parametrize(
    ("files", "names", "expected"),
    [
        (["a/1", "b/2"], ["1.png", "2.png"], {"1.png": "a/1"}),
        (["x/a/1", "x/b/1"], ["1.png"], {"1.png": "x/a/1"}),
        (["a/9", "b/2"], ["2.png"], {}),
        (["a/x/1", "b/x/2"], ["x/1.png", "x/2.png"], {"x/1.png": "a/x/1"}),
        (["c/1", "b/2"], ["1.png", "2.png"], {"1.png": "c/1", "2.png": "b/2"}),
        (["a/x/1", "a/y/2"], ["1.png", "2.png"], {"1.png": "a/x/1", "2.png": "a/y/2"}),
        (["a/1", "2"], ["1.png", "x/2.png"], {"1.png": "a/1", "x/2.png": "2"}),
    ],
)
def test_a_table_that_names_the_folder_says_nothing_about_it_elsewhere(
    tmp_path: Path, files: list[str], names: list[str], expected: dict[str, str]
) -> None:
    read = table(tmp_path, "\n".join(["file", *files]) + "\n")
    assert {name: row.file for name, row in read.match(names, "a").items()} == expected


def test_labels_and_groups_have_one_unicode_form(tmp_path: Path) -> None:
    read = table(tmp_path, "file,label,group\n1,Gro\u0308\u00dfe,Mu\u0308ller\n")
    assert (read.rows[0].label, read.rows[0].group) == ("Gr\u00f6\u00dfe", "M\u00fcller")


def test_published_dataset_json() -> None:
    read = read_dataset_json('{"labels": [["00000/img00000000.png", 6], ["b.png", 0]]}', "d")
    assert [(row.file, row.label) for row in read.rows] == [
        ("00000/img00000000.png", "6"),
        ("b.png", "0"),
    ]
    assert read.has_label
    assert read.classes is None
    empty = read_dataset_json('{"labels": null}', "d")
    assert not empty.rows
    assert not empty.has_label


def test_dataset_json_with_classes_vectors_and_meta() -> None:
    read = read_dataset_json('{"classes": ["a", "b"], "labels": [["1.png", 1]], "x": 1}', "d")
    assert read.classes == ("a", "b")
    read = read_dataset_json('{"labels": [["1.png", [0.5, 1]], ["2.png", [0, -1]]]}', "d")
    assert not read.has_label
    assert read.rows[0] == TableRow(
        "entry '1.png'", "1.png", None, None, {"y.0": "0.5", "y.1": "1.0"}
    )
    text = (
        '{"labels": [["1a.jpeg", 0]], "meta": [["1a.jpeg", 0, 1, "PTC"], ["2a.jpeg", 1, 2, "FA"]]}'
    )
    read = read_dataset_json(text, "d")
    assert read.has_group
    assert read.rows == (
        TableRow("entry '1a.jpeg'", "1a.jpeg", "0", "1", {"diagnosis": "PTC"}),
        TableRow("entry '2a.jpeg'", "2a.jpeg", "1", "2", {"diagnosis": "FA"}),
    )


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"labels": [\n["a.png", 1],\n]}', "d, line [23].*comma before a closing bracket"),
        ('{"labels": [["a.png", 1,]]}', "comma before a closing bracket"),
        ('{"labels": null,}', "comma before a closing bracket"),
        ('{"labels": [\n["a.png" 1]]}', "line 2"),
        ("", "line 1"),
        ('{"labels": [["a.png", 1],', "line 1.*Expecting value"),
        ("[" * 100_000, "not usable JSON|not valid JSON"),
        ("[]", "not a list of labels"),
        ('{"images": []}', "not a list of labels"),
        ('{"labels": [["a.png", 1], ["./a.png", 2]]}', "listed twice"),
        ('{"labels": [["a.png", [NaN]]]}', "entry 'a.png': nan is not a finite number"),
    ],
)
def test_dataset_json_that_is_refused(text: str, reason: str) -> None:
    with pytest.raises(UserError, match=reason):
        read_dataset_json(text, "d")


def test_name_regex() -> None:
    assert compile_name_regex(r"(?P<patient>\d+)").groupindex == {"patient": 1}
    with pytest.raises(UserError, match="is not a regular expression"):
        compile_name_regex("(?P<patient>")
    with pytest.raises(UserError, match="no named group"):
        compile_name_regex(r"(\d+)")


def test_control_characters_are_cleaned_and_counted(tmp_path: Path) -> None:
    draw(tmp_path / "set", *(f"{n}.png" for n in range(4)))
    path = tmp_path / "a.csv"
    rows = ['file,label,group,"lesion\nsite"', '0,"MEL\nskin",p,arm', "1,MEL skin,p\u200b,arm"]
    path.write_text("\n".join([*rows, "2,NV,q,leg", "3,NV,r,leg"]))
    found = read_files(FileSourceOptions(source=tmp_path / "set", table=path))
    assert [(item.label, item.group) for item in found.items] == [
        *[("MEL skin", "p")] * 2, ("NV", "q"), ("NV", "r")
    ]  # fmt: skip
    assert found.items[0].columns == {"lesion site": "arm"}
    words = "2 image(s) have a label or group with line breaks or invisible characters in "
    assert sum(remark.startswith(words) for remark in found.remarks) == 1


def test_classes_with_control_characters_are_refused() -> None:
    with pytest.raises(UserError, match=r"class 'a\\nb' holds control characters: correct it in"):
        read_dataset_json('{"classes": ["a\\nb", "c"]}', "dataset.json")
