"""Training: a new run, a resumed run, or a dry run."""

import functools
import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import torch

from synthograph.archive.advice import training_notes
from synthograph.archive.batches import ArchiveRows
from synthograph.archive.reader import MASKS, Archive, open_archive
from synthograph.core.config import calling, merge, parse_assignments, read_tree
from synthograph.core.errors import SettingError, UserError
from synthograph.core.files import refuse_unwritable_folder
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.core.spec import ImageSpec
from synthograph.core.untrusted.documents import JsonObject
from synthograph.core.untrusted.tensors import read_document
from synthograph.models.base import Family
from synthograph.models.config import ModelConfig
from synthograph.models.published import (
    AFRESH,
    PHANTOMS,
    is_name,
    licence,
    locate,
    named,
    suggested,
)
from synthograph.models.registry import RACES, family, parse_model
from synthograph.models.snapshot import Snapshot, load
from synthograph.models.snapshot_files import best_of, list_snapshots
from synthograph.models.transfer import defaults
from synthograph.training import presets
from synthograph.training.config import AugmentConfig, AugmentMode, RunConfig
from synthograph.training.distributed import (
    Team,
    broadcast_state,
    check_shares,
    init_team,
    launch_id,
    restarted,
)
from synthograph.training.estimate import bounded_estimate
from synthograph.training.frozen import completed
from synthograph.training.loop import Trainer, duration
from synthograph.training.resume import extended, resume_session
from synthograph.training.run import (
    RunDirectory,
    find_launched,
    join_run,
    read_config,
    refuse_snapshot,
)
from synthograph.training.session import Session
from synthograph.training.setup import make_session, open_data, parameter_counts, resolve_run
from synthograph.training.trackers import check_trackers
from synthograph.workflows import race
from synthograph.workflows.processes import launch, report_leader, report_result
from synthograph.workflows.requests import TrainRequest
from synthograph.workflows.search_winner import with_winner
from synthograph.workflows.snapshot_scores import (
    LABEL_VECTORS,
    SnapshotScorer,
    check_measures,
    snapshot_scorer,
)
from synthograph.workflows.training_time import describe_estimate, without_preset

Log = Callable[[str], None]
DRY_SECONDS = 25
"""Seconds for the measurement of a dry run, about."""


@dataclass(frozen=True, repr=False)
class TrainResult(Result):
    """A finished run: its directory, its best snapshot (the newest where none was found best; None
    where none is left), and the real images that its newest has seen.
    """

    run: Path
    snapshot: Path | None
    images: int

    def lines(self) -> Iterator[str]:
        """Where the run and its snapshot are."""
        if self.snapshot is None:
            yield f"{self.run}: holds no snapshot"
        else:
            yield f"{self.run}: {self.images} images seen; {self.snapshot.name}"


def run(request: TrainRequest, *, progress: Progress) -> TrainResult | None:
    """Train a new run, or resume one that was stopped.

    Args:
        request: settings of the run, and what is about this call.
        progress: who listens meanwhile; the run itself prints what its log holds.

    Returns:
        The run; None for a dry run, and in all processes of a launch but the first.

    Raises:
        UserError: a setting, the images or a run directory breaks a rule.
        StoppedError: after a signal or --max-hours; the run can be resumed.
        DivergedError: numbers that cannot be trusted; the last state is kept.
    """
    if request.from_search is not None:
        request = with_winner(request, request.from_search)
    sets = parse_assignments(request.settings)
    file = read_tree(request.config) if request.config is not None else {}
    with calling(request.names(sets, file)):
        parts = [file, sets, request.setting_tree()]
        for part in parts:
            RunConfig.check_sections(part)
        given = functools.reduce(merge, parts)
        if request.resume is not None:
            return _resume(request, request.resume, given, progress)
        if request.require_exact:
            raise UserError("--require-exact is about continuing a run: give it with --resume")
        if request.cfg in RACES:
            return _begin_race(request, given, progress)
        return _begin(request, given, progress)


def _begin(request: TrainRequest, given: JsonObject, progress: Progress) -> TrainResult | None:
    """A new run, or a dry one."""
    source = _source(request.init_from, progress)
    team = _team()
    config, data = _resolve(request, given, source, team, progress.log)
    outdir = request.outdir or Path("runs")
    refuse_unwritable_folder(outdir)
    if not restarted():  # what goes on does so without trackers
        check_trackers(config.tracking)
    if request.dry_run:
        _dry_run(config, data, source, progress.log)
        return None
    if request.gpus > team.size:
        return _launch(request, config)
    interrupted = _before_restart(outdir, team)
    if interrupted is not None:
        return _continue(interrupted, {"tracking": given.get("tracking", {})}, team)
    if team.size == 1:
        for line in without_preset(request, config, data):
            progress.log(line)
    return _start(request, config, data, source, team)


