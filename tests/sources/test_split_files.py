"""Official splits as lists of files."""

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
