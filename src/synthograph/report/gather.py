"""Run directories, archives and JSON files from whatever was named, their kind found by content."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, TypeVar

from synthograph.archive.advice import has_groups
from synthograph.archive.manifest import count_labels, crossing_groups
from synthograph.archive.reader import Archive, open_archive
from synthograph.core.errors import UserError
from synthograph.core.files import disk_errors, sha256_file
from synthograph.core.names import misspelt
from synthograph.core.outputs import folder_of_runs, is_run
from synthograph.core.untrusted.dataset_json import DATASET
from synthograph.report.numbers import Numbers, joined
from synthograph.report.problems import Problem, gathered
from synthograph.report.runs import Run, read_run
from synthograph.results import (
    Audit,
    Authenticity,
    ClassifierEvaluation,
    DomainGap,
    Evaluation,
    Projections,
    Search,
    SegmenterEvaluation,
    Sensitivity,
    Study,
    Truncation,
    load,
)
from synthograph.results.base import Document, Tree, public_form, public_name
from synthograph.results.evaluation import SensitivityLine
from synthograph.results.files import is_page
from synthograph.sources.cohorts import cohort_names, load_cohort

R = TypeVar("R", bound=Document)
SHOWN: Mapping[type[Document], str] = {
    Audit: "audit",
    Authenticity: "memorisation by recovery",
    DomainGap: "domain gap",
    Projections: "projections",
    Study: "study",
    Search: "search",
    ClassifierEvaluation: "scores of a classifier",
    SegmenterEvaluation: "scores of a segmenter",
    Truncation: "measures over truncation",
}
"""Results that a section of the page shows as they are, and what the list of its inputs calls
them. `document.py` has the sections."""
MAX_FILES = 500
"""JSON files of one folder."""
OF_RUNS = ("config.json", "initialised_from.json")
REAL, MIXTURE, SYNTHETIC = "real", "mixture", "synthetic"
"""What an archive is by its images."""
SHOWN_COLUMNS = ("truncation", "cutoff", "center", "noise", "precision")
CHANGES = {"mirror": "mirroring", "rotate": "turning", "colour": "recolouring"}
"""What may be done to an image without changing its meaning."""
KINDS = {
    REAL: "archive of real images",
    MIXTURE: "archive of real and synthetic images",
    SYNTHETIC: "archive of synthetic images",
}
"""What the list of inputs calls archives."""


@dataclass(frozen=True)
class ArchiveSummary:
    """What an archive says of itself, without its pixels.

    Attributes:
        given: whether it was named, not only found where a run's configuration says.
        for_everybody: whether names of classes and cells lose the folders of paths.
    """

    archive: Archive
    given: bool
    for_everybody: bool = False

    @property
    def synthetic(self) -> bool:
        """Whether there are synthetic images in it."""
        return self.kind != REAL

    @property
    def kind(self) -> str:
        """Whether its images are real, synthetic or both."""
        some = {row.real for row in self.archive.rows}
        return REAL if False not in some else MIXTURE if True in some else SYNTHETIC

    def public(self) -> "ArchiveSummary":
        """Without what is private."""
        return replace(self, for_everybody=True)

    def tree(self) -> Tree:
        """Plain data."""
        tree = self._tree()
        tree = public_form(tree) if self.for_everybody else tree
        return {**tree, "cohort": self._cohort()}

    def _tree(self) -> Tree:
        info, rows = self.archive.info, self.archive.rows
        splits = ("train", "val", "test", None)
        parts = {split: [row for row in rows if row.split == split] for split in splits}
        return {
            "name": self.archive.path.name,
            "kind": self.kind,
            "images": len(rows),
            "synthetic_images": sum(not row.real for row in rows),
            "groups": len({row.group for row in rows if row.real}),
            "ungrouped": not has_groups(rows),
            "crossing": len(crossing_groups(rows)),
            "classes": list(info.classes),
            "width": info.spec.width,
            "height": info.spec.height,
            "bits": info.spec.bits,
            "modalities": dict(info.spec.modalities),
            "invariances": None
            if info.invariances is None or info.unasked
            else [CHANGES.get(name, name) for name in info.invariances],
            "manifest_hash": self.archive.manifest_hash,
            "splits": [
                {
                    "split": split,
                    "images": len(members),
                    "groups": len({row.group for row in members if row.real}),
                    "classes": count_labels(members, info.classes),
                }
                for split, members in parts.items()
                if members
            ],
            "made": _made(self.archive) if self.synthetic else {},
        }

    def _cohort(self) -> Tree:
        """What is known of its public cohort; for everybody by the published record alone."""
        note = self.archive.info.cohort
        if note is None:
            return {}
        if not self.for_everybody:
            return note.tree()
        if note.name not in cohort_names():
            return dict(public_form(note.tree()))
        record = load_cohort(note.name)
        return {
            "name": record.name,
            "title": record.title,
            "group": record.unit,
            "official_split": record.official_split,
            "groups_in_several_splits": note.groups_in_several_splits,
            "traps": [str(trap) for trap in record.traps],
        }


def _made(archive: Archive) -> Tree:
    """How synthetic images came about, by what the manifest says."""
    found: Tree = {}
    for column in SHOWN_COLUMNS:
        cells = Counter(row.columns.get(column, "") for row in archive.rows)
        common = ((public_name(cell)[:200], number) for cell, number in cells.most_common(8))
        found[column] = {cell: number for cell, number in common if cell}
    seeds = {row.columns.get("seed", "") for row in archive.rows} - {""}
    numbers = sorted(int(seed) for seed in seeds if seed.isdecimal() and len(seed) < 19)
    found["seeds"] = [numbers[0], numbers[-1]] if numbers else []
    found["networks"] = len(archive.info.snapshots)
    return found


@dataclass(frozen=True)
class Read(Generic[R]):
    """What a file of results holds."""

    source: Path
    content: R

    def public(self) -> "Read[R]":
        """Without what is private."""
        return Read(Path(self.source.name), self.content.public())


@dataclass
class Inputs:
    """All that the page is made of.

    Attributes:
        numbers: one entry for the same images, with what runs hold of them; all other numbers of
            runs stay with the runs.
        results: files of a kind of `SHOWN`.
        files: what was read: path, kind, sha256.
    """

    runs: list[Run] = field(default_factory=list)
    archives: list[ArchiveSummary] = field(default_factory=list)
    numbers: list[Numbers] = field(default_factory=list)
    results: list[Read[Document]] = field(default_factory=list)
    sensitivities: list[Sensitivity] = field(default_factory=list)
    files: list[Mapping[str, str]] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)

    def of(self, kind: type[R]) -> list[Read[R]]:
        """Results of this kind."""
        return [Read(r.source, r.content) for r in self.results if isinstance(r.content, kind)]

    def only(self, kind: type[Document]) -> bool:
        """Whether there is nothing but results of this kind."""
        others = (self.runs, self.archives, self.numbers, self.sensitivities)
        return bool(self.results) and len(self.of(kind)) == len(self.results) and not any(others)

    def public(self) -> "Inputs":
        """Without what is private."""
        return Inputs(
            runs=[each.public() for each in self.runs],
            archives=[each.public() for each in self.archives],
            numbers=[each.public() for each in self.numbers],
            results=[each.public() for each in self.results],
            sensitivities=[each.public() for each in self.sensitivities],
            files=[{**each, "path": Path(each["path"]).name} for each in self.files],
            problems=[each.public() for each in self.problems],
        )


def gather(paths: Sequence[Path]) -> Inputs:
    """Everything that the named paths hold.

    Args:
        paths: run directories, archives, JSON files, or folders of JSON files.

    Raises:
        UserError: a path is missing, holds nothing that belongs on the page, or a named file
            cannot be read.
    """
    inputs = Inputs()
    for path in dict.fromkeys(paths):
        with disk_errors(path):
            if not path.exists():
                raise UserError(
                    f"{path}: there is no such file or folder; give run directories, archives, or "
                    f"what evaluate, audit and domain-gap wrote{misspelt(path)}"
                )
            if path.is_dir():
                _folder(path, inputs)
            elif path.suffix.lower() == ".json":
                _add(path, load(path), inputs)
            else:
                _archive(path, inputs)
    for run in inputs.runs:
        _data_of(run, inputs)
    named = {each.key for each in inputs.numbers}
    measured = [each for run in inputs.runs for each in run.evaluations if each.key in named]
    inputs.numbers = joined([*measured, *inputs.numbers])  # the last one named comes last
    return inputs


def _folder(path: Path, inputs: Inputs) -> None:
    files = sorted(
        each
        for each in path.iterdir()
        # beside latents lies the record of one projection, which the results of all hold, too
        if each.suffix.lower() == ".json" and not each.with_suffix(".npz").exists()
    )
    if is_run(path):
        inputs.runs.append(read_run(path))
        inputs.sensitivities += inputs.runs[-1].sensitivities
        _remember(path / "config.json", "configuration of a run", inputs)
        files = [each for each in files if each.name not in OF_RUNS]
    elif (path / DATASET).exists():
        _archive(path, inputs)
        return
    elif not files:
        what = folder_of_runs(path) or (
            "is neither a run directory nor an archive and holds no JSON file; give what evaluate, "
            "audit or domain-gap wrote"
        )
        raise UserError(f"{path}: {what}")
    if len(files) > MAX_FILES:
        raise UserError(f"{path}: {len(files)} JSON files, at most {MAX_FILES} are read")
    before = len(inputs.files)
    for file in files:
        if not is_page(file):  # written here by an earlier report
            with gathered(inputs.problems, file):
                _add(file, load(file), inputs)
    if len(inputs.files) == before and not is_run(path):
        raise UserError(f"{path}: none of its JSON files belongs on the page")


def _add(path: Path, found: Document, inputs: Inputs) -> None:
    """Take over what a JSON file holds."""
    if (kind := SHOWN.get(type(found))) is not None:
        inputs.results.append(Read(path, found))
    elif isinstance(found, Evaluation):
        tables = [line for line in found.results if isinstance(line, SensitivityLine)]
        lines = tuple(line for line in found.results if not isinstance(line, SensitivityLine))
        inputs.sensitivities += [line.sensitivity for line in tables]
        numbers = Numbers((str(path),), lines, found.skipped)
        inputs.numbers += [numbers] if numbers else []
        kind = "evaluation"
    elif isinstance(found, Sensitivity):
        inputs.sensitivities.append(found)
        kind = "sensitivity of measures"
    else:
        raise UserError(
            f"{path}: does not belong on this page; give what evaluate --out, audit, authenticity, "
            "domain-gap, study, classify evaluate or segment evaluate wrote"
        )
    _remember(path, kind, inputs)


def _archive(path: Path, inputs: Inputs) -> None:
    found = ArchiveSummary(open_archive(path), given=True)
    inputs.archives.append(found)
    kind = KINDS[found.kind]
    if path.is_file():
        _remember(path, kind, inputs)


def _remember(path: Path, kind: str, inputs: Inputs) -> None:
    inputs.files.append({"path": str(path), "kind": kind, "sha256": sha256_file(path)})


def _data_of(run: Run, inputs: Inputs) -> None:
    """The archive that a run was trained on, where it is still in its place."""
    named = run.section("data").get("path")
    if not isinstance(named, str) or "\0" in named:
        return
    path, before = Path(named), [each.archive for each in inputs.archives]
    try:
        if not path.exists() or path.resolve() in {each.path.resolve() for each in before}:
            return
        archive = open_archive(path)
        if _content(archive) not in map(_content, before):
            inputs.archives.append(ArchiveSummary(archive, given=False))
    except (UserError, OSError) as error:
        inputs.problems.append(Problem(f"training images: {error}", path))


def _content(archive: Archive) -> tuple[str, str]:
    """What tells archives apart: two sites may call their files alike, and one file may be moved.
    Images are not read for it.
    """
    return archive.info.namespace, archive.manifest_hash
