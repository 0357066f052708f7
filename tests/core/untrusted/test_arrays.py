"""Arrays of others: numbers and text only, of the size that the file has."""

import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from synthograph.core.errors import UserError
from synthograph.core.untrusted.arrays import MAX_ARRAYS, pack_arrays, read_arrays


def npy(array: np.ndarray, **options: bool) -> bytes:
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def packed(path: Path, members: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


def test_what_is_written_is_read(tmp_path: Path) -> None:
    given = {
        "w": np.arange(6, dtype=np.float32).reshape(1, 2, 3),
        "columns": np.asfortranarray(np.arange(6).reshape(2, 3)),
        "network": np.array("abc"),
        "names": np.array(["\U0010ffff\ue000", ""]),
        "other order": np.array(["é"], dtype=">U1"),
        "none": np.zeros((0, 3)),
    }
    (tmp_path / "a.npz").write_bytes(pack_arrays(given))
    found = read_arrays(tmp_path / "a.npz")
    assert found.keys() == given.keys()
    for name, array in given.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)
    assert pack_arrays(given) == (tmp_path / "a.npz").read_bytes()


def test_files_of_numpy_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", w=np.ones((1, 4, 8)))
    assert read_arrays(tmp_path / "a.npz")["w"].shape == (1, 4, 8)


class Evil:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, ("executed",))


def huge() -> bytes:
    """A header that promises 8 TB, with eight bytes behind it."""
    data = npy(np.zeros(1))
    return data.replace(b"(1,), }" + b" " * 12, b"(1000000000000,), }")


def with_header(text: str, data: bytes) -> bytes:
    """What numpy would not write: any header."""
    header = f"{text:<117}\n".encode()
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(header)) + header + data


def of(kind: str) -> str:
    return f"{{'descr': '{kind}', 'fortran_order': False, 'shape': (1,), }}"


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"w.npy": npy(np.array([Evil()], dtype=object), allow_pickle=True)}, "Python objects"),
        ({"w.npy": huge()}, "has not 8 bytes"),
        ({"w.npy": npy(np.ones(4))[:-1]}, "has not 31 bytes"),
        ({"w.npy": b"PK"}, "broken or no .npz"),
        ({"w.npy": pickle.dumps([1])}, "broken or no .npz"),
        ({"w.npy": with_header("{'shape': (1,", bytes(8))}, "broken or no .npz"),
        ({"w.npy": with_header("{1: 2, 'shape': (1,)}", bytes(8))}, "broken or no .npz"),
        ({"w.npy": with_header("(" * 3000, bytes(8))}, "broken or no .npz"),
        ({"w.npy": with_header(of("xx"), bytes(8))}, "broken or no .npz"),
        ({"w.npy": with_header(of("<U1"), b"\xff\xff\xff\x7f")}, "characters that do not exist"),
        ({"w.npy": with_header(of(">U1"), b"\0\x11\0\0")}, "characters that do not exist"),
        ({"w.npy": with_header(of("<U1"), b"\0\xd8\0\0")}, "characters that do not exist"),
        ({"w.txt": b"1"}, "all .npy"),
        ({f"{n}.npy": b"" for n in range(MAX_ARRAYS + 1)}, f"may hold {MAX_ARRAYS}"),
    ],
)
def test_what_is_refused(tmp_path: Path, members: dict[str, bytes], words: str) -> None:
    path = packed(tmp_path / "a.npz", members)
    with pytest.raises(UserError, match=words) as caught:
        read_arrays(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)
    assert not Path("executed").exists()


def test_what_is_no_file_of_arrays(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(b"no zip")
    with pytest.raises(UserError, match=r"a\.npz: is broken or no \.npz file \(it is no zip file"):
        read_arrays(tmp_path / "a.npz")
    with pytest.raises(UserError, match="no such file"):
        read_arrays(tmp_path / "b.npz")
