"""The report as files: the page, and its content as JSON beside it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from synthograph.core.errors import UserError
from synthograph.core.files import disk_errors, refuse_existing, refuse_unwritable, write_text
from synthograph.report.document import build
from synthograph.report.fields import read_fields
from synthograph.report.findings import kind_of
from synthograph.report.gather import REPORT, gather
from synthograph.report.page import pictures, render
from synthograph.report.public import cleaner, public_material

MAX_PAGE_BYTES = 15_000_000
SCALES = (1.0, 0.5, 0.25, 0.1)
"""Of the bytes for pictures, tried one after the other."""


@dataclass(frozen=True)
class Written:
    """What was written.

    Attributes:
        page: the HTML file.
        data: the JSON file beside it.
        document: its content.
        size: bytes of the page.
    """

    page: Path
    data: Path
    document: dict[str, Any]
    size: int


def check_target(page: Path, *, force: bool) -> Path:
    """The JSON beside the page; refuses to take the place of anything.

    Raises:
        UserError: one of them is there, or the folder cannot be written.
    """
    if page.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"-o {page}: the page is an HTML file; give a name such as report.html")
    data = page.with_suffix(".json")
    for path in (page, data):
        if path.is_dir():
            raise UserError(f"-o {path}: is a folder; give a name such as {path}/report.html")
        if path == data and path.exists() and not is_report(path):
            raise UserError(
                f"-o {page}: the JSON of the page would take the place of {path}, which no report "
                "wrote, and --force does not change that; give the page another name, such as "
                f"{page.with_stem(page.stem + '-report')}"
            )
        if not force:
            refuse_existing(path, "-o, add --force to replace it,")
        refuse_unwritable(path)
    return data


def is_report(path: Path) -> bool:
    """Whether a file is the JSON beside a page."""
    try:
        return kind_of(read_fields(path)) == REPORT
    except UserError:
        return False


def write_report(
    paths: Sequence[Path],
    page: Path,
    *,
    title: str = "",
    public: bool = False,
    force: bool = False,
) -> Written:
    """Read what was named and write the page.

    Args:
        paths: run directories, archives, JSON files, or folders of them.
        page: the HTML file to write; JSON of the same name goes beside it.
        title: of the page; by default the name of the set.
        public: without real images and without the folders of local files; without generated
            images, too, unless an audit is clean.
        force: replace files that are there.

    Raises:
        UserError: nothing to report on, or a target that is there already.
    """
    data = check_target(page, force=force)
    again = [path for path in paths if path.resolve() == data.resolve()]
    if len(again) == len(paths):
        raise UserError(
            f"{data}: is the JSON of the page itself; name what the page is to be about"
        )
    material = gather([path for path in paths if path not in again])
    material.problems += [
        f"{path}: is the JSON of an earlier page, which this one replaces" for path in again
    ]
    if public:
        material = public_material(material)
    found = build(material, title=title, public=public)
    clean = cleaner(material, found) if public else None
    problems = list(found["problems"])
    for scale in SCALES:
        images = pictures(material, public=public, scale=scale)
        document = {**found, "problems": [*problems, *images.problems]}
        if clean is not None:  # after the pictures, whose problems name files
            document = clean.tree(document)
        text = render(document, material, images, clean=clean)
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
    write_text(data, json.dumps(document, indent=1, allow_nan=False, default=str) + "\n")
    write_text(page, text)
    return Written(page, data, document, size)
