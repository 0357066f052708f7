"""Snapshots: what is written comes back, and what does not fit is refused."""

import json
import struct
from pathlib import Path

import pytest
import torch

import synthograph
from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.models.base import Condition
from synthograph.models.registry import family, parse_model
from synthograph.models.snapshot import (
    SnapshotInfo,
    find_snapshot,
    load,
    partner,
    save_snapshot,
)
from synthograph.models.tensors import read_tensors, write_tensors

MODEL = {"family": "stylegan2", "channel_base": 64, "channel_max": 8, "z_dim": 8, "w_dim": 8}
SPEC = ImageSpec(height=8, width=16, modalities={"vis": 3, "nir": 1})


def make_networks():
    torch.manual_seed(0)
    return family("stylegan2").build(SPEC, Condition(("a", "b"), 2), parse_model(MODEL))


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    networks = make_networks()
    info = SnapshotInfo(
        family="stylegan2",
        config={"model": MODEL},
        spec=SPEC,
        classes=["a", "b"],
        label_width=2,
        images_seen=12345,
    )
    return save_snapshot(tmp_path, info, networks.generator, networks)


def test_round_trip(saved: Path) -> None:
    networks = make_networks()
    before = torch.get_rng_state()
    snapshot = synthograph.load(str(saved))
    assert torch.equal(before, torch.get_rng_state()), (
        "loading must not draw from the global generator"
    )
    assert saved.name == "generator-000012.safetensors"
    assert snapshot.info.images_seen == 12345
    assert not snapshot.generator.training
    z, label = torch.randn(3, 8), torch.eye(2)[[0, 1, 0]]
    image = snapshot.generator(z, label, noise_mode="const")
    assert image.shape == (3, 4, 8, 16)
    torch.testing.assert_close(image, networks.generator(z, label, noise_mode="const"))
    vis, nir = SPEC.split(image).values()
    torch.testing.assert_close(
        snapshot.discriminators["nir"](nir, label), networks.discriminators["nir"](nir, label)
    )
    assert snapshot.discriminators["vis"](vis, label).shape == (3, 1)


def test_public_names_of_the_design(saved: Path) -> None:
    generator = synthograph.load(saved).generator
    z, c = torch.randn(2, generator.z_dim), torch.eye(2)
    ws = generator.mapping(z, c, truncation_psi=0.5, truncation_cutoff=2)
    assert ws.shape == (2, generator.num_ws, generator.w_dim)
    full = generator.mapping(z, c)
    torch.testing.assert_close(ws[:, 2:], full[:, 2:])
    torch.testing.assert_close(ws[:, :2], full[:, :2] / 2)  # w_avg is still zero
    for mode in ("const", "random", "none"):
        assert generator.synthesis(ws, noise_mode=mode, force_fp32=True).dtype == torch.float32


def test_without_discriminators(saved: Path) -> None:
    partner(saved).unlink()
    with pytest.raises(UserError, match="shared without its discriminators"):
        _ = load(saved).discriminators


def test_discriminators_of_another_generator(saved: Path) -> None:
    tensors, document = read_tensors(partner(saved))
    write_tensors(partner(saved), tensors, {**document, "generator_sha256": "0" * 64})
    with pytest.raises(UserError, match="belongs to another generator"):
        _ = load(saved).discriminators


def test_tensors_that_do_not_fit(saved: Path) -> None:
    tensors, document = read_tensors(saved)
    name = "synthesis.blocks.0.const"
    for changed, message in [
        ({k: v for k, v in tensors.items() if k != name}, "lacks tensor"),
        ({**tensors, "surplus": torch.zeros(1)}, "surplus"),
        ({**tensors, name: torch.zeros(3)}, r"is \(3,\)"),
        ({**tensors, name: tensors[name] * torch.nan}, "not finite"),
    ]:
        write_tensors(saved, changed, document)
        with pytest.raises(UserError, match=message):
            load(saved)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no safetensors file"),
        (b"GIF89a" * 10, "no safetensors file"),
        (struct.pack("<Q", 2**60) + b"{}", "header of"),
        (struct.pack("<Q", 2) + b"{}", "was not written by synthograph"),
        (struct.pack("<Q", 2) + b"[[", "broken"),
    ],
)
def test_other_files(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        load(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no such file"):
        load(tmp_path / "x.safetensors")
    with pytest.raises(UserError, match="is a folder"):
        load(tmp_path)


def test_documents_that_break_rules(saved: Path) -> None:
    tensors, document = read_tensors(saved)
    for change, message in [
        ({"family": "stylegan9"}, "did you mean 'stylegan2'"),
        ({"format": 2}, "format"),
        ({"surprise": 1}, "unknown setting 'surprise'"),
    ]:
        write_tensors(saved, tensors, json.loads(json.dumps({**document, **change})))
        with pytest.raises(UserError, match=message):
            load(saved)


def test_newest_snapshot_of_a_run(tmp_path: Path) -> None:
    (tmp_path / "snapshots").mkdir()
    for kimg in (5, 10, 15):
        (tmp_path / "snapshots" / f"generator-{kimg:06d}.safetensors").touch()
        (tmp_path / "snapshots" / f"discriminators-{kimg:06d}.safetensors").touch()
    assert find_snapshot(tmp_path).name == "generator-000015.safetensors"
    with pytest.raises(UserError, match="no snapshot yet"):
        find_snapshot(Path(__file__).parent)
