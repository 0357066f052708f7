"""The page: content and pictures through the template, nothing from outside, nothing executed."""

import base64
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import jinja2
from markupsafe import Markup

from synthograph.archive.reader import Archive
from synthograph.report import searches, truncations, validations, words
from synthograph.report.classifications import drawings
from synthograph.report.curves import Curve, Panel, draw
from synthograph.report.document import judged_archive
from synthograph.report.gather import Inputs
from synthograph.report.numbers import WHOLE
from synthograph.report.pictures import (
    Embedded,
    FilmFrame,
    ThumbnailSheet,
    embed,
    embed_file,
    film,
    read_thumbnails,
    side_by_side,
)
from synthograph.report.problems import Problem, gathered
from synthograph.report.recoveries import histogram
from synthograph.report.runs import NAMES, Run
from synthograph.report.studies import drawing, reliability
from synthograph.report.withheld import reasons
from synthograph.results.audit import Audit
from synthograph.results.authenticity import Authenticity
from synthograph.results.base import Document, Tree
from synthograph.results.classification import ClassifierEvaluation
from synthograph.results.domain_gap import DomainGap
from synthograph.results.evaluation import Farthest, Scope
from synthograph.results.measures import MEASURES, about
from synthograph.results.provenance import weakness
from synthograph.results.search import Search
from synthograph.results.segmentation import SegmenterEvaluation
from synthograph.results.study import Study
from synthograph.results.truncation import Truncation

R = TypeVar("R", bound=Document)
FILM, SHEET, PAIRS, SPRITE = 5 << 20, 3 << 20, 2 << 20, 2 << 20
"""Bytes on the page for pictures of a kind."""
MAX_POINTS = 4000
"""Points of a map."""
MAP_WIDTH, MAP_HEIGHT = 640.0, 460.0
FORMS, COLOURS = 12, 6
"""Of marks on a map: six filled forms, then the same ones hollow; each set has another pair."""
TEMPLATES = "templates"


@dataclass
class Pictures:
    """Everything on the page that is no text: `films` and `reals` per run, `pairs` per audit,
    `maps` per domain gap, and real beside synthetic images, drawn from archives, with the worst by
    an extractor.
    """

    films: list[list[FilmFrame]] = field(default_factory=list)
    reals: list[Embedded | None] = field(default_factory=list)
    beside: Embedded | None = None
    worst_by: str = ""
    pairs: list[Embedded | None] = field(default_factory=list)
    maps: "list[Scatter | None]" = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


