"""What `audit`, `domain-gap` and the table of sensitivities found, read back from their JSON."""

import enum
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from synthograph.core.errors import UserError
from synthograph.report.evaluations import NOTHING
from synthograph.report.fields import Fields

AUDIT, DOMAIN_GAP = "audit", "domain-gap"
MAX_POINTS = 50_000


class Answer(enum.Enum):
    """What an audit concludes."""

    CLEAN = "clean"
    COPIES = "copies found"
    SUSPICIOUS = "suspicious"
    UNDECIDABLE = "undecidable"


@dataclass(frozen=True)
class Audit:
    """The search for copies of training images in one synthetic set.

    Attributes:
        source: the file.
        answer: its verdict.
        rule: that gave it.
        reasons: what led to it.
        limits: of what it can say.
        notes: what is known of the sets, such as that nothing could be checked.
        indicative: whether all features came from networks that were never trained.
        sentences: what its parts say in words.
        sets: train, holdout, synthetic -> name, images, groups, images_hash.
        tests: comparisons with their intervals.
        recall: share of planted copies that were found, per transform.
        counts: what was flagged and what is expected, per rate of false alarms.
        copies: the other numbers of copy detection.
        distances: extractor -> numbers of nearest neighbours.
        attacks: of membership inference, each with its AUC.
        membership: its other numbers.
        augmentations: leaked transforms.
        overlap: train against hold-out.
        pictures: name -> file beside the JSON.
        provenance: what it rests on.
    """

    source: str
    answer: Answer
    rule: str = ""
    reasons: tuple[str, ...] = ()
    limits: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    indicative: bool = False
    sentences: tuple[str, ...] = ()
    sets: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    tests: tuple[Mapping[str, Any], ...] = ()
    recall: tuple[Mapping[str, Any], ...] = ()
    counts: tuple[Mapping[str, Any], ...] = ()
    copies: Mapping[str, Any] = field(default_factory=dict)
    distances: Mapping[str, Any] = field(default_factory=dict)
    attacks: tuple[Mapping[str, Any], ...] = ()
    membership: Mapping[str, Any] = field(default_factory=dict)
    augmentations: Mapping[str, Any] = field(default_factory=dict)
    overlap: Mapping[str, Any] = field(default_factory=dict)
    pictures: Mapping[str, str] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def synthetic(self) -> Mapping[str, Any]:
        """The set that was searched."""
        return self.sets.get("synthetic", {})

    @property
    def all_limits(self) -> tuple[str, ...]:
        """Limits, and notes that are not among them."""
        return tuple(dict.fromkeys((*self.limits, *self.notes)))

    def json(self) -> dict[str, Any]:
        """Plain data."""
        lists = ("reasons", "limits", "notes", "sentences", "tests", "counts", "recall", "attacks")
        return {**vars(self), "answer": self.answer.value} | {
            name: list(getattr(self, name)) for name in lists
        }


def kind_of(fields: Fields) -> str:
    """What a file says that it is; "" where it says nothing."""
    kind = fields.tree.get("kind")
    return kind if isinstance(kind, str) else ""


def read_audit(fields: Fields, source: str) -> Audit:
    """An audit.

    Raises:
        UserError: its verdict is none that is known, or an entry has another type than it should.
    """
    verdict, copies = fields.inner("verdict"), fields.inner("copies")
    membership = fields.inner("membership")
    said = verdict.text("answer")
    known = [answer.value for answer in Answer]
    if said not in known:
        raise UserError(
            f"{verdict.where}: answer {said!r:.80} is none of {', '.join(known)}; audit again"
        )
    return Audit(
        source=source,
        answer=Answer(said),
        rule=verdict.text("rule"),
        reasons=tuple(verdict.texts("reasons")),
        indicative=bool(verdict.flag("indicative")),
        sentences=_sentences(fields),
        limits=tuple(verdict.texts("limits")),
        notes=tuple(fields.texts("notes")),
        sets={role: _about(each) for role, each in fields.named("sets")},
        tests=tuple(_test(each) for each in fields.each("tests")),
        recall=tuple(_recall(each) for each in copies.each("recall")),
        counts=tuple(_count(each) for each in copies.each("counts")),
        copies={k: v for k, v in copies.tree.items() if k not in ("recall", "counts")},
        distances=fields.plain("distances"),
        attacks=tuple(_attack(each) for each in membership.each("attacks")),
        membership={k: v for k, v in membership.tree.items() if k != "attacks"},
        augmentations=fields.plain("augmentations"),
        overlap=fields.plain("overlap"),
        pictures={
            name: fields.inner("pictures").text(name) for name in fields.inner("pictures").tree
        },
        provenance=fields.plain("provenance"),
    )


