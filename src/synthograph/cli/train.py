"""`synthograph train`: a new run, a dry run, or a resumed one."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synthograph.cli.verbs import spelled_out

if TYPE_CHECKING:
    from synthograph.models.snapshot import Snapshot
    from synthograph.models.transfer import TransferReport
    from synthograph.training.config import RunConfig
    from synthograph.training.distributed import Team
    from synthograph.training.session import Session
    from synthograph.training.setup import Data
    from synthograph.workflows.snapshot_scores import SnapshotScorer


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `synthograph train` can be asked."""

    data: Annotated[Path | None, typer.Option(help="archive to train on")] = None
    outdir: Annotated[
        Path | None, typer.Option(help="folder of run directories, runs unless given")
    ] = None
    cfg: Annotated[str | None, typer.Option(help="preset, auto unless given")] = None
    cond: Annotated[bool, typer.Option("--cond", help="tell the networks the labels")] = False
    kimg: Annotated[float | None, typer.Option(help="thousands of real images to show")] = None
    batch: Annotated[int | None, typer.Option(help="images per step")] = None
    batch_gpu: Annotated[int | None, typer.Option(help="images computed at once")] = None
    gamma: Annotated[float | None, typer.Option(help="weight of the R1 penalty")] = None
    seed: Annotated[int | None, typer.Option(help="seed of everything random")] = None
    snap: Annotated[int | None, typer.Option(help="ticks between snapshots")] = None
    subset: Annotated[int | None, typer.Option(help="train on so many images")] = None
    mirror: Annotated[bool, typer.Option("--mirror", help="use flipped images too")] = False
    split: Annotated[str | None, typer.Option(help="split to train on")] = None
    fold: Annotated[int | None, typer.Option(help="fold to leave out")] = None
    aug: Annotated[str | None, typer.Option(help="ada, fixed or noaug")] = None
    p: Annotated[float | None, typer.Option(help="strength of fixed augmentation")] = None
    target: Annotated[float | None, typer.Option(help="target of adaptive augmentation")] = None
    augpipe: Annotated[
        str | None, typer.Option(help="blit, geom, color, ..., bg, bgc ... bgcfnc")
    ] = None
    freezed: Annotated[
        int | None, typer.Option(help="first discriminator layers that stay as they are")
    ] = None
    metrics: Annotated[
        str | None,
        typer.Option(
            help="measured at every snapshot: frechet,kernel,recall,coverage unless given; or none"
        ),
    ] = None
    metric_num: Annotated[
        int | None,
        typer.Option(help="generated images that are measured, 500 to 2000 unless given"),
    ] = None
    features: Annotated[
        str | None, typer.Option(help="extractor of measures, random-vgg16 unless given")
    ] = None
    patience: Annotated[
        int | None, typer.Option(help="end after so many snapshots without a better one")
    ] = None
    gpus: Annotated[
        int, typer.Option(min=1, help="processes that train together, one per GPU (or CPU share)")
    ] = 1
    device: Annotated[str | None, typer.Option(help="auto, cpu, cuda or cuda:N")] = None
    precision: Annotated[str | None, typer.Option(help="auto, fp32 or bf16")] = None
    threads: Annotated[
        int | None,
        typer.Option(help="processor threads of a process; a resumed run keeps its own"),
    ] = None
    save_every: Annotated[float | None, typer.Option(help="minutes between states")] = None
    max_hours: Annotated[float | None, typer.Option(help="stop, resumable, after so long")] = None
    config: Annotated[Path | None, typer.Option(help="YAML or JSON of the same tree")] = None
    settings: Annotated[
        list[str] | None, typer.Option("--set", help="any setting as a.b=value")
    ] = None
    init_from: Annotated[
        str | None,
        typer.Option(help="start with the weights of a snapshot: file, run, https URL or name"),
    ] = None
    resume: Annotated[Path | None, typer.Option(help="run directory to go on with")] = None
    require_exact: Annotated[
        bool, typer.Option("--require-exact", help="resume only if bit for bit the same")
    ] = False
    dry_run: Annotated[
        bool, typer.Option("-n", "--dry-run", help="check and print everything, create nothing")
    ] = False


