"""A race of presets: what decides, and that it goes on where it was stopped."""

import signal
from pathlib import Path
from typing import Any

import pytest

import synthograph
from synthograph.archive.batches import ArchiveRows
from synthograph.archive.reader import open_archive
from synthograph.core.config import parse_assignments
from synthograph.core.errors import DivergedError, StoppedError, UserError
from synthograph.core.interval import Interval
from synthograph.core.progress import Printed
from synthograph.features.base import MissingWeightsError
from synthograph.models.registry import RACES
from synthograph.results.race import Candidate, Race, RaceScore
from synthograph.training.config import RunConfig, TrainRequest
from synthograph.training.run import read_config
from synthograph.training.session import Session
from synthograph.training.setup import make_session, open_data, resolve_run
from synthograph.workflows import race, train
from tests.conftest import make_archive

SMALL = {
    "cfg": "quick",
    "cond": True,
    "device": "cpu",
    "metrics": "none",
    "batch": 4,
    "metric_num": 20,
    "kimg": 0.064,
    "settings": [f"model.{name}={value}" for name, value in
                 {"channel_base": 32, "channel_max": 4, "z_dim": 4, "w_dim": 4}.items()],
}  # fmt: skip


def raced(**scores: tuple[float | None, float]) -> Race:
    return Race(
        preset="quick",
        request={},
        extractor="random-vgg16",
        reference="cells.zip:val",
        images=40,
        candidates=tuple(
            Candidate(
                preset=name,
                kimg=1,
                whole=40,
                seconds=10,
                scores=(
                    RaceScore(
                        name="frechet",
                        value=distance,
                        interval=distance and Interval(distance - 1, distance + 1, 0.95),
                    ),
                    RaceScore(name="coverage", value=covered),
                ),
            )
            for name, (distance, covered) in scores.items()
        ),
    )


def test_the_smallest_distance_wins() -> None:
    found = race.decide(raced(a=(5, 0.5), b=(2, 0.45)))
    assert found.winner == "b"
    assert found.reasons == (
        "b goes on: frechet 2 by random-vgg16 is the smallest, with coverage 0.45",
    )


def test_images_that_are_all_alike_do_not_win() -> None:
    found = race.decide(raced(a=(5, 0.5), b=(2, 0.39)))
    assert found.winner == "a"
    assert found.reasons[0] == "b is out: coverage 0.39 is less than 0.8 of 0.5"


def test_overlapping_intervals_are_said() -> None:
    assert "chance may have decided" in race.decide(raced(a=(5, 0.5), b=(4, 0.5))).reasons[-1]


def test_a_race_that_was_too_short_says_so() -> None:
    assert "too short to tell" in race.decide(raced(a=(9, 0.0), b=(4, 0.0))).reasons[-1]


@pytest.mark.parametrize(
    "change", [{"winner": "c"}, {"candidates": raced(**{"../a": (1, 1)}).candidates}]
)
def test_a_damaged_record_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    broken = raced(a=(1, 1)).replace(**change)
    broken.save(tmp_path / race.RACE)
    with pytest.raises(UserError, match="is no preset of this race; start a new one"):
        synthograph.train(resume=tmp_path)


def test_who_was_not_measured_is_out() -> None:
    three = raced(a=(5, 0.5), b=(None, 0.9), c=(None, 0.0)).left("c", "it diverged")
    found = race.decide(three)
    assert found.winner == "a"
    assert found.reasons[:2] == ("b is out: frechet has no value", "c is out: it diverged")
    with pytest.raises(DivergedError, match="the trainings of a, b, c diverged"):
        race.decide(three.left("a", "it diverged").left("b", "it diverged"))


def test_without_numbers_nothing_is_decided() -> None:
    with pytest.raises(UserError, match="choose a preset"):
        race.decide(raced(a=(None, 0.5)))


@pytest.fixture
def cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(race, "_seconds_per_kimg", lambda _: 1000.0)
    monkeypatch.setitem(RACES, "quick", ("tiny", "tiny-progressive"))  # which need no weights
    path = make_archive(tmp_path / "cells.zip", count=48, size=(8, 8))
    synthograph.split(archive=path, val=0.4, test=0.2)
    return path


