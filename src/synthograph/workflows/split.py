"""Train, validation and test by group."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.table import Column, Table
from rich.text import Text

from synthograph.archive.advice import NO_GROUPS, has_groups, without_group
from synthograph.archive.copies import NAMED
from synthograph.archive.split import SplitOptions, split_archive, split_table
from synthograph.core.names import first_few
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.workflows.requests import SplitRequest
from synthograph.workflows.tables import table_lines


@dataclass(frozen=True, repr=False)
class SplitResult(Result):
    """An archive that was split.

    Attributes:
        archive: where it is.
        classes: their names, in order.
        parts: (part, images, groups, images per class).
        grouped: whether any group is more than one image's own name.
        joined: sets of groups that were kept together, since they share equal images or are
            called alike.
        ungrouped: images without group, where others have one.
    """

    archive: Path
    classes: Sequence[str]
    parts: Sequence[tuple[str, int, int, Mapping[str, int]]]
    grouped: bool
    joined: Sequence[Sequence[str]] = ()
    ungrouped: int = 0

    def lines(self) -> Iterator[str]:
        """Images, groups and classes of every part, as a table with a column for each part."""
        table = Table("", *(Column(part, justify="right") for part, *_ in self.parts))
        table.add_row("images", *(str(images) for _, images, *_ in self.parts))
        table.add_row("groups", *(str(groups) for *_, groups, _ in self.parts), end_section=True)
        for name in self.classes:
            # as Text: brackets in names of classes are no markup
            table.add_row(Text(name), *(str(counts.get(name, 0)) for *_, counts in self.parts))
        yield from table_lines(table)
        if not self.grouped:
            yield f"warning: {NO_GROUPS}"
        if self.ungrouped:
            yield (
                f"warning: {self.ungrouped} images have no group: nothing protects against images "
                "of their patients in two splits"
            )
        if self.joined:
            sets = (" = ".join(groups) for groups in self.joined)
            yield (
                f"note: {sum(map(len, self.joined))} groups share equal images or are called "
                f"alike, and were kept together: {first_few(sets, NAMED)}"
            )


def run(request: SplitRequest, *, progress: Progress) -> SplitResult:
    """Split an archive in place.

    Raises:
        UserError: an option breaks a rule, or the archive is split already.
    """
    options = SplitOptions.parse(request.model_dump(exclude={"archive", "force"}))
    track = progress.track("looking for equal images")
    archive = split_archive(request.archive, options, force=request.force, track=track)
    return SplitResult(
        request.archive,
        archive.info.classes,
        list(split_table(archive)),
        has_groups(archive.rows),
        archive.info.split.joined if archive.info.split else (),
        len(without_group(archive.rows)),
    )
