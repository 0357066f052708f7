"""Generation from Python."""

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest

import synthograph
from synthograph.archive.reader import open_archive
from synthograph.core.errors import UserError
from synthograph.core.progress import Printed
from synthograph.sampling.latents import of_seeds
from synthograph.workflows import generate as workflow
from tests.conftest import NVIDIA
from tests.sampling.test_generate import make_snapshot

NETWORK = NVIDIA / "cond2_rgb_32.pkl"


def test_the_result_says_what_is_where(tmp_path: Path) -> None:
    folder, grid = tmp_path / "images", tmp_path / "grid.png"
    made = synthograph.generate(network=NETWORK, outdir=folder, per_class=1, grid=grid)
    assert (made.outdir, made.count, made.part, made.left_out) == (folder, 2, None, None)
    assert len(list(folder.iterdir())) == 2 and grid.is_file()
    assert repr(made) == f"{folder}: 2 images\n{grid}"
    part = synthograph.generate(network=NETWORK, outdir=tmp_path / "set.zip", num=4, part="2/2")
    assert (part.count, part.part) == (2, "2/2")
    assert repr(part).endswith("the same command without --part joins them")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "jpg"}, "setting 'kind': 'jpg' is unknown: did you mean 'jpeg'"),
        ({"noise_mode": "off"}, "setting 'noise_mode': 'off' is unknown"),
        ({"num": 0}, "setting 'num': must be at least 1, got 0"),
        ({"num": 1, "seeds": "0"}, "--seeds and --num exclude each other"),
    ],
)
def test_refusals(tmp_path: Path, options: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        synthograph.generate(network=NETWORK, outdir=tmp_path / "x", **options)


def test_noise_modes_of_a_network_without_noise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network, made = make_snapshot(tmp_path, noise=False).path, []
    for mode in ("const", "random", "none"):
        dest = tmp_path / f"{mode}.zip"
        synthograph.generate(
            network=network, outdir=dest, num=2, noise_mode=mode, progress=Printed()
        )
        note = f"note: --noise-mode {mode} has no effect"
        assert capsys.readouterr().out.count(note) == (mode != "const")
        with zipfile.ZipFile(dest) as archive:
            made.append({name: archive.read(name) for name in archive.namelist()})
    assert made[0] == made[1] == made[2]


def test_processes_run_the_request_wherever_it_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the command line of this process, which may be a notebook's."""
    started = []
    monkeypatch.setattr(workflow, "in_parts", lambda *given: started.append(given))
    synthograph.generate(network=NETWORK, outdir=tmp_path / "x", num=2, gpus=2, device="cpu")
    options = ["--outdir", str(tmp_path / "x"), "--device", "cpu", "--gpus", "2"]
    words = ["generate", "--network", str(NETWORK), "--num", "2", *options]
    assert started == [(words, " ".join(["synthograph", *words]), 2)]


def test_saved_latents_draw_the_same_images(tmp_path: Path) -> None:
    """Two classes, truncation and random noise; the archives name the file that holds them."""
    network, saved = make_snapshot(tmp_path / "n").path, tmp_path / "more" / "saved.npz"
    first, again = tmp_path / "first.zip", tmp_path / "again.zip"
    how = {"network": network, "noise_mode": "random", "batch": 2}
    made = synthograph.generate(seeds="4-6", trunc=0.6, outdir=first, save_latents=saved, **how)
    assert repr(made) == f"{first}: 6 images\n{saved}"
    synthograph.generate(latents=[saved], outdir=again, **how)
    one, two = open_archive(first), open_archive(again)
    assert one.digests == two.digests
    assert [row.label for row in two.rows] == ["a b"] * 3 + ["c/d"] * 3
    assert two.rows[1].columns["latent"] == "seed0005" and "seed" not in two.rows[1].columns
    sha256 = hashlib.sha256(saved.read_bytes()).hexdigest()
    for archive in (one, two):
        assert archive.info.snapshots[0]["latents"] == {sha256: "saved.npz"}
    with np.load(saved) as arrays:  # z as published tools draw it, and w as drawn
        np.testing.assert_array_equal(arrays["z"][0], np.random.RandomState(4).randn(8).astype("f"))
        assert arrays["w"].shape == (6, 4, 8)


@pytest.mark.parametrize("out", ["out", "out.zip"])
def test_latents_are_not_saved_where_images_cannot_be(tmp_path: Path, out: str) -> None:
    how = {"network": make_snapshot(tmp_path / "n").path, "outdir": tmp_path / out, "seeds": "1"}
    synthograph.generate(**how)
    with pytest.raises(UserError, match="exist"):
        synthograph.generate(save_latents=tmp_path / "saved.npz", **how)
    assert not (tmp_path / "saved.npz").exists()
    saved = {"save_latents": tmp_path / "saved.npz"}
    assert synthograph.generate(**(how | saved | {"outdir": tmp_path / f"new-{out}"})).count > 0


def test_a_published_projection_is_drawn_with_a_note(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network, out = make_snapshot(tmp_path / "n").path, tmp_path / "out"
    np.savez(tmp_path / "projected_w.npz", w=np.zeros((1, 4, 8)))
    made = synthograph.generate(
        network=network,
        projected_w=tmp_path / "projected_w.npz",
        outdir=out,
        progress=Printed(),
    )
    assert "projected_w.npz does not say which network" in capsys.readouterr().out
    assert made.count == 1 and sorted(p.name for p in out.iterdir()) == ["nir", "projected_w.png"]


def test_z_of_a_file_for_every_class(tmp_path: Path) -> None:
    snapshot = make_snapshot(tmp_path / "n")
    for seed in (1, 2):
        of_seeds(snapshot, [seed], [None]).save(tmp_path / f"{seed}.npz", snapshot)
    files = [tmp_path / "1.npz", tmp_path / "2.npz"]
    out = tmp_path / "out"
    synthograph.generate(network=snapshot.path, latents=files, classes=["0", "1"], outdir=out)
    names = {f"seed{seed:04d}_{name}.png" for seed in (1, 2) for name in ("a-b", "c-d")}
    assert {p.name for p in out.glob("*.png")} == names
    with pytest.raises(UserError, match="is conditional: name a class"):
        synthograph.generate(network=snapshot.path, latents=files, outdir=tmp_path / "x")


def test_latents_that_are_refused(tmp_path: Path) -> None:
    snapshot, out = make_snapshot(tmp_path / "n"), tmp_path / "out"
    z, w = tmp_path / "z.npz", tmp_path / "w.npz"
    of_seeds(snapshot, [1], ["a b"]).save(z, snapshot)
    np.savez(w, w=np.zeros((2, 4, 8)))
    refused = [
        ({"latents": [z], "seeds": "1"}, "--seeds and --latents exclude each other"),
        ({"latents": [z], "projected_w": w}, "--latents and --projected-w exclude"),
        ({"projected_w": z}, "has no latents 'w'"),
        ({"latents": [z, w]}, "has no latents 'z'"),
        ({"latents": [w], "classes": ["0", "1"]}, "--class: styles w are of the class"),
        ({"latents": [w], "trunc": 0.5, "trunc_center": "class"}, "name a class"),
        ({"save_latents": tmp_path / "a.txt"}, r"a\.txt: latents are \.npz files"),
        ({"save_latents": w}, "exists already"),
        ({"save_latents": tmp_path / "a.npz", "part": "1/2"}, "--save-latents needs all images"),
    ]
    for options, words in refused:
        with pytest.raises(UserError, match=words) as caught:
            synthograph.generate(network=snapshot.path, outdir=out, **options)
        assert "\n" not in str(caught.value) and not out.exists()


def test_an_interrupted_command_finds_its_latents(tmp_path: Path) -> None:
    network, saved = make_snapshot(tmp_path / "n").path, tmp_path / "saved.npz"
    for name in ("a", "b"):
        synthograph.generate(network=network, num=2, outdir=tmp_path / name, save_latents=saved)
    with pytest.raises(UserError, match=r"saved\.npz exists already"):
        synthograph.generate(network=network, num=3, outdir=tmp_path / "c", save_latents=saved)
