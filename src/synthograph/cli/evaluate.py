"""`synthograph evaluate`: how good generated images are, against real ones."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from synthograph.cli.verbs import spelled_out

if TYPE_CHECKING:
    from synthograph.archive.batches import ImageSet
    from synthograph.archive.parts import Part
    from synthograph.features.base import Extractor
    from synthograph.features.lpips import PerceptualDistance
    from synthograph.metrics.evaluate import Report
    from synthograph.metrics.names import MeasureSelection, Published
    from synthograph.metrics.published import PublishedResult
    from synthograph.metrics.sensitivity_table import Sensitivity
    from synthograph.workflows.evaluation_inputs import EvaluationInputs, Source


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `synthograph evaluate` can be asked."""

    run: Annotated[
        Path | None,
        typer.Argument(help="run directory: its best snapshot, else the newest; its images"),
    ] = None
    network: Annotated[Path | None, typer.Option(help="snapshot or .pkl to judge")] = None
    synthetic: Annotated[
        Path | None, typer.Option(help="archive or folder of PNG files to judge, from any source")
    ] = None
    real: Annotated[
        str | None, typer.Option(help="archive of real images, ARCHIVE, :test, :fold2 ...")
    ] = None
    features: Annotated[
        list[str] | None, typer.Option(help="extractor, default random-vgg16; can be repeated")
    ] = None
    metrics: Annotated[
        list[str] | None,
        typer.Option(help="names such as frechet,coverage or fid5k_full; default all of our own"),
    ] = None
    by: Annotated[
        list[str] | None, typer.Option(help="manifest column whose values are judged one by one")
    ] = None
    num: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="generated images of a network")
    ] = None
    seed: Annotated[int, typer.Option(min=0, help="of labels, halves and blocks")] = 0
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")] = "auto"
    batch: Annotated[int, typer.Option(min=1, help="images at once; does not change them")] = 64
    precision: Annotated[
        str, typer.Option(help="of features: fp32, or bf16: faster, numbers about 1 % off")
    ] = "fp32"
    sensitivity: Annotated[
        bool,
        typer.Option("--sensitivity", help="also plant defects in real images: what is noticed"),
    ] = False
    gpus: Annotated[
        int, typer.Option(min=1, max=1024, help="processes that extract features, one per GPU")
    ] = 1
    part: Annotated[
        str | None,
        typer.Option(help="only extract part 2/4, on any machine that shares the cache"),
    ] = None
    out: Annotated[Path | None, typer.Option(help="also write all results to this JSON")] = None
    dry_run: Annotated[bool, typer.Option("--dry-run", help="validate and print the plan")] = False


@spelled_out
def evaluate(options: Options) -> None:
    """Judge generated images by real ones: fidelity, diversity, each with interval and floor."""
    from synthograph.archive.parts import Part
    from synthograph.cli.progress import tracker
    from synthograph.core.commands import command_line
    from synthograph.core.devices import pick_device
    from synthograph.core.files import refuse_existing, refuse_unwritable
    from synthograph.metrics.names import parse_selection
    from synthograph.workflows.evaluation_inputs import (
        GenerationOptions,
        evaluation_inputs,
        open_source,
    )
    from synthograph.workflows.extractors import split_names
    from synthograph.workflows.path_lengths import check_paths, open_distances, path_lengths
    from synthograph.workflows.processes import in_parts

    wanted = parse_selection(options.metrics or [])
    share = None if options.part is None else Part.parse(options.part)
    if options.out is not None:
        refuse_existing(options.out, "--out")
        refuse_unwritable(options.out)
    generation = GenerationOptions(
        options.num, options.seed, str(pick_device(options.device)), options.batch
    )
    source = open_source(options.run, options.network, options.synthetic, options.real)
    check_paths(source, wanted.paths)
    known, lines = open_distances(wanted.paths, generation.device)
    extractors, skipped = _extractors(
        split_names(options.features), wanted, generation.device, options.precision
    )
    skipped += lines
    wanted = _possible(wanted, extractors, known, skipped)
    _check_beside(wanted, num=options.num if options.synthetic else None, by=options.by)
    sets = evaluation_inputs(source, generation, wanted, options.by or [])
    if options.sensitivity:
        _check_sensitivity(sets, extractors)
    for line in (*sets.lines(), *skipped):
        typer.echo(line)
    if options.dry_run:
        return
    if share is not None:
        _keep_part(sets, wanted, extractors, share)
        return
    if options.gpus > 1:
        code = in_parts(sys.argv[1:], command_line(), options.gpus)
        if code:
            raise typer.Exit(code)
    found = _measure(sets, wanted, extractors)
    lengths = path_lengths(source, generation, wanted.paths, known, tracker)
    found = replace(found, published=[*found.published, *lengths])
    if options.sensitivity:
        found = replace(found, sensitivity=_sensitivity(sets, extractors))
    _tell(found)
    _write(source, found, skipped, options.out)


