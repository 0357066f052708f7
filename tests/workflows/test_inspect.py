"""Inspection from Python."""

from pathlib import Path

import numpy as np

import synthograph
from synthograph.core.untrusted.tensors import read_tensors, write_tensors
from synthograph.sampling.latents import of_seeds
from tests.conftest import make_archive
from tests.sampling.test_generate import make_snapshot
from tests.workflows.test_annotate_masks import paint


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


def test_mask_generators_and_annotation_sets(tmp_path: Path) -> None:
    snapshot = make_snapshot(tmp_path / "n", size=(16, 16))
    synthograph.annotate_sample(network=snapshot.path, num=2, outdir=tmp_path / "A")
    paint(tmp_path / "A", snapshot, 1, rare=1)
    out = tmp_path / "m.safetensors"
    synthograph.annotate_train(tmp_path / "A", out=out, preset="linear")
    found = synthograph.inspect(out)
    assert found.refused is None and found.facts["kind"] == "mask generator"
    assert found.facts["network"] == f"{snapshot.path.name} ({snapshot.sha256:.16})"
    assert list(found.facts["classes"]) == ["background", "bright", "rare"]
    assert found.facts["head"]["kind"] == "linear" and found.facts["head"]["members"] == 10
    training = found.facts["training"]
    assert (training["painted images"], training["groups seen"]) == (1, 0)
    assert "rare: in 1 images" in repr(found) and "nothing forecast" in repr(found)
    facts = synthograph.inspect(tmp_path / "A").facts
    assert (facts["kind"], facts["images"], facts["painted"]) == ("annotation set", 2, 1)
    tensors, document = read_tensors(out)
    write_tensors(out, tensors, {**document, "height": -1})
    found = synthograph.inspect(out)
    assert found.refused is not None and found.facts["kind"] == "mask generator"
    (tmp_path / "A" / "annotations.json").write_text("{")
    assert synthograph.inspect(tmp_path / "A").refused is not None


def test_of_a_folder_of_snapshots_the_one_that_every_command_takes(tmp_path: Path) -> None:
    folder = tmp_path / "snapshots"
    for number, classes in ((10, ("best", "x")), (20, ("newest", "x"))):
        made = make_snapshot(tmp_path / str(number), classes=classes)
        folder.mkdir(exist_ok=True)
        made.path.rename(folder / f"generator-{number:06d}.safetensors")
    assert synthograph.inspect(folder).facts["classes"] == ["newest", "x"]
    (folder / "best.json").write_text('{"snapshot": "generator-000010.safetensors"}')
    assert synthograph.inspect(folder).facts["classes"] == ["best", "x"]
