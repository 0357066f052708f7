"""How pixels are changed on request before they are stored: a window of values, grey or RGB."""

import dataclasses
import enum
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from PIL import Image

from synthograph.core.errors import UserError
from synthograph.core.progress import Track
from synthograph.core.record import DecodedImage, Pixels, SourceItem, UnreadableError, array_of
from synthograph.core.untrusted.documents import JsonObject
from synthograph.sources.thresholds import drawn

MEASURED_IMAGES = 1000
"""Images of a set that percentiles are taken from, drawn at random, where there are more."""
_SAMPLE = 1 << 24  # values of all of them together

Limits = tuple[float, float]
"""The values that become black and white."""


class Colour(enum.StrEnum):
    """What images are converted to."""

    GREY = "grey"
    RGB = "rgb"


class WindowScope(enum.StrEnum):
    """What the percentiles of a window are taken of."""

    ARCHIVE = "archive"
    VOLUME = "volume"
    """All images of one file."""
    IMAGE = "image"


_NUMBER = r"[=: ]?(-?[0-9.]+(?:e[0-9]+)?)"
_CENTRE = re.compile(rf"(?:center|centre|level|wl|wc|c|l){_NUMBER}", re.IGNORECASE)
_WIDTH = re.compile(rf"(?:width|ww|w){_NUMBER}", re.IGNORECASE)
_BETWEEN = frozenset(" ,;/")


def parse_centred(text: str) -> Limits | None:
    """The values that become black and white in `center=40,width=400`, also `C40W400`, `WW400 WL40`
    and `level=40,width=400`; None for another form.

    They are those of a DICOM window (PS3.3 C.11.2.1.2.1).

    Raises:
        UserError: a width that is not above 1.
    """
    width = _WIDTH.search(text)
    rest = "" if width is None else text[: width.start()] + " " + text[width.end() :]
    centre = _CENTRE.search(rest)
    if width is None or centre is None or set(rest.replace(centre[0], "", 1)) - _BETWEEN:
        return None
    try:
        middle, wide = float(centre[1]), float(width[1])
    except ValueError:
        return None
    if not wide > 1:
        raise UserError(f"--window {text!r}: a width is above 1")
    return middle - 0.5 - (wide - 1) / 2, middle - 0.5 + (wide - 1) / 2


def _centred(centre: float, width: float) -> str:
    low, high = centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
    return f"center={centre:g},width={width:g} for {low:g} to {high:g}"


def other_reading(text: str) -> str | None:
    """What is said where two plain numbers may be meant as center and width; None elsewhere."""
    if parse_centred(text) is not None or "%" in text:
        return None
    window = Window.parse(text, WindowScope.ARCHIVE)
    if window.high <= 1:
        return None
    return (
        f"--window {text}: {window.low:g} becomes black and {window.high:g} white; a radiologist's "
        f"window is written {_centred(window.low, window.high)}"
    )


@dataclass(frozen=True, slots=True)
class Window:
    """Which values become black and white: numbers, or percentiles (0 to 100) of the pixels."""

    low: float
    high: float
    percentiles: bool
    scope: WindowScope = WindowScope.ARCHIVE

    @classmethod
    def parse(cls, text: str, scope: WindowScope) -> "Window":
        """The window that `LOW,HIGH`, `LOW%,HIGH%` or `center=C,width=W` means.

        Raises:
            UserError: another form, or a high end that is not above the low one.
        """
        words = [word.strip() for word in text.split(",")]
        percentiles = all(word.endswith("%") for word in words)
        try:
            low, high = parse_centred(text) or (
                float(word.removesuffix("%") if percentiles else word) for word in words
            )
        except ValueError:
            low = high = 0.0
        if low > high > 0 and not percentiles:
            raise UserError(
                f"--window {text!r}: {low:g} cannot be black where {high:g} is white; give "
                f"LOW,HIGH, such as 0,4095, here {high:g},{low:g}, or {_centred(high, low)}"
            )
        bounded = not percentiles or 0 <= low < high <= 100
        if not (np.isfinite([low, high]).all() and low < high and bounded):
            raise UserError(
                f"--window {text!r}: give the values that become black and white as LOW,HIGH, such "
                "as 0,4095, as center=40,width=400, or as percentiles of the pixels, such as "
                "0.5%,99.5%"
            )
        if scope is not WindowScope.ARCHIVE and not percentiles:
            raise UserError(
                f"--window-scope {scope} takes percentiles of each {scope}: give --window in "
                "percent, such as 0.5%,99.5%"
            )
        return cls(low, high, percentiles, scope)

    def limits_of(self, values: np.ndarray) -> Limits:
        """The values that become black and white in an image; at least one apart."""
        if not self.percentiles:
            return self.low, self.high
        finite = values[np.isfinite(values)]
        if not finite.size:
            return 0.0, 1.0
        low, high = (float(v) for v in np.percentile(finite, [self.low, self.high]))
        return low, high if high > low else low + 1


