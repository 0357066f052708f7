"""What a study refuses before any work: images that an arm, or its generator, could have seen."""

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from synthograph.archive.advice import has_groups
from synthograph.archive.batches import ArchiveRows, open_rows
from synthograph.archive.copies import RepeatedImages, find_copies, joined_groups
from synthograph.archive.manifest import UNLABELLED
from synthograph.archive.reader import Archive, open_archive
from synthograph.core.errors import UserError
from synthograph.core.files import sha256_file
from synthograph.core.names import first_few
from synthograph.core.progress import Progress
from synthograph.core.spec import ImageSpec
from synthograph.core.untrusted.documents import as_text, parse_csv, read_bounded
from synthograph.core.untrusted.tensors import read_document
from synthograph.downstream.start import IMAGENET, published_file
from synthograph.metrics.overlap import Trained, same_names, trained_on
from synthograph.models.snapshot import is_pickle
from synthograph.models.snapshot_files import find_snapshot
from synthograph.sampling.records import DIGITS, NETWORK
from synthograph.workflows.leaks import (
    refuse_alike,
    refuse_mixture,
    refuse_pictures,
    refuse_recoded,
)
from synthograph.workflows.study_folds import Fold
from synthograph.workflows.study_settings import EXTERNAL, StudySettings
from synthograph.workflows.study_task import StudyTask
from synthograph.workflows.trained import start_of

MAX_TABLE = 64 << 20
GROUP = "group"
"""Column of the table that says what foreign generators were trained on."""


@dataclass(frozen=True)
class Source:
    """A generator that others trained, or a set that it made.

    Attributes:
        path: snapshot or archive.
        trained: what it was trained on.
        spec: of its images.
        there: class to the number of its images; a generator makes any number.
        declared: whether somebody says so and nothing proves it.
        networks: first digits of the hashes of the generators; none where nothing names them.
    """

    path: Path
    trained: Trained
    spec: ImageSpec = field(compare=False)
    there: Mapping[str | None, float] = field(compare=False)
    declared: bool = False
    networks: frozenset[str] = frozenset()

    def refusal(self, fold: Fold) -> str | None:
        """Why it may not serve a fold; None where it may."""
        deed = self.trained.deed("it")
        for split in ("test", "val"):
            part = fold.part(split)
            seen = self.trained.groups_among(part.groups)
            if seen:
                return (
                    f"{deed} {len(seen)} of {len(part.groups)} {split} groups of fold "
                    f"{fold.number}, such as {first_few(map(repr, seen))}"
                )
            copies = self.trained.pictures_among(part)
            if copies:
                return (
                    f"{deed} {len(copies)} images that equal {split} images of fold "
                    f"{fold.number}, such as {first_few(copies)}"
                )
        return None


def open_data(settings: StudySettings, progress: Progress) -> tuple[Archive, RepeatedImages]:
    """The archive of a study, and its equal images.

    Raises:
        UserError: images are synthetic, or it is a mixture.
    """
    archive = open_archive(settings.data)
    ArchiveRows(archive, archive.rows).real()
    refuse_mixture(archive)
    return archive, find_copies(archive, progress.track("looking for equal images"))


def refuse_one_picture_twice(archive: Archive, progress: Progress) -> list[str]:
    """Refuse groups that are one patient under two spellings, or show the same pictures as other
    pixels: folds would part them.

    Returns:
        Notes, see `refuse_recoded`.

    Raises:
        UserError: there are such.
    """
    refuse_alike((row.group for row in archive.rows if row.grouped), archive.path)
    images = ArchiveRows(archive, archive.rows)
    return refuse_recoded(images, images, "images of other groups", progress)


