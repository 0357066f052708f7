"""Image files in a folder or zip: found, paired by name and labelled; decoded by workers later."""

import dataclasses
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from synthograph.core.errors import UserError
from synthograph.core.names import first_few, nfc
from synthograph.core.outputs import is_run
from synthograph.core.record import SourceItem, UnreadableError
from synthograph.core.untrusted.containers import (
    Container,
    Folder,
    open_container,
    unwrap,
    without_runs,
)
from synthograph.core.untrusted.dataset_json import DATASET
from synthograph.core.untrusted.documents import as_text
from synthograph.sources.classes import are_names, name_classes
from synthograph.sources.pairing import folder_above, is_image, pair_by_name, stem_key
from synthograph.sources.raster import FileDecoder
from synthograph.sources.tables import LabelTable, Row, compile_name_regex, read_dataset_json

MASKS = "masks"
# Names that a manifest needs for itself; a further column of that name is kept as `table_<name>`
_RESERVED = frozenset(
    "file label group split fold origin network seed truncation source_file".split()
)
_MODALITY = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")
_PUBLISHED_FOLDER = re.compile(r"\d{5}")


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSourceOptions:
    """Where image files, their partners and their labels are.

    Attributes:
        source: folder (searched with all sub-folders) or zip file.
        primary: name of the modality that the files of `source` are.
        modalities: name -> folder or zip of a further modality, paired by relative name without
            extension.
        masks: folder or zip of class-id masks, paired likewise; an image may lack one.
        table: CSV or TSV with labels, groups and further columns, or a .json in a form of
            dataset.json.
        columns: role (file, label, group) -> header of `table`.
        name_regex: pattern searched in every relative name; its named groups become columns,
            `label` the label and `group`, else `patient`, the group.
    """

    source: Path
    primary: str = "image"
    modalities: Mapping[str, Path] = field(default_factory=dict)
    masks: Path | None = None
    table: Path | None = None
    columns: Mapping[str, str] | None = None
    name_regex: str | None = None


