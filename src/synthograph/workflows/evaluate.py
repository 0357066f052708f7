"""How good synthetic images are, measured by real ones."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from synthograph.archive.batches import ImageSet, with_mirrored
from synthograph.archive.parts import Part
from synthograph.core.devices import Precision, pick_device
from synthograph.core.errors import UserError
from synthograph.core.files import disk_errors, refuse_output
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.features import registry
from synthograph.features.base import ClassifyingExtractor, Extractor
from synthograph.features.lpips import PerceptualDistance
from synthograph.metrics import columns
from synthograph.metrics.evaluate import evaluate, keep_part
from synthograph.metrics.names import (
    FEATURE_MEASURES,
    OWN,
    SCORE,
    MeasureSelection,
    Published,
    parse_selection,
)
from synthograph.metrics.published import measure_published
from synthograph.metrics.report_text import table
from synthograph.metrics.sensitivity import check_counts, sensitivity_of
from synthograph.results.base import lines_of
from synthograph.results.evaluation import (
    Evaluation,
    Measurements,
    PublishedMeasure,
    ResultLine,
    SensitivityLine,
)
from synthograph.results.sensitivity import Sensitivity
from synthograph.training.run import EVALUATIONS, METRICS
from synthograph.workflows.evaluation_inputs import (
    EvaluationInputs,
    GenerationOptions,
    Source,
    evaluation_inputs,
    open_source,
)
from synthograph.workflows.extractors import feature_folder, open_extractors
from synthograph.workflows.path_lengths import check_paths, open_distances, path_lengths
from synthograph.workflows.processes import in_parts
from synthograph.workflows.requests import EvaluateRequest
from synthograph.workflows.tables import table_lines


@dataclass(frozen=True, repr=False)
class EvaluateResult(Result):
    """All that was measured.

    Attributes:
        report: measures of our own.
        published: measures under published names.
        sensitivity: what the measures of each extractor notice on the real images.
        skipped: what could not be measured, and why.
        written: lines on the files that were written.
    """

    report: Measurements = Measurements()
    published: Sequence[PublishedMeasure] = ()
    sensitivity: Mapping[str, Sensitivity] = field(default_factory=dict)
    skipped: Sequence[str] = ()
    written: Sequence[str] = ()

    def lines(self) -> Iterator[str]:
        """All numbers, sensitivities, and what was written."""
        yield from table_lines(table(self.report, self.published))
        for name, noticed in self.sensitivity.items():
            yield f"\nWhat {name} notices on these real images:\n\n{noticed.table()}"
        yield from self.written


def run(request: EvaluateRequest, *, progress: Progress) -> EvaluateResult | None:
    """Measure synthetic images by real ones.

    Args:
        request: what to measure, and by what.
        progress: who listens meanwhile.

    Returns:
        What was found; None for a dry run, and where features of a part only were extracted.

    Raises:
        UserError: images that cannot be compared, a reference that was trained on, unknown names,
            nothing that could be measured.
    """
    part = None if request.part is None else Part.parse(request.part)
    refuse_output(request.out, "--out")
    plan = _plan(request)
    for line in (*plan.inputs.lines(), *plan.skipped):
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
    result = EvaluateResult(
        _own(plan, progress),
        list(_published(plan, progress)),
        _sensitivity(plan, progress) if request.sensitivity else {},
        plan.skipped,
    )
    return replace(result, written=list(_write(plan.source, result, request.out)))


@dataclass(frozen=True)
class _Plan:
    """All that is opened, and checked, before it takes time.

    Attributes:
        source: what is evaluated, and against what.
        generation: how images are generated.
        measures: what can be measured with the weights that are here.
        own: extractors of our own measures.
        extractors: all that can be had, by name.
        distances: of path lengths, by name.
        inputs: the sets of images.
        skipped: what cannot be measured, and why.
    """

    source: Source
    generation: GenerationOptions
    measures: MeasureSelection
    own: Sequence[Extractor]
    extractors: Mapping[str, Extractor]
    distances: Mapping[str, PerceptualDistance]
    inputs: EvaluationInputs
    skipped: Sequence[str]


def _plan(request: EvaluateRequest) -> _Plan:
    """Open everything, refuse what cannot be measured and what would be ignored."""
    requested = parse_selection(request.metrics)
    device = str(pick_device(request.device))
    generation = GenerationOptions(request.num, request.seed, device, request.batch)
    source = open_source(request.run, request.network, request.synthetic, request.real)
    check_paths(source, requested.paths)
    distances, no_distances = open_distances(requested.paths, device)
    for name in request.features:
        registry.check_name(name)
    chosen = _chosen(request.features, requested)
    names = (*chosen, *(spec.extractor for spec in requested.published))
    extractors, missing = open_extractors(names, device, Precision(request.precision))
    own = [extractors[name] for name in chosen if name in extractors]
    skipped = [f"skipped: features {name}: {missing[name]}" for name in chosen if name in missing]
    skipped += [
        f"skipped: {spec.name}: {missing[spec.extractor]}"
        for spec in requested.published
        if spec.extractor in missing
    ]
    skipped += no_distances
    measures = _possible(requested, own, extractors, skipped)
    if not (measures.own or measures.published or distances):
        raise UserError(
            f"nothing can be measured: {'; '.join(skipped)}; or take --features "
            f"{registry.DEFAULT} and measures of our own, which need no file"
        )
    _refuse_ignored(request, measures)
    inputs = evaluation_inputs(source, generation, measures, request.by)
    if request.sensitivity:
        if inputs.task is None or not own:
            raise UserError(
                "--sensitivity: goes with our own measures of features, such as frechet"
            )
        check_counts(inputs.task.real.count, inputs.task.real.group_count)
    return _Plan(source, generation, measures, own, extractors, distances, inputs, skipped)


def _chosen(features: Sequence[str], requested: MeasureSelection) -> list[str]:
    """Extractors of our own measures; there are none where only pixels or images of a published
    name count.
    """
    if not set(requested.own) & {*FEATURE_MEASURES, SCORE}:
        return []
    return list(dict.fromkeys(features or [registry.DEFAULT]))


def _possible(
    requested: MeasureSelection,
    own: Sequence[Extractor],
    extractors: Mapping[str, Extractor],
    skipped: list[str],
) -> MeasureSelection:
    """What can be measured with the weights that are here; the rest is noted in `skipped`."""
    lacking = set() if own else {*FEATURE_MEASURES}
    if not any(isinstance(each, ClassifyingExtractor) for each in own):
        lacking.add(SCORE)
        if SCORE in requested.own and requested.own != OWN:
            skipped.append(f"skipped: {SCORE}: belongs to the features of inception")
    return replace(
        requested,
        own=tuple(name for name in requested.own if name not in lacking),
        published=tuple(spec for spec in requested.published if spec.extractor in extractors),
    )


def _refuse_ignored(request: EvaluateRequest, measures: MeasureSelection) -> None:
    """Refuse options that would change nothing."""
    if request.synthetic is not None and request.num is not None:
        raise UserError("--num is for images yet to be generated; --synthetic gives all of its own")
    if request.by and not measures.own:
        raise UserError("--by goes with measures of our own; name one in --metrics")


def _own(plan: _Plan, progress: Progress) -> Measurements:
    """Our own measures."""
    if plan.inputs.task is None:
        return Measurements()
    return evaluate(
        plan.inputs.task,
        plan.own,
        folder=feature_folder(),
        tracks=progress.track,
        notes=plan.inputs.notes,
    )


def _published(plan: _Plan, progress: Progress) -> Iterator[PublishedMeasure]:
    """Measures under published names, and path lengths."""
    for spec, train, synthetic in _published_sets(plan):
        yield measure_published(
            spec,
            train,
            synthetic,
            plan.extractors[spec.extractor],
            folder=feature_folder(),
            tracks=progress.track,
            seed=plan.inputs.seed,
        )
    yield from path_lengths(
        plan.source, plan.generation, plan.measures.paths, plan.distances, progress.track
    )


def _published_sets(plan: _Plan) -> Iterator[tuple[Published, ImageSet, ImageSet]]:
    """Published measures with training and synthetic images."""
    for spec in plan.measures.published:
        if plan.inputs.published is not None:
            train, synthetic = plan.inputs.published
            flipped = plan.inputs.mirror and not spec.full
            yield spec, with_mirrored(train) if flipped else train, synthetic


def _keep_part(plan: _Plan, part: Part, progress: Progress) -> int:
    """Extract one part of all features, for the request without a part; how many images it has."""
    folder, count = feature_folder(), 0
    if plan.inputs.task is not None:
        count = keep_part(plan.inputs.task, plan.own, part, folder=folder, tracks=progress.track)
    for spec, train, synthetic in _published_sets(plan):
        column = columns.extractor_column(plan.extractors[spec.extractor], train.spec)
        for images in (train, synthetic):
            track = progress.track(f"part {part} of features of {images.name}")
            count += columns.keep_part(images, [column], part, folder=folder, track=track)
    return count


def _sensitivity(plan: _Plan, progress: Progress) -> dict[str, Sensitivity]:
    """What every extractor notices on the reference images."""
    assert plan.inputs.task is not None, "that was checked"
    return {
        one.name: sensitivity_of(
            plan.inputs.task.real,
            one,
            folder=feature_folder(),
            seed=plan.inputs.seed,
            track=progress.track("sensitivity"),
        )
        for one in plan.own
    }


def _write(source: Source, found: EvaluateResult, out: Path | None) -> Iterator[str]:
    """Lines in the run's `evaluations.jsonl`, published ones in `metrics.jsonl` too, and the file
    that was asked for.
    """
    about: dict[str, Any] = {}
    if source.snapshot is not None:
        about = {
            "snapshot": source.snapshot.path.name,
            "snapshot_sha256": source.snapshot.sha256,
            "kimg": source.snapshot.info.images_seen // 1000,
        }
    published = [each.replace(**about) for each in found.published]
    lines: list[Measurements | PublishedMeasure | SensitivityLine] = [*published]
    if found.report.entries:
        lines.append(found.report.replace(**about))
    for name, noticed in found.sensitivity.items():
        lines.append(SensitivityLine(**about, extractor=name, sensitivity=noticed))
    if source.run is not None:
        for path, added in ((EVALUATIONS, lines), (METRICS, published)):
            if added:
                _append(source.run / path, added)
                yield f"{source.run / path}: {len(added)} lines added"
    if out is not None:
        with disk_errors(out):
            out.parent.mkdir(parents=True, exist_ok=True)
        Evaluation(**about, skipped=tuple(found.skipped), results=tuple(lines)).save(out)
        yield f"{out}"


def _append(path: Path, lines: Sequence[ResultLine]) -> None:
    with disk_errors(path), path.open("a", encoding="utf-8") as file:
        file.write(lines_of(lines))
