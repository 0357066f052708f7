"""Pickles of others: read as data, never executed, whatever they hold."""

import io
import os
import pickle
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch

from synthograph.core.errors import UserError
from synthograph.core.untrusted.pickle_machine import MAX_STEPS
from synthograph.core.untrusted.pickles import StoredObject
from synthograph.models.pickles import pickle_names, read_pickle
from synthograph.models.snapshot import load
from tests.conftest import NVIDIA
from tests.core.payload import Payload
from tests.models import hostile


def read(folder: Path, data: bytes) -> object:
    path = folder / "network.pkl"
    path.write_bytes(data)
    return read_pickle(path)


def test_commands_are_refused_by_name_and_not_run(tmp_path: Path) -> None:
    path, marker = tmp_path / "network.pkl", tmp_path / "ran"
    path.write_bytes(pickle.dumps({"G_ema": Payload(marker)}))
    with pytest.raises(UserError, match=r"names (posix|nt)\.system; nothing was executed"):
        load(path)
    assert not marker.exists()


def test_commands_inside_a_tensor_are_not_run(tmp_path: Path) -> None:
    """The data of a tensor is a pickle of its own, which must be restricted too."""
    path, marker = tmp_path / "network.pkl", tmp_path / "ran"
    legacy, zipped = io.BytesIO(), io.BytesIO()
    torch.save({"x": Payload(marker)}, legacy, _use_new_zipfile_serialization=False)
    torch.save({"x": Payload(marker)}, zipped)
    assert zipfile.is_zipfile(zipped)
    for data in (pickle.dumps(Payload(marker)), legacy.getvalue(), zipped.getvalue()):
        path.write_bytes(hostile.PROTO + hostile.stored(data) + hostile.STOP)
        with pytest.raises(UserError, match="refused"):
            load(path)
    assert not marker.exists()


@pytest.mark.parametrize("name", hostile.REFUSED)
def test_hostile_pickles_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError) as caught:
        read(tmp_path, hostile.REFUSED[name])
    message = str(caught.value)
    message.encode()  # a terminal must be able to show it
    assert message.isprintable()
    assert len(message) < 400 + len(str(tmp_path))


@pytest.mark.parametrize("name", hostile.NO_SNAPSHOTS)
def test_readable_pickles_that_are_no_snapshots(tmp_path: Path, name: str) -> None:
    read(tmp_path, hostile.NO_SNAPSHOTS[name])
    with pytest.raises(UserError) as caught:
        load(tmp_path / "network.pkl")
    assert len(str(caught.value)) < 500 + len(str(tmp_path))


@pytest.mark.parametrize("data", [hostile.cyclic_modules(), hostile.laughing_modules(40)])
def test_modules_without_end(tmp_path: Path, data: bytes) -> None:
    thing = read(tmp_path, hostile.PROTO + data + hostile.STOP)
    assert isinstance(thing, StoredObject)
    with pytest.raises(UserError, match=r"without end|longer than"):
        thing.tensors()


def test_memory_stays_in_proportion_to_the_file(tmp_path: Path) -> None:
    """Six times the file, and about 400 bytes a step."""
    for data in hostile.REFUSED.values():
        tracemalloc.start()
        with pytest.raises(UserError):
            read(tmp_path, data)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 6 * len(data) + 400 * min(MAX_STEPS, len(data)) + (1 << 20)


@pytest.mark.slow
def test_loading_hostile_files_takes_bounded_memory(tmp_path: Path) -> None:
    """All in one process of its own, whose peak is measured; 512 MB are allowed for networks."""
    attacks = hostile.REFUSED | hostile.NO_SNAPSHOTS | hostile.LONG
    for number, data in enumerate(attacks.values()):
        (tmp_path / f"{number}.pkl").write_bytes(data)
    script = (
        "import resource, sys, pathlib\n"
        "from synthograph.models.snapshot import load\n"
        "from synthograph.core.errors import UserError\n"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "before = peak()\n"
        "for path in pathlib.Path(sys.argv[1]).glob('*.pkl'):\n"
        "    try:\n"
        "        load(path)\n"
        "    except UserError:\n"
        "        continue\n"
        "    sys.exit(f'{path} was loaded')\n"
        "print(peak() - before)\n"
    )
    pytest.importorskip("resource")
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=300)
    unit = 1 if sys.platform == "darwin" else 1024
    assert int(done.stdout) * unit < 1 << 30


