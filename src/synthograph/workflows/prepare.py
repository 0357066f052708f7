"""Image files to an archive."""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from synthograph.archive.advice import MIN_IMAGES, NO_GROUPS, NOT_STATED, few_images_note
from synthograph.archive.cohort_note import CohortNote
from synthograph.archive.copies import NAMED
from synthograph.archive.parts import Part, find_parts
from synthograph.archive.prepare import PrepareOptions, Rejects, Summary, prepare, prepare_part
from synthograph.archive.reader import is_archive, open_archive
from synthograph.archive.writer import refuse_destination
from synthograph.core.commands import TYPED
from synthograph.core.config import built_from
from synthograph.core.errors import UserError
from synthograph.core.files import refuse_output
from synthograph.core.names import first_few
from synthograph.core.outputs import is_packed
from synthograph.core.progress import Progress
from synthograph.core.pseudonyms import pseudonym
from synthograph.core.record import SourceItem
from synthograph.core.request import Result, keeping
from synthograph.core.spec import stated
from synthograph.core.untrusted.documents import JsonObject
from synthograph.report.words import several
from synthograph.sources.base import Grey
from synthograph.sources.benchmarks.base import BenchmarkImages
from synthograph.sources.benchmarks.finding import find_benchmark
from synthograph.sources.cohorts import Cohort
from synthograph.sources.files import FileSourceOptions, read_files
from synthograph.sources.layouts import LAYOUTS
from synthograph.sources.layouts.base import read_layout
from synthograph.sources.text_check import text_checked
from synthograph.workflows.grid import draw_grid, refuse_grid
from synthograph.workflows.prepare_cohort import completed, file_options, notes_of
from synthograph.workflows.prepare_plan import PreparePlan, plan
from synthograph.workflows.prepare_stamp import stamp_of_items
from synthograph.workflows.prepare_view import is_windowed, seen_through
from synthograph.workflows.reading import modalities_of, read_as
from synthograph.workflows.requests import PrepareRequest
from synthograph.workflows.slide_polygons import record_of, regions_of
from synthograph.workflows.slide_sheet import draw_slides
from synthograph.workflows.slide_table import write_slides
from synthograph.workflows.text_sheet import TextFound, report_text

ORIGINS = {
    "transform.width": "width",
    "transform.height": "height",
    "transform.fit": "transform",
    "transform.resize_filter": "resize_filter",
    "transform.tile": "tile",
    "transform.overlap": "overlap",
    "invariances": "invariant",
}
"""Setting of the archive -> the field that gives it."""
QUESTION = (
    "Which changes leave the meaning of your images unchanged? A knee mirrored is the other knee, "
    "a stain recoloured another stain.\n"
    "mirror, rotate, colour (any of them), none, or Enter to leave it open:"
)
_LEAK = (
    "Results on this split are too good: 'evaluate' refuses what was trained on; "
    "'synthograph split --force' cuts a new one by group"
)
DESCRIBED = (
    "cohort",
    "keep",
    "labels",
    "column",
    "name_regex",
    "folders",
    "split_files",
    "modality",
    "masks",
    "mask_suffix",
    "primary",
    "axis",
    "every",
    "min_foreground",
    "spacing",
    "pages",
    "channels",
    "sequences",
    "tag",
    "pseudonymise",
    "series_description",
    "captures",
    "mpp",
    "per_slide",
    "min_tissue",
    "min_sharpness",
    "tile_seed",
    "slide_sheet",
    "slide_table",
    "polygons",
    "polygon_classes",
    "polygon_outside",
    "polygon_masks",
)
"""What says of image files what they are, which some sources know of themselves."""


class PreparationInputs(NamedTuple):
    """The images, the rules with what the source adds to them, and what cannot be used of it."""

    items: Sequence[SourceItem]
    rules: PrepareOptions
    rejects: Rejects
    left_out: Mapping[str, Mapping[str, int]] = MappingProxyType({})
    """File -> reason -> how many of its images are not wanted."""


