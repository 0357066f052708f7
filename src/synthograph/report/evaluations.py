"""What `synthograph evaluate` measured, read back from its JSON and from `metrics.jsonl`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from synthograph.report.fields import Fields
from synthograph.report.words import amount, count, words_of

LABEL = "label"
SMALL = 100
"""Images below which a number is an indication at most."""
NOTHING = "(none)"
HELD_OUT = "held_out"
"""What a run calls measures by the images that choose its best snapshot."""


@dataclass(frozen=True)
class Part:
    """Which images a number is about; all of them where nothing is given."""

    column: str | None = None
    level: str | None = None
    modality: str | None = None

    def __str__(self) -> str:
        if self.modality is not None:
            return f"modality {self.modality}"
        if self.column is None:
            return "all images"
        return f"{'class' if self.column == LABEL else self.column} {self.level or NOTHING}"

    @classmethod
    def of(cls, fields: Fields) -> "Part":
        """From the entries `column`, `level` and `modality`."""
        level = fields.text("level") if "level" in fields else None
        return cls(fields.text("column") or None, level, fields.text("modality") or None)

    def json(self) -> dict[str, Any]:
        """Plain data."""
        return {"column": self.column, "level": self.level, "modality": self.modality}


WHOLE = Part()


@dataclass(frozen=True)
class Bound:
    """Real against real: mean, smallest and largest over cuts into halves, and what generated
    images reach at the same numbers.
    """

    value: float
    low: float
    high: float
    same: float | None
    n: tuple[int, ...] = ()
    splits: int | None = None


@dataclass(frozen=True)
class Entry:
    """One number.

    Attributes:
        measure: short name.
        part: the images.
        extractor: whose features; None for measures of pixels.
        indicative: whether the extractor was never trained, so its word alone decides nothing.
        value: the number; None where `notes` say why there is none.
        interval: of 95 % where nothing else is said.
        n_real: real images.
        n_fake: generated images.
        groups: patients among the real images.
        floor: real against real.
        train: value and interval against training images.
        gap: value less that against training images.
        notes: sentences.
    """

    measure: str
    part: Part
    extractor: str | None
    indicative: bool
    value: float | None
    interval: tuple[float, float] | None = None
    n_real: int = 0
    n_fake: int = 0
    groups: int = 0
    floor: Bound | None = None
    train: tuple[float | None, tuple[float, float] | None] | None = None
    gap: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def at_floor(self) -> bool | None:
        """Whether the measure sees no more of a difference than between halves of the real images;
        None where that cannot be said.
        """
        floor, better = self.floor, words_of(self.measure).better
        if floor is None or floor.same is None or not better or self.value is None:
            return None
        return floor.same <= floor.high if better == "low" else floor.same >= floor.low

    @property
    def interval_beyond(self) -> bool:
        """Whether the whole 95 % interval lies beyond the floor, so that neither chance in the
        generated images nor that in the cuts explains the difference.
        """
        floor, better = self.floor, words_of(self.measure).better
        if floor is None or self.interval is None or not better:
            return False
        if better == "low":
            return self.interval[0] > floor.high
        return self.interval[1] < floor.low

    @property
    def small(self) -> bool:
        """Whether there are too few images for more than an indication."""
        return min(self.n_real, self.n_fake) < SMALL

    @property
    def nearer_to_training(self) -> bool:
        """Whether a distance to training images is smaller beyond both intervals."""
        theirs = None if self.train is None else self.train[1]
        low = words_of(self.measure).better == "low"
        return bool(low and self.interval and theirs and theirs[1] < self.interval[0])

    @property
    def finding(self) -> str:
        """What the comparison with the floor says, in words."""
        if self.at_floor is None:
            return ""
        if self.at_floor:
            return "not told apart from real images"
        better = words_of(self.measure).better
        return "farther than real images from each other" if better == "low" else "below real"

    def sentence(self) -> str:
        """The number with interval and floor in plain words."""
        name, floor = self.measure, self.floor
        said = f"{words_of(name).title} {amount(name, self.value)}"
        if self.interval is not None:
            low, high = (amount(name, end) for end in self.interval)
            said += f" (95 % interval {low} to {high})"
        said += f", {count(self.n_real)} real and {count(self.n_fake)} generated images"
        if floor is None:
            return f"{said}; no floor, since there are too few real images or none is defined."
        said += f". Halves of the real images reach {amount(name, floor.value)} against each other"
        if floor.low < floor.high:
            said += f" ({amount(name, floor.low)} to {amount(name, floor.high)})"
        if floor.same is not None and self.measure != "ms_ssim":
            said += f", generated images at the same number {amount(name, floor.same)}"
        return f"{said}: {self.finding}." if self.finding else f"{said}."

    def json(self) -> dict[str, Any]:
        """Plain data."""
        floor = None if self.floor is None else vars(self.floor) | {"n": list(self.floor.n)}
        return {
            "measure": self.measure,
            "part": self.part.json(),
            "extractor": self.extractor,
            "indicative": self.indicative,
            "value": self.value,
            "interval": self.interval and list(self.interval),
            "n_real": self.n_real,
            "n_generated": self.n_fake,
            "groups_real": self.groups,
            "floor": floor,
            "train": self.train and {"value": self.train[0], "interval": self.train[1]},
            "gap": self.gap,
            "at_floor": self.at_floor,
            "sentence": self.sentence(),
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class Share:
    """How large a part is in every set."""

    part: Part
    real: int
    fake: int | None
    train: int | None
    ratio: float | None

    def json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            **self.part.json(),
            "n_real": self.real,
            "n_generated": self.fake,
            "n_train": self.train,
            "share_generated_over_share_train": self.ratio,
        }


@dataclass(frozen=True)
class Published:
    """A measure under its published name; never part of a verdict."""

    name: str
    results: Mapping[str, float]
    notes: tuple[str, ...]
    extractor: str | None
    n_fake: int | None

    def json(self) -> dict[str, Any]:
        """Plain data."""
        return {**vars(self), "results": dict(self.results), "notes": list(self.notes)}


@dataclass(frozen=True)
class Evaluation:
    """Numbers of one generated set against one reference.

    Attributes:
        source: files that they come from.
        snapshot: name and sha256 of the judged snapshot, where a network was judged.
        kimg: thousands of images that it had seen.
        sets: what the numbers rest on: role -> name, hashes, split.
        extractors: name -> what it says of itself.
        entries: our own measures.
        shares: sizes of parts.
        published: measures under published names.
        notes: sentences on the whole.
        skipped: what could not be measured, and why.
        chooses: whether the images are those that choose a snapshot while a run trains.
        seed: of halves and blocks.
        version: of the package that measured.
    """

    source: tuple[str, ...]
    snapshot: Mapping[str, str] = field(default_factory=dict)
    kimg: int | None = None
    sets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    extractors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    entries: tuple[Entry, ...] = ()
    shares: tuple[Share, ...] = ()
    published: tuple[Published, ...] = ()
    notes: tuple[str, ...] = ()
    skipped: tuple[str, ...] = ()
    chooses: bool = False
    seed: int | None = None
    version: str = ""

    @property
    def key(self) -> tuple[str, ...]:
        """The same for numbers of the same images."""
        made, real = self.sets.get("generated", {}), self.sets.get("real", {})
        names = (
            *(made.get(name) for name in ("images_hash", "snapshot", "manifest_hash", "name")),
            *(real.get(name) for name in ("images_hash", "manifest_hash", "split", "name")),
            self.kimg,
        )
        return tuple(str(name) for name in names)

    def parts(self) -> list[Part]:
        """All parts, in their order."""
        return list(dict.fromkeys(entry.part for entry in self.entries))

    def of(self, part: Part, extractor: str | None = "") -> list[Entry]:
        """The numbers of a part; of all extractors, of one, or of pixels for None."""
        return [
            entry
            for entry in self.entries
            if entry.part == part and (extractor == "" or entry.extractor == extractor)
        ]

    def joined(self, other: "Evaluation") -> "Evaluation":
        """With the numbers of further extractors of the same images; later ones replace earlier."""
        mine = {(e.measure, e.part, e.extractor): e for e in (*self.entries, *other.entries)}
        own = {each.name: each for each in (*self.published, *other.published)}
        return Evaluation(
            source=tuple(dict.fromkeys((*self.source, *other.source))),
            snapshot=other.snapshot or self.snapshot,
            kimg=self.kimg,
            sets={**self.sets, **other.sets},
            extractors={**self.extractors, **other.extractors},
            entries=tuple(mine.values()),
            shares=other.shares or self.shares,
            published=tuple(own.values()),
            notes=tuple(dict.fromkeys((*self.notes, *other.notes))),
            skipped=tuple(dict.fromkeys((*self.skipped, *other.skipped))),
            chooses=self.chooses or other.chooses,
            seed=other.seed if other.seed is not None else self.seed,
            version=other.version or self.version,
        )

    def json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "source": list(self.source),
            "snapshot": dict(self.snapshot),
            "kimg": self.kimg,
            "sets": {role: dict(about) for role, about in self.sets.items()},
            "extractors": {name: dict(about) for name, about in self.extractors.items()},
            "entries": [entry.json() for entry in self.entries],
            "shares": [share.json() for share in self.shares],
            "published": [each.json() for each in self.published],
            "notes": list(self.notes),
            "skipped": list(self.skipped),
            "chooses": self.chooses,
            "seed": self.seed,
            "version": self.version,
        }


def is_evaluation(fields: Fields) -> bool:
    """Whether a file is what `synthograph evaluate --out` writes."""
    return "results" in fields and isinstance(fields.tree["results"], list)


def read_evaluation(fields: Fields, source: str) -> Evaluation:
    """The numbers of one file.

    Raises:
        UserError: an entry has another type than it should.
    """
    lines = [read_line(each, source) for each in fields.each("results")]
    skipped = tuple(fields.texts("skipped"))
    result = Evaluation(
        (source,), snapshot=_snapshot(fields), kimg=fields.whole("kimg"), skipped=skipped
    )
    for line in lines:
        result = result.joined(line)
    return result


def _snapshot(fields: Fields) -> dict[str, str]:
    if "snapshot" not in fields:
        return {}
    return {"name": fields.text("snapshot"), "sha256": fields.text("snapshot_sha256")}


def read_line(fields: Fields, source: str) -> Evaluation:
    """One result: measures of our own, or one under a published name."""
    entries = [_entry(each) for each in fields.each("entries")]
    about = [each.inner("provenance") for each in fields.each("entries")]
    published = [_published(fields)] if fields.flag("published") else []
    about += [fields.inner("provenance")] if published else []
    first = about[0] if about else Fields({}, fields.where)
    names = [(each.inner("features").text("extractor"), each.plain("features")) for each in about]
    return Evaluation(
        source=(source,),
        snapshot=_snapshot(fields),
        kimg=fields.whole("kimg"),
        sets={} if published else _sets(first),
        extractors={name: features for name, features in names if name},
        entries=tuple(entries),
        shares=tuple(_share(each) for each in fields.each("shares")),
        published=tuple(published),
        notes=tuple(fields.texts("notes")),
        chooses=fields.text("metric") == HELD_OUT,
        seed=first.whole("seed"),
        version=first.text("version"),
    )


def _sets(about: Fields) -> dict[str, dict[str, Any]]:
    found = {}
    for role in ("generated", "real", "train"):
        inner = about.inner(role)
        if inner.tree:
            texts = ("name", "archive", "images_hash", "manifest_hash", "split", "snapshot")
            found[role] = {name: inner.text(name) for name in texts if name in inner}
    return found


def _entry(fields: Fields) -> Entry:
    floor, train = fields.inner("floor"), fields.inner("train")
    features = fields.inner("provenance").inner("features")
    return Entry(
        measure=fields.text("name", "?"),
        part=Part.of(fields.inner("scope")),
        extractor=features.text("extractor") or None,
        indicative=bool(features.flag("indicative")),
        value=fields.number("value"),
        interval=fields.interval("interval"),
        n_real=fields.whole("n_real") or 0,
        n_fake=fields.whole("n_fake") or 0,
        groups=fields.whole("groups_real") or 0,
        floor=_bound(floor),
        train=(train.number("value"), train.interval("interval")) if train.tree else None,
        gap=fields.number("gap"),
        notes=tuple(fields.texts("notes")),
    )


def _bound(fields: Fields) -> Bound | None:
    value = fields.number("value")
    if value is None:
        return None
    low, high = fields.number("low"), fields.number("high")
    return Bound(
        value,
        value if low is None else low,
        value if high is None else high,
        fields.number("same_n"),
        tuple(int(n) for n in fields.numbers("n")),
        fields.whole("splits"),
    )


def _share(fields: Fields) -> Share:
    return Share(
        Part.of(fields),
        fields.whole("n_real") or 0,
        fields.whole("n_generated"),
        fields.whole("n_train"),
        fields.number("share_generated_over_share_train"),
    )


def _published(fields: Fields) -> Published:
    results = fields.inner("results")
    numbers = ((key[:200], results.number(key)) for key in results.tree)
    notes = dict.fromkeys(note for each in fields.each("values") for note in each.texts("notes"))
    about = fields.inner("provenance")
    return Published(
        fields.text("metric", "?"),
        {key: number for key, number in numbers if number is not None},
        tuple(notes),
        about.inner("features").text("extractor") or None,
        about.inner("generated").whole("n"),
    )
