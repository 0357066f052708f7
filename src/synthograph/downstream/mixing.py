"""How many synthetic images of every class join how many real training images, and which.

A rule turns the number of real training images of every class into `Amounts`: how many synthetic
images are added, how many real ones are removed. Images are drawn in an order that the seed alone
decides, so that a larger amount holds every image of a smaller one.
"""

import enum
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pydantic

from synthograph.archive.manifest import Row
from synthograph.core.config import Config
from synthograph.core.errors import UserError
from synthograph.core.names import nearest
from synthograph.core.seeds import Streams
from synthograph.core.untrusted.documents import parse_json, read_text

Counts = Mapping[str, int]
"""Class to number of images, in class order."""
DUPLICATE_OF = "duplicate_of"
"""Column of repeated real images: the file in the real archive."""


class Control(enum.Enum):
    """What stands for the synthetic images."""

    NONE = "none"
    """They themselves."""
    DUPLICATES = "duplicates"
    """As many repeated real images."""
    AUGMENTATION = "augmentation"
    """Nothing but the classifier's own augmentation."""
    SHUFFLED = "shuffled"
    """They themselves, under labels that say nothing of what they show."""

    @property
    def synthetic(self) -> bool:
        """Whether synthetic images join."""
        return self in (Control.NONE, Control.SHUFFLED)


MAX_TIMES = 1000.0
SEED = "seed"
"""Column of synthetic rows: the seed of their latent."""


@dataclass(frozen=True)
class Amounts:
    """Images by class.

    Attributes:
        added: synthetic images that join, or what stands for them.
        removed: real training images that leave.
    """

    added: Counts
    removed: Counts


def add(real: Counts, given: Mapping[str, float]) -> Amounts:
    """So many images of each class."""
    return Amounts({name: round(given.get(name, 0)) for name in real}, {})


def add_percent(real: Counts, given: Mapping[str, float]) -> Amounts:
    """So many images per hundred real ones of the class."""
    return Amounts({n: round(count * given.get(n, 0) / 100) for n, count in real.items()}, {})


def top_up(real: Counts, times: float) -> Amounts:
    """Every class up to the largest one, times a factor; a class that has more stays as it is."""
    target = round(max(real.values()) * times)
    return Amounts({name: max(0, target - count) for name, count in real.items()}, {})


def replace(real: Counts, given: Mapping[str, float]) -> Amounts:
    """A share of the real images of each class, 0..1, makes room for as many synthetic ones, so
    that number and balance stay.
    """
    moved = {name: round(count * given.get(name, 0)) for name, count in real.items()}
    return Amounts(moved, moved)


def only_synthetic(real: Counts, given: Mapping[str, float]) -> Amounts:
    """No real training image; as many synthetic ones as there were, or as are given."""
    return Amounts({n: round(given.get(n, count)) for n, count in real.items()}, dict(real))


def per_class(
    words: Sequence[str], classes: Sequence[str], flag: str, *, limit: float, whole: bool = False
) -> dict[str, float]:
    """Numbers for classes: one for all (`100`), or by name (`MEL=100,NV=50`; others have none).

    Args:
        words: the texts between commas; those of a class with commas in its name are joined.
        classes: those that there are.
        flag: what was typed, for messages.
        limit: largest number that makes sense.
        whole: whether they count images.

    Raises:
        UserError: a word is no number from 0 to `limit`, or names no class.
    """
    found: dict[str, float] = {}
    words = _joined(words, classes)
    for word in words:
        name, equals, text = word.rpartition("=")
        if equals and name not in classes:
            raise UserError(f"{flag} {word!r}: class {name!r}: {nearest(name, classes)}")
        if not equals and len(words) > 1:
            raise UserError(
                f"{flag}: {word!r} names no class: give one number for all classes, or "
                f"{classes[0]}=N for each"
            )
        try:
            number = float(text)
        except ValueError:
            number = -1
        if not 0 <= number <= limit or (whole and number % 1):
            kind = "whole number" if whole else "number"
            raise UserError(f"{flag} {word!r}: give a {kind} from 0 to {limit:g}")
        for each in [name] if equals else classes:
            found[each] = number
    return found