def _begin_race(request: TrainRequest, given: JsonObject, progress: Progress) -> TrainResult | None:
    """Race several presets, and train with the better one. Those that fit a network of ours start
    from it, unless another start is named.

    Raises:
        UserError: see `race.plan`; or several processes that began together.
    """
    if _team().size > 1:
        raise UserError(f"--cfg {request.cfg} starts its processes itself: give --gpus instead")
    named = request.init_from or _race_start(request, given)
    source = _source(named, progress)
    kept = named if source is None or is_name(named) else str(source.path.resolve())
    request = request.model_copy(update={"init_from": kept})

    def resolve(leg: TrainRequest) -> tuple[RunConfig, ArchiveRows]:
        start = None if leg.init_from == AFRESH else source
        return _resolve(leg, given, start, Team(), progress.log)

    family_name = None if source is None else source.info.family
    asked = given.get("metrics", {})
    judge = {"judge": asked["features"]} if "features" in asked else {}
    folder = race.plan(request, resolve, progress, start_family=family_name, **judge)
    rest = TrainRequest.parse({"gpus": request.gpus})
    return None if folder is None else _race(folder, rest, {}, progress)


def _race_start(request: TrainRequest, given: JsonObject) -> str:
    """What the presets of a race start from where nobody says so."""
    assert request.cfg is not None, "it names the race"
    first = request.model_copy(update={"cfg": RACES[request.cfg][0], "init_from": AFRESH})
    config, data = _resolve(first, given, None, Team(), lambda line: None)
    return _fitting_start(config, data.archive.info.spec) or AFRESH


def _race(folder: Path, asked: TrainRequest, given: JsonObject, progress: Progress) -> TrainResult:
    """Go on with a race."""

    def train(leg: TrainRequest) -> Path:
        found = run(leg, progress=progress)
        assert found is not None, "it is no dry run, and this is the main process"
        return found.run

    return _result(race.run(folder, asked, train, progress, given=given))


def _source(named: str | None, progress: Progress) -> Snapshot | None:
    """The snapshot to start from, downloaded if it is not here; its licence is logged."""
    if named is None or named == AFRESH:
        return None
    note = licence(named)
    if note is not None:
        progress.log(f"note: {note}")
    return load(locate(named, track=progress.track("downloading")))


def _resolve(
    request: TrainRequest, given: JsonObject, source: Snapshot | None, team: Team, log: Log
) -> tuple[RunConfig, ArchiveRows]:
    """The configuration of a new run, with nothing left open, and its images."""
    path = given.get("data", {}).get("path")
    if path is None:
        raise UserError("which images? give an archive with --data, or a run with --resume")
    below = [] if source is None else [defaults(source, given.get("model"))]
    archive, preset = open_archive(Path(path)), request.cfg or "auto"
    processes = max(request.gpus, team.size)
    config, notes = resolve_run(archive, preset, [*below, given], processes=processes)
    _refuse_idle(request, config.augment)
    check_measures(config, archive)
    kind, kimg = family(config.model.family), config.training.kimg
    about = kind.preset_note(preset, archive.info.spec)
    stands = _stands_note(kind, preset, kimg)
    start = _fitting_start(config, archive.info.spec) if request.init_from is None else None
    better = start and (
        f"for images this small, --init-from {start} mostly makes better images in the same time"
    )
    shape = None if source is None else _shape_note(preset, archive, given, config, source)
    for note in (about, stands, better, shape, *notes):
        if note is not None:
            log(f"note: {note}")
    return config, open_data(config, archive)


def _stands_note(kind: Family, preset: str, kimg: float) -> str | None:
    """Which preset a name stands for, where that is another one."""
    standing = kind.preset_within(preset, kimg)
    if standing == preset:
        return None
    why = f"{kimg:g} kimg are a short training, for which preset {preset} is {standing}"
    if preset not in kind.preset_names():
        why = f"the networks are of the family {kind.name}, in which preset {preset} is {standing}"
    return f"{why}: 'synthograph models --preset {standing}' lists its settings"


