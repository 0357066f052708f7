"""Neighbours from Python: files, and distances that are measured."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import synthograph as sg
from synthograph.models.snapshot import Snapshot
from synthograph.sampling.latents import Space, of_seeds, read
from tests.conftest import NVIDIA
from tests.sampling.test_generate import make_snapshot

NETWORK = NVIDIA / "cond2_rgb_32.pkl"


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    return make_snapshot(tmp_path / "snapshots")


def table(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "neighbours.csv").read_text().splitlines()))


def test_pictures_come_with_their_distances(tmp_path: Path) -> None:
    out = tmp_path / "near"
    found = sg.neighbours(
        network=NETWORK, seed=85, of_class="1", num=3, distance="5,60", outdir=out
    )
    rows = table(out)
    assert [row["name"] for row in rows[:2]] == ["5-000", "5-001"] and len(rows) == 9
    assert [row["kind"] for row in rows].count("other") == 3
    assert [float(row["angle"]) for row in rows[:6]] == pytest.approx([5] * 3 + [60] * 3, rel=1e-4)
    middle = np.asarray(Image.open(out / "centre.png"), dtype=float)
    for row in rows[:6]:
        pixels = np.asarray(Image.open(out / f"{row['name']}.png"), dtype=float)
        rmse = np.sqrt(((pixels - middle) ** 2).mean()) / 255
        assert float(row["rmse"]) == pytest.approx(rmse, abs=1e-5)
    w = [float(row["w"]) for row in rows]
    assert max(w[:3]) < min(w[3:6])
    assert (out / "sheet.png").is_file() and found.space is Space.Z
    text = repr(found)
    assert "distance in z, degrees" in text and "other seeds" in text and "6 neighbours" in text


def test_in_w_around_a_latent_of_a_file(snapshot: Snapshot, tmp_path: Path) -> None:
    """Two modalities of 8 pixels, which are too small for perceptual distances."""
    of_seeds(snapshot, [3], ["a b"]).save(tmp_path / "z.npz", snapshot)
    out = tmp_path / "near"
    found = sg.neighbours(
        network=snapshot.path, latents=tmp_path / "z.npz", space="w", num=2, distance="0.5",
        outdir=out,
    )  # fmt: skip
    assert found.space is Space.W
    names = {f"{name}.png" for name in ("centre", "0.5-000", "0.5-001")}
    assert {p.name for p in (out / "nir").iterdir()} == names
    rows = table(out)
    assert list(rows[0]) == ["name", "kind", "asked_w", "w", "rmse"]
    assert [float(row["w"]) for row in rows[:2]] == pytest.approx([0.5, 0.5], rel=1e-4)
    kept = read(out / "latents.npz", snapshot)
    assert kept.labels == ("a b",) * 3 and kept.names[1] == "0.5-000"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"seed": 1}, "is conditional: name a class, --class a b or c/d"),
        ({"of_class": "0"}, "give --seed or --latents"),
        ({"of_class": "0", "seed": 1, "latents": "a.npz"}, "give --seed or --latents"),
        ({"of_class": "0", "seed": 2**32}, "--seed .*the largest seed is 4294967295"),
        ({"of_class": "0", "seed": "one"}, "setting 'seed'"),
        ({"of_class": "0", "seed": 1, "distance": "far"}, "--distance 'far'"),
        ({"of_class": "0", "seed": 1, "num": 1024, "distance": "1,2,3,4,5"}, "more than the 4096"),
    ],
)
def test_refusals(snapshot: Snapshot, tmp_path: Path, options: dict, words: str) -> None:
    with pytest.raises(sg.UserError, match=words) as caught:
        sg.neighbours(network=snapshot.path, outdir=tmp_path / "out", **options)
    assert "\n" not in str(caught.value) and not (tmp_path / "out").exists()


def test_one_latent_is_in_the_middle(snapshot: Snapshot, tmp_path: Path) -> None:
    of_seeds(snapshot, [3, 4], ["a b"] * 2).save(tmp_path / "z.npz", snapshot)
    with pytest.raises(sg.UserError, match="holds 2 latents, give a file with one"):
        sg.neighbours(network=snapshot.path, latents=tmp_path / "z.npz", outdir=tmp_path / "out")
