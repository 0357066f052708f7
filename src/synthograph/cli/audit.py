"""`synthograph audit`: whether generated images give away those that were trained on."""

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from synthograph.cli.verbs import spelled_out

if TYPE_CHECKING:
    from synthograph.archive.batches import ImageSet
    from synthograph.archive.manifest import Row
    from synthograph.archive.reader import Archive
    from synthograph.features.base import Extractor
    from synthograph.metrics.audit.audit import Audit, AuditSets


@dataclass(frozen=True, kw_only=True)
class Options:
    """What `synthograph audit` can be asked."""

    synthetic: Annotated[
        str | None, typer.Option(help="archive or folder of PNG files to audit, from any source")
    ] = None
    train: Annotated[
        str | None, typer.Option(help="what was trained on, ARCHIVE or ARCHIVE:split")
    ] = None
    holdout: Annotated[
        str | None, typer.Option(help="patients never seen, ARCHIVE or ARCHIVE:split")
    ] = None
    features: Annotated[
        list[str] | None, typer.Option(help="extractor, default random-vgg16; can be repeated")
    ] = None
    outdir: Annotated[
        Path | None, typer.Option(help="new folder for audit.json, pairs.png and withhold.csv")
    ] = None
    seed: Annotated[int, typer.Option(min=0, help="of draws, exchanges and transforms")] = 0
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N")] = "auto"
    export: Annotated[
        Path | None, typer.Option(help="new folder for the TensorBoard projector: all images")
    ] = None
    per_fold: Annotated[
        list[str] | None,
        typer.Option(help="only the cross-fold test: images of a generator per fold; repeat it"),
    ] = None
    embeddings: Annotated[
        Path | None, typer.Option(help="only distances of pairs of vectors in this tensors.tsv")
    ] = None
    metadata: Annotated[
        Path | None, typer.Option(help="metadata.tsv that says which vectors are a pair")
    ] = None
    dry_run: Annotated[bool, typer.Option("--dry-run", help="validate and print the plan")] = False


@spelled_out
def audit(options: Options) -> None:
    """Search generated images for memorised ones: copies, nearest neighbours, membership."""
    from synthograph.cli.embeddings import export_sets, tell_pairs
    from synthograph.cli.folds import compare_folds
    from synthograph.cli.progress import tracker
    from synthograph.core.files import refuse_existing, refuse_unwritable
    from synthograph.metrics.audit.audit import audit as run
    from synthograph.workflows.extractors import feature_folder

    whole = {
        "--synthetic": options.synthetic,
        "--holdout": options.holdout,
        "--export": options.export,
    }
    if options.embeddings is not None:
        _refuse_beside(
            "--embeddings", {**whole, "--train": options.train, "--per-fold": options.per_fold}
        )
        tell_pairs(
            options.embeddings, options.metadata, None if options.dry_run else options.outdir
        )
        return
    if options.per_fold:
        _refuse_beside("--per-fold", whole)
    for folder, option in ((options.outdir, "--outdir"), (options.export, "--export")):
        if folder is not None:
            refuse_existing(folder, option)
            refuse_unwritable(folder)
    extractors = _extractors(options.features or [], options.device)
    if options.per_fold:
        compare_folds(
            options.per_fold,
            options.train,
            extractors,
            options.outdir,
            options.seed,
            dry_run=options.dry_run,
        )
        return
    sets = _open(options.synthetic, options.train, options.holdout, options.seed)
    for line in sets.lines():
        typer.echo(line)
    if options.dry_run:
        return
    found = run(sets.request, extractors, folder=feature_folder(), tracks=tracker)
    _tell(found)
    if options.outdir is None:
        typer.echo("nothing was written: --outdir keeps the numbers, the pairs and the list")
    else:
        _write(found, sets, options.outdir)
    if options.export is not None:
        export_sets(sets.all, extractors[0], options.export)


def _refuse_beside(option: str, others: Mapping[str, object]) -> None:
    """Refuse options that would be passed over.

    Raises:
        UserError: one of them is given.
    """
    from synthograph.core.errors import UserError

    given = [name for name, value in others.items() if value]
    if given:
        raise UserError(
            f"{option} asks for one test only, which {' and '.join(given)} would not change: leave "
            f"{'it' if len(given) == 1 else 'them'} out, or call the audit again without {option}"
        )


def _extractors(names: Sequence[str], device: str) -> "list[Extractor]":
    """The extractors that can be had; it tells why others cannot.

    Raises:
        UserError: an unknown name, or not one of them can be had.
    """
    from synthograph.core.errors import UserError
    from synthograph.features import registry
    from synthograph.workflows.extractors import open_extractors, split_names

    found, missing = open_extractors(split_names(names) or [registry.DEFAULT], device)
    skipped = [f"skipped: features {name}: {reason}" for name, reason in missing.items()]
    if not found:
        raise UserError(
            f"nothing can be audited: {'; '.join(skipped)}; or take --features {registry.DEFAULT}, "
            "which needs no file"
        )
    for line in skipped:
        typer.echo(line)
    return list(found.values())


