"""A race of presets: each trains for the same short time, and the better one goes on.

The preset that is best for one kind of images is not for another. Held-out images decide, by
features that learned from no photographs and that no discriminator uses.
"""

import functools
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from synthograph.archive.batches import ArchiveRows, ImageSet
from synthograph.core.config import flatten, merge, parse_assignments, read_tree
from synthograph.core.console import say
from synthograph.core.devices import is_gpu, synchronise
from synthograph.core.errors import (
    DivergedError,
    ExitCode,
    ProcessesError,
    StoppedError,
    UserError,
)
from synthograph.core.files import disk_errors
from synthograph.core.progress import Progress
from synthograph.core.signals import StopRequest
from synthograph.core.untrusted.documents import JsonObject
from synthograph.features.base import MissingWeightsError
from synthograph.features.packaged import RANDOM
from synthograph.metrics.report_text import number
from synthograph.models.published import AFRESH, PHANTOMS
from synthograph.models.registry import RACES, family_of_preset
from synthograph.models.snapshot_files import list_snapshots
from synthograph.results.race import Candidate, Race, RaceScore
from synthograph.training.config import MetricsConfig, RunConfig, TrainRequest, option_of
from synthograph.training.loop import duration
from synthograph.training.resume import CHANGEABLE
from synthograph.training.run import CONFIG, numbered_folder, read_config
from synthograph.training.session import Session
from synthograph.training.setup import make_session, open_data
from synthograph.training.trackers import is_strange, unfollowed_note
from synthograph.workflows.snapshot_scores import (
    LABEL_VECTORS,
    SnapshotScorer,
    entry_text,
    refuse_unfit,
    snapshot_scorer,
)

RACE = "race.json"
MEASURES = DISTANCE, COVERAGE, RECALL = "frechet", "coverage", "recall"
LEAST_COVERAGE = 0.8
"""Share of the best coverage that a winner needs: good images that are all alike must not win.

Recall is told, and decides nothing: noisy images of a short training have a high one. After the
same time `auto` had a recall of 0.50 and images that were noise, `tiny` 0.33 and blurred cells
(docs/results/short.md); coverage was 0.22 and 0.76. Source: Naeem et al. 2020, section 3.
"""
SECONDS = 300.0
"""Longest training of a candidate in the race."""
SHARE = 0.5
"""Largest share of its whole training that a candidate has in the race. After a quarter of it ranks
still turn: on cells `tiny-projected` was behind `tiny` of then at 77 seconds, before it at 132.
"""
TIMED, STEPS = 8.0, 16
"""Seconds to time a candidate, at most about; and steps, with every phase of them."""
OUT = "its training diverged"
KIMG = "training.kimg"

Train = Callable[[TrainRequest], Path]
"""Begins or resumes a run and returns its directory."""
Resolve = Callable[[TrainRequest], tuple[RunConfig, ArchiveRows]]
"""The configuration of a new run, and its images."""


@dataclass(frozen=True)
class _Entrant:
    """A candidate before the race.

    Attributes:
        reference: held-out images.
        rate: seconds for a thousand images.
        init_from: see `Candidate`.
    """

    preset: str
    config: RunConfig
    data: ArchiveRows
    reference: ImageSet
    rate: float
    init_from: str | None

    @property
    def whole(self) -> float:
        """Seconds of its whole training."""
        return self.rate * self.config.training.kimg

    def candidate(self, seconds: float) -> Candidate:
        """The candidate that trains for so long, in whole steps."""
        training = self.config.training
        steps = max(round(seconds / self.rate * 1000 / training.batch), 1)
        kimg = min(steps * training.batch / 1000, training.kimg)
        return Candidate(
            preset=self.preset,
            kimg=kimg,
            whole=training.kimg,
            seconds=seconds,
            init_from=self.init_from,
        )


def is_race(folder: Path) -> bool:
    """Whether a folder is that of a race."""
    with disk_errors(folder):
        return (folder / RACE).is_file()


def begun(outdir: Path) -> list[Path]:
    """Runs and races of a folder of runs, the oldest first."""
    return sorted({path.parent for name in (CONFIG, RACE) for path in outdir.glob(f"*/{name}")})