@dataclass(frozen=True, slots=True)
class View:
    """What becomes of the pixels of each modality."""

    window: Window | None = None
    limits: tuple[tuple[str, Limits], ...] = ()
    """Modality -> limits of all its images, of a window that is the same for all."""
    split: str | None = None
    """Whose images these limits were measured on; None for all images."""
    colour: Colour | None = None

    def record(self) -> JsonObject | None:
        """What the archive keeps of it; None for nothing."""
        result: JsonObject = {}
        if self.window is not None:
            result["window"] = {
                **dataclasses.asdict(self.window),
                "limits": {name: list(limits) for name, limits in self.limits},
                **({} if self.split is None else {"split": self.split}),
            }
        if self.colour is not None:
            result["colour"] = str(self.colour)
        return result or None

    def __bool__(self) -> bool:
        return self.window is not None or self.colour is not None

    def apply(self, picture: DecodedImage) -> DecodedImage:
        """The picture through the window and in the wanted colours.

        Raises:
            UnreadableError: 16-bit grey cannot become RGB.
        """
        known = dict(self.limits)
        modalities: dict[str, Pixels] = {}
        notes, columns = list(picture.notes), dict(picture.columns)
        for name, pixels in picture.modalities.items():
            if self.window is not None:
                limits = known.get(name) or self.window.limits_of(array_of(pixels))
                pixels, further = _windowed(array_of(pixels), limits)
                notes += further
                if self.window.scope is not WindowScope.ARCHIVE:
                    end = f".{name}" if modalities else ""
                    columns[f"window_low{end}"] = f"{limits[0]:g}"
                    columns[f"window_high{end}"] = f"{limits[1]:g}"
            if self.colour is not None:
                pixels, further = _coloured(pixels, self.colour)
                notes += further
            modalities[name] = pixels
        return dataclasses.replace(
            picture, modalities=modalities, notes=tuple(notes), columns=columns
        )


@dataclass(frozen=True, slots=True)
class Viewed:
    """Decodes an image and changes it; picklable."""

    decode: Callable[[], DecodedImage]
    view: View

    def __call__(self) -> DecodedImage:
        """Decode and change.

        Raises:
            UnreadableError: as the decoder, or the view does not fit.
        """
        return self.view.apply(self.decode())


def viewed(items: Sequence[SourceItem], view: View) -> list[SourceItem]:
    """The items with their pixels changed."""
    if not view:
        return list(items)
    return [dataclasses.replace(item, decode=Viewed(item.decode, view)) for item in items]


def view_volumes(items: Sequence[SourceItem], view: View, track: Track) -> list[SourceItem]:
    """The items with their pixels changed, the percentiles being those of all images of a file.

    Items of one file stand side by side and are named `FILE#FRAME`.
    """
    assert view.window is not None, "a window is wanted"
    changed: list[SourceItem] = []
    volumes = [list(part) for _, part in groupby(items, lambda item: item.name.partition("#")[0])]
    for part in track(volumes, len(volumes)):
        limits = measure_limits(part, view.window, lambda some, total: some)
        changed += viewed(part, dataclasses.replace(view, limits=tuple(limits.items())))
    return changed


def measure_limits(items: Sequence[SourceItem], window: Window, track: Track) -> dict[str, Limits]:
    """Modality -> percentiles that are the same for all images.

    They are taken of at most `MEASURED_IMAGES` images and of some pixels of each, the same ones
    every time; images that cannot be read are left out.
    """
    rng, some = np.random.default_rng(0), items
    if len(items) > MEASURED_IMAGES:
        places = rng.choice(len(items), MEASURED_IMAGES, replace=False)
        some = [items[place] for place in sorted(places.tolist())]
    per_image = max(_SAMPLE // max(len(some), 1), 256)
    found: dict[str, list[np.ndarray]] = {}
    for item in track(some, len(some)):
        try:
            picture = item.decode()
        except UnreadableError:
            continue
        for name, pixels in picture.modalities.items():
            found.setdefault(name, []).append(drawn(array_of(pixels), per_image, rng))
    return {name: window.limits_of(np.concatenate(values)) for name, values in found.items()}


def _windowed(pixels: np.ndarray, limits: Limits) -> tuple[np.ndarray, tuple[str, ...]]:
    """Values between the limits spread over all that the bits hold; those beyond are clipped."""
    low, high = limits
    # an archive has no colours of 16 bits
    dtype = np.uint8 if pixels.dtype == np.uint8 or pixels.shape[2] == 3 else np.uint16
    top = np.iinfo(dtype).max
    notes: tuple[str, ...] = ("grey values windowed",)
    scaled = (pixels.astype(np.float64) - low) * (top / (high - low))
    if np.isnan(scaled).any():
        scaled, notes = np.nan_to_num(scaled), (*notes, "pixels without a value (NaN) put on black")
    return np.rint(np.clip(scaled, 0, top)).astype(dtype), notes


def _coloured(pixels: Pixels, colour: Colour) -> tuple[Pixels, tuple[str, ...]]:
    array = array_of(pixels)
    if colour is Colour.RGB and array.shape[2] == 1:
        if array.dtype != np.uint8:
            raise UnreadableError(
                "16-bit grey has no RGB form in an archive; use --colour grey, or save it with "
                "8 bits"
            )
        return np.repeat(array, 3, axis=2), ("grey converted to RGB",)
    if colour is Colour.GREY and array.shape[2] == 3 and array.dtype != np.uint8:
        return _grey_of(array), ("RGB converted to grey",)
    if colour is Colour.GREY and array.shape[2] == 3:
        grey = Image.fromarray(np.ascontiguousarray(array)).convert("L")
        return np.asarray(grey)[:, :, None], ("RGB converted to grey",)
    return pixels, ()


def _grey_of(colours: np.ndarray) -> np.ndarray:
    """Grey [h, w, 1] of deep colours, weighted as those of 8 bits are (ITU-R 601-2)."""
    weights = np.array([299, 587, 114], np.float64) / 1000
    grey = colours.astype(np.float64) @ weights
    whole = colours.dtype.kind in "iu"
    return (np.rint(grey).astype(colours.dtype) if whole else grey)[:, :, None]
