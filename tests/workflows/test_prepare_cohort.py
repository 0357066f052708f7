"""Every cohort through `prepare`, from an invented folder of its shape."""

import warnings
from pathlib import Path

import pytest

from synthograph.archive.reader import open_archive
from synthograph.core.errors import UserError
from synthograph.core.progress import Silent
from synthograph.core.spec import MASKS
from synthograph.report.gather import ArchiveSummary
from synthograph.sources.cohorts import cohort_names, load_cohort
from synthograph.workflows.prepare import PrepareResult, run
from synthograph.workflows.prepare_plan import PreparePlan
from synthograph.workflows.requests import PrepareRequest
from tests.sources.cohorts.examples import EXAMPLES, Example, picture


def prepared(source: Path, dest: Path, **given: object) -> PrepareResult | PreparePlan:
    asked = {"source": source, "dest": dest, "workers": 1, **given}
    result = run(PrepareRequest.parse(asked), progress=Silent())
    assert isinstance(result, PrepareResult | PreparePlan)
    return result


def test_every_cohort_has_an_example() -> None:
    assert sorted(EXAMPLES) == cohort_names()


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_cohort_becomes_an_archive(name: str, tmp_path: Path) -> None:
    example: Example = EXAMPLES[name]
    source = example.write(tmp_path / "source")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        result = prepared(source, tmp_path / "a.zip", cohort=name)
    archive = open_archive(tmp_path / "a.zip")
    classes = archive.info.classes
    said = {
        row.source.partition("#")[0]: (
            None
            if row.label is None
            else classes[row.label]
            if isinstance(row.label, int)
            else row.label,
            row.group if row.grouped else None,
            row.split,
        )
        for row in archive.rows
    }
    assert said == dict(example.images)
    first = next(row for row in archive.rows if row.source.startswith(next(iter(example.images))))
    assert {key: first.columns.get(key) for key in example.columns} == dict(example.columns)
    assert tuple(archive.info.invariances or ()) == example.invariant
    assert tuple(result.summary.crossing) == example.crossing
    assert len(archive.info.spec.modalities) == example.modalities
    assert sum(f"{MASKS}/{row.file}" in archive.files for row in archive.rows) == example.masks
    note = archive.info.cohort
    assert note is not None and note.name == name
    assert note.groups_in_several_splits == len(example.crossing)
    assert len(note.traps) == len(load_cohort(name).traps) >= 3
    assert f"cohort {name}" in "\n".join(result.lines())


def test_a_dry_run_says_the_same_and_writes_nothing(tmp_path: Path) -> None:
    source = EXAMPLES["kermany-oct"].write(tmp_path / "source")
    found = prepared(source, tmp_path / "a.zip", cohort="kermany-oct", dry_run=True)
    assert isinstance(found, PreparePlan)
    assert (found.images, found.groups, found.classes) == (
        4,
        3,
        {"CNV": 2, "DRUSEN": 1, "NORMAL": 1},
    )
    assert found.splits == {"train": 2, "val": 1, "test": 1} and found.crossing == ["1016042"]
    text = "\n".join(found.lines())
    assert "1 of 3 groups are in two splits" in text and "known trap" in text
    assert [path.name for path in tmp_path.iterdir()] == ["source"]


def test_a_dry_run_without_a_cohort(tmp_path: Path) -> None:
    source = EXAMPLES["mura"].write(tmp_path / "source")
    found = prepared(source, tmp_path / "a.zip", dry_run=True, folders="split/class/patient/*")
    assert isinstance(found, PreparePlan) and found.cohort is None and found.invariances is None
    assert found.groups == 2
    (source / "train" / "odd.png").write_bytes(picture("odd.png", 9))
    again = prepared(source, tmp_path / "a.zip", dry_run=True, folders="split/class/patient/*")
    assert isinstance(again, PreparePlan) and "rejected: 1" in "\n".join(again.lines())
    assert any("--allow-rejects" in line for line in again.lines())


def test_options_that_are_given_go_before_the_cohort(tmp_path: Path) -> None:
    source = EXAMPLES["brats"].write(tmp_path / "source")
    found = prepared(source, tmp_path / "a.zip", cohort="brats", invariant="none", dry_run=True)
    assert isinstance(found, PreparePlan) and found.invariances == []
    own = tmp_path / "own.csv"
    own.write_text(
        "image_name,patient_id,benign_malignant\nISIC_0000001,A,benign\nISIC_0000002,B,malignant\n"
    )
    source = EXAMPLES["isic2020"].write(tmp_path / "skin")
    found = prepared(source, tmp_path / "a.zip", cohort="isic2020", labels=own, dry_run=True)
    assert isinstance(found, PreparePlan) and found.groups == 2 and len(found.rejects) == 0


def test_an_ordinary_table_of_a_cohort_without_one(tmp_path: Path) -> None:
    source = EXAMPLES["tcga"].write(tmp_path / "source")
    table = tmp_path / "labels.csv"
    names = sorted(EXAMPLES["tcga"].images)
    table.write_text("slide,kind\n" + "".join(f"{name},k{n % 2}\n" for n, name in enumerate(names)))
    found = prepared(
        source,
        tmp_path / "a.zip",
        cohort="tcga",
        labels=table,
        column="file=slide,label=kind",
        dry_run=True,
    )
    assert isinstance(found, PreparePlan)
    assert (found.classes, found.groups) == ({"k0": 2, "k1": 1}, 2)


def test_what_a_cohort_cannot_be_asked(tmp_path: Path) -> None:
    source = EXAMPLES["mura"].write(tmp_path / "source")
    with pytest.raises(UserError, match="name it by --cohort"):
        prepared(source, tmp_path / "a.zip", keep="lateral")
    prepared(source, tmp_path / "a.zip", cohort="mura")
    with pytest.raises(UserError, match="leave --cohort out"):
        prepared(tmp_path / "a.zip", tmp_path / "b.zip", cohort="mura")
    kept = prepared(tmp_path / "a.zip", tmp_path / "b.zip", size=8, transform="stretch")
    assert isinstance(kept, PrepareResult) and open_archive(kept.archive).info.cohort is not None


def test_the_page_tells_the_traps(tmp_path: Path) -> None:
    source = EXAMPLES["kermany-oct"].write(tmp_path / "source")
    prepared(source, tmp_path / "a.zip", cohort="kermany-oct")
    archive = ArchiveSummary(open_archive(tmp_path / "a.zip"), given=True)
    for tree in (archive.tree(), archive.public().tree()):
        assert tree["crossing"] == 1
        assert "The official test split shares patients" in tree["cohort"]["traps"][0]
        assert "https://" in tree["cohort"]["traps"][0]
