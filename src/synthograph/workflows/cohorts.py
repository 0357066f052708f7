"""The public cohorts that `prepare --cohort` knows."""

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from rich.table import Table

from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.core.untrusted.documents import JsonObject
from synthograph.sources.cohorts import Cohort, cohort_names, load_cohort
from synthograph.workflows.requests import CohortsRequest
from synthograph.workflows.tables import table_lines

WIDTH = 160
"""Columns of text."""


@dataclass(frozen=True, repr=False)
class CohortsResult(Result):
    """Cohorts by name."""

    cohorts: Mapping[str, Cohort]

    def lines(self) -> Iterator[str]:
        """A row for each."""
        table = Table("cohort", "what it is", "a group is", "classes", "official split", "traps")
        for name, one in self.cohorts.items():
            classes = ", ".join(one.classes) if len(one.classes) <= 5 else f"{len(one.classes)}"
            split = one.official_split.partition(":")[0].partition(";")[0]
            table.add_row(name, one.title, one.unit, classes or "none", split, str(len(one.traps)))
        yield from table_lines(table, WIDTH)
        yield "All about one of them: synthograph cohorts NAME"
        yield "Read one: synthograph prepare FOLDER ARCHIVE.zip --cohort NAME --dry-run"

    def json(self) -> JsonObject:
        """The records by name."""
        return {name: one.tree() for name, one in self.cohorts.items()}


@dataclass(frozen=True, repr=False)
class CohortResult(Result):
    """All about a cohort."""

    cohort: Cohort

    def lines(self) -> Iterator[str]:
        """The record in words."""
        one = self.cohort
        yield f"{one.name}: {one.title}"
        for name, text in self._facts():
            yield from textwrap.wrap(
                f"{name}: {text}", WIDTH, initial_indent="  ", subsequent_indent="    "
            )

    def _facts(self) -> Iterator[tuple[str, str]]:
        one = self.cohort
        yield "holds", one.holds
        yield "from", f"{one.home}; {one.paper}"
        yield "a group is", one.unit
        yield "classes", ", ".join(one.classes) or "none"
        yield "official split", one.official_split
        yield "invariances", f"{', '.join(one.invariant) or 'none'}: {one.why_invariant}"
        for table in one.tables:
            yield "table", " or ".join(table.names) + " (optional)" * table.optional
        yield from (("names", pattern) for pattern in one.patterns)
        if one.sequences:
            yield "modalities", ", ".join(one.sequences)
        yield from (
            ("left out", f"{rule.reason}; --keep {rule.name} takes them") for rule in one.leave_out
        )
        yield from (("known trap", str(trap)) for trap in one.traps)
        yield from (("hint", hint) for hint in one.hints)
        yield from (("not sure", text) for text in one.unsure)

    def json(self) -> JsonObject:
        """The record."""
        return self.cohort.tree()


def run(request: CohortsRequest, *, progress: Progress) -> CohortsResult | CohortResult:
    """Look up cohorts.

    Raises:
        UserError: there is no such cohort.
    """
    del progress
    if request.name is not None:
        return CohortResult(load_cohort(request.name))
    return CohortsResult({name: load_cohort(name) for name in cohort_names()})
