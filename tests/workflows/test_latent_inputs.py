"""What every latent tool begins with: networks with and without styles."""

from pathlib import Path

import pytest
import torch
from PIL import Image

import synthograph as sg
from synthograph.core.progress import Printed
from synthograph.core.spec import ImageSpec
from synthograph.models import registry
from synthograph.models.base import Condition
from synthograph.models.published import HOST, PHANTOMS
from synthograph.models.snapshot import Snapshot, SnapshotInfo, load, save_snapshot
from synthograph.workflows.latent_inputs import open_network
from tests.conftest import make_archive
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


def test_networks_are_named_as_at_the_start_of_a_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = Path("phantom:skin")
    sg.generate(network=name, seeds="0", outdir=tmp_path / "images")
    assert len(list((tmp_path / "images").iterdir())) == 2, "one of each class"
    assert sg.inspect(name).facts["kind"] == "snapshot"
    sg.convert(name, tmp_path / "own.safetensors")
    assert load(tmp_path / "own.safetensors").info.spec == load(PHANTOMS[str(name)]).info.spec
    kind = {"modalities": {"image": 3}, "classes": ("benign", "melanoma")}
    archive = make_archive(tmp_path / "real", size=(64, 64), **kind)
    plan = {"metrics": ["spread"], "features": ["random-vgg16"], "dry_run": True}
    sg.evaluate(network=name, real=str(archive), **plan)
    monkeypatch.setenv("SYNTHOGRAPH_OFFLINE", "1")
    monkeypatch.setenv("SYNTHOGRAPH_CACHE", str(tmp_path))
    for address in (f"{HOST}/x.pkl", "ffhq256"):
        with pytest.raises(sg.UserError, match=f"forbids downloads.*{HOST}/.*pkl"):
            open_network(Path(address), Printed())
    assert "NVIDIA Source Code License" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("phantom:skim", "neither a file nor a known network; did you mean 'phantom:skin'"),
        ("ffhq256x", "neither a file nor a known network; did you mean 'ffhq256'"),
        ("Brain-run", "neither a file nor a known network; did you mean 'brain-run'"),
        (
            "brain-run/generator-000300.safetensors",
            "no such file; did you mean 'brain-run/gen.*200",
        ),
        ("gone/generator-000200.safetensors", "there is no such file; expected a snapshot such as"),
        ("xyz", "there is no such file; expected a snapshot such as"),
    ],
)
def test_a_mistyped_network_comes_with_the_one_that_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "brain-run").mkdir()
    (tmp_path / "brain-run" / "generator-000200.safetensors").touch()
    if Path(typed).exists():
        pytest.skip("upper and lower case are one here")
    with pytest.raises(sg.UserError, match=message):
        sg.generate(network=Path(typed), seeds="0", outdir=tmp_path / "images")
