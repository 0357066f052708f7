"""Latents and their files, and the images that are drawn of them."""

import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from synthograph.core.errors import UserError
from synthograph.core.untrusted.arrays import pack_arrays
from synthograph.models.base import NoiseMode, TruncationCenter
from synthograph.models.snapshot import Snapshot, convert, load
from synthograph.ops.pixels import to_pixels
from synthograph.sampling.generate import ImageRequest, generate, jobs_of
from synthograph.sampling.latents import (
    Latents,
    Rendering,
    Space,
    joined,
    of_seeds,
    read,
    render,
    styles,
)
from tests.sampling.test_generate import make_snapshot

ROWS = 4
"""Style rows of an image of 8 x 8 pixels."""


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    return make_snapshot(tmp_path / "snapshots")


def drawn(snapshot: Snapshot, latents: Latents, how: Rendering) -> np.ndarray:
    return np.stack([*render(snapshot, styles(snapshot, latents, how), latents.seeds, how)])


@pytest.mark.parametrize(
    "how",
    [
        Rendering(batch=2),
        Rendering(truncation=0.5, cutoff=2),
        Rendering(truncation=0.5, center=TruncationCenter.CLASS, noise=NoiseMode.RANDOM),
        Rendering(noise=NoiseMode.NONE),
    ],
)
def test_the_same_bytes_as_generate(snapshot: Snapshot, how: Rendering) -> None:
    jobs = jobs_of([3, 5, 9], ["c/d"])
    made = [
        i.pixels for batch in generate(snapshot, ImageRequest(jobs, **vars(how))) for i in batch
    ]
    latents = of_seeds(snapshot, [3, 5, 9], ["c/d"] * 3)
    np.testing.assert_array_equal(drawn(snapshot, latents, how), np.stack(made))


def test_equal_to_mapping_and_synthesis(snapshot: Snapshot) -> None:
    """The network's own modules, called as published code does."""
    latents = of_seeds(snapshot, [7], ["a b"])
    z = torch.from_numpy(np.random.RandomState(7).randn(1, 8)).float()
    generator = snapshot.generator
    ws = generator.mapping(z, torch.eye(2)[:1])
    torch.testing.assert_close(styles(snapshot, latents, Rendering()), ws, rtol=0, atol=0)
    images = to_pixels(generator.synthesis(ws, noise_mode="const"), 8)
    np.testing.assert_array_equal(drawn(snapshot, latents, Rendering()), images)


def test_saved_styles_give_the_images_again(snapshot: Snapshot, tmp_path: Path) -> None:
    latents = of_seeds(snapshot, [3, 8], ["a b", "c/d"])
    how = Rendering(truncation=0.7, noise=NoiseMode.RANDOM)
    ws = styles(snapshot, latents, how)
    made = replace(latents, values=ws, space=Space.W)
    made.save(tmp_path / "a.npz", snapshot, z=latents.values)
    found = read(tmp_path / "a.npz", snapshot)
    assert found.bound
    assert (found.space, found.labels, found.names) == (Space.W, ("a b", "c/d"), latents.names)
    assert found.seeds == (3, 8) and found.sha256() == made.sha256()
    again = drawn(snapshot, found, replace(how, truncation=1.0))
    np.testing.assert_array_equal(again, drawn(snapshot, latents, how))
    z = read(tmp_path / "a.npz", snapshot, Space.Z)
    torch.testing.assert_close(z.values, latents.values, rtol=0, atol=0)


def test_sets_are_joined_and_cut(snapshot: Snapshot) -> None:
    both = joined([of_seeds(snapshot, [1], [None]), of_seeds(snapshot, [2, 3], ["a b"] * 2)])
    assert both.seeds == (1, 2, 3) and both.labels == (None, "a b", "a b")
    assert both.take(slice(1, 3)).names == ("seed0002", "seed0003")
    assert both.of_class("c/d").labels == ("c/d",) * 3 and both.of_class(None) is both
    in_w = replace(both, space=Space.W)
    assert in_w.of_class("c/d").labels == ("c/d", "a b", "a b"), "w has its class already"
    for fits in (both, in_w.take(slice(0, 1))):
        fits.refuse_other_class("c/d", "x.npz")
    in_w.refuse_other_class(None, "x.npz")
    in_w.refuse_other_class("a b", "x.npz")
    with pytest.raises(UserError, match="--class c/d: styles w of x.npz are of class a b, and"):
        in_w.refuse_other_class("c/d", "x.npz")


