"""Resuming a run: configuration, newest complete state, and files cut back to that state."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from synthograph.core.config import flatten, set_path
from synthograph.core.console import say
from synthograph.core.devices import pick_device
from synthograph.core.errors import SettingError, UserError
from synthograph.core.files import write_json
from synthograph.core.machine import software_and_machine
from synthograph.core.names import nearest
from synthograph.core.untrusted.documents import JsonObject
from synthograph.results.environment import Environment, distinct
from synthograph.training import model_selection
from synthograph.training.config import RunConfig
from synthograph.training.distributed import Team, broadcast_state
from synthograph.training.recovery import apply_remedy
from synthograph.training.run import (
    CONFIG,
    NullRunDirectory,
    RunDirectory,
    read_config,
    read_origin,
)
from synthograph.training.session import Session
from synthograph.training.setup import make_session, open_data
from synthograph.training.state import Loaded, Surroundings, load_state, state_problems
from synthograph.training.trackers import is_strange, unfollowed_note
from synthograph.training.trackers.mlflow import MLflow

DEVICE, DATA = "device", "data.path"
CHANGEABLE = (
    "training.kimg",
    "training.max_hours",
    "training.save_every",
    "training.snap",
    "threads",
    "metrics.patience",
    "tracking.trackers",
    "tracking.uri",
    "tracking.experiment",
    "tracking.parent",
    DATA,
    DEVICE,
)
RESOLVED: Mapping[str, Callable[[str], str]] = {
    DATA: lambda path: str(Path(path).resolve()),
    DEVICE: lambda device: str(pick_device(device)),
}
"""Settings that `config.json` holds independent of the working directory and the machine."""


def resume_session(
    path: Path, asked: JsonObject, *, require_exact: bool = False, team: Team | None = None
) -> tuple[Session, RunDirectory]:
    """The session of a run at its newest complete state.

    Args:
        path: the run directory.
        asked: settings given with it; only length, patience, saving, threads, the place of the
            archive and the device may differ from the run's own.
        require_exact: refuse to resume where the result could differ from an unbroken run's.
        team: the processes that train together; the main one reads the state and broadcasts it.

    Raises:
        UserError: no run there, another process trains in it, settings that contradict it, other
            images, or different surroundings where exactness is required.
    """
    team = team or Team()
    before = RunConfig.parse(
        team.broadcast_object(read_config(path).tree() if team.is_main else {})
    )
    config = extended(before, asked, path)
    if is_strange(config.tracking.uri, flatten(asked).get("tracking.uri")):
        config = _unfollowed(config, say if team.is_main else None)
    run = RunDirectory(path) if team.is_main else NullRunDirectory(path)
    try:
        session = make_session(config, open_data(config), team=team)
        if team.is_main:
            _restore_state(session, run, before=before, asked=asked, require_exact=require_exact)
        torch.set_num_threads(team.broadcast_object(torch.get_num_threads()))
        broadcast_state(team, session.state)
        apply_remedy(session)
    except BaseException:
        run.close()
        raise
    return session, run


def _restore_state(
    session: Session,
    run: RunDirectory,
    *,
    before: RunConfig,
    asked: JsonObject,
    require_exact: bool,
) -> None:
    """Restore the newest complete state and cut the run's files back to it."""
    origin = read_origin(run.path)
    session.info = session.info.model_copy(update={"initialised_from": origin})
    loaded = load_state(run.states, session.state)
    _refuse_other_data(session, loaded, moved=session.config.data.path != before.data.path)
    if loaded is None:
        _refuse_restart(run.path, origin, require_exact=require_exact)
        said = [*state_problems(run.states), _restart(run)]
        lengths: Mapping[str, int] = {}
    else:
        _refuse_shorter(asked, before, loaded.numbers.progress.images)
        said = _restore(session, loaded, before.device, require_exact=require_exact)
        session.info = session.info.model_copy(
            update={"environments": _trained_in(session, loaded)}
        )
        lengths = loaded.numbers.lengths
    write_json(run.path / CONFIG, session.config.tree())
    said += run.truncate(lengths)
    model_selection.write_best(run, session.config, session.state.progress)
    for line in said:
        run.log(line)


def _refuse_other_data(session: Session, loaded: Loaded | None, *, moved: bool) -> None:
    """Refuse images, groups or labels other than those that the run has seen so far, and a best
    snapshot by different images.
    """
    known = None if loaded is None else loaded.numbers.data
    place = session.config.data.path
    if known is None and moved:
        raise UserError(
            f"--data {place}: the run has no record of its images to compare these with; put the "
            "archive where it was, or start a new run"
        )
    if known is not None and known != session.data:
        raise UserError(
            f"{place}: its training images, groups or labels are not those that this run began "
            "with; give the archive that it began with by --data, or start a new run with "
            "--init-from"
        )
    if loaded is None or not loaded.numbers.progress.measured:
        return
    if loaded.numbers.held_out not in (None, session.held_out_digest):
        raise UserError(
            f"{place}: the images that were held out are not those by which this run's snapshots "
            "were measured so far; give the archive that it began with by --data, or start a new "
            "run with --init-from"
        )


