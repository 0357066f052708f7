"""What the record of a public cohort adds to a request for an archive."""

from collections import Counter

from synthograph.archive.cohort_note import CohortNote
from synthograph.core.errors import UserError
from synthograph.core.untrusted.documents import JsonObject
from synthograph.sources.cohorts import Cohort, load_cohort
from synthograph.sources.cohorts.rows import Wanted
from synthograph.sources.files import FileSource, FileSourceOptions
from synthograph.sources.tables import parse_columns
from synthograph.workflows.requests import PrepareRequest


def completed(request: PrepareRequest) -> tuple[PrepareRequest, Cohort | None]:
    """The request with the options that its cohort wants, and the cohort; what is given stays.

    Raises:
        UserError: there is no such cohort, or something is to be kept of none.
    """
    if request.cohort is None:
        if request.keep:
            raise UserError("--keep is about images that a cohort leaves out: name it by --cohort")
        return request, None
    cohort = load_cohort(request.cohort)
    wanted: JsonObject = {"invariant": cohort.invariant or ("none",), **cohort.options}
    if cohort.sequences and not request.modality:
        wanted["primary"] = next(iter(cohort.sequences))
    wanted = {name: v for name, v in wanted.items() if name not in request.model_fields_set}
    return PrepareRequest.parse({**request.model_dump(), **wanted}), cohort


def file_options(
    request: PrepareRequest, cohort: Cohort | None, further: JsonObject
) -> FileSourceOptions:
    """Where the files are, and what is said about them.

    A table, columns and a pattern of the user take the place of those of the cohort.

    Raises:
        UserError: an option breaks a rule.
    """
    columns = parse_columns(request.column) if request.column else None
    table, name_regex, wanted = request.labels, request.name_regex, None
    if cohort is not None:
        own = table is not None and not cohort.tables
        wanted = Wanted(
            cohort=cohort,
            table=None if own else table,
            columns={} if own or columns is None else columns,
            name_regex=name_regex,
            keep=request.keep,
        )
        table, columns, name_regex = (table, columns, None) if own else (None, None, None)
    return FileSourceOptions(
        source=request.source,
        table=table,
        columns=columns,
        name_regex=name_regex,
        cohort=wanted,
        missing=request.missing,
        folders=request.folders,
        split_files=request.split_files,
        sequences=request.sequences,
        **further,
    )


def notes_of(cohort: Cohort, files: FileSource) -> JsonObject:
    """What an archive says of its cohort, with how many groups lie in several splits; and its
    classes, words in the order of the cohort.
    """
    parts = {(item.group, item.split) for item in files.items if item.group and item.split}
    shared = sum(count > 1 for count in Counter(group for group, _ in parts).values())
    used = {item.label for item in files.items if item.label is not None}
    known = [name for name in cohort.classes if name in used]
    words = [*known, *sorted(used.difference(known))]
    note = CohortNote(
        name=cohort.name,
        title=cohort.title,
        home=cohort.home,
        paper=cohort.paper,
        group=cohort.unit,
        official_split=cohort.official_split,
        groups_in_several_splits=shared,
        traps=[str(trap) for trap in cohort.traps],
    )
    return {"cohort": note, "classes": files.classes or words or None}
