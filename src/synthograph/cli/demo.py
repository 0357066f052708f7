"""`synthograph demo`: the whole chain on phantoms, in a few minutes on a laptop."""

from pathlib import Path
from typing import Annotated

import typer

COUNT, SIZE, SEED = 2000, 32, 0
PER_CLASS = 150
"""Generated images of a class, as many as measures need to say something."""
KIMG = 20.0
"""Three to four minutes of training on two processor cores."""
MODEL = {"channel_max": 48, "r1_gamma": 0.05}
"""Fewer channels for speed; a stronger penalty than in longer runs, for smoother early images."""
AUROC = 0.98
"""Of the labels: clearer than the default, so that a short training shows the classes."""


def demo(
    outdir: Annotated[Path, typer.Option(help="folder of demonstrations")] = Path("demo"),
    kimg: Annotated[
        float, typer.Option(help="thousands of images to show", min=0.01, max=1e7)
    ] = KIMG,
    count: Annotated[int, typer.Option(help="number of phantoms", min=40)] = COUNT,
) -> None:
    """Phantoms, archive, split, training, generated images, numbers, report: the chain once."""
    from synthograph.archive.prepare import PrepareOptions, prepare
    from synthograph.cli.options import show
    from synthograph.cli.progress import tracker
    from synthograph.core.files import disk_errors, refuse_unwritable_folder, write_bytes
    from synthograph.core.progress import Printed
    from synthograph.models.snapshot import find_snapshot
    from synthograph.sources.phantoms import PhantomKind, PhantomOptions, make_phantoms
    from synthograph.workflows import split, train
    from synthograph.workflows.prepare import PrepareResult
    from synthograph.workflows.requests import SplitRequest, TrainRequest

    refuse_unwritable_folder(outdir)
    with disk_errors(outdir):
        outdir.mkdir(parents=True, exist_ok=True)
        folder = _next_folder(outdir)
        folder.mkdir()
    real, synthetic = folder / "skin.zip", folder / "synthetic.zip"

    typer.echo("1 of 6: drawing skin-lesion phantoms")
    phantoms = make_phantoms(
        PhantomOptions(kind=PhantomKind.SKIN, count=count, size=SIZE, seed=SEED, auroc=AUROC)
    )
    options = PrepareOptions(classes=phantoms.classes, invariances=list(phantoms.invariances))
    summary = prepare(phantoms.items, real, options, track=tracker("drawing"))
    show(PrepareResult(real, summary))

    typer.echo("2 of 6: splitting by patient")
    show(split.run(SplitRequest(archive=real, seed=SEED), progress=Printed()))

    typer.echo("3 of 6: training a small generator")
    settings = {
        "data": real,
        "cond": True,
        "cfg": "tiny",
        "kimg": kimg,
        "seed": SEED,
        "metrics": "none",  # they would take longer than the training
        "settings": [f"model.{name}={value}" for name, value in MODEL.items()],
        "outdir": folder / "runs",
    }
    trained = train.run(TrainRequest.parse(settings), progress=Printed())
    assert trained is not None, "it is no dry run"
    run = trained.run

    typer.echo("4 of 6: generating labelled images")
    network = find_snapshot(run)
    _generate(network, synthetic)

    typer.echo("5 of 6: measuring generated images against real ones")
    picture = folder / "real-and-generated.png"
    write_bytes(picture, _compare(real, synthetic))
    numbers = _measure(real, synthetic, folder / "evaluation.json")

    typer.echo("6 of 6: writing the report")
    page = folder / "report.html"
    _report([run, real, synthetic, *numbers], page)
    typer.echo(_farewell(page, picture, run, synthetic))


def _farewell(page: Path, picture: Path, run: Path, synthetic: Path) -> str:
    return f"""
Look at  {page}   the report: open it in a browser
         {picture}   real rows above generated rows, class by class
         {run}   pictures of the training, statistics, snapshots
         {synthetic}   {2 * PER_CLASS} labelled images; manifest.csv says where each comes from

Next, on your own images:
  synthograph prepare PHOTOS mine.zip --size 64 --transform center-crop
  synthograph split mine.zip
  synthograph train --data mine.zip --cond --cfg tiny --dry-run
More of this generator:
  synthograph generate --network {run} --seeds 0-99 --class melanoma --outdir melanomas"""


def _measure(real: Path, synthetic: Path, out: Path) -> list[Path]:
    """What `synthograph evaluate` measures, without its table, as JSON; nothing where there are too
    few images.
    """
    from synthograph.archive.batches import archive_images, rows_of_split
    from synthograph.archive.reader import open_archive
    from synthograph.cli.progress import tracker
    from synthograph.core.errors import UserError
    from synthograph.core.files import write_json
    from synthograph.features import registry
    from synthograph.metrics.evaluate import EvaluationTask, check, evaluate
    from synthograph.workflows.extractors import feature_folder

    archive, made = open_archive(real), open_archive(synthetic)
    held_out = archive_images(archive, rows_of_split(archive, "test"), split="test")
    request = EvaluationTask(held_out, archive_images(made, made.rows), seed=SEED)
    try:
        check(request)
    except UserError as error:
        typer.echo(f"not measured: {error}")
        return []
    extractor = registry.extractor(registry.DEFAULT)
    found = evaluate(request, [extractor], folder=feature_folder(), tracks=tracker)
    line = found.tree()
    write_json(out, {"format": 1, "skipped": [], "results": [line]})
    return [out]


def _report(paths: list[Path], page: Path) -> None:
    from synthograph.report.write import write_report

    written = write_report(paths, page, title="Demonstration: skin-lesion phantoms")
    for verdict in written.document["verdicts"]:
        name = verdict["question"].partition("?")[0].lower() + "?"
        typer.echo(f"  {name:<10} {verdict['headline']}")


def _next_folder(outdir: Path) -> Path:
    taken = [int(p.name) for p in outdir.iterdir() if p.name.isdecimal()]
    return outdir / f"{max(taken, default=-1) + 1:05d}"


def _generate(network: Path, dest: Path) -> None:
    from synthograph.cli.progress import tracker
    from synthograph.models.snapshot import load
    from synthograph.sampling.generate import (
        ImageRequest,
        choose_classes,
        generate_archive,
        jobs_of,
    )

    snapshot = load(network)
    request = ImageRequest(jobs_of(range(PER_CLASS), choose_classes(snapshot, [])))
    generate_archive(snapshot, request, dest, track=tracker("generating"))


def _compare(real: Path, synthetic: Path, columns: int = 16) -> bytes:
    """PNG: for every class a row of real test images and one of generated images."""
    from synthograph.archive.gallery import gallery
    from synthograph.archive.manifest import in_split
    from synthograph.archive.reader import open_archive
    from synthograph.core.contact_sheets import contact_sheet

    archive = open_archive(real)
    held_out = dict(gallery(archive, in_split(archive.rows, "test"), columns=columns))
    generated = dict(gallery(open_archive(synthetic), columns=columns))
    rows = []
    for label, images in held_out.items():
        rows.append((f"{label}, real", images))
        rows.append((f"{label}, generated", generated[label]))
    return contact_sheet(rows)