@spelled_out
def train(options: Options) -> None:
    """Train a generator on an archive, or go on with a run that was stopped."""
    from synthograph.cli.settings import setting_names
    from synthograph.core.config import calling, merge, parse_assignments, read_tree
    from synthograph.core.errors import UserError
    from synthograph.core.files import refuse_unwritable_folder
    from synthograph.training.config import RunConfig
    from synthograph.training.distributed import init_team
    from synthograph.workflows.processes import launch

    given = _given(options)
    sets = parse_assignments(options.settings or [])
    file = read_tree(options.config) if options.config is not None else {}
    with calling(setting_names(given, sets, file, options.config)):
        parts = [file, sets, _tree(given)]
        for part in parts:
            RunConfig.check_sections(part)
        if options.resume is not None:
            _refuse_beside_resume(options)
            asked = merge(merge(file, sets), parts[2])
            _resume(options.resume, asked, options.gpus, require_exact=options.require_exact)
            return
        if options.require_exact:
            raise UserError("--require-exact is about going on with a run: give it with --resume")
        source = None if options.init_from is None else _source(options.init_from)
        preset, outdir = options.cfg or "auto", options.outdir or Path("runs")
        team = init_team()
        run_config = _resolve(preset, parts, source, max(options.gpus, team.size))
        if options.dry_run:
            _dry_run(run_config, source, outdir)
        elif options.gpus > team.size:
            _check_processes(run_config, options.gpus)
            refuse_unwritable_folder(outdir)
            raise typer.Exit(launch(options.gpus))
        else:
            start_run(run_config, outdir, preset, source, team)


def _given(options: Options) -> dict[str, Any]:
    """Settings to the values of the options that were typed."""
    from synthograph.cli.settings import TRAIN_OPTIONS

    read: dict[str, Callable[[Any], Any]] = {
        "data": str,
        "aug": lambda mode: "none" if mode == "noaug" else mode,
        "augpipe": _bundle,
        "metrics": _names,
    }
    given = {}
    for setting, name in TRAIN_OPTIONS.items():
        value = getattr(options, name)
        if value is not None and value is not False:
            given[setting] = read[name](value) if name in read else value
    return given


def _refuse_beside_resume(options: Options) -> None:
    from synthograph.core.errors import UserError

    new = {
        "--dry-run": options.dry_run,
        "--init-from": options.init_from,
        "--cfg": options.cfg,
        "--outdir": options.outdir,
    }
    for name, value in new.items():
        if value:
            raise UserError(f"{name} is about a new run, --resume goes on with one: choose one")


def _source(named: str) -> "Snapshot":
    """The snapshot to start from, downloaded if it is not here, with its licence told."""
    from synthograph.cli.progress import tracker
    from synthograph.models.published import licence, locate
    from synthograph.models.snapshot import find_snapshot, load

    note = licence(named)
    if note is not None:
        typer.echo(f"note: {note}")
    return load(find_snapshot(locate(named, track=tracker("downloading"))))


def _names(listed: str) -> list[str]:
    """Names with commas between; `none` for none."""
    return [name for part in listed.split(",") if (name := part.strip()) and name != "none"]


def _bundle(name: str) -> dict[str, float]:
    """Multipliers of a published bundle: 1 for its operations, 0 for the others."""
    from synthograph.core.errors import UserError
    from synthograph.core.names import nearest
    from synthograph.ops.operations import BUNDLES, OPERATIONS

    if name not in BUNDLES:
        raise UserError(f"--augpipe {name!r} is unknown: {nearest(name, BUNDLES)}")
    return {operation: float(operation in BUNDLES[name]) for operation in OPERATIONS}


def _tree(flags: dict[str, Any]) -> dict[str, Any]:
    from synthograph.core.config import set_path

    tree: dict[str, Any] = {}
    for path, value in flags.items():
        tree = set_path(tree, path, value)
    return tree


