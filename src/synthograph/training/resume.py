"""Going on with a run: its configuration, its newest complete state, its files cut back to it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from synthograph.core.config import merge
from synthograph.core.errors import UserError
from synthograph.core.files import write_json
from synthograph.training.config import RunConfig
from synthograph.training.run import CONFIG, RunDirectory, read_config
from synthograph.training.session import Session
from synthograph.training.setup import make_session, open_data
from synthograph.training.state import Surroundings, load_state

EXTENDABLE = ("training.kimg", "training.max_hours", "training.save_every")


def resume_session(path: Path, asked: Mapping[str, Any]) -> tuple[Session, RunDirectory]:
    """The session of a run at its newest complete state.

    Args:
        path: the run directory.
        asked: settings given along; only length and saving may differ from the run's own.

    Raises:
        UserError: no run there, another process trains in it, or settings that contradict it.
    """
    config = _extended(read_config(path), asked, path)
    run = RunDirectory(path)
    try:
        write_json(path / CONFIG, config.tree())
        session = make_session(config, open_data(config))
        threads = torch.get_num_threads()
        loaded = load_state(run.states, session.state)
        if loaded is None:
            run.truncate({})
            run.say(f"{path} holds no complete state, so training starts from image 0")
            return session, run
        numbers, state_path, passed = loaded
        torch.set_num_threads(numbers.surroundings.threads)
        run.truncate(numbers.lengths)
        for problem in passed:
            run.say(f"passed over: {problem}")
        run.say(f"resumed from {state_path} at {numbers.progress.images} images")
        differences = Surroundings.here(config.precision).differences(numbers.surroundings)
        if differences:
            run.say(f"continues, not bit-exact: {'; '.join(differences)} (threads here: {threads})")
    except BaseException:
        run.close()
        raise
    return session, run


def _extended(config: RunConfig, asked: Mapping[str, Any], path: Path) -> RunConfig:
    """The run's configuration with what may be changed; everything else must agree."""
    tree = config.tree()
    for name, value in _leaves(asked):
        current = _at(tree, name)
        if name not in EXTENDABLE and not _same(current, value, name):
            raise UserError(
                f"{path} was started with {name} = {current!r}, so it cannot be resumed with "
                f"{value!r}: "
                "leave that option out, or start a new run"
            )
    changes = {k: v for k, v in _leaves(asked) if k in EXTENDABLE}
    for name, value in changes.items():
        first, second = name.split(".")
        tree = merge(tree, {first: {second: value}})
    return RunConfig.parse(tree)


def _same(current: Any, value: Any, name: str) -> bool:  # noqa: ANN401
    if name == "data.path":
        return Path(str(value)).resolve() == Path(str(current)).resolve()
    return bool(current == value) or value == "auto"


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in tree.items():
        if isinstance(value, Mapping):
            found += _leaves(value, f"{prefix}{key}.")
        else:
            found.append((f"{prefix}{key}", value))
    return found


def _at(tree: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401
    current: Any = tree
    for key in path.split("."):
        if not isinstance(current, Mapping) or key not in current:
            raise UserError(f"unknown setting '{path}'")
        current = current[key]
    return current