def _refuse_idle(request: TrainRequest, augment: AugmentConfig) -> None:
    """Refuse options that were typed and would change nothing; presets may set what is idle.

    Raises:
        SettingError: operations without augmentation, or a target of one that does not adapt.
    """
    typed = request.given()
    if "augment.pipe" in typed and augment.mode is AugmentMode.NONE:
        way_out = "add --aug ada or --aug fixed --p 0.2, or leave it out"
        raise SettingError("augment.pipe", f"has no effect without augmentation: {way_out}")
    if "augment.target" in typed and augment.mode is not AugmentMode.ADA:
        rule = "has no effect unless augmentation adapts: add --aug ada, or leave it out"
        raise SettingError("augment.target", rule)


def _fitting_start(config: RunConfig, spec: ImageSpec) -> str | None:
    """A network of ours whose weights fit, and help; None where there is none."""
    start = suggested(spec, config.training.kimg)
    if start is None:
        return None
    learned = parse_model(read_document(PHANTOMS[start])["config"]["model"])
    return start if _shape(learned) == _shape(config.model) else None


def _shape(model: ModelConfig) -> JsonObject:
    return family(model.family).inherited_settings(model)


def _shape_note(
    preset: str, archive: Archive, given: JsonObject, config: RunConfig, source: Snapshot
) -> str | None:
    """Settings that follow the network to start from and not the preset, where they do."""
    kind = family(config.model.family)
    chosen = presets.chosen(kind, preset, given.get("training", {}).get("kimg"))
    asked, used = given.get("model") or {}, config.model.frozen_features
    # not checked against the images: only the shape of the source has to fit them
    model = parse_model(kind.preset(chosen, archive.info.spec, 1)["model"])
    if used is not None and used.name == getattr(model.frozen_features, "name", None):
        model = completed(model)
    own = _shape(model)
    changed = [
        f"{name} {value} (preset {own[name]})"
        for name, value in _shape(config.model).items()
        if name in own and name not in asked and own[name] != value
    ]
    if not changed:
        return None
    return f"the networks have the shape of {source.path.name}: {', '.join(changed)}"


def _launch(request: TrainRequest, config: RunConfig) -> TrainResult:
    """Train in as many processes as are asked for.

    Raises:
        UserError: the batch or the machine does not allow so many.
    """
    check_shares(config, request.gpus)
    if config.device.startswith("cuda") and torch.cuda.device_count() < request.gpus:
        raise UserError(
            f"--gpus {request.gpus}: this machine has {torch.cuda.device_count()} GPUs; use as "
            "many, or --device cpu"
        )
    return _result(Path(launch(request.command_words(), request.gpus)))


def _start(
    request: TrainRequest, config: RunConfig, data: ArchiveRows, source: Snapshot | None, team: Team
) -> TrainResult | None:
    """Make a run directory and train in it, with fresh weights or those of a snapshot."""
    transferred: list[str] = []
    session = make_session(
        config, data, source, lambda report: transferred.extend(report.lines()), team
    )
    conditional = "-cond" if config.data.cond else ""
    kind = f"{data.archive.name}{conditional}-{request.cfg or 'auto'}"
    outdir, origin = request.outdir or Path("runs"), session.info.initialised_from
    run = join_run(outdir, config, kind, team, origin=origin)
    with closing(run):
        broadcast_state(team, session.state)
        scorer = snapshot_scorer(session) if team.is_main else None
        for line in (request.command_line(), *transferred, *_introduction(session, scorer)):
            run.log(line)
        return _train(session, run, scorer)


def _resume(
    request: TrainRequest, path: Path, given: JsonObject, progress: Progress
) -> TrainResult | None:
    """Resume a run, in the number of processes that this request names, or a race."""
    _refuse_network(path)
    for name in ("dry_run", "init_from", "cfg", "outdir"):
        if getattr(request, name):
            option = request.flags()[name]
            raise UserError(f"{option} is about a new run, --resume continues one: choose one")
    if race.is_race(path):
        return _race(path, request, given, progress)
    team = _team()
    if request.gpus > team.size:
        return _launch(request, extended(read_config(path), given, path))
    return _continue(path, given, team, require_exact=request.require_exact)


def _refuse_network(path: Path) -> None:
    """Weights to begin with are given to `--resume` by users of other programs.

    Raises:
        UserError: the path names a network, or none.
    """
    name = named(path)
    if name is not None:
        raise UserError(
            f"--resume {name}: is a network, --resume takes a run directory; --init-from "
            f"{name} starts a new run with its weights"
        )
    if path == Path("noresume"):
        raise UserError("--resume noresume: leave it out; new runs start with random weights")
    refuse_snapshot(path)


