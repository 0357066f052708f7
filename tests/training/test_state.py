"""States on disk: whole or not there."""

from pathlib import Path

import pytest
import torch

from synthograph.core import files
from synthograph.core.errors import DiskFullError, DivergedError
from synthograph.models.base import Condition
from synthograph.models.registry import family, parse_model
from synthograph.training import state as module
from synthograph.training.config import AugmentConfig
from synthograph.training.controllers import make_controller
from synthograph.training.state import (
    SavedNumbers,
    Surroundings,
    TrainingProgress,
    TrainingState,
    list_states,
    load_state,
    make_optimisers,
    save_state,
)
from tests.models.test_snapshot import MODEL, SPEC


def make_state(seed: int) -> TrainingState:
    torch.manual_seed(seed)
    kind, config = family("stylegan2"), parse_model(MODEL)
    networks = kind.build(SPEC, Condition(), config)
    ema = kind.build(SPEC, Condition(), config).generator
    controller = make_controller(AugmentConfig(mode="ada", p=0.1 * seed))
    optimisers = make_optimisers(networks, kind.optimiser_rates(config))
    state = TrainingState(networks, ema, optimisers, controller)
    for optimiser, network in zip(optimisers.values(), networks.trained.values(), strict=True):
        sum(p.square().sum() for p in network.parameters()).backward()
        optimiser.step()
    networks.buffers["path_length_mean"].fill_(seed)
    state.moments.add("Loss/x", torch.arange(4.0) * seed)
    controller.observe(torch.ones(3))
    return state


def numbers(images: int, *, boundary: bool = False) -> SavedNumbers:
    progress = TrainingProgress(images=images, steps=3, ticks=2, tick_images=1, seconds=1.5)
    return SavedNumbers(progress, {"log.txt": 7}, boundary, Surroundings(1, "2", "cpu", "fp32"))


def test_everything_comes_back(tmp_path: Path) -> None:
    saved, other = make_state(1), make_state(2)
    save_state(tmp_path, saved, numbers(100))
    loaded = load_state(tmp_path, other)
    assert loaded is not None
    assert loaded.numbers == numbers(100)
    assert loaded.passed == []
    first, second = saved.tensors(), other.tensors()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    for prefix in ("generator/", "discriminators/vis", "ema/", "extras/", "moments/", "augment/"):
        assert any(name.startswith(prefix) for name in first)
    assert any("exp_avg_sq" in name for name in first)
    assert other.controller.p == saved.controller.p


def test_two_newest_and_the_newest_of_a_snapshot_are_kept(tmp_path: Path) -> None:
    state = make_state(1)
    for images, boundary in [(10, True), (20, True), (30, False), (40, False), (50, False)]:
        save_state(tmp_path, state, numbers(images, boundary=boundary))
    assert [int(path.name) for path in list_states(tmp_path)] == [50, 40, 20]


def test_not_finite_is_never_saved(tmp_path: Path) -> None:
    state = make_state(1)
    save_state(tmp_path, state, numbers(10))
    with torch.no_grad():
        state.ema.synthesis.blocks[0].const[0, 0, 0] = torch.nan
    words = r"ema/synthesis.blocks.0.const.*is kept. Start anew with .*--set model.optimisers.G.lr="
    with pytest.raises(DivergedError, match=words):
        save_state(tmp_path, state, numbers(20))
    assert [path.name for path in list_states(tmp_path)] == ["000000000010"]


def test_full_disk_leaves_the_old_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = make_state(1)
    save_state(tmp_path, state, numbers(10))

    def full(path: Path, data: bytes) -> None:
        path.with_suffix(".part").write_bytes(data[:100])
        raise OSError(files.errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(
        module, "write_tensors", lambda path, tensors, document: full(path, b"0" * 200)
    )
    with pytest.raises(DiskFullError, match="no space left"):
        save_state(tmp_path, state, numbers(20))
    monkeypatch.undo()
    assert [path.name for path in tmp_path.iterdir()] == ["000000000010"]
    assert load_state(tmp_path, make_state(2)) is not None


@pytest.mark.parametrize("damage", ["cut", "missing", "no manifest", "half written"])
def test_incomplete_states_are_passed_over(tmp_path: Path, damage: str) -> None:
    state = make_state(1)
    save_state(tmp_path, state, numbers(10))
    newest = save_state(tmp_path, state, numbers(20))
    file = newest / ("manifest.json" if damage == "no manifest" else "tensors.safetensors")
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-10])
    elif damage == "half written":
        (newest / "state.json").write_text("{")
    else:
        file.unlink()
    loaded = load_state(tmp_path, make_state(2))
    assert loaded is not None
    assert loaded.path.name == "000000000010"
    assert len(loaded.passed) == 1


def test_nothing_there(tmp_path: Path) -> None:
    assert load_state(tmp_path / "state", make_state(1)) is None
