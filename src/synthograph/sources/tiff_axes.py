"""How the planes of a TIFF stack are ordered, as ImageJ, OME and tifffile describe it."""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

_IMAGEJ = re.compile(r"^(images|channels|slices|frames)=(\d{1,9})\s*$", re.MULTILINE)
_IMAGEJ_ORDER = {"t": "frames", "z": "slices", "c": "channels"}
"""Axes, slowest first: those of ImageJ always stand so."""
_OME_SIZES = re.compile(r"\bSize([ZCT])\s*=\s*[\"'](\d{1,9})[\"']")
_OME_ORDER = re.compile(r"\bDimensionOrder\s*=\s*[\"']XY([ZCT]{3})[\"']")
_OME_FILES = re.compile(r"\bFileName\s*=\s*[\"']([^\"']*)[\"']")
_OME_CHANNEL = re.compile(r"<(?:\w+:)?Channel\b[^>]*?\bName\s*=\s*[\"']([^\"']*)[\"']")
_OME_DATA = re.compile(r"<(?:\w+:)?TiffData\b([^>]*)>")
_OME_NUMBER = re.compile(r"\b(IFD|First[ZCT]|PlaneCount)\s*=\s*[\"'](\d{1,9})[\"']")
_OME_END = re.compile(r"</(?:\w+:)?Image>")
_MAX_NAME = 40
MAX_PLANES = 100_000
PAGE, CHANNEL = "p", "c"
"""Letters of an axis without a meaning, and of channels; z and t are depth and time."""


@dataclass(frozen=True, slots=True)
class Axes:
    """The planes of a stack.

    Attributes:
        letters: one for each axis, slowest first.
        counts: how long each is.
        names: of channels, where the file has some.
        places: where each plane lies in the file; nothing where they lie in order.
    """

    letters: str
    counts: tuple[int, ...]
    names: tuple[str, ...] = ()
    places: tuple[int, ...] = ()

    @property
    def planes(self) -> int:
        """How many there are."""
        return math.prod(self.counts)

    @property
    def channels(self) -> int:
        """How many planes belong together."""
        return dict(zip(self.letters, self.counts, strict=True)).get(CHANNEL, 1)

    @lru_cache(maxsize=16)  # noqa: B019 - frozen, and few
    def frames(self) -> Mapping[str, list[int]]:
        """Name of an image, such as `t0z12` -> places of its planes, a channel each."""
        found: dict[str, list[int]] = {}
        digits = [len(str(count - 1)) for count in self.counts]
        for plane in range(self.planes):
            where = np.unravel_index(plane, self.counts)
            name = "".join(
                f"{letter}{int(n):0{width}d}"
                for letter, n, width in zip(self.letters, where, digits, strict=True)
                if letter != CHANNEL
            )
            found.setdefault(name, []).append(self.places[plane] if self.places else plane)
        return found


def pages(count: int) -> Axes:
    """Planes of which nobody says more."""
    return Axes(PAGE, (count,))


def described_axes(text: str, *, depth: int, size: tuple[int, int], samples: int) -> Axes:
    """The planes that the description of a first page means.

    Args:
        text: the description, of anybody.
        depth: of the page by its tag ImageDepth.
        size: width and height of the page in pixels.
        samples: of a pixel.
    """
    found = pages(1)
    if text.startswith("ImageJ="):
        found = _imagej(text)
    elif text.startswith('{"shape"'):
        found = _shaped(text, size[0] * size[1] * samples)
    elif "<OME" in text and len(set(_OME_FILES.findall(text))) < 2:  # else a page of many files
        found = _ome(text, samples)
    return found if found.planes >= depth else pages(depth)


def _without_ones(letters: str, counts: tuple[int, ...], names: tuple[str, ...] = ()) -> Axes:
    kept = [(letter, n) for letter, n in zip(letters, counts, strict=True) if n != 1]
    if not kept:
        return pages(1)
    return Axes("".join(letter for letter, _ in kept), tuple(n for _, n in kept), names)


def _imagej(text: str) -> Axes:
    counts = {name: int(count) for name, count in _IMAGEJ.findall(text)}
    axes = tuple(counts.get(word, 1) for word in _IMAGEJ_ORDER.values())
    images = counts.get("images", math.prod(axes))
    return _without_ones("tzc", axes) if math.prod(axes) == images else pages(images)


def _shaped(text: str, plane: int) -> Axes:
    """The shape of an array, whose last axes are those of one plane of so many values."""
    try:
        told = json.loads(text)
        shape = [int(side) for side in told["shape"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        return pages(1)
    count, letters = math.prod(shape) // max(plane, 1), str(told.get("axes", ""))
    pairs = [(a.lower(), n) for a, n in zip(letters, shape, strict=False) if a not in "YXS"]
    known = len(letters) == len(shape) and len({a for a, _ in pairs}) == len(pairs)
    if known and math.prod(n for _, n in pairs) == count and all(a.isalpha() for a, _ in pairs):
        return _without_ones("".join(a for a, _ in pairs), tuple(n for _, n in pairs))
    return pages(count)


def _ome(text: str, samples: int) -> Axes:
    """The first image of an OME-XML (OME-TIFF specification, 2016-06)."""
    first = _OME_END.split(text)[0]
    sizes = {letter: int(n) for letter, n in reversed(_OME_SIZES.findall(first))}
    sizes["C"] = sizes.get("C", 1) // max(samples, 1) or 1
    order = _OME_ORDER.search(first)
    letters = (order[1] if order else "ZCT")[::-1]
    counts = tuple(sizes.get(letter, 1) for letter in letters)
    if not 0 < math.prod(counts) <= MAX_PLANES:
        return pages(math.prod(counts))
    names = tuple(name.strip()[:_MAX_NAME] for name in _OME_CHANNEL.findall(first))
    axes = _without_ones(letters.lower(), counts, names if len(names) == sizes["C"] else ())
    places = _ome_places(first, dict(zip(letters, counts, strict=True)), samples)
    return Axes(axes.letters, axes.counts, axes.names, places)


def _ome_places(text: str, counts: Mapping[str, int], samples: int) -> tuple[int, ...]:
    """Where each plane lies, where every one is told; nothing where they lie in order."""
    total = math.prod(counts.values())
    places = dict.fromkeys(range(total), -1)
    for attributes in _OME_DATA.findall(text):
        told = {key: int(n) for key, n in _OME_NUMBER.findall(attributes)}
        start = 0
        for letter, count in counts.items():
            step = samples if letter == "C" else 1
            start = start * count + told.get(f"First{letter}", 0) // step
        many = told.get("PlaneCount", 1 if "IFD" in told else total)
        for n in range(min(many, total)):
            if start + n in places:
                places[start + n] = told.get("IFD", 0) + n
    found = tuple(places.values())
    return found if sorted(found) == list(range(total)) and list(found) != sorted(found) else ()