def plan(
    request: TrainRequest,
    resolve: Resolve,
    progress: Progress,
    *,
    judge: str = RANDOM,
    start_family: str | None = None,
) -> Path | None:
    """Plan a race and make its folder; None for a dry run.

    Args:
        request: of the training.
        resolve: see `Resolve`.
        progress: who listens.
        judge: the extractor that decides; one that no discriminator uses unless given.
        start_family: of the network that `request` starts from; presets of other families begin
            with random weights.

    Raises:
        UserError: no images are held out that could decide, a setting that a candidate lacks, or no
            preset of the family to start from.
    """
    assert request.cfg is not None, "it names the race"
    entrants, left_out, starting = [], list[str](), _starting(request, start_family)
    for preset in RACES[request.cfg]:
        init_from = request.init_from if preset in starting else AFRESH
        try:
            entrants.append(_entrant(request, preset, init_from, resolve, judge))
        except MissingWeightsError as error:
            left_out.append(f"{preset} takes no part: {error}")
    if not entrants:
        raise UserError(f"--cfg {request.cfg}: {'; '.join(left_out)}")
    seconds = min(SECONDS, *(SHARE * each.whole for each in entrants))
    config, data = entrants[0].config, entrants[0].data
    whole = request.model_copy(update={"config": request.config and request.config.resolve()})
    left = {"dry_run", "outdir", "init_from"}
    kept = whole.model_dump(mode="json", exclude_defaults=True, exclude=left)
    race = Race(
        preset=request.cfg,
        request=kept | {"data": str(data.archive.path.resolve())},
        extractor=judge,
        reference=entrants[0].reference.name,
        images=entrants[0].reference.count,
        candidates=tuple(each.candidate(seconds) for each in entrants),
        left_out=tuple(left_out),
    )
    for line in describe(race):
        progress.log(line)
    if request.dry_run:
        return None
    name = f"{data.archive.name}{'-cond' if config.data.cond else ''}-{request.cfg}"
    outdir = request.outdir or Path("runs")
    return numbered_folder(outdir, name, lambda folder: race.save(folder / RACE))


def _starting(request: TrainRequest, start_family: str | None) -> list[str]:
    """Presets that begin with the weights to start from.

    Raises:
        UserError: none is of their family.
    """
    assert request.cfg is not None, "it names the race"
    families = {preset: family_of_preset(preset).name for preset in RACES[request.cfg]}
    found = [preset for preset, family in families.items() if family == start_family]
    if start_family is not None and not found:
        raise UserError(
            f"--init-from {request.init_from} is of the family {start_family}, of which "
            f"--cfg {request.cfg} tries no preset: choose one of that family with --cfg"
        )
    return found


def _entrant(
    request: TrainRequest, preset: str, init_from: str | None, resolve: Resolve, judge: str
) -> _Entrant:
    """A candidate, timed.

    Raises:
        UserError: see `plan`.
    """
    config, data = resolve(request.model_copy(update={"cfg": preset, "init_from": init_from}))
    refuse_unfit(judge, data.archive.info.spec, MEASURES)
    scorer = _scorer(config, data, judge)
    if scorer is None or scorer.reference is None:
        why = "" if scorer is None else "; ".join(scorer.notes)
        raise UserError(
            f"--cfg {request.cfg} chooses by held-out images: {why or LABEL_VECTORS}; or choose "
            f"yourself, such as --cfg {preset}"
        )
    rate = _seconds_per_kimg(make_session(config, data))
    return _Entrant(preset, config, data, scorer.reference.images, rate, init_from)


def _seconds_per_kimg(session: Session) -> float:
    """Seconds for a thousand images over all stages of a run, by steps whose weights are thrown
    away. On a processor it is the processor's time, so that other work does not make the race
    unfair.
    """
    starts = session.family.stage_starts(session.config.model, session.spec)
    whole, progress, seconds = session.config.training.images, session.state.progress, 0.0
    begun = [start for start in starts if start < whole]
    for start, end in zip(begun, [*begun[1:], whole], strict=True):
        size = 0
        for step in range(STEPS + 1):
            progress.images = start  # stay in the stage
            session.step()
            size += progress.images - start
            if not step:  # the first one is slower
                size, before = 0, _clock(session.device)
            taken = _clock(session.device) - before
            if taken > TIMED / len(begun):
                break
        seconds += taken / size * (end - start)
    return seconds / whole * 1000


def _clock(device: torch.device) -> float:
    """Seconds that have passed: for a GPU by the clock, for a processor those of a thread."""
    if is_gpu(device):
        synchronise(device)
        return time.perf_counter()
    return time.process_time() / torch.get_num_threads()


def _scorer(config: RunConfig, data: ArchiveRows, extractor: str) -> SnapshotScorer | None:
    """What measures a run's snapshots for the race."""
    metrics = MetricsConfig(measures=[*MEASURES], features=extractor, num=config.metrics.num)
    return snapshot_scorer(make_session(config.model_copy(update={"metrics": metrics}), data))


