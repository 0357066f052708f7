"""A look at labelled synthetic images, the most uncertain first."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from synthograph.annotation.palettes import Palette, PaletteClass, of_names, read_palette
from synthograph.archive.batches import ArchiveRows, open_rows
from synthograph.archive.manifest import Row
from synthograph.archive.masked import MaskedImages, masked_images
from synthograph.archive.png import decode_png
from synthograph.core.contact_sheets import as_rgb, contact_sheet
from synthograph.core.errors import UserError
from synthograph.core.files import placed, refuse_output, write_bytes
from synthograph.core.heat import heated
from synthograph.core.names import first_few
from synthograph.core.overlays import enlarged, overlay
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.core.untrusted.documents import read_bounded
from synthograph.report.words import several
from synthograph.results.annotations import MaskClass
from synthograph.sampling.naming import file_names
from synthograph.sampling.records import UNCERTAINTY
from synthograph.stats.masks import IGNORED
from synthograph.workflows.annotate_requests import AnnotateReviewRequest
from synthograph.workflows.annotation_pictures import SIDE, legend_of

MAX_PALETTE_BYTES, MAX_PICTURE = 1 << 20, 64 << 20


@dataclass(frozen=True, repr=False)
class AnnotateReviewResult(Result):
    """A sheet of labelled images.

    Attributes:
        out: the picture.
        shown: files of the images on it, the most uncertain first.
        of: how many the archive has.
        uncertain: whether uncertainties are known.
    """

    out: Path
    shown: tuple[str, ...]
    of: int
    uncertain: bool

    def lines(self) -> Iterator[str]:
        """What is shown in which order."""
        order = "the most uncertain first" if self.uncertain else "no uncertainties are recorded"
        yield f"{self.out}: {several(len(self.shown), 'image')} of {self.of}, {order}"


@dataclass(frozen=True)
class Reviewed:
    """A labelled image to look at.

    Attributes:
        row: of the archive.
        mask: class ids.
        uncertainty: of the whole mask; None where none is recorded.
    """

    row: Row
    mask: UInt8[np.ndarray, "h w"]
    uncertainty: float | None


def run(request: AnnotateReviewRequest, *, progress: Progress) -> AnnotateReviewResult:
    """Draw the sheet.

    Raises:
        UserError: the archive has no masks, or an option breaks a rule.
    """
    rows = open_rows(request.archive)
    path = rows.archive.path
    out = request.out or path.with_name(f"{path.stem}-review.png")
    if out.suffix.lower() != ".png":
        raise UserError(f"--out {out}: the sheet is a picture; name it {out.stem}.png")
    refuse_output(out, "--out", file=True)
    images = masked_images(rows, progress.track("masks"))
    palette, images = _numbered(request, images)
    every = worst_first(images)
    shown = every[: request.num]
    pictures: list[np.ndarray] | None = None
    heads = ["image", "mask"]
    if request.uncertainty is not None:
        pictures = [divergence(rows, each.row, request.uncertainty) for each in shown]
        most = max(float(each.max()) for each in pictures)
        pictures = [each / (most or 1) for each in pictures]
        heads.append(f"uncertainty, 0 to {most:.2f}")
    tiles = [
        tiles_of(rows, each, palette, None if pictures is None else pictures[k])
        for k, each in enumerate(progress.track("drawing")(shown, len(shown)))
    ]
    titles = [_title(each) for each in shown]
    sheet = contact_sheet(
        list(zip(titles, tiles, strict=True)),
        factor=1,
        heads=heads,
        legend=legend_of(palette.shown),
    )
    write_bytes(placed(out), sheet)
    known = any(each.uncertainty is not None for each in every)
    return AnnotateReviewResult(out, tuple(each.row.file for each in shown), len(every), known)


def worst_first(images: MaskedImages) -> list[Reviewed]:
    """Labelled images, the most uncertain first; those of which nothing is known come last."""
    found = []
    for row, mask in zip(images.rows.ordered, images.masks, strict=True):
        text = row.columns.get(UNCERTAINTY, "")
        try:
            value = float(text) if text else None
        except ValueError:
            raise UserError(
                f"{images.rows.name}: {row.file}: {UNCERTAINTY} {text[:40]!r} is no number"
            ) from None
        found.append(Reviewed(row, mask, value))
    return sorted(found, key=lambda r: (r.uncertainty is None, -(r.uncertainty or 0), r.row.file))


def tiles_of(
    rows: ArchiveRows,
    image: Reviewed,
    palette: Palette,
    heat: Float[np.ndarray, "h w"] | None,
) -> list[UInt8[np.ndarray, "h w 3"]]:
    """Image, image with mask, and with its uncertainty, 0..1, where there is a picture of it."""
    spec = rows.archive.info.spec
    factor = max(1, -(-SIDE // spec.height))
    plain = as_rgb(rows.archive.read(image.row), spec.modalities.values())
    wide = len(spec.modalities)
    colours = [each.colour for each in palette.classes]
    mask = np.tile(image.mask, (1, wide))
    tiles = [
        enlarged(plain, factor),
        overlay(plain, mask, ignored=IGNORED, factor=factor, colours=colours),
    ]
    if heat is not None:
        large = np.tile(heat, (1, wide)).repeat(factor, 0).repeat(factor, 1)
        tiles.append(heated(enlarged(plain, factor), large))
    return tiles


def divergence(rows: ArchiveRows, row: Row, folder: Path) -> Float[np.ndarray, "h w"]:
    """The uncertainty of every pixel, as a share of the largest that there can be.

    Raises:
        UserError: there is no picture of the image, or it is of another size.
    """
    spec, path = rows.archive.info.spec, _picture_of(row, folder)
    data = read_bounded(path, "a picture of uncertainty", limit=MAX_PICTURE)
    grey = decode_png(data, str(path))
    if grey.shape != (spec.height, spec.width, 1) or grey.dtype != np.uint8:
        raise UserError(f"{path}: is no picture of the uncertainty of a {spec.describe()} image")
    return grey[:, :, 0] / 255


def _picture_of(row: Row, folder: Path) -> Path:
    """The picture of an image: named by its seed or latent, with its class where there are several.

    Raises:
        UserError: there is none.
    """
    seed = row.columns.get("seed", "")
    head = f"seed{int(seed):04d}" if seed.isdecimal() else row.columns.get("latent", row.file)
    alone, of_class = f"{head}.png", file_names([head] * 2, [row.label, ""], "png")[0]
    found = next((folder / name for name in (of_class, alone) if (folder / name).is_file()), None)
    if found is None:
        raise UserError(
            f"--uncertainty {folder}: has no {of_class}; give the folder that annotate generate "
            "--save-uncertainty wrote with this archive"
        )
    return found


def _title(image: Reviewed) -> str:
    name = image.row.columns.get("seed", "")
    title = f"seed {name}" if name else image.row.file
    label = f" {image.row.label}" if image.row.label else ""
    value = "" if image.uncertainty is None else f"  {image.uncertainty:.3f}"
    return f"{title}{label}{value}"


def _numbered(request: AnnotateReviewRequest, images: MaskedImages) -> tuple[Palette, MaskedImages]:
    """Names and colours: of a file, else as the archive's mask generator says, else the values of
    the masks; and the masks with the number of each class in place of its value.

    Raises:
        UserError: the file is no palette, or lacks a value.
    """
    there = sorted(value for value in images.values if value != IGNORED)
    palette = _palette(request, images)
    if palette is None:
        values = there if 0 in there else [0, *there]
        values = values if len(values) > 1 else [*values, values[0] + 1]
        palette = of_names(["background", *map(str, values[1:])])
    else:
        values = palette.values
    absent = [value for value in there if value not in values]
    if absent:
        raise UserError(
            f"{images.rows.name}: its masks hold {first_few(map(str, absent))}, which no class of "
            "the palette has: name every value in a palette.json, such as "
            '{"background": "#000000", "nucleus": {"colour": "#ff0000", "value": 128}}'
        )
    known = {value: k for k, value in enumerate(values)}
    table = np.array([known.get(value, IGNORED) for value in range(IGNORED + 1)], np.uint8)
    return palette, replace(images, masks=table[images.masks])


def _palette(request: AnnotateReviewRequest, images: MaskedImages) -> Palette | None:
    """Of a file, else as the archive's mask generator says; None where neither is there."""
    if request.palette is not None:
        expected = "a palette, such as palette.json"
        data = read_bounded(request.palette, expected, limit=MAX_PALETTE_BYTES)
        return read_palette(data, str(request.palette))
    about = images.rows.archive.info.snapshots
    named = about[0].get("mask_generator") if about else None
    listed = named.get("classes") if isinstance(named, dict) else None
    if isinstance(listed, list) and listed:
        classes = [MaskClass.parse(each, images.rows.name) for each in listed]
        return Palette(tuple(PaletteClass(each.name, each.colour) for each in classes))
    return None
