"""Files appear whole or not at all, and refusals have the right exit code."""

import contextlib
import errno
import hashlib
import os
import stat
from pathlib import Path

import pytest

from synthograph.core import files
from synthograph.core.errors import BlockedError, DiskFullError, SettingError, UserError
from synthograph.core.files import (
    append_text,
    atomic_path,
    disk_errors,
    refuse_existing,
    refuse_output,
    refuse_unwritable,
    refuse_unwritable_folder,
    remove,
    sha256_file,
    sync,
    write_bytes,
    write_json,
    write_text,
)
from synthograph.core.locks import Lock


def test_a_written_file_is_whole_and_alone(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "één\r\n")
    write_json(tmp_path / "b.json", {"a": 1})
    write_bytes(tmp_path / "a.txt", b"new")
    assert (tmp_path / "a.txt").read_bytes() == b"new"
    assert (tmp_path / "b.json").read_bytes() == b'{\n  "a": 1\n}\n'
    assert sorted(os.listdir(tmp_path)) == ["a.txt", "b.json"]


@pytest.mark.parametrize("folder", [False, True])
def test_a_failure_leaves_the_target_and_nothing_else(tmp_path: Path, folder: bool) -> None:
    target = tmp_path / "a"
    target.write_text("old")

    def fail() -> None:
        with atomic_path(target) as temporary:
            if folder:
                temporary.mkdir()
                (temporary / "x").write_text("half")
            else:
                temporary.write_text("half")
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        fail()
    assert target.read_text() == "old" and os.listdir(tmp_path) == ["a"]


def test_a_folder_can_be_written_at_once(tmp_path: Path) -> None:
    with atomic_path(tmp_path / "run") as temporary:
        temporary.mkdir()
        (temporary / "x").write_text("1")
    assert os.listdir(tmp_path) == ["run"] and (tmp_path / "run" / "x").read_text() == "1"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("step", ["write", "sync", "rename"])
def test_a_full_disk_has_its_own_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, step: str
) -> None:
    def full(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    target = tmp_path / "a"
    target.write_text("old")
    if step == "write":
        monkeypatch.setattr(Path, "write_bytes", full)
    elif step == "sync":
        monkeypatch.setattr(files, "sync", full)
    else:
        monkeypatch.setattr(os, "replace", full)
    with pytest.raises(DiskFullError, match="no space") as caught:
        write_text(target, "new")
    assert caught.value.exit_code == 5 and str(target) in str(caught.value)
    assert target.read_text() == "old" and os.listdir(tmp_path) == ["a"]


def test_the_users_mistakes_are_user_errors_that_name_the_target(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "full" / "x").mkdir(parents=True)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for path in ("missing/a", "file/a", "full", "loop/a", "n" * 300):
        with pytest.raises(UserError) as caught:
            write_text(tmp_path / path, "x")
        assert str(tmp_path / path) in str(caught.value)


def test_a_name_that_is_only_just_allowed_is_allowed(tmp_path: Path) -> None:
    write_text(tmp_path / ("ö" * 127), "x")
    assert len(os.listdir(tmp_path)) == 1


@pytest.mark.parametrize(("folders", "code"), [(True, errno.EINVAL), (False, errno.EIO)])
def test_folders_need_not_be_flushed_but_files_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, folders: bool, code: int
) -> None:
    flush = os.fsync

    def refuse(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode) == folders:
            raise OSError(code, "refused")
        flush(handle)

    monkeypatch.setattr(os, "fsync", refuse)
    with contextlib.nullcontext() if folders else pytest.raises(BlockedError):
        write_bytes(tmp_path / "a", b"x")
    assert (tmp_path / "a").exists() == folders


def test_windows_flushes_only_files_that_are_open_for_writing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[object, int]] = []
    real = os.open

    def record(path: object, flags: int) -> int:
        opened.append((path, flags & (os.O_RDONLY | os.O_WRONLY | os.O_RDWR)))
        return real(path, flags)  # type: ignore[arg-type]

    file = tmp_path / "a"
    file.write_text("x")
    monkeypatch.setattr(os, "open", record)
    with monkeypatch.context() as patch:
        patch.setattr(os, "name", "nt")
        sync(file)
        sync(tmp_path)
    sync(tmp_path)
    assert opened == [(file, os.O_RDWR), (tmp_path, os.O_RDONLY)]