def test_the_winner_is_trained_to_its_end(
    cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    request = TrainRequest.parse({**SMALL, "data": cells, "outdir": tmp_path / "runs"})
    result = train.run(request, progress=Printed())
    assert result is not None
    folder = tmp_path / "runs" / "00000-cells-cond-quick"
    found = Race.load(folder / race.RACE)
    assert len(found.candidates) == 2 and found.winner in {one.preset for one in found.candidates}
    assert result.run.parent == folder / found.winner and result.images == 64
    assert all(one.kimg == 0.032 for one in found.candidates), "half of it at most"
    for one in found.candidates:
        (run,) = (folder / one.preset).iterdir()
        kimg = read_config(run).training.kimg
        assert kimg == (0.064 if one.preset == found.winner else one.kimg)
    said = capsys.readouterr().out
    assert "the one goes on whose frechet by random-vgg16" in said
    assert f"{found.winner} goes on: frechet" in said


@pytest.mark.parametrize(("more", "steps"), [({}, 8), ({"settings": ["training.kimg=0.072"]}, 10)])
def test_a_stopped_race_goes_on(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: dict[str, Any], steps: int
) -> None:
    step, taken = Session.step, []

    def interrupted(self: Session) -> object:
        taken.append(type(self.config.model).__name__)
        if len(taken) == 10:  # eight steps of the first candidate, then in the second one
            signal.raise_signal(signal.SIGTERM)
        return step(self)

    monkeypatch.setattr(Session, "step", interrupted)
    with pytest.raises(StoppedError, match=r"in a race of presets; .*--resume \S*-quick$"):
        synthograph.train(data=cells, outdir=tmp_path / "runs", **SMALL)
    (folder,) = (tmp_path / "runs").iterdir()
    assert race.begun(tmp_path / "runs") == [folder]
    assert [len(one.scores) for one in Race.load(folder / race.RACE).candidates] == [3, 0]
    result = synthograph.train(resume=folder, **more)
    assert result.images == 4 * (8 + steps) and len(taken) == 8 + 8 + steps, "no step twice"
    for one in Race.load(folder / race.RACE).candidates:
        (run,) = (folder / one.preset).iterdir()
        if run != result.run:
            assert read_config(run).training.kimg == one.kimg, "all train alike in the race"
    for again in (more, {}):
        assert synthograph.train(resume=folder, **again).run == result.run
    assert len(taken) == 8 + 8 + steps, "nothing is left to do"


def test_a_race_goes_on_with_what_may_change(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For the candidate that has begun as for the one that has not."""
    step, taken = Session.step, []

    def interrupted(self: Session) -> object:
        taken.append(self)
        if len(taken) == 2:
            signal.raise_signal(signal.SIGTERM)
        return step(self)

    monkeypatch.setattr(Session, "step", interrupted)
    asked = {"data": cells, "outdir": tmp_path / "runs", **SMALL, "save_every": 5, "snap": 2}
    with pytest.raises(StoppedError):
        synthograph.train(**asked)
    (folder,) = (tmp_path / "runs").iterdir()
    with pytest.raises(UserError, match="batch"):
        synthograph.train(resume=folder, batch=8)
    held = Race.load(folder / race.RACE).request
    with pytest.raises(UserError, match="^--batch cannot change when a race goes on"):
        race._changed(held, {"training.batch": 16})
    same = {"model.z_dim": 4, "training.batch": 4, "tracking": {}}
    assert race._changed(held, same)["settings"] == held["settings"]
    synthograph.train(resume=folder, save_every=7, settings=["training.snap=3"], threads=1)
    for one in Race.load(folder / race.RACE).candidates:
        (run,) = (folder / one.preset).iterdir()
        config = read_config(run)
        found = config.training.save_every, config.training.snap, config.threads
        assert found == (7, 3, 1), one.preset


def test_a_race_stops_though_the_signal_came_when_a_candidate_was_all_but_done(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    step, taken = Session.step, []

    def interrupted(self: Session) -> object:
        taken.append(1)
        if len(taken) == 8:  # the last step of the first candidate
            signal.raise_signal(signal.SIGTERM)
        return step(self)

    monkeypatch.setattr(Session, "step", interrupted)
    with pytest.raises(StoppedError, match=r"SIGTERM.*in a race of presets; .*--resume"):
        synthograph.train(data=cells, outdir=tmp_path / "runs", **SMALL)
    (folder,) = (tmp_path / "runs").iterdir()
    begun = Race.load(folder / race.RACE)
    assert [len(one.scores) for one in begun.candidates] == [0, 0]
    # and what the record of others names is no server that gets pictures
    sent = {"tracker": "mlflow", "tracking_uri": "http://127.0.0.1:9"}
    begun.replace(request={**begun.request, **sent}).save(folder / race.RACE)
    assert synthograph.train(resume=folder).images == 64 and len(taken) == 8 + 8 + 8
    assert "not followed at http://127.0.0.1:9, which only" in capsys.readouterr().out


def test_a_candidate_that_diverges_leaves_the_race_to_others(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    step = Session.step

    def diverging(self: Session) -> object:
        if self.config.model.family == "stylegan1":
            raise DivergedError("numbers are not finite")
        return step(self)

    monkeypatch.setattr(Session, "step", diverging)
    asked = TrainRequest.parse({**SMALL, "data": cells, "outdir": tmp_path / "runs"})
    result = train.run(asked, progress=Printed())
    (folder,) = (tmp_path / "runs").iterdir()
    found = Race.load(folder / race.RACE)
    assert result is not None and result.images == 64 and found.winner == "tiny"
    assert found.candidates[1].out == "its training diverged" and not found.candidates[1].scores
    said = capsys.readouterr().out
    assert "race: tiny-progressive is out: its training diverged: numbers are not finite" in said
    assert synthograph.train(resume=folder).run == result.run


def test_a_judge_for_other_images_is_refused_before_the_race(cells: Path, tmp_path: Path) -> None:
    grey = make_archive(tmp_path / "grey.zip", count=48, size=(8, 8), modalities={"image": 1})
    synthograph.split(archive=grey, val=0.4, test=0.2)
    judge, few = tmp_path / "grey.safetensors", {"steps": 2, "batch": 8, "every": 2}
    synthograph.classify_train(data=grey, out=judge, backbone="small", transforms="none", **few)
    name = f"classifier:{judge}"
    with pytest.raises(UserError, match="does not take images of 3 channels, .* random-vgg16"):
        synthograph.train(data=cells, outdir=tmp_path / "runs", **SMALL, features=name)
    by_setting = {**SMALL, "settings": [*SMALL["settings"], f"metrics.features={name}"]}
    with pytest.raises(UserError, match="does not take images of 3 channels"):
        synthograph.train(data=cells, outdir=tmp_path / "runs", **by_setting)
    plain = {**SMALL, "cfg": "tiny", "metrics": "frechet", "features": name}
    with pytest.raises(UserError, match="does not take images of 3 channels"):
        synthograph.train(data=cells, outdir=tmp_path / "runs", **plain)
    assert not (tmp_path / "runs").exists()


def test_a_dry_run_says_what_decides(
    cells: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {**SMALL, "data": cells, "outdir": tmp_path / "runs", "dry_run": True}
    assert train.run(TrainRequest.parse(asked), progress=Printed()) is None
    assert not (tmp_path / "runs").exists()
    assert "if its coverage is at least 0.8 of the best" in capsys.readouterr().out


def test_candidates_are_timed_over_all_their_stages(
    cells: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    seconds = 0.0

    def step(session: Session) -> None:
        nonlocal seconds
        seconds += session.stage.resolution * session.batch_size / 1000
        session.state.progress.images += session.batch_size

    monkeypatch.setattr(Session, "step", step)
    monkeypatch.setattr(race, "_clock", lambda _: seconds)
    settings = parse_assignments(
        ["training.kimg=0.04", "model.progressive_stage=5", "model.start_dimension=4"]
    )
    config, _ = resolve_run(open_archive(cells), "tiny-progressive", [settings])
    session = make_session(config, open_data(config))
    starts = session.family.stage_starts(config.model, session.spec)
    wanted = (4 * starts[1] + 8 * (40 - starts[1])) / 40
    assert len(starts) == 2 and race._seconds_per_kimg(session) == pytest.approx(wanted, rel=0.01)


def test_images_must_be_held_out(tmp_path: Path) -> None:
    whole = make_archive(tmp_path / "whole.zip", count=24, size=(8, 8))
    with pytest.raises(UserError, match="has no split val.*or choose yourself, such as --cfg tiny"):
        synthograph.train(data=whole, outdir=tmp_path / "runs", **SMALL)


def test_only_presets_of_its_family_start_from_a_network(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    alone = {**SMALL, "cfg": "tiny", "kimg": 0.008}
    source = synthograph.train(data=cells, outdir=tmp_path / "source", **alone)
    monkeypatch.chdir(tmp_path)  # a race goes on from any folder
    asked = {**SMALL, "data": cells, "outdir": tmp_path / "runs"}
    asked["init_from"] = str(source.run.relative_to(tmp_path))
    folder = train.run(TrainRequest.parse(asked), progress=Printed()).run.parents[1]
    assert f"race: tiny 0.032 kimg from {source.snapshot}, tiny-progressive 0.032" in (
        capsys.readouterr().out
    )
    logs = {name: next(folder.glob(f"{name}/*/log.txt")).read_text() for name in RACES["quick"]}
    assert "initialised from" in logs["tiny"]
    assert "initialised from" not in logs["tiny-progressive"]


@pytest.mark.usefixtures("cells")
@pytest.mark.parametrize(
    ("given", "start"),
    [
        ({}, " from phantom:skin"),
        ({"init_from": "none"}, ""),
        ({"settings": SMALL["settings"]}, ""),
    ],
)
def test_presets_that_fit_start_from_phantoms(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    given: dict[str, Any],
    start: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    synthograph.split(
        archive=make_archive(tmp_path / "set.zip", count=48, size=(32, 32)), val=0.4, test=0.2
    )
    asked = {**SMALL, "settings": [], "data": "set.zip", **given}
    folder = train.run(TrainRequest.parse(asked), progress=Printed()).run.parents[1]
    said = capsys.readouterr().out
    assert f"race: tiny 0.032 kimg{start}, tiny-progressive 0.032 kimg, about" in said
    assert ("--init-from none trains from random weights" in said) is bool(start)
    logs = {name: next(folder.glob(f"{name}/*/log.txt")).read_text() for name in RACES["quick"]}
    assert ("initialised from skin.safetensors" in logs["tiny"]) is bool(start)
    assert "initialised from" not in logs["tiny-progressive"]
    assert "makes better images" not in said


def test_a_network_of_no_family_that_is_raced_is_refused(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(RACES, "quick", ("tiny-progressive",))
    with pytest.raises(UserError, match="phantom:skin is of the family stylegan2, of which"):
        synthograph.train(data=cells, init_from="phantom:skin", **SMALL)


def test_a_candidate_without_its_weights_is_left_out(
    cells: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    make = race.make_session

    def lacking(config: RunConfig, data: ArchiveRows) -> Session:
        if config.model.family == "stylegan1":
            raise MissingWeightsError("pip install 'synthograph[imagenet]'")
        return make(config, data)

    monkeypatch.setattr(race, "make_session", lacking)
    asked = {**SMALL, "data": cells, "outdir": tmp_path / "runs", "dry_run": True}
    train.run(TrainRequest.parse(asked), progress=Printed())
    said = capsys.readouterr().out
    assert "tiny-progressive takes no part: pip install" in said
    assert "race: tiny 0.032 kimg, about" in said
