"""Whatever stands in a safetensors file: a snapshot that computes, or a refusal."""

import json
import struct
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from synthograph.core.spec import ImageSpec
from synthograph.models.base import Condition
from synthograph.models.registry import family, parse_model
from synthograph.models.snapshot import Snapshot, SnapshotInfo, load, save_snapshot
from tests.fuzz.damage import answers, damaged, fuzz, peak_bytes

MODEL = {"family": "stylegan2", "channel_base": 64, "channel_max": 4, "z_dim": 4, "w_dim": 4}
SPEC = ImageSpec(height=8, width=8, modalities={"image": 1})
TOKENS = (
    *(b'"F64"', b'"F8_E4M3"', b'"BOOL"', b'"U16"', b"[0]", b"[]", b"{}", b"null", b"-1", b"1e999"),
    *(b"18446744073709551615", b'"__metadata__"', b'\\"format\\"', b'\\"z_dim\\":1e9', b"NaN"),
)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**70), 2**70),
        st.floats(allow_nan=False, allow_infinity=False),
        st.text(max_size=8),
    ),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    networks = family("stylegan2").build(SPEC, Condition(("a", "b"), 2), parse_model(MODEL))
    info = SnapshotInfo(
        family="stylegan2", config={"model": MODEL}, spec=SPEC, classes=["a", "b"], label_width=2
    )
    return save_snapshot(tmp_path_factory.mktemp("fuzz"), info, networks.generator, networks)


def check(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    before = peak_bytes()
    snapshot = answers(lambda: load(path))
    assert peak_bytes() - before < 1 << 30
    if snapshot is not None:
        assert isinstance(snapshot, Snapshot)
        width = snapshot.info.label_width
        label = torch.zeros(1, width) if width else None
        image = snapshot.generator(torch.zeros(1, snapshot.generator.z_dim), label)
        assert image.shape[2:] == (snapshot.info.spec.height, snapshot.info.spec.width)


def pack(header: bytes, rest: bytes) -> bytes:
    return struct.pack("<Q", len(header)) + header + rest


@fuzz(150)
@given(st.binary(max_size=100), st.one_of(st.none(), st.integers(0, 2**64 - 1)))
def test_arbitrary_bytes(sample: Path, data: bytes, length: int | None) -> None:
    head = struct.pack("<Q", len(data) if length is None else length)
    check(sample.with_name("x.safetensors"), head + data)


@fuzz(100)
@given(st.data())
def test_damaged_headers(sample: Path, data: st.DataObject) -> None:
    whole = sample.read_bytes()
    (size,) = struct.unpack("<Q", whole[:8])
    header = data.draw(damaged((whole[8 : 8 + size],), TOKENS))
    rest = whole[8 + size :]
    fitted = data.draw(st.booleans())
    check(
        sample.with_name("x.safetensors"),
        pack(header, rest) if fitted else whole[:8] + header + rest,
    )


@fuzz(150)
@given(st.data())
def test_documents_of_other_values(sample: Path, data: st.DataObject) -> None:
    whole = sample.read_bytes()
    (size,) = struct.unpack("<Q", whole[:8])
    header = json.loads(whole[8 : 8 + size])
    document = json.loads(header["__metadata__"]["synthograph"])
    place = data.draw(st.sampled_from([document, document["config"]["model"], document["spec"]]))
    names = [*place, "mapping_layers", "label_width", "discriminator_channel_base", "surprise"]
    place[data.draw(st.sampled_from(names))] = data.draw(VALUES)
    header["__metadata__"]["synthograph"] = json.dumps(document)
    check(sample.with_name("x.safetensors"), pack(json.dumps(header).encode(), whole[8 + size :]))
