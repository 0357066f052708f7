"""Files of torch.save, read as data in both forms, and refused where they are more."""

import os
import pickle
import struct
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from synthograph.core.errors import UserError
from synthograph.core.untrusted.pickles import TORCH_MAGIC, TORCH_PROTOCOL
from synthograph.core.untrusted.torch_files import read_saved, read_state
from tests.core.payload import Payload
from tests.models import hostile

KINDS = [
    *(torch.float32, torch.float64, torch.float16, torch.bfloat16),
    *(torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool),
]
FORMS = pytest.mark.parametrize("zipped", [True, False])


def write(path: Path, content: object, *, zipped: bool = True) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


@FORMS
@pytest.mark.parametrize("dtype", KINDS)
def test_numbers(tmp_path: Path, dtype: torch.dtype, zipped: bool) -> None:
    whole = (torch.arange(24).reshape(2, 3, 4) % 5).to(dtype)
    parts = {"a": whole, "b": whole.permute(2, 0, 1), "c": whole[1:, ::2], "d": whole.sum()}
    parts["e"] = torch.zeros(0, 3, dtype=dtype)
    got = read_state(write(tmp_path / "x.pth", parts, zipped=zipped))
    assert list(got) == list(parts)
    for name, part in parts.items():
        assert got[name].dtype == part.dtype
        assert torch.equal(got[name], part)


@FORMS
def test_state_of_a_module(tmp_path: Path, zipped: bool) -> None:
    module = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    for content in (module.state_dict(), {"state_dict": module.state_dict(), "epoch": 3}):
        got = read_state(write(tmp_path / "x.pth", content, zipped=zipped))
        module.load_state_dict(got)
        assert set(got) == set(module.state_dict())
    parameters = {name: nn.Parameter(t) for name, t in module.named_parameters()}
    assert set(read_state(write(tmp_path / "x.pth", parameters, zipped=zipped))) == set(parameters)


@FORMS
def test_plain_data_beside_tensors(tmp_path: Path, zipped: bool) -> None:
    content = OrderedDict(a=[1, 2.5, "x", None, (True,)], b=torch.ones(2))
    got = read_saved(write(tmp_path / "x.pt", content, zipped=zipped))
    assert got["a"] == content["a"]
    assert torch.equal(got["b"], content["b"])


def test_safetensors_of_anybody(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    save_file({"a": torch.ones(2)}, path, metadata={"made": "elsewhere"})
    assert torch.equal(read_state(path)["a"], torch.ones(2))


def test_safetensors_whose_header_is_as_long_as_a_pickle_begins(tmp_path: Path) -> None:
    path, lengths = tmp_path / "x.safetensors", set()
    for spaces in range(0, 256, 8):
        save_file({"a": torch.ones(2)}, path, metadata={"made": " " * spaces})
        lengths.add(path.read_bytes()[0])
        assert torch.equal(read_state(path)["a"], torch.ones(2))
    assert 0x80 in lengths


@FORMS
def test_nothing_is_executed(tmp_path: Path, zipped: bool) -> None:
    marker = tmp_path / "ran"
    path = write(tmp_path / "x.pth", {"a": Payload(marker)}, zipped=zipped)
    with pytest.raises(UserError, match=rf"names {os.system.__module__}\.system; nothing was"):
        read_state(path)
    assert not marker.exists()


def test_whole_modules_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "x.pth", nn.Linear(2, 2))
    with pytest.raises(UserError, match="it names torch.nn.modules.linear.Linear"):
        read_state(path)


def test_programs_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", b"\x80\x02}.")
        archive.writestr("x/code/__torch__.py", b"print('no')")
    with pytest.raises(UserError, match="TorchScript"):
        read_state(path)


@pytest.mark.parametrize("content", [3, {}, [torch.ones(1)], {"a": 3}, {1: torch.ones(1)}])
def test_files_without_named_tensors(tmp_path: Path, content: object) -> None:
    with pytest.raises(UserError, match="named tensor"):
        read_state(write(tmp_path / "x.pth", content))


