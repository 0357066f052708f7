"""Folders and zip files read alike, and nothing leaves them or hangs."""

import io
import json
import os
import pickle
import struct
import tracemalloc
import zipfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from PIL import Image

from synthograph.archive.split import SplitOptions, split_archive
from synthograph.core.errors import UserError
from synthograph.core.outputs import is_run
from synthograph.core.record import UnreadableError
from synthograph.core.untrusted import containers
from synthograph.core.untrusted.containers import (
    Folder,
    ZipFolder,
    close_zips,
    open_container,
    unwrap,
    without_runs,
)

FILES = {"b/Größe 1.png": b"one", "a.png": b"two", "b/c/d.txt": b"three"}
LITTER = (
    *(".hidden.png", "__MACOSX/._a.png", "b/Thumbs.db", ".git/x.png", "b/.DS_Store", "._a.png"),
    *(
        "@eaDir/a.png/SYNOPHOTO_THUMB_SM.jpg",
        "b/c/@EADIR/x.png",
        "@SynoEAStream/b.png",
        "#recycle/b.png",
        "#Recycle/b",
    ),
    *("b/$RECYCLE.BIN/S-1-5/$R1.png", ".Trash-1000/files/a.png", ".Trashes/501/a.png"),
    *("lost+found/x.png", "b/LOST+FOUND/x", "@Recycle/a.png", "System Volume Information/a.png"),
)