def run(
    folder: Path,
    asked: TrainRequest,
    train: Train,
    progress: Progress,
    *,
    given: JsonObject | None = None,
) -> Path:
    """Race, or go on with a race, and train the winner to its end.

    Args:
        folder: of the race.
        asked: what a resumed run may be asked, such as --device.
        train: see `Train`.
        progress: who listens.
        given: settings that `asked` gives in whatever way, a configuration tree; its kimg are
            those of the winner.

    Returns:
        The winner's run directory.

    Raises:
        UserError: a candidate's images could not be measured, or a setting that cannot change.
        DivergedError: the trainings of all candidates diverged.
        StoppedError: the same command with --resume goes on.
    """
    race, changes = _load(folder / RACE), flatten(given or {})
    if not all(one.scores or one.out or begun(folder / one.preset) for one in race.candidates):
        _changed(race.request, changes)  # refused before the others go on
    for one in race.candidates:
        if not (one.scores or one.out):
            progress.log(f"race: {one.preset} trains for {one.kimg:g} kimg")
            try:
                scores = _measured(
                    _trained(folder, race, one, asked, changes, train), race.extractor
                )
                race = race.scored(one.preset, scores)
                progress.log(f"race: {one.preset}: {', '.join(map(entry_text, scores))}")
            except (DivergedError, ProcessesError) as error:
                if error.exit_code is not ExitCode.DIVERGED:
                    raise
                race = race.left(one.preset, OUT)
                progress.log(f"race: {one.preset} is out: {OUT}: {error}")
            race.save(folder / RACE)
    if race.winner is None:
        race = decide(race)
        race.save(folder / RACE)
    for line in race.reasons:
        progress.log(line)
    (winner,) = (one for one in race.candidates if one.preset == race.winner)
    run = begun(folder / winner.preset)[-1]
    kimg = changes.get(KIMG)
    if kimg is None:  # it may have been extended before
        kimg = max(winner.whole, read_config(run).training.kimg)
    return train(asked.model_copy(update={"resume": run, "kimg": kimg}))


def _load(path: Path) -> Race:
    """The record of a race.

    Raises:
        UserError: it cannot be read, or names folders that are not its own.
    """
    race = Race.load(path)
    names = [one.preset for one in race.candidates]
    odd = [name for name in names if name != Path(name).name or name == ".."]
    if odd or race.winner not in (None, *names):
        raise UserError(f"{path}: {odd or race.winner} is no preset of this race; start a new one")
    return race


def _trained(
    folder: Path,
    race: Race,
    one: Candidate,
    asked: TrainRequest,
    changes: JsonObject,
    train: Train,
) -> Path:
    """The run of a candidate, trained for the race.

    Raises:
        StoppedError: the race can be resumed.
        UserError: see `_changed`.
    """
    place = folder / one.preset
    runs = begun(place)
    if runs:
        leg = asked.model_copy(update={"resume": runs[-1], "kimg": one.kimg})
    else:
        own = {"cfg": one.preset, "kimg": one.kimg, "outdir": place, "init_from": one.init_from}
        request = _changed(_followed(race.request, asked), changes)
        own |= {"gpus": asked.gpus} if "gpus" in asked.model_fields_set else {}
        leg = TrainRequest.parse({**request, **own})
    try:
        with StopRequest("the training stops at its next step") as stop:
            run = train(leg)
        stop.heed()
    except StoppedError as error:
        way = f"Continue with: synthograph train --resume {folder}"
        raise error.within("a race of presets", way) from None
    return run


def _changed(request: JsonObject, changes: JsonObject) -> JsonObject:
    """The request of a race with what may change where it is resumed.

    Args:
        request: of the race.
        changes: dotted path of a setting -> its new value.

    Raises:
        UserError: a setting cannot change.
    """
    held = TrainRequest.parse(request)
    file = {} if held.config is None else read_tree(held.config)
    parts = (parse_assignments(held.settings), held.setting_tree())
    before = flatten(functools.reduce(merge, parts, file))
    same = {path for path in changes if path in before and before[path] == changes[path]}
    new = {path: x for path, x in changes.items() if path not in same and x != {}}
    odd = sorted(new.keys() - CHANGEABLE)
    if odd:
        raise UserError(
            f"{option_of(odd[0]) or odd[0]} cannot change when a race goes on: leave it out, or "
            "start a new race with it"
        )
    new.pop(KIMG, None)
    options = {(option_of(path) or "").removeprefix("--").replace("-", "_") for path in new}
    kept = {name: value for name, value in request.items() if name not in options}
    settings = [f"{path}={json.dumps(value)}" for path, value in new.items()]
    return {**kept, "settings": [*request.get("settings", ()), *settings]}


