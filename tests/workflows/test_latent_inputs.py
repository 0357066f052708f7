"""What every latent tool begins with: networks with and without styles."""

from pathlib import Path

import pytest
import torch
from PIL import Image

import synthograph as sg
from synthograph.core.spec import ImageSpec
from synthograph.models import registry
from synthograph.models.base import Condition
from synthograph.models.snapshot import Snapshot, SnapshotInfo, load, save_snapshot
from tests.models.staged import Staged


def made(family: str, model: dict, folder: Path) -> Snapshot:
    """A snapshot of small grey images of 16 bits, twice as wide as high."""
    spec = ImageSpec(height=16, width=32, modalities={"image": 1}, bits=16)
    torch.manual_seed(0)
    config = registry.parse_model({"family": family, **model})
    networks = registry.family(family).build(spec, Condition(), config)
    info = SnapshotInfo(family=family, config={"model": config.tree()}, spec=spec)
    return load(save_snapshot(folder, info, networks.generator, networks))


def asked(verb: str, network: Path, outdir: Path) -> None:
    """The smallest request of a latent tool."""
    if verb == "mix_styles":
        sg.mix_styles(network=network, rows=["1"], cols=["2"], outdir=outdir)
    else:
        sg.neighbours(network=network, seed=1, num=1, distance="20", outdir=outdir)


@pytest.mark.parametrize("verb", ["mix_styles", "neighbours"])
def test_a_network_without_mapping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    monkeypatch.setitem(registry.FAMILIES, "staged", Staged())
    network = made("staged", {}, tmp_path / "n").path
    with pytest.raises(sg.UserError, match="has no mapping and no synthesis") as caught:
        asked(verb, network, tmp_path / "out")
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()
    sg.generate(network=network, seeds="0-1", outdir=tmp_path / "images")
    assert len(list((tmp_path / "images").iterdir())) == 2, "it generates all the same"
    with pytest.raises(sg.UserError, match="has no mapping and no synthesis"):
        sg.generate(
            network=network, seeds="0", outdir=tmp_path / "x", save_latents=tmp_path / "a.npz"
        )


SMALL = {"channel_base": 128, "channel_max": 8, "z_dim": 8, "w_dim": 8}


@pytest.mark.parametrize("verb", ["mix_styles", "neighbours"])
@pytest.mark.parametrize("family", ["stylegan1", "stylegan2"])
def test_networks_with_styles(tmp_path: Path, family: str, verb: str) -> None:
    network = made(family, SMALL, tmp_path / "n").path
    asked(verb, network, tmp_path / "out")
    name = {"mix_styles": "1-2", "neighbours": "20-000"}[verb]
    with Image.open(tmp_path / "out" / f"{name}.png") as image:
        assert (image.size, image.mode) == ((32, 16), "I;16")
