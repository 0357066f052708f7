"""Trials that processes share, without training."""

import math
from pathlib import Path

import pytest

from synthograph.core.errors import DivergedError, StoppedError, UserError
from synthograph.core.locks import Lock
from synthograph.core.progress import Silent
from synthograph.results import Search
from synthograph.results.search import TrialState
from synthograph.workflows import run, search_trials
from synthograph.workflows.search import SearchResult
from synthograph.workflows.search_requests import SearchRequest
from synthograph.workflows.search_runs import CollapsedError, LostError, TrialRun
from tests.conftest import Heard
from tests.workflows.searching import reach, split_archive

SPACE = """
preset: tiny
kimg: 1
trials: 8
fresh_seeds: 2
finalists: 2
space:
  model.r1_gamma: {times: [0.125, 8]}
"""


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return split_archive(tmp_path_factory.mktemp("cells") / "cells.zip")


def distance(run: TrialRun, kimg: float) -> dict[str, float]:
    """Best at twice the preset's gamma; every seed is a little different."""
    steps = math.log2(run.config.model.r1_gamma / GAMMA)
    return {"kernel": (steps - 1) ** 2 + 0.01 * (run.seed % 3) + 1 / kimg, "recall": 0.5}


GAMMA = 0.0005 * 8 * 8
"""The preset's, for images of 8x8."""


def searched(folder: Path, cells: Path, text: str = SPACE, **more: object) -> Search:
    path = folder / "mine.yaml"
    path.write_text(f"data: {cells}\n{text}")
    request = SearchRequest.parse({"search": path, "device": "cpu", **more})
    result = run(request, progress=Silent())
    assert isinstance(result, SearchResult) and result.search is not None
    return result.search