def _followed(request: JsonObject, asked: TrainRequest) -> JsonObject:
    """The request of a race, without a server that only its record names, which is said."""
    address = request.get("tracking_uri")
    if not is_strange(address, asked.model_dump().get("tracking_uri")):
        return request
    say(unfollowed_note(address))
    left_out = ("tracking_uri", "tracker", "experiment", "tracking_parent")
    return {name: value for name, value in request.items() if name not in left_out}


def _measured(run: Path, extractor: str) -> list[RaceScore]:
    """Scores of a run's last snapshot.

    Raises:
        UserError: it could not be measured.
    """
    config, path = read_config(run), list_snapshots(run)[-1]
    scorer = _scorer(config, open_data(config), extractor)
    assert scorer is not None, "there was one when the race was planned"
    found = scorer(path, config.training.images)
    if not found.scores:
        raise UserError(f"{path}: {'; '.join(found.log_lines)}; choose a preset with --cfg")
    return [
        RaceScore(name=one.name, value=one.value, interval=one.interval) for one in found.scores
    ]


def decide(race: Race) -> Race:
    """With the winner and the reasons: the smallest distance among candidates that have most of the
    best coverage.

    Raises:
        UserError: nothing could be measured.
        DivergedError: all trainings diverged.
    """
    if all(one.out for one in race.candidates):
        names = ", ".join(one.preset for one in race.candidates)
        raise DivergedError(f"the race could not be decided, the trainings of {names} diverged")
    given = {one.preset: one.value(DISTANCE) for one in race.candidates}
    distances = {name: value for name, value in given.items() if value is not None}
    if not distances:
        raise UserError("the race could not be decided: nothing was measured; choose a preset")
    covered = {
        one.preset: one.value(COVERAGE) or 0.0 for one in race.candidates if one.preset in distances
    }
    best = max(covered.values())
    admitted = {
        name: value for name, value in distances.items() if covered[name] >= LEAST_COVERAGE * best
    }
    winner = min(admitted, key=lambda name: admitted[name])
    refused = [
        f"{one.preset} is out: {one.out or f'{DISTANCE} has no value'}"
        for one in race.candidates
        if one.preset not in distances
    ]
    refused += [
        f"{name} is out: coverage {covered[name]:.2g} is less than {LEAST_COVERAGE:g} of {best:.2g}"
        for name in distances
        if name not in admitted
    ]
    why = (
        f"{winner} goes on: {DISTANCE} {number(admitted[winner])} by {race.extractor} is the "
        f"smallest, with coverage {covered[winner]:.2g}"
    )
    early = ["no real image is covered yet, so the race was too short to tell: give more --kimg"]
    reasons = (*refused, why, *_overlap(race, winner), *([] if best else early))
    return race.replace(winner=winner, reasons=reasons)


def _overlap(race: Race, winner: str) -> Iterator[str]:
    """A line where chance may have decided."""
    ends = {
        one.preset: score.interval
        for one in race.candidates
        for score in one.scores
        if score.name == DISTANCE and score.interval is not None
    }
    won = ends.get(winner)
    for name, other in ends.items():
        if name != winner and won is not None and other.low <= won.high:
            yield f"intervals of {winner} and {name} overlap, so chance may have decided"


def describe(race: Race) -> Iterator[str]:
    """What will be raced, and what decides."""
    yield from race.left_out
    each = ", ".join(
        f"{one.preset} {one.kimg:g} kimg{_start_text(one.init_from)}" for one in race.candidates
    )
    yield (
        f"race: {each}, about {duration(race.candidates[0].seconds)} each; then the one goes on "
        f"whose {DISTANCE} by {race.extractor} of {race.images} images of {race.reference} is the "
        f"smallest, if its coverage is at least {LEAST_COVERAGE:g} of the best"
    )
    for one in race.candidates:
        yield f"the whole training of {one.preset} would be {one.whole:g} kimg"
    if any(one.init_from in PHANTOMS for one in race.candidates):
        yield f"phantoms are drawn test objects; --init-from {AFRESH} trains from random weights"


def _start_text(init_from: str | None) -> str:
    return "" if init_from in (None, AFRESH) else f" from {init_from}"
