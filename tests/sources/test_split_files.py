"""Official splits as lists of files."""

import json
from pathlib import Path

import pytest

from synthograph.core.errors import UserError
from synthograph.sources.split_files import read_split_files
from tests.sources.test_file_source import draw, read


def write(path: Path, text: str) -> str:
    path.write_bytes(text.encode("utf-16"))
    return str(path)


def test_lists_give_every_image_its_split(tmp_path: Path) -> None:
    source = draw(tmp_path / "set", *(f"a/{n}.png" for n in range(5)))
    lists = [
        write(tmp_path / "train_val_list.txt", "0.png\r\n1.png 0\r\n\r\na/2\r\n".replace(" 0", "")),
        "test=" + write(tmp_path / "holdout.csv", 'file,label\n"3.png",x\n'),
    ]
    found = read(source, split_files=lists)
    assert [item.split for item in found.items] == ["train", "train", "train", "test"]
    assert [(r.name, r.reason) for r in found.rejects] == [
        ("a/4.png", "no row in train_val_list.txt, holdout.csv")
    ]
    assert found.split_origin == "train_val_list.txt, holdout.csv"
    assert any("holdout.csv, line 1 (file)" in remark for remark in found.remarks)


def test_lists_that_are_refused(tmp_path: Path) -> None:
    train = write(tmp_path / "train.txt", "1.png\n1.png\n")
    with pytest.raises(UserError, match=r"'1.png' is in train.txt, line 1 too"):
        read_split_files([train, write(tmp_path / "test.txt", "1.png\n")])
    with pytest.raises(UserError, match=r"which split is it\? .* such as test=.*part1.txt"):
        read_split_files([write(tmp_path / "part1.txt", "1.png\n")])
    with pytest.raises(UserError, match="cannot be read"):
        read_split_files([str(tmp_path / "val.txt")])


@pytest.mark.parametrize(("kind", "split"), [("test", "test"), ("val", "val")])
def test_without_a_list_of_training_images_all_others_train(
    tmp_path: Path, kind: str, split: str
) -> None:
    source = draw(tmp_path / "set", *(f"{n}.png" for n in range(4)))
    found = read(source, split_files=[f"{kind}=" + write(tmp_path / "list.txt", "1.png\n3.png\n")])
    assert [item.split for item in found.items] == ["train", split] * 2
    assert not found.rejects
    note = "2 image(s) are in none of the lists (list.txt), which name no training images: they"
    assert sum(note in remark for remark in found.remarks) == 1


def test_a_list_of_training_images_alone_says_nothing_of_others(tmp_path: Path) -> None:
    source = draw(tmp_path / "set", *(f"{n}.png" for n in range(4)))
    found = read(source, split_files=[write(tmp_path / "train.txt", "1.png\n3.png\n")])
    assert [reject.reason for reject in found.rejects] == ["no row in train.txt"] * 2


def test_an_object_gives_the_lists_by_split(tmp_path: Path) -> None:
    source = draw(tmp_path / "set", *(f"{n}.png" for n in range(4)))
    inner = {"train": ["0.png", "1.png"], "val": ["2.png"]}
    (tmp_path / "data_split_1.json").write_text(json.dumps(inner, indent=2))
    (tmp_path / "ext_test_fnames.json").write_text(json.dumps({"test": ["3.png"]}))
    files = [str(tmp_path / name) for name in ("data_split_1.json", "ext_test_fnames.json")]
    for given in (files, [files[0], f"test={files[1]}"]):
        found = read(source, split_files=given)
        assert [item.split for item in found.items] == ["train", "train", "val", "test"]
        assert not found.rejects


@pytest.mark.parametrize("file", ["part1.json", "part1.txt"])
def test_a_list_in_json_is_of_the_split_in_front(tmp_path: Path, file: str) -> None:
    text = write(tmp_path / file, json.dumps(["a/1.png", "3.png"], indent=2))
    rows = read_split_files([f"test={text}"]).rows
    assert [(row.file, row.split) for row in rows] == [("a/1.png", "test"), ("3.png", "test")]
    with pytest.raises(UserError, match=r"which split is it\?"):
        read_split_files([text])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (
            {"test": ["1.png"], "train": ["2.png"]},
            "images of 'train' and says itself .* leave 'test=' out",
        ),
        ({"test": [1, 2]}, "test, entry 1: 1 is no file name; list the image files of each split"),
        ([["1.png", 0]], r"list.json, entry 1: \['1.png', 0\] is no file name"),
        ({"labels": [["1.png", 0]]}, "'labels' names no split; .* whose keys are splits"),
        ({"test": "1.png"}, "'test' must be a list of file names"),
        (7, "must be a list of file names, or an object of lists by split"),
    ],
)
def test_json_that_is_refused(tmp_path: Path, content: object, reason: str) -> None:
    for indent in (None, 2):
        (tmp_path / "list.json").write_text(json.dumps(content, indent=indent))
        with pytest.raises(UserError, match=reason):
            read_split_files([f"test={tmp_path / 'list.json'}"])


def test_lists_that_fit_no_image_have_no_columns_to_choose(tmp_path: Path) -> None:
    source = draw(tmp_path / "set", "1.png")
    with pytest.raises(UserError, match="list the images by the names that they have here"):
        read(source, split_files=[write(tmp_path / "test.txt", "other.png\n")])
