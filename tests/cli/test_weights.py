"""`synthograph weights` as it is typed. No network."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from synthograph.features import lpips
from synthograph.features.weights import WEIGHTS
from tests.cli.conftest import Typed
from tests.features.states import random_state, save


@pytest.fixture
def run(typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Typed:
    monkeypatch.setenv("SYNTHOGRAPH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SYNTHOGRAPH_OFFLINE", "1")
    return partial(typed, "weights")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return save(tmp_path / "vgg.pth", random_state(lpips.Weighting()))


def test_list(run: Typed, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(WEIGHTS, "lpips", replace(WEIGHTS["lpips"], sha256=None))
    code, text, _ = run()
    assert code == 0
    for part in ("random-vgg16: ships", "inception: not here", "Apache-2.0", "6726825d0af5"):
        assert part in text
    assert "begins with 0676ba61" in text
    assert "recorded at import" in text
    assert run("import", "lpips", file)[0] == 0
    code, text, _ = run("--json")
    facts = {fact["name"]: fact for fact in json.loads(text)}
    assert code == 0
    assert set(facts) == set(WEIGHTS)
    assert facts["lpips"]["present"]
    assert facts["lpips"]["verified"] is False
    assert facts["lpips"]["sha256"] in run()[1]
    assert not facts["vgg16"]["present"]


def test_import(run: Typed, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, _, errors = run("import", "lpips", file)
    assert code == 2
    assert "expected a78928a0" in errors
    monkeypatch.setitem(WEIGHTS, "lpips", replace(WEIGHTS["lpips"], sha256=None))
    code, text, _ = run("import", "lpips", file)
    assert code == 0
    assert "lpips.safetensors" in text
    assert "no full hash is known" in text


def test_get_without_connection(run: Typed) -> None:
    for words in (["get", "inception"], ["get", "inception", "--offline"]):
        code, text, errors = run(*words)
        assert code == 2
        assert "licence of inception: Apache-2.0" in text
        assert "pt_inception-2015-12-05-6726825d.pth" in errors
        assert "into the folder" in errors


def test_unknown_names(run: Typed) -> None:
    for words in (["get", "incepton"], ["import", "incepton", "x.pth"]):
        code, _, errors = run(*words)
        assert code == 2
        assert "did you mean 'inception'" in errors