def open_external(
    task: StudyTask[Any], archive: Archive, folds: Sequence[Fold], progress: Progress
) -> tuple[dict[str, ArchiveRows], list[str]]:
    """External test images by their name, none of which trains or chooses, and notes on them.

    Raises:
        UserError: a group or an image of them is in the folds, they are synthetic, or of other
            classes or modalities.
    """
    used = {row.file for fold in folds for row in fold.rows if row.split != "test"}
    inside = ArchiveRows(archive, [row for row in archive.rows if row.file in used])
    known = Trained(frozenset(inside.groups), frozenset(inside.pixels))
    found, notes = {}, []
    for text in task.settings.external:
        images = open_rows(text, "test").real()
        seen = known.groups_among(images.groups)
        if seen:
            raise UserError(
                f"external {images.name}: {len(seen)} of its {len(images.groups)} groups train or "
                f"choose in {archive.path.name}, such as {first_few(map(repr, seen))}: test on "
                "patients who are not in it"
            )
        copies = known.pictures_among(images)
        if copies:
            raise UserError(
                f"external {images.name}: {len(copies)} of its {len(images.rows)} images equal "
                f"images of {archive.path.name}, such as {first_few(copies)}: leave them out"
            )
        if images.archive.info.namespace == archive.info.namespace:
            refuse_alike([*inside.groups.values(), *images.groups.values()], images.archive.path)
        _check_alike(images, archive)
        task.check_external(images)
        notes += refuse_recoded(images, inside, f"images of {archive.path.name}", progress)
        found[images.name] = images
    return found, notes


def units_of(images: ArchiveRows, progress: Progress) -> Mapping[str, str]:
    """Group of an external set to the first of those that it is joined with by equal images."""
    own = replace(images.archive, rows=list(images.rows))
    return joined_groups(images.rows, find_copies(own, progress.track("looking for equal images")))


def _check_alike(images: ArchiveRows, archive: Archive) -> None:
    other, own = images.archive.info, archive.info
    if other.spec.modalities != own.spec.modalities:
        raise UserError(
            f"external {images.name}: holds {other.spec.describe()}, {archive.path.name} "
            f"{own.spec.describe()}: prepare both alike"
        )


def open_sources(task: StudyTask[Any], archive: Archive) -> list[Source]:
    """The generators and sets of others that a study file names.

    Raises:
        UserError: one does not say what it was trained on, and nobody declares it.
    """
    settings = task.settings
    sources = [_snapshot(path) for path in settings.generator.snapshots]
    declared = _declared(settings, archive)
    for path in settings.generator.sets:
        made = open_archive(path)
        genuine = next((row.file for row in made.rows if row.real), None)
        if genuine is not None:
            raise UserError(f"{path}: {genuine} is real: generator.sets are synthetic images alone")
        task.check_set(made)
        trained, there = trained_on(made.info.snapshots), _of_each(made, archive)
        proven = trained.known
        if not proven and declared is None and settings.folds != EXTERNAL:
            raise UserError(
                f"{path}: does not say what its generator was trained on, so test images of the "
                "folds may be among that: name the groups by --trained-on groups.csv, or set "
                "'folds: external' to test on other archives only"
            )
        strange = not trained.target_groups <= ArchiveRows(archive, archive.rows).groups.keys()
        if strange and declared is None and settings.folds != EXTERNAL:
            raise UserError(
                f"{path}: its images are projections of images that {archive.path.name} does not "
                "hold, which may be of test patients: generate from projections of its training "
                "images, or name the groups by --trained-on groups.csv"
            )
        if not proven and declared is not None:
            trained = replace(trained, groups=declared.groups)
        named = {row.columns.get(NETWORK) or "" for row in made.rows} - {""}
        kind = made.info.spec
        sources.append(Source(path, trained, kind, there, not proven, frozenset(named)))
    return sources


def _of_each(made: Archive, archive: Archive) -> Mapping[str | None, float]:
    """Images of every class of the real archive, or of all where that has no classes."""
    if not archive.info.classes:
        return {UNLABELLED: len(made.rows)}
    return Counter(row.label for row in made.rows)