def make_folder(root: Path, files: dict[str, bytes]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root


def make_zip(path: Path, files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", method) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return path


def grey_png() -> bytes:
    file = io.BytesIO()
    Image.new("L", (8, 8)).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(params=["folder", "zip"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    files = FILES | dict.fromkeys(LITTER, b"litter")
    if request.param == "zip":
        return make_zip(tmp_path / "set.zip", files)
    return make_folder(tmp_path / "set", files)


def test_members_are_sorted_and_litter_is_left_out(path: Path) -> None:
    container = open_container(path, "SOURCE")
    assert container.members().names == tuple(sorted(FILES))
    assert {name: container.read(name) for name in FILES} == FILES
    (remark,) = container.members().remarks
    assert "of a file server or system left out: " in remark


def test_containers_travel_to_other_processes(path: Path) -> None:
    container = pickle.loads(pickle.dumps(open_container(path, "SOURCE")))
    container.read("a.png")  # opened here first, so that a fork would share the file position
    with ProcessPoolExecutor(2) as pool:
        assert list(pool.map(container.read, list(FILES) * 20)) == list(FILES.values()) * 20


@pytest.mark.parametrize("name", ["../x.png", "/x.png", "C:/x.png", "a/../../x.png", "a\\x.png"])
def test_members_that_leave_their_folder_are_named(tmp_path: Path, name: str) -> None:
    path = make_zip(tmp_path / "evil.zip", {"a.png": b"", name: b""})
    with pytest.raises(UserError, match="would leave its folder") as caught:
        open_container(path, "SOURCE").members()
    assert repr(name) in str(caught.value)


def test_bomb_is_refused_before_reading(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "bomb.zip", {"a.png": bytes(40 << 20)}, zipfile.ZIP_DEFLATED)
    with pytest.raises(UserError, match=r"'a.png' grows from \d+ to 41943040 bytes"):
        open_container(path, "SOURCE").members()
    with pytest.raises(UnreadableError, match="grows from"):
        ZipFolder(path).read("a.png")


def test_well_packed_small_members_are_fine(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "masks.zip", {"a.tif": bytes(10 << 20)}, zipfile.ZIP_DEFLATED)
    assert len(ZipFolder(path).read("a.tif")) == 10 << 20
    assert open_container(path, "SOURCE").members().names == ("a.tif",)


def test_declared_size_is_bounded(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(containers, "MAX_MEMBER_BYTES", 3)
    container = open_container(path, "SOURCE")
    assert container.read("a.png") == b"two"
    with pytest.raises(UnreadableError, match="more than"):
        container.read("b/c/d.txt")
    if isinstance(container, ZipFolder):
        with pytest.raises(UserError, match="more than"):
            container.members()


def test_damaged_zip_member(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "set.zip", {"a.png": b"pixels pixels"})
    path.write_bytes(path.read_bytes().replace(b"pixels pixels", b"pixels-pixels"))
    with pytest.raises(UnreadableError, match="damaged in the zip file"):
        ZipFolder(path).read("a.png")
    with pytest.raises(UnreadableError, match="damaged in the zip file"):
        ZipFolder(path).read("gone.png")


def test_repeated_and_encrypted_members(tmp_path: Path) -> None:
    path = tmp_path / "twice.zip"
    with zipfile.ZipFile(path, "w") as file, pytest.warns(UserWarning, match="Duplicate"):
        file.writestr("a.png", b"1")
        file.writestr("a.png", b"2")
    with pytest.raises(UserError, match="appears twice"):
        open_container(path, "SOURCE").members()
    path = make_zip(tmp_path / "secret.zip", {"a.png": b"1"})
    data = bytearray(path.read_bytes())
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(bytes(data))
    with pytest.raises(UserError, match="encrypted"):
        open_container(path, "SOURCE").members()


def test_changed_zip_is_opened_anew(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "set.zip", {"a.png": b"old"})
    assert ZipFolder(path).read("a.png") == b"old"
    make_zip(path, {"a.png": b"newer"})
    assert ZipFolder(path).read("a.png") == b"newer"


def test_zips_are_kept_open_until_they_are_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[zipfile.ZipFile] = []
    real = zipfile.ZipFile

    def record(path: str) -> zipfile.ZipFile:
        opened.append(real(path))
        return opened[-1]

    path = make_zip(tmp_path / "set.zip", {"a.png": b"1"})
    close_zips()
    monkeypatch.setattr(zipfile, "ZipFile", record)
    for _ in range(2):
        assert ZipFolder(path).read("a.png") == b"1"
    (handle,) = [file.fp for file in opened if file.fp]
    opened.clear()
    close_zips()
    assert handle.closed


def test_a_split_replaces_no_open_zip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"{place}.png" for place in range(4)]
    listing = {"labels": [[name, 0] for name in names]}
    files = dict.fromkeys(names, grey_png()) | {"dataset.json": json.dumps(listing).encode()}
    path = make_zip(tmp_path / "set.zip", files)
    still_open = []
    real = os.replace

    def record(old: Path, new: Path) -> None:
        still_open.append(containers._shared_zip.cache_info().currsize)
        real(old, new)

    monkeypatch.setattr(os, "replace", record)
    split_archive(path, SplitOptions(test=0.5, val=0))
    assert still_open == [0]


def test_containers_know_their_own_name(tmp_path: Path) -> None:
    files = {"x/site_a/1.png": b"1"}
    assert Folder(make_folder(tmp_path / "b", files) / "x" / "..").name == "b"
    path = make_zip(tmp_path / "set.zip", files)
    assert [ZipFolder(path).name, ZipFolder(path, "x/site_a/").name] == ["set", "site_a"]


def test_what_is_no_folder_or_zip(tmp_path: Path) -> None:
    (tmp_path / "fake.zip").write_bytes(b"no zip at all")
    whole = make_zip(tmp_path / "set.zip", FILES).read_bytes()
    (tmp_path / "cut.zip").write_bytes(whole[: len(whole) // 2])
    for name in ("fake.zip", "cut.zip"):
        with pytest.raises(UserError, match="is not a zip file, or is cut short"):
            open_container(tmp_path / name, "SOURCE")
    (tmp_path / "g.safetensors").write_bytes(b"{}")
    with pytest.raises(UserError, match="is a file of a network, and images are wanted"):
        open_container(tmp_path / "g.safetensors", "SOURCE")
    with pytest.raises(UserError, match="no such folder or zip file"):
        open_container(tmp_path / "gone", "SOURCE")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_unreadable_paths(tmp_path: Path) -> None:
    make_folder(tmp_path / "set", FILES)
    (tmp_path / "set" / "b").chmod(0)
    try:
        with pytest.raises(UserError, match="cannot be listed"):
            open_container(tmp_path / "set", "SOURCE").members()
    finally:
        (tmp_path / "set" / "b").chmod(0o755)


def test_links(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "set", {"a.png": b"1"})
    make_folder(tmp_path / "other", {"x.png": b"2"})
    (root / "linked.png").symlink_to(tmp_path / "other" / "x.png")
    (root / "inner.png").symlink_to("a.png")
    (root / "again").symlink_to(root, target_is_directory=True)
    (root / "self.png").symlink_to(root / "self.png")
    (root / "gone.png").symlink_to(root / "nowhere.png")
    listing = Folder(root).members()
    assert listing.names == ("a.png", "inner.png")
    assert Folder(root).read("inner.png") == b"1"
    assert sorted(name for name, _ in listing.broken) == ["gone.png", "linked.png", "self.png"]
    assert "outside the folder" in dict(listing.broken)["linked.png"]
    assert any("again" in remark for remark in listing.remarks)


def test_nothing_outside_is_read_by_name_and_no_pipe_is_waited_for(tmp_path: Path) -> None:
    root = tmp_path / "in"
    root.mkdir()
    (tmp_path / "secret.tsv").write_text("a name")
    (root / "participants.tsv").symlink_to(tmp_path / "secret.tsv")
    (root / "a.tsv").write_text("x")
    (root / "b.tsv").symlink_to("a.tsv")
    os.mkfifo(root / "values.img")
    for name in ("participants.tsv", "../secret.tsv", "values.img"):
        with pytest.raises(UnreadableError, match="outside the folder|is a pipe"):
            Folder(root).read(name)
    assert Folder(root).read("b.tsv") == b"x"


def test_the_folder_itself_may_be_a_link(tmp_path: Path) -> None:
    root = make_folder(tmp_path / "set", {"a.png": b"1"})
    (root / "b.png").symlink_to(root / "a.png")
    (tmp_path / "link").symlink_to(root)
    assert Folder(tmp_path / "link").members().names == ("a.png", "b.png")


def test_links_in_a_zip_are_not_taken(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    link = zipfile.ZipInfo("b.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("a.png", b"1")
        packed.writestr(link, "/etc/passwd")
    listing = ZipFolder(path).members()
    assert listing.names == ("a.png",)
    assert listing.broken == (("b.png", "is a link; pack the file itself"),)


def test_a_member_that_lies_about_its_size_takes_no_memory(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("a.png", b"\0" * (64 << 20))
    data = path.read_bytes()
    path.write_bytes(data.replace(struct.pack("<I", 64 << 20), struct.pack("<I", 100)))
    assert ZipFolder(path).members().names == ("a.png",)
    tracemalloc.start()
    with pytest.raises(UnreadableError, match="damaged"):
        ZipFolder(path).read("a.png")
    assert tracemalloc.get_traced_memory()[1] < 8 << 20
    tracemalloc.stop()


def test_methods_without_a_bound_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as packed:
        packed.writestr("a.png", b"1")
    with pytest.raises(UserError, match="method 14; pack the zip again"):
        ZipFolder(path).members()


def test_pipes_are_not_opened(tmp_path: Path) -> None:
    make_folder(tmp_path, {"a.png": b"1"})
    os.mkfifo(tmp_path / "pipe.png")
    listing = Folder(tmp_path).members()
    assert listing.names == ("a.png",)
    assert "pipe.png" in listing.remarks[0]


def test_names_that_are_no_text(tmp_path: Path) -> None:
    try:
        Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff.png")).write_bytes(b"")
    except OSError:
        pytest.skip("the file system only takes UTF-8 names")
    listing = Folder(tmp_path).members()
    assert listing.names == ()
    assert "not valid UTF-8" in listing.broken[0][1]
    listing.broken[0][0].encode()


def test_folder_inside_a_zip(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "set.zip", FILES)
    inner = open_container(path / "b", "--modality nir")
    assert inner.members().names == ("Größe 1.png", "c/d.txt")
    assert inner.read("c/d.txt") == b"three"
    assert inner.inside(ZipFolder(path)) == "b/"
    assert ZipFolder(path).inside(inner) is None
    assert str(inner) == f"{path}/b"
    with pytest.raises(UserError, match="holds no such folder"):
        open_container(path / "z", "--modality nir")


def test_a_zip_of_a_folder_is_unwrapped(tmp_path: Path) -> None:
    def root(name: str, files: list[str]) -> tuple[str, ...]:
        path = make_zip(tmp_path / name, dict.fromkeys(files, b""))
        return unwrap(open_container(path, "SOURCE")).members().names

    assert root("1.zip", ["s/a/1.png", "s/b/2.png"]) == ("a/1.png", "b/2.png")
    assert root("2.zip", ["s/dataset.json", "s/2.png"]) == ("2.png", "dataset.json")
    assert root("3.zip", ["00000/1.png", "00000/2.png"]) == ("00000/1.png", "00000/2.png")
    assert root("4.zip", ["a/x/1.png", "b/x/2.png"]) == ("a/x/1.png", "b/x/2.png")
    assert root("5.zip", ["a/x/1.png", "2.png"]) == ("2.png", "a/x/1.png")


def test_run_directories_are_no_source(tmp_path: Path) -> None:
    files = {
        "photos/config.json": b"{}",
        "photos/a.png": b"",
        "runs/00000-set/config.json": b"{}",
        "runs/00000-set/log.txt": b"",
        "runs/00000-set/reals.png": b"",
        "runs/b.png": b"",
    }
    root = make_folder(tmp_path / "root", files)
    listing = without_runs(Folder(root).members())
    assert listing.names == ("photos/a.png", "photos/config.json", "runs/b.png")
    assert listing.remarks == ("run directories of trainings left out: runs/00000-set",)
    assert is_run(root / "runs" / "00000-set")
    assert not is_run(root / "photos") and not is_run(root / "runs") and not is_run(root / "no")


def test_a_member_whose_header_is_damaged_gets_a_short_message(tmp_path: Path) -> None:
    """zipfile quotes the name in the header, which may be as long as the file."""
    path = tmp_path / "set.zip"
    with zipfile.ZipFile(path, "w") as packed:
        packed.writestr("a.png", bytes(5000))
    data = bytearray(path.read_bytes())
    data[26:28] = (4000).to_bytes(2, "little")
    path.write_bytes(data)
    with pytest.raises(UnreadableError, match="damaged in the zip file") as caught:
        ZipFolder(path).read("a.png")
    assert len(str(caught.value)) < 300