def _refuse_restart(path: Path, origin: JsonObject | None, *, require_exact: bool) -> None:
    """Refuse to start over where that would not be the same run."""
    if require_exact:
        raise UserError(f"--require-exact: {path} holds no complete state to continue from")
    if origin is not None:
        raise UserError(
            f"{path}: holds no complete state, and it began with the weights of another network, "
            "which it does not keep: start a new run with --init-from"
        )


def _restart(run: RunDirectory) -> str:
    """Set aside the files of an earlier training that starts over; a line for the log."""
    line = f"{run.path} holds no complete state, so training starts from image 0"
    moved = run.set_aside()
    return line if moved is None else f"{line}; what was there is kept in {moved}"


def _refuse_shorter(asked: JsonObject, before: RunConfig, images: int) -> None:
    """Refuse another length than the run's own, which whole steps may exceed, if it is behind."""
    kimg = asked.get("training", {}).get("kimg")
    if kimg not in (None, before.training.kimg) and kimg * 1000 < images:
        raise UserError(
            f"--kimg {kimg:g}: the run has shown {images} images already; give more to extend it, "
            "or leave --kimg out"
        )


def _restore(session: Session, loaded: Loaded, device: str, *, require_exact: bool) -> list[str]:
    """Restore the number of threads and compare surroundings; lines for the log."""
    before = torch.get_num_threads()
    torch.set_num_threads(session.config.threads or loaded.numbers.surroundings.threads)
    here = Surroundings.here(session.config.precision, session.team.size, session.device)
    differences = here.differences(loaded.numbers.surroundings)
    if loaded.numbers.surroundings.device is None and device != session.config.device:
        differences.append(f"device {device} -> {session.config.device}")
    if differences and require_exact:
        torch.set_num_threads(before)
        raise UserError(
            f"--require-exact: {'; '.join(differences)}, so it could not continue bit for bit; "
            "resume where it was started, or without --require-exact"
        )
    lines = [f"passed over: {problem}" for problem in loaded.passed]
    images = loaded.numbers.progress.images
    lines.append(f"resumed from {loaded.path} at {images} images")
    if differences:
        lines.append(f"continues, not bit-exact: {'; '.join(differences)}")
    return lines


def _trained_in(session: Session, loaded: Loaded) -> list[Environment]:
    """Environments of all sittings with this one; none where those before were not recorded."""
    known = [Environment.parse(each, str(loaded.path)) for each in loaded.numbers.environments]
    here = Environment(**software_and_machine(session.device, session.team.size))
    return list(distinct([*known, here])) if known else []


def _unfollowed(config: RunConfig, log: Callable[[str], None] | None) -> RunConfig:
    """The configuration without a server that only the run directory names: it may be someone
    else's, and pictures and weights would go there.
    """
    tracking = config.tracking
    if log is not None:
        log(unfollowed_note(tracking.uri))
    kept = [name for name in tracking.trackers or () if name != MLflow.name]
    changes = {"uri": None, "trackers": None if tracking.trackers is None else kept}
    return config.model_copy(update={"tracking": tracking.model_copy(update=changes)})


def extended(config: RunConfig, asked: JsonObject, path: Path) -> RunConfig:
    """The configuration of a run with the changes that resuming allows.

    Args:
        config: the run's own.
        asked: settings given with it.
        path: the run directory, for messages.

    Raises:
        UserError: something else differs, or there is no such device.
    """
    tree = config.tree()
    known = flatten(tree, sections=True)
    for name, value in flatten(asked).items():
        if value == {}:
            continue
        if name not in known:
            start = name[: name.rfind(".") + 1]
            beside = (each.removeprefix(start) for each in known if each.startswith(start))
            raise SettingError(name, nearest(name.removeprefix(start), beside), unknown=True)
        current = known[name]
        new = RESOLVED[name](str(value)) if name in RESOLVED else value
        if name == DEVICE:  # the run's own need not be here
            same = new.removesuffix(":0") == current.removesuffix(":0")
        else:
            same = new in (current, "auto") or (name == DATA and new == RESOLVED[name](current))
        if not same and name not in CHANGEABLE:
            raise UserError(
                f"{path} was started with {name} = {current!r}, so it cannot be resumed with "
                f"{value!r}: leave that option out, or start a new run"
            )
        tree = tree if same else set_path(tree, name, new)
    return RunConfig.parse(tree)