@pytest.mark.parametrize("value", [3, [1, 2], {"G": 1}, {"G_ema": None, "G": None, "D": None}])
@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_of_other_things(tmp_path: Path, value: object, protocol: int) -> None:
    assert read(tmp_path, pickle.dumps(value, protocol)) == value
    with pytest.raises(UserError, match="no snapshot of a known kind"):
        load(tmp_path / "network.pkl")


PLAIN = {
    "numbers": [0, 1, -1, 255, 65536, -(2**31), 2**70, 1.5, True, False, None],
    "texts": ["", "é", "\n'\\", b"", b"x" * 300],
    "nested": {"a": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)], "b": {1: {}}},
    "set": {"x", 3},
}


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_agrees_with_python(tmp_path: Path, protocol: int) -> None:
    value = {**PLAIN, "again": PLAIN["nested"]}
    if protocol < 3:  # bytes are a call of a codec there
        value = {**value, "texts": ["", "é", "\n'\\"]}
    got = read(tmp_path, pickle.dumps(value, protocol))
    assert got == value
    assert isinstance(got, dict)
    assert got["again"] is got["nested"]


@pytest.mark.parametrize(
    "dtype",
    [
        torch.float32,
        torch.float64,
        torch.float16,
        torch.bfloat16,
        torch.int64,
        torch.int32,
        torch.int16,
        torch.int8,
        torch.uint8,
        torch.bool,
    ],
)
@pytest.mark.filterwarnings("ignore:TypedStorage is deprecated")
def test_tensors_of_torch(tmp_path: Path, dtype: torch.dtype) -> None:
    whole = (torch.arange(24).reshape(2, 3, 4) % 5).to(dtype)
    parts = [whole, whole.mT.contiguous(), whole.permute(2, 0, 1), whole[1:, ::2], whole.sum()]
    parts += [torch.zeros(0, 3, dtype=dtype), whole[0, 0, 0]]
    for part in parts:
        got = read(tmp_path, pickle.dumps(part))
        assert isinstance(got, torch.Tensor)
        assert got.dtype == part.dtype
        assert torch.equal(got, part)


@pytest.mark.parametrize("code", ["f8", "f4", "i8", "i4", "u1", "b1", ">i4"])
def test_numbers_of_numpy(tmp_path: Path, code: str) -> None:
    value = np.array([1], code)[0]
    assert read(tmp_path, pickle.dumps(value)) == value


def test_tensorflow_networks_are_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "network.pkl").write_bytes(hostile.tensorflow())
    assert "dnnlib.tflib.network.Network" in pickle_names(tmp_path / "network.pkl")
    with pytest.raises(UserError, match=r"TensorFlow version of StyleGAN.* legacy\.py"):
        load(tmp_path / "network.pkl")


def test_names_are_told_up_to_the_refused_one(tmp_path: Path) -> None:
    path = tmp_path / "network.pkl"
    path.write_bytes(pickle.dumps({"a": torch.device("cpu"), "b": Payload(tmp_path), "c": set}))
    assert pickle_names(path) == [
        "torch.device",
        f"{os.name if os.name == 'nt' else 'posix'}.system",
    ]
    names = pickle_names(NVIDIA / "cond5_gray_64.pkl")
    assert "torch_utils.persistence._reconstruct_persistent_obj" in names


def test_what_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "folder.pkl").mkdir()
    with pytest.raises(UserError, match="is a folder"):
        read_pickle(tmp_path / "folder.pkl")
    with pytest.raises(UserError, match="there is no such file"):
        read_pickle(tmp_path / "missing.pkl")
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe.pkl")
        with pytest.raises(UserError, match="is no regular file"):
            load(tmp_path / "pipe.pkl")
