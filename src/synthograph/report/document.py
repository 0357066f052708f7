"""The content of the page as plain data: what stands in the JSON, and what the page is made of."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import synthograph
from synthograph.core.config import flatten
from synthograph.report.commands import audit_command, evaluate_command, gap_command
from synthograph.report.curves import Line, thinned
from synthograph.report.evaluations import WHOLE, Evaluation
from synthograph.report.findings import Answer, Audit, Gap
from synthograph.report.gather import REPORT, Material, Set
from synthograph.report.runs import Run
from synthograph.report.verdicts import verdicts
from synthograph.report.words import count, listed, number, percent, several

FORMAT = 1
SETTINGS = 400
"""Rows of a table of settings."""
TRAIN = "train"
UNCHECKED = "cannot be checked"
"""What `evaluate` writes where the generator does not say what it was trained on."""
EQUAL = "equal training images"
"""What it writes of single images that were trained on."""
WORST = (Answer.CLEAN, Answer.UNDECIDABLE, Answer.SUSPICIOUS, Answer.COPIES)
"""Answers of audits, the worst one last."""


@dataclass(frozen=True)
class Choice:
    """What the page is about where several sets were given.

    Attributes:
        evaluation: numbers of the set; None where there are none.
        audit: of the same set, the one with the worst answer; None where there is none.
        why: what a reader must know of the audits that were given.
        others: further evaluations.
    """

    evaluation: Evaluation | None
    audit: Audit | None
    why: str
    others: tuple[Evaluation, ...]


def choose(material: Material) -> Choice:
    """The set that the verdicts are about: that of the last evaluation that was named, else of the
    newest snapshot that was measured in a run; and of the audits of the very same images the one
    with the worst answer, since a search that found nothing does not undo one that did.
    """
    measured = [
        each
        for run in material.runs
        for each in run.evaluations
        if each.entries and not each.chooses  # the images that chose cannot judge, too
    ]
    found = material.evaluations or sorted(measured, key=lambda each: each.kimg or 0)[-1:]
    main = found[-1] if found else None
    others = tuple(material.evaluations[:-1])
    if main is None:
        return Choice(None, *_worst(material.audits), others)
    fitting = [audit for audit in material.audits if _same_set(main, audit)]
    if material.audits and not fitting:
        audited = listed([str(a.synthetic.get("name") or a.source) for a in material.audits])
        judged = main.sets.get("generated", {}).get("name") or "the judged images"
        why = (
            f"The audit that was given is of other images ({audited}) than those whose numbers "
            f"stand here ({judged}), so it says nothing of them."
        )
        return Choice(main, None, why, others)
    return Choice(main, *_worst(fitting), others)


def _worst(audits: Sequence[Audit]) -> tuple[Audit | None, str]:
    """The audit that counts, and what to say where there are several."""
    if not audits:
        return None, ""
    # of equal answers that by trained features, then the last one
    places = enumerate(audits)
    _, worst = max(places, key=lambda p: (WORST.index(p[1].answer), not p[1].indicative, p[0]))
    if len(audits) == 1:
        return worst, ""
    said = listed([audit.answer.value for audit in audits])
    return worst, f"{len(audits)} audits were given, which say: {said}; the worst answer counts."


def _same_set(evaluation: Evaluation, audit: Audit) -> bool:
    made, searched = evaluation.sets.get("generated", {}), audit.synthetic
    if "snapshot" in made:  # images of a network exist in no archive that could be searched
        return False
    if made.get("images_hash") and searched.get("images_hash"):
        return bool(made["images_hash"] == searched["images_hash"])
    names = {made.get("name"), made.get("archive")}
    return bool(searched.get("name")) and searched["name"] in names


def build(material: Material, *, title: str = "", public: bool = False) -> dict[str, Any]:
    """The content of the page.

    Args:
        material: what was found.
        title: of the page; by default it names the set.
        public: leave out what names real images, and pictures unless an audit is clean; folders
            are taken out by `public.py`.
    """
    choice = choose(material)
    main = choice.evaluation
    document = {
        "format": FORMAT,
        "kind": REPORT,
        "title": title or _title(material, choice),
        "summary": summary(material, choice),
        "public": public,
        "pictures_left_out": pictures_left_out(material) if public else "",
        "verdicts": [each.json() for each in verdicts(main, choice.audit, choice.why)],
        "sets": [each.json() for each in sorted(material.sets, key=lambda s: s.synthetic)],
        "runs": [_run(run) for run in material.runs],
        "evaluation": None if main is None else main.json(),
        "other_evaluations": [each.json() for each in choice.others],
        "sensitivities": [each.json() for each in material.sensitivities],
        "audits": [_audit(each, public=public) for each in material.audits],
        "domain_gaps": [each.json() for each in material.gaps],
        "missing": missing(material, choice),
        "problems": [*material.problems, *(p for run in material.runs for p in run.problems)],
        "provenance": provenance(material),
    }
    return document


def pictures_left_out(material: Material) -> str:
    """Why a page for everybody shows no generated image; empty where it may, or there is none."""
    audit = choose(material).audit
    said = sorted({each.answer.value for each in material.audits} - {Answer.CLEAN.value})
    if (audit is not None and not said) or not any(run.fakes for run in material.runs):
        return ""
    why = f"an audit says: {listed(said)}" if said else "no audit says that they are no copies"
    return f"Generated images are left out of this page, since {why}."


def _title(material: Material, choice: Choice) -> str:
    main = choice.evaluation
    name = "" if main is None else main.sets.get("generated", {}).get("name", "")
    if not name and choice.audit is not None:
        name = str(choice.audit.synthetic.get("name") or "")
    if not name:
        names = [s.archive.path.name for s in material.sets if s.synthetic]
        name = (names or [run.path.name for run in material.runs] or ["a synthetic set"])[0]
    return name


def summary(material: Material, choice: Choice) -> str:
    """What the set is, in one paragraph."""
    said = []
    synthetic = next((s for s in material.sets if s.synthetic), None)
    main = choice.evaluation
    made = next((e.n_fake for e in (main.entries if main else ()) if e.part == WHOLE), None)
    if synthetic is not None:
        about = synthetic.json()
        labels = list(about["classes"])
        kinds = (
            f" of {several(len(labels), 'class', 'classes')} ({listed(labels)})" if labels else ""
        )
        said.append(
            f"{count(about['images'])} generated images{kinds}, {about['width']} × "
            f"{about['height']} pixels."
        )
    elif made:
        said.append(f"{count(made)} generated images.")
    said += [_trained_on(run, material) for run in material.runs[:1]]
    if main is not None and main.entries:
        whole = next((e for e in main.entries if e.n_real), main.entries[0])
        real = main.sets.get("real", {})
        said.append(
            f"They are judged by {count(whole.n_real)} real images of "
            f"{several(whole.groups, 'group')} ({real.get('name') or 'the reference'})"
            f"{_held_out(main)}."
        )
    if not said:
        return "Nothing that was given says what the set is; the sections below tell what there is."
    said.append("A group is what belongs together: a patient, a slide or a photograph.")
    return " ".join(each for each in said if each)


def _held_out(evaluation: Evaluation) -> str:
    """Whether the generator saw the images that it is judged by, as far as `evaluate` checked: it
    refuses a group that the generator's record names, and writes a note where there is no record.
    """
    unknown = next((note for note in evaluation.notes if UNCHECKED in note), None)
    if unknown is not None:
        return "; whether the generator saw them is not known, since it does not say what it saw"
    if evaluation.sets.get("real", {}).get("split") == TRAIN:
        return ", which are training images by their split"
    if not evaluation.sets.get("train"):
        return "; nothing in the numbers says whether the generator saw them"
    few = next((note for note in evaluation.notes if EQUAL in note), None)
    but = "" if few is None else f", but {few}"
    return f", of groups that are not in the generator's record of its training{but}"


def _trained_on(run: Run, material: Material) -> str:
    seen = run.info.whole("images_seen")
    data = _settings(run, "data")
    name = PurePath(str(data.get("path") or "real images")).name
    groups, images = (run.info.size(f"{name}_digests") for name in ("group", "image"))
    size = f"{count(images)} images of {several(groups, 'group')} in {name}" if images else name
    split = f", split {data['split']}" if data.get("split") else ""
    family = str(_settings(run, "model").get("family") or "a")
    shown = f" and was shown {count(seen)} images in all" if seen else ""
    return f"The {family} generator was trained on {size}{split}{shown}."


def _settings(run: Run, name: str) -> Mapping[str, Any]:
    inner = run.config.get(name)
    return inner if isinstance(inner, dict) else {}


def _run(run: Run) -> dict[str, Any]:
    curves = {name: thinned(Line(name, run.kimg, values)) for name, values in run.curves.items()}
    info = run.info
    return {
        "name": run.path.name,
        "path": str(run.path),
        "kimg": run.kimg[-1] if run.kimg else None,
        "hours": None if run.seconds is None else run.seconds / 3600,
        "settings": setting_rows(run.config)[:SETTINGS],
        "curves": {name: {"kimg": list(c.x), "value": list(c.y)} for name, c in curves.items()},
        "alarms": [{"kimg": at, "text": text} for at, text in run.alarms],
        "said": list(run.said),
        "commands": list(run.commands),
        "snapshots": list(run.snapshots),
        "pictures": len(run.fakes),
        "measured": [each.json() for each in run.evaluations],
        "network": {
            "file": None if run.newest is None else run.newest.name,
            "images_seen": info.whole("images_seen"),
            "classes": info.texts("classes"),
            "images_hash": info.text("images_hash"),
            "manifest_hash": info.text("manifest_hash"),
            "split": info.text("split"),
            "groups": info.size("group_digests"),
            "images": info.size("image_digests"),
            "version": info.text("package_version"),
            "started_from": "initialised_from" in info,
        },
    }


def setting_rows(tree: Mapping[str, Any]) -> list[list[str]]:
    """Dotted names and values of a tree of settings."""
    return [
        [name[:200], "–" if value is None or value == {} else str(value)[:300]]
        for name, value in flatten(tree).items()
    ]


FACTS = {
    "identical": "generated images that equal a training image in every pixel",
    "withhold": "images to withhold",
}
"""Lists of copy detection whose lengths a reader wants first."""
PER_RATE = {
    "flagged": "generated images flagged as copies",
    "expected": "flagged by chance",
    "holdout": "held-out images flagged",
    "p": "chance of as many without copies (p)",
    "upper_limit": "upper 95 % limit of the share of copies",
}
"""Numbers of copy detection at a rate of false alarms."""
MORE = 300
"""Rows of further numbers of an audit."""
AUDITED = ("overlap", "copies", "distances", "membership", "augmentations")


def _audit(audit: Audit, *, public: bool) -> dict[str, Any]:
    """An audit, its first numbers, and all others as rows; the public form names no image."""
    content = audit.json()
    facts = _facts(audit)
    rows = setting_rows({name: content[name] for name in AUDITED if content[name]})[:MORE]
    if public:
        content |= dict.fromkeys((*AUDITED, "provenance", "pictures"), {})
        rows = []
    content["limits"] = list(audit.all_limits)
    return {**content, "facts": facts, "more": rows, "recall_tables": _recall_tables(audit)}


def _facts(audit: Audit) -> list[list[str]]:
    """The first numbers of copy detection, in words."""
    lists = ((words, audit.copies.get(name)) for name, words in FACTS.items())
    facts = [[words, count(len(value))] for words, value in lists if isinstance(value, list)]
    images = audit.synthetic.get("images")
    for each in audit.counts:
        rate = each["rate"]
        at = "" if rate is None else f" at {percent(rate)} false alarms"
        chance = None if rate is None or images is None else rate * images
        shown = {
            "flagged": each["flagged"],
            "expected": chance,
            "holdout": each["holdout"],
            "p": each["p"],
            "upper_limit": each["upper_limit"],
        }
        for name, value in shown.items():
            if value is not None:
                whole = {"flagged": count, "holdout": count, "upper_limit": percent}
                facts.append([f"{PER_RATE[name]}{at}", whole.get(name, number)(value)])
    return facts


def _recall_tables(audit: Audit) -> list[dict[str, Any]]:
    """For every rate of false alarms a table of transforms by classes."""
    tables = []
    for rate in dict.fromkeys(each["rate"] for each in audit.recall):
        found = [each for each in audit.recall if each["rate"] == rate]
        classes = list(dict.fromkeys(each["class"] for each in found))
        rows: dict[str, dict[str, Any]] = {}
        for each in found:
            rows.setdefault(each["transform"], {})[each["class"]] = dict(each)
        tables.append({"rate": rate, "classes": classes, "rows": rows})
    return tables


def missing(material: Material, choice: Choice) -> list[dict[str, str]]:
    """What the page lacks, and the command that would add it."""
    main = choice.evaluation
    found = []
    if not material.runs:
        found.append(("training", "No run directory was given.", "synthograph report RUN ..."))
    if main is None:
        made = next((s.archive.path.name for s in material.sets if s.synthetic), "")
        real = next((s.archive.path.name for s in material.sets if not s.synthetic), "")
        command = evaluate_command(made, real)
        found.append(("numbers", "The set has not been measured yet.", command))
    if choice.audit is None:
        text = choice.why or "No audit yet: nobody has searched this set for copies."
        found.append(("audit", text, audit_command(main)))
    if not material.gaps:
        text = "No domain map yet: how the set lies to images of other hospitals or devices."
        found.append(("domain map", text, gap_command(main)))
    if not material.sensitivities:
        text = (
            "No table of sensitivities was given, so what the measures would miss on such images "
            "is not said."
        )
        found.append(("sensitivity", text, ""))
    return [{"what": what, "text": text, "command": command} for what, text, command in found]


def provenance(material: Material) -> dict[str, Any]:
    """Files, versions, commands, seeds."""
    commands = [command for run in material.runs for command in run.commands]
    found = [each.provenance for each in material.audits]
    found += [each.provenance for each in material.gaps]
    for about in found:
        line = about.get("command")
        if isinstance(line, list) and all(isinstance(word, str) for word in line):
            line = shlex.join(line)
        commands += [line] if isinstance(line, str) else []
    versions = {"this page": synthograph.__version__}
    seeds: dict[str, int] = {}
    for place, each in enumerate(material.evaluations):
        name = f"numbers of {each.sets.get('generated', {}).get('name') or place}"
        versions[name] = each.version or "–"
        seeds |= {} if each.seed is None else {name: each.seed}
    for run in material.runs:
        versions[f"run {run.path.name}"] = run.info.text("package_version") or "–"
        seed = run.config.get("seed")
        seeds |= {f"run {run.path.name}": seed} if isinstance(seed, int) else {}
    return {
        "files": [dict(each) for each in material.files],
        "commands": list(dict.fromkeys(commands)),
        "versions": versions,
        "seeds": seeds,
    }


def gap_names(gap: Gap) -> list[str]:
    """Names of the sets on the map, in the order in which they appear."""
    return list(dict.fromkeys(gap.point_sets)) or [""]


def real_and_synthetic(material: Material) -> tuple[Set, Set] | None:
    """The archives whose images can be shown side by side; only those that were named."""
    given = [each for each in material.sets if each.given]
    real = next((each for each in given if not each.synthetic), None)
    synthetic = next((each for each in given if each.synthetic), None)
    return None if real is None or synthetic is None else (real, synthetic)
