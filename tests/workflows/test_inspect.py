"""Inspection from Python."""

from pathlib import Path

import numpy as np

import synthograph
from synthograph.sampling.latents import of_seeds
from tests.conftest import make_archive
from tests.sampling.test_generate import make_snapshot


def test_what_is_known_is_kept_where_a_file_is_refused(tmp_path: Path) -> None:
    folder = make_archive(tmp_path / "set")
    assert synthograph.inspect(folder).refused is None
    image = sorted(folder.glob("*/*.png"))[3]
    image.write_bytes(image.read_bytes()[:50])
    found = synthograph.inspect(folder)
    assert found.facts["kind"] == "archive" and "kind: archive" in repr(found)
    assert found.json()["refused"] == str(found.refused)
    assert "refused" not in repr(found), "the command says it in its last line"


def test_latents(tmp_path: Path) -> None:
    snapshot = make_snapshot(tmp_path / "n")
    of_seeds(snapshot, [3, 5], ["a b", "c/d"]).save(tmp_path / "a.npz", snapshot)
    assert synthograph.inspect(tmp_path / "a.npz").facts == {
        "path": str(tmp_path / "a.npz"),
        "kind": "latents",
        "bytes": (tmp_path / "a.npz").stat().st_size,
        "z": "2x8",
        "network": snapshot.sha256,
        "classes": {"a b": 1, "c/d": 1},
        "names": ["seed0003", "seed0005"],
    }
    np.savez(tmp_path / "b.npz", w=np.zeros((1, 4, 8)))
    assert "network: not stated" in repr(synthograph.inspect(tmp_path / "b.npz"))
    np.savez(tmp_path / "c.npz", train_images=np.zeros((5, 8, 8)))
    found = synthograph.inspect(tmp_path / "c.npz").facts
    assert (found["kind"], found["train_images"]) == ("arrays", "5x8x8")
