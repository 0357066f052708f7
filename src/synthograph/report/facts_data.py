"""What archives, runs and numbers of synthetic images say on items of checklists: a sentence or two
each, on lines of their own, empty where they say nothing.
"""

from collections import Counter
from collections.abc import Iterator
from functools import partial

from synthograph.archive.advice import without_group
from synthograph.archive.manifest import Row, count_labels, in_split
from synthograph.core.config import flatten
from synthograph.report.gather import ArchiveSummary
from synthograph.report.numbers import Numbers
from synthograph.report.runs import Run
from synthograph.report.tables import with_ends
from synthograph.report.words import amount, as_sentence, count, duration, listed, several
from synthograph.results.base import public_name
from synthograph.results.environment import told
from synthograph.results.evaluation import Entry
from synthograph.results.measures import about
from synthograph.results.provenance import weakness

MOST = 12
"""Names, values or classes that a sentence lists."""
DESCRIBING = (
    *("sex", "gender", "patientsex", "site", "centre", "center", "hospital", "institution"),
    *("scanner", "manufacturer", "vendor", "device", "camera", "dicom_modality"),
)
"""Columns of a manifest whose values tell patients or devices apart."""
TEXT_CHECKS = {"burned_in_text": "burned-in text", "source_metadata": "metadata of persons"}
"""Columns of `prepare --check-text`, and what it looked for."""
CUTTING = ("test", "val", "folds", "seed")
"""Options of `split` that a reader needs."""


def sized(images: int, groups: int) -> str:
    """Images and their groups."""
    return f"{several(images, 'image')} of {several(groups, 'group')}"


# --- archives -------------------------------------------------------------------------------------


def _real(archive: ArchiveSummary) -> list[Row]:
    return [row for row in archive.archive.rows if row.real]


def _shown(archive: ArchiveSummary, text: str) -> str:
    """Text of an archive, for everybody without folders."""
    return public_name(text) if archive.for_everybody else text


def _splits(archive: ArchiveSummary) -> dict[str, list[Row]]:
    """Real images of every split; none where the archive was never split."""
    rows = _real(archive)
    return {part: own for part in ("train", "val", "test") if (own := in_split(rows, part))}


def cohort(archive: ArchiveSummary) -> str:
    """The public cohort that it was made of."""
    known = archive.tree()["cohort"]
    if not known:
        return ""
    where = ", ".join(filter(None, (known.get("paper"), known.get("home"))))
    paper = f" ({where})" if where else ""
    return f"Images of the public cohort {known['name']}: {known['title']}{paper}."


def synthetic(archive: ArchiveSummary) -> str:
    """Synthetic images, and how they were drawn."""
    tree = archive.tree()
    made, text = tree["made"], several(tree["synthetic_images"], "synthetic image")
    if real := tree["images"] - tree["synthetic_images"]:
        text += f" beside {several(real, 'real image')}"
    if made["networks"]:
        text += f", drawn by {several(made['networks'], 'generator')}"
    if made["seeds"]:
        text += f", seeds {made['seeds'][0]} to {made['seeds'][1]}"
    if made["truncation"]:
        text += f", truncation {listed(list(made['truncation']))}"
    return f"{text}."


def preprocessing(archive: ArchiveSummary) -> str:
    """Size, depth, and what `prepare` changed."""
    info, spec = archive.archive.info, archive.archive.info.spec
    channels = [f"{name} of {several(n, 'channel')}" for name, n in spec.modalities.items()]
    channels = [_shown(archive, each) for each in channels]
    text = f"{spec.width} × {spec.height} pixels, {spec.bits} bit, {listed(channels)}."
    done = flatten({**(info.sizing or {}), **(info.view or {})})
    said = [_shown(archive, f"{name} {value}") for name, value in done.items()]
    return f"{text} Settings of prepare: {', '.join(said[:MOST])}." if said else text


def metadata(archive: ArchiveSummary) -> str:
    """What it has of its sources beside pixels, where this package wrote it."""
    if not archive.archive.info.package_version:
        return ""
    rows = _real(archive)
    columns = sorted({name for row in rows for name in row.columns})
    text = (
        "Beside pixels the archive holds names of files and of groups, such as ids of patients, "
        "unless pseudonyms were asked for."
    )
    if columns:
        named = listed([_shown(archive, each) for each in columns], MOST)
        text += f" {'Its column is' if len(columns) == 1 else 'Its columns are'} {named}."
    for column, what in TEXT_CHECKS.items():
        marked = sum(bool(row.columns.get(column)) for row in rows)
        text += f" A check for {what} marked {several(marked, 'image')}." if marked else ""
    return text