def _check_processes(config: "RunConfig", processes: int) -> None:
    """Refuse a number of processes that the batch or the machine does not allow, before they are
    started.
    """
    import torch

    from synthograph.core.errors import UserError
    from synthograph.training.distributed import rank_slices

    rank_slices(config.training.batch, min(config.group, config.training.batch_gpu), processes)
    if config.device.startswith("cuda") and torch.cuda.device_count() < processes:
        raise UserError(
            f"--gpus {processes}: this machine has {torch.cuda.device_count()} GPUs; use as many, "
            "or --device cpu"
        )


def _resolve(
    preset: str, parts: list[dict[str, Any]], source: "Snapshot | None", processes: int
) -> "RunConfig":
    from synthograph.archive.reader import open_archive
    from synthograph.core.config import merge
    from synthograph.core.errors import UserError
    from synthograph.models.registry import family
    from synthograph.models.transfer import defaults
    from synthograph.training.setup import resolve_run
    from synthograph.workflows.snapshot_scores import check_measures

    asked: dict[str, Any] = {}
    for part in parts:
        asked = merge(asked, part)
    path = asked.get("data", {}).get("path")
    if path is None:
        raise UserError("which images? give an archive with --data, or a run with --resume")
    below = [] if source is None else [defaults(source)]
    archive = open_archive(Path(path))
    config, left_out = resolve_run(archive, preset, [*below, asked], processes=processes)
    check_measures(config, archive)
    note = family(config.model.family).preset_note(preset, archive.info.spec)
    if note is not None:
        typer.echo(f"note: {note}")
    if left_out:
        typer.echo(
            f"note: augmentation without {', '.join(left_out)}: "
            f"they would change what these images mean (see their invariances)"
        )
    return config


def start_run(
    config: "RunConfig",
    outdir: Path,
    preset: str,
    source: "Snapshot | None" = None,
    team: "Team | None" = None,
) -> Path:
    """Make a run directory and train in it, with fresh weights or those of a snapshot.

    Args:
        config: resolved.
        outdir: folder of run directories.
        preset: name of the preset, for the name of the run.
        source: snapshot to start from.
        team: the processes that train together; None for this one alone.

    Returns:
        The run directory.
    """
    from synthograph.core.commands import command_line
    from synthograph.core.files import refuse_unwritable_folder
    from synthograph.training.distributed import Team, broadcast_state
    from synthograph.training.loop import Trainer
    from synthograph.training.run import join_run
    from synthograph.training.setup import make_session, open_data
    from synthograph.workflows.snapshot_scores import snapshot_scorer

    refuse_unwritable_folder(outdir)
    team = team or Team()
    before = _before_restart(outdir, team)
    if before is not None:
        return _continue(before, {}, team)
    data = open_data(config)
    reports: list[TransferReport] = []
    session = make_session(config, data, source, reports.append, team)
    kind = f"{data.archive.name}{'-cond' if config.data.cond else ''}-{preset}"
    run = join_run(outdir, config, kind, team, origin=session.info.initialised_from)
    broadcast_state(team, session.state)
    run.log(f"{command_line()}")
    for line in (line for report in reports for line in report.lines()):
        run.log(line)
    scorer = snapshot_scorer(session, data) if team.is_main else None
    _introduce(config, session, data, scorer, run.log)
    Trainer(session, run, on_snapshot=scorer).train()
    run.close()
    return run.path


def _introduce(
    config: "RunConfig",
    session: "Session",
    data: "Data",
    scorer: "SnapshotScorer | None",
    say: Callable[[str], None],
) -> None:
    """What trains on what, and what is measured, in a few lines."""
    from synthograph.archive.advice import training_notes
    from synthograph.training.setup import parameter_counts
    from synthograph.workflows.snapshot_scores import LABEL_VECTORS

    say(f"data: {len(data.rows)} images of {len(data.groups)} groups, {session.spec.describe()}")
    if data.archive.info.classes and not config.data.cond:
        say(
            "note: the archive has classes, which an unconditional model does not use; --cond "
            "tells them"
        )
    counts = ", ".join(f"{name} {n:,}" for name, n in parameter_counts(session).items())
    say(f"parameters: {counts}; device {config.device}, precision {config.precision}")
    for note in training_notes(data.rows, conditional=config.data.cond):
        say(f"note: {note}")
    if scorer is None and config.metrics.measures:
        say(f"nothing is measured: {LABEL_VECTORS}")
    for line in () if scorer is None else scorer.lines():
        say(line)


