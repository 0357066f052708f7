"""A search that trains: from the file to the winner at full length."""

import signal
import subprocess
from pathlib import Path

import pytest

import synthograph
from synthograph.core.children import environment, python_command
from synthograph.core.commands import LINE
from synthograph.core.errors import UserError
from synthograph.core.progress import Silent
from synthograph.results import Search
from synthograph.results.search import TrialState
from synthograph.training.run import read_config
from synthograph.workflows import train
from synthograph.workflows.requests import TrainRequest
from synthograph.workflows.search_plan import SearchPlan, total_seconds
from synthograph.workflows.search_requests import STORAGE
from synthograph.workflows.search_runs import Worker
from synthograph.workflows.search_settings import SearchSettings
from synthograph.workflows.search_space import presets
from tests.conftest import Heard
from tests.workflows.searching import split_archive

SEARCH = """
data: cells.zip
preset: tiny
cond: true
kimg: 0.016
trials: 3
finalists: 1
fresh_seeds: 2
constraints: {}
settings:
- model.channel_base=32
- model.channel_max=4
- model.z_dim=4
- model.w_dim=4
- training.batch=4
- metrics.num=20
- precision=fp32
- threads=1
space:
  model.r1_gamma: {times: [0.5, 2]}
  augment.mode: [none, ada]
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("search")
    split_archive(folder / "cells.zip")
    (folder / "mine.yaml").write_text(SEARCH)
    return folder


def in_this_process(worker: Worker, request: dict[str, object]) -> Path:
    found = train.run(TrainRequest.parse(request), progress=Silent())
    assert found is not None
    return found.run


@pytest.fixture
def found(home: Path, monkeypatch: pytest.MonkeyPatch) -> Search:
    monkeypatch.setattr(Worker, "train", in_this_process)
    result = synthograph.search(home / "mine.yaml", device="cpu", progress=Silent())
    assert list(result.lines())[-1].startswith(f"{home / 'mine'}: report.html")
    return result.search


def test_trials_are_runs_and_the_winner_trains_at_full_length(home: Path, found: Search) -> None:
    outdir = home / "mine"
    assert Search.load(outdir / "search.json") == found
    whole = [each for each in found.trials if each.state is TrialState.COMPLETE]
    assert whole and found.winner is not None
    for trial in found.trials:
        config = read_config(outdir / trial.runs[0])
        assert config.model.r1_gamma == trial.settings["model.r1_gamma"]
        assert config.augment.mode == trial.settings["augment.mode"]
        assert config.training.kimg == pytest.approx(trial.kimg) and config.seed == 0
        assert (config.precision, config.threads) == ("fp32", 1)
        assert trial.values[0].interval is not None
    assert len(whole[0].rungs) == 3 and whole[0].rungs[0].kimg == pytest.approx(0.0048)
    again = synthograph.train(from_search=outdir, kimg=0.02, outdir=home / "runs", device="cpu")
    config = read_config(again.run)
    assert config.model.r1_gamma == found.winner.settings["model.r1_gamma"]
    assert config.training.kimg == 0.02 and again.run.name == "00000-cells-cond-tiny"
    text = (outdir / "winner.yaml").read_text()
    assert text.startswith("# ") and "metrics:\n" in text and "\n  kimg:" not in text
    assert "precision: fp32\n" in text


def test_one_of_several_processes_does_not_tell_what_the_first_one_told(
    home: Path, found: Search, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Heard()
    synthograph.search(home / "mine.yaml", device="cpu", progress=heard)
    assert any(line.startswith("objective") for line in heard.lines)
    heard.lines.clear()
    monkeypatch.setenv(LINE, "synthograph search mine.yaml --gpus 2")  # as one of the two
    synthograph.search(home / "mine.yaml", device="cpu", progress=heard)
    assert not any(line.startswith("objective") for line in heard.lines)


def test_a_trial_goes_on_as_an_ordinary_run(home: Path, found: Search) -> None:
    run = home / "mine" / found.trials[0].runs[0]
    assert synthograph.train(resume=run, kimg=0.024).images == 24


def test_what_does_not_go_with_a_winner(home: Path, found: Search, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--from-search and --cfg exclude each other"):
        synthograph.train(from_search=home / "mine", cfg="tiny")
    with pytest.raises(UserError, match=r"holds no search.json"):
        synthograph.train(from_search=tmp_path)
    found.replace(winner=None).save(tmp_path / "search.json")
    with pytest.raises(UserError, match="nobody won"):
        synthograph.train(from_search=tmp_path)


@pytest.mark.parametrize(
    ("space", "searched"),
    [
        ("{model.optimisers.G.lr: {times: [0.5, 2]}}", {"tiny", "tiny-projected"}),
        ("small-data", {"tiny", "tiny-progressive", "tiny-projected"}),
    ],
)
def test_a_search_from_a_race_tries_all_of_its_presets(
    home: Path, tmp_path: Path, space: str, searched: set[str]
) -> None:
    about = f"data: {home}/cells.zip\npreset: quick\ncond: true\nkimg: 0.02\nspace: {space}\n"
    (tmp_path / "raced.yaml").write_text(about)
    plan = synthograph.search(tmp_path / "raced.yaml", device="cpu", dry_run=True)
    assert isinstance(plan, SearchPlan)
    assert plan.space.settings.preset == "tiny"
    assert set(presets(plan.space)) == searched
    (tmp_path / "raced.yaml").write_text(about.replace(space, "published"))
    with pytest.raises(UserError, match="--cfg quick: space published has presets of its own"):
        synthograph.search(tmp_path / "raced.yaml", device="cpu", dry_run=True)


def test_a_plan_says_what_it_would_cost(home: Path) -> None:
    plan = synthograph.search(home / "mine.yaml", device="cpu", dry_run=True, outdir=home / "no")
    assert isinstance(plan, SearchPlan) and not (home / "no").exists()
    text = "\n".join(plan.lines())
    assert "3 trials of 0.016 kimg with 1 seed, one in 2 goes on at 0.0048, 0.0096 kimg" in text
    assert "cells.zip:val (24 images" in text and "nothing was written" in text


def test_a_plan_refuses_a_folder_of_something_else(home: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("of others")
    with pytest.raises(UserError, match="folder with other files"):
        synthograph.search(home / "mine.yaml", device="cpu", dry_run=True, outdir=tmp_path)


def test_a_refused_database_leaves_nothing_behind(home: Path, tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy")
    for dry_run in (True, False):
        with pytest.raises(UserError, match="there is no folder"):
            synthograph.search(
                home / "mine.yaml", device="cpu", outdir=tmp_path / "out", dry_run=dry_run,
                storage=f"sqlite:///{tmp_path}/not/there/s.db",
            )  # fmt: skip
    assert not list(tmp_path.iterdir())


def test_a_plan_refuses_the_folder_of_another_search(home: Path, found: Search) -> None:
    with pytest.raises(UserError, match=r"was begun otherwise .*kimg"):
        synthograph.search(home / "mine.yaml", device="cpu", kimg=0.5, dry_run=True)


def test_processes_get_no_password_in_their_words(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sqlalchemy")
    url = f"sqlite:///{tmp_path}/s3cret.db"
    begun: list[tuple[list[str], str]] = []

    def popen(words: list[str], *, env: dict[str, str], **_: object) -> None:
        begun.append((words, env[STORAGE]))
        raise UserError("enough")

    monkeypatch.setattr(subprocess, "Popen", popen)
    monkeypatch.setenv(STORAGE, url)
    with pytest.raises(UserError, match="enough"):
        synthograph.search(home / "mine.yaml", device="cpu", outdir=tmp_path / "out", gpus=2)
    monkeypatch.delenv(STORAGE)
    with pytest.raises(UserError, match="enough"):
        synthograph.search(
            home / "mine.yaml", device="cpu", outdir=tmp_path / "out", gpus=2, storage=url
        )
    assert [there for _, there in begun] == [url, url]
    assert "s3cret" not in str([words for words, _ in begun])


def test_time_of_a_search_by_hand() -> None:
    settings = SearchSettings(data=Path("x"), trials=10, finalists=3, fresh_seeds=3)
    low, high = total_seconds(settings, 10, [1.0, 3.0])
    starts = (10 + 12) * 15
    assert high == pytest.approx(10 * 10 * 2 + 12 * 10 * 2 + starts)
    assert low == pytest.approx(10 * (3 + 3 / 2 + 4 * 0.3) * 2 + 12 * 10 * 2 + starts)


@pytest.mark.slow
def test_killed_and_shared_it_names_a_winner(tmp_path: Path) -> None:
    split_archive(tmp_path / "cells.zip")
    (tmp_path / "mine.yaml").write_text(SEARCH.replace("kimg: 0.016", "kimg: 0.2"))
    trials = tmp_path / "mine" / "trials"

    def begin() -> "subprocess.Popen[bytes]":
        words = [*python_command("synthograph"), "search", str(tmp_path / "mine.yaml")]
        return subprocess.Popen([*words, "--device", "cpu"], env=environment())

    first = begin()
    while not list(trials.glob("*/*/*/metrics.jsonl")):
        assert first.poll() is None
    first.send_signal(signal.SIGKILL)
    first.wait()
    both = [begin(), begin()]
    assert [each.wait() for each in both] == [0, 0]
    found = Search.load(tmp_path / "mine" / "search.json")
    assert len(found.trials) == 3 and found.resumed >= 1 and found.winner is not None
