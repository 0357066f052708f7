"""Finds image files in a folder or zip, pairs them by name and labels them; decodes nothing."""

import dataclasses
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from synthograph.core.errors import UserError
from synthograph.core.names import first_few, nfc
from synthograph.core.outputs import is_run
from synthograph.core.record import SourceItem, UnreadableError
from synthograph.core.spec import MASKS
from synthograph.core.untrusted.containers import Container, open_container, unwrap, without_runs
from synthograph.core.untrusted.dataset_json import DATASET
from synthograph.sources.base import AS_IT_COMES, Reading, SourceFile
from synthograph.sources.cells import MISSING, missing_marks
from synthograph.sources.classes import are_names, name_classes
from synthograph.sources.cohorts.record import Cohort
from synthograph.sources.cohorts.rows import Wanted, read_cohort
from synthograph.sources.facts import Facts, Told, gather_facts, reject_unlabelled, without_names
from synthograph.sources.folders import folder_of, parse_folders
from synthograph.sources.foreign import Foreign, kinds_of
from synthograph.sources.items import empty_files, items_of, remark_left_out
from synthograph.sources.listing import read_listing
from synthograph.sources.masks import BESIDE, NONE, masks_beside, offer_masks, set_apart
from synthograph.sources.pairing import check_modality, pair_by_name, pair_sequences
from synthograph.sources.readers import (
    FileDecoder,
    is_image,
    known_formats,
    left_out_of,
    sort_out,
    stem_key,
)
from synthograph.sources.sequences import by_ending
from synthograph.sources.split_files import read_split_files
from synthograph.sources.tables import LabelTable


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSourceOptions:
    """Where image files, their partners and their labels are.

    Attributes:
        source: folder (searched with all sub-folders) or zip file.
        primary: name of the modality that the files of `source` are.
        modalities: name -> folder or zip of a further modality, paired by relative name without
            extension.
        masks: folder or zip of class-id masks, paired likewise; an image may lack one. `beside`
            for those that are found beside images (`find_masks`).
        mask_suffix: what the name of a mask has more than that of its image, of masks beside images
            or in `masks`; `none` where files that look like masks are images.
        table: CSV or TSV with labels, groups and further columns, or a .json in a form of
            dataset.json.
        columns: role (file, label, group, split) -> header of `table`.
        name_regex: pattern searched in every relative name; its named groups become columns,
            `label`, else `class`, the label, `group`, else `patient`, the group, `split` the split.
        missing: cells and names that are no label, group or split.
        folders: roles of the folders below SOURCE, such as `split/class/patient`.
        split_files: lists of files by split, such as `train.txt` or `test=holdout.txt`.
        cohort: public cohort that the files are of.
        reading: what is wanted of files that hold several images.
        sequences: last words of file names, such as T1w and FLAIR, that make modalities of the
            files of one examination; the first one is the primary.
    """

    source: Path
    primary: str = "image"
    modalities: Mapping[str, Path] = field(default_factory=dict)
    masks: Path | None = None
    mask_suffix: str | None = None
    table: Path | None = None
    columns: Mapping[str, str] | None = None
    name_regex: str | None = None
    missing: Sequence[str] = MISSING
    folders: str | None = None
    split_files: Sequence[str] = ()
    cohort: Wanted | None = None
    reading: Reading = AS_IT_COMES
    sequences: Sequence[str] = ()

    def told(self) -> Told:
        """What the user says of the images.

        Raises:
            UserError: a table, list, pattern or word for folders that cannot be read.
        """
        if self.columns and self.table is None:
            raise UserError("--column chooses columns of a table; give one with --labels TABLE")
        table = self.table
        return Told(
            table=None if table is None else LabelTable.read(table, self.columns, self.missing),
            split_lists=read_split_files(self.split_files) if self.split_files else None,
            name_regex=self.name_regex,
            levels=None if self.folders is None else parse_folders(self.folders),
            missing=self.missing,
        )