def test_other_errors_pass(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Bad file") as caught, disk_errors(tmp_path):
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    assert not isinstance(caught.value, UserError)


def test_a_disk_that_fails_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Input/output error; use an ordinary file"):
        with disk_errors(tmp_path):
            raise OSError(errno.EIO, os.strerror(errno.EIO))


def test_errors_of_files_within_name_the_target(tmp_path: Path) -> None:
    for error in (DiskFullError, UserError):
        with pytest.raises(error) as caught, atomic_path(tmp_path / "a") as temporary:
            raise error(f"{temporary}: no")
        assert str(caught.value) == f"{tmp_path / 'a'}: no"
    refused = SettingError("x", "rule")
    with pytest.raises(SettingError) as caught, atomic_path(tmp_path / "a"):
        raise refused
    assert caught.value is refused


def test_json_has_no_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert not os.listdir(tmp_path)


def test_remove(tmp_path: Path) -> None:
    (tmp_path / "folder" / "x").mkdir(parents=True)
    (tmp_path / "kept").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    for name in ("folder", "link", "missing"):
        remove(tmp_path / name)
    assert os.listdir(tmp_path) == ["kept"]


def test_digests_of_files(tmp_path: Path) -> None:
    data = bytes(range(256)) * 5000
    (tmp_path / "a").write_bytes(data)
    assert sha256_file(tmp_path / "a") == hashlib.sha256(data).hexdigest()


def test_what_exists_is_refused_unless_it_is_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    refuse_existing(tmp_path / "empty", "name")
    refuse_existing(tmp_path / "missing", "name")
    for name in ("full", "full/x"):
        with pytest.raises(UserError, match="exists already: choose another name"):
            refuse_existing(tmp_path / name, "name")
    with pytest.raises(UserError):
        refuse_existing(tmp_path / ("n" * 300), "name")
    for name, target in (("loop", "loop"), ("dangling", "nowhere")):
        (tmp_path / name).symlink_to(tmp_path / target)
        with pytest.raises(UserError, match=f"{name} is a broken link: choose another name"):
            refuse_existing(tmp_path / name, "name")


def test_no_folder_makes_room_for_a_file(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refuse_output(tmp_path / "empty", "--out")
    refuse_output(tmp_path / "new.json", "--out", file=True)
    with pytest.raises(UserError, match=r"is a folder: name a file, such as --out .*NAME$"):
        refuse_output(tmp_path / "empty", "--out", file=True, replace=True)
    (tmp_path / "table.csv").mkdir()
    with pytest.raises(UserError, match=r"NAME\.csv$") as caught:
        refuse_output(tmp_path / "table.csv", "--out", file=True)
    refuse_output(Path(str(caught.value).rpartition("such as --out ")[2]), "--out", file=True)


def test_what_cannot_be_written_is_refused_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_unwritable(tmp_path / "a" / "b" / "c.zip")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is not a folder"):
        refuse_unwritable(tmp_path / "file" / "c.zip")
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(UserError, match="is not writable"):
        refuse_unwritable(tmp_path / "c.zip")


def test_trying_out_a_folder_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse_unwritable(tmp_path / "a" / "b.zip")
    assert not os.listdir(tmp_path)
    for number, kind in ((errno.ENOENT, UserError), (errno.ENOSPC, DiskFullError)):

        def refuse(*_: object, number: int = number) -> None:
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "mkdir", refuse)
        with pytest.raises(kind, match="b.zip"):
            refuse_unwritable(tmp_path / "b.zip")


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no such file system here")
def test_file_systems_that_hold_no_files_are_refused() -> None:
    for refuse in (refuse_unwritable, refuse_unwritable_folder):
        with pytest.raises(UserError, match="nothing can be written there|is not writable"):
            refuse(Path("/proc/x"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_what_is_no_folder_is_refused_as_one(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    refuse_unwritable_folder(tmp_path / "new" / "newer")
    refuse_unwritable_folder(tmp_path)
    for name, what in {
        "pipe": "pipe or device",
        "file": "file",
        "loop": "broken link",
        "dangling": "broken link",
    }.items():
        with pytest.raises(UserError, match=f"{name} is a {what}, so nothing can be written"):
            refuse_unwritable_folder(tmp_path / name)
        with pytest.raises(UserError, match=f"{name} is not a folder"):
            refuse_unwritable(tmp_path / name / "a" / "x")


def test_a_folder_that_another_command_filled_meanwhile(tmp_path: Path) -> None:
    with (
        pytest.raises(BlockedError, match="another command wrote it meanwhile"),
        files.new_folder(tmp_path / "a") as folder,
    ):
        (folder / "mine").touch()
        (tmp_path / "a").mkdir()
        (tmp_path / "a" / "theirs").touch()
    assert [each.name for each in tmp_path.rglob("*")] == ["a", "theirs"]


def test_what_is_changed_in_place_is_no_link(tmp_path: Path) -> None:
    """A folder of others may hold one to a file of the user."""
    own, link, pipe = (tmp_path / name for name in ("own", "link", "pipe"))
    append_text(own, "a\n")
    append_text(own, "b\n")
    link.symlink_to(own)
    os.mkfifo(pipe)
    for path in (link, pipe):
        with pytest.raises(BlockedError, match="remove it"):
            append_text(path, "c\n")
        with pytest.raises(BlockedError, match="remove it"):
            Lock(path, "busy").acquire()
    assert own.read_text() == "a\nb\n"