@dataclass(frozen=True, repr=False)
class PrepareResult(Result):
    """An archive that was written.

    Attributes:
        archive: where it is.
        summary: what it holds, and what is odd about it.
        grid: the picture of it, if one was asked for.
        cohort: what the archive says of the cohort that it was made of.
        text: what may name people in it, if that was asked for.
        windowed: whether its grey values are those of its source through a window.
    """

    archive: Path
    summary: Summary
    grid: Path | None = None
    cohort: CohortNote | None = None
    text: TextFound | None = None
    windowed: bool = False

    def lines(self) -> Iterator[str]:
        """What the archive holds."""
        found = self.summary
        yield f"{self.archive}: {found.images} images, {found.spec.describe()}"
        if found.masks:
            ids = ", ".join(f"{n} ({share:.1%})" for n, share in found.mask_ids.items())
            yield f"  masks: {found.masks} of {found.images} images have one; ids: {ids}"
        yield from (f"  class {name}: {count}" for name, count in found.classes.items())
        if found.invariances is None:
            yield f"note: {NOT_STATED}"
        else:
            yield f"  invariances: {', '.join(found.invariances) or 'none'}"
        yield from self._groups()
        if found.images < MIN_IMAGES:
            yield f"note: {few_images_note(found.images)}"
        yield from (f"  {several(n, 'file')}: {note}" for note, n in found.notes.items())
        yield from (f"  left out: {count} {why}" for why, count in found.left_out.items())
        if found.small_range is not None:
            least, low, high, largest = found.small_range
            way_out = f"--window {low},{max(high, low + 1)} spreads these values"
            if self.windowed:  # these are no values of the files
                way_out = "a narrower window of the same files spreads them"
            yield (
                f"note: the 16-bit images use {least} to {largest} of 0 to 65535 (99 % of pixels: "
                f"{low} to {high}): nearly black for a network. {way_out}, --window 0.5%,99.5% "
                "finds them"
            )
        if found.rejects:
            yield f"  rejected: {len(found.rejects)}, listed in {self.archive}.rejected.csv"
        yield from (f"  worth a look: {one.name}: {one.reason}" for one in found.suspects)
        yield from () if self.cohort is None else self.cohort.lines()
        if self.text is not None:
            yield from self.text.lines()
        if self.grid is not None:
            yield f"{self.grid}"

    def _groups(self) -> Iterator[str]:
        """Groups, the split that the images came with, and images that are there twice."""
        found = self.summary
        yield f"  groups: {found.groups}" if found.grouped else f"warning: {NO_GROUPS}"
        if found.ungrouped:
            yield (
                f"warning: {len(found.ungrouped)} files have no group though others have one: "
                f"{first_few(found.ungrouped)}; 'synthograph split' asks what to do with them"
            )
        if found.alike:
            yield (
                f"warning: {len(found.alike)} groups come under several spellings: "
                f"{first_few([' = '.join(names) for names in found.alike], NAMED)}; "
                "'synthograph split' keeps them together, and classifiers want one spelling"
            )
        if found.splits:
            yield f"  split: {', '.join(f'{name} {n}' for name, n in found.splits.items())}"
        if found.crossing:
            yield (
                f"warning: {len(found.crossing)} of {found.groups} groups are in two splits: "
                f"{first_few(found.crossing, NAMED)}. {_LEAK}"
            )
        yield from self._copies()

    def _copies(self) -> Iterator[str]:
        copies, differ = self.summary.copies, self.summary.copies.across
        patients = self.summary.grouped and differ("group").count
        if copies.count:
            names = "" if patients == copies.count else f": {copies.named()}"
            yield f"  copies: {copies.count} images equal another pixel by pixel{names}"
        if patients:
            yield (
                f"warning: {patients} of these copies are under another group: "
                f"{differ('group').named()}; 'synthograph split' keeps such groups together"
            )
        if differ("label").sets:
            yield (
                f"warning: {differ('label').count} of these copies have another label: "
                f"{differ('label').named()}; correct the labels"
            )
        if differ("split").sets:
            yield (
                f"warning: {differ('split').count} of these copies are in another split: "
                f"{differ('split').named()}. {_LEAK}"
            )


@dataclass(frozen=True, repr=False)
class PreparedPart(Result):
    """One part of an archive, which the same request without `part` joins with the others.

    Attributes:
        archive: where the whole will be.
        part: which one, such as 2/4.
        files: how many files it holds.
    """

    archive: Path
    part: str
    files: int

    def lines(self) -> Iterator[str]:
        """What is there now, and how it goes on."""
        yield (
            f"{self.archive}: part {self.part} ({self.files} files) is done; once all are, the "
            "same command without --part joins them"
        )