def unlabelled(archive: ArchiveSummary) -> str:
    """Images without a class or a group."""
    if not archive.archive.info.classes:
        return ""
    rows = _real(archive)
    lacking = {"class": sum(row.label is None for row in rows), "group": len(without_group(rows))}
    said = [f"{count(n)} without a {what}" for what, n in lacking.items() if n]
    images = several(len(rows), "real image")
    return f"Of {images}, {' and '.join(said)}." if said else f"All {images} have a class."


def classes(archive: ArchiveSummary) -> str:
    """Names of the classes."""
    names = [_shown(archive, name) for name in archive.archive.info.classes]
    return f"Classes: {listed(names, MOST)}." if names else ""


def sizes(archive: ArchiveSummary) -> str:
    """How many real images and groups there are."""
    tree, real = archive.tree(), len(_real(archive))
    size = several(real, "image") if tree["ungrouped"] else sized(real, tree["groups"])
    return f"Included: {size}."


def partitions(archive: ArchiveSummary) -> str:
    """Splits with their sizes and classes, and how they were cut."""
    said = []
    for split, rows in _splits(archive).items():
        labels = count_labels(rows, archive.archive.info.classes)
        of = [f"{_shown(archive, name)} {count(n)}" for name, n in labels.items()]
        by_class = f" ({', '.join(of)})" if 0 < len(of) <= MOST else ""
        said.append(f"{split} {sized(len(rows), len({row.group for row in rows}))}{by_class}")
    return f"Partitions: {'; '.join(said)}.{_cut(archive)}" if said else ""


def _cut(archive: ArchiveSummary) -> str:
    """How a split came about."""
    record = archive.archive.info.split
    if record is None:
        return ""
    if record.official:
        return " They came with the images."
    asked = [(name, record.options.get(name)) for name in CUTTING]
    said = ", ".join(f"{name} {value}" for name, value in asked if value is not None)
    return f" Groups were assigned by synthograph split ({said})." if said else ""


def disjoint(archive: ArchiveSummary) -> str:
    """Whether groups lie in several splits."""
    if len(_splits(archive)) < 2:
        return ""
    tree, alone = archive.tree(), len(without_group(archive.archive.rows))
    if tree["ungrouped"]:
        return "By image: no groups were given, so one patient may be in two partitions."
    if tree["crossing"]:
        of = several(tree["groups"], "group")
        text = f"{count(tree['crossing'])} of {of} have images in two partitions."
    else:
        text = f"By group: none of {several(tree['groups'], 'group')} is in two partitions."
        text += f" {several(alone, 'image')} had no group." if alone else ""
    named = tree["cohort"].get("group")
    return f"{text} A group is: {named}." if named else text


def characteristics(archive: ArchiveSummary) -> str:
    """Columns that tell patients or devices apart, by split; not for everybody, since nobody chose
    them.
    """
    rows = [] if archive.for_everybody else _real(archive)
    columns = {name for row in rows for name in row.columns if name.casefold() in DESCRIBING}
    return "\n".join(filter(None, (_column(archive, name) for name in sorted(columns))))


def _column(archive: ArchiveSummary, column: str) -> str:
    if len({row.columns.get(column) for row in _real(archive)}) > MOST:
        return ""
    said = []
    for split, rows in (_splits(archive) or {"": _real(archive)}).items():
        levels = Counter(row.columns.get(column) or "(none)" for row in rows)
        of = ", ".join(f"{_shown(archive, name)} {count(n)}" for name, n in sorted(levels.items()))
        said.append(f"{split} {of}".strip())
    return f"Images by {column}: {'; '.join(said)}."


def identity(archive: ArchiveSummary) -> str:
    """What tells it from other archives."""
    return f"Archive {archive.archive.path.name}: manifest {archive.archive.manifest_hash}."


def data_limits(archive: ArchiveSummary) -> str:
    """What is known to make results on it wrong."""
    tree = archive.tree()
    found = [as_sentence(trap) for trap in tree["cohort"].get("traps", ())]
    if tree["ungrouped"]:
        found.append(
            "No groups were given: intervals are too narrow where a patient has several images."
        )
    return "\n".join(found)


# --- runs -----------------------------------------------------------------------------------------


def generator(run: Run) -> str:
    """The network, and its size by the log."""
    family = run.section("model").get("family")
    if not family:
        return ""
    log = next((line for line in run.said if line.startswith("parameters: ")), "")
    return f"Generator of images: family {family}." + (f' By its log: "{log}".' if log else "")