def _snapshot(path: Path) -> Source:
    file = find_snapshot(path)
    document = {} if is_pickle(file) else read_document(file)
    trained = trained_on([document])
    if not trained.known:
        raise UserError(
            f"{path}: does not say what it was trained on: train it here (leave "
            "generator.snapshots out), or give a snapshot of 'synthograph train'"
        )
    there = dict.fromkeys(document.get("classes") or [UNLABELLED], math.inf)
    named = frozenset((sha256_file(file)[:DIGITS],))
    spec = ImageSpec.parse(document.get("spec") or {})
    return Source(file, trained, spec, there, networks=named)


def _declared(settings: StudySettings, archive: Archive) -> Trained | None:
    """What somebody says that foreign generators were trained on."""
    path = settings.generator.trained_on
    if path is None:
        return None
    data = read_bounded(path, "table of groups", limit=MAX_TABLE)
    table = [
        cells for _, cells in parse_csv(as_text(data, str(path), "save it as UTF-8"), str(path))
    ]
    header = table[0] if table else []
    if GROUP not in header:
        raise UserError(f"{path}: has no column {GROUP!r}: name the groups there, one in a line")
    place = header.index(GROUP)
    names = {cells[place] for cells in table[1:] if len(cells) > place}
    digests = ArchiveRows(archive, archive.rows).groups
    known = {digest for digest, name in digests.items() if name in names}
    if not known:
        raise UserError(
            f"{path}: none of its {len(names)} groups is one of {archive.path.name}, whose groups "
            f"are called as {first_few(map(repr, digests.values()))}"
        )
    return Trained(frozenset(known))


def assign_sources(
    settings: StudySettings, sources: Sequence[Source], folds: Sequence[Fold]
) -> dict[tuple[int, int], Source]:
    """Which generator serves which fold and draw: of those whose record allows it, first those that
    serve most folds, then in order. So one that serves several is the same draw in all of them.

    Raises:
        UserError: a fold has too few; what the others saw is named.
    """
    found: dict[tuple[int, int], Source] = {}
    draws = settings.draws
    another = "leave generator.snapshots and generator.sets out, then one is trained per fold"
    of_fold = {f.number: {source: source.refusal(f) for source in sources} for f in folds}
    serves = {s: sum(reasons[s] is None for reasons in of_fold.values()) for s in sources}
    for fold in folds:
        reasons = of_fold[fold.number]
        able = sorted((s for s in sources if reasons[s] is None), key=lambda s: -serves[s])
        fit: list[Source] = []
        for source in able:
            twin = next((each for each in fit if each.networks & source.networks), None)
            if twin is None:
                fit.append(source)
            else:  # its images say nothing of what another training would give
                reasons[source] = f"is of the same network as {twin.path}"
        if len(fit) < draws:
            refused = [f"{s.path}: {reason}" for s, reason in reasons.items() if reason]
            way = another if not fit or len(folds) > 1 else f"set draws to {len(fit)}"
            raise UserError(
                f"{refused[0] if refused else f'fold {fold.number}'}: {len(fit)} of {len(sources)} "
                f"generators may serve it, {draws} are needed (draws): {way}"
            )
        found |= {(fold.number, draw): fit[draw] for draw in range(draws)}
    return found


def folds_together(sources: Mapping[tuple[int, int], Source]) -> list[set[int]]:
    """Folds that one generator serves, in any draw: sets of at least two.

    Args:
        sources: fold and draw to what serves them.
    """
    found: list[set[int]] = []
    for source in set(sources.values()):
        folds = {
            fold
            for (fold, _), each in sources.items()
            if each == source or each.networks & source.networks
        }
        near = [some for some in found if some & folds]
        found = [some for some in found if some not in near] + [folds.union(*near)]
    return sorted((some for some in found if len(some) > 1), key=min)


