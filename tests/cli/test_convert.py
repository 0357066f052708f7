"""`synthograph convert` as it is typed."""

from functools import partial
from pathlib import Path

import pytest

from synthograph.core.files import sha256_file
from synthograph.models.snapshot import load, partner
from tests.cli.conftest import Typed
from tests.conftest import NVIDIA
from tests.models import hostile


@pytest.fixture
def run(typed: Typed) -> Typed:
    return partial(typed, "convert")


def test_pickle_to_safetensors_and_on(run: Typed, tmp_path: Path) -> None:
    target = tmp_path / "generator-000001.safetensors"
    code, text, _ = run(NVIDIA / "cond2_rgb_32.pkl", target)
    assert code == 0
    for path in (target, partner(target)):
        assert str(path) in text
        assert sha256_file(path) in text
    public = tmp_path / "public.safetensors"
    code, text, _ = run(target, public, "--public")
    assert code == 0
    assert "share public.safetensors alone" in text
    assert list(load(public).discriminators) == ["image"]
    partner(target).unlink()
    code, text, _ = run(target, tmp_path / "alone.safetensors")
    assert code == 0
    assert "holds no discriminators" in text


def test_refusals(run: Typed, tmp_path: Path) -> None:
    source, target = NVIDIA / "cond2_rgb_32.pkl", tmp_path / "x.safetensors"
    target.write_bytes(b"kept")
    code, _, error = run(source, target)
    assert (code, target.read_bytes()) == (2, b"kept")
    assert "exists already" in error
    (tmp_path / "bad.pkl").write_bytes(hostile.REFUSED["eval"])
    code, _, error = run(tmp_path / "bad.pkl", tmp_path / "y.safetensors")
    assert code == 2
    assert "builtins.eval; nothing was executed" in error
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bad.pkl", "x.safetensors"]
    code, _, error = run(tmp_path, tmp_path / "y.safetensors")
    assert code == 2
    assert "neither a run directory nor" in error