def trained_by(run: Run) -> str:
    """Version, device, precision."""
    if not run.info.package_version:
        return ""
    asked = {name: run.config.get(name) for name in ("device", "precision")}
    settings = "".join(f", {name} {value}" for name, value in asked.items() if value)
    text = f"Generator trained by synthograph {run.info.package_version}{settings}."
    known = told(run.info.environments)
    return f"{text} It was trained with {known}." if known else text


def first_weights(run: Run) -> str:
    """What the generator began with, where its snapshot could be read."""
    if run.started_from:
        return "Training of the generator began with the weights of another network."
    if run.info.images_seen is None:
        return ""
    seed = run.config.get("seed")
    drawn = "" if seed is None else f", seed {seed}"
    return f"Training of the generator began with random weights{drawn}."


def training(run: Run) -> str:
    """How the generator was trained."""
    said = list(_training(run))
    return f"Generator: {', '.join(said)}. All settings are in the file." if said else ""


def _training(run: Run) -> Iterator[str]:
    """The settings that every reader asks for."""
    if run.images:
        yield f"training set {sized(run.images, run.groups)}"
    if run.info.images_seen:
        yield f"{several(run.info.images_seen, 'image')} shown"
    if run.curves.seconds:
        yield duration(run.curves.seconds / 3600)
    if (batch := run.section("training").get("batch")) is not None:
        yield f"batches of {batch}"
    optimisers = run.section("model").get("optimisers")
    for name, each in (optimisers if isinstance(optimisers, dict) else {}).items():
        if isinstance(each, dict) and "lr" in each:
            yield f"learning rate {each['lr']} ({name})"
    if mode := run.section("augment").get("mode"):
        yield f"augmentation {mode}"


def choice(run: Run) -> str:
    """Which images chose among its snapshots."""
    chosen = [each for each in run.evaluations if each.chooses and each.entries]
    if not chosen:
        return ""
    real = chosen[-1].of_set("real", "name") or "held-out images"
    measured = several(len({each.kimg for each in chosen}), "snapshot")
    return (
        f"{measured} of the generator measured on {real} while it trained, first of all by "
        f"{_title(chosen[-1].entries[0])}. These images choose the best one and judge nothing."
    )


def alarms(run: Run) -> str:
    """How often training was in trouble."""
    found = len(run.curves.alarms)
    return f"Training of the generator raised {several(found, 'alarm')}." if found else ""


# --- numbers --------------------------------------------------------------------------------------


def _title(entry: Entry) -> str:
    name = entry.title or about(entry.name).title
    return f"{name}, {entry.extractor}" if entry.extractor else name


def measured_by(numbers: Numbers) -> str:
    """Version of the package that measured."""
    known = told(numbers.environments)
    if known:
        return f"Synthetic images measured with {known}."
    version = numbers.version
    return f"Synthetic images measured by synthograph {version}." if version else ""


def measures(numbers: Numbers) -> str:
    """Names of the measures, and whose features."""
    titles = dict.fromkeys(each.title or about(each.name).title for each in numbers.entries)
    features = dict.fromkeys(filter(None, (each.extractor for each in numbers.entries)))
    text = f"Of synthetic images: {listed(list(titles), MOST)}"
    return f"{text} (features of {listed(list(features))})." if features else f"{text}."


def floors(numbers: Numbers) -> str:
    """What the values are compared with."""
    if not any(entry.interval for entry in numbers.entries):
        return ""
    text = "Of synthetic images: 95 % intervals"
    if any(entry.floor for entry in numbers.entries):
        text += "; for comparison the same measures between halves of the real images, cut by group"
    return f"{text}."


def quality(numbers: Numbers) -> str:
    """Measures of all synthetic images against real ones."""
    whole = [e for e in numbers.entries if e.scope.whole and e.value is not None and e.n_real]
    by_features: dict[str | None, list[Entry]] = {}
    for each in whole:
        by_features.setdefault(each.extractor, []).append(each)
    return "\n".join(
        f"Synthetic images against real ones ({sized(own[0].n_real, own[0].groups_real)}, "
        f"{several(own[0].n_fake, 'synthetic image')}; "
        f"{_features(own[0])}): {'; '.join(map(_value, own[:MOST]))}."
        for own in by_features.values()
    )


def _features(entry: Entry) -> str:
    """What a measure rests on."""
    if not entry.extractor:
        return "pixels"
    weak = f", a network that was {weakness([entry.extractor])}"
    hint = weak if entry.indicative else ""
    return f"features of {entry.extractor}{hint}"


def _value(entry: Entry) -> str:
    said = with_ends(entry.value, entry.interval, partial(amount, entry.name))
    return f"{entry.title or about(entry.name).title} {said}"
