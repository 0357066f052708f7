"""The model card as Markdown, with the header that model hubs read."""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import replace

from synthograph.report.gather import Inputs
from synthograph.report.numbers import Numbers
from synthograph.report.words import amount, as_sentence, count, duration, number, several
from synthograph.results.audit import Audit
from synthograph.results.authenticity import Authenticity
from synthograph.results.base import Document
from synthograph.results.card import CardMeasure, ModelCard
from synthograph.results.environment import told
from synthograph.results.measures import about

LIBRARY = "synthograph"
_HUB_LICENCE = re.compile(r"[a-z0-9][a-z0-9.\-]*")
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#])")
INTENDED = (
    "Research: more training images for classifiers and segmenters, tests of software, and "
    "teaching. Whether they help is to be shown on real images of other patients."
)
NOT_FOR = (
    "Diagnosis, or anything that takes an image for one of a patient. Synthetic images show no "
    "patient; a finding in one says nothing about frequencies in a population."
)


def of_network(inputs: Inputs, network: str) -> tuple[Inputs, int]:
    """Inputs without numbers, audits and comparisons of projections of another network than that of
    this sha256, and how many of those that were named are left out.
    """
    numbers = [each for each in inputs.numbers if not each.of_another(network)]
    results = [each for each in inputs.results if not _of_another(each.content, network)]
    others = len(inputs.numbers) - len(numbers) + len(inputs.results) - len(results)
    runs = [replace(run, evaluations=_of(run.evaluations, network)) for run in inputs.runs]
    return replace(inputs, numbers=numbers, results=results, runs=runs), others


def _of(evaluations: Iterable[Numbers], network: str) -> tuple[Numbers, ...]:
    return tuple(each for each in evaluations if not each.of_another(network))


def _of_another(found: Document, network: str) -> bool:
    networks: tuple[str, ...] = ()
    if isinstance(found, Audit):
        networks = found.provenance.synthetic.networks
    elif isinstance(found, Authenticity) and found.provenance.generated is not None:
        networks = found.provenance.generated.networks
    return not {*networks} <= {network}


def measures_of(inputs: Inputs) -> list[CardMeasure]:
    """All numbers, once each; those of the images that chose the snapshot only where there are no
    others.
    """
    named = {each.key for each in inputs.numbers}  # with what the runs hold of the same images
    of_runs = [own for run in inputs.runs for own in run.evaluations if own.key not in named]
    sets = [*inputs.numbers, *of_runs]
    judging = [each for each in sets if not each.chooses] or sets
    return [measure for each in judging for measure in _measures(each)]


def _measures(numbers: Numbers) -> Iterator[CardMeasure]:
    for entry in numbers.entries:
        yield CardMeasure(
            name=entry.name,
            title=entry.title or about(entry.name).title,
            part=str(entry.scope),
            value=entry.value,
            interval=entry.interval,
            floor=None if entry.floor is None else entry.floor.value,
            extractor=entry.extractor,
            n_real=entry.n_real,
            n_synthetic=entry.n_fake,
            split=numbers.of_set("real", "split"),
            chose=numbers.chooses,
        )


def markdown(card: ModelCard) -> str:
    """The page, `README.md` of a folder for a model hub."""
    sections = (_header, _summary, _use, _data, _training, _quality, _files, _citation)
    return "\n".join(line for section in sections for line in section(card)) + "\n"


