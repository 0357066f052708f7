"""Pickles of others: read as data, never executed, whatever they hold."""

import io
import os
import pickle
import warnings
import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synthograph.core.errors import UserError
from synthograph.models.pickles import RefusedError, _storage, _tensor, read_pickle
from synthograph.models.snapshot import load
from tests.conftest import NVIDIA


class Payload:
    """Runs a command when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


def test_commands_are_refused_by_name_and_not_run(tmp_path: Path) -> None:
    path, marker = tmp_path / "network.pkl", tmp_path / "ran"
    path.write_bytes(pickle.dumps({"G_ema": Payload(marker)}))
    with pytest.raises(UserError, match=r"names (posix|nt)\.system; nothing was executed"):
        load(path)
    assert not marker.exists()


def test_commands_inside_a_tensor_are_not_run(tmp_path: Path) -> None:
    """The data of a tensor is a pickle of its own, which must be restricted too."""
    path, marker = tmp_path / "network.pkl", tmp_path / "ran"

    class Storage:
        def __reduce__(self):
            return torch.storage._load_from_bytes, (pickle.dumps(Payload(marker)),)

    path.write_bytes(pickle.dumps(Storage()))
    with pytest.raises(UserError):
        load(path)
    buffer = io.BytesIO()
    torch.save({"x": Payload(marker)}, buffer)
    assert zipfile.is_zipfile(io.BytesIO(buffer.getvalue()))

    class Saved:
        def __reduce__(self):
            return torch.storage._load_from_bytes, (buffer.getvalue(),)

    path.write_bytes(pickle.dumps(Saved()))
    with pytest.raises(UserError):
        load(path)
    assert not marker.exists()


@pytest.mark.parametrize("value", [3, [1, 2], {"G": 1}, {"G_ema": None, "G": None, "D": None}])
def test_pickles_of_other_things(tmp_path: Path, value: object) -> None:
    path = tmp_path / "x.pkl"
    path.write_bytes(pickle.dumps(value))
    assert read_pickle(path) == value
    with pytest.raises(UserError, match="no snapshot of a known kind"):
        load(path)


def test_tensors_that_claim_more_than_is_stored() -> None:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.save(torch.zeros(4).storage(), buffer, _use_new_zipfile_serialization=False)
    stored = _storage(buffer.getvalue())
    assert _tensor(stored, 0, (2, 2), (2, 1)).shape == (2, 2)
    with pytest.raises(RefusedError, match="claims the shape"):
        _tensor(stored, 0, (10**6, 10**6), (0, 0))
    for offset, size, stride in [(3, (2, 2), (2, 1)), (-1, (1,), (1,)), (3, (2,), (-1,))]:
        with pytest.raises(RefusedError):
            _tensor(stored, offset, size, stride)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_arbitrary_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.pkl"
    path.write_bytes(data)
    try:
        read_pickle(path)
    except UserError:
        pass


@settings(max_examples=60, deadline=None)
@given(st.integers(min_value=0), st.integers(0, 255), st.booleans())
def test_damaged_snapshots(
    tmp_path_factory: pytest.TempPathFactory, place: int, value: int, cut: bool
) -> None:
    data = bytearray((NVIDIA / "cond5_gray_64.pkl").read_bytes())
    place %= len(data)
    data = data[:place] if cut else data
    if not cut:
        data[place] = value
    path = tmp_path_factory.getbasetemp() / "damaged.pkl"
    path.write_bytes(bytes(data))
    try:
        load(path)
    except UserError:
        pass