def test_the_best_is_trained_again_before_it_is_named(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained = reach(monkeypatch, distance)
    found = searched(tmp_path, cells)
    assert [each.number for each in found.trials] == list(range(8))
    assert found.trials[0].baseline and found.trials[0].settings["model.r1_gamma"] == GAMMA
    assert found.measured_on.startswith("cells.zip:val")
    ended = [each for each in found.trials if each.state is TrialState.ENDED]
    assert ended and all(each.kimg in (0.3, 0.6) and each.reason for each in ended)
    whole = [each for each in found.trials if each.state is TrialState.COMPLETE]
    best = min(whole, key=lambda each: each.value("kernel") or 9)
    assert found.winner is not None and found.winner.trial == best.number
    assert {seed for each in found.retrained for seed in each.seeds} == {10_000, 10_001}
    assert sum(each.baseline for each in found.retrained) == 1, "the preset is compared"
    assert found.winner.beyond_noise and "more than seeds differ" in found.winner.sentence
    folders = {home for home, _ in trained}
    assert f"{best.number:05d}-seed10000" in {each.partition("/")[2] for each in folders}
    gamma = found.parameter("model.r1_gamma")
    assert gamma is not None and gamma.importance == pytest.approx(1) and gamma.relative
    again = searched(tmp_path, cells)
    assert again == found, "nothing is done twice"
    more = searched(tmp_path, cells, SPACE.replace("trials: 8", "trials: 9"))
    assert len(more.trials) == 9 and more.trials[1].rungs == found.trials[1].rungs


def test_a_winner_within_noise_is_called_so(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach(monkeypatch, lambda run, kimg: {"kernel": 1 + hash(run.seed) % 7, "recall": 0.5})
    found = searched(tmp_path, cells)
    assert found.winner is not None and not found.winner.beyond_noise
    assert all(each.within_noise for each in found.retrained)


def test_what_diverges_collapses_or_is_lost_ends_a_trial_alone(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors = {1: DivergedError("not finite"), 2: CollapsedError("all the same"),
              3: LostError("killed")}  # fmt: skip

    def reached(run: TrialRun, kimg: float) -> dict[str, float]:
        number = run.home.parent.name
        if number.isdigit() and int(number) in errors:
            raise errors[int(number)]
        return distance(run, kimg)

    trained = reach(monkeypatch, reached)
    found = searched(tmp_path, cells)
    states = [each.state for each in found.trials[:4]]
    assert states == [TrialState.COMPLETE, TrialState.DIVERGED, TrialState.COLLAPSED,
                      TrialState.FAILED]  # fmt: skip
    assert found.trials[1].reason == "not finite" and found.trials[1].values == ()
    assert found.winner is not None and len(found.trials) == 8 and trained


def test_nobody_wins_where_all_collapse(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reached(run: TrialRun, kimg: float) -> dict[str, float]:
        raise CollapsedError("all the same")

    reach(monkeypatch, reached)
    found = searched(tmp_path, cells)
    assert found.winner is None and not found.retrained
    assert not (tmp_path / "mine" / "winner.yaml").exists()
    assert "nothing is recommended" in (tmp_path / "mine" / "report.html").read_text()


def test_a_search_that_was_stopped_goes_on_with_the_same_trial(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stop = True

    def reached(run: TrialRun, kimg: float) -> dict[str, float]:
        if stop and run.home.parent.name == "00002" and kimg > 0.3:
            raise StoppedError("stopped on request (SIGINT)")
        return {"kernel": 1 / kimg, "recall": 0.5}

    trained = reach(monkeypatch, reached)
    with pytest.raises(StoppedError, match="trials are saved, and the same command continues"):
        searched(tmp_path, cells)
    assert trained[-1] == ("00002/seed0", 0.3)
    stop, before = False, len(trained)
    found = searched(tmp_path, cells)
    assert trained[before] == ("00002/seed0", 0.6), "from where it was"
    assert found.resumed == 1 and len(found.trials) == 8


def test_a_trial_that_another_process_is_at_is_left_alone(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reached(run: TrialRun, kimg: float) -> dict[str, float]:
        if run.home.parent.name == "00001" and not claim:
            lock = Lock(run.home.parent / "claim", "")
            claim.append(lock)
            raise StoppedError("stopped")
        return {"kernel": 1 / kimg, "recall": 0.5}

    claim: list[Lock] = []
    reach(monkeypatch, reached)
    with pytest.raises(StoppedError):
        searched(tmp_path, cells)
    claim[0].acquire()
    monkeypatch.setattr(search_trials.time, "sleep", lambda seconds: claim[0].release())
    path = tmp_path / "mine.yaml"
    request = SearchRequest.parse({"search": path, "device": "cpu"})
    progress = Heard()
    result = run(request, progress=progress)
    assert result.search.trial(1).state is not TrialState.FAILED
    waited = progress.lines.index("waiting for trials that other processes are at")
    assert progress.lines.index("trial 1: its process is gone; continuing") > waited


def test_a_trial_that_is_lost_on_another_machine_is_drawn_again(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"sqlite:///{tmp_path}/shared.db"
    pytest.importorskip("sqlalchemy")

    def reached(run: TrialRun, kimg: float) -> dict[str, float]:
        if "far" in run.home.parts:
            raise StoppedError("the machine is gone")
        return {"kernel": 1 / kimg, "recall": 0.5}

    reach(monkeypatch, reached)
    far, near = tmp_path / "far", tmp_path / "near"
    for folder in (far, near):
        folder.mkdir()
    with pytest.raises(StoppedError):
        searched(far, cells, storage=url)
    monkeypatch.setattr(search_trials, "SILENT_MINUTES", -1)
    found = searched(near, cells, SPACE.replace("trials: 8", "trials: 3"), storage=url)
    assert [each.number for each in found.trials] == [1, 2, 3]
    assert found.trials[0].baseline, "the preset itself, once more"
    path = far / "mine.yaml"
    elsewhere = run(
        SearchRequest.parse({"search": path, "device": "cpu", "storage": url, "trials": 3}),
        progress=Silent(),
    )
    assert elsewhere.search is None
    assert "the winner is named where that was begun" in next(iter(elsewhere.lines()))


def test_several_objectives_give_a_front(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reached(run: TrialRun, kimg: float) -> dict[str, float]:
        steps = math.log2(run.config.model.r1_gamma / GAMMA)
        return {"kernel": 5 - steps + run.seed % 2, "recall": 0.5 - steps / 10}

    reach(monkeypatch, reached)
    text = f"{SPACE}objectives: [kernel, recall]\nconstraints: {{}}\nhalving: 1\n"
    found = searched(tmp_path, cells, text)
    assert all(each.front for each in found.trials), "what is nearer is less diverse"
    assert found.objectives[1].smaller is False and found.winner is not None


def test_who_misses_a_constraint_cannot_win(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reached(run: TrialRun, kimg: float) -> dict[str, float]:
        found = distance(run, kimg)
        return {**found, "recall": 0.1 if run.config.model.r1_gamma > 1.01 * GAMMA else 0.5}

    reach(monkeypatch, reached)
    found = searched(tmp_path, cells, f"{SPACE}constraints: {{recall: 0.3}}\nhalving: 1\n")
    assert found.winner is not None
    best = min(found.trials, key=lambda each: each.value("kernel") or 9)
    assert not best.feasible and found.winner.trial != best.number
    assert found.winner.settings["model.r1_gamma"] <= 1.01 * GAMMA


@pytest.mark.parametrize("least", [0.3, 0.9])
def test_a_preset_that_misses_a_constraint_cannot_win_either(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, least: float
) -> None:
    """It is the best by the objective; where all miss the constraint nobody wins."""

    def reached(run: TrialRun, kimg: float) -> dict[str, float]:
        steps = math.log2(run.config.model.r1_gamma / GAMMA)
        own = abs(steps) < 1e-9
        return {"kernel": 1 + abs(steps) + 0.01 * run.seed, "recall": 0.1 if own else 0.5}

    reach(monkeypatch, reached)
    found = searched(tmp_path, cells, f"{SPACE}constraints: {{recall: {least}}}\nhalving: 1\n")
    preset = next(each for each in found.retrained if each.baseline)
    assert not preset.feasible
    if least > 0.5:
        assert found.winner is None and not any(each.feasible for each in found.retrained)
        return
    assert found.winner is not None and found.winner.trial != preset.trial
    assert "which misses the constraint on recall" in found.winner.sentence
    assert "the preset may do as well" not in found.winner.sentence


@pytest.mark.parametrize(
    ("text", "trials"),
    [("total_kimg: 1.5", 2), ("seeds: 2\ntotal_kimg: 1.5", 1), ("hours: 0.000000001", 1)],
)
def test_budgets_end_a_search(
    text: str, trials: int, cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach(monkeypatch, lambda run, kimg: {"kernel": 1 + run.seed, "recall": 0.5})
    found = searched(tmp_path, cells, f"{SPACE}halving: 1\n{text}\n")
    assert len(found.trials) == trials


def test_a_folder_of_another_search_and_measures_that_are_not_there(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach(monkeypatch, distance)
    searched(tmp_path, cells, SPACE.replace("trials: 8", "trials: 1"))
    with pytest.raises(UserError, match="was begun otherwise .settings.kimg was 1.0, now 2.0"):
        searched(tmp_path, cells, SPACE.replace("kimg: 1", "kimg: 2"))
    other = tmp_path / "other"
    (other / "mine").mkdir(parents=True)
    (other / "mine" / "x.txt").touch()
    with pytest.raises(UserError, match="is a folder with other files"):
        searched(other, cells)
    monkeypatch.setattr(TrialRun, "measured", lambda run, kimg: None)
    third = tmp_path / "third"
    third.mkdir()
    with pytest.raises(UserError, match="nothing was measured, so trials cannot be compared"):
        searched(third, cells)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"objectives": "kernl"}, "'kernl' is unknown: did you mean 'kernel'?"),
        ({"objectives": "fid50k_full"}, "fid50k_full cannot choose: it is not measured against"),
        ({"objectives": "ms_ssim"}, "ms_ssim cannot choose: it does not say which images are more"),
        ({"objectives": "noise_share"}, "noise_share cannot choose: it does not say which images"),
        ({"fold": 3}, "--fold 3: folds of cells.zip are none"),
        ({"trials": 0}, "--trials 0: must be at least 1"),
        (
            {"objectives": "kernel", "settings": ["metrics.features=inception"]},
            "skipped: frechet, kernel",
        ),
    ],
)
def test_what_cannot_choose_is_refused_before_work(
    more: dict[str, object], said: str, cells: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError) as caught:
        searched(tmp_path, cells, **more)
    assert said in str(caught.value)
    assert not (tmp_path / "mine").exists()