@dataclass(frozen=True, slots=True)
class RejectedFile:
    """A file that cannot be read as an image, and the reason."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class FileSource:
    """What was found, before any file is decoded.

    Attributes:
        items: one per image, sorted by name.
        classes: class names in the order that a dataset.json states, numbers in numeric order, else
            None.
        rejects: images without row, label or modality partner, and files that cannot be opened.
        remarks: where labels come from, and what was ignored, with counts.
        split_origin: what gave the images their split; None where nothing did.
        left_out: file -> reason -> how many of its images are not wanted.
    """

    items: list[SourceItem]
    classes: list[str] | None
    rejects: list[RejectedFile]
    remarks: list[str]
    split_origin: str | None = None
    left_out: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def read_files(options: FileSourceOptions) -> FileSource:
    """Find the images of a source and what is known about them; nothing is decoded.

    Labels, groups and splits come each from the first place that has them: the table, the lists by
    split, the name pattern, the folders as the user names them, a dataset.json in SOURCE (or beside
    it, where it lists files of SOURCE), folders whose role is unmistakable (`guess_levels`). Where
    the user gives labels, a dataset.json neither gives any nor rejects an image that it lacks.

    Raises:
        UserError: nothing there, no image, an unsafe zip, a broken table or dataset.json, a listed
            file that is missing, a table or partner folder that fits no image, or a pairing with
            two candidates.
    """
    found = _find(options)
    told = options.told()
    listing = read_listing(found.source, found.names, found.remarks, needed=not told.labels)
    images = _select(found, listing, needed=not told.labels)
    if options.sequences:
        images = _sort_sequences(found, images, options.sequences)
    apart = set_apart(images, found.source.path, options.mask_suffix, given=MASKS in found.partners)
    if apart.masks:
        found.partners[MASKS], found.files[MASKS] = found.source, apart.masks
    found.remarks += apart.remarks
    images = apart.images
    told = dataclasses.replace(told, listing=listing)
    if options.cohort is not None:
        marks = missing_marks(options.missing)
        cohort = read_cohort(options.cohort, found.source, found.everything, images, marks)
        found.remarks += cohort.remarks
        images = [name for name in images if name not in cohort.left_out]
        told = dataclasses.replace(told, cohort=cohort)
    facts = gather_facts(images, told, folder=found.source.name, remarks=found.remarks)
    facts = facts if options.reading.dicom.salt is None else without_names(facts)
    label_facts = next((f for f in facts if f.has_label), None)
    split_facts = next((f for f in facts if f.has_split), None)
    rejected = reject_unlabelled(images, facts, label_facts, split_facts)
    pairs, unpaired = _pair_all(found, images)
    rejected |= {name: why for name, why in unpaired.items() if name not in rejected}
    kept = [name for name in images if name not in rejected]
    labels, classes = _name_labels(kept, label_facts, facts, found, options.reading)
    items: list[SourceItem] = []
    seen: dict[str, str] = {}
    left_out: dict[str, Mapping[str, int]] = {}
    for name in kept:
        decoder = _decoder(options, found, pairs, name)
        try:
            items += items_of(decoder, labels.get(name), facts, split_facts, seen)
            counts = left_out_of(SourceFile(found.source, name), options.reading)
            left_out |= {name: counts} if counts else {}
        except UnreadableError as error:
            rejected[name] = str(error)
    found.remarks += remark_left_out(left_out)
    empty = empty_files(kept, items, rejected, seen)
    found.remarks += [empty] if empty else []
    _remark_groups(items, facts, found)
    found.remarks += _on_columns(items, facts)
    found.rejects.extend(RejectedFile(name, reason) for name, reason in rejected.items())
    return FileSource(
        items, classes, found.rejects, found.remarks, _split_origin(split_facts), left_out
    )


def _on_columns(items: Sequence[SourceItem], facts: Sequence[Facts]) -> Iterator[str]:
    """Remarks on columns with a meaning of their own."""
    synthetic = sum(item.origin == "synthetic" for item in items)
    if synthetic:
        yield f"{synthetic} image(s) are synthetic, as a column origin says"
    for place in facts:
        for key in place.renamed():
            yield f"column {key} of {place.origin} is kept as table_{key}: the name is taken"


def _split_origin(place: Facts | None) -> str | None:
    return None if place is None else Path(place.origin).name


@dataclass(slots=True)
class _Found:
    """The containers, and what has to be reported."""

    source: Container
    names: list[str]
    partners: dict[str, Container]
    files: dict[str, list[str]]
    rejects: list[RejectedFile]
    remarks: list[str]
    images: set[str] = field(default_factory=set)
    foreign: dict[str, Foreign] = field(default_factory=dict)
    mask_suffix: str = ""
    everything: Sequence[str] = ()
    """All files of the source, also those that are partners of images."""
    tables: frozenset[str] = frozenset()
    """Names of tables of a cohort, in lower case, which are read as such."""
    paired: dict[str, Mapping[str, str]] = field(default_factory=dict)
    """Partners that were found beside images: modality, or masks -> image -> file."""
    unpaired: Mapping[str, str] = field(default_factory=dict)
    """Image -> why a sequence of it is missing."""


def _find(options: FileSourceOptions) -> _Found:
    """Open all containers and divide their files: those in a partner folder are not primary."""
    source = unwrap(open_container(options.source, "SOURCE"))
    if is_run(options.source):
        raise UserError(f"{source}: is a run directory; make images with 'synthograph generate'")
    partners = {
        name: open_container(path, f"--modality {name}")
        for name, path in options.modalities.items()
    }
    for name in (options.primary, *partners):
        _check_modality(name, options)
    beside = options.masks == Path(BESIDE) and not options.masks.exists()
    if options.masks is not None and not beside:
        partners[MASKS] = open_container(options.masks, "--masks")
    everything = [source, *partners.values()]
    listing = without_runs(source.members())
    found = _Found(source, [], partners, {}, [], list(listing.remarks))
    found.names = _without_nested(listing.names, source, everything)
    found.everything = found.names
    found.images, found.foreign = sort_out(source, found.names)
    found.mask_suffix = "" if options.mask_suffix in (None, NONE) else str(options.mask_suffix)
    broken = dict(listing.broken)
    for name in _without_nested(tuple(broken), source, everything):
        if is_image(name):
            found.rejects.append(RejectedFile(name, broken[name]))
        elif name == DATASET:
            raise UserError(f"{source}/{DATASET}: {broken[name]}")
        else:
            found.remarks.append(f"{name} is ignored: {broken[name]}")
    for name, container in partners.items():
        _find_partners(found, name, container, everything)
    if beside:
        masks = masks_beside([name for name in found.names if name in found.images], str(source))
        _pair(found, MASKS, {image: mask for mask, image in masks.owners.items() if image})
        found.files[MASKS] = list(masks.owners)
        _set_apart(found, masks.owners)
    if options.cohort is not None:
        _know_cohort(found, options.cohort.cohort, sort=not options.modalities)
    return found


def _know_cohort(found: _Found, cohort: Cohort, *, sort: bool) -> None:
    """Know the tables of a cohort, and sort out its sequences, which lie in one folder."""
    found.tables = frozenset(n.casefold() for table in cohort.tables for n in table.names)
    if not sort or not cohort.sequences:
        return
    images = [name for name in found.names if name in found.images]
    masks = () if MASKS in found.partners else cohort.masks
    sets = by_ending(images, cohort.sequences, masks)
    for kind, pairs in sets.partners.items():
        _pair(found, kind, pairs)
    taken = set(sets.images)
    _set_apart(found, (name for name in images if name not in taken))
    if sets.others:
        found.remarks.append(
            f"{len(sets.others)} file(s) are none of {', '.join(cohort.sequences)} and ignored: "
            f"{first_few(sets.others)}"
        )


def _sort_sequences(found: _Found, names: Sequence[str], words: Sequence[str]) -> list[str]:
    """The files of the first sequence; those of the others become its partners."""
    images, partners, found.unpaired = pair_sequences(names, words)
    for word, files in partners.items():
        _pair(found, word, files)
    return images


def _pair(found: _Found, kind: str, pairs: Mapping[str, str]) -> None:
    """Know files of the source as a modality, or the masks, of images."""
    found.partners[kind], found.files[kind] = found.source, list(pairs.values())
    found.paired[kind] = pairs


def _set_apart(found: _Found, names: Iterable[str]) -> None:
    """Files of the source that are no images of its own."""
    gone = set(names)
    found.names = [name for name in found.names if name not in gone]
    found.images = found.images.difference(gone)


def _find_partners(
    found: _Found, name: str, container: Container, everything: Sequence[Container]
) -> None:
    """Sort out the files of a further modality, or the masks."""
    inner = container.members()
    reasons = {file: why for file, why in inner.broken if is_image(file)}
    bad = _without_nested(reasons, container, everything)
    found.rejects += [RejectedFile(f"{name}/{file}", reasons[file]) for file in bad]
    found.remarks.extend(f"{name}: {remark}" for remark in inner.remarks)
    files = _without_nested(inner.names, container, everything)
    known, foreign = sort_out(container, files)
    found.files[name] = [file for file in files if file in known]
    left_out = f"{len(foreign)} file(s) are left out: {kinds_of(foreign)}"
    if foreign and found.files[name]:
        found.remarks.append(f"{name}: {left_out}")
    elif foreign:
        raise UserError(f"{name} in {container}: {left_out}")
    if bad and not found.files[name]:
        raise UserError(f"{name} in {container}: {len(bad)} file(s), {bad[0]}: {reasons[bad[0]]}")


def _check_modality(name: str, options: FileSourceOptions) -> None:
    check_modality(name)
    if name in options.modalities and name == options.primary:
        raise UserError(f"modality {name!r} is given twice; name SOURCE itself otherwise")


def _without_nested(
    names: Iterable[str], container: Container, everything: Sequence[Container]
) -> list[str]:
    """Names that do not belong to another container that lies inside this one."""
    places = [other.inside(container) for other in everything if other is not container]
    if "" in places:
        raise UserError(f"{container} is given twice; every modality needs a folder of its own")
    inner = tuple(place for place in places if place is not None)
    return [name for name in names if not name.startswith(inner)]


def _select(found: _Found, listing: LabelTable | None, *, needed: bool) -> list[str]:
    """The primary images: all, or those in folders of which dataset.json lists a file.

    Raises:
        UserError: there is no image, or a dataset.json that is needed lists one that is missing.
    """
    listed = {nfc(row.file): row for row in listing.rows} if listing else {}
    images = [n for n in found.names if n in found.images or nfc(n) in listed]
    _remark_others(found, set(images))
    folders = {folder_of(name) for name in listed}
    foreign = {
        name: kind
        for name, kind in found.foreign.items()
        if name not in images and (not listed or folder_of(nfc(name)) in folders)
    }
    found.rejects += [RejectedFile(name, kind.reason) for name, kind in foreign.items()]
    if not images and foreign:
        raise UserError(f"{found.source}: holds no image that is read: {kinds_of(foreign)}")
    if not images:
        kinds = ", ".join(sorted({PurePosixPath(n).suffix or n for n in found.names})[:8])
        there = kinds or "; ".join(found.remarks) or "nothing"
        raise UserError(
            f"{found.source}: holds no {known_formats()} image (found: {there}); "
            "give the folder that the images are in"
        )
    if listing is None or not listed:
        return images
    missing = listed.keys() - set(map(nfc, images))
    if missing and not needed:
        found.remarks.append(f"{listing.origin} lists {len(missing)} file(s) that are not there")
        listed = {key: row for key, row in listed.items() if key not in missing}
        if not listed:
            return images
    elif missing:
        first = next(row.file for key, row in listed.items() if key in missing)
        raise UserError(
            f"{listing.origin}: lists {len(missing)} file(s) that are not there, first {first!r}; "
            "restore them or take them out of the list"
        )
    ignored = Counter(folder_of(n) for n in images if folder_of(nfc(n)) not in folders)
    counts = ignored.most_common()
    found.remarks += [
        f"{count} image file(s) in {folder or '.'}/ are ignored: {DATASET} lists none of that "
        f"folder{'' if MASKS in found.partners else offer_masks(found.source.path, folder)}"
        for folder, count in counts[:5]
    ]
    if counts[5:]:
        rest = sum(count for _, count in counts[5:])
        found.remarks.append(
            f"{rest} image file(s) in {len(counts) - 5} more folders are ignored likewise"
        )
    return [n for n in images if folder_of(nfc(n)) in folders]


def _remark_others(found: _Found, images: set[str]) -> None:
    known = {*images, *found.foreign, DATASET}
    paths = [PurePosixPath(n) for n in found.names if n not in known]
    paths = [path for path in paths if path.name.casefold() not in found.tables]
    others = Counter(path.suffix.lower() or path.name for path in paths)
    if others:
        kinds = first_few([f"{kind} {count}" for kind, count in others.most_common()], 6)
        found.remarks.append(f"{others.total()} file(s) are no images and ignored: {kinds}")


def _pair_all(
    found: _Found, images: Sequence[str]
) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Partner files by modality and image, and image -> reason where one is missing."""
    pairs: dict[str, dict[str, str]] = {}
    unpaired: dict[str, str] = dict(found.unpaired)
    for modality in found.partners:
        files, where = found.files[modality], f"{modality} in {found.partners[modality]}"
        suffix = found.mask_suffix if modality == MASKS else ""
        if modality in found.paired:
            kept = set(images)
            pairs[modality] = {i: file for i, file in found.paired[modality].items() if i in kept}
        else:
            pairs[modality] = pair_by_name(images, files, where=where, suffix=suffix)
        surplus = len(files) - len(pairs[modality])
        if surplus:
            found.remarks.append(f"{surplus} {modality} file(s) fit no image and are ignored")
        without = [name for name in images if name not in pairs[modality]]
        if modality == MASKS:
            if without:
                found.remarks.append(f"{len(without)} image(s) have no mask: {first_few(without)}")
            continue
        for name in without:
            unpaired.setdefault(name, f"no {modality} image named {stem_key(name)!r}")
    return pairs, unpaired


