"""Evaluation of synthetic images against real ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from synthograph.archive.parts import Part
from synthograph.core.devices import Precision, pick_device
from synthograph.core.errors import SynthographError, UserError
from synthograph.core.files import (
    append_text,
    disk_errors,
    placed,
    refuse_output,
    refuse_unwritable,
)
from synthograph.core.progress import Progress, Tracks
from synthograph.core.request import Result, keeping
from synthograph.features import registry
from synthograph.features.base import ClassifyingExtractor, Extractor, MissingWeightsError
from synthograph.features.lpips import PerceptualDistance
from synthograph.features.packaged import RANDOM, default_extractors
from synthograph.features.registry import feature_folder, perceptual_distance
from synthograph.metrics import columns
from synthograph.metrics.evaluate import evaluate, keep_part
from synthograph.metrics.names import (
    EXTRACTOR_MEASURES,
    FEATURE_MEASURES,
    OWN,
    PROBABILITY_MEASURES,
    MeasureSelection,
    PathLength,
    parse_selection,
)
from synthograph.metrics.noise import NO_NOISE
from synthograph.metrics.paths import Sampling, Space, check_size
from synthograph.metrics.published import (
    measure_path_length,
    measure_published,
    published_columns,
)
from synthograph.metrics.report_text import table
from synthograph.metrics.sensitivity import check_counts, sensitivity_of
from synthograph.results.base import lines_of
from synthograph.results.diversity import NOISE_SHARE
from synthograph.results.evaluation import (
    AnyLine,
    Evaluation,
    Measurements,
    PublishedMeasure,
    SensitivityLine,
)
from synthograph.sampling.image_set import draw_labels
from synthograph.sampling.paths import Walk, check_walk, step_pairs
from synthograph.training.run import EVALUATIONS, METRICS
from synthograph.workflows.environment import here
from synthograph.workflows.evaluation_inputs import (
    EvaluationInputs,
    EvaluationSource,
    evaluation_inputs,
    open_source,
)
from synthograph.workflows.extractors import open_extractors
from synthograph.workflows.processes import in_parts
from synthograph.workflows.requests import EvaluateRequest
from synthograph.workflows.tables import table_lines


@dataclass(frozen=True, repr=False)
class EvaluateResult(Result):
    """All that was measured, and lines on the files that were written."""

    evaluation: Evaluation
    written: Sequence[str] = ()

    def lines(self) -> Iterator[str]:
        """All numbers, sensitivities, and what was written."""
        results = self.evaluation.results
        own = [line for line in results if isinstance(line, Measurements)]
        published = [line for line in results if isinstance(line, PublishedMeasure)]
        yield from table_lines(table(own[0] if own else Measurements(), published))
        for line in results:
            if isinstance(line, SensitivityLine):
                found = line.sensitivity.table()
                yield f"\nWhat {line.extractor} notices on these real images:\n\n{found}"
        yield from self.written


def run(request: EvaluateRequest, *, progress: Progress) -> EvaluateResult | None:
    """Evaluate synthetic images against real ones.

    Returns:
        What was found; None for a dry run, and where features of a part only were extracted.

    Raises:
        UserError: images that cannot be compared, a reference that was trained on, unknown names,
            nothing that could be measured.
    """
    part = None if request.part is None else Part.parse(request.part)
    refuse_output(request.out, "--out", file=True)
    if request.run is not None:
        _refuse_closed(request.run)
    plan = _plan(request, progress)
    for line in (*plan.inputs.lines, *plan.skipped):
        progress.log(line)
    if request.dry_run:
        return None
    if part is not None:
        count = _keep_part(plan, part, progress)
        progress.log(
            f"part {part}: features of {count} images are kept; the same command without --part "
            "takes them over"
        )
        return None
    if request.gpus > 1:
        in_parts(request.command_words(), request.command_line(), request.gpus)
    lines = list(_measured(request, plan, progress))
    about = plan.source.about
    evaluation = Evaluation(**about, skipped=tuple(plan.skipped), results=tuple(lines))
    written: list[str] = []
    result = EvaluateResult(evaluation, written)
    with keeping(result):
        for line in _write(request.run, evaluation, request.out):
            written.append(line)
    return result


def _refuse_closed(run: Path) -> None:
    """Refuse a run directory to which no results can be added, before they are made."""
    for path in (run / name for name in (EVALUATIONS, METRICS)):
        try:
            with disk_errors(path):
                if path.exists():
                    path.open("a").close()
                elif run.is_dir():
                    refuse_unwritable(path)
        except SynthographError as error:
            raise UserError(
                f"{error}: results of a run are added to {path.name}; name its snapshot with "
                "--network, and a file with --out"
            ) from None


@dataclass(frozen=True)
class _Plan:
    """Everything that is opened and checked before the long work begins.

    Attributes:
        source: what is evaluated, and against what.
        measures: what can be measured with the weights that are here.
        own: extractors of our own measures.
        extractors: all that can be had, by name.
        distances: of path lengths, by name.
        inputs: the sets of images.
        skipped: what cannot be measured, and why.
    """

    source: EvaluationSource
    measures: MeasureSelection
    own: Sequence[Extractor]
    extractors: Mapping[str, Extractor]
    distances: Mapping[str, PerceptualDistance]
    inputs: EvaluationInputs
    skipped: Sequence[str]


def _plan(request: EvaluateRequest, progress: Progress) -> _Plan:
    """Open everything, refuse what cannot be measured and what would be ignored."""
    requested = parse_selection(request.metrics)
    source = open_source(request, progress)
    _check_paths(source, requested.paths)
    distances, no_distances = _open_distances(requested.paths, request.device)
    for name in request.features:
        registry.check_name(name)
    _refuse_idle(request, requested)
    chosen = _chosen(request.features, requested)
    names = (*chosen, *(spec.extractor for spec in requested.published))
    extractors, missing = open_extractors(names, request.device, Precision(request.precision))
    own = [extractors[name] for name in chosen if name in extractors]
    skipped = [f"skipped: features {name}: {missing[name]}" for name in chosen if name in missing]
    skipped += [
        f"skipped: {spec.name}: {missing[spec.extractor]}"
        for spec in requested.published
        if spec.extractor in missing
    ]
    skipped += no_distances
    lacking, not_given = _not_given(requested, own)
    if source.snapshot is None or not source.snapshot.info.model.has_noise:
        lacking.add(NOISE_SHARE)
        if requested.own != OWN and NOISE_SHARE in requested.own:
            not_given.append(NO_NOISE)
    skipped += not_given
    measures = MeasureSelection(
        tuple(name for name in requested.own if name not in lacking),
        tuple(spec for spec in requested.published if spec.extractor in extractors),
        tuple(spec for spec in requested.paths if spec.distance in distances),
    )
    if not (measures.own or measures.published or measures.paths):
        weights = f"; or take --features {RANDOM} and measures of our own, which need no file"
        raise UserError(f"nothing can be measured: {'; '.join(skipped)}{weights * bool(missing)}")
    _refuse_ignored(request, measures)
    inputs = evaluation_inputs(source, measures)
    if request.sensitivity:
        if inputs.task is None or not own:
            raise UserError(
                "--sensitivity: goes with our own measures of features, such as frechet"
            )
        check_counts(inputs.task.real.count, inputs.task.real.group_count)
    return _Plan(source, measures, own, extractors, distances, inputs, skipped)


def _chosen(features: Sequence[str], requested: MeasureSelection) -> list[str]:
    """Names of the extractors for our own measures; none where no such measure uses features."""
    if not set(requested.own) & {*EXTRACTOR_MEASURES}:
        return []
    return list(dict.fromkeys(features or default_extractors()))


def _not_given(requested: MeasureSelection, own: Sequence[Extractor]) -> tuple[set[str], list[str]]:
    """Our own measures that none of these extractors gives, and lines on those that were named."""
    lacking = set() if own else {*FEATURE_MEASURES}
    if any(isinstance(each, ClassifyingExtractor) for each in own):
        return lacking, []
    named = () if requested.own == OWN else requested.own
    return lacking | {*PROBABILITY_MEASURES}, [
        f"skipped: {name}: belongs to the features of {', '.join(registry.classifying())}"
        for name in PROBABILITY_MEASURES
        if name in named
    ]


def _refuse_idle(request: EvaluateRequest, requested: MeasureSelection) -> None:
    """Refuse options of measures that nobody asked for."""
    if request.num is not None and not requested.own:
        raise UserError("--num is of measures of our own; names such as fid5k_full say how many")
    if request.features and not set(requested.own) & {*EXTRACTOR_MEASURES}:
        raise UserError(
            "--features has no effect: no measure that is asked for uses features that are chosen; "
            "leave it out, or name one in --metrics, such as frechet"
        )


def _refuse_ignored(request: EvaluateRequest, measures: MeasureSelection) -> None:
    """Refuse options that would have no effect."""
    if request.synthetic is not None and request.num is not None:
        raise UserError("--num is for images yet to be generated; --synthetic gives all of its own")
    if request.by and not measures.own:
        raise UserError("--by goes with measures of our own; name one in --metrics")


def _measured(request: EvaluateRequest, plan: _Plan, progress: Progress) -> Iterator[AnyLine]:
    """Published measures, path lengths, our own measures, and their sensitivity, in this order."""
    tracks, folder = progress.track, feature_folder()
    about = {**plan.source.about, "environment": here(request.device, request.gpus)}
    for spec, train, synthetic in plan.inputs.published:
        extractor = plan.extractors[spec.extractor]
        yield measure_published(
            spec, train, synthetic, extractor, folder=folder, tracks=tracks, seed=request.seed
        ).replace(**about)
    for path in plan.measures.paths:
        yield _path_length(plan.source, path, plan.distances[path.distance], tracks).replace(
            **about
        )
    task = plan.inputs.task
    if task is None:
        return
    found = evaluate(task, plan.own, folder=folder, tracks=tracks, notes=plan.inputs.notes)
    if found.entries:
        yield found.replace(**about)
    for one in plan.own if request.sensitivity else ():
        track = tracks("sensitivity")
        noticed = sensitivity_of(task.real, one, folder=folder, seed=request.seed, track=track)
        yield SensitivityLine(**about, extractor=one.name, sensitivity=noticed)


def _keep_part(plan: _Plan, part: Part, progress: Progress) -> int:
    """Extract one part of all features and keep it in the cache; returns its number of images."""
    folder, count = feature_folder(), 0
    if plan.inputs.task is not None:
        count = keep_part(plan.inputs.task, plan.own, part, folder=folder, tracks=progress.track)
    for spec, train, synthetic in plan.inputs.published:
        needed = published_columns(plan.extractors[spec.extractor], train.spec)
        for images in (train, synthetic):
            track = progress.track(f"part {part} of features of {images.name}")
            count += columns.keep_part(images, needed, part, folder=folder, track=track)
    return count


def _write(run: Path | None, evaluation: Evaluation, out: Path | None) -> Iterator[str]:
    """Write the file `--out`, and append to the run's `evaluations.jsonl` and `metrics.jsonl`;
    yields a line for each.
    """
    if out is not None:
        evaluation.save(placed(out))
        yield f"{out}"
    lines = evaluation.results
    published = [line for line in lines if isinstance(line, PublishedMeasure)]
    for name, added in ((EVALUATIONS, lines), (METRICS, published)):
        if run is not None and added:
            path = run / name
            append_text(path, lines_of(added))
            yield f"{path}: {len(added)} lines added"


def _open_distances(
    paths: Sequence[PathLength], device: str
) -> tuple[dict[str, PerceptualDistance], list[str]]:
    """The distances that path lengths need, by name, and a line for each without weights."""
    found, skipped = {}, []
    for spec in paths:
        try:
            found[spec.distance] = perceptual_distance(spec.distance, device=device)
        except MissingWeightsError as error:
            skipped.append(f"skipped: {spec.name}: {error}")
    return found, skipped


def _path_length(
    source: EvaluationSource, spec: PathLength, distance: PerceptualDistance, tracks: Tracks
) -> PublishedMeasure:
    """Measure a path length."""
    snapshot, request = source.snapshot, source.request
    assert snapshot is not None, "it was checked that there is a generator"
    walk = Walk(
        draw_labels(snapshot, source.train.rows, spec.count, request.seed),
        spherical=spec.variant.space is Space.Z,
        anywhere=spec.variant.sampling is Sampling.FULL,
        epsilon=spec.variant.epsilon,
        seed=request.seed,
        batch=request.batch,
        device=str(pick_device(request.device)),
    )
    return measure_path_length(
        spec,
        step_pairs(snapshot, walk),
        distance,
        snapshot.info.spec,
        origin={"snapshot": snapshot.sha256, "labels": "drawn from the training images"},
        batch=request.batch,
        tracks=tracks,
        seed=request.seed,
    )


def _check_paths(source: EvaluationSource, paths: Sequence[PathLength]) -> None:
    """Refuse path lengths where there is no generator to measure.

    Raises:
        UserError: there is no generator, or one without styles.
    """
    if not paths:
        return
    if source.snapshot is None:
        raise UserError(
            f"{paths[0].name}: is a measure of a generator, not of images; give --network or a run"
        )
    check_walk(source.snapshot, Walk(()))
    if source.snapshot.info.condition.classes and not source.train.rows:
        raise UserError(
            f"{paths[0].name}: takes labels from the images that the generator was trained on, and "
            f"{source.real.path.name} holds none of them; name that archive with --real"
        )
    images = source.snapshot.info.spec
    for spec in paths:
        check_size(spec.variant, images.height, images.width)
