"""What a file of networks is told to be, and that refusals are those of `load`."""

import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from synthograph.core.errors import UserError
from synthograph.core.files import sha256_file
from synthograph.core.untrusted.tensors import read_tensors, write_tensors
from synthograph.models.inspect import describe
from synthograph.models.snapshot import convert, load, partner
from tests.conftest import NVIDIA
from tests.models import hostile
from tests.models.test_snapshot import save


def told(path: Path) -> dict[str, Any]:
    facts: dict[str, Any] = {}
    describe(path, facts)
    json.dumps(facts, allow_nan=False)
    return facts


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    return save(
        tmp_path,
        images_hash="1" * 64,
        split="train",
        group_digests=["a" * 16, "b" * 16],
    )


def test_a_snapshot(saved: Path) -> None:
    facts = told(saved)
    assert facts["kind"] == "snapshot"
    assert facts["sha256"] == sha256_file(saved)
    assert facts["bytes"] == saved.stat().st_size
    assert facts["classes"] == ["a", "b"]
    assert facts["images seen"] == 12345
    assert facts["training"]["images_hash"] == "1" * 64
    assert facts["training"]["groups"] == 2
    assert "a" * 16 not in json.dumps(facts)
    generator = load(saved).generator
    assert facts["parameters"]["generator"] == sum(p.numel() for p in generator.parameters())
    assert set(facts["parameters"]) == {"generator", "discriminator vis", "discriminator nir"}
    partner(saved).unlink()
    assert told(saved)["discriminators"] == "none"


def test_discriminators(saved: Path, tmp_path: Path) -> None:
    facts = told(partner(saved))
    assert facts["kind"] == "discriminators"
    assert facts["generator"] == saved.name
    assert facts["belongs to"] == sha256_file(saved)
    copy = tmp_path / "copy.safetensors"
    convert(saved, copy)
    assert told(partner(copy))["generator"] == copy.name
    copy.unlink()
    assert "not beside it" in told(partner(copy))["generator"]
    tensors, document = read_tensors(saved)
    write_tensors(saved, tensors, {**document, "images_seen": 1})
    with pytest.raises(UserError, match="belongs to another generator"):
        told(partner(saved))


def test_a_published_snapshot() -> None:
    facts = told(NVIDIA / "cond5_gray_64.pkl")
    assert facts["kind"] == "published snapshot"
    assert facts["spec"]["height"] == 64
    assert facts["label width"] == 5
    assert "torch.storage._load_from_bytes" in facts["names in the pickle"]


def test_tensors_of_a_state(tmp_path: Path) -> None:
    write_tensors(tmp_path / "tensors.safetensors", {"a": torch.zeros(3)}, {"format": 1})
    facts = told(tmp_path / "tensors.safetensors")
    assert facts["kind"] == "tensors of a training state"
    assert facts["tensors"] == {"count": 1, "values": 3, "types": ["float32"]}


def broken_files(folder: Path, saved: Path) -> list[Path]:
    """Files that no reader takes."""
    tensors, document = read_tensors(saved)
    whole = saved.read_bytes()
    contents = {
        "empty.safetensors": b"",
        "text.txt": b"hello, this is no network\n",
        "cut.safetensors": whole[: len(whole) // 2],
        "list.pkl": pickle.dumps([1, 2]),
        "eval.pkl": hostile.REFUSED["eval"],
        "tensorflow.pkl": hostile.tensorflow(),
        "cut.pkl": (NVIDIA / "cond5_gray_64.pkl").read_bytes()[:100_000],
    }
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    name = "synthesis.blocks.0.const"
    for file, changed, said in [
        ("nan.safetensors", {name: tensors[name] * torch.nan}, {}),
        ("float8.safetensors", {name: tensors[name].to(torch.float8_e4m3fn)}, {}),
        ("shape.safetensors", {name: torch.zeros(3)}, {}),
        ("family.safetensors", {}, {"family": "stylegan9"}),
        ("huge.safetensors", {}, {"config": {"model": {"z_dim": 10**9}}}),
    ]:
        write_tensors(folder / file, {**tensors, **changed}, {**document, **said})
    torch.save({"a": torch.zeros(2)}, folder / "checkpoint.pt")
    return [
        *(folder / name for name in contents),
        *(folder / f"{n}.safetensors" for n in ("nan", "float8", "shape", "family", "huge")),
        folder / "checkpoint.pt",
        folder / "missing.pkl",
        folder / "missing.safetensors",
    ]


def test_refusals_are_those_of_load(saved: Path, tmp_path: Path) -> None:
    for path in broken_files(tmp_path, saved):
        with pytest.raises(UserError) as by_load:
            load(path)
        with pytest.raises(UserError) as by_describe:
            told(path)
        assert str(by_describe.value) == str(by_load.value)