def _name_labels(
    kept: Sequence[str],
    label_facts: Facts | None,
    facts: Sequence[Facts],
    found: _Found,
    reading: Reading,
) -> tuple[dict[str, str], list[str] | None]:
    """Image -> class name, and the classes in order."""
    if label_facts is None:
        vectors = next((place.origin for place in facts if place.has_vector), None)
        drawn = reading.slides is not None and reading.slides.regions is not None
        other = "labels come from polygons on slides" if drawn else "no labels found"
        found.remarks.append(f"label vectors come from {vectors}" if vectors else other)
        return {}, None
    unused = [f.origin for f in facts if f is not label_facts and (f.has_label or f.has_vector)]
    instead = f", not from {', '.join(unused)}" if unused else ""
    found.remarks.append(f"labels come from {label_facts.origin}{instead}")
    rows = {name: label_facts.rows[name] for name in kept}
    known = next((place for place in facts if place.classes), None)
    classes, names = known.classes if known else None, False
    if known is not None and classes is not None and known is not label_facts:
        own_labels = known.rows if known.has_label else {}
        agreed = are_names(rows, own_labels, classes, label_facts.origin)
        names = bool(agreed)
        if agreed is None:
            classes = None
            found.remarks.append(
                f"classes are not named by {known.origin}, since its own labels differ from those "
                f"of {label_facts.origin}"
            )
    named, order = name_classes(rows.values(), classes, label_facts.origin, names=names)
    if classes is not None and order != list(classes):
        found.remarks.append(f"classes of {DATASET} are not used: the labels are other words")
    return {name: named[row.label or ""] for name, row in rows.items()}, order


def _decoder(
    options: FileSourceOptions, found: _Found, pairs: Mapping[str, Mapping[str, str]], name: str
) -> FileDecoder:
    first = options.sequences[0] if options.sequences else options.primary
    parts = [(first, found.source, name)]
    parts += [(m, found.partners[m], pairs[m][name]) for m in found.partners if m != MASKS]
    mask = pairs.get(MASKS, {}).get(name)
    masks = (found.partners[MASKS], mask) if mask else None
    return FileDecoder(tuple(parts), masks, reading=options.reading)


def _remark_groups(items: Sequence[SourceItem], facts: Sequence[Facts], found: _Found) -> None:
    grouped = next((place for place in facts if place.has_group), None)
    if grouped is None:
        return
    found.remarks.append(f"groups come from {grouped.origin}")
    alone = [item.name for item in items if item.group is None]
    if alone:
        found.remarks.append(f"{len(alone)} image(s) have no group there: {first_few(alone)}")