def _extractors(
    names: Sequence[str], wanted: "MeasureSelection", device: str, precision: str
) -> "tuple[Extractors, list[str]]":
    """The extractors that can be had, and why others cannot.

    Raises:
        UserError: an unknown name, or damaged weights.
    """
    from synthograph.core.devices import Precision
    from synthograph.core.errors import UserError
    from synthograph.features import registry
    from synthograph.metrics.names import FEATURE_MEASURES, SCORE
    from synthograph.workflows.extractors import open_extractors

    if precision not in ("fp32", "bf16"):
        raise UserError(f"--precision {precision!r} is unknown: give fp32 or bf16")
    for name in names:
        registry.check_name(name)
    measured = set(wanted.own) & {*FEATURE_MEASURES, SCORE}
    chosen = list(dict.fromkeys(names or [registry.DEFAULT])) if measured else []
    needed = (*chosen, *(spec.extractor for spec in wanted.published))
    found, missing = open_extractors(needed, device, Precision(precision))
    skipped = [f"skipped: features {name}: {missing[name]}" for name in chosen if name in missing]
    skipped += [
        f"skipped: {spec.name}: {missing[spec.extractor]}"
        for spec in wanted.published
        if spec.extractor in missing
    ]
    return Extractors([found[name] for name in chosen if name in found], found), skipped


def _possible(
    wanted: "MeasureSelection",
    extractors: "Extractors",
    distances: "Mapping[str, PerceptualDistance]",
    skipped: list[str],
) -> "MeasureSelection":
    """What can be measured with the weights that are here; the rest is noted in `skipped`.

    Raises:
        UserError: that is nothing.
    """
    from synthograph.core.errors import UserError
    from synthograph.features import registry
    from synthograph.features.base import ClassifyingExtractor
    from synthograph.metrics.names import FEATURE_MEASURES, OWN, SCORE

    lacking = set() if extractors.own else {*FEATURE_MEASURES}
    if not any(isinstance(each, ClassifyingExtractor) for each in extractors.own):
        lacking.add(SCORE)
        if SCORE in wanted.own and wanted.own != OWN:
            skipped.append(f"skipped: {SCORE}: belongs to the features of inception")
    own = tuple(name for name in wanted.own if name not in lacking)
    published = tuple(spec for spec in wanted.published if spec.extractor in extractors.every)
    if not (own or published or distances):
        raise UserError(
            f"nothing can be measured: {'; '.join(skipped)}; or take --features "
            f"{registry.DEFAULT} and measures of our own, which need no file"
        )
    return replace(wanted, own=own, published=published)


def _check_beside(wanted: "MeasureSelection", *, num: int | None, by: Sequence[str] | None) -> None:
    """Refuse options that would change nothing.

    Raises:
        UserError: there is one.
    """
    from synthograph.core.errors import UserError

    if num is not None:
        raise UserError("--num is for images yet to be generated; --synthetic gives all of its own")
    if by and not wanted.own:
        raise UserError("--by goes with measures of our own; name one in --metrics")


def _check_sensitivity(sets: "EvaluationInputs", extractors: "Extractors") -> None:
    """Refuse --sensitivity where it can say nothing.

    Raises:
        UserError: no measure of features, or too few real images.
    """
    from synthograph.core.errors import UserError
    from synthograph.metrics.sensitivity import check_counts

    if sets.request is None or not extractors.own:
        raise UserError("--sensitivity: goes with our own measures of features, such as frechet")
    check_counts(sets.request.real.count, sets.request.real.group_count)


@dataclass(frozen=True)
class Extractors:
    """Those for our own measures, and all that can be had, by name."""

    own: "Sequence[Extractor]"
    every: "Mapping[str, Extractor]"


@dataclass(frozen=True)
class Results:
    """All that was measured: measures of our own, published ones, and per extractor what it
    notices.
    """

    report: "Report"
    published: "Sequence[PublishedResult]" = ()
    sensitivity: "Mapping[str, Sensitivity]" = field(default_factory=dict)