def _sentences(fields: Fields) -> tuple[str, ...]:
    parts = (fields.inner(name) for name in ("overlap", "copies", "membership", "augmentations"))
    said = [part.text("sentence") for part in parts]
    return tuple(text[:1].upper() + text[1:] for text in said if text)


def _about(fields: Fields) -> dict[str, Any]:
    return {
        "name": fields.text("name"),
        "archive": fields.inner("archive").text("archive"),
        "images": fields.whole("images"),
        "groups": fields.whole("groups"),
        "images_hash": fields.text("images_hash"),
    }


def _test(fields: Fields) -> dict[str, Any]:
    interval = fields.interval("interval")
    return {
        "test": fields.text("test", "?"),
        "extractor": fields.text("extractor"),
        "value": fields.number("value"),
        "expected": fields.number("expected"),
        "interval": interval and list(interval),
        "flagged": fields.flag("flagged"),
        "draws": fields.whole("draws"),
        "sentence": fields.text("sentence"),
    }


def _count(fields: Fields) -> dict[str, Any]:
    names = ("rate", "score", "flagged", "holdout", "p", "upper_limit")
    return {name: fields.number(name) for name in names}


def _attack(fields: Fields) -> dict[str, Any]:
    """One attack of membership inference, with what chance and a split alone give."""
    found: dict[str, Any] = {name: fields.text(name) for name in ("score", "unit")}
    for name, ends in (("auc", "interval"), ("true_positive_rate", "true_positive_interval")):
        interval = fields.interval(ends)
        found |= {name: fields.number(name), ends: interval and list(interval)}
    return found | {
        "p": fields.number("p"),
        "null": fields.inner("null").number("mean"),
        "null_high": fields.inner("null").number("high"),
        "control": fields.inner("control").number("mean"),
    }


def _recall(fields: Fields) -> dict[str, Any]:
    interval = fields.interval("interval")
    return {
        "transform": fields.text("transform", "?"),
        # all classes together have the label None, images without a class an empty one
        "class": NOTHING if fields.tree.get("label") == "" else fields.text("class"),
        "rate": fields.number("rate"),
        "recall": fields.number("recall"),
        "n": fields.whole("n"),
        "interval": interval and list(interval),
    }


@dataclass(frozen=True)
class Gap:
    """How far sets of images lie apart, and a map of them.

    Attributes:
        source: the file.
        sets: names, with what is known of them.
        pairs: two sets each, with kernel distance and classifier test.
        method: of the map.
        points: places on it.
        point_sets: the set of every point.
        labels: class of every point; empty where unknown.
        images: number or name of every point's image in its set.
        sprite: file of thumbnails beside the JSON, one per point in their order.
        columns: thumbnails in a row of it; 0 where the file does not say it.
        notes: sentences for the reader.
        provenance: what it rests on.
    """

    source: str
    sets: tuple[Mapping[str, Any], ...] = ()
    pairs: tuple[Mapping[str, Any], ...] = ()
    method: str = ""
    points: tuple[tuple[float, float], ...] = ()
    point_sets: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    sprite: str = ""
    columns: int = 0
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def json(self) -> dict[str, Any]:
        """Plain data, without the points, which stand in the source."""
        return {
            "source": self.source,
            "sets": list(self.sets),
            "pairs": list(self.pairs),
            "map": {"method": self.method, "points": len(self.points)},
            "notes": list(self.notes),
            "provenance": dict(self.provenance),
        }


def read_gap(fields: Fields, source: str) -> Gap:
    """A domain gap.

    Raises:
        UserError: an entry has another type than it should, or the map's lists differ in length.
    """
    drawn = fields.inner("map")
    points = _points(drawn)
    columns = [drawn.texts(name) for name in ("set", "label", "image")]
    for name, column in zip(("set", "label", "image"), columns, strict=True):
        if column and len(column) != len(points):
            raise UserError(
                f"{drawn.where}: {len(points)} points, but {len(column)} entries of {name!r}; run "
                "'synthograph domain-gap' again"
            )
    sets = _sets(fields)
    thumbnails = fields.tree.get("thumbnails")
    cut = fields.inner("thumbnails") if isinstance(thumbnails, dict) else Fields({}, fields.where)
    return Gap(
        source=source,
        sets=tuple(sets),
        pairs=tuple(_pair(each) for each in fields.each("pairs")),
        method=drawn.text("about") or drawn.text("method"),
        points=points,
        point_sets=tuple(_name_of(name, sets) for name in columns[0]),
        labels=tuple(columns[1]),
        images=tuple(columns[2]),
        sprite=cut.text("file") if cut.tree else fields.text("thumbnails"),
        columns=cut.whole("columns") or 0,
        notes=tuple(fields.texts("notes")),
        provenance=fields.plain("provenance"),
    )


