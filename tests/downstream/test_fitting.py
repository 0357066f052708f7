"""The supervised loop: it learns, chooses by validation, stops early, and goes on exactly."""

import math
import os
import signal
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from synthograph.core.devices import Precision
from synthograph.core.errors import DivergedError, StoppedError, UserError
from synthograph.core.untrusted.tensors import read_tensors, write_tensors
from synthograph.downstream import fitting, orders
from synthograph.downstream.fitting import Batch, FitConfig, Score, Task, fit
from synthograph.results.validations import Validation, better


def task(values: list[float] | None = None, at_step: dict[int, object] | None = None) -> Task:
    """Two classes of points, and a network with dropout; `at_step` calls something there."""
    streams = torch.Generator().manual_seed(3)
    points = torch.randn(60, 4, generator=streams)
    labels = (points[:, 0] + points[:, 1] > 0).long()
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2))
    said = iter(values or [])

    def loss(batch: Batch) -> Tensor:
        if at_step and batch.step in at_step:
            at_step[batch.step]()
        return nn.functional.cross_entropy(network(points[batch.numbers]), labels[batch.numbers])

    def validate() -> Score:
        logits = network(points)
        hits = (logits.argmax(1) == labels).double().mean()
        checked = float(nn.functional.cross_entropy(logits, labels))
        return Score(next(said) if values else float(hits), checked)

    return Task(network, loss, validate, orders.shuffled(60, 0), "points")


def weights(made: Task) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in made.network.state_dict().items()}


SHORT = FitConfig(steps=40, batch=8, rate=0.02, every=10)


@pytest.mark.parametrize("schedule", list(fitting.Schedule))
@pytest.mark.parametrize("optimiser", list(fitting.Optimiser))
def test_it_learns(schedule: fitting.Schedule, optimiser: fitting.Optimiser) -> None:
    config = SHORT.model_copy(update={"schedule": schedule, "optimiser": optimiser, "steps": 120})
    found = fit(task(), config)
    assert found.best.value > 0.9
    assert found.history[-1].training < found.history[0].training
    assert [each.step for each in found.history] == list(range(10, found.steps + 1, 10))


def test_the_best_weights_are_kept_and_patience_ends_it() -> None:
    made = task([0.5, 0.9, 0.6, math.nan, 0.7, 0.8])
    constant = {"schedule": fitting.Schedule.CONSTANT, "patience": 3}
    found = fit(made, SHORT.model_copy(update={**constant, "steps": 1000}))
    assert (found.best.step, found.best.value, found.steps) == (20, 0.9, 50)
    assert found.history[3].value is None
    short = task()
    fit(short, SHORT.model_copy(update={**constant, "steps": 20, "every": 20}))
    for name, tensor in weights(short).items():
        assert torch.equal(tensor, weights(made)[name]), name


def test_of_equal_values_the_smaller_loss_is_better() -> None:
    def line(step: int, value: float | None, loss: float) -> Validation:
        return Validation(step=step, value=value, loss=loss, training=1, rate=1)

    history = [line(1, None, 0.1), line(2, 0.9, 0.5), line(3, 0.9, 0.4), line(4, 0.9, 0.4)]
    assert better(history) == 2


def test_rates_follow_from_step_and_history() -> None:
    def history(*values: float) -> list[Validation]:
        return [Validation(step=1, value=v, loss=0, training=1, rate=1) for v in values]

    plateau = FitConfig(steps=100, schedule="plateau", patience=4)
    assert fitting.rate_scale(plateau, 9, history(0.5, 0.6, 0.6)) == 1
    assert fitting.rate_scale(plateau, 9, history(0.5, 0.4, 0.4)) == fitting.FALL
    assert fitting.rate_scale(plateau, 9, history(0.5, 0.4, 0.4, 0.4, 0.5)) == fitting.FALL**2
    cosine = FitConfig(steps=100)
    assert fitting.rate_scale(cosine, 0, []) == 1
    assert fitting.rate_scale(cosine, 50, []) == pytest.approx(0.5)
    assert fitting.rate_scale(FitConfig(schedule="constant"), 9, []) == 1


