"""Archives appear whole; an interrupted writer goes on with the same command and no other."""

import csv
import errno
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest

from synthograph.archive.manifest import Row
from synthograph.archive.reader import ArchiveInfo, open_archive
from synthograph.archive.writer import ArchiveWriter, encode, image_name, write_rejects
from synthograph.core.commands import TYPED
from synthograph.core.errors import DiskFullError, UserError

INFO = ArchiveInfo.parse(
    {
        "classes": ["x", "y"],
        "spec": {"height": 8, "width": 8, "modalities": {"vis": 3, "nir": 1}, "bits": 8},
        "namespace": "n",
    }
)
COMMAND = {"make": 1, "sizes": (8, 8)}


def image(seed: int, mask: bool = True):
    rng = np.random.default_rng(seed)
    parts = {
        "vis": rng.integers(0, 256, (8, 8, 3), np.uint8),
        "nir": rng.integers(0, 256, (8, 8, 1), np.uint8),
    }
    row = Row("", "xy"[seed % 2], f"g{seed}", columns={"ö": f"{seed}, {seed}"})
    return encode(parts, parts["nir"][:, :, 0] % 3 if mask else None, row)


def add(writer: ArchiveWriter, first: int, last: int) -> None:
    """Items of 0, 1 or 2 images."""
    for i in range(first, last):
        writer.add([image(10 * i + n, mask=i % 2 == 0) for n in range(i % 3)], {"item": i})


def bytes_of(path: Path) -> object:
    if path.is_file():
        return path.read_bytes()
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


