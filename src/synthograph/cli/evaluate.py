"""`synthograph evaluate`: how good generated images are, against real ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from synthograph.cli.image_sets import Judged, Source
    from synthograph.features.base import Extractor
    from synthograph.metrics.evaluate import Report
    from synthograph.metrics.names import Wanted
    from synthograph.metrics.published import PublishedResult

WIDTH = 150
"""Columns of the table where the output is no terminal."""


def evaluate(
    run: Annotated[
        Path | None, typer.Argument(help="run directory: its newest snapshot, its images")
    ] = None,
    network: Annotated[Path | None, typer.Option(help="snapshot or .pkl to judge")] = None,
    synthetic: Annotated[
        Path | None, typer.Option(help="archive or folder of PNG files to judge, from any source")
    ] = None,
    real: Annotated[
        str | None, typer.Option(help="archive of real images, ARCHIVE or ARCHIVE:split")
    ] = None,
    features: Annotated[
        list[str] | None, typer.Option(help="extractor, default random-vgg16; can be repeated")
    ] = None,
    metrics: Annotated[
        list[str] | None,
        typer.Option(help="names such as frechet,coverage or fid5k_full; default all of our own"),
    ] = None,
    by: Annotated[
        list[str] | None, typer.Option(help="manifest column whose values are judged one by one")
    ] = None,
    num: Annotated[
        int | None, typer.Option(min=1, max=1_000_000, help="generated images of a network")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="of labels, halves and blocks")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")] = "auto",
    batch: Annotated[int, typer.Option(min=1, help="images at once; does not change them")] = 64,
    precision: Annotated[str, typer.Option(help="of features: fp32, or bf16: slightly off")] = (
        "fp32"
    ),
    out: Annotated[Path | None, typer.Option(help="also write all results to this JSON")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="check and tell, measure not")] = False,
) -> None:
    """Judge generated images by real ones: fidelity, diversity, each with interval and floor."""
    from synthograph.cli.image_sets import Making, judged, open_source
    from synthograph.core.devices import pick_device
    from synthograph.core.files import refuse_existing, refuse_unwritable
    from synthograph.metrics.names import parse_wanted

    wanted = parse_wanted(metrics or [])
    if out is not None:
        refuse_existing(out, "--out")
        refuse_unwritable(out)
    making = Making(num, seed, str(pick_device(device)), batch)
    source = open_source(run, network, synthetic, real)
    extractors, skipped = _extractors(_words(features), wanted, making.device, precision)
    sets = judged(source, making, wanted, by or [])
    for line in (*sets.lines, *skipped):
        typer.echo(line)
    if dry_run:
        return
    report, published = _measure(sets, wanted, extractors)
    _tell(report, published)
    _write(source, report, published, skipped, out)


def _words(lists: Sequence[str] | None) -> list[str]:
    """Words of lists with commas."""
    return [word.strip() for each in lists or [] for word in each.split(",") if word.strip()]


def _extractors(
    names: Sequence[str], wanted: "Wanted", device: str, precision: str
) -> "tuple[Extractors, list[str]]":
    """The extractors that can be had, and why others cannot.

    Raises:
        UserError: an unknown name, or not one of them can be had.
    """
    from synthograph.core.devices import Precision
    from synthograph.core.errors import UserError
    from synthograph.features import registry
    from synthograph.features.base import MissingWeightsError
    from synthograph.metrics.names import FEATURE_MEASURES, SCORE

    if precision not in ("fp32", "bf16"):
        raise UserError(f"--precision {precision!r} is unknown: give fp32 or bf16")
    measured = set(wanted.own) & {*FEATURE_MEASURES, SCORE}
    chosen = list(dict.fromkeys(names or [registry.DEFAULT])) if measured else []
    found: dict[str, Extractor] = {}
    missing: dict[str, str] = {}
    for name in dict.fromkeys((*chosen, *(spec.extractor for spec in wanted.published))):
        try:
            one = registry.extractor(name, device=device, precision=Precision(precision))
        except MissingWeightsError as error:
            missing[name] = str(error)
        else:
            found[name] = one
    if missing and not found:
        raise UserError(
            f"nothing can be measured: {'; '.join(missing.values())}; or take --features "
            f"{registry.DEFAULT} and measures of our own, which need no file"
        )
    skipped = [f"skipped: features {name}: {missing[name]}" for name in chosen if name in missing]
    skipped += [
        f"skipped: {spec.name}: {missing[spec.extractor]}"
        for spec in wanted.published
        if spec.extractor in missing
    ]
    return Extractors([found[name] for name in chosen if name in found], found), skipped


@dataclass(frozen=True)
class Extractors:
    """Those for our own measures, and all that can be had, by name."""

    own: "Sequence[Extractor]"
    every: "Mapping[str, Extractor]"


def _measure(
    sets: "Judged", wanted: "Wanted", extractors: Extractors
) -> "tuple[Report, list[PublishedResult]]":
    """All numbers."""
    from synthograph.archive.batches import mirrored
    from synthograph.cli.progress import tracker
    from synthograph.core.files import cache_folder
    from synthograph.metrics.evaluate import Report, evaluate
    from synthograph.metrics.published import measure_published

    folder = cache_folder() / "features"
    report = Report()
    if sets.request is not None:
        report = evaluate(
            sets.request, extractors.own, folder=folder, tracks=tracker, notes=sets.notes
        )
    results = []
    for spec in wanted.published:
        if spec.extractor not in extractors.every or sets.published is None:
            continue
        train, fake = sets.published
        if sets.mirror and not spec.full:
            train = mirrored(train)
        one = extractors.every[spec.extractor]
        results.append(
            measure_published(spec, train, fake, one, folder=folder, tracks=tracker, seed=sets.seed)
        )
    return report, results


def _tell(report: "Report", published: "Sequence[PublishedResult]") -> None:
    """The table on the console."""
    from rich.console import Console

    from synthograph.metrics.report_text import table

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH, soft_wrap=True)
    console.print(table(report, published))


def _write(
    source: "Source",
    report: "Report",
    published: "Sequence[PublishedResult]",
    skipped: Sequence[str],
    out: Path | None,
) -> None:
    """Lines in the run's `metrics.jsonl`, and the file that was asked for."""
    import json

    from synthograph.core.files import disk_errors, write_json
    from synthograph.training.run import METRICS

    about: dict[str, Any] = {}
    if source.snapshot is not None:
        about = {
            "snapshot": source.snapshot.path.name,
            "snapshot_sha256": source.snapshot.sha256,
            "kimg": source.snapshot.info.images_seen // 1000,
        }
    lines = [{**about, **each.json()} for each in published]
    if report.entries:
        lines.append({**about, "metric": "evaluation", "published": False, **report.json()})
    if source.run is not None:
        path = source.run / METRICS
        with disk_errors(path), path.open("a", encoding="utf-8") as file:
            file.write("".join(json.dumps(line, allow_nan=False) + "\n" for line in lines))
        typer.echo(f"{path}: {len(lines)} lines added")
    if out is not None:
        with disk_errors(out):
            out.parent.mkdir(parents=True, exist_ok=True)
        write_json(out, {"format": 1, **about, "skipped": list(skipped), "results": lines})
        typer.echo(f"{out}")