def _continue(
    path: Path, given: JsonObject, team: Team, *, require_exact: bool = False
) -> TrainResult | None:
    session, run = resume_session(path, given, require_exact=require_exact, team=team)
    with closing(run):
        with team.barrier():  # held-out images may take longer to read than the others wait
            scorer = snapshot_scorer(session) if team.is_main else None
        for line in () if scorer is None else scorer.lines():
            run.log(line)
        return _train(session, run, scorer)


def _train(
    session: Session, run: RunDirectory, scorer: SnapshotScorer | None
) -> TrainResult | None:
    Trainer(session, run, on_snapshot=scorer).train()
    if session.team.size > 1 and session.team.is_main:
        report_result(str(run.path))
    return _result(run.path) if session.team.is_main else None  # others may not see the folder


def _result(run: Path) -> TrainResult:
    found = list_snapshots(run)
    if not found:
        return TrainResult(run, None, 0)
    return TrainResult(run, best_of(found), int(read_document(found[-1])["images_seen"]))


def _team() -> Team:
    team = init_team()
    if team.size > 1 and team.is_main:
        report_leader()
    return team


def _before_restart(outdir: Path, team: Team) -> Path | None:
    """The run to resume, where torchrun had to start these processes again."""
    key = launch_id() if team.is_main and restarted() else None
    found = None if key is None else find_launched(outdir, key)
    path = team.broadcast_object(None if found is None else str(found))
    return None if path is None else Path(path)


def _introduction(session: Session, scorer: SnapshotScorer | None) -> Iterator[str]:
    """Lines on the images, the networks and the measures of a run."""
    config, data = session.config, session.rows
    yield f"data: {len(data.rows)} images of {len(data.groups)} groups, {session.spec.describe()}"
    if data.archive.info.classes and not config.data.cond:
        yield (
            "note: the archive has classes, which an unconditional model does not use; --cond "
            "gives them to the networks"
        )
    if data.masks:
        yield (
            f"note: {data.masks} of the images have masks, in {MASKS}/ of "
            f"{data.archive.path}; training does not use them"
        )
    counts = ", ".join(f"{name} {n:,}" for name, n in parameter_counts(session).items())
    yield f"parameters: {counts}; device {config.device}, precision {config.precision}"
    yield from _stages(session)
    yield from (f"note: {n}" for n in training_notes(data.rows, conditional=config.data.cond))
    if scorer is None and config.metrics.measures:
        yield f"nothing is measured: {LABEL_VECTORS}"
    yield from () if scorer is None else scorer.lines()


def _stages(session: Session) -> Iterator[str]:
    """The sizes that a run grows through, and whether it comes to the last of them."""
    model, spec, training = session.config.model, session.spec, session.config.training
    starts = session.family.stage_starts(model, spec)
    if len(starts) == 1:
        return
    stages = [(start / 1000, session.family.schedule(model, spec, start)) for start in starts]
    shown = (f"{s.resolution} from {k:g} ({training.batch * s.batch_scale})" for k, s in stages)
    yield f"longer side from kimg (images a step): {', '.join(shown)}"
    lengths = zip(stages, starts[1:], starts, strict=False)
    short = [
        f"{stage.resolution}"
        for (_, stage), end, start in lengths
        if end - start < 2 * training.batch * stage.batch_scale
    ]
    if short:
        yield (
            f"note: stages of {', '.join(short)} are shorter than two steps, so layers come in "
            "suddenly or late: take longer stages, or a smaller --batch"
        )
    last, stage = stages[-1]
    if training.kimg <= last:
        yield (
            f"note: training ends before images of {stage.resolution} are made, at {last:g} kimg: "
            f"take more than --kimg {training.kimg:g}, or shorter stages"
        )


def _dry_run(config: RunConfig, data: ArchiveRows, source: Snapshot | None, log: Log) -> None:
    """Validate everything and log what would happen, every part of a step measured; write nothing
    but the cache.
    """
    transferred: list[str] = []
    session = make_session(
        config, data, source, lambda report: transferred.extend(report.lines(full=True))
    )
    scorer = snapshot_scorer(session)
    tree = json.dumps(config.tree(), indent=2)
    for line in (tree, *transferred, *_introduction(session, scorer), "measuring ..."):
        log(line)
    measured = bounded_estimate(config, data, DRY_SECONDS)
    if scorer is not None and measured.narrow == 1:
        seconds, every = scorer.seconds(session), config.training.tick_kimg * config.training.snap
        count = max(round(config.training.kimg / every), 1)
        log(
            f"measured: {duration(seconds)} for the measures of a snapshot, so {count} of them "
            f"take about {duration(count * seconds)}"
        )
    log(f"{describe_estimate(config, measured)}. Nothing was created.")
