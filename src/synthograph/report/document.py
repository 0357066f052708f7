"""The content of the page as plain data: what stands in the JSON, and what the page is made of."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import PurePath
from typing import TypeVar

import synthograph
from synthograph.core.config import flatten
from synthograph.report.classifications import classification_tree
from synthograph.report.commands import Beside, audit_command, evaluate_command, gap_command
from synthograph.report.curves import Curve, thinned
from synthograph.report.gather import MIXTURE, SYNTHETIC, ArchiveSummary, Inputs
from synthograph.report.numbers import WHOLE, Numbers
from synthograph.report.projections import projections_tree
from synthograph.report.recoveries import recovery_tree
from synthograph.report.runs import Run
from synthograph.report.searches import search_tree, sentence
from synthograph.report.segmentations import segmentation_tree
from synthograph.report.studies import study_tree
from synthograph.report.truncations import truncation_tree
from synthograph.report.useful import useful_verdict
from synthograph.report.verdicts import verdicts
from synthograph.report.withheld import pictures_left_out, remembered
from synthograph.report.words import as_sentence, count, listed, number, percent, several
from synthograph.results.audit import Audit, AuditAnswer
from synthograph.results.authenticity import Authenticity
from synthograph.results.base import Document, Tree
from synthograph.results.classification import ClassifierEvaluation
from synthograph.results.domain_gap import DomainGap
from synthograph.results.environment import Environment, told
from synthograph.results.projection import Projections
from synthograph.results.report import Missing, ReportContent
from synthograph.results.search import Search
from synthograph.results.segmentation import SegmenterEvaluation
from synthograph.results.sensitivity import Sensitivity
from synthograph.results.study import Study
from synthograph.results.truncation import Truncation

R = TypeVar("R", bound=Document)
NO_GROUPS = "No groups were given: nothing protects against images of one patient in two splits."
MAX_SETTINGS = 400
"""Rows of a table of settings."""
UNCHECKED = "does not say what it was trained on"
"""What `evaluate` writes where the generator does not say what it was trained on."""
EQUAL = "equal training images"
"""What it writes of single images that were trained on."""
WORST = [AuditAnswer.CLEAN, AuditAnswer.UNDECIDABLE, AuditAnswer.SUSPICIOUS, AuditAnswer.COPIES]
"""Answers of audits, the worst one last."""


@dataclass(frozen=True)
class Subject:
    """What the page is about where several sets were given.

    Attributes:
        numbers: of the set.
        audit: of the same set, the one with the worst answer; None where there is none.
        why: what a reader must know of the audits that were given.
        others: further numbers.
        beside: what else is known of it.
    """

    numbers: Numbers
    audit: Audit | None
    why: str
    others: list[Numbers]
    beside: Beside


def choose(inputs: Inputs) -> Subject:
    """The set that the verdicts are about: that of the last evaluation that was named, else of the
    newest snapshot that was measured in a run; and of the audits of the very same images the one
    with the worst answer, since a search that found nothing does not undo one that did.
    """
    measured = [
        each
        for run in inputs.runs
        for each in run.evaluations
        if each.entries and not each.chooses  # the images that chose cannot judge, too
    ]
    measured.sort(key=lambda each: each.kimg or 0)
    main = (inputs.numbers or measured or [Numbers()])[-1]
    audits = [each.content for each in inputs.of(Audit)]
    fitting = [audit for audit in audits if not main or _same_set(main, audit)]
    audit, why = _worst(fitting)
    if audits and not fitting:
        audited = listed([audit.sets.synthetic.name for audit in audits])
        judged = main.of_set("generated", "name") or "the measured images"
        why = (
            f"The audit that was given is of other images ({audited}) than those whose numbers "
            f"stand here ({judged}), so it says nothing of them."
        )
    return Subject(main, audit, why, inputs.numbers[:-1], _beside(inputs))


def _beside(inputs: Inputs) -> Beside:
    """What a run measured by the images that choose its best snapshot, and where the run is."""
    chosen = [each for run in inputs.runs for each in run.evaluations if each.chooses]
    path = str(inputs.runs[0].path) if inputs.runs else ""
    named = {each.synthetic: each.archive.path.name for each in reversed(inputs.archives)}
    during = chosen[-1] if chosen else Numbers()
    return Beside(
        during,
        path,
        synthetic=named.get(True, ""),
        real=named.get(False, ""),
        remembered=remembered(inputs),
    )


def _worst(audits: Sequence[Audit]) -> tuple[Audit | None, str]:
    """The audit that counts, and what to say where there are several."""
    if not audits:
        return None, ""
    # of equal answers that by trained features, then the last one
    worst = max(
        reversed(audits), key=lambda a: (WORST.index(a.verdict.answer), not a.verdict.indicative)
    )
    if len(audits) == 1:
        return worst, ""
    said = listed([audit.verdict.answer.value for audit in audits])
    return worst, f"{len(audits)} audits were given, which say: {said}; the worst answer counts."


def _same_set(numbers: Numbers, audit: Audit) -> bool:
    made, searched = numbers.sets.get("generated", {}), audit.sets.synthetic
    if "snapshot" in made:  # images of a network exist in no archive that could be searched
        return False
    if made.get("images_hash") and searched.images_hash:
        return made["images_hash"] == searched.images_hash
    return bool(searched.name) and searched.name in (made.get("name"), made.get("archive"))


def build(inputs: Inputs, *, title: str = "", public: bool = False) -> ReportContent:
    """The content of the page.

    Args:
        inputs: what was found; for a page for everybody its public form.
        title: of the page; by default it names the set.
        public: leave out what names real images, and pictures of a run unless an audit of images of
            its network is clean.
    """
    subject = choose(inputs)
    main = subject.numbers
    problems = [*inputs.problems, *(p for run in inputs.runs for p in run.problems)]
    sections: Tree = {
        "sets": [each.tree() for each in sorted(inputs.archives, key=lambda each: each.synthetic)],
        "runs": [_run(run) for run in inputs.runs],
        "evaluation": main.tree() if main else None,
        "other_evaluations": [each.tree() for each in subject.others],
        "sensitivities": [_sensitivity(each) for each in inputs.sensitivities],
        "audits": _of(inputs, Audit, partial(_audit, public=public)),
        "domain_gaps": _of(inputs, DomainGap, _gap),
        "searches": _of(inputs, Search, search_tree),
        "studies": _of(inputs, Study, study_tree),
        "classifications": _of(inputs, ClassifierEvaluation, classification_tree),
        "projections": _of(inputs, Projections, projections_tree),
        "recoveries": _of(inputs, Authenticity, recovery_tree),
        "truncations": _of(inputs, Truncation, truncation_tree),
        "segmentations": _of(inputs, SegmenterEvaluation, segmentation_tree),
        "provenance": provenance(inputs),
    }
    return ReportContent(
        title=title or _title(inputs, subject),
        summary=summary(inputs, main),
        for_everybody=public,
        pictures_left_out=pictures_left_out(inputs) if public else "",
        verdicts=(
            *verdicts(main, subject.audit, subject.why, subject.beside),
            useful_verdict([each.content for each in inputs.of(Study)]),
        ),
        missing=tuple(missing(inputs, subject)),
        problems=tuple(map(str, problems)),
        **sections,
    )


def _of(inputs: Inputs, kind: type[R], tree: Callable[[R], Tree]) -> list[Tree]:
    """Results of a kind, as the page shows them."""
    return [{"source": str(each.source), **tree(each.content)} for each in inputs.of(kind)]


def _title(inputs: Inputs, subject: Subject) -> str:
    audits = [] if subject.audit is None else [subject.audit]
    named = [
        subject.numbers.of_set("generated", "name"),
        *(audit.sets.synthetic.name for audit in audits),
        *(each.archive.path.name for each in inputs.archives if each.synthetic),
        *(run.path.name for run in inputs.runs),
    ]
    return next(filter(None, named), "a synthetic set")


def summary(inputs: Inputs, main: Numbers) -> str:
    """What the set is, in one paragraph."""
    said = []
    archives = [each.tree() for each in inputs.archives]
    shown = judged_archive(inputs)
    synthetic = None if shown is None else shown.tree()
    made = next((e.n_fake for e in main.entries if e.scope == WHOLE), None)
    if synthetic is not None:
        classes = synthetic["classes"]
        of = f" of {several(len(classes), 'class', 'classes')} ({listed(classes)})"
        made_up = synthetic["synthetic_images"]
        reals = synthetic["images"] - made_up
        among = f" among {several(reals, 'real image')}" if reals else ""
        said.append(
            f"{several(made_up, 'synthetic image')}{among}{of if classes else ''}, "
            f"{synthetic['width']} × {synthetic['height']} pixels."
        )
    elif made:
        said.append(f"{count(made)} synthetic images.")
    said += [_trained_on(run) for run in inputs.runs[:1]]
    whole = next((e for e in main.entries if e.n_real), None)
    if whole is not None:
        said.append(
            "The synthetic images are compared with "
            f"{_counted(whole.n_real, whole.groups_real, 'real image')} "
            f"({main.of_set('real', 'name') or 'the reference'}){_held_out(main)}."
        )
    if not said:
        nothing = (
            "Nothing that was given says what the set is; the sections below tell what there is."
        )
        return next((sentence(each.content) for each in inputs.of(Search)), nothing)
    if any(each["ungrouped"] for each in archives if each["kind"] != SYNTHETIC):
        said.append(NO_GROUPS)
    else:
        said.append("A group is what belongs together: a patient, a slide or a photograph.")
    return " ".join(said)


def judged_archive(inputs: Inputs) -> ArchiveSummary | None:
    """The archive of the synthetic images that the numbers are of; where they are of none, the
    first synthetic one that was named, else the first mixture.
    """
    kinds = (SYNTHETIC, MIXTURE)
    named = [each for kind in kinds for each in inputs.archives if each.kind == kind]
    judged = choose(inputs).numbers.of_set("generated", "images_hash")
    same = (each for each in named if judged and each.archive.images_hash == judged)
    return next(same, None if judged else next(iter(named), None))


def _held_out(numbers: Numbers) -> str:
    """Whether the generator saw the reference, as far as `evaluate` checked: it refuses a group
    that the generator's record names, and writes a note where there is no record.
    """
    if any(UNCHECKED in note for note in numbers.notes):
        return ". The generator does not say what it was trained on, so it may have seen them"
    if numbers.of_set("real", "split") == "train":
        return ", which their split calls training images"
    if not numbers.sets.get("train"):
        return ". Nothing in the numbers says whether the generator saw them"
    few = next((note for note in numbers.notes if EQUAL in note), None)
    but = "" if few is None else f", but {few}"
    return f". By its own record, the generator was not trained on them{but}"


def _trained_on(run: Run) -> str:
    seen, data = run.info.images_seen, run.section("data")
    name = PurePath(str(data.get("path") or "real images")).name
    split = f", split {data['split']}" if data.get("split") else ""
    size = f"{_counted(run.images, run.groups, 'image')} ({name}{split})"
    family = str(run.section("model").get("family") or "")
    shown = f" It was shown {several(seen, 'image')} in all." if seen else ""
    return f"The {family} generator was trained on {size if run.images else name}.{shown}"


def _counted(images: int, groups: int, what: str) -> str:
    """Images, and their groups where these are more than single images."""
    of = f" of {several(groups, 'group')}" if groups < images else ""
    return f"{several(images, what)}{of}"


def _run(run: Run) -> Tree:
    stats, info = run.curves, run.info
    curves = {
        name: thinned(Curve(name, stats.kimg, values)) for name, values in stats.values.items()
    }
    return {
        "name": run.path.name,
        "path": str(run.path),
        "kimg": stats.kimg[-1] if stats.kimg else None,
        "hours": None if stats.seconds is None else stats.seconds / 3600,
        "settings": setting_rows(run.config)[:MAX_SETTINGS],
        "curves": {name: {"kimg": list(c.x), "value": list(c.y)} for name, c in curves.items()},
        "alarms": [{"kimg": at, "text": text} for at, text in stats.alarms],
        "said": list(run.said),
        "commands": list(run.commands),
        "snapshots": [each.kimg for each in run.snapshots],
        "pictures": len(run.fakes),
        "measured": [each.tree() for each in run.evaluations],
        "network": {
            "file": run.snapshots[-1].path.name if run.snapshots else None,
            "images_seen": info.images_seen,
            "classes": list(info.classes),
            "images_hash": info.images_hash or "",
            "manifest_hash": info.manifest_hash or "",
            "split": info.split or "",
            "groups": run.groups,
            "images": run.images,
            "version": info.package_version,
            "started_from": run.started_from,
        },
    }


def setting_rows(tree: Tree) -> list[list[str]]:
    """Dotted names and values of a tree of settings."""
    return [
        [name[:200], "–" if value is None or value == {} else str(value)[:300]]
        for name, value in flatten(tree).items()
    ]


def _sensitivity(table: Sensitivity) -> Tree:
    head, *rows = table.rows()
    counts = table.model_dump(include={"images", "groups", "splits", "half", "damaged", "seed"})
    about = counts | {"extractor": table.extractor.extractor}
    notes = list(table.notes)
    return {"head": head, "rows": rows, "rule": table.rule, "about": about, "notes": notes}


MORE = 300
"""Rows of further numbers of an audit."""
AUDITED = ("overlap", "copies", "distances", "membership", "augmentations")


def _audit(audit: Audit, *, public: bool) -> Tree:
    """An audit, its first numbers, and all others as rows; the public form names no image."""
    tree = audit.tree()
    copies, membership = tree["copies"], tree["membership"]
    content = {
        **tree,
        **tree.pop("verdict"),
        "limits": list(audit.all_limits),
        "sentences": _sentences(audit),
        "recall": copies.pop("recall", []),
        "counts": copies.pop("counts", []),
        "attacks": [
            attack
            | {"null": attack["null"]["mean"], "null_high": attack["null"]["high"]}
            | {"control": attack["control"]["mean"]}
            for attack in membership.pop("attacks")
        ],
        "facts": _facts(audit),
        "recall_tables": _recall_tables(audit),
    }
    content["more"] = setting_rows({name: tree[name] for name in AUDITED if tree[name]})[:MORE]
    if public:
        content |= dict.fromkeys((*AUDITED, "provenance", "pictures"), {}) | {"more": []}
    return content


def _sentences(audit: Audit) -> list[str]:
    """What the parts of an audit say in words."""
    parts = (audit.overlap, audit.copies, audit.membership, audit.augmentations)
    said = [part.sentence for part in parts if part is not None and part.sentence]
    return [as_sentence(text) for text in said]


def _facts(audit: Audit) -> list[list[str]]:
    """The first numbers of copy detection, in words."""
    copies, images = audit.copies, audit.sets.synthetic.images
    facts = {
        "synthetic images that equal a training image in every pixel": count(len(copies.identical)),
        "images to withhold": count(len(copies.withhold)),
    }
    for each in copies.counts:
        at = f"at {percent(each.rate)} false alarms"
        facts |= {
            f"synthetic images flagged as copies {at}": count(each.flagged),
            f"flagged by chance {at}": number(each.rate * images),
            f"real held-out images that look like training images {at}": count(each.holdout),
            f"chance of as many without copies (p) {at}": number(each.p),
            f"upper 95 % limit of the share of copies {at}": percent(each.upper_limit),
        }
    if (control := copies.control) is not None:
        facts |= {
            "synthetic images that look like copies of held-out images": count(control.flagged),
            "most alike groups of held-out images, left out of the next row": count(
                control.passed_over
            ),
            "synthetic images more alike to a training image than any is to a held-out one": count(
                control.closer
            ),
            "groups of these training images": count(control.groups),
            "chance of as many groups without copies (p)": number(control.groups_p),
        }
    return [list(fact) for fact in facts.items()]


def _recall_tables(audit: Audit) -> list[Tree]:
    """For every rate of false alarms a table of transforms by classes."""
    tables: dict[float, Tree] = {}
    for each in audit.copies.recall:
        table = tables.setdefault(each.rate, {"rate": each.rate, "classes": [], "rows": {}})
        table["rows"].setdefault(each.transform, {})[each.class_name] = each.tree()
        if each.class_name not in table["classes"]:
            table["classes"].append(each.class_name)
    return list(tables.values())


def _gap(gap: DomainGap) -> Tree:
    """A domain gap, without the points, which stand in its file."""
    tree = gap.model_dump(mode="json", exclude={"map", "thumbnails"})
    for each in tree["pairs"]:
        if each["classifier"]["p_adjusted"] is not None:
            each["classifier"]["p"] = each["classifier"]["p_adjusted"]
    about = {"method": gap.map.about or gap.map.method, "points": len(gap.map.points)}
    return {**tree, "map": about}


def missing(inputs: Inputs, subject: Subject) -> list[Missing]:
    """What the page lacks, and the command that would add it."""
    main, beside = subject.numbers, subject.beside
    found = []
    if not inputs.runs:
        found.append(("training", "No run directory was given.", "synthograph report RUN ..."))
    if not main:
        command = evaluate_command(main, beside)
        found.append(("numbers", "The set has not been measured yet.", command))
    if subject.audit is None:
        text = subject.why or "No audit yet: nobody has searched this set for copies."
        found.append(("audit", text, audit_command(main, beside)))
    if not inputs.of(DomainGap):
        text = (
            "No domain map yet. It would show how far the set lies from images of other hospitals "
            "or devices."
        )
        found.append(("domain map", text, gap_command(main, beside)))
    if not inputs.sensitivities:
        text = (
            "No table of sensitivities was given. It would show which defects the measures miss on "
            "such images."
        )
        command = f"{evaluate_command(main, beside)} --sensitivity"
        found.append(("sensitivity", text, command))
    if not inputs.of(Study):
        text = "No study was given. It would show whether the images help to train something."
        found.append(("study", text, "synthograph study STUDY.yaml --plan"))
    return [Missing(what=what, text=text, command=command) for what, text, command in found]


def provenance(inputs: Inputs) -> Tree:
    """Files, versions, commands, seeds."""
    commands = [command for run in inputs.runs for command in run.commands]
    commands += [each.content.provenance.command for each in inputs.of(Audit)]
    commands += [each.content.provenance.command for each in inputs.of(Authenticity)]
    commands += [each.content.provenance.command for each in inputs.of(Truncation)]
    commands += [each.content.command for each in inputs.of(Projections)]
    versions = {"this page": synthograph.__version__}
    seeds: dict[str, int] = {}
    for place, each in enumerate(inputs.numbers):
        name = f"numbers of {each.of_set('generated', 'name') or place}"
        versions[name] = each.version or "–"
        seeds |= {} if each.seed is None else {name: each.seed}
    for run in inputs.runs:
        versions[f"run {run.path.name}"] = run.info.package_version or "–"
        seed = run.config.get("seed")
        seeds |= {f"run {run.path.name}": seed} if isinstance(seed, int) else {}
    return {
        "files": [dict(each) for each in inputs.files],
        "commands": list(dict.fromkeys(filter(None, commands))),
        "versions": versions,
        "environments": _environments(inputs),
        "seeds": seeds,
    }


def _environments(inputs: Inputs) -> dict[str, str]:
    """What was computed, and with which software on which machine, as far as that is known; how a
    classifier was trained stands with its scores.
    """
    found: list[tuple[str, Sequence[Environment | None]]] = [
        (f"training of {run.path.name}", run.info.environments) for run in inputs.runs
    ]
    for place, numbers in enumerate(inputs.numbers):
        name = numbers.of_set("generated", "name") or place
        found.append((f"measures of {name}", numbers.environments))
    for audit in inputs.of(Audit):
        name, environment = audit.content.sets.synthetic.name, audit.content.provenance.environment
        found.append((f"audit of {name}", [environment]))
    for recovery in inputs.of(Authenticity):
        network, environment = recovery.content.network, recovery.content.provenance.environment
        found.append((f"images recovered by {network}", [environment]))
    scored = [each.content for each in inputs.of(ClassifierEvaluation)]
    masks = [each.content for each in inputs.of(SegmenterEvaluation)]
    found += [(f"scores of {each.model.file}", [each.environment]) for each in scored]
    found += [(f"scores of {each.model.file}", [each.environment]) for each in masks]
    for study in inputs.of(Study):
        found.append((f"trainings of study {study.content.about.name}", study.content.environments))
    of_name = defaultdict[str, list[Environment | None]](list)
    for name, environments in found:
        of_name[name] += environments
    return {name: known for name, of in of_name.items() if (known := told(of))}
