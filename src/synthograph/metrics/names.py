"""Names of measures as users write them: our own, and those of the published tools."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from synthograph.core.errors import UserError
from synthograph.core.names import nearest
from synthograph.metrics.measure import Source
from synthograph.metrics.measures import BY_NAME, chosen
from synthograph.metrics.paths import VARIANTS, PathVariant

OWN = tuple(BY_NAME)
FEATURE_MEASURES = tuple(each.name for each in chosen(OWN, Source.FEATURES))
"""Of features, real against synthetic."""
PROBABILITY_MEASURES = tuple(each.name for each in chosen(OWN, Source.PROBABILITIES))
"""For which the extractor must give class probabilities."""
EXTRACTOR_MEASURES = (*FEATURE_MEASURES, *PROBABILITY_MEASURES)
PATH = "path_length"
"""Our own as well, but of a generator instead of images; measured only on request."""
OWN_PAIRS, OWN_DISTANCE, PUBLISHED_DISTANCE = 2_000, "random-vgg16-distance", "lpips"
EXAMPLES = ("fid50k_full", "kid50k_full", "pr50k3_full", "is50k", "fid50k", "kid50k", "pr50k3")
MAX_COUNT = 1_000_000

_NAME = re.compile(r"(fid|kid|is|pr)(\d{1,7})(k?)(3?)(_full)?", re.ASCII)
_PATH = re.compile(rf"({'|'.join((*VARIANTS, PATH))})(?:_(\d{{1,7}})(k?))?", re.ASCII)


@dataclass(frozen=True)
class PublishedKind:
    """What a published name measures."""

    name: str  # how published names begin
    extractor: str = "inception"
    endings: tuple[str, ...] = ("",)  # of the keys under which its numbers are written
    max_real: int | None = None  # images that a name ending in `_full` takes at most; None for all
    neighbours: str = ""  # behind the number of images; empty for kinds without
    full: bool = True  # whether there are names ending in `_full`


FID = PublishedKind("fid")
KID = PublishedKind("kid", max_real=1_000_000)
PR = PublishedKind("pr", "vgg16", ("_precision", "_recall"), max_real=200_000, neighbours="3")
IS = PublishedKind("is", endings=("_mean", "_std"), full=False)
KINDS = {kind.name: kind for kind in (FID, KID, PR, IS)}


@dataclass(frozen=True)
class PublishedName:
    """A measure under its published name. All of them compare with the training images."""

    name: str
    kind: PublishedKind
    count: int  # synthetic images
    full: bool
    """Whether all real images count, without flips; else as many as synthetic ones, with the flips
    that training saw."""
    published: ClassVar[bool] = True

    @property
    def extractor(self) -> str:
        """Whose features."""
        return self.kind.extractor

    @property
    def max_real(self) -> int | None:
        """Real images at most; None for all."""
        return self.kind.max_real if self.full else self.count

    @property
    def keys(self) -> tuple[str, ...]:
        """Under which the numbers are written."""
        return tuple(f"{self.name}{ending}" for ending in self.kind.endings)


@dataclass(frozen=True)
class PathLength:
    """A path length of a generator."""

    name: str
    variant: PathVariant
    count: int  # pairs of images
    distance: str  # out of `features.registry.DISTANCES`
    published: bool  # whether it follows the published rules; ours has the offline distance

    @property
    def keys(self) -> tuple[str, ...]:
        """Under which the number is written."""
        return (self.name,)


def parse_path(text: str) -> PathLength | None:
    """A path length: `ppl2_wend` with its published 50,000 pairs, `ppl2_wend_5k` with fewer, or
    `path_length`, which needs no weights; None where the name is another measure's.

    Raises:
        UserError: too few or too many pairs.
    """
    found = _PATH.fullmatch(text)
    if found is None:
        return None
    published = found[1] in VARIANTS
    variant = VARIANTS[found[1] if published else "ppl2_wend"]
    count = variant.pairs if published else OWN_PAIRS
    if found[2] is not None:
        count = _count(text, found[2], found[3], "pairs of images")
    distance = PUBLISHED_DISTANCE if published else OWN_DISTANCE
    return PathLength(text, variant, count, distance, published)


def _count(text: str, digits: str, thousands: str, what: str) -> int:
    count = int(digits) * (1000 if thousands else 1)
    if not 2 <= count <= MAX_COUNT:
        raise UserError(f"{text}: {count} {what}; from 2 to {MAX_COUNT} can be asked for")
    return count


def parse(text: str) -> PublishedName:
    """A published name, with any count: `fid50k_full`, `fid5k_full`, `fid500_full`, `is10k`.

    Raises:
        UserError: there is no such name.
    """
    found = _NAME.fullmatch(text)
    if found is None:
        known = (*OWN, *EXAMPLES, *VARIANTS, PATH)
        raise UserError(f"measure {text!r} is unknown: {nearest(text, known)}")
    kind, full = KINDS[found[1]], found[5] is not None
    thousands = bool(found[3]) or not kind.neighbours
    if found[4] != kind.neighbours or not thousands or (full and not kind.full):
        raise UserError(
            f"measure {text!r} is unknown: the published names are {', '.join(EXAMPLES)}, with any "
            "count (pr5k3_full, is10k)"
        )
    return PublishedName(text, kind, _count(text, found[2], found[3], "synthetic images"), full)


@dataclass(frozen=True)
class MeasureSelection:
    """The measures that a user asks for: our own by name, published ones, and path lengths."""

    own: tuple[str, ...] = OWN
    published: tuple[PublishedName, ...] = ()
    paths: tuple[PathLength, ...] = ()


def parse_selection(words: Sequence[str]) -> MeasureSelection:
    """The measures that `--metrics` names; all of our own measures of images where it is empty.

    Args:
        words: names, or lists of names with commas.

    Raises:
        UserError: a name is unknown, or its count is out of range.
    """
    names = list(dict.fromkeys(n.strip() for word in words for n in word.split(",") if n.strip()))
    if not names:
        return MeasureSelection()
    paths = {name: parse_path(name) for name in names}
    return MeasureSelection(
        tuple(name for name in OWN if name in names),
        tuple(parse(name) for name in names if name not in OWN and paths[name] is None),
        tuple(path for path in paths.values() if path is not None),
    )