def run(
    request: PrepareRequest, *, progress: Progress
) -> PrepareResult | PreparedPart | PreparePlan:
    """Write an archive, or a part of one.

    Raises:
        UserError: an option, a file or the destination breaks a rule.
        StoppedError: after Ctrl-C; the same request continues.
    """
    refuse_destination(request.dest, replace=request.force, way_out="add --force to replace it")
    refuse_grid(request.grid, replace=request.force)
    refuse_grid(request.slide_sheet, "--slide-sheet", replace=request.force)
    refuse_output(request.slide_table, "--slide-table", file=True, replace=request.force)
    request, cohort = completed(request)
    found = _inputs(request, cohort, progress)
    if request.dry_run:
        return plan(request.dest, found.items, found.rules, found.rejects)
    files = stamp_of_items(found.items)
    items, rules = seen_through(request, found.items, found.rules, progress)
    if request.check_text:
        items = text_checked(items, found.items)
    if request.synthetic:
        items = [replace(item, origin="synthetic") for item in items]
    # parts that are to be joined were made without an answer
    if rules.invariances is None and request.part is None and not find_parts(request.dest):
        request, rules = _with_answer(request, rules, progress)
    command = {
        TYPED: request.command_line(),
        "prepare": str(request.source.resolve()),
        "files": files,
        **({"origin": "synthetic"} if request.synthetic else {}),
        **({"check_text": True} if request.check_text else {}),
    }
    dest, track, workers = request.dest, progress.track("preparing"), request.workers
    if request.part is not None:
        part = Part.parse(request.part)
        done = prepare_part(items, dest, rules, part, command=command, track=track, workers=workers)
        return PreparedPart(dest, request.part, done)
    summary = prepare(
        items, dest, rules, rejects=found.rejects, command=command, track=track, workers=workers
    )
    through = is_windowed(rules.view or {})
    result = PrepareResult(dest, summary, cohort=rules.cohort, windowed=through)
    with keeping(result):
        return _shown(request, result, found, items, progress)


def _shown(
    request: PrepareRequest,
    result: PrepareResult,
    found: PreparationInputs,
    items: Sequence[SourceItem],
    progress: Progress,
) -> PrepareResult:
    """Draw and list what was asked for, of an archive that is complete."""
    if request.check_text:
        result = replace(result, text=report_text(result.archive, items))
    if request.grid is not None:
        draw_grid(result.archive, request.grid)
    if request.slide_sheet is not None:
        draw_slides(found.items, open_archive(result.archive), request.slide_sheet)
        progress.log(f"{request.slide_sheet}")
    if request.slide_table is not None:
        archive, left_out = open_archive(result.archive), found.left_out
        for line in write_slides(archive, found.items, left_out, request.slide_table):
            progress.log(line)
    return replace(result, grid=request.grid)


def _inputs(
    request: PrepareRequest, cohort: Cohort | None, progress: Progress
) -> PreparationInputs:
    """What the source holds, whatever it is."""
    modalities = modalities_of(request.modality)
    sources = (request.source, *modalities.values(), request.masks)
    _refuse_source(request.dest, [one for one in sources if one])
    rules = _replacing(request.dest, _rules(request), progress)
    if request.layout is not None:
        return _from_layout(request, request.layout, rules, progress)
    benchmark = find_benchmark(request.source)
    if benchmark is not None:
        return _from_benchmark(request, benchmark, rules, progress)
    if is_archive(request.source):
        return _from_archive(request, rules)
    regions, remarks = regions_of(request)
    for remark in remarks:
        progress.log(f"note: {remark}")
    further = {
        "reading": read_as(request, regions),
        "primary": request.primary or "image",
        "modalities": modalities,
        "masks": request.masks,
        "mask_suffix": request.mask_suffix,
    }
    return _from_files(file_options(request, cohort, further), rules, progress)


def _with_answer(
    request: PrepareRequest, rules: PrepareOptions, progress: Progress
) -> tuple[PrepareRequest, PrepareOptions]:
    """Both with what somebody answers who is there, as if it had been typed with the command."""
    answer = progress.ask(QUESTION).lower().replace(" ", ",")
    request = PrepareRequest.parse({**request.model_dump(), "invariant": answer})
    kept = {"invariances": _rules(request).invariances}
    return request, rules.model_copy(update=kept)


def _rules(request: PrepareRequest) -> PrepareOptions:
    """What decides an archive's content beside its source."""
    width, height, origins = request.width, request.height, ORIGINS
    if request.size is not None:
        if width is not None or height is not None:
            raise UserError("--size N means --width N --height N: give one or the other")
        width = height = request.size
        origins = {**ORIGINS, "transform.width": "size"}
    with built_from(origins):
        return PrepareOptions.parse(
            {
                "transform": {
                    "width": width,
                    "height": height,
                    "fit": request.transform,
                    "resize_filter": request.resize_filter,
                    "tile": request.tile,
                    "overlap": request.overlap,
                },
                "invariances": stated(request.invariant),
                "allow_rejects": request.allow_rejects,
                "replace": request.force,
            }
        )


def _from_archive(request: PrepareRequest, rules: PrepareOptions) -> PreparationInputs:
    """An existing archive keeps its classes, namespace, origin and split, and its invariances
    unless others are stated. Images that are called synthetic now have no split: they never judge.
    """
    _refuse_described(request, "is an archive")
    archive = open_archive(request.source)
    items, about = archive.items(), archive.info
    names = ("classes", "snapshots", "split", "mixture", "view", "cohort", "polygons")
    kept = {name: getattr(about, name) for name in names}
    kept["namespace"] = about.namespace or None
    kept["sizing"] = rules.transform.after(about.sizing, about.spec)
    if request.synthetic:
        items = [replace(item, split=None, fold=None) for item in items]
        kept |= {"split": None, "mixture": None}
    if rules.invariances is None:
        kept["invariances"] = about.invariances
    return PreparationInputs(items, rules.model_copy(update=kept), [])


