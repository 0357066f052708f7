"""Where a benchmark is found, and what else lies there."""

from pathlib import Path

import pytest

from synthograph.core.errors import UserError
from synthograph.sources.benchmarks.finding import find_benchmark
from synthograph.sources.files import FileSourceOptions, read_files
from tests.sources.benchmarks.published import cifar100, write_folder, write_mnist, write_tar


def test_other_folders_hold_none(tmp_path: Path) -> None:
    write_mnist(tmp_path / "a/b", {"train": 2})
    (tmp_path / "a/c.png").touch()
    assert find_benchmark(tmp_path / "a") is None
    with pytest.raises(UserError, match="2 x MNIST is not read: give it, or the folder"):
        read_files(FileSourceOptions(source=tmp_path / "a/b"))
    for name in ("train", "test", "meta"):
        (tmp_path / "d" / name).mkdir(parents=True)
    assert find_benchmark(tmp_path / "d") is None


def test_tar_files_of_other_things_are_to_be_unpacked(tmp_path: Path) -> None:
    path = write_tar(tmp_path / "x.tgz", {"a.png": b""}, "x")
    with pytest.raises(UserError, match="no published set that is known: unpack it and give the"):
        find_benchmark(path)
    damaged = tmp_path / "cifar-100-binary.tar.gz"
    write_tar(damaged, cifar100(binary=True), "cifar-100-binary")
    damaged.write_bytes(damaged.read_bytes()[:-2000])
    with pytest.raises(UserError, match=r"cifar-100-binary.tar.gz: is packed by gzip, and damaged"):
        find_benchmark(damaged)


def test_files_in_tar_files_outside_their_folder_are_not_taken(tmp_path: Path) -> None:
    files = {f"../{name}": data for name, data in cifar100(binary=True).items()}
    with pytest.raises(UserError, match="no published set"):
        find_benchmark(write_tar(tmp_path / "x.tar.gz", files, "x"))
    assert [each.name for each in tmp_path.iterdir()] == ["x.tar.gz"]


def test_lsun_is_named_with_a_way_out(tmp_path: Path) -> None:
    page = bytes(16) + b"\xde\xc0\xef\xbe" + bytes(4096)
    folder = write_folder(tmp_path / "bedroom_train_lmdb", {"data.mdb": page, "lock.mdb": b"x"})
    assert find_benchmark(folder) is None
    with pytest.raises(UserError, match="1 x LMDB is not read: export its images to a folder"):
        read_files(FileSourceOptions(source=folder))
