"""What a request for an archive wants of volumes and DICOM files."""

import re
from collections.abc import Sequence
from pathlib import Path

from synthograph.core.errors import UserError
from synthograph.sources.base import Axis, Dicom, Grey, Reading, Regions, Slides
from synthograph.sources.dicom import check_tags
from synthograph.sources.pairing import check_modality
from synthograph.sources.view import parse_centred
from synthograph.workflows.requests import PrepareRequest

_SECRET = 16
_MAX_SECRET = 1 << 16
OF_TILES = ("mpp", "per_slide", "min_tissue", "min_sharpness", "tile_seed")
"""Options that say nothing without `--tile`."""


def read_as(request: PrepareRequest, regions: Regions | None = None) -> Reading:
    """How files are read; regions are what becomes of polygons on slides.

    Raises:
        UserError: an element that would name a patient, a secret that is none, or a pattern that is
            no regular expression.
    """
    check_tags(request.tag)
    _check_names(request)
    if request.series_description is not None:
        try:
            re.compile(request.series_description)
        except re.error as error:
            raise UserError(
                f"--series-description {request.series_description!r} is no regular expression: "
                f"{error}"
            ) from None
    return Reading(
        axis=None if request.axis is None else Axis(request.axis),
        every=request.every,
        min_foreground=request.min_foreground,
        spacing=request.spacing,
        pages=request.pages,
        channels=request.channels,
        dicom=Dicom(
            grey=Grey(request.window) if request.window in set(Grey) else Grey.VALUES,
            window=None if request.window is None else parse_centred(request.window),
            tags=request.tag,
            salt=None if request.pseudonymise is None else _secret(request.pseudonymise),
            series=request.series_description,
            captures=request.captures,
        ),
        slides=_slides(request, regions),
    )


def modalities_of(texts: Sequence[str]) -> dict[str, Path]:
    """Folders of `NAME=DIR`, by name."""
    result: dict[str, Path] = {}
    for text in texts:
        name, sign, folder = text.partition("=")
        if not (sign and name and folder):
            raise UserError(
                f"--modality {text!r} is not of the form NAME=DIR, such as nir=photos/NIR"
            )
        if name in result:
            raise UserError(f"--modality {name} is given twice: every modality has its own name")
        result[name] = Path(folder)
    return result


def _check_names(request: PrepareRequest) -> None:
    """Refuse names of modalities that others exclude, that come twice, or that no file can have."""
    if request.sequences and (request.modality or request.primary or request.channels):
        raise UserError(
            "--sequences names all modalities: leave --modality, --primary and --channels out, and "
            "--cohort where it has sequences of its own"
        )
    if request.channels and (request.modality or request.primary):
        raise UserError("--channels names all modalities: leave --modality and --primary out")
    for option, names in (("--sequences", request.sequences), ("--channels", request.channels)):
        if len(set(names)) < len(names):
            raise UserError(f"{option} {','.join(names)}: a name is given twice")
        for name in names:
            check_modality(name)


def _slides(request: PrepareRequest, regions: Regions | None) -> Slides | None:
    if request.tile is None:
        given = request.changed(OF_TILES)
        if given:
            names, what = " and ".join(given), "are" if given[1:] else "is"
            raise UserError(
                f"{names} {what} about tiles of whole slides; give their side, --tile 256"
            )
        return None
    return Slides(
        tile=request.tile,
        overlap=request.overlap,
        mpp=request.mpp,
        per_slide=request.per_slide,
        seed=request.tile_seed,
        tissue=request.min_tissue,
        sharpness=request.min_sharpness,
        regions=regions,
    )


def _secret(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            secret = file.read(_MAX_SECRET)
    except OSError as error:
        raise UserError(f"--pseudonymise {path}: cannot be read ({error.strerror})") from None
    if len(secret.strip()) < _SECRET:
        raise UserError(
            f"--pseudonymise {path}: holds fewer than {_SECRET} bytes, which can be guessed; make "
            f'a secret with python -c "import secrets; print(secrets.token_hex())" > {path} and '
            "keep it apart from the archive"
        )
    return secret.strip()
