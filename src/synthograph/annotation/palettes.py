"""What the colours and numbers of painted masks mean: palettes of people and of their programs."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int, UInt8

from synthograph.core.errors import UserError
from synthograph.core.names import first_few, nearest, without_controls
from synthograph.core.overlays import COLOURS
from synthograph.core.untrusted.documents import JsonObject, parse_json
from synthograph.results.annotations import MOST_CLASSES, MaskClass

RGB = tuple[int, int, int]
UNKNOWN = -1
"""In place of a class, where no class has the colour or number."""
MAX_NAME = 100
_HEX = re.compile(r"#?([0-9a-fA-F]{6})")
_LUMINANCE = np.array([19595, 38470, 7471])
"""Of red, green and blue by 65536, as Pillow converts colours to grey (ITU-R BT.601)."""


@dataclass(frozen=True)
class PaletteClass:
    """A class of masks, and what stands for it in files.

    Attributes:
        name: of the class.
        colour: red, green and blue.
        value: its number in label images; None for its place in the palette.
        greys: grey values that mean it once colours are converted to grey; then the colour itself
            is only shown.
    """

    name: str
    colour: RGB
    value: int | None = None
    greys: tuple[int, ...] = ()


@dataclass(frozen=True)
class Palette:
    """The classes of masks, the background first."""

    classes: tuple[PaletteClass, ...]

    def __post_init__(self) -> None:
        names = [each.name.casefold() for each in self.classes]
        if not 2 <= len(names) <= MOST_CLASSES:
            raise UserError(
                f"a palette has 2 to {MOST_CLASSES} classes, the background first; got {len(names)}"
            )
        for what, several in (
            ("name", names),
            ("colour", [str(each.colour) for each in self.classes if not each.greys]),
            ("number", [str(number) for number in self.values]),
        ):
            twice = next((one for one in several if several.count(one) > 1), None)
            if twice is not None:
                raise UserError(f"two classes have the {what} {twice}: give every class its own")

    @property
    def values(self) -> list[int]:
        """Number of every class in label images."""
        return [k if c.value is None else c.value for k, c in enumerate(self.classes)]

    @property
    def shown(self) -> tuple[MaskClass, ...]:
        """Names and colours, as records hold them."""
        return tuple(MaskClass(name=c.name, colour=c.colour) for c in self.classes)

    def number(self, name: str, where: str) -> int:
        """Number of a class by its name, upper or lower case.

        Raises:
            UserError: it is unknown.
        """
        names = [each.name.casefold() for each in self.classes]
        if name.casefold() in names:
            return names.index(name.casefold())
        known = [each.name for each in self.classes]
        raise UserError(
            f"{where}: class {name!r:.80} is not in the palette; {nearest(name, known)}"
        )

    def of_values(self, values: np.ndarray) -> Int[np.ndarray, "h w"]:
        """Class of every number of a label image; `UNKNOWN` where none has it."""
        found = np.full(values.shape, UNKNOWN)
        for k, value in enumerate(self.values):
            found[values == value] = k
        return found

    def of_colours(
        self, colours: UInt8[np.ndarray, "h w 3"], tolerance: int = 0
    ) -> Int[np.ndarray, "h w"]:
        """Class of every colour; `UNKNOWN` where none is near enough.

        Args:
            colours: RGB.
            tolerance: largest difference of a channel; of several classes the nearest is taken.
        """
        if any(each.greys for each in self.classes):
            return self._of_greys((colours.astype(np.int64) @ _LUMINANCE + 0x8000) >> 16)
        every, place = np.unique(colours.reshape(-1, 3), axis=0, return_inverse=True)
        known = np.array([each.colour for each in self.classes])
        apart = np.abs(every[:, None].astype(int) - known[None]).max(2)
        best = apart.argmin(1)
        best[apart.min(1) > tolerance] = UNKNOWN
        found: np.ndarray = best[place.reshape(colours.shape[:2])]
        return found

    def _of_greys(self, greys: Int[np.ndarray, "h w"]) -> Int[np.ndarray, "h w"]:
        table = np.full(256, UNKNOWN)
        for k, each in enumerate(self.classes):
            table[list(each.greys)] = k
        found: np.ndarray = table[greys]
        return found

    def json(self) -> JsonObject:
        """As a file of a palette holds it."""
        return {each.name: _entry(each) for each in self.classes}


def _entry(each: PaletteClass) -> object:
    colour = "#{:02x}{:02x}{:02x}".format(*each.colour)
    if each.value is None and not each.greys:
        return colour
    more: JsonObject = {"colour": colour}
    if each.value is not None:
        more["value"] = each.value
    if each.greys:
        more["greys"] = list(each.greys)
    return more


def of_names(names: Sequence[str]) -> Palette:
    """A palette of classes whose colours nobody chose; the background is black."""
    colours = [(0, 0, 0), *(COLOURS[k % len(COLOURS)] for k in range(len(names)))]
    while len({*colours[: len(names)]}) < len(names):  # more classes than colours
        colours = [(r, g, (b + 7 * k) % 256) for k, (r, g, b) in enumerate(colours)]
    return Palette(tuple(PaletteClass(*pair) for pair in zip(names, colours, strict=False)))


def read_palette(data: bytes, origin: str) -> Palette:
    """A palette of a file: JSON (name -> colour), a palette of GIMP, the label descriptions of
    ITK-SNAP, or CVAT's labelmap.txt.

    The background is the class of that name, else the black one, else one is added in black.

    Raises:
        UserError: it is none of them, or breaks their rules.
    """
    text = data.decode("utf-8-sig", errors="replace")
    if text.lstrip().startswith(("{", "[")):
        found = _of_json(parse_json(text, origin), origin)
    elif text.startswith("GIMP Palette"):
        found = list(_of_gimp(text, origin))
    elif _ITK.search(text):
        found = [_itk_class(match) for match in _ITK.finditer(text)]
    elif _CVAT.search(text):
        found = list(_of_cvat(text, origin))
    else:
        raise UserError(
            f"{origin}: is no palette; give JSON such as {EXAMPLE}, a palette of GIMP (.gpl), "
            f"label descriptions of ITK-SNAP, CVAT's labelmap.txt, or {' or '.join(BUILT_IN)}"
        )
    try:
        return Palette(tuple(background_first(found)))
    except UserError as error:
        raise UserError(f"{origin}: {error}") from None


EXAMPLE = '{"background": "#000000", "iris": "#0000ff"}'
_ITK = re.compile(
    r"^[^\S\n]*" + r"(\d+)[^\S\n]+" * 4 + r"[\d.]+[^\S\n]+\d+[^\S\n]+\d+[^\S\n]+\"([^\"]*)\"",
    re.MULTILINE,
)
_CVAT = re.compile(r"^#\s*label:color_rgb", re.MULTILINE)
_BACKGROUND = "background"
_NOTHING = (_BACKGROUND, "clear label", "unlabeled", "unlabelled")
"""What programs call the background."""


def background_first(found: Sequence[PaletteClass]) -> list[PaletteClass]:
    """The class of that name, else the black one, else a new one, before the others."""
    named = [c for c in found if c.name.casefold() in _NOTHING]
    black = [c for c in found if c.colour == (0, 0, 0)]
    numbered = any(c.value is not None for c in found)
    added = PaletteClass(_BACKGROUND, (0, 0, 0), 0 if numbered else None)
    first = next(iter([*named, *black]), added)
    others = [c for c in found if c is not first]
    named_so = PaletteClass(_BACKGROUND, first.colour, first.value, first.greys)
    return [named_so if first.name.casefold() in _NOTHING else first, *others]


def _of_json(tree: object, origin: str) -> list[PaletteClass]:
    if isinstance(tree, list) and all(isinstance(name, str) for name in tree):
        return list(of_names([_name(name, origin) for name in tree]).classes)
    if not isinstance(tree, dict) or len(tree) > MOST_CLASSES:
        raise UserError(
            f"{origin}: a palette holds names and colours, at most {MOST_CLASSES}: {EXAMPLE}"
        )
    return [_json_class(_name(name, origin), entry, origin) for name, entry in tree.items()]


def _json_class(name: str, entry: object, origin: str) -> PaletteClass:
    """A class from its colour, or from an object of colour, value and greys."""
    if not isinstance(entry, dict):
        return PaletteClass(name, _colour(entry, f"{origin}: {name}"))
    unknown = next((key for key in entry if key not in ("colour", "value", "greys")), None)
    if unknown is not None:
        raise UserError(
            f"{origin}: {name}: {unknown!r:.40} is unknown; a class has colour, value and greys"
        )
    value, greys = entry.get("value"), entry.get("greys", [])
    if value is not None and not _is_byte(value):
        raise UserError(f"{origin}: {name}: value is a whole number from 0 to 255")
    if not isinstance(greys, list) or not all(map(_is_byte, greys)):
        raise UserError(f"{origin}: {name}: greys are whole numbers from 0 to 255")
    colour = _colour(entry.get("colour"), f"{origin}: {name}")
    return PaletteClass(name, colour, value, tuple(greys))


def _is_byte(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255


def _colour(entry: object, where: str) -> RGB:
    """A colour from `#rrggbb`, a grey value, or a list of red, green and blue.

    Raises:
        UserError: it is none of them.
    """
    if isinstance(entry, str) and (match := _HEX.fullmatch(entry)):
        red, green, blue = bytes.fromhex(match[1])
        return red, green, blue
    values = [entry] * 3 if _is_byte(entry) else entry
    if not isinstance(values, list) or len(values) != 3 or not all(map(_is_byte, values)):
        raise UserError(
            f"{where}: {str(entry)[:40]!r} is no colour; write '#0000ff', [0, 0, 255] or a grey "
            "value from 0 to 255"
        )
    red, green, blue = values
    return red, green, blue


def _name(name: str, origin: str) -> str:
    plain = without_controls(name).strip()
    if not plain or len(plain) > MAX_NAME:
        raise UserError(f"{origin}: {name[:40]!r} is no name of a class")
    return plain


def _of_gimp(text: str, origin: str) -> Iterable[PaletteClass]:
    for line in text.splitlines()[1:]:
        words = line.split(None, 3)
        if len(words) >= 3 and all(word.isdecimal() for word in words[:3]):
            name = words[3] if len(words) > 3 else ""
            colour = _colour([int(word) for word in words[:3]], f"{origin}: {name}")
            yield PaletteClass(_name(name, origin), colour)


def _itk_class(match: re.Match[str]) -> PaletteClass:
    value, *channels = (int(match[k]) for k in range(1, 5))
    where = f"label {value}"
    if value > 255:
        raise UserError(f"{where}: class numbers go to 255")
    return PaletteClass(_name(match[5], where), _colour(channels, where), value)


def _of_cvat(text: str, origin: str) -> Iterable[PaletteClass]:
    for line in text.splitlines():
        name, colon, rest = line.partition(":")
        channels = rest.partition(":")[0].split(",")
        if line.startswith("#") or not colon:
            continue
        if not all(word.strip().isdecimal() for word in channels):
            raise UserError(f"{origin}: {line[:60]!r} is no 'label:red,green,blue::'")
        colour = _colour([int(word) for word in channels], f"{origin}: {name}")
        yield PaletteClass(_name(name, origin), colour)


_EYE = {
    "background": {"colour": "#000000", "greys": list(range(15))},
    "iris": {"colour": "#0000ff", "greys": [29]},
    "pupil": {"colour": "#ff0000", "greys": [76]},
    "sclera": {"colour": "#00ff00", "greys": [150]},
}
_EYE_10 = {
    **_EYE,
    "lower lid": {"colour": "#00fff0", "greys": [174, 177]},
    "lower lid inner": {"colour": "#ff4b05", "greys": [121]},
    "upper lid": {"colour": "#ffff00", "greys": [222, 226]},
    "iris ring": {"colour": "#8c00ff", "greys": [71]},
    "pupil ring": {"colour": "#fcb2ff", "greys": [209]},
    "tear duct": {"colour": "#ff8000", "greys": [151, 156]},
}
BUILT_IN: Mapping[str, Palette] = {
    "ocular": Palette(tuple(_of_json(_EYE, "ocular"))),
    "ocular-10": Palette(tuple(_of_json(_EYE_10, "ocular-10"))),
}
"""Grey values of the masks of BiOcularGAN (Tomasevic et al. 2022), of 4 and 10 classes."""


def unknown_words(
    ids: Int[np.ndarray, "h w"], shown: np.ndarray, where: str, known: Palette
) -> str:
    """That pixels have no class: which, where the first is, and their share.

    Args:
        ids: classes, `UNKNOWN` among them.
        shown: colours [h, w, 3] or numbers [h, w] of the file.
        where: file, for messages.
        known: what was looked for.
    """
    missing = ids == UNKNOWN
    row, column = (int(place[0]) for place in np.nonzero(missing))
    share, first = missing.mean(), shown[row, column]
    what = f"number {first}" if shown.ndim == 2 else "colour #{:02x}{:02x}{:02x}".format(*first)
    others = len(np.unique(shown[missing].reshape(missing.sum(), -1), axis=0)) - 1
    more = f" and {others} more" if others else ""
    names = first_few([each.name for each in known.classes], 6)
    return (
        f"{where}: {what}{more} stand for no class of the palette ({names}): first at row {row}, "
        f"column {column}, {share:.2%} of the pixels"
    )
