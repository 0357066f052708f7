"""Extractors by default: the trained one where its weights are here, found without its package."""

import subprocess
import sys
from pathlib import Path

import pytest

from synthograph.core.errors import UserError
from synthograph.features import packaged
from synthograph.features.networks import NETWORKS
from synthograph.features.packaged import PACKAGES, RANDOM, TRAINED, Package

trained_is_here = packaged.trained_is_here


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without the packages; returns the folder of weights."""
    monkeypatch.setenv("SYNTHOGRAPH_CACHE", str(tmp_path))
    monkeypatch.setitem(PACKAGES, TRAINED, Package("no_such_package", "x-lite0.pth"))
    monkeypatch.setattr(packaged, "trained_is_here", trained_is_here)
    return tmp_path / "weights"


def test_the_names_are_those_of_extractors() -> None:
    assert {TRAINED, RANDOM} <= set(NETWORKS)
    for name in PACKAGES:
        weights = NETWORKS[name].weights
        assert weights is not None and weights.package is PACKAGES[name]
    assert NETWORKS[RANDOM].indicative and not NETWORKS[TRAINED].indicative


def test_without_the_package_features_are_random(nothing: Path) -> None:
    assert packaged.default_extractors() == (RANDOM,)
    assert packaged.default_extractor() == RANDOM


@pytest.mark.parametrize("name", [f"{TRAINED}.safetensors", "x-lite0.pth"])
def test_weights_that_were_imported_or_brought_count(nothing: Path, name: str) -> None:
    nothing.mkdir()
    (nothing / name).touch()
    assert packaged.default_extractors() == (TRAINED, RANDOM)
    assert packaged.default_extractor() == TRAINED


@pytest.mark.parametrize("error", [UserError("no home"), PermissionError()])
def test_without_a_readable_cache_features_are_random(
    nothing: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> Path:
        raise error

    monkeypatch.setattr(packaged, "weights_folder", refuse)
    assert packaged.default_extractors() == (RANDOM,)


def test_a_package_is_found_and_not_imported(
    nothing: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = Package("weights_for_a_test", "a.pth")
    assert package.path is None
    models = tmp_path / package.module / "models"
    models.mkdir(parents=True)
    (models.parent / "__init__.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert package.path is None  # it lacks the file
    (models / "a.pth").touch()
    assert package.path == models / "a.pth"
    monkeypatch.setitem(PACKAGES, TRAINED, package)
    assert packaged.default_extractors() == (TRAINED, RANDOM)


def test_a_module_that_is_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "one_file.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert Package("one_file", "a.pth").path is None


def test_the_default_is_known_without_torch() -> None:
    code = (
        "import sys; from synthograph.features.packaged import default_extractors; "
        "default_extractors(); print('torch' in sys.modules, 'urllib.request' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
