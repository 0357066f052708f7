"""What an answer still needs: measures that are missing or cannot be compared, beside what was
measured, and the command that measures the rest.
"""

from collections.abc import Iterable
from dataclasses import replace

from synthograph.features.packaged import RANDOM, TRAINED
from synthograph.report.commands import Beside, evaluate_command, generate_command
from synthograph.report.conclusions import Question, judged_parts
from synthograph.report.numbers import WHOLE, Numbers
from synthograph.report.words import amount, listed, number, several
from synthograph.results.evaluation import Entry
from synthograph.results.measures import about


def lacking(numbers: Numbers, question: Question, beside: Beside) -> list[str]:
    """What is measured, what is missing for an answer and how it is measured; nothing where all
    measures of the question can be compared.
    """
    found = measured(numbers, question)
    extractors = dict.fromkeys(e.extractor for e in found) or {None: None}
    names = [
        name
        for name in question.measures
        if any((name, each) not in {(e.name, e.extractor) for e in found} for each in extractors)
    ]
    blind = [entry for entry in found if entry.at_floor is None]
    reasons = []
    if names:
        titles = [about(name).title for name in names]
        also = "also needs" if found else "needs"
        command = evaluate_command(numbers, beside)
        reasons.append(f"An answer {also} {listed(titles)}: {command}")
    reasons += dict.fromkeys(map(_blind, blind))
    if not reasons and not _classes_compared(numbers, question):
        reasons.append(
            "The classes are not equally frequent in both sets, so each is judged by itself, and "
            "has too few images. A network can be measured with the classes of the real images: "
            f"{evaluate_command(Numbers(), replace(beside, synthetic=''))}"
        )
    told = _told(numbers, found, question, beside)
    return [f"{told} {reasons[0]}", *reasons[1:]] if reasons else []


def _classes_compared(numbers: Numbers, question: Question) -> bool:
    """Whether any part that is judged can be compared with real images."""
    parts = (entry for part in judged_parts(numbers) for entry in numbers.of(part))
    return any(e.at_floor is not None for e in parts if e.name in question.measures)


def second_extractor(numbers: Numbers, question: Question, beside: Beside) -> list[str]:
    """The command that adds a second extractor where there is one only."""
    found = measured(numbers, question)
    if len({entry.extractor for entry in found}) != 1:
        return []
    other = TRAINED if found[0].indicative else RANDOM
    return [f"A second network is missing: {evaluate_command(numbers, beside, other)}"]


def measured(numbers: Numbers, question: Question) -> list[Entry]:
    """The numbers of all images that belong to a question."""
    ours = (e for e in numbers.of(WHOLE) if e.name in question.measures and e.extractor)
    return [entry for entry in ours if entry.value is not None]


def _told(numbers: Numbers, found: list[Entry], question: Question, beside: Beside) -> str:
    """What was measured."""
    during = measured(beside.during, question)
    if found:
        return f"Measured: {_values(found)}."
    if during:
        return (
            f"Measured while the run trained: {_values(during)}. These images chose the best "
            "snapshot, so they cannot judge it."
        )
    published = {name: v for each in numbers.published for name, v in each.results.items()}
    if published:
        said = listed([f"{name} {number(value)}" for name, value in published.items()])
        return (
            f"Measured under published names: {said}. These compare with training images, so "
            "copies would look best."
        )
    return "Nothing was measured for this question."


def _values(entries: Iterable[Entry]) -> str:
    said = []
    for name, entry in {e.name: e for e in entries}.items():
        floor = entry.floor
        real = f" (real against real {amount(name, floor.value)})" if floor else ""
        said.append(f"{about(name).title} {amount(name, entry.value)}{real}")
    return listed(said)


def _blind(entry: Entry) -> str:
    """Why a number cannot be compared with real images."""
    floor = entry.floor
    if floor is None:
        return (
            f"It cannot be compared: {several(entry.n_real, 'real image')} of "
            f"{several(entry.groups_real, 'group')} are too few to compare halves of them."
        )
    return (
        f"It cannot be compared: {several(entry.n_fake, 'synthetic image')} are fewer than half of "
        f"the real ones. Make at least {floor.n[1]}: {generate_command(2 * floor.n[1])}"
    )
