"""The contact sheet that several jobs can draw of what they write."""

from pathlib import Path

from synthograph.archive.gallery import gallery
from synthograph.archive.reader import open_archive
from synthograph.core.contact_sheets import contact_sheet
from synthograph.core.errors import UserError
from synthograph.core.files import placed, refuse_output, write_bytes


def refuse_grid(grid: Path | None, option: str = "--grid", *, replace: bool = False) -> None:
    """Refuse a picture that is in the way, unless it may be replaced, or no PNG, before long work
    starts.

    Raises:
        UserError: it is one of these.
    """
    if grid is not None and grid.suffix.lower() != ".png":
        stem = grid.stem.lstrip(".").removesuffix("png") or "grid"
        raise UserError(f"{option} {grid}: pictures are PNG files; name it {stem}.png")
    refuse_output(grid, option, file=True, replace=replace)


def draw_grid(archive: Path, grid: Path) -> None:
    """A contact sheet of an archive, a row per class."""
    write_bytes(placed(grid), contact_sheet(gallery(open_archive(archive))))
