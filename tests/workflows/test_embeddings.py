"""Exports for the TensorBoard projector, and distances of pairs from two files."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import synthograph as sg
from synthograph.archive.split import SplitOptions, split_archive
from synthograph.core.errors import UserError
from synthograph.core.progress import Silent
from synthograph.features import registry
from synthograph.workflows.embeddings import COLUMNS, write_projector
from tests.conftest import make_archive
from tests.metrics.images import Means
from tests.sampling.test_generate import make_snapshot
from tests.workflows.test_authenticity import projected


@pytest.fixture
def vectors(tmp_path: Path) -> dict[str, Path]:
    tensors, metadata = tmp_path / "tensors.tsv", tmp_path / "metadata.tsv"
    tensors.write_text("1\t0\n0\t1\n1\t1\n1\t1\n")
    metadata.write_text(
        "label\timage_name\na\tx.from.png\na\tx.to.png\nb\ty.from.png\nb\ty.to.png\n"
    )
    return {"tensors": tensors, "metadata": metadata}


def test_distances_are_shown_and_written(vectors: dict[str, Path], tmp_path: Path) -> None:
    found = sg.embeddings(**vectors, outdir=tmp_path / "pairs", progress=Silent())
    said = "\n".join(found.lines())
    assert "cosine distance of pairs" in said and "class a" in said and "to nearest other" in said
    assert "50.0% of the images are nearer to their partner" in said
    summaries = json.loads((tmp_path / "pairs" / "pairs.json").read_text())["summaries"]
    assert summaries["class a"]["median"] == pytest.approx(1, abs=1e-6)
    assert summaries["class b"]["median"] == pytest.approx(0, abs=1e-6)
    with pytest.raises(UserError, match="exists already"):
        sg.embeddings(**vectors, outdir=tmp_path / "pairs", progress=Silent())
    sg.embeddings(**vectors, outdir=tmp_path / "no", dry_run=True, progress=Silent())
    assert not (tmp_path / "no").exists()


def test_what_does_not_fit_is_refused(vectors: dict[str, Path], tmp_path: Path) -> None:
    for asked, words in (
        ({}, "one of them"),
        ({**vectors, "archives": ("a.zip",)}, "one of them"),
        ({"tensors": vectors["tensors"]}, "--tensors goes with --metadata"),
        ({"archives": (str(tmp_path / "none.zip"),)}, "needs --outdir"),
        ({**vectors, "latents": (tmp_path / "w.npz",)}, "one of them"),
        ({"latents": (tmp_path / "w.npz",), "outdir": tmp_path / "x"}, "goes with --network"),
    ):
        with pytest.raises(UserError, match=words):
            sg.embeddings(**asked, progress=Silent())


def test_all_images_for_the_projector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard")
    monkeypatch.setattr(registry, "extractor", lambda name, **_: Means())
    cells = make_archive(tmp_path / "cells.zip", count=20, classes=("0", "1"))
    split_archive(cells, SplitOptions(test=0.5, val=0.0))
    pictures, rng = tmp_path / "pictures", np.random.default_rng(5)
    pictures.mkdir()
    pixels = [rng.integers(0, 200, (16, 16, 3)).astype(np.uint8) for _ in range(3)]
    for number, each in enumerate(pixels):
        Image.fromarray(each).save(pictures / f"image{number}.png")
    asked = {"archives": (f"{cells}:train", f"{cells}:test"), "synthetic": (str(pictures),)}
    sg.embeddings(**asked, outdir=tmp_path / "no", dry_run=True, progress=Silent())
    assert not (tmp_path / "no").exists()
    found = sg.embeddings(**asked, outdir=tmp_path / "board", progress=Silent())
    assert "23 images" in "\n".join(found.lines())
    (folder,) = (tmp_path / "board").glob("*/*")
    lines = (folder / "metadata.tsv").read_text().splitlines()
    assert lines[0].split("\t") == COLUMNS and len(lines) == 1 + 23
    assert [line.split("\t")[2] for line in lines[1:]] == ["real"] * 20 + ["synthetic"] * 3
    features = np.loadtxt(folder / "tensors.tsv")
    row = lines[1:].index(next(line for line in lines[1:] if "image0.png" in line))
    expected = Means()(torch.from_numpy(np.moveaxis(pixels[0], 2, 0).copy())[None])
    assert features[row] == pytest.approx(expected[0].numpy(), rel=1e-5)
    with Image.open(folder / "sprite.png") as sprite:
        assert sprite.size == (5 * 48, 5 * 48)


def test_tensorboard_reads_the_settings(tmp_path: Path) -> None:
    text_format = pytest.importorskip("google.protobuf.text_format")
    pytest.importorskip("tensorboard")
    from tensorboard.plugins.projector.projector_config_pb2 import ProjectorConfig

    pictures = [np.full((6, 6, 3), 10 * i, dtype=np.uint8) for i in range(5)]
    rows = [["a", f"{i}.png", "real", ""] for i in range(5)]
    write_projector(tmp_path / "board", 'my "set"', torch.eye(5), rows, pictures)
    text = (tmp_path / "board" / "projector_config.pbtxt").read_text()
    (embedding,) = text_format.Parse(text, ProjectorConfig()).embeddings
    for path in (embedding.tensor_path, embedding.metadata_path, embedding.sprite.image_path):
        assert (tmp_path / "board" / path).is_file(), "paths hold after the folder got its name"
    assert list(embedding.sprite.single_image_dim) == [6, 6]


def test_images_beside_their_projections(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("tensorboard")
    monkeypatch.setattr(registry, "extractor", lambda name, **_: Means())
    given = projected(tmp_path / "given", "train", far=5, count=6)
    found = sg.embeddings(projections=(given,), outdir=tmp_path / "board", progress=Silent())
    assert "12 images" in "\n".join(found.lines())
    (folder,) = (tmp_path / "board").glob("*/*")
    lines = [line.split("\t") for line in (folder / "metadata.tsv").read_text().splitlines()]
    assert lines[1] == ["a", "0.from.png", "real", "train"]
    assert lines[8] == ["b", "1.to.png", "projection", "train"]
    asked = {"tensors": folder / "tensors.tsv", "metadata": folder / "metadata.tsv"}
    pairs = sg.embeddings(**asked, progress=Silent()).distances
    assert pairs.pairing == "names with .from. and .to."
    assert pairs.summaries["all pairs"].count == 6


def test_latents_with_the_images_of_their_network(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    network, saved = make_snapshot(tmp_path / "n").path, tmp_path / "saved.npz"
    sg.generate(network=network, seeds="4-6", outdir=tmp_path / "set.zip", save_latents=saved)
    asked = {"latents": (saved,), "network": network}
    found = sg.embeddings(**asked, outdir=tmp_path / "board", progress=Silent())
    assert "6 images" in "\n".join(found.lines())
    (folder,) = (tmp_path / "board").glob("*/*")
    lines = [line.split("\t") for line in (folder / "metadata.tsv").read_text().splitlines()]
    assert lines[1] == ["a b", "seed0004", "saved.npz", ""]
    assert [line[0] for line in lines[1:]] == ["a b"] * 3 + ["c/d"] * 3
    with np.load(saved) as arrays:
        np.testing.assert_allclose(np.loadtxt(folder / "tensors.tsv"), arrays["w"][:, 0], rtol=1e-5)
        mixed = arrays["w"].copy()
    z = np.random.default_rng(0).standard_normal((2, 8)).astype(np.float32)
    np.savez(tmp_path / "z.npz", z=z)
    without = {**asked, "latents": (tmp_path / "z.npz",), "outdir": tmp_path / "z"}
    with pytest.raises(sg.UserError, match="name a class, --class a b or c/d"):
        sg.embeddings(**without, progress=Silent())
    assert sg.embeddings(**without, of_class="c/d", progress=Silent()).images == 2
    with pytest.raises(sg.UserError, match="styles w of .*saved.npz are of class a b, and keep"):
        sg.embeddings(**asked, of_class="c/d", outdir=tmp_path / "no", progress=Silent())
    for idle, goes in (
        ({"network": network}, "--network: goes with --latents"),
        ({"metadata": saved}, "--metadata: goes with --tensors"),
    ):
        with pytest.raises(sg.UserError, match=goes):
            sg.embeddings(tmp_path / "set.zip", **idle, outdir=tmp_path / "no")
    with pytest.raises(sg.UserError, match="--class: goes with --latents"):
        sg.embeddings(tmp_path / "set.zip", of_class="c/d", outdir=tmp_path / "no")
    mixed[:, 0] += 1
    np.savez(tmp_path / "mixed.npz", w=mixed)
    asked["latents"] = (tmp_path / "mixed.npz",)
    sg.embeddings(**asked, outdir=tmp_path / "rows", progress=Silent())
    (folder,) = (tmp_path / "rows").glob("*/*")
    vectors = np.loadtxt(folder / "tensors.tsv")
    np.testing.assert_allclose(vectors, mixed.reshape(6, -1), rtol=1e-5)
    assert (folder / "sprite.png").is_file()