def _joined(words: Sequence[str], classes: Sequence[str]) -> list[str]:
    """Texts that were cut at the commas of a class name, put together again."""
    known = {re.sub(r"\s*,\s*", ",", name): name for name in classes}
    found: list[str] = []
    waiting: list[str] = []
    for word in words:
        waiting.append(word)
        name, equals, text = ",".join(waiting).rpartition("=")
        if equals and (name in known or len(waiting) == 1):
            found.append(f"{known.get(name, name)}={text}")
            waiting = []
    return [*found, *waiting]


def by_thousands(text: str, classes: Sequence[str], *, limit: float) -> dict[str, float]:
    """Thousands of images per class in class order, as the skin-lesion project writes them: `0,15`.

    Raises:
        UserError: there is not one number per class, or one is more than `limit` images.
    """
    parts = text.split(",")
    if len(parts) != len(classes) or not all(re.fullmatch(r"\s*\d+(\.\d+)?\s*", p) for p in parts):
        example = ",".join(["0", "15", *["0"] * len(classes)][: len(classes)])
        raise UserError(
            f"--synt-n-imgs {text!r}: give thousands of images for each of the {len(classes)} "
            f"classes ({', '.join(classes)}), such as {example}"
        )
    found = {name: 1000 * float(part) for name, part in zip(classes, parts, strict=True)}
    if max(found.values()) > limit:
        raise UserError(f"--synt-n-imgs {text!r}: at most {limit / 1000:g} thousand of a class")
    return found


class PublishedAmounts(Config):
    """A file of amounts of the thyroid project: class `classes[i]` of the generator with the seeds
    `seeds[i]` (the upper bound not among them) becomes class `class_map[i]` of the classifier.
    """

    classes: list[int | str] = pydantic.Field(min_length=1)
    seeds: list[str]
    network: list[str] = []
    class_map: list[int | str]

    @pydantic.model_validator(mode="after")
    def _as_long(self) -> "PublishedAmounts":
        if not len(self.classes) == len(self.seeds) == len(self.class_map):
            raise ValueError("classes, seeds and class_map must be equally long")
        for text in self.seeds:
            found = re.fullmatch(r"(\d{1,9})-(\d{1,9})", text)
            if not found or int(found[1]) >= int(found[2]):
                raise ValueError(f"seeds {text!r}: must be such as 0-510, the last not among them")
        return self


@dataclass(frozen=True)
class Taken:
    """Synthetic images of one class of the generator that become images of a class of the archive.

    Attributes:
        made: the generator's class.
        label: the archive's class.
        seeds: of the latents.
    """

    made: str
    label: str
    seeds: range

    def __str__(self) -> str:
        first, last = self.seeds.start, self.seeds.stop - 1
        return f"{len(self.seeds)} of class {self.made} (seeds {first} to {last}) as {self.label}"


def read_published(path: Path, made: Sequence[str], classes: Sequence[str]) -> list[Taken]:
    """What a file of the thyroid project asks for.

    Args:
        path: JSON with `classes`, `seeds`, `class_map`.
        made: classes of the synthetic set, in order.
        classes: classes of the real archive, in order.

    Raises:
        UserError: it is no such file, or names a class that is not there.
    """
    text = read_text(path, "give a JSON file with classes, seeds and class_map")
    document = parse_json(text, str(path))
    if not isinstance(document, dict):
        raise UserError(f"{path}: needs an object with classes, seeds and class_map")
    try:
        given = PublishedAmounts.parse(document)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    found = []
    for one, seeds, other in zip(given.classes, given.seeds, given.class_map, strict=True):
        start, stop = seeds.split("-")
        of_made = _class(one, made, f"{path}: classes")
        label = _class(other, classes, f"{path}: class_map")
        found.append(Taken(of_made, label, range(int(start), int(stop))))
    return found