@dataclass(frozen=True, slots=True)
class RejectedFile:
    """A file that cannot become an image, and why."""

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
    """

    items: list[SourceItem]
    classes: list[str] | None
    rejects: list[RejectedFile]
    remarks: list[str]


def read_files(options: FileSourceOptions) -> FileSource:
    """Find the images of a source and what is known about them; nothing is decoded.

    Labels come from the first of: the table, a dataset.json in SOURCE (or beside it, where it lists
    files of SOURCE), the group `label` of the name pattern, class sub-folders (every image in a
    folder directly below SOURCE, at least two such folders, and not all named by five digits as
    published archives are). Groups come from the table, a dataset.json with `meta`, or the pattern.

    Raises:
        UserError: nothing there, no image, an unsafe zip, a broken table or dataset.json, a listed
            file that is missing, a table or partner folder that fits no image, or a pairing with
            two candidates.
    """
    found = _find(options)
    listing = _read_listing(found)
    images = _select(found, listing)
    facts = _facts(options, found, listing, images)
    label_facts = next((f for f in facts if f.has_label), None)
    rejected = _reject_unlabelled(images, facts, label_facts)
    pairs, unpaired = _pair_all(found, images)
    for name in unpaired:
        rejected.setdefault(name, unpaired[name])
    kept = [name for name in images if name not in rejected]
    labels, classes = _name_labels(kept, label_facts, facts, found)
    decoders = {name: _decoder(options, found, pairs, name) for name in kept}
    items = [_item(name, decoders[name], labels.get(name), facts) for name in kept]
    _remark_groups(items, facts, found)
    _remark_renamed(facts, found)
    found.rejects.extend(RejectedFile(name, reason) for name, reason in rejected.items())
    return FileSource(items, classes, found.rejects, found.remarks)


@dataclass(slots=True)
class _Found:
    """The containers, and what is to be reported."""

    source: Container
    names: list[str]
    partners: dict[str, Container]
    files: dict[str, list[str]]
    rejects: list[RejectedFile]
    remarks: list[str]


@dataclass(frozen=True, slots=True)
class _Facts:
    """What one place says about images."""

    origin: str
    rows: Mapping[str, Row]
    has_label: bool = False
    has_group: bool = False
    classes: Sequence[str] | None = None
    missing: str | None = None

    @property
    def has_vector(self) -> bool:
        return any("y.0" in row.columns for row in self.rows.values())


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
    if options.masks is not None:
        partners[MASKS] = open_container(options.masks, "--masks")
    everything = [source, *partners.values()]
    listing = without_runs(source.members())
    found = _Found(source, [], partners, {}, [], list(listing.remarks))
    found.names = _without_nested(listing.names, source, everything)
    broken = dict(listing.broken)
    for name in _without_nested(tuple(broken), source, everything):
        if is_image(name):
            found.rejects.append(RejectedFile(name, broken[name]))
        elif name == DATASET:
            raise UserError(f"{source}/{DATASET}: {broken[name]}")
        else:
            found.remarks.append(f"{name} is ignored: {broken[name]}")
    for name, container in partners.items():
        inner = container.members()
        reasons = {file: why for file, why in inner.broken if is_image(file)}
        bad = _without_nested(reasons, container, everything)
        found.rejects += [RejectedFile(f"{name}/{file}", reasons[file]) for file in bad]
        found.remarks.extend(f"{name}: {remark}" for remark in inner.remarks)
        files = _without_nested(inner.names, container, everything)
        found.files[name] = [file for file in files if is_image(file)]
        if bad and not found.files[name]:
            raise UserError(
                f"{name} in {container}: {len(bad)} file(s), {bad[0]}: {reasons[bad[0]]}"
            )
    return found


def _check_modality(name: str, options: FileSourceOptions) -> None:
    if not _MODALITY.fullmatch(name) or name == MASKS:
        raise UserError(
            f"modality {name!r}: a modality is named by letters, digits, - and _, and not {MASKS!r}"
        )
    if name in options.modalities and name == options.primary:
        raise UserError(f"modality {name!r} is given twice; name SOURCE itself otherwise")


def _without_nested(
    names: Iterable[str], container: Container, everything: Sequence[Container]
) -> list[str]:
    """Names that do not belong to another container that lies inside this one."""
    inner = [prefix for other in everything if (prefix := other.inside(container))]
    twins = [
        other for other in everything if other is not container and other.inside(container) == ""
    ]
    if twins:
        raise UserError(f"{container} is given twice; every modality needs a folder of its own")
    return [name for name in names if not name.startswith(tuple(inner))]


def _read_listing(found: _Found) -> LabelTable | None:
    """The dataset.json in SOURCE, or beside it where it lists files of SOURCE."""
    if DATASET in found.names:
        origin = f"{found.source}/{DATASET}"
        try:
            data = found.source.read(DATASET)
        except UnreadableError as error:
            raise UserError(f"{origin}: cannot be read ({error})") from None
        return read_dataset_json(as_text(data, origin, "it holds JSON"), origin)
    beside = found.source.path.resolve().parent / DATASET
    if not isinstance(found.source, Folder) or not beside.is_file():
        return None
    try:
        table = LabelTable.read(beside)
    except UserError as error:
        found.remarks.append(f"{beside} is not used: {error}")
        return None
    prefix = found.source.path.resolve().name + "/"
    rows = tuple(
        dataclasses.replace(row, file=row.file.removeprefix(prefix))
        for row in table.rows
        if row.file.startswith(prefix)
    )
    if not {nfc(row.file) for row in rows} & set(map(nfc, found.names)):
        return None
    return dataclasses.replace(table, rows=rows)


def _select(found: _Found, listing: LabelTable | None) -> list[str]:
    """The primary images: all, or those in folders of which dataset.json lists a file."""
    listed = {nfc(row.file): row for row in listing.rows} if listing else {}
    images = [n for n in found.names if is_image(n) or nfc(n) in listed]
    _remark_others(found, set(images))
    if not images:
        kinds = ", ".join(sorted({PurePosixPath(n).suffix or n for n in found.names})[:8])
        there = kinds or "; ".join(found.remarks) or "nothing"
        raise UserError(
            f"{found.source}: holds no PNG, JPEG, TIFF or BMP image (found: {there}); "
            "give the folder that the images are in"
        )
    if listing is None or not listed:
        return images
    missing = listed.keys() - set(map(nfc, images))
    if missing:
        first = next(row.file for key, row in listed.items() if key in missing)
        raise UserError(
            f"{listing.origin}: lists {len(missing)} file(s) that are not there, first {first!r}; "
            "restore them or take them out of the list"
        )
    folders = {_folder(name) for name in listed}
    ignored = Counter(_folder(n) for n in images if _folder(nfc(n)) not in folders)
    for folder, count in ignored.most_common(5):
        found.remarks.append(
            f"{count} image file(s) in {folder or '.'}/ are ignored: {DATASET} lists none of that "
            f"folder"
        )
    if len(ignored) > 5:
        rest = sum(ignored.values()) - sum(n for _, n in ignored.most_common(5))
        found.remarks.append(
            f"{rest} image file(s) in {len(ignored) - 5} more folders are ignored likewise"
        )
    return [n for n in images if _folder(nfc(n)) in folders]


def _remark_others(found: _Found, images: set[str]) -> None:
    others = Counter(
        PurePosixPath(n).suffix.lower() or PurePosixPath(n).name
        for n in found.names
        if n not in images and n != DATASET
    )
    if others:
        kinds = first_few([f"{kind} {count}" for kind, count in others.most_common()], 6)
        found.remarks.append(f"{others.total()} file(s) are no images and ignored: {kinds}")


def _folder(name: str) -> str:
    return name.rpartition("/")[0]


def _facts(
    options: FileSourceOptions, found: _Found, listing: LabelTable | None, images: Sequence[str]
) -> list[_Facts]:
    """Everything that is said about the images, in order of priority."""
    facts = []
    if options.table is not None:
        facts.append(_table_facts(LabelTable.read(options.table, options.columns), images, found))
    elif options.columns:
        raise UserError("--column chooses columns of a table; give one with --labels TABLE")
    if listing is not None:
        facts.append(_listing_facts(listing, images, strict=options.table is None))
    if options.name_regex is not None:
        facts.append(_regex_facts(options.name_regex, images))
    told = any(place.has_label or place.has_vector for place in facts)
    if not told and _are_classes(images):
        rows = {n: Row("its folder", n, label=_folder(n)) for n in images}
        facts.append(_Facts("the names of sub-folders", rows, has_label=True))
    return facts


def _table_facts(table: LabelTable, images: Sequence[str], found: _Found) -> _Facts:
    rows = table.match(images, found.source.name)
    if not rows:
        example = repr(table.rows[0].file) if table.rows else "nothing"
        raise UserError(
            f"{table.origin}: no row fits an image; the table names {example}, the first image is "
            f"{images[0]!r}; choose the column with --column file=NAME"
        )
    found.remarks.extend(table.remarks)
    above = Counter(folder_above(name, row.file) for name, row in rows.items())
    if len(above) > 1:
        counts = first_few(
            [f"{folder or 'none'} {count}" for folder, count in above.most_common()], 6
        )
        found.remarks.append(
            f"{table.origin} names more folders than this source has, and rows were found by the "
            f"ends of names; images by folder: {counts}"
        )
    used = {id(row) for row in rows.values()}
    surplus = [f"{row.where} ({row.file})" for row in table.rows if id(row) not in used]
    if surplus:
        found.remarks.append(
            f"{len(surplus)} row(s) of {table.origin} are about no image of this source: "
            f"{first_few(surplus)}"
        )
    name = Path(table.origin).name
    return _Facts(
        table.origin,
        rows,
        has_label=table.has_label,
        has_group=table.has_group,
        classes=table.classes,
        missing=f"no row in {name}",
    )


def _listing_facts(listing: LabelTable, images: Sequence[str], *, strict: bool) -> _Facts:
    by_key = {nfc(row.file): row for row in listing.rows}
    return _Facts(
        listing.origin,
        {name: by_key[key] for name in images if (key := nfc(name)) in by_key},
        has_label=listing.has_label,
        has_group=listing.has_group,
        classes=listing.classes,
        missing=f"{DATASET} has no entry for it" if strict and listing.rows else None,
    )


def _regex_facts(text: str, images: Sequence[str]) -> _Facts:
    pattern = compile_name_regex(text)
    rows = {name: _regex_row(m, name) for name in images if (m := pattern.search(name))}
    if not rows:
        raise UserError(
            f"--name-regex {text!r} fits no image; it is searched in the relative name, such as "
            f"{images[0]!r}"
        )
    return _Facts(
        "--name-regex",
        rows,
        has_label="label" in pattern.groupindex,
        has_group=bool({"group", "patient"} & pattern.groupindex.keys()),
        missing="its name does not fit --name-regex",
    )


def _regex_row(match: re.Match[str], name: str) -> Row:
    groups = {key: value or "" for key, value in match.groupdict().items()}
    group = groups.get("group", groups.get("patient")) or None
    columns = {key: value for key, value in groups.items() if key not in ("label", "group")}
    return Row("its name", name, label=groups.get("label") or None, group=group, columns=columns)


def _are_classes(images: Sequence[str]) -> bool:
    folders = {_folder(name) for name in images}
    flat = all(name.count("/") == 1 for name in images)
    published = all(_PUBLISHED_FOLDER.fullmatch(folder) for folder in folders)
    return flat and len(folders) > 1 and not published


def _reject_unlabelled(
    images: Sequence[str], facts: Sequence[_Facts], label_facts: _Facts | None
) -> dict[str, str]:
    """Image -> reason, for images that a table, list or pattern does not know."""
    rejected: dict[str, str] = {}
    for place in facts:
        for name in images:
            row = place.rows.get(name)
            if row is None and place.missing is not None:
                rejected.setdefault(name, place.missing)
            elif place is label_facts and (row is None or row.label is None):
                reason = f"no label in {place.origin}" + (f", {row.where}" if row else "")
                rejected.setdefault(name, reason)
    return rejected


def _pair_all(
    found: _Found, images: Sequence[str]
) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Partner files by modality and image, and image -> reason where one is missing."""
    pairs: dict[str, dict[str, str]] = {}
    unpaired: dict[str, str] = {}
    for modality in found.partners:
        files, where = found.files[modality], f"{modality} in {found.partners[modality]}"
        pairs[modality] = pair_by_name(images, files, where=where)
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
    kept: Sequence[str], label_facts: _Facts | None, facts: Sequence[_Facts], found: _Found
) -> tuple[dict[str, str], list[str] | None]:
    """Image -> class name, and the classes in order."""
    if label_facts is None:
        vectors = next((place.origin for place in facts if place.has_vector), None)
        found.remarks.append(f"label vectors come from {vectors}" if vectors else "no labels found")
        return {}, None
    found.remarks.append(f"labels come from {label_facts.origin}")
    rows = {name: label_facts.rows[name] for name in kept}
    known = next((place for place in facts if place.classes), None)
    classes, names = known.classes if known else None, False
    if known is not None and classes is not None and known is not label_facts:
        told = known.rows if known.has_label else {}
        agreed = are_names(rows, told, classes, label_facts.origin)
        names, classes = bool(agreed), None if agreed is None else classes
    if known is not None and classes is None:
        found.remarks.append(
            f"classes are not named by {known.origin}, since its own labels differ from those of "
            f"{label_facts.origin}"
        )
    named, order = name_classes(rows.values(), classes, label_facts.origin, names=names)
    if classes is not None and order != list(classes):
        found.remarks.append(f"classes of {DATASET} are not used: the labels are other words")
    return {name: named[row.label or ""] for name, row in rows.items()}, order


