"""What `evaluate` measured of one synthetic set, from all files and lines that hold some of it."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from synthograph.report.words import amount, count
from synthograph.results.base import Tree
from synthograph.results.environment import Environment, distinct
from synthograph.results.evaluation import (
    HELD_OUT,
    Entry,
    Farthest,
    Measurements,
    PublishedMeasure,
    Scope,
    ScopeShare,
)
from synthograph.results.measures import Direction, about
from synthograph.results.provenance import Provenance

WHOLE = Scope()
ROLES = ("generated", "real", "train")
OF_SETS = {"name", "archive", "images_hash", "manifest_hash", "split", "snapshot"}
"""What the page says of a set."""


@dataclass(frozen=True)
class Numbers:
    """Numbers of one synthetic set against one reference; false where nothing was measured.

    Attributes:
        source: files that they come from.
        lines: of these files; later ones take the place of earlier ones.
        skipped: what could not be measured, and why.
    """

    source: tuple[str, ...] = ()
    lines: tuple[Measurements | PublishedMeasure, ...] = ()
    skipped: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.lines or self.skipped)

    def joined(self, other: "Numbers") -> "Numbers":
        """With further numbers of the same images, such as those of another extractor."""
        return Numbers(
            tuple(dict.fromkeys((*self.source, *other.source))),
            (*self.lines, *other.lines),
            tuple(dict.fromkeys((*self.skipped, *other.skipped))),
        )

    def public(self) -> "Numbers":
        """Without what is private; what could not be measured often names a local file."""
        return Numbers((), tuple(line.public() for line in self.lines))

    @cached_property
    def _own(self) -> tuple[Measurements, ...]:
        return tuple(line for line in self.lines if isinstance(line, Measurements))

    @cached_property
    def published(self) -> tuple[PublishedMeasure, ...]:
        """Measures under published names."""
        found = (each for each in self.lines if isinstance(each, PublishedMeasure))
        return tuple({each.metric: each for each in found if each.published}.values())

    @cached_property
    def entries(self) -> tuple[Entry, ...]:
        """Our own measures."""
        every = [entry for line in self._own for entry in line.entries]
        return tuple({(e.name, e.scope, e.extractor): e for e in every}.values())

    @property
    def shares(self) -> tuple[ScopeShare, ...]:
        """Sizes of classes and other parts."""
        return next((line.shares for line in reversed(self._own) if line.shares), ())

    @property
    def farthest(self) -> tuple[Farthest, ...]:
        """The worst images of every class, by a trained extractor where one was asked."""
        untrained = {entry.extractor for entry in self.entries if entry.indicative}
        found = [line.farthest for line in self._own if line.farthest]
        found.sort(key=lambda each: each[0].extractor not in untrained)
        return found[-1] if found else ()

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on the whole."""
        return tuple(dict.fromkeys(note for line in self._own for note in line.notes))

    @property
    def chooses(self) -> bool:
        """Whether the images are those that choose a snapshot while a run trains."""
        return any(line.metric == HELD_OUT for line in self.lines)

    @property
    def kimg(self) -> float | None:
        """Thousands of images that the snapshot had seen, where a network was measured."""
        return next((each.kimg for each in self.lines if each.kimg is not None), None)

    @property
    def _provenances(self) -> list[Provenance]:
        """Of every line, from its first number."""
        return [e.provenance for line in self._own for e in line.entries[:1]]

    @cached_property
    def sets(self) -> dict[str, dict[str, str]]:
        """What the numbers rest on: role -> name, hashes, split."""
        found: dict[str, dict[str, str]] = {}
        for each in self._provenances:
            for role in ROLES:
                record = getattr(each, role)
                if record is not None:
                    tree = record.model_dump(include=OF_SETS, exclude_none=True)
                    found[role] = {name: text for name, text in tree.items() if text}
        return found

    def of_set(self, role: str, name: str) -> str:
        """What is known of one of `sets`; empty where nothing is."""
        return self.sets.get(role, {}).get(name, "")

    @property
    def seed(self) -> int | None:
        """Of halves and blocks."""
        return next((p.seed for p in reversed(self._provenances) if p.seed is not None), None)

    @property
    def version(self) -> str:
        """Of the package that measured."""
        return next((p.version for p in reversed(self._provenances) if p.version), "")

    @property
    def environments(self) -> tuple[Environment, ...]:
        """Where they were measured; none where older files are among them."""
        return distinct(each.environment for each in self.lines)

    @property
    def drawn(self) -> int | None:
        """How many images were drawn of a network; None for those of an archive."""
        records = (p.generated for p in self._provenances if p.generated is not None)
        match next(((each.model_extra or {}).get("seeds") for each in records), None):
            case [int(first), int(last)]:
                return last - first + 1
        return None

    @property
    def network(self) -> str:
        """Sha256 of the network that was measured; empty where it was an archive."""
        found = (line.snapshot_sha256 for line in reversed(self.lines) if line.snapshot)
        return next(found, "")

    def of_another(self, network: str) -> bool:
        """Whether they are known to be of other images than those of this network, by its sha256:
        images of an archive that does not say count as its own.
        """
        published = (e.provenance for e in self.lines if isinstance(e, PublishedMeasure))
        records = (p.generated for p in (*self._provenances, *published) if p.generated is not None)
        made_by = {each for record in records for each in record.networks}
        return not {*filter(None, [self.network]), *made_by} <= {network}

    @property
    def key(self) -> tuple[str, ...]:
        """The same for numbers of the same images; those that choose have keys of their own."""
        made = ("images_hash", "snapshot", "manifest_hash", "name")
        real = ("images_hash", "manifest_hash", "split", "name")
        return (
            *(self.of_set("generated", name) for name in made),
            *(self.of_set("real", name) for name in real),
            str(self.kimg),
            self.network,
            str(self.drawn),
            str(None if self.drawn is None else self.seed),  # their classes are drawn by it
            str(self.chooses),
        )

    def scopes(self) -> list[Scope]:
        """All parts, in their order."""
        return list(dict.fromkeys(entry.scope for entry in self.entries))

    def of(self, scope: Scope, extractor: str | None = "") -> list[Entry]:
        """The numbers of a part; of all extractors, of one, or of pixels for None."""
        return [
            entry
            for entry in self.entries
            if entry.scope == scope and (extractor == "" or entry.extractor == extractor)
        ]

    def tree(self) -> Tree:
        """Plain data for the page."""
        rests = [e.provenance.features for e in self.entries]
        rests += [each.provenance.features for each in self.published]
        measured = next((each for each in reversed(self.lines) if each.snapshot), None)
        return {
            "source": list(self.source),
            "snapshot": measured
            and {"name": measured.snapshot, "sha256": measured.snapshot_sha256},
            "kimg": self.kimg,
            "sets": self.sets,
            "extractors": {f.extractor: f.tree() for f in rests if f and f.extractor},
            "entries": [entry_tree(entry) for entry in self.entries],
            "shares": [share.tree() for share in self.shares],
            "published": [_published(each) for each in self.published],
            "notes": list(self.notes),
            "skipped": list(self.skipped),
            "chooses": self.chooses,
            "seed": self.seed,
            "version": self.version,
        }


