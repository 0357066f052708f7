"""Real training images and synthetic ones in one archive."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from synthograph.archive.batches import ArchiveRows
from synthograph.archive.linked import Pick, numbered, refuse_inputs, write_copied, write_linked
from synthograph.archive.manifest import UNLABELLED, Row, count_labels
from synthograph.archive.merge import merged, merged_info
from synthograph.archive.reader import Archive, ArchiveInfo, open_archive
from synthograph.archive.writer import refuse_destination
from synthograph.core.commands import TYPED
from synthograph.core.errors import UserError
from synthograph.core.names import first_few
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.downstream import mixing
from synthograph.downstream.mixing import DUPLICATE_OF, Amounts, Control, Counts
from synthograph.metrics.overlap import trained_on
from synthograph.workflows.downstream_requests import MixRequest
from synthograph.workflows.leaks import (
    refuse_alike,
    refuse_crossing,
    refuse_pictures,
    refuse_recoded,
)
from synthograph.workflows.mix_tables import open_set, refuse_real_table
from synthograph.workflows.requests import MAX_IMAGES
from synthograph.workflows.tables import rows_lines

UNRECORDED = {"dest", "force", "dry_run", "link"}
"""Fields of a request that decide nothing of the mixture."""
ALL = "all"
"""As many synthetic images as there were real ones."""
SETS = "the synthetic sets"
ORIGIN_FILE = "file_in_set"
"""Column of synthetic images: the file in the set that they were taken from."""


@dataclass(frozen=True, repr=False)
class MixResult(Result):
    """An archive of real and synthetic images.

    Attributes:
        dest: where it is; None for a dry run.
        real: training images of each class before, classes in order.
        kept: those that are still there.
        added: what joined, of each class.
        control: what stands for the synthetic images.
        notes: what to know of it.
    """

    dest: Path | None
    real: Counts
    kept: Counts
    added: Counts
    control: Control
    notes: Sequence[str]

    def lines(self) -> Iterator[str]:
        """Images of the training split by class, before and after."""
        joined = "repeated" if self.control is Control.DUPLICATES else "synthetic"
        rows = []
        for name, before in self.real.items():
            kept, added = self.kept[name], self.added[name]
            rows.append((name, before, kept, added, kept + added))
        yield from rows_lines(("training images", "real", "real kept", joined, "in all"), rows)
        yield from (f"note: {note}" for note in self.notes)
        if self.dest is not None:
            yield f"{self.dest}"


def run(request: MixRequest, *, progress: Progress) -> MixResult:
    """Mix, by one rule. Only the training split changes: validation and test stay real.

    Raises:
        UserError: the inputs do not fit each other, the generator saw images outside the training
            split, there are too few synthetic images, or an option breaks a rule.
    """
    if not request.dry_run or request.dest:
        refuse_destination(request.place("dest"), replace=request.force)
    control, rule = Control(request.control), request.rule()
    for path in request.real:
        refuse_real_table(path)
    reals = [open_archive(path) for path in request.real]
    sets = [open_set(path, progress, link=request.link) for path in request.synthetic]
    if request.dest:
        refuse_inputs(request.dest, [*reals, *sets])
    _check_reals(reals)
    if control.synthetic and not request.only_real and not sets:
        raise UserError("--synthetic is missing: name one or more sets of 'synthograph generate'")
    info, picks = merged_info(reals), merged(reals)
    _check_sets(info, reals[0], sets)
    notes = [note for real in reals for note in _check_generators(real, sets)]
    notes += [note for real in reals for note in _check_pictures(real, reals, sets, progress)]
    rows = [pick.becomes for pick in picks if pick.becomes.split == "train"]
    counts = count_labels(rows, info.classes)
    published = _published(request, counts, sets)
    amounts = Amounts({}, {}) if published else _amounts(request, rule, counts)
    for line in _understood(request, published, amounts):
        progress.log(line)
    kept = _kept(rows, counts, amounts, request.seed)
    made = [row for each in sets for row in each.rows]
    if published:
        drawn = mixing.take_seeds(made, published, SETS)
    else:
        drawn = _draw(request, amounts.added, _by_class(kept, counts), _by_class(made, counts))
    left = dict.fromkeys(counts, 0) | count_labels(kept, info.classes)
    added = {name: len(drawn.get(name, ())) for name in counts}
    for name in counts:
        if counts[name] and not left[name] and not added[name]:
            raise UserError(f"class {name!r} would have no training image: ask for more of it")
    dest = None if request.dry_run else request.dest
    if dest is not None:
        mixed = _mixed(picks, sets, kept, drawn, control)
        _write(request, info, reals, sets, mixed, progress)
    return MixResult(dest, counts, left, added, control, list(dict.fromkeys(notes)))


def _check_reals(reals: Sequence[Archive]) -> None:
    for real in reals:
        _check_real(real)
    for one, other in combinations(reals, 2):  # two spellings of a patient in one namespace
        if one.info.namespace and one.info.namespace == other.info.namespace:
            rows = [*one.rows, *other.rows]
            refuse_alike((row.group for row in rows if row.grouped), other.path)


def _check_real(real: Archive) -> None:
    if not any(row.real for row in real.rows):
        raise UserError(
            f"{real.path}: holds synthetic images: repeat --synthetic before each set of them"
        )
    if not any(row.split for row in real.rows):
        raise UserError(
            f"{real.path}: is not split, and only training images are mixed: run 'synthograph "
            f"split {real.path}' first"
        )
    if real.info.mixture is not None:
        raise UserError(
            f"{real.path}: is a mixture already: mix the archive of real images that it was made of"
        )
    ArchiveRows(real, real.rows).real()
    refuse_crossing(real.rows, real.path)
    train = [row for row in real.rows if row.split == "train"]
    if not train:
        raise UserError(f"{real.path}: has no images in split train, and only those are mixed")
    if real.info.classes and any(row.label is None for row in train):
        raise UserError(
            f"{real.path}: images without a class cannot be mixed by class: prepare them with "
            "--labels"
        )


def _check_sets(info: ArchiveInfo, real: Archive, sets: Sequence[Archive]) -> None:
    for each in sets:
        if each.info.spec != info.spec:
            raise UserError(
                f"{each.path}: holds images of {each.info.spec.describe()}, {real.path} "
                f"of {info.spec.describe()}: generate from a network that was trained on this "
                "archive, or prepare both alike"
            )
        genuine = next((row.file for row in each.rows if row.real), None)
        if genuine is not None:
            raise UserError(
                f"{each.path}: {genuine} is real: --synthetic takes sets of 'synthograph generate'"
            )
    for one, other in combinations(sets, 2):
        if one.images_hash == other.images_hash:
            raise UserError(f"{other.path}: holds the images of {one.path} again: name it once")


def _check_generators(real: Archive, sets: Sequence[Archive]) -> list[str]:
    """Refuse generators that saw images which choose or report; notes on what cannot be known."""
    notes = []
    outside = ArchiveRows(real, [row for row in real.rows if row.split != "train"])
    inside = ArchiveRows(real, [row for row in real.rows if row.split == "train"])
    for each in sets:
        trained = trained_on(each.info.snapshots)
        deed, way = trained.deed("its generator"), "train it on split train of this archive"
        if trained.projections:
            way += ", and project images of that alone"
        seen = trained.groups_among(outside.groups)
        if seen:
            raise UserError(
                f"{each.path}: {deed} {len(seen)} groups of {real.path} outside the training "
                f"split, such as {first_few(map(repr, seen))}: {way}"
            )
        copies = trained.pictures_among(outside)
        if copies:
            raise UserError(
                f"{each.path}: {deed} {len(copies)} images that equal validation or test images "
                f"of {real.path}, such as {first_few(copies)}: {way}"
            )
        if not trained.target_groups <= inside.groups.keys():
            notes.append(
                f"images of {each.path} are projections of images that {real.path} does not hold "
                "in split train: whether these are of validation or test patients is not known"
            )
        if not trained.known:
            notes.append(
                f"{each.path} does not say what its generator was trained on, so whether it saw "
                "validation or test images cannot be checked"
            )
        if trained.groups and trained.groups.isdisjoint(inside.groups):
            notes.append(
                f"the generator of {each.path} was trained on other groups than {real.path} has"
            )
    return notes


def _check_pictures(
    real: Archive, reals: Sequence[Archive], sets: Sequence[Archive], progress: Progress
) -> list[str]:
    """Refuse training images, real or synthetic, that show what chooses or reports."""
    notes = []
    rows = [row for row in real.rows if row.split in ("val", "test")]
    outside = ArchiveRows(real, rows, title=f"{real.path.name}:val,test")
    for each in sets:
        notes += refuse_pictures(each, outside, progress)
    for each in reals:
        train = ArchiveRows(each, [row for row in each.rows if row.split == "train"])
        what = f"training images of {each.path.name}"
        notes += refuse_recoded(outside, train, what, progress)
    return notes


class PerClass(NamedTuple):
    """A rule that takes a number per class.

    Attributes:
        amounts: of the real images by class and the numbers.
        most: largest number that makes sense.
        whole: whether the numbers count images.
    """

    amounts: Callable[[Counts, Mapping[str, float]], Amounts]
    most: float
    whole: bool = False


PER_CLASS: Mapping[str, PerClass] = {
    "add": PerClass(mixing.add, MAX_IMAGES, whole=True),
    "add_percent": PerClass(mixing.add_percent, 100 * mixing.MAX_TIMES),
    "replace": PerClass(mixing.replace, 1),
    "only_synthetic": PerClass(mixing.only_synthetic, MAX_IMAGES, whole=True),
}


def _amounts(request: MixRequest, rule: str, counts: Counts) -> Amounts:
    """What leaves and joins each class."""
    if request.only_real:
        return Amounts({}, {})
    if request.top_up is not None:
        return mixing.top_up(counts, request.top_up)
    if request.synt_n_imgs is not None:
        asked = mixing.by_thousands(request.synt_n_imgs, list(counts), limit=MAX_IMAGES)
        return mixing.add(counts, asked)
    amounts, most, whole = PER_CLASS[rule]
    words, flag = [word for word in getattr(request, rule) if word != ALL], request.flags()[rule]
    return amounts(counts, mixing.per_class(words, list(counts), flag, limit=most, whole=whole))


def _published(
    request: MixRequest, counts: Counts, sets: Sequence[Archive]
) -> list[mixing.Taken] | None:
    """What a file of amounts asks for; None without one."""
    if request.amounts is None:
        return None
    if request.control != Control.NONE.value:
        raise UserError(
            f"--control {request.control}: --amounts names the synthetic images themselves: ask "
            "for the same numbers with --add"
        )
    known = list(dict.fromkeys(name for each in sets for name in each.info.classes))
    return mixing.read_published(request.amounts, known, list(counts))


def _understood(
    request: MixRequest, published: Sequence[mixing.Taken] | None, amounts: Amounts
) -> Iterator[str]:
    """What was understood of an option in the words of another project."""
    yield from (f"understood: {each}" for each in published or ())
    if request.synt_n_imgs is not None:
        yield from (f"understood: {n} of class {name}" for name, n in amounts.added.items())


def _draw(
    request: MixRequest,
    wanted: Counts,
    kept: Mapping[str, Sequence[Row]],
    made: Mapping[str, Sequence[Row]],
) -> dict[str, list[Row]]:
    """What joins each class: synthetic images, or the real ones that are left, again."""
    control = Control(request.control)
    if control is Control.AUGMENTATION:
        return {}
    if control is Control.DUPLICATES:
        return mixing.draw_again(kept, wanted, request.seed)
    drawn = mixing.draw(made, wanted, request.seed, SETS)
    return mixing.shuffle_labels(drawn, request.seed) if control is Control.SHUFFLED else drawn


def _by_class(rows: Sequence[Row], counts: Counts) -> dict[str, list[Row]]:
    if UNLABELLED in counts:
        return {UNLABELLED: list(rows)}
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row.label or "", []).append(row)
    return found


def _kept(rows: Sequence[Row], counts: Counts, amounts: Amounts, seed: int) -> list[Row]:
    """The training rows that stay, in their order."""
    leaving = mixing.draw(_by_class(rows, counts), amounts.removed, seed, "the training split")
    gone = {id(row) for some in leaving.values() for row in some}
    return [row for row in rows if id(row) not in gone]


def _mixed(
    real: Sequence[Pick],
    sets: Sequence[Archive],
    kept: Sequence[Row],
    drawn: Mapping[str, Sequence[Row]],
    control: Control,
) -> list[Pick]:
    """Every image of the mixture: the real ones in their order, then what joins by class."""
    stay, home = {id(row) for row in kept}, {id(pick.becomes): pick for pick in real}
    home |= {id(row): Pick(each, row, row) for each in sets for row in each.rows}
    picks = [p for p in real if p.becomes.split != "train" or id(p.becomes) in stay]
    for label, rows in drawn.items():
        for pick in (home[id(row)] for row in rows):
            row, file = pick.becomes, pick.row.file
            if control is Control.DUPLICATES:
                becomes = replace(row, fold=None, columns={**row.columns, DUPLICATE_OF: file})
            else:
                columns = {**row.columns, ORIGIN_FILE: file}
                name = None if label == UNLABELLED else label
                becomes = replace(row, label=name, split="train", fold=None, columns=columns)
            picks.append(replace(pick, becomes=becomes))
    return picks


def _write(
    request: MixRequest,
    info: ArchiveInfo,
    reals: Sequence[Archive],
    sets: Sequence[Archive],
    picks: Sequence[Pick],
    progress: Progress,
) -> None:
    """Write the mixture: links to the images, or their files as they are."""
    used = sets if Control(request.control).synthetic else []
    snapshots = [document for each in used for document in each.info.snapshots]
    mixture = request.model_dump(mode="json", exclude={*UNRECORDED, "real", "synthetic"})
    info = info.model_copy(update={"snapshots": snapshots, "mixture": mixture})
    if request.link:
        write_linked(request.place("dest"), info, numbered(picks), replace=request.force)
        return
    command = {
        TYPED: request.command_line(),
        "mix": request.model_dump(mode="json", exclude=UNRECORDED),
        "of": [[each.manifest_hash, each.images_hash] for each in (*reals, *sets)],
    }
    track = progress.track("mixing")
    write_copied(request.place("dest"), info, picks, command, replace=request.force, track=track)
