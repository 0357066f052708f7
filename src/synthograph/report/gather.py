"""Run directories, archives and JSON files from whatever was named, their kind found by content."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from synthograph.archive.manifest import count_labels
from synthograph.archive.reader import Archive, open_archive
from synthograph.core.errors import UserError
from synthograph.core.files import disk_errors, sha256_file
from synthograph.core.outputs import is_run
from synthograph.core.untrusted.dataset_json import DATASET
from synthograph.report.evaluations import Evaluation, is_evaluation, read_evaluation
from synthograph.report.fields import read_fields
from synthograph.report.findings import (
    AUDIT,
    DOMAIN_GAP,
    Audit,
    Gap,
    Sensitivity,
    is_sensitivity,
    kind_of,
    read_audit,
    read_gap,
    read_sensitivity,
    sensitivity_lines,
)
from synthograph.report.runs import Run, read_run

REPORT = "report"
"""Kind of the JSON beside a page."""
MOST_FILES = 500
"""JSON files of one folder."""
OF_RUNS = ("config.json", "initialised_from.json")
SHOWN_COLUMNS = ("truncation", "cutoff", "center", "noise", "precision")
CHANGES = {"mirror": "mirroring", "rotate": "turning", "colour": "recolouring"}
"""What may be done to an image without changing its meaning."""


@dataclass(frozen=True)
class Set:
    """What an archive says of itself, without its pixels.

    Attributes:
        archive: the open archive.
        given: whether it was named, not only found where a run's configuration says.
    """

    archive: Archive
    given: bool

    @property
    def synthetic(self) -> bool:
        """Whether there are generated images in it."""
        return any(row.origin == "synthetic" for row in self.archive.rows)

    def json(self) -> dict[str, Any]:
        """Plain data."""
        info, rows = self.archive.info, self.archive.rows
        parts = []
        for split in ("train", "val", "test", None):
            members = [row for row in rows if row.split == split]
            if members:
                groups = len({row.group for row in members})
                labels = count_labels(members, info.classes)
                parts.append(
                    {"split": split, "images": len(members), "groups": groups, "classes": labels}
                )
        return {
            "name": self.archive.path.name,
            "kind": "synthetic" if self.synthetic else "real",
            "images": len(rows),
            "groups": len({row.group for row in rows if row.origin == "real"}),
            "ungrouped": all(row.group == row.file for row in rows),
            "classes": list(info.classes),
            "width": info.spec.width,
            "height": info.spec.height,
            "bits": info.spec.bits,
            "modalities": dict(info.spec.modalities),
            "invariances": [CHANGES.get(name, name) for name in info.invariances],
            "manifest_hash": self.archive.manifest_hash,
            "splits": parts,
            "made": _made(self.archive) if self.synthetic else {},
        }


def _made(archive: Archive) -> dict[str, Any]:
    """How generated images came about, by what the manifest says."""
    found: dict[str, Any] = {}
    for column in SHOWN_COLUMNS:
        cells = Counter(row.columns.get(column, "") for row in archive.rows)
        found[column] = {value[:200]: number for value, number in cells.most_common(8) if value}
    seeds = {row.columns.get("seed", "") for row in archive.rows} - {""}
    numbers = sorted(int(seed) for seed in seeds if seed.isdecimal() and len(seed) < 19)
    found["seeds"] = [numbers[0], numbers[-1]] if numbers else []
    found["networks"] = len(archive.info.snapshots)
    return found


@dataclass
class Material:
    """All that was found.

    Attributes:
        runs: run directories.
        sets: archives.
        evaluations: numbers, one entry for the same images; those of runs' `metrics.jsonl` stay
            with the runs.
        audits: searches for copies.
        gaps: domain gaps.
        sensitivities: tables of sensitivities.
        files: what was read: path, kind, sha256.
        problems: what could not be read, in words.
    """

    runs: list[Run] = field(default_factory=list)
    sets: list[Set] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)
    audits: list[Audit] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    sensitivities: list[Sensitivity] = field(default_factory=list)
    files: list[Mapping[str, str]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def gather(paths: Sequence[Path]) -> Material:
    """Everything that the named paths hold.

    Args:
        paths: run directories, archives, JSON files, or folders of JSON files.

    Raises:
        UserError: a path is missing, holds nothing that belongs on the page, or a named file
            cannot be read.
    """
    material = Material()
    for path in dict.fromkeys(paths):
        with disk_errors(path):
            if not path.exists():
                raise UserError(
                    f"{path}: there is no such file or folder; give run directories, archives, or "
                    "what evaluate, audit and domain-gap wrote"
                )
            if path.is_dir():
                _folder(path, material)
            elif path.suffix.lower() == ".json":
                _json(path, material)
            else:
                _archive(path, material)
    for run in material.runs:
        _data_of(run, material)
    material.evaluations = _joined(material.evaluations)
    return material


def _folder(path: Path, material: Material) -> None:
    files = sorted(each for each in path.iterdir() if each.suffix.lower() == ".json")
    if is_run(path):
        material.runs.append(read_run(path))
        material.sensitivities += material.runs[-1].sensitivities
        _remember(path / "config.json", "configuration of a run", material)
        files = [each for each in files if each.name not in OF_RUNS]
    elif (path / DATASET).exists():
        _archive(path, material)
        return
    elif not files:
        raise UserError(
            f"{path}: is neither a run directory nor an archive and holds no JSON file; give what "
            "evaluate, audit or domain-gap wrote"
        )
    if len(files) > MOST_FILES:
        raise UserError(f"{path}: {len(files)} JSON files, at most {MOST_FILES} are read")
    before = len(material.files)
    for file in files:
        try:
            if _kind(file) != REPORT:  # written here by an earlier report
                _json(file, material)
        except UserError as error:
            material.problems.append(str(error))
    if len(material.files) == before and not is_run(path):
        raise UserError(f"{path}: none of its JSON files belongs on the page")


def _kind(path: Path) -> str:
    return kind_of(read_fields(path))


def _json(path: Path, material: Material) -> None:
    fields, source = read_fields(path), str(path)
    kind = kind_of(fields)
    if kind == AUDIT:
        material.audits.append(read_audit(fields, source))
    elif kind == DOMAIN_GAP:
        material.gaps.append(read_gap(fields, source))
        kind = "domain gap"
    elif is_evaluation(fields):
        material.evaluations.append(read_evaluation(fields, source))
        material.sensitivities += sensitivity_lines(fields.each("results"), source)
        kind = "evaluation"
    elif is_sensitivity(fields):
        material.sensitivities.append(read_sensitivity(fields, source))
        kind = "sensitivity of measures"
    else:
        raise UserError(
            f"{path}: is none of the files of this page: evaluate --out, audit.json, "
            "domain-gap.json, or a table of sensitivities"
        )
    _remember(path, kind, material)


def _archive(path: Path, material: Material) -> None:
    found = Set(open_archive(path), given=True)
    material.sets.append(found)
    kind = "archive of synthetic images" if found.synthetic else "archive of real images"
    if path.is_file():
        _remember(path, kind, material)


def _remember(path: Path, kind: str, material: Material) -> None:
    material.files.append({"path": str(path), "kind": kind, "sha256": sha256_file(path)})


def _data_of(run: Run, material: Material) -> None:
    """The archive that a run was trained on, where it is still in its place."""
    data = run.config.get("data")
    named = data.get("path") if isinstance(data, dict) else None
    if not isinstance(named, str) or "\0" in named:
        return
    path = Path(named)
    if path.name in {each.archive.path.name for each in material.sets}:
        return
    try:
        if path.exists():
            material.sets.append(Set(open_archive(path), given=False))
    except (UserError, OSError) as error:
        material.problems.append(f"training images: {error}")


def _joined(evaluations: Iterable[Evaluation]) -> list[Evaluation]:
    """One entry for numbers of the same images."""
    found: dict[tuple[str, ...], Evaluation] = {}
    for each in evaluations:
        before = found.pop(each.key, None)  # the last one named comes last
        found[each.key] = each if before is None else before.joined(each)
    return list(found.values())