def _resume(path: Path, asked: dict[str, Any], gpus: int, *, require_exact: bool) -> None:
    """Go on with a run in as many processes as are asked for now, whatever they were before."""
    from synthograph.training.distributed import init_team
    from synthograph.training.resume import extended
    from synthograph.training.run import read_config
    from synthograph.workflows.processes import launch

    team = init_team()
    if gpus > team.size:
        _check_processes(extended(read_config(path), asked, path), gpus)
        raise typer.Exit(launch(gpus))
    _continue(path, asked, team, require_exact=require_exact)


def _continue(
    path: Path, asked: dict[str, Any], team: "Team", *, require_exact: bool = False
) -> Path:
    from synthograph.training.loop import Trainer
    from synthograph.training.resume import resume_session
    from synthograph.training.setup import open_data
    from synthograph.workflows.snapshot_scores import snapshot_scorer

    session, run = resume_session(path, asked, require_exact=require_exact, team=team)
    with team.barrier():  # held-out images may take longer to read than the others are patient
        scorer = snapshot_scorer(session, open_data(session.config)) if team.is_main else None
    for line in () if scorer is None else scorer.lines():
        run.log(line)
    Trainer(session, run, on_snapshot=scorer).train()
    run.close()
    return path


def _before_restart(outdir: Path, team: "Team") -> Path | None:
    """The run that these processes were in when torchrun had to start them again, if they were."""
    from synthograph.training.distributed import launch_id, restarted
    from synthograph.training.run import find_launched
    from synthograph.workflows.processes import report_leader

    found = None
    if team.is_main:
        report_leader()
        key = launch_id()
        found = find_launched(outdir, key) if restarted() and key is not None else None
    told = team.broadcast_object(None if found is None else str(found))
    return None if told is None else Path(told)


def _dry_run(config: "RunConfig", source: "Snapshot | None", outdir: Path) -> None:
    """Validate everything and say what would happen, every part of a step measured; write nothing
    but the cache.
    """
    import json

    from synthograph.core.files import refuse_unwritable_folder
    from synthograph.training.estimate import STRONG, estimate
    from synthograph.training.loop import duration, say_memory
    from synthograph.training.setup import make_session, open_data
    from synthograph.workflows.snapshot_scores import snapshot_scorer

    refuse_unwritable_folder(outdir)
    data = open_data(config)
    reports: list[TransferReport] = []
    session = make_session(config, data, source, reports.append)
    typer.echo(json.dumps(config.tree(), indent=2))
    for line in (line for report in reports for line in report.lines(full=True)):
        typer.echo(line)
    scorer = snapshot_scorer(session, data)
    _introduce(config, session, data, scorer, typer.echo)
    typer.echo("measuring ...")
    if scorer is not None:
        seconds, every = scorer.seconds(session), config.training.tick_kimg * config.training.snap
        count = max(round(config.training.kimg / every), 1)
        typer.echo(
            f"measured: {duration(seconds)} for the measures of a snapshot, so {count} of them "
            f"take about {duration(count * seconds)}"
        )
    measured, kimg = estimate(session), config.training.kimg
    line = (
        f"measured: {measured.sec_per_kimg:.2f} s/kimg, so {kimg:g} kimg take about "
        f"{duration(measured.sec_per_kimg * kimg)}"
    )
    if measured.augmented is not None:
        line += (
            f" ({measured.augmented:.2f} s/kimg and {duration(measured.augmented * kimg)} once "
            f"augmentation is at {STRONG})"
        )
    line += f"; memory {say_memory(session.device)}"
    if measured.images < config.training.batch:
        line += (
            f" with {measured.images} images at once, while a batch has {config.training.batch} "
            f"and shares of {config.training.batch_gpu}"
        )
    typer.echo(f"{line}. Nothing was created.")