def test_order_shows_all_images_and_balanced_order_all_classes_equally() -> None:
    numbers = orders.shuffled(5, 1)(torch.arange(10))
    assert sorted(numbers[:5].tolist()) == sorted(numbers[5:].tolist()) == list(range(5))
    labels = torch.tensor([0] * 6 + [2] * 2 + [7])
    numbers = orders.balanced(labels, 1)(torch.arange(36))
    assert labels[numbers].bincount().tolist() == [12, 0, 12, 0, 0, 0, 0, 12]
    assert numbers.bincount(minlength=9).tolist() == [2] * 6 + [6] * 2 + [12]
    later = orders.balanced(labels, 1)(torch.arange(20, 36))
    assert torch.equal(later, numbers[20:])


@pytest.mark.parametrize("step", [7, 19, 31])
def test_a_stopped_training_ends_with_the_same_weights(step: int, tmp_path: Path) -> None:
    whole = task()
    unbroken = fit(whole, SHORT)
    state = tmp_path / "c.state"
    broken = task(at_step={step: lambda: os.kill(os.getpid(), signal.SIGINT)})
    with pytest.raises(StoppedError, match=rf"SIGINT\) after {step + 1} steps; the state is saved"):
        fit(broken, SHORT, state=state)
    lines: list[str] = []
    rest = task()
    found = fit(rest, SHORT, state=state, log=lines.append)
    assert lines[0].startswith(f"continues from step {step + 1}")
    assert found.history == unbroken.history
    assert found.settings == unbroken.settings
    assert found.environments == unbroken.environments
    for name, tensor in weights(rest).items():
        assert torch.equal(tensor, weights(whole)[name]), name
    assert state.exists()  # the caller removes it


@pytest.mark.parametrize("older", [False, True])
def test_a_training_that_moved_names_both_machines(tmp_path: Path, *, older: bool) -> None:
    state = tmp_path / "c.state"
    stopping = task(at_step={7: lambda: os.kill(os.getpid(), signal.SIGINT)})
    with pytest.raises(StoppedError):
        fit(stopping, SHORT, state=state)
    tensors, document = read_tensors(state)
    (here,) = document["environments"]
    there = {**here, "processor": "Another CPU"}
    write_tensors(state, tensors, {**document, "environments": [] if older else [there]})
    found = fit(task(), SHORT, state=state).environments
    assert [each.tree() for each in found] == ([] if older else [there, here])


def test_settings_leave_nothing_open() -> None:
    found = fit(task(), SHORT.model_copy(update={"every": None})).settings
    assert found["every"] == -(-SHORT.steps // fitting.VALIDATIONS)
    assert found["precision"] in ("fp32", "bf16")
    assert found["optimiser"] == "adamw" and found["max_norm"] == fitting.MAX_NORM


def test_the_state_is_written_while_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "SAVE_SECONDS", 0.0)
    state = tmp_path / "c.state"

    def fall() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(task(at_step={25: fall}), SHORT, state=state)
    whole, rest = task(), task()
    assert fit(rest, SHORT, state=state).history == fit(whole, SHORT).history


def test_states_of_other_trainings_are_refused(tmp_path: Path) -> None:
    state = tmp_path / "c.state"
    stopping = task(at_step={3: lambda: os.kill(os.getpid(), signal.SIGTERM)})
    with pytest.raises(StoppedError):
        fit(stopping, SHORT, state=state)
    with pytest.raises(UserError, match=r"begun with rate 0.02, now 0.1: remove that file"):
        fit(task(), SHORT.model_copy(update={"rate": 0.1}), state=state)
    other = task()
    with pytest.raises(UserError, match="training of other images"):
        fit(Task(other.network, other.loss, other.validate, other.order, "x"), SHORT, state=state)
    state.write_bytes(state.read_bytes()[:200])
    with pytest.raises(UserError, match="broken|cut short"):
        fit(task(), SHORT, state=state)


def test_a_diverging_training_says_so_and_leaves_no_state(tmp_path: Path) -> None:
    made = task()
    bad = Task(made.network, lambda b: made.loss(b) * math.nan, made.validate, made.order, "x")
    with pytest.raises(DivergedError, match="step 1: loss nan .* lower --rate"):
        fit(bad, SHORT, state=tmp_path / "c.state")
    assert not list(tmp_path.iterdir())


def test_bf16_and_random_numbers_outside() -> None:
    made = task()
    torch.manual_seed(5)
    wanted = torch.rand(1)
    torch.manual_seed(5)
    found = fit(made, SHORT.model_copy(update={"precision": Precision.BF16}))
    assert torch.equal(torch.rand(1), wanted)
    assert found.best.value > 0.7