class Mark(NamedTuple):
    """How the points of a set look: number of the outline, and classes for the style sheet."""

    shape: int
    classes: str

    @classmethod
    def of(cls, place: int) -> "Mark":
        """That of a set by its place; 72 sets differ, the first 12 in their form alone."""
        form, turns = place % FORMS, place // FORMS + place % FORMS // COLOURS
        hollow = " hollow" if form >= FORMS // 2 else ""
        return cls(form % (FORMS // 2), f"c{(place + turns) % COLOURS}{hollow}")


@dataclass(frozen=True)
class Scatter:
    """A map: places on the page, and thumbnails.

    Attributes:
        points: x, y, number of the set, title, number of the thumbnail or "".
        names: of the sets, as are `marks`.
        left_out: points that are not drawn.
    """

    points: Sequence[tuple[float, float, int, str, str]]
    names: Sequence[str]
    marks: Sequence[Mark]
    left_out: int
    sprite: ThumbnailSheet | None


def pictures(inputs: Inputs, *, public: bool, scale: float = 1.0) -> Pictures:
    """Read and embed all pictures.

    Args:
        inputs: what was found.
        public: leave out every real image, and synthetic ones of a run unless an audit of images of
            its network is clean.
        scale: of the bytes that pictures may take.
    """
    found = Pictures()
    hidden = reasons(inputs) if public else [""] * len(inputs.runs)
    for run, why in zip(inputs.runs, hidden, strict=True):
        share = scale / len(inputs.runs)
        fakes, reals = () if why else run.fakes, None if public else run.reals
        found.films.append(film(fakes, int(share * FILM), found.problems))
        found.reals.append(embed_file(reals, int(share * SHEET), found.problems))
    named = [each for each in inputs.archives if each.given and not public]
    real = next((each.archive for each in named if not each.synthetic), None)
    judged = judged_archive(inputs)
    first = next((each.archive for each in named if each.synthetic), None)
    synthetic = judged.archive if judged in named and judged is not None else first
    if real is not None and synthetic is not None:
        with gathered(found.problems):
            worst = _worst(inputs, synthetic)
            found.worst_by = worst[0].extractor if worst else ""
            sheet = side_by_side(real, synthetic, worst)
            found.beside = None if sheet is None else embed(sheet, int(scale * SHEET))
    audits, gaps = inputs.of(Audit), inputs.of(DomainGap)
    for audit in audits:
        name = None if public else audit.content.pictures.get("pairs")
        pairs, most = _beside(audit.source, name, found), int(scale * PAIRS / len(audits))
        found.pairs.append(embed_file(pairs, most, found.problems))
    for gap in gaps:
        most = int(scale * SPRITE / len(gaps))
        found.maps.append(_map(gap.content, None if public else gap.source, most, found))
    return found


def _worst(inputs: Inputs, synthetic: Archive) -> tuple[Farthest, ...]:
    """The worst images of an archive, where one of the evaluations is of this very archive."""
    found = (
        each.farthest
        for each in reversed(inputs.numbers)
        if each.of_set("generated", "images_hash") == synthetic.images_hash
    )
    return next(filter(None, found), ())


def _beside(source: Path, name: str | None, found: Pictures) -> Path | None:
    """A picture that a JSON file names, which must lie beside it."""
    if not name:
        return None
    if Path(name).name != name or "\\" in name or "\0" in name:
        text = f"{source}: the picture {name!r:.80} does not lie beside it"
        found.problems.append(Problem(text, source))
        return None
    return source.parent / name


def _map(gap: DomainGap, source: Path | None, most: int, found: Pictures) -> Scatter | None:
    """The map of a domain gap, whose thumbnails lie beside `source` and take at most `most` bytes;
    they are not shown where it is None.
    """
    points, cut = gap.map.points, gap.thumbnails
    if not points:
        return None
    sprite = None
    path = None if source is None or cut is None else _beside(source, cut.file, found)
    if path is not None and cut is not None:
        with gathered(found.problems, path):
            sprite = read_thumbnails(path, len(points), cut.columns, most)
    sets = gap.map.set or (0,) * len(points)
    order = list(dict.fromkeys(sets))
    names = [gap.sets[number].name for number in order] if gap.map.set else [""]
    xs, ys = zip(*points, strict=True)
    shown = []
    for i in range(0, len(points), -(-len(points) // MAX_POINTS)):
        x = _placed(xs[i], min(xs), max(xs), MAP_WIDTH)
        y = MAP_HEIGHT - _placed(ys[i], min(ys), max(ys), MAP_HEIGHT)
        place = order.index(sets[i])
        label = gap.map.label[i] if gap.map.label else ""
        title = ", ".join(text for text in (names[place], label) if text)
        shown.append((x, y, place, title, str(i) if sprite is not None else ""))
    marks = [Mark.of(number) for number in range(len(names))]
    return Scatter(shown, names, marks, len(points) - len(shown), sprite)


def _placed(value: float, low: float, high: float, size: float) -> float:
    margin = 12.0
    share = 0.5 if high == low else (value - low) / (high - low)
    return round(margin + share * (size - 2 * margin), 1)


# --- drawings ------------------------------------------------------------------------------------

DRAWN = (
    (
        ("scores", "score of the discriminator", ("Loss/scores/real", "Loss/scores/fake")),
        "Scores of the discriminator, the network that learns to recognise synthetic images. Where "
        "the curves move far apart it recognises them easily, and the generator learns little.",
    ),
    (
        ("losses", "loss", ("Loss/G/loss", "Loss/D/loss")),
        "What each network minimises (loss). Sudden jumps mean that training is unstable. The "
        "curves do not tell how good the images are.",
    ),
    (
        ("augmentation", "strength p", ("Progress/augment",)),
        "How often images are changed at random, such as moved or scaled, before the discriminator "
        "sees them (p). It rises when the discriminator learns real images by heart.",
    ),
)
"""Name, upright axis, statistics; caption."""


def curves(run: Run, number: int) -> list[Tree]:
    """The curves of a run."""
    kimg, values, found = run.curves.kimg, run.curves.values, []
    alarms = [at for at, _ in run.curves.alarms]
    for (name, label, keys), caption in DRAWN:
        lines = [Curve(NAMES[key], kimg, values[key]) for key in keys if key in values]
        flat = name == "augmentation" and not any(v for line in lines for v in line.y)
        if lines and len(kimg) > 1 and not flat:
            svg = draw(Panel(lines, label, alarms=alarms), f"{name} of run {number}")
            found.append({"name": name, "svg": Markup(svg), "caption": caption})
    return found


def progress(run: Run, number: int) -> list[Tree]:
    """Measures over the snapshots of a run, where at least two were measured: those by the images
    that choose a snapshot, else a curve for each reference.
    """
    lines: dict[str, dict[float, tuple[float, float | None, float | None]]] = {}
    own = [each for each in run.evaluations if each.entries]
    own = [each for each in own if each.chooses] or own
    references = {each.of_set("real", "name") for each in own}
    for each in run.evaluations:
        if each.kimg is None:
            continue
        by = f", {each.of_set('real', 'name') or 'other images'}" if len(references) > 1 else ""
        for entry in each.of(WHOLE) if each in own else ():
            if entry.value is not None:
                ends = entry.interval and (entry.interval.low, entry.interval.high)
                name = f"{about(entry.name).title}, {entry.extractor or 'pixels'}{by}"
                lines.setdefault(name, {})[each.kimg] = (entry.value, *(ends or (None, None)))
        for one in each.published:
            for key, value in one.results.items():
                lines.setdefault(key, {})[each.kimg] = (value, None, None)
    found = []
    for place, (name, points) in enumerate(lines.items()):
        if len(points) < 2:
            continue
        x = sorted(points)
        y, lows, highs = zip(*(points[at] for at in x), strict=True)
        band = (lows, highs) if any(end is not None for end in lows) else ()
        svg = draw(Panel([Curve(name, x, y, *band)], ""), f"measure {place} of run {number}")
        found.append({"name": name, "svg": Markup(svg), "caption": name})
    return found


def strip(entry: Tree) -> dict[str, float] | None:
    """Places, in percent, of the floor's band and of synthetic images on a strip; None where there
    is nothing to compare.
    """
    floor = entry["floor"]
    if floor is None or floor["same"] is None or entry["at_floor"] is None:
        return None
    low, high, same = floor["low"], floor["high"], floor["same"]
    share = about(entry["measure"]).share
    start = 0.0 if share else min(0.0, low, same)
    end = 1.0 if share else max(high, same) * 1.08
    if end <= start:
        return None
    place = [100 * (value - start) / (end - start) for value in (low, high, same)]
    return {"low": place[0], "width": max(place[1] - place[0], 0.8), "same": place[2]}


def by_extractor(entries: Sequence[Tree]) -> list[tuple[str | None, list[Any]]]:
    """Entries of every extractor, those of pixels last."""
    names = sorted({e["extractor"] for e in entries}, key=lambda name: (name is None, name or ""))
    return [(name, [e for e in entries if e["extractor"] == name]) for name in names]


def classes_table(entries: Sequence[Tree]) -> list[Tree]:
    """For every extractor a table of classes and levels by measures, with what each says."""
    found = []
    of_parts = [each for each in entries if Scope(**each["part"]) != WHOLE]
    for name, ones in by_extractor(of_parts):
        known = {each["measure"] for each in ones if each["value"] is not None}
        rows: dict[Scope, Tree] = {}
        for each in ones:
            rows.setdefault(Scope(**each["part"]), {})[each["measure"]] = each
        if measures := [measure for measure in MEASURES if measure in known]:
            shown = [
                {
                    "part": str(part),
                    "first": max(cells.values(), key=lambda each: each["n_real"]),
                    "cells": cells,
                }
                for part, cells in rows.items()
            ]
            found.append({"extractor": name, "measures": measures, "rows": shown})
    return found


def render_checklist(checklist: Tree, document: Tree, page: str) -> str:
    """A checklist for manuscripts as a page of its own, whose table can be copied into a text,
    beside the report in the file `page`.
    """
    template = _environment().get_template("checklist.html")
    return template.render(c=checklist, d=document, page=page, style=Markup(_resource("style.css")))


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("synthograph.report", TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "number": words.number,
        "amount": lambda value, measure: words.amount(measure, value),
        "percent": words.percent,
        "count": words.count,
        "part": lambda tree: words.scope_name(Scope(**tree)),
    }
    return environment


def render(document: Tree, inputs: Inputs, images: Pictures) -> str:
    """The page: its content, what was found for what is drawn, and its pictures."""
    environment = _environment()
    script = _resource("page.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    evaluation = document["evaluation"]
    return environment.get_template("page.html").render(
        d=document,
        pictures=images,
        script=Markup(script),
        script_hash=digest,
        style=Markup(_resource("style.css")),
        curves=[curves(run, number) for number, run in enumerate(inputs.runs)],
        progress=[progress(run, number) for number, run in enumerate(inputs.runs)],
        forests=_drawn(inputs, Study, drawing, "differences of study"),
        reliabilities=_drawn(inputs, Study, reliability, "reliability of study"),
        classifications=[
            {title: Markup(svg) for title, svg in drawings(each.content).items()}
            for each in inputs.of(ClassifierEvaluation)
        ],
        of_classifiers=_trainings(inputs, ClassifierEvaluation),
        of_segmenters=_trainings(inputs, SegmenterEvaluation),
        recoveries=_drawn(inputs, Authenticity, histogram, "differences of projections"),
        search_alone=inputs.only(Search),
        searches=_drawn(inputs, Search, searches.drawing, "importances and values of search"),
        sweeps=_drawn(inputs, Truncation, truncations.drawing, "precision and recall over psi"),
        tables=classes_table(evaluation["entries"]) if evaluation else [],
        about=about,
        several=words.several,
        weakness=weakness,
        listed=words.listed,
        duration=words.duration,
        strip=strip,
        by_extractor=by_extractor,
        map_size=(MAP_WIDTH, MAP_HEIGHT),
        lacking={each["what"]: each for each in document["missing"]},
    )


def _drawn(inputs: Inputs, kind: type[R], draw: Callable[[R, str], str], name: str) -> list[Markup]:
    """A picture of every result of a kind, each with a name of its own."""
    found = enumerate(inputs.of(kind))
    return [Markup(draw(each.content, f"{name} {number}")) for number, each in found]


def _trainings(
    inputs: Inputs, kind: type[ClassifierEvaluation] | type[SegmenterEvaluation]
) -> list[list[tuple[Markup, str]]]:
    """Curves of the training of what each evaluation is of, with their captions."""
    found = (each.content for each in inputs.of(kind))
    return [
        [
            (Markup(svg), caption)
            for svg, caption in validations.drawings(each.model.history, f"{each.kind} {number}")
        ]
        for number, each in enumerate(found)
    ]


def _resource(name: str) -> str:
    return resources.files("synthograph.report").joinpath(TEMPLATES, name).read_text("utf-8")