@pytest.fixture(params=["set.zip", "set", "SET.ZIP"])
def dest(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / "new" / request.param


def unbroken(dest: Path) -> object:
    other = dest.parent / "other" / dest.name
    writer = ArchiveWriter(other, COMMAND)
    add(writer, 0, 9)
    writer.finish(INFO)
    return bytes_of(other)


def test_the_archive_is_there_and_nothing_else(dest: Path) -> None:
    writer = ArchiveWriter(dest, COMMAND)
    add(writer, 0, 9)
    writer.finish(INFO)
    assert os.listdir(dest.parent) == [dest.name]
    archive = open_archive(dest)
    assert len(archive.rows) == 9 and archive.info == INFO
    assert archive.rows[0].columns == {"ö": "10, 10"}
    assert bytes_of(dest) == unbroken(dest)


def test_a_zip_is_stored_and_says_nothing_of_the_machine(tmp_path: Path) -> None:
    writer = ArchiveWriter(tmp_path / "a.zip", COMMAND)
    add(writer, 0, 5)
    writer.finish(INFO)
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        infos = packed.infolist()
        assert packed.testzip() is None
    assert {i.compress_type for i in infos} == {zipfile.ZIP_STORED}
    assert {i.date_time for i in infos} == {(1980, 1, 1, 0, 0, 0)}
    names = [i.filename for i in infos]
    assert names == sorted(names) and "nir/00000/img00000000.png" in names


def test_dataset_json_repeats_the_labels(tmp_path: Path) -> None:
    writer = ArchiveWriter(tmp_path / "a", COMMAND)
    writer.add([image(0), image(1)])
    writer.finish(INFO)
    document = json.loads((tmp_path / "a" / "dataset.json").read_text())
    assert document["labels"] == [["00000/img00000000.png", 0], ["00000/img00000001.png", 1]]


@pytest.mark.parametrize("first", [0, 1, 5, 9])
def test_a_suspended_writer_goes_on(dest: Path, first: int) -> None:
    writer = ArchiveWriter(dest, COMMAND)
    add(writer, 0, first)
    writer.suspend()
    assert not dest.exists()
    again = ArchiveWriter(dest, json.loads(json.dumps(COMMAND)))
    assert again.items_done == first and again.items == [{"item": i} for i in range(first)]
    add(again, first, 9)
    again.finish(INFO)
    assert bytes_of(dest) == unbroken(dest) and not again.partial.exists()


@pytest.mark.parametrize(
    "damage", ["half line", "no end of line", "nonsense", "image cut", "image gone"]
)
def test_what_a_kill_left_half_done_is_done_again(dest: Path, damage: str) -> None:
    writer = ArchiveWriter(dest, COMMAND)
    add(writer, 0, 6)
    writer.suspend()
    journal = writer.partial / "journal.jsonl"
    lines = journal.read_bytes().splitlines(keepends=True)
    last = writer.partial / "data" / json.loads(lines[5])["rows"][-1]["file"]
    if damage == "half line":
        journal.write_bytes(b"".join(lines)[:-30])
    elif damage == "no end of line":
        journal.write_bytes(b"".join(lines)[:-1])
    elif damage == "nonsense":
        journal.write_bytes(b"".join(lines[:5]) + b"\0" * 50 + b"\n")
    elif damage == "image cut":
        last.write_bytes(last.read_bytes()[:20])
    else:
        last.unlink()
    again = ArchiveWriter(dest, COMMAND)
    assert again.items_done == 5
    add(again, 5, 9)
    again.finish(INFO)
    assert bytes_of(dest) == unbroken(dest)


def test_files_of_no_item_are_left_out(dest: Path) -> None:
    writer = ArchiveWriter(dest, COMMAND)
    add(writer, 0, 9)
    stray = writer.partial / "data" / "masks" / "00007" / "img00007000.png"
    stray.parent.mkdir(parents=True)
    stray.write_bytes(b"begun by a call that was killed")
    writer.finish(INFO)
    assert bytes_of(dest) == unbroken(dest)
    assert dest.is_file() or not (dest / "masks" / "00007").exists()


def test_items_can_be_left_out(tmp_path: Path) -> None:
    writer = ArchiveWriter(tmp_path / "a", COMMAND)
    add(writer, 0, 6)
    writer.leave_out({2, 4})
    assert [item["item"] for item in writer.items] == [0, 1, 3, 5]
    writer.finish(INFO)
    archive = open_archive(tmp_path / "a")
    assert len(archive.rows) == 3  # of items 1 and 5
    assert len(list((tmp_path / "a").glob("0*/*.png"))) == 3


@pytest.mark.parametrize("when", ["pack", "rename"])
def test_a_disk_that_is_full_at_the_end_costs_nothing(
    dest: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    writer = ArchiveWriter(dest, COMMAND)
    add(writer, 0, 9)
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full) if when == "rename" else patch.setattr(
            Path, "write_bytes", full
        )
        with pytest.raises(DiskFullError):
            writer.finish(INFO)
    writer.suspend()
    assert not dest.exists()
    again = ArchiveWriter(dest, COMMAND)
    assert again.items_done == 9
    again.finish(INFO)
    assert bytes_of(dest) == unbroken(dest)


def test_another_command_is_refused(dest: Path) -> None:
    writer = ArchiveWriter(dest, COMMAND)
    add(writer, 0, 3)
    writer.suspend()
    before = bytes_of(writer.partial / "data")
    for _ in range(2):
        with pytest.raises(UserError, match="another command"):
            ArchiveWriter(dest, {"make": 2})
    (writer.partial / "command.json").write_text("{")
    with pytest.raises(UserError, match="another command"):
        ArchiveWriter(dest, COMMAND)
    assert bytes_of(writer.partial / "data") == before


def test_another_command_is_named_with_both_ways_out(dest: Path) -> None:
    ArchiveWriter(dest, {**COMMAND, TYPED: "synthograph prepare 'my in' a.zip"}).suspend()
    with pytest.raises(UserError, match="another command") as refused:
        ArchiveWriter(dest, {"make": 2, TYPED: "synthograph prepare in a.zip"})
    assert "(`synthograph prepare 'my in' a.zip`)" in str(refused.value)
    assert "run that command again to finish it, or remove the folder" in str(refused.value)
    ArchiveWriter(dest, {**COMMAND, TYPED: "synthograph prepare './my in' a.zip"}).discard()
    with pytest.raises(UserError, match=r"images are written to a \.zip or into a folder"):
        ArchiveWriter(dest.with_name("a.tar"), COMMAND)


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    writer = ArchiveWriter(tmp_path / "a.zip", COMMAND)
    code = (
        "import sys; from pathlib import Path\n"
        "from synthograph.archive.writer import ArchiveWriter\n"
        "ArchiveWriter(Path(sys.argv[1]), {'make': 1, 'sizes': [8, 8]})"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.zip")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode and "another process is writing this archive" in done.stderr
    writer.discard()
    assert not os.listdir(tmp_path)


def test_what_is_in_the_way_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_text("x")
    (tmp_path / "b.zip").mkdir()
    (tmp_path / "full" / "x").mkdir(parents=True)
    for name in ("a.zip", "b.zip", "full", "a.zip/c"):
        with pytest.raises(UserError, match=name.partition("/")[0]):
            ArchiveWriter(tmp_path / name, COMMAND)
    assert sorted(os.listdir(tmp_path)) == ["a.zip", "b.zip", "full"]
    (tmp_path / "empty").mkdir()
    writer = ArchiveWriter(tmp_path / "empty", COMMAND)
    add(writer, 0, 3)
    writer.finish(INFO)
    assert len(open_archive(tmp_path / "empty").rows) == 3


def test_folders_that_cannot_be_replaced_are_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("link", "volume", "here"):
        (tmp_path / "real" / name).mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real" / "link")
    monkeypatch.setattr(os.path, "ismount", lambda path: path.name == "volume")
    monkeypatch.chdir(tmp_path / "real" / "here")
    for dest in (tmp_path / "link", tmp_path / "real" / "volume"):
        with pytest.raises(UserError, match=f"{dest.name} is a link or a mounted volume: name a"):
            ArchiveWriter(dest, COMMAND)
    for dest in (Path("."), Path("/")):
        with pytest.raises(UserError, match="without a name of its own: name a new one inside it"):
            ArchiveWriter(dest, COMMAND)
    assert sorted(os.listdir(tmp_path)) == ["link", "real"]
    assert sorted(os.listdir(tmp_path / "real")) == ["here", "link", "volume"]


def test_names_of_images() -> None:
    assert image_name(0) == "00000/img00000000.png"
    assert image_name(12_345) == "00012/img00012345.png"


def test_rejects_are_a_table(tmp_path: Path) -> None:
    write_rejects(tmp_path / "r.csv", [("a, b.jpg", 'is "odd"'), ("ö\n.jpg", "x")])
    with (tmp_path / "r.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))
    assert rows == [["file", "reason"], ["a, b.jpg", 'is "odd"'], ["ö\n.jpg", "x"]]