def _points(drawn: Fields) -> tuple[tuple[float, float], ...]:
    points = drawn.tree.get("points") or []
    if not isinstance(points, list) or len(points) > MAX_POINTS:
        raise UserError(f"{drawn.where}: points is no list of at most {MAX_POINTS} places")
    found = []
    for number, place in enumerate(points):
        pair = Fields({"place": place}, f"{drawn.where}: points[{number}]").numbers("place")
        if len(pair) < 2:
            raise UserError(f"{drawn.where}: points[{number}] has no two coordinates")
        found.append((pair[0], pair[1]))
    return tuple(found)


def _sets(fields: Fields) -> list[dict[str, Any]]:
    """What is known of the sets; some files hold their names only."""
    sets = fields.tree.get("sets")
    if isinstance(sets, list) and all(isinstance(each, str) for each in sets):
        return [{"name": name} for name in fields.texts("sets")]
    return [
        {**_about(each), "origin": each.text("origin"), "notes": each.texts("notes")}
        for each in fields.each("sets")
    ]


def _name_of(name: str, sets: Sequence[Mapping[str, Any]]) -> str:
    """The name of a point's set, which may be given by its number."""
    known = [str(each["name"]) for each in sets]
    if name in known or not (name.isdecimal() and len(name) < 6 and int(name) < len(known)):
        return name
    return known[int(name)]


def _floor(fields: Fields) -> dict[str, float | None] | None:
    """Halves of one set against each other: mean, smallest and largest kernel distance."""
    if not fields.tree:
        return None
    return {name: fields.number(name) for name in ("value", "low", "high")}


def _pair(fields: Fields) -> dict[str, Any]:
    kernel, classifier = fields.inner("kernel"), fields.inner("classifier")
    inside, auc = kernel.interval("interval"), classifier.interval("interval")
    return {
        "one": fields.text("one", "?"),
        "other": fields.text("other", "?"),
        "extractor": fields.text("extractor"),
        "kernel": {"value": kernel.number("value"), "interval": inside and list(inside)},
        "floor": {name: _floor(fields.inner("floor").inner(name)) for name in ("one", "other")},
        "classifier": {
            "auc": classifier.number("auc"),
            "interval": auc and list(auc),
            "p": classifier.number("p_adjusted" if "p_adjusted" in classifier else "p"),
        },
        "sentence": fields.text("sentence"),
    }


@dataclass(frozen=True)
class Sensitivity:
    """Which planted defects the measures notice on such images."""

    source: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    rule: str
    about: Mapping[str, Any]
    notes: tuple[str, ...]

    def json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            **vars(self),
            "head": list(self.head),
            "rows": [list(row) for row in self.rows],
            "notes": list(self.notes),
        }


def is_sensitivity(fields: Fields) -> bool:
    """Whether a file is a table of sensitivities."""
    return "cells" in fields and "rule" in fields


def sensitivity_lines(lines: Iterable[Fields], source: str) -> list["Sensitivity"]:
    """Tables of sensitivities among the results of `synthograph evaluate --sensitivity`.

    Raises:
        UserError: an entry has another type than it should.
    """
    tables = (line.inner("sensitivity") for line in lines if line.text("metric") == "sensitivity")
    return [read_sensitivity(table, source) for table in tables]


def read_sensitivity(fields: Fields, source: str) -> Sensitivity:
    """A table of sensitivities.

    Raises:
        UserError: an entry has another type than it should.
    """
    cells: dict[str, dict[str, str]] = {}
    for cell in fields.each("cells"):
        shown = cell.text("smallest") or cell.text("verdict", "?")
        cells.setdefault(cell.text("kind", "?"), {})[cell.text("measure", "?")] = shown
    measures = list(dict.fromkeys(name for row in cells.values() for name in row))
    numbers = ("images", "groups", "splits", "half", "damaged", "seed")
    about: dict[str, Any] = {name: fields.whole(name) for name in numbers}
    about["extractor"] = fields.inner("extractor").text("extractor")
    return Sensitivity(
        source,
        ("defect", *measures),
        tuple((kind, *(row.get(name, "") for name in measures)) for kind, row in cells.items()),
        fields.text("rule"),
        about,
        tuple(fields.texts("notes")),
    )