def _plain(text: str) -> str:
    """Text of others, in which nothing is taken for Markdown or HTML."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _header(card: ModelCard) -> Iterator[str]:
    yield "---"
    licence = (card.licence or "").lower()
    if _HUB_LICENCE.fullmatch(licence):
        yield f"license: {licence}"
    elif licence:
        yield "license: other"
        yield f"license_name: {json.dumps(card.licence)}"
    yield f"library_name: {LIBRARY}"
    yield "pipeline_tag: unconditional-image-generation"
    yield f"tags: [synthetic-data, medical-imaging, gan, {card.network.family}]"
    whole = [m for m in card.measures if m.part == "all" and m.value is not None]
    if whole:
        yield "model-index:"
        yield f"  - name: {json.dumps(card.title)}"
        yield "    results:"
        yield "      - task: {type: unconditional-image-generation}"
        yield f"        dataset: {{name: {json.dumps(card.data.name or 'private')}, type: private}}"
        yield "        metrics:"
        for each in whole:
            name = each.name if each.extractor is None else f"{each.name} ({each.extractor})"
            said = f"type: {each.name}, name: {json.dumps(name)}, value: {each.value}"
            yield f"          - {{{said}}}"
    yield "---"


def _summary(card: ModelCard) -> Iterator[str]:
    net = card.network
    yield f"\n# {_plain(card.title)}\n"
    yield (
        f"A {net.family} generator of synthetic images ({net.images}). It was shown "
        f"{count(net.kimg * 1000)} real images."
    )
    if net.classes:
        yield f"\nClasses: {', '.join(map(_plain, net.classes))}."
    yield "\n```bash"
    yield f"synthograph generate --network FOLDER --seeds 0-15 --outdir images  # {net.file}"
    yield "```"


def _use(card: ModelCard) -> Iterator[str]:
    yield f"\n## Use\n\n**Intended.** {_plain(card.intended_use)}"
    yield f"\n**Not for.** {_plain(card.not_for)}"
    yield f"\n**Licence.** {_plain(card.licence or 'Not stated: ask the authors before use.')}"


def _data(card: ModelCard) -> Iterator[str]:
    data = card.data
    yield "\n## Data\n"
    groups = several(data.groups, "group") if data.groups else "groups that nobody recorded"
    yield (
        f"Trained on {several(data.images, 'image')} of {groups} (patients, or what stands for "
        f"them), split {_plain(data.split or 'none')}"
        + ("" if data.fold is None else f", without fold {data.fold}")
        + ". The card names no group and no image."
    )
    stated = "not stated" if data.invariances is None else ", ".join(data.invariances) or "none"
    yield f"\nChanges that leave the meaning of an image alone: {stated}."


def _training(card: ModelCard) -> Iterator[str]:
    training = card.training
    said = []
    if training.hours is not None:
        said.append(f"It took {duration(training.hours)}.")
    if where := told(training.environments):
        said.append(f"Trained with {_plain(where)}.")
    if training.started_from_another:
        said.append(
            "It began with the weights of another network (its command says which). Patients whose "
            "images that one saw count as seen, too."
        )
    yield "\n## Training"
    yield from (f"\n{each}" for each in said)
    if training.commands:
        yield "\n```bash"
        yield from training.commands
        yield "```"
    yield from (f"\nAlarm: {_plain(alarm)}" for alarm in training.alarms)
    yield "\nAll settings are in `card.json`."


def _quality(card: ModelCard) -> Iterator[str]:
    yield "\n## Quality"
    if card.verdicts:
        yield ""
    for verdict in card.verdicts:
        name = verdict.question.partition("?")[0]
        yield f"- **{name}?** {_plain(as_sentence(verdict.headline))}"
    if not card.measures:
        yield "\nNothing was measured."
        return
    yield "\n| measure | part | value | 95 % interval | real against real | real images | of |"
    yield "|---|---|---|---|---|---|---|"
    yield from map(_row, card.measures)
    if any(each.chose for each in card.measures):
        yield "\nImages that chose the snapshot cannot judge it: numbers on a test split are due."


def _row(each: CardMeasure) -> str:
    ends = each.interval and " to ".join(
        amount(each.name, end) for end in (each.interval.low, each.interval.high)
    )
    title = each.title if each.extractor is None else f"{each.title} ({each.extractor})"
    where = f"{each.split or 'no split'}{', which chose the snapshot' if each.chose else ''}"
    cells = (
        title,
        each.part,
        amount(each.name, each.value),
        ends or "none",
        "none" if each.floor is None else amount(each.name, each.floor),
        count(each.n_real) if each.n_real else "none",
        where,
    )
    return _cells(*cells)


def _cells(*cells: str) -> str:
    """A line of a table."""
    return f"| {' | '.join(map(_plain, cells))} |"


def _files(card: ModelCard) -> Iterator[str]:
    yield "\n## Files\n\n| what | sha256 |\n|---|---|"
    yield from (_cells(name, digest) for name, digest in card.files.items())
    yield f"| the network that was measured | {card.network.of_sha256} |"
    hashes = {"images": card.data.images_hash, "manifest": card.data.manifest_hash}
    yield from (_cells(f"{name} of the archive", each) for name, each in hashes.items() if each)
    made = f"{number(card.network.parameters)} parameters. Made by synthograph"
    yield f"\n{made} {_plain(card.package_version)}. Nothing in them is executed."


def _citation(card: ModelCard) -> Iterator[str]:
    key = re.sub(r"\W+", "-", card.title).strip("-").lower() or "network"
    authors = " and ".join(card.authors) or "not stated"
    yield "\n## Citation\n\n```bibtex"
    yield f"@misc{{{key},"
    yield f"  title = {{{_braced(card.title)}}},"
    yield f"  author = {{{_braced(authors)}}},"
    yield f"  note = {{synthograph {_braced(card.package_version)}, sha256 {card.network.sha256}}}"
    yield "}\n```"


def _braced(text: str) -> str:
    """Text inside braces of BibTeX, and inside a block of code."""
    return re.sub(r"[{}\\`]", "", " ".join(text.split()))
