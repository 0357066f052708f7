"""One page that says what a synthetic set is worth."""

from collections.abc import Iterator
from dataclasses import dataclass

from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.report.write import WrittenReport, write_report
from synthograph.workflows.requests import ReportRequest


@dataclass(frozen=True, repr=False)
class ReportResult(Result):
    """A page that was written.

    Attributes:
        written: the page, the JSON beside it and its content.
        public: whether it leaves out what is private.
    """

    written: WrittenReport
    public: bool

    def lines(self) -> Iterator[str]:
        """The verdicts, and what the page lacks."""
        found = self.written.content
        yield from self.verdicts()
        yield from (f"left out: {problem}" for problem in found.problems)
        for missing in found.missing:
            yield f"missing: {missing.what}: {missing.command or missing.text}"
        if found.pictures_left_out:
            yield found.pictures_left_out
        if not self.public:
            yield "the page shows real images and names of local files: --public leaves them out"
        size = f"{self.written.size / 1e6:.1f} MB"
        yield f"{self.written.page}   {size}; {self.written.data} holds its content"
        for file, each in zip(self.written.checklists, found.checklists, strict=True):
            yield (
                f"{file}   {each.title}: the files say something on {each.known} of "
                f"{len(each.items)} items; whether it is enough, and all else, is for the author"
            )

    def verdicts(self) -> Iterator[str]:
        """The answer to each question, a line each."""
        for verdict in self.written.content.verdicts:
            name = verdict.question.partition("?")[0]
            yield f"{name.lower() + '?':<10} {verdict.headline}"


def run(request: ReportRequest, *, progress: Progress) -> ReportResult:
    """Write the page.

    Raises:
        UserError: nothing to report on, or a target that is there already.
    """
    del progress  # it takes no time
    written = write_report(
        request.paths,
        request.out,
        title=request.title,
        public=request.public,
        checklists=request.checklist,
        force=request.force,
    )
    return ReportResult(written, request.public)
