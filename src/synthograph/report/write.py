"""The report as files: the page, its content as JSON beside it, and checklists for manuscripts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from synthograph.core.errors import UserError
from synthograph.core.files import disk_errors, refuse_existing, refuse_unwritable, write_text
from synthograph.report.checklists import beside, fill, load_checklist
from synthograph.report.document import build
from synthograph.report.gather import gather
from synthograph.report.page import pictures, render, render_checklist
from synthograph.report.problems import Problem
from synthograph.results import ReportContent
from synthograph.results.base import public_prose
from synthograph.results.files import is_page

MAX_PAGE_BYTES = 15_000_000
SCALES = (1.0, 0.5, 0.25, 0.1)
"""Of the bytes for pictures, tried one after the other."""


@dataclass(frozen=True)
class WrittenReport:
    """What was written: the page of `size` bytes, the JSON beside it, what stands in both, and
    checklists beside them.
    """

    page: Path
    data: Path
    content: ReportContent
    size: int
    checklists: tuple[Path, ...] = ()


def check_target(page: Path, *, force: bool, more: Sequence[Path] = ()) -> Path:
    """The JSON beside the page; `more` files are to be written, too.

    Raises:
        UserError: one of them is there, without `force`, or the folder cannot be written.
    """
    if page.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"-o {page}: the page is an HTML file; give a name such as report.html")
    data = page.with_suffix(".json")
    for path in (page, data, *more):
        if path.is_dir():
            raise UserError(f"-o {path}: is a folder; give a name such as {path}/report.html")
        if path == data and path.exists() and not is_page(path):
            raise UserError(
                f"-o {page}: the JSON of the page would take the place of {path}, which no report "
                "wrote, and --force does not change that; give the page another name, such as "
                f"{page.with_stem(page.stem + '-report')}"
            )
        if not force:
            refuse_existing(path, "-o", "add --force to replace it")
        refuse_unwritable(path)
    return data


def write_report(
    paths: Sequence[Path],
    page: Path,
    *,
    title: str = "",
    public: bool = False,
    checklists: Sequence[str] = (),
    force: bool = False,
) -> WrittenReport:
    """Read what was named and write the page.

    Args:
        paths: run directories, archives, JSON files, or folders of them.
        page: the HTML file to write; JSON of the same name goes beside it.
        title: of the page; by default the name of the set.
        public: without real images and without the folders of local files; without synthetic
            images of a run, too, unless an audit of images of its network is clean.
        checklists: for manuscripts, by name; a file of each goes beside the page.
        force: replace files that are there.

    Raises:
        UserError: nothing to report on, a target that is there already, or no such checklist.
    """
    forms = {beside(page, name): load_checklist(name) for name in checklists}
    data = check_target(page, force=force, more=list(forms))
    again = [path for path in paths if path.resolve() == data.resolve()]
    if len(again) == len(paths):
        raise UserError(f"{data}: is the JSON of the page itself; name what the page is about")
    inputs = gather([path for path in paths if path not in again])
    inputs.problems += [
        Problem(f"{path}: is the JSON of an earlier page, which this one replaces", path)
        for path in again
    ]
    if public and public_prose(title) != title:
        title = ""
        text = "the title that was given names a folder or file; the name of the set stands there"
        inputs.problems.append(Problem(text))
    shown = inputs.public() if public else inputs
    filled = [fill(form, shown, file.name) for file, form in forms.items()]
    content = build(shown, title=title, public=public).replace(checklists=tuple(filled))
    for scale in SCALES:
        images = pictures(shown, public=public, scale=scale)
        problems = [each.public() if public else each for each in images.problems]
        told = content.replace(problems=(*content.problems, *map(str, problems)))
        text = render(told.tree(), shown, images)
        size = len(text.encode("utf-8"))
        if size < MAX_PAGE_BYTES:
            break
    else:
        raise UserError(
            f"{page}: the page would have {size / 1e6:.0f} MB, more than {MAX_PAGE_BYTES / 1e6:.0f}"
            ": give fewer runs and files at once"
        )
    with disk_errors(page):
        page.parent.mkdir(parents=True, exist_ok=True)
    told.save(data)
    write_text(page, text)
    for file, each in zip(forms, filled, strict=True):
        write_text(file, render_checklist(each.tree(), told.tree(), page.name))
    return WrittenReport(page, data, told, size, tuple(forms))