def joined(numbers: Iterable[Numbers]) -> list[Numbers]:
    """One entry for numbers of the same images; later numbers take the place of earlier ones, and
    come last.
    """
    found: dict[tuple[str, ...], Numbers] = {}
    for each in numbers:
        before = found.pop(each.key, None)
        found[each.key] = each if before is None else before.joined(each)
    return list(found.values())


def entry_tree(entry: Entry) -> Tree:
    """A number for the page."""
    tree = entry.model_dump(mode="json", exclude={"provenance", "curve", "counts", "name"})
    if tree["floor"] is not None:
        tree["floor"]["same"] = tree["floor"].pop("same_n")
    return tree | {
        "measure": entry.name,
        "part": tree.pop("scope"),
        "extractor": entry.extractor,
        "indicative": entry.indicative,
        "n_generated": tree.pop("n_fake"),
        "at_floor": entry.at_floor,
        "sentence": sentence(entry),
    }


def _published(line: PublishedMeasure) -> Tree:
    features, made = line.provenance.features, line.provenance.generated
    return {
        "name": line.metric,
        "results": line.results,
        "notes": list(dict.fromkeys(note for value in line.values for note in value.notes)),
        "extractor": features and features.extractor or None,
        "n_fake": made and made.n,
    }


def sentence(entry: Entry) -> str:
    """The number with interval and floor in plain words."""
    name, floor = entry.name, entry.floor
    said = f"{about(name).title} {amount(name, entry.value)}"
    if entry.interval is not None:
        low, high = (amount(name, end) for end in (entry.interval.low, entry.interval.high))
        said += f" (95 % interval {low} to {high})"
    if about(name).alone:
        return f"{said}, {count(entry.n_fake)} synthetic images."
    said += f", {count(entry.n_real)} real and {count(entry.n_fake)} synthetic images"
    if floor is None:
        return f"{said}. There are too few real images to compare halves of them."
    said += f". Between two halves of the real images it is {amount(name, floor.value)}"
    if floor.low < floor.high:
        said += f" ({amount(name, floor.low)} to {amount(name, floor.high)})"
    if floor.same_n is not None and name != "ms_ssim":
        said += f"; with as many synthetic images {amount(name, floor.same_n)}"
    if entry.at_floor is None:
        return f"{said}."
    if entry.at_floor:
        return f"{said}: no difference from real images is seen."
    side = "larger" if entry.direction is Direction.LOW else "lower"
    return f"{said}, {side} than between real images."