def _class(given: int | str, known: Sequence[str], where: str) -> str:
    """A class by its name, or by its number from 0."""
    if given in known:
        return str(given)
    text = str(given)
    if text.isascii() and text.isdigit() and int(text) < len(known):
        return known[int(text)]
    raise UserError(f"{where}: {given!r} is none of {', '.join(known)}, nor a number below them")


def draw(
    rows: Mapping[str, Sequence[Row]], wanted: Counts, seed: int, what: str
) -> dict[str, list[Row]]:
    """Draw rows of each class without repetition.

    Args:
        rows: class to the rows that there are.
        wanted: how many of each.
        seed: of the order.
        what: what they are drawn from, for messages.

    Raises:
        UserError: a class has too few; all such classes are named.
    """
    short = [
        f"{count} of class {name} ({len(rows.get(name, ()))} are there)"
        for name, count in wanted.items()
        if count > len(rows.get(name, ()))
    ]
    if short:
        raise UserError(
            f"{what}: wanted are {', '.join(short)}: generate more with 'synthograph generate', "
            "or ask for fewer"
        )
    return {name: _order(rows[name], seed, name)[:count] for name, count in wanted.items() if count}


def draw_again(
    rows: Mapping[str, Sequence[Row]], wanted: Counts, seed: int
) -> dict[str, list[Row]]:
    """Draw rows of each class with repetition, every row equally often up to one: the control that
    a gain by more steps alone shows up in.

    Raises:
        UserError: a class has no row at all.
    """
    found = {}
    for name, count in wanted.items():
        there = rows.get(name, ())
        if count and not there:
            raise UserError(f"class {name!r} has no real training image that could be repeated")
        if count:
            order = _order(there, seed, name)
            found[name] = [order[place % len(order)] for place in range(count)]
    return found


def shuffle_labels(drawn: Mapping[str, Sequence[Row]], seed: int) -> dict[str, list[Row]]:
    """The same rows under other classes, whatever they show, as many of each class as before: what
    a gain by images without meaning would look like.
    """
    rows = [row for some in drawn.values() for row in some]
    order = iter(Streams(seed).permutation("mixing/labels", 0, len(rows)).tolist())
    return {name: [rows[next(order)] for _ in some] for name, some in drawn.items()}


def take_seeds(rows: Sequence[Row], asked: Sequence[Taken], what: str) -> dict[str, list[Row]]:
    """The synthetic rows of exactly these classes and seeds, by the class that they become.

    Raises:
        UserError: one of them is not there, or there are several.
    """
    there = {(row.label, row.columns.get(SEED, "")): row for row in rows}
    times = Counter((row.label, row.columns.get(SEED, "")) for row in rows)
    found: dict[str, list[Row]] = {}
    for each in asked:
        several = [seed for seed in each.seeds if times[each.made, str(seed)] > 1]
        if several:
            raise UserError(
                f"{what}: have {times[each.made, str(several[0])]} images of class {each.made} "
                f"with seed {several[0]}, and --amounts does not say which: name one set"
            )
        missing = [seed for seed in each.seeds if (each.made, str(seed)) not in there]
        if missing:
            raise UserError(
                f"{what}: has no image of class {each.made} with seed {missing[0]} "
                f"({len(missing)} of {len(each.seeds)} are missing): 'synthograph generate --class "
                f"{each.made} --seeds {each.seeds.start}-{each.seeds.stop - 1}' makes them all"
            )
        chosen = found.setdefault(each.label, [])
        chosen += [there[each.made, str(seed)] for seed in each.seeds]
    return found


def _order(rows: Sequence[Row], seed: int, name: str) -> list[Row]:
    order = Streams(seed).permutation(f"mixing/{name}", 0, len(rows))
    return [rows[place] for place in order.tolist()]
