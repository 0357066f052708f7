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
    assert text.index("training cannot continue from it") < text.index("generator: ")


def test_missing_discriminators_are_told_before_the_work(
    run: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "generator-000001.safetensors"
    assert run(NVIDIA / "cond2_rgb_32.pkl", source)[0] == 0

    def busy(*args: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("synthograph.models.snapshot.convert", busy)
    code, text, _ = run(source, tmp_path / "x.safetensors")
    assert (code, text) == (3, ""), "nothing to tell where they are there"
    partner(source).unlink()
    code, text, _ = run(source, tmp_path / "x.safetensors")
    assert code == 3
    assert "there is no discriminators-000001.safetensors beside it" in text


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("nowhere/x.safetensors", "nowhere is no folder: make it first"),
        (f"{'x' * 240}.safetensors", "File name too long"),
        ("text/x.safetensors", "is not a folder"),
        ("x.pkl", "ends in .safetensors"),
        ("taken.safetensors", "taken.discriminators.safetensors exists already"),
    ],
)
def test_targets_are_looked_at_before_the_source(
    run: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str, words: str
) -> None:
    def load_nothing(path: Path) -> None:
        raise AssertionError(f"{path} was read")

    (tmp_path / "text").write_text("hello")
    (tmp_path / "taken.discriminators.safetensors").write_text("hello")
    monkeypatch.setattr("synthograph.models.snapshot.load", load_nothing)
    code, _, error = run(NVIDIA / "cond2_rgb_32.pkl", tmp_path / target)
    assert (code, words in error) == (2, True), error
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("option", ["--public", "--fp16"])
def test_options_of_networks_are_refused_for_archives(
    run: Typed, archive: Path, tmp_path: Path, option: str
) -> None:
    code, _, error = run(archive, tmp_path / "folder", "--to", "imagefolder", option)
    assert code == 2
    assert f"{option} is about networks, {archive} is an archive: leave {option} out" in error
    assert run(archive, tmp_path / "folder", "--to", "imagefolder")[0] == 0


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