def _refuse_described(request: PrepareRequest, why: str) -> None:
    given = request.changed(DESCRIBED)
    given += [f"--window {request.window}"] if request.window in set(Grey) else []
    if given:
        raise UserError(
            f"{request.source} {why}, and has its own labels, columns and images: leave "
            f"{', '.join(given)} out"
        )


def _from_layout(
    request: PrepareRequest, name: str, rules: PrepareOptions, progress: Progress
) -> PreparationInputs:
    """A folder of another tool, which says itself what belongs together."""
    plain = request.model_copy(update={"pseudonymise": None})
    _refuse_described(plain, f"is read as --layout {name}")
    salt = read_as(request).dicom.salt
    items, unnamed = read_layout(LAYOUTS[name], request.source, salt=salt)
    if unnamed:
        progress.log(f"note: {unnamed} image file(s) are ignored: nothing names them")
    origin = name if any(item.split for item in items) else None
    kept = rules.model_copy(update={"split_origin": origin})
    return PreparationInputs(_under_pseudonyms(items, salt), kept, [])


def _from_benchmark(
    request: PrepareRequest, found: BenchmarkImages, rules: PrepareOptions, progress: Progress
) -> PreparationInputs:
    """Files of a published set, which say labels and split, and no groups."""
    _refuse_described(request, f"holds {found.title}")
    if request.window_scope == "volume":
        raise UserError(
            f"--window-scope volume: {request.source} holds {found.title}, and no volumes; take "
            "archive or image"
        )
    for remark in found.remarks:
        progress.log(f"note: {remark}")
    origin = found.title if any(item.split for item in found.items) else None
    kept = {"classes": found.classes, "split_origin": origin}
    return PreparationInputs(found.items, rules.model_copy(update=kept), [])


def _under_pseudonyms(items: Sequence[SourceItem], salt: bytes | None) -> Sequence[SourceItem]:
    """Items that an archive calls by pseudonyms of their names, where such are wanted; those of one
    file still begin alike, as `view_volumes` needs.
    """
    if salt is None:
        return items
    aliases = {item.name: pseudonym(salt, item.name) for item in items}
    files = {name: name.partition("#")[0] for name in aliases if "#" in name}
    aliases |= {name: f"{pseudonym(salt, files[name])}#{aliases[name]}" for name in files}
    return [replace(item, alias=aliases[item.name]) for item in items]


def _from_files(
    options: FileSourceOptions, rules: PrepareOptions, progress: Progress
) -> PreparationInputs:
    files = read_files(options)
    for remark in files.remarks:
        progress.log(f"note: {remark}")
    rejects = [(reject.name, reject.reason) for reject in files.rejects]
    regions = options.reading.slides.regions if options.reading.slides else None
    found: JsonObject = {
        "classes": files.classes,
        "split_origin": files.split_origin,
        "polygons": record_of(regions),
    }
    if options.cohort is not None:
        found |= notes_of(options.cohort.cohort, files)
    kept = rules.model_copy(update=found)
    items = _under_pseudonyms(files.items, options.reading.dicom.salt)
    return PreparationInputs(items, kept, rejects, files.left_out)


def _replacing(dest: Path, rules: PrepareOptions, progress: Progress) -> PrepareOptions:
    """Rules for an archive that may take the place of another one: it keeps the namespace, so that
    digests in snapshots still tell which patients were seen.
    """
    if not dest.exists() or (dest.is_dir() and not any(dest.iterdir())):
        return rules
    old = open_archive(dest)
    gone = ", with its split" if any(row.split for row in old.rows) else ""
    progress.log(f"note: {dest} ({len(old.rows)} images{gone}) is replaced once this is complete")
    return rules.model_copy(update={"namespace": old.info.namespace})


def _refuse_source(dest: Path, sources: Sequence[Path]) -> None:
    """An archive must not replace what it is made of; one that is a folder in its own source would
    be taken for images next time.
    """
    for source in sources:
        if dest.exists() and source.exists() and dest.samefile(source):
            raise UserError(f"{dest} is what the archive is made of: give the new one another name")
    if is_packed(dest):
        return
    place = Path(os.path.realpath(dest))
    for source in sources:
        if source.is_dir() and place.is_relative_to(os.path.realpath(source)):
            raise UserError(
                f"{dest} lies inside {source}, whose images it is made of: put the archive "
                "elsewhere, or pack it as NAME.zip"
            )
