"""Which facts there are for items of checklists, and which files they are asked of. A fact says
what a file shows; whether that is enough for an item is for the author to judge.
"""

from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import TypeVar

from synthograph.report import facts_data as data
from synthograph.report import facts_models as models
from synthograph.report.gather import REAL, SYNTHETIC, ArchiveSummary, Inputs
from synthograph.report.numbers import Numbers
from synthograph.report.runs import Run
from synthograph.report.words import listed
from synthograph.results.audit import Audit
from synthograph.results.authenticity import Authenticity
from synthograph.results.base import Document
from synthograph.results.classification import ClassifierEvaluation
from synthograph.results.domain_gap import DomainGap
from synthograph.results.report import Known
from synthograph.results.search import Search
from synthograph.results.segmentation import SegmenterEvaluation
from synthograph.results.study import Study

D = TypeVar("D", bound=Document)
Fact = Callable[[Inputs], Iterator[Known]]


def _lines(text: str, files: str) -> Iterator[Known]:
    """A sentence or more on every line."""
    return (Known(text=line, files=files) for line in text.splitlines())


def _archives(say: Callable[[ArchiveSummary], str], *, without: str) -> Fact:
    """Asked of all archives but those of one kind."""

    def fact(inputs: Inputs) -> Iterator[Known]:
        for each in inputs.archives:
            if each.kind != without:
                yield from _lines(say(each), each.archive.path.name)

    return fact


def _real(say: Callable[[ArchiveSummary], str]) -> Fact:
    return _archives(say, without=SYNTHETIC)


def _runs(say: Callable[[Run], str], file: str = "config.json") -> Fact:
    def fact(inputs: Inputs) -> Iterator[Known]:
        for run in inputs.runs:
            yield from _lines(say(run), f"{run.path.name}/{file}")

    return fact


def _numbers(say: Callable[[Numbers], str]) -> Fact:
    """Asked of the numbers that may judge synthetic images: those of files, else of runs."""

    def fact(inputs: Inputs) -> Iterator[Known]:
        own = [each for run in inputs.runs for each in run.evaluations if not each.chooses]
        named = [each for each in inputs.numbers if each.entries]
        for numbers in named or [each for each in own if each.entries][-1:]:
            files = sorted({PurePath(each).name for each in numbers.source})
            yield from _lines(say(numbers), listed(files))

    return fact


def _of(kind: type[D], say: Callable[[D], str]) -> Fact:
    def fact(inputs: Inputs) -> Iterator[Known]:
        for each in inputs.of(kind):
            yield from _lines(say(each.content), each.source.name)

    return fact


def _models(say: Callable[[models.Scored], str]) -> tuple[Fact, Fact]:
    """Asked of classifiers and of segmenters."""
    return _of(ClassifierEvaluation, say), _of(SegmenterEvaluation, say)


FACTS: Mapping[str, tuple[Fact, ...]] = {
    "cohorts": (_real(data.cohort),),
    "synthetic": (_archives(data.synthetic, without=REAL),),
    "preprocessing": (_real(data.preprocessing),),
    "metadata": (_real(data.metadata),),
    "copies": (_of(Audit, models.copies), _of(Authenticity, models.recovered)),
    "unlabelled": (_real(data.unlabelled),),
    "classes": (_real(data.classes),),
    "sizes": (_real(data.sizes),),
    "partitions": (_real(data.partitions), _of(Study, models.folds)),
    "disjoint": (_real(data.disjoint), _of(Study, models.unit)),
    "characteristics": (_real(data.characteristics),),
    "gaps": (_of(DomainGap, models.apart),),
    "generator": (_runs(data.generator),),
    "networks": _models(models.network),
    "software": (
        _runs(data.trained_by),
        _numbers(data.measured_by),
        *_models(models.version),
        _of(Study, models.version),
    ),
    "first_weights": (_runs(data.first_weights),),
    "first_weights_of_models": _models(models.first_weights),
    "training": (_runs(data.training), _of(Study, models.generators)),
    "settings": _models(models.settings),
    "training_images": (*_models(models.training_images), _of(Study, models.trained_on)),
    "choice_of_generator": (
        _runs(data.choice, "metrics.jsonl"),
        _of(Search, models.searched),
    ),
    "choice_of_model": _models(models.chosen),
    "choice_of_reference": (_of(Study, models.reference),),
    "predictions": _models(models.predictions),
    "outputs": (_of(ClassifierEvaluation, models.output),),
    "measures": (*_models(models.measures), _of(Study, models.compared)),
    "uncertainty": (*_models(models.intervals), _of(Study, models.tests)),
    "measures_of_images": (_numbers(data.measures),),
    "intervals_of_images": (_numbers(data.floors),),
    "parts": _models(models.parts),
    "internal": (_of(Study, models.tested_within), *_models(models.tested_inside)),
    "external": (_of(Study, models.tested_outside),),
    "arms": (_of(Study, models.values),),
    "accuracy": (_of(ClassifierEvaluation, models.accuracy),),
    "masks": (_of(SegmenterEvaluation, models.dice),),
    "quality": (_numbers(data.quality),),
    "failures": (
        _of(ClassifierEvaluation, models.confused),
        _of(SegmenterEvaluation, models.missed),
    ),
    "claims": (_of(Study, models.may),),
    "limitations": (
        _of(Study, models.may_not),
        _real(data.data_limits),
        _runs(data.alarms, "stats.jsonl"),
    ),
    "plans": (_of(Study, models.plan),),
    "archives": (_archives(data.identity, without=""),),
    "models": _models(models.identity),
}
"""By the names that the checklists use."""