def _measure(
    sets: "EvaluationInputs", wanted: "MeasureSelection", extractors: Extractors
) -> Results:
    """All numbers."""
    from synthograph.cli.progress import tracker
    from synthograph.metrics.evaluate import Report, evaluate
    from synthograph.metrics.published import measure_published
    from synthograph.workflows.extractors import feature_folder

    folder = feature_folder()
    report = Report()
    if sets.request is not None:
        report = evaluate(
            sets.request, extractors.own, folder=folder, tracks=tracker, notes=sets.notes
        )
    results = []
    for spec, train, fake in _published_sets(sets, wanted, extractors):
        one = extractors.every[spec.extractor]
        results.append(
            measure_published(spec, train, fake, one, folder=folder, tracks=tracker, seed=sets.seed)
        )
    return Results(report, results)


def _published_sets(
    sets: "EvaluationInputs", wanted: "MeasureSelection", extractors: Extractors
) -> "Iterator[tuple[Published, ImageSet, ImageSet]]":
    """Published measures with training and generated images."""
    from synthograph.archive.batches import with_mirrored

    for spec in wanted.published:
        if sets.published is not None:
            train, fake = sets.published
            yield spec, with_mirrored(train) if sets.mirror and not spec.full else train, fake


def _keep_part(
    sets: "EvaluationInputs", wanted: "MeasureSelection", extractors: Extractors, part: "Part"
) -> None:
    """Extract one part of all features, for the command without --part."""
    from synthograph.cli.progress import tracker
    from synthograph.metrics import columns
    from synthograph.metrics.evaluate import keep_part
    from synthograph.workflows.extractors import feature_folder

    folder, count = feature_folder(), 0
    if sets.request is not None:
        count = keep_part(sets.request, extractors.own, part, folder=folder, tracks=tracker)
    for spec, train, fake in _published_sets(sets, wanted, extractors):
        column = columns.extractor_column(extractors.every[spec.extractor], train.spec)
        for images in (train, fake):
            track = tracker(f"part {part} of features of {images.name}")
            count += columns.keep_part(images, [column], part, folder=folder, track=track)
    typer.echo(
        f"part {part}: features of {count} images are kept; the same command without --part takes "
        "them over"
    )


def _sensitivity(sets: "EvaluationInputs", extractors: Extractors) -> "dict[str, Sensitivity]":
    """What every extractor notices on the reference images."""
    from synthograph.cli.progress import tracker
    from synthograph.metrics.sensitivity import sensitivity_of
    from synthograph.workflows.extractors import feature_folder

    assert sets.request is not None, "that was checked"
    return {
        one.name: sensitivity_of(
            sets.request.real,
            one,
            folder=feature_folder(),
            seed=sets.seed,
            track=tracker("sensitivity"),
        )
        for one in extractors.own
    }


def _tell(found: Results) -> None:
    """The tables on the console."""
    from synthograph.cli.console import show
    from synthograph.metrics.report_text import table

    show(table(found.report, found.published))
    for name, noticed in found.sensitivity.items():
        typer.echo(f"\nWhat {name} notices on these real images:\n\n{noticed.table()}")


def _write(source: "Source", found: Results, skipped: Sequence[str], out: Path | None) -> None:
    """Lines in the run's `evaluations.jsonl`, published ones in `metrics.jsonl` too, and the file
    that was asked for.
    """
    from synthograph.core.files import disk_errors, write_json
    from synthograph.training.run import EVALUATIONS, METRICS

    about: dict[str, Any] = {}
    if source.snapshot is not None:
        about = {
            "snapshot": source.snapshot.path.name,
            "snapshot_sha256": source.snapshot.sha256,
            "kimg": source.snapshot.info.images_seen // 1000,
        }
    published = [{**about, **each.json()} for each in found.published]
    lines = [*published]
    if found.report.entries:
        lines.append({**about, "metric": "evaluation", "published": False, **found.report.json()})
    for name, noticed in found.sensitivity.items():
        lines.append(
            {**about, "metric": "sensitivity", "published": False, "extractor": name}
            | {"sensitivity": noticed.json()}
        )
    if source.run is not None:
        _append(source.run / EVALUATIONS, lines)
        _append(source.run / METRICS, published)
    if out is not None:
        with disk_errors(out):
            out.parent.mkdir(parents=True, exist_ok=True)
        write_json(out, {"format": 1, **about, "skipped": list(skipped), "results": lines})
        typer.echo(f"{out}")


def _append(path: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    import json

    from synthograph.core.files import disk_errors

    if lines:
        with disk_errors(path), path.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(line, allow_nan=False) + "\n" for line in lines))
        typer.echo(f"{path}: {len(lines)} lines added")
