"""`synthograph inspect` as it is typed."""

import json
import os
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from synthograph.archive.manifest import Row
from synthograph.archive.png import encode_png
from synthograph.archive.reader import open_archive
from synthograph.archive.writer import ArchiveWriter, encode
from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.core.untrusted.dataset_json import DATASET, MANIFEST
from synthograph.core.untrusted.tensors import write_tensors
from synthograph.models.snapshot import convert, load
from synthograph.training.presets import resolve
from synthograph.training.run import create_run
from tests.cli.conftest import Typed
from tests.conftest import NVIDIA, make_archive
from tests.models import hostile


@pytest.fixture
def run(typed: Typed) -> Typed:
    return partial(typed, "inspect")


def test_a_snapshot(run: Typed) -> None:
    path = NVIDIA / "cond5_gray_64.pkl"
    code, text, _ = run(path)
    assert code == 0
    assert "kind: published snapshot" in text
    assert "parameters: generator 64598, discriminator image 59400" in text
    code, text, _ = run(path, "--json")
    assert json.loads(text)["spec"]["modalities"] == {"image": 1}


def test_an_archive(run: Typed, tmp_path: Path) -> None:
    for name in ("set.zip", "folder"):
        path = make_archive(tmp_path / name, split="train")
        code, text, _ = run(path, "--json")
        assert code == 0
        facts = json.loads(text)
        assert facts["kind"] == "archive"
        assert facts["images"] == facts["images decoded"] == 24
        assert facts["groups"] == 12
        assert facts["classes"] == {"dark": 12, "bright": 12}
        assert facts["splits"] == {"train": {"images": 24, "groups": 12, "folds": 0}}
        assert facts["images_hash"] == open_archive(path).images_hash
        code, text, _ = run(path, "--quick", "--json")
        assert code == 0
        assert "images_hash" not in json.loads(text)


def test_refused_archives(run: Typed, tmp_path: Path) -> None:
    folder = make_archive(tmp_path / "set")
    image = sorted(folder.glob("*/*.png"))[3]
    image.write_bytes(image.read_bytes()[:50])
    archive = open_archive(folder)
    with pytest.raises(UserError) as broken:
        archive.read(archive.rows[3])
    code, text, error = run(folder, "--json")
    assert code == 2
    assert json.loads(text)["refused"] == str(broken.value)
    assert error.strip().endswith(str(broken.value))
    (folder / MANIFEST).write_text("file,label\n")
    with pytest.raises(UserError) as empty:
        open_archive(folder)
    code, _, error = run(folder)
    assert (code, error.strip()) == (2, f"error: {empty.value}")
    (tmp_path / "empty").mkdir()
    assert run(tmp_path / "empty")[0] == 2
    (tmp_path / "cut.zip").write_bytes(b"PK\3\4 no more")
    assert run(tmp_path / "cut.zip")[0] == 2


def test_archives_of_the_published_tools(run: Typed, tmp_path: Path) -> None:
    folder = make_archive(tmp_path / "set", count=2)
    (folder / MANIFEST).unlink()
    names = sorted(str(p.relative_to(folder)) for p in folder.glob("*/*.png"))
    (folder / DATASET).write_text(json.dumps({"labels": [[n, i] for i, n in enumerate(names)]}))
    path = tmp_path / "published.zip"
    with zipfile.ZipFile(path, "w") as file:
        for name in [*names, DATASET]:
            file.write(folder / name, name)
    code, text, _ = run(path)
    assert code == 0
    assert "written by: a published tool" in text


def test_hostile_pickles(run: Typed, tmp_path: Path) -> None:
    path = tmp_path / "x.pkl"
    for name in ("eval", "name that no terminal prints", "data that is a command"):
        path.write_bytes(hostile.REFUSED[name])
        with pytest.raises(UserError) as refused:
            load(path)
        code, text, error = run(path)
        assert (code, error.strip()) == (2, f"error: {refused.value}")
        assert "names in the pickle: " in text
        assert "\x1b" not in text + error


def test_a_run_and_its_state(run: Typed, tmp_path: Path) -> None:
    spec = ImageSpec(height=16, width=16, modalities={"image": 3})
    directory = create_run(tmp_path, resolve(spec, "tiny", [{"data": {"path": "x.zip"}}]), "x")
    directory.close()
    code, text, _ = run(directory.path, "--json")
    assert code == 0
    facts = json.loads(text)
    assert facts["kind"] == "run directory"
    assert facts["trained on"] == "x.zip"
    assert facts["snapshots"] == []
    state = directory.path / "state" / "000000001000"
    state.mkdir(parents=True)
    write_tensors(state / "tensors.safetensors", {"ema/a": torch.zeros(3)}, {"format": 1})
    code, text, error = run(state)
    assert code == 2
    assert "kind: training state" in text
    assert "is incomplete" in error
    facts = json.loads(run(directory.path, "--json")[1])
    assert facts["states"] == {"000000001000": "is incomplete"}
    (directory.path / "config.json").write_text("[]")
    code, text, error = run(directory.path)
    assert code == 2
    assert "kind: run directory" in text
    assert "config" in error


