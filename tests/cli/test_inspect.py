"""`synthograph inspect` as it is typed."""

import json
import zipfile
from functools import partial
from pathlib import Path

import pytest
import torch

from synthograph.archive.manifest import MANIFEST
from synthograph.archive.reader import DATASET, open_archive
from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.models.snapshot import load
from synthograph.models.tensors import write_tensors
from synthograph.training.config import resolve
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
    assert "  generator: " in text
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


def test_nothing_there(run: Typed, tmp_path: Path) -> None:
    code, _, error = run(tmp_path / "nothing")
    assert code == 2
    assert "there is no such file" in error