@dataclass(frozen=True)
class Sets:
    """What is audited, and the rows of the manifests in the order of the images."""

    request: "AuditSets"
    synthetic: "list[Row]"
    train: "list[Row]"
    holdout: "list[Row]"

    @property
    def all(self) -> "list[tuple[str, ImageSet, list[Row]]]":
        """Kind, images and rows of every set."""
        request = self.request
        return [
            ("real", request.train, self.train),
            ("real", request.holdout, self.holdout),
            ("synthetic", request.synthetic, self.synthetic),
        ]

    def lines(self) -> list[str]:
        """What will be audited, before it takes time."""
        request = self.request
        real = (("training", request.train), ("held out", request.holdout))
        said = [f"{w}: {i.name}, {i.count} images of {i.group_count} groups" for w, i in real]
        said.append(f"synthetic: {request.synthetic.name}, {request.synthetic.count} images")
        return said + [f"note: {note}" for note in request.notes]


def _open(synthetic: str | None, train: str | None, holdout: str | None, seed: int) -> Sets:
    """Open what was named, all checks done.

    Raises:
        UserError: a set is missing, sets that cannot be compared, or whose patients overlap.
    """
    from synthograph.archive import batches
    from synthograph.archive.reader import open_archive
    from synthograph.core.errors import UserError
    from synthograph.metrics.audit.audit import AuditSets, check

    if synthetic is None or train is None or holdout is None:
        raise UserError(
            "an audit needs --synthetic ARCHIVE, --train ARCHIVE:train and --holdout ARCHIVE:test; "
            "distances of pairs of vectors alone need --embeddings and --metadata"
        )
    path, part = batches.path_and_split(synthetic)
    made = open_archive(path)
    rows = batches.rows_of_split(made, part)
    ours, ours_split, our_rows = _real(train, "train")
    theirs, theirs_split, their_rows = _real(holdout, "test")
    request = AuditSets(
        batches.archive_images(ours, our_rows, split=ours_split),
        batches.archive_images(theirs, their_rows, split=theirs_split),
        batches.archive_images(made, rows, split=part),
        seed,
        batches.group_digests(ours, our_rows),
        batches.group_digests(theirs, their_rows),
        tuple(_seen(made, (ours, our_rows), (theirs, their_rows))),
    )
    check(request)
    return Sets(request, *(batches.in_random_order(each) for each in (rows, our_rows, their_rows)))


def _real(text: str, default: str) -> "tuple[Archive, str | None, list[Row]]":
    """An archive of real images, the split that was named or is usual, and its rows."""
    from synthograph.archive import batches
    from synthograph.archive.reader import open_archive

    path, split = batches.path_and_split(text)
    archive = open_archive(path)
    if split is None and any(row.split for row in archive.rows):
        split = default
    rows = batches.rows_of_split(archive, split)
    batches.refuse_synthetic(archive, rows)
    return archive, split, rows


def _seen(
    made: "Archive", train: "tuple[Archive, list[Row]]", holdout: "tuple[Archive, list[Row]]"
) -> list[str]:
    """What the generator's document says of both sets, as notes.

    Raises:
        UserError: the generator saw the hold-out, or nothing of the training set.
    """
    from synthograph.archive import batches
    from synthograph.metrics.audit.audit import refuse_seen, refuse_strange_training
    from synthograph.metrics.overlap import trained_on

    trained = trained_on(made.info.snapshots)
    names = [archive.path.name for archive, _ in (train, holdout)]
    notes = refuse_seen(
        trained, batches.group_digests(*holdout), batches.image_digests(*holdout), names[1]
    )
    return notes + refuse_strange_training(trained, batches.group_digests(*train), names[0])


def _tell(found: "Audit") -> None:
    """The table on the console."""
    from synthograph.cli.console import show
    from synthograph.metrics.audit.report_text import table

    show(table(found))


def _write(found: "Audit", sets: Sets, outdir: Path) -> None:
    """The folder, whole or not at all."""
    from synthograph.core.commands import command_line
    from synthograph.core.files import atomic_path, disk_errors, write_bytes, write_json, write_text
    from synthograph.metrics.audit.pairs import picture

    request = found.request
    closest = () if found.copies is None else found.copies.pairs
    names = ([row.file for row in sets.synthetic], [row.file for row in sets.train])
    pairs = picture(request.synthetic, request.train, closest, names)
    pictures = {} if pairs is None else {"pairs": "pairs.png"}
    with disk_errors(outdir):
        outdir.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(outdir) as folder:
        folder.mkdir()
        write_json(folder / "audit.json", found.json(command=command_line(), pictures=pictures))
        if pairs is not None:
            write_bytes(folder / "pairs.png", pairs)
        write_text(folder / "withhold.csv", _withhold(found, sets))
    typer.echo(f"{outdir}: audit.json, withhold.csv{', pairs.png' if pairs is not None else ''}")


def _withhold(found: "Audit", sets: Sets) -> str:
    """CSV of the synthetic images that should not be shared."""
    copies, same, text = found.copies, found.same, io.StringIO()
    equal = dict(zip(same.images, same.sources, strict=True))
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", "network", "seed", "training_file", "score"))
    for number in same.images if copies is None else copies.withhold:
        row, score = sets.synthetic[number], ""
        if copies is not None:
            equal.setdefault(number, int(copies.nearest[number]))
            score = f"{float(copies.scores[number]):.6g}"
        made = (row.columns.get(name, "") for name in ("network", "seed"))
        writer.writerow((row.file, *made, sets.train[equal[number]].file, score))
    return text.getvalue()
