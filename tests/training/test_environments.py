"""A run says on which machines it was trained."""

import json
from pathlib import Path

import pytest

from synthograph.models.snapshot import load
from synthograph.results.base import Tree
from synthograph.results.environment import Environment
from synthograph.training.loop import Trainer
from synthograph.training.resume import resume_session
from synthograph.training.state import list_states
from tests.training.test_resume import change_numbers, start, stopped


def resumed(trainer: Trainer, known: list[Tree]) -> tuple[list[Environment], list[Tree]]:
    """What the newest snapshot and state of a run say that was stopped with these environments."""
    change_numbers(list_states(trainer.run.states)[0], environments=known)
    again = Trainer(*resume_session(trainer.run.path, {}))
    again.train()
    again.run.close()
    newest = list_states(trainer.run.states)[0] / "state.json"
    return load(trainer.run.path).info.environments, json.loads(newest.read_text())["environments"]


def test_one_machine_is_named_once(archive: Path, tmp_path: Path, threads: None) -> None:
    trainer = stopped(archive, tmp_path / "runs", steps=2)
    (here,) = trainer.session.info.environments
    found, kept = resumed(trainer, [here.tree()])
    assert found == [here] and kept == [here.tree()]


@pytest.mark.parametrize("older", [False, True])
def test_a_run_that_moved_names_both_machines(
    archive: Path, tmp_path: Path, threads: None, *, older: bool
) -> None:
    trainer = stopped(archive, tmp_path / "runs", steps=2)
    (here,) = trainer.session.info.environments
    there = here.replace(processor="Another CPU", torch="1.0")
    found, kept = resumed(trainer, [] if older else [there.tree()])
    assert found == ([] if older else [there, here]), "half of the truth is not told"
    assert kept == [each.tree() for each in found]


def test_a_run_without_snapshots_knows_where_it_began(archive: Path, tmp_path: Path) -> None:
    trainer = start(archive, tmp_path / "runs")
    (here,) = trainer.session.info.environments
    assert here.processes == 1 and not here.gpu
    trainer.run.close()