def test_what_is_asked_first_stands_first(run: Typed, tmp_path: Path) -> None:
    path = tmp_path / "generator-000012.safetensors"
    convert(NVIDIA / "cond5_gray_64.pkl", path)
    code, text, _ = run(path)
    lines = [line.partition(":")[0] for line in text.splitlines()]
    first = ["kind", "family", "images", "images seen", "classes", "training"]
    assert code == 0
    assert [name for name in lines if name in first] == first
    assert lines[-1] == "model" and len(lines) < 25
    assert "z_dim 48" in text and "r1_interval" not in text, "only what is no default"
    code, text, _ = run(path, "--full")
    assert code == 0 and "  r1_interval: 16" in text and "  height: 64" in text
    facts = json.loads(run(path, "--json")[1])
    assert facts["model"]["r1_interval"] == 16 and facts["spec"]["height"] == 64


def test_classes_may_be_called_anything_and_be_many(run: Typed, tmp_path: Path) -> None:
    names = ("spec", "model", "runs", *(f"k{i}" for i in range(30)))
    path = make_archive(tmp_path / "set.zip", classes=names, count=66)
    text = run(path)[1]
    assert "  spec: 2\n  model: 2\n  runs: 2\n" in text
    assert "  ...: 33 in all, see --full" in text and "k29" not in text
    assert "  k29: 2" in run(path, "--full")[1]
    assert json.loads(run(path, "--json")[1])["classes"]["k29"] == 2


def test_a_folder_of_runs(run: Typed, tmp_path: Path) -> None:
    spec = ImageSpec(height=16, width=16, modalities={"image": 3})
    for _ in range(3):
        config = resolve(spec, "tiny", [{"data": {"path": "x.zip"}}])
        create_run(tmp_path, config, "x").close()
    first = tmp_path / "00000-x"
    for number in (12, 7):
        (first / "snapshots").mkdir(exist_ok=True)
        (first / "snapshots" / f"generator-{number:06d}.safetensors").write_bytes(b"")
    (first / "stats.jsonl").write_text('{"Progress/kimg": {"mean": 12.5}}\n')
    (first / "reals.png").write_bytes(encode_png(np.zeros((78, 804, 3), np.uint8)))
    (tmp_path / "00002-x" / "config.json").write_text("[]")
    code, text, _ = run(tmp_path)
    assert code == 0
    assert text.splitlines()[1:4] == [
        "kind: folder of runs",
        "runs:",
        "  00000-x: kimg shown 12.5, kimg planned 40.0, state none, "
        "newest snapshot generator-000012.safetensors",
    ]
    assert "  00002-x: refused " in text
    facts = json.loads(run(tmp_path, "--json")[1])
    assert facts["runs"]["00001-x"] == {
        "kimg shown": None,
        "kimg planned": 40.0,
        "state": "none",
        "newest snapshot": None,
    }
    with pytest.raises(UserError, match="is a folder of run directories; give the archive"):
        open_archive(tmp_path)


def test_an_archive_that_was_never_finished(run: Typed, tmp_path: Path) -> None:
    writer = ArchiveWriter(tmp_path / "set.zip", {"make": 1})
    pixels = {"image": np.zeros((16, 16, 3), np.uint8)}
    writer.add([encode(pixels, None, Row("", None, "P0"))])
    writer.suspend()
    code, text, error = run(tmp_path / "set.zip.partial")
    assert code == 2
    assert "kind: unfinished archive" in text
    assert "run its command again to continue" in error


def test_a_pipe_is_no_file_and_keeps_nobody_waiting(run: Typed, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.zip")
    code, _, error = run(tmp_path / "pipe.zip")
    assert code == 2 and "is a pipe or a device; give a file or a folder" in error
    with pytest.raises(UserError, match="is a pipe or a device; give a folder or a zip file"):
        open_archive(tmp_path / "pipe.zip")


def test_nothing_there(run: Typed, tmp_path: Path) -> None:
    code, _, error = run(tmp_path / "nothing")
    assert code == 2
    assert "there is no such file" in error