def _decoder(
    options: FileSourceOptions, found: _Found, pairs: Mapping[str, Mapping[str, str]], name: str
) -> FileDecoder:
    parts = [(options.primary, found.source, name)]
    parts += [(m, found.partners[m], pairs[m][name]) for m in options.modalities]
    mask = pairs.get(MASKS, {}).get(name)
    return FileDecoder(tuple(parts), (found.partners[MASKS], mask) if mask else None)


def _item(name: str, decode: FileDecoder, label: str | None, facts: Sequence[_Facts]) -> SourceItem:
    grouped = next((place for place in facts if place.has_group), None)
    row = grouped.rows.get(name) if grouped else None
    columns: dict[str, str] = {}
    for place in facts:
        for key, value in _columns_of(place, name).items():
            if columns.setdefault(key, value) != value:
                raise UserError(
                    f"{name!r}: {place.origin} says {key} = {value!r}, another place says "
                    f"{columns[key]!r}; rename one of the columns"
                )
    return SourceItem(name, decode, label, row.group if row else None, columns)


def _remark_groups(items: Sequence[SourceItem], facts: Sequence[_Facts], found: _Found) -> None:
    grouped = next((place for place in facts if place.has_group), None)
    if grouped is None:
        return
    found.remarks.append(f"groups come from {grouped.origin}")
    alone = [item.name for item in items if item.group is None]
    if alone:
        found.remarks.append(f"{len(alone)} image(s) have no group there: {first_few(alone)}")


def _columns_of(place: _Facts, name: str) -> dict[str, str]:
    row = place.rows.get(name)
    columns = row.columns if row else {}
    return {(f"table_{key}" if key in _RESERVED else key): v for key, v in columns.items()}


def _remark_renamed(facts: Sequence[_Facts], found: _Found) -> None:
    for place in facts:
        keys = {key for row in place.rows.values() for key in row.columns}
        for key in sorted(keys & _RESERVED):
            found.remarks.append(
                f"column {key} of {place.origin} is kept as table_{key}: the name is taken"
            )