def repacked(path: Path, change: dict[str, bytes | None], **options: int) -> Path:
    """A zip file with members replaced, or left out."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    (root,) = {name.split("/")[0] for name in members}
    for name, data in change.items():
        members.pop(f"{root}/{name}", None)
        if data is not None:
            members[f"{root}/{name}"] = data
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return path


@pytest.mark.parametrize(
    ("change", "options", "message"),
    [
        ({"data/0": None}, {}, "missing or compressed"),
        ({"data/0": bytes(12)}, {}, "claims 4 numbers in 12 bytes"),
        ({"data.pkl": None}, {}, "zip file without weights"),
        ({"byteorder": b"big"}, {}, "little-endian"),
        ({}, {"compression": zipfile.ZIP_DEFLATED}, "missing or compressed"),
    ],
)
def test_zip_files_of_others(
    tmp_path: Path, change: dict[str, bytes | None], options: dict[str, int], message: str
) -> None:
    path = write(tmp_path / "x.pth", {"a": torch.ones(4)})
    with pytest.raises(UserError, match=message):
        read_state(repacked(path, change, **options))


@pytest.mark.parametrize("packing", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_no_member_is_unpacked(tmp_path: Path, packing: int) -> None:
    """A byte order that unpacks to 64 MB, whatever length the directory gives it."""
    path = tmp_path / "x.pth"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x/data.pkl", b"\x80\x02}.")
        archive.writestr("x/byteorder", b"little" + bytes(1 << 26), packing)
        archive.getinfo("x/byteorder").file_size = len("little")
    tracemalloc.start()
    with pytest.raises(UserError, match="'byteorder' is missing or compressed"):
        read_state(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 6 * path.stat().st_size + (1 << 20)


@pytest.mark.parametrize("key", [hostile.laughing_tuple(60), b"K\x01", b"}"])
def test_storages_are_listed_by_texts(tmp_path: Path, key: bytes) -> None:
    """The older form; a list of anything else is not compared, which could take for ever."""
    path = tmp_path / "x.pth"
    start = (TORCH_MAGIC, TORCH_PROTOCOL, {"little_endian": True}, {})
    keys = hostile.PROTO + b"]" + key + b"a" + hostile.STOP
    path.write_bytes(b"".join(pickle.dumps(part, 2) for part in start) + keys)
    with pytest.raises(UserError, match="storages that it lists are not those"):
        read_state(path)


@FORMS
def test_files_that_were_cut_or_changed(tmp_path: Path, zipped: bool) -> None:
    path = write(tmp_path / "x.pth", {"a": torch.arange(400.0)}, zipped=zipped)
    data = path.read_bytes()
    for end in (0, 1, 100, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:end])
        with pytest.raises(UserError):
            read_state(path)
    place = data.index(struct.pack("<f", 300.0))
    path.write_bytes(data[:place] + b"\xff" + data[place + 1 :])
    if zipped:  # its checksum tells; the older form has none
        with pytest.raises(UserError, match="CRC"):
            read_state(path)


def test_many_tensors_of_one_storage_stay_within_the_file(tmp_path: Path) -> None:
    """Every tensor is a copy, so a small file could ask for any memory."""
    storage = torch.ones(10_000)
    path = write(tmp_path / "x.pth", {str(i): storage.view(100, 100) for i in range(50)})
    with pytest.raises(UserError, match="larger than the file"):
        read_state(path)
    old = write(
        tmp_path / "y.pth", {str(i): storage.view(100, 100) for i in range(50)}, zipped=False
    )
    with pytest.raises(UserError, match="larger than the file"):
        read_state(old)


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x80\x02.", b"<html>", bytes(100)])
def test_other_files(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.pth"
    path.write_bytes(data)
    with pytest.raises(UserError, match="x.pth"):
        read_state(path)


def test_what_is_no_file(tmp_path: Path) -> None:
    for path, message in ((tmp_path, "is a folder"), (tmp_path / "x", "no such file")):
        with pytest.raises(UserError, match=message):
            read_state(path)
