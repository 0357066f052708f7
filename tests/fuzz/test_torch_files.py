"""Whatever stands in a file of weights: named tensors, or a refusal."""

import io
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from synthograph.core.untrusted.torch_files import read_state
from tests.fuzz.damage import answers, damaged, fuzz

STATE = {"conv.weight": torch.arange(12.0).view(3, 4), "bn.count": torch.tensor(3)}
LIMIT = 16 << 20


def saved(zipped: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save({"state_dict": STATE, "epoch": 1}, buffer, _use_new_zipfile_serialization=zipped)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "weights.pth"


@fuzz(400)
@given(st.one_of(damaged((saved(True), saved(False))), st.binary(max_size=100)))
def test_damaged_files(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    found = answers(lambda: read_state(path), LIMIT)
    assert found is None or all(isinstance(t, torch.Tensor) for t in found.values())
