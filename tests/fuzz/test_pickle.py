"""Whatever a pickle holds: a value, or a refusal."""

import pickle
import pickletools
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from synthograph.models.pickles import read_pickle
from synthograph.models.snapshot import Snapshot, load
from tests.conftest import NVIDIA
from tests.fuzz.damage import answers, damaged, fuzz, peak_bytes
from tests.models import hostile

VALUE = {
    "a": [1, 2.5, None, True],
    "b": (1, "x", b"y"),
    "c": {1, 2},
    "d": [{}, [], ()],
    "e": 1 << 70,
}
SAMPLES = (
    *(pickle.dumps(VALUE, protocol) for protocol in range(6)),
    pickle.dumps(np.float32(3)),
    hostile.tensorflow(),
    hostile.PROTO
    + hostile.tensor(hostile.stored(hostile.storage(torch.zeros(6))), (2, 3), (3, 1))
    + hostile.STOP,
    *(data for data in hostile.NO_SNAPSHOTS.values() if len(data) < 1 << 12),
    *(data for data in hostile.REFUSED.values() if len(data) < 1 << 12),
)
OPCODES = tuple(opcode.code.encode("latin-1") for opcode in pickletools.opcodes)
LIMIT = 16 << 20


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz") / "network.pkl"


@fuzz(300)
@given(st.one_of(st.binary(max_size=200), st.lists(st.sampled_from(OPCODES)).map(b"".join)))
def test_arbitrary_bytes(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    answers(lambda: read_pickle(path), LIMIT)


@fuzz(300)
@given(damaged(SAMPLES, OPCODES))
def test_damaged_pickles(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    answers(lambda: read_pickle(path), LIMIT)


@fuzz(25)
@given(st.data())
def test_damaged_snapshots(path: Path, data: st.DataObject) -> None:
    """Most damage hits numbers, so half of it is aimed at the part that describes the networks."""
    sample = (NVIDIA / "cond5_gray_64.pkl").read_bytes()
    changed = bytearray(sample)
    for _ in range(data.draw(st.integers(1, 3))):
        near = data.draw(st.booleans())
        changed[data.draw(st.integers(0, 3000 if near else len(sample) - 1))] = data.draw(
            st.integers(0, 255)
        )
    path.write_bytes(changed[: data.draw(st.one_of(st.none(), st.integers(0, len(sample))))])
    before = peak_bytes()
    result = answers(lambda: load(path))
    assert result is None or isinstance(result, Snapshot)
    assert peak_bytes() - before < 1 << 30