def refuse_unfit(source: Source, fold: Fold, wanted: Mapping[str, int]) -> None:
    """Refuse a generator or a set that lacks what the mixtures of a fold need.

    Args:
        source: what serves the fold.
        fold: whose training images are mixed.
        wanted: class to number of images.

    Raises:
        UserError: its images are of another size, modality or class, or too few.
    """
    spec = fold.archive.info.spec
    if source.spec != spec:
        raise UserError(
            f"{source.path}: has images of {source.spec.describe()}, {fold.archive.path.name} of "
            f"{spec.describe()}: train the generator on this archive, or prepare both alike"
        )
    for name, count in wanted.items():
        if source.there.get(name, 0) < count:
            raise UserError(
                f"{source.path}: {count} images of class {name!r} are needed for fold "
                f"{fold.number}, it has {source.there.get(name, 0)}: generate more, or ask for "
                "smaller ratios"
            )


def refuse_tested_pictures(
    settings: StudySettings,
    assigned: Mapping[tuple[int, int], Source],
    folds: Sequence[Fold],
    progress: Progress,
) -> list[str]:
    """Refuse sets that show validation or test images of a fold that they serve.

    Returns:
        Notes, see `refuse_recoded`.

    Raises:
        UserError: one does.
    """
    found = []
    for (number, _), source in assigned.items():
        if source.path in settings.generator.sets:
            fold = folds[number]
            rows = [row for row in fold.rows if row.split != "train"]
            title = f"{fold.archive.path.name}, fold {number}"
            outside = ArchiveRows(fold.archive, rows, title=title)
            found += refuse_pictures(open_archive(source.path), outside, progress)
    return found


def with_published(settings: StudySettings, progress: Progress) -> StudySettings:
    """The settings with a file where classifiers begin with published weights by their word.

    Raises:
        UserError: none are known for the backbone, or they cannot be downloaded.
    """
    if settings.probe or settings.options.get("weights") != IMAGENET:
        return settings
    backbone, track = settings.options.get("backbone"), progress.track("downloading")
    return settings.with_weights(published_file(backbone, track))


def refuse_start_seen(
    settings: StudySettings, folds: Sequence[Fold], external: Mapping[str, ArchiveRows]
) -> None:
    """Refuse first weights of a classifier that saw validation or test images.

    Raises:
        UserError: they did.
    """
    weights = settings.options.get("weights")
    if weights is None:
        return
    path = Path(str(weights))
    trained, snapshots = start_of(path)
    generators = trained_on(snapshots)
    for seen in (trained, generators):
        source = Source(path, seen, folds[0].archive.info.spec, {})
        for fold in folds:
            why = source.refusal(fold)
            if why:
                raise UserError(f"weights {path}: {why}: begin with weights that saw none of them")
        refuse_external_seen([source], external)


def refuse_external_seen(sources: Sequence[Source], external: Mapping[str, ArchiveRows]) -> None:
    """Refuse external images that a generator was trained on.

    Raises:
        UserError: it was.
    """
    for source in sources:
        for name, images in external.items():
            seen = source.trained.groups_among(images.groups)
            seen = seen or source.trained.pictures_among(images)
            if seen:
                deed = source.trained.deed("it")
                raise UserError(
                    f"{source.path}: {deed} images of external {name}, such as "
                    f"{first_few(map(repr, seen))}: test on images that it never saw"
                )


def notes(
    settings: StudySettings,
    archive: Archive,
    external: Mapping[str, ArchiveRows],
    sources: Sequence[Source],
    assigned: Mapping[tuple[int, int], Source],
) -> Iterator[str]:
    """What must stand beside the numbers."""
    yield from settings.notes
    if not has_groups(archive.rows):
        yield (
            f"{archive.path.name} names no groups: every image counts as one of its own, so images "
            "of one patient may train and test"
        )
    for name, images in external.items():
        training = {row.group for row in archive.rows if row.grouped}
        yield from same_names(training, images.groups.values(), name, archive.path.name)
    for folds in folds_together(assigned):
        yield (
            f"one generator serves folds {', '.join(map(str, sorted(folds)))}: what it does by "
            "chance it does in all of them, so a draw of it is one for all"
        )
    declared = [source.path.name for source in sources if source.declared]
    if declared:
        yield (
            f"what the generator of {first_few(declared)} was trained on is declared, not proven"
        )