@pytest.mark.parametrize("shape", [(1, ROWS, 8), (1, 1, 8), (1, 8), (3, 8)])
def test_published_files_are_read(snapshot: Snapshot, tmp_path: Path, shape: tuple) -> None:
    values = np.random.RandomState(0).randn(*shape)
    np.savez(tmp_path / "projected_w.npz", w=values)
    found = read(tmp_path / "projected_w.npz", snapshot)
    assert not found.bound
    assert found.values.shape == (shape[0], ROWS, 8) and found.values.dtype == torch.float32
    np.testing.assert_array_equal(
        found.values[:, -1], values.reshape(shape[0], -1, 8)[:, -1].astype("f")
    )
    one = shape[0] == 1
    assert found.names[0] == ("projected_w" if one else "projected_w-0000")
    assert len(drawn(snapshot, found, Rendering())) == shape[0]


def test_a_converted_network_is_the_same_network(snapshot: Snapshot, tmp_path: Path) -> None:
    latents = of_seeds(snapshot, [3], ["a b"])
    latents.save(tmp_path / "a.npz", snapshot)
    path, *_ = convert(snapshot.path, tmp_path / "b.safetensors")
    assert len(read(tmp_path / "a.npz", load(path))) == 1


W = np.zeros((2, ROWS, 8), dtype=np.float32)


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"w": W[:, :3]}, r"shape \[2, 3, 8\].* needs \[n, 4, 8\]"),
        ({"w": W[:, :, :4]}, r"needs \[n, 4, 8\]"),
        ({"w": W[:0]}, r"needs \[n, 4, 8\]"),
        ({"z": W[:, 0, :4]}, r"z has the shape \[2, 4\].* needs \[n, 8\]"),
        ({"x": W}, r"no latents 'w' \(it holds x\)"),
        ({}, "it holds nothing"),
        ({"w": W + np.inf}, "not finite"),
        ({"w": np.array(["a"])}, "no list of"),
        ({"w": W, "network": np.array("0" * 64)}, "bound to the network 0000000000000000, and"),
        ({"w": W, "network": np.array([1, 2])}, "bound to the network"),
        ({"w": W, "labels": np.array(["a b"])}, "labels is no list of 2 texts"),
        ({"w": W, "labels": np.array(["a b", "x"])}, r"a\.npz: labels: class 'x' is unknown"),
        ({"w": W, "names": np.array([1, 2])}, "names is no list of 2 texts"),
        ({"w": W, "seeds": np.array([1.0, 2.0])}, "seeds is no list of 2 whole"),
        ({"w": W, "seeds": np.array([-1, 2])}, "numbers from 0 to"),
    ],
)
def test_what_is_refused(snapshot: Snapshot, tmp_path: Path, arrays: dict, words: str) -> None:
    (tmp_path / "a.npz").write_bytes(pack_arrays(arrays))
    with pytest.raises(UserError, match=words) as caught:
        read(tmp_path / "a.npz", snapshot)
    assert "\n" not in str(caught.value)


def test_a_class_by_its_index(snapshot: Snapshot, tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(pack_arrays({"w": W, "labels": np.array(["1", ""])}))
    assert read(tmp_path / "a.npz", snapshot).labels == ("c/d", None)


def test_a_class_is_missing(snapshot: Snapshot) -> None:
    latents = of_seeds(snapshot, [3], [None])
    with pytest.raises(UserError, match="is conditional: name a class, --class a b or c/d"):
        styles(snapshot, latents, Rendering())
    known = replace(latents, values=torch.zeros(1, ROWS, 8), space=Space.W)
    assert styles(snapshot, known, Rendering(truncation=0.5)).shape == (1, ROWS, 8)
    with pytest.raises(UserError, match="name a class"):
        styles(snapshot, known, Rendering(truncation=0.5, center=TruncationCenter.CLASS))


def test_the_network_beside_is_named(snapshot: Snapshot, tmp_path: Path) -> None:
    """Latents of another snapshot of the same run."""
    later = snapshot.path.with_name("generator-000002.safetensors")
    shutil.copy(make_snapshot(tmp_path / "other", z_dim=16).path, later)
    of_seeds(load(later), [3], ["a b"]).save(tmp_path / "a.npz", load(later))
    with pytest.raises(UserError, match=f"give --network {re.escape(str(later))} that"):
        read(tmp_path / "a.npz", snapshot)
    tuned = tmp_path / "a.generator.safetensors"  # to one target, beside its latents
    later.rename(tuned)
    with pytest.raises(UserError, match=f"give --network {re.escape(str(tuned))} that"):
        read(tmp_path / "a.npz", snapshot)
