"""A study of segmenters: real masks, and synthetic images with masks from sets."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import synthograph as sg
from synthograph.archive.batches import ArchiveRows
from synthograph.archive.copies import NO_REPEATS
from synthograph.archive.ledger import looks
from synthograph.archive.manifest import Row
from synthograph.archive.reader import ArchiveInfo, open_archive
from synthograph.archive.writer import ArchiveWriter, encode
from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.results.study import Study
from synthograph.workflows.study_folds import make_folds
from synthograph.workflows.study_settings import StudySettings

pytest.importorskip("monai", reason="monai is missing")

SIDE = 16
FILE = """
data: real.zip
task: segment
folds: 2
draws: 1
seeds: 1
ratios: [0.5]
external: [other.zip]
conditions: [real, mixed, shuffled]
primary: {measure: "dice:cell"}
segmenter: {width: 4, steps: 4, every: 4, batch: 4, rate: 0.01, classes: [nothing, cell]}
generator: {sets: [made0.zip, made1.zip]}
"""


def discs(
    path: Path,
    seed: int,
    *,
    origin: str = "real",
    masks: bool = True,
    value: int = 1,
    seen: ArchiveRows | None = None,
    unpainted: int = 0,
) -> Path:
    """Twenty bright discs on noise without classes, one image a patient; masks of the first ones
    are empty.
    """
    rng = np.random.default_rng(seed)
    writer = ArchiveWriter(path, {"test": seed})
    y, x = np.mgrid[:SIDE, :SIDE]
    for number in range(20):
        centre = rng.uniform(5, 11, 2)
        disc = np.hypot(y - centre[0], x - centre[1]) < 4
        ground = np.kron(rng.integers(0, 150, (4, 4)), np.ones((4, 4)))  # no two look alike
        pixels = np.where(disc, 230, ground)[..., None] + rng.integers(0, 20, (SIDE, SIDE, 1))
        painted = disc & (number >= unpainted)
        mask = (painted * value).astype(np.uint8) if masks else None
        row = Row("", None, f"{path.stem}{number}", origin=origin)
        writer.add([encode({"image": pixels.astype(np.uint8)}, mask, row)])
    record = [] if seen is None else [{"group_digests": [*seen.groups], "image_digests": []}]
    spec = ImageSpec(height=SIDE, width=SIDE, modalities={"image": 1})
    writer.finish(ArchiveInfo(spec=spec, namespace=path.stem, snapshots=record))
    return path


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    archive = open_archive(discs(folder / "real.zip", 0))
    discs(folder / "other.zip", 1)
    settings = StudySettings.parse({"data": "real.zip", "folds": 2})
    for fold in make_folds(archive, settings, NO_REPEATS):
        name, seen = f"made{fold.number}.zip", fold.part("train")
        discs(folder / name, 10 + fold.number, origin="synthetic", seen=seen)
    (folder / "mine.yaml").write_text(FILE)
    return folder


@pytest.fixture(scope="module")
def finished(home: Path) -> Study:
    return sg.study(study=home / "mine.yaml", device="cpu").study


def test_arms_are_compared_by_the_score_of_masks(home: Path, finished: Study) -> None:
    assert (finished.about.task, finished.about.classes) == ("segment", ("nothing", "cell"))
    assert finished.measure == "dice:cell"
    assert [arm.name for arm in finished.internal.arms] == ["real", "mixed"]
    assert all(0 <= arm.value <= 1 for arm in finished.internal.arms)
    assert finished.internal.images == 20
    assert [part.name for part in finished.external] == ["other.zip"]
    assert any("shuffled is left out" in note for note in finished.about.notes)
    assert len(looks(home / "real.zip")) == len(looks(home / "other.zip")) == 1


def test_predictions_are_those_of_the_ordinary_command(home: Path, finished: Study) -> None:
    cell = home / "mine/cells/mixed-0.5-fold0-draw0-seed0"
    rows = open_archive(cell / "mixture").rows
    assert sum(not row.real for row in rows) > 0
    found = sg.segment_evaluate(
        model=cell / "segmenter.safetensors", data=f"{home}/mine/folds/0:test"
    ).evaluation
    with (home / "mine/predictions/mixed-draw0.csv").open() as file:
        table = [row for row in csv.DictReader(file) if row["fold"] == "0"]
    assert list(table[0])[4:] == ["class", "true_pixels", "predicted_pixels", "hits", "dice"]
    mean = np.mean([float(row["dice"]) for row in table])
    assert mean == pytest.approx(found.score("dice", "cell").value, abs=1e-5)
    record = json.loads((cell / "trained.json").read_text())
    assert list(record["validation"]) == ["dice:cell"]
    assert record["commands"][1].startswith("synthograph segment train ")


def test_a_plan_measures_a_training(home: Path) -> None:
    said = str(sg.study(study=home / "mine.yaml", outdir=home / "new", plan=True, device="cpu"))
    # 20 patients, 2.093 + 0.842 standard errors of a third of what shares vary by
    assert "power of 80 %: 0.0781 of dice:cell" in said, said
    assert "near a value of 0.85 and a standard deviation of 0.119 between groups" in said, said
    assert "trainings" in said and "unknown" in said


def test_a_plan_with_external_images_alone_does_not_read_other_masks(home: Path) -> None:
    """Files of all archives are called alike; few images of this one have the class."""
    discs(home / "few.zip", 5, unpainted=14)
    text = FILE.replace("real.zip", "few.zip").replace("folds: 2", "folds: external")
    (home / "outside.yaml").write_text(text.split("generator")[0].replace("mixed, shuffled", ""))
    said = str(sg.study(study=home / "outside.yaml", plan=True, device="cpu"))
    assert "dice:cell: about ±0.0557" in said, said


def test_real_images_alone_are_studied(home: Path) -> None:
    text = FILE.replace("[real, mixed, shuffled]", "[real]").replace("external: [other.zip]\n", "")
    text = text.replace("generator: {sets: [made0.zip, made1.zip]}", "spread: 0.1")
    (home / "alone.yaml").write_text(text)
    said = str(sg.study(study=home / "alone.yaml", plan=True, device="cpu"))
    assert "95 % interval of dice:cell: about ±0.0468" in said, said
    found = sg.study(study=home / "alone.yaml", device="cpu").study
    assert [arm.name for arm in found.internal.arms] == ["real"] and not found.primary
    assert found.internal.arms[0].interval is not None
    assert "each tested by a segmenter that never saw it" in found.may, found.may
    assert "classifier" not in f"{found.may} {found.may_not}", found.may_not
    assert not (home / "alone/generators").exists()
    assert "Studies of real images alone" in (home / "alone/report.html").read_text()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("made0.zip", "bare.zip"), "bare.zip: none of its 20 images has a mask"),
        (("made0.zip", "strange.zip"), "known mask values are 0, 1"),
        (("external: [other.zip]", "external: [blank.zip]"), "blank.zip.*has a mask"),
        (("made0.zip, made1", "made1"), "0 of 1 generators.*then one is trained per fold"),
        (("dice:cell", "dice:nucleus"), "measure 'dice:nucleus'.*dice:cell"),
        (("dice:cell", "auroc"), "primary.measure of task segment: 'auroc'"),
        (
            ("segmenter:", "classifier: {probe: true}\nsegmenter:"),
            "classifier: is of task classify",
        ),
        (("width: 4", "widht: 4"), "did you mean 'width'"),
        (("0.5]", "9]"), "images of class '\\(none\\)' are needed for fold 0, it has 20"),
    ],
)
def test_refusals_come_before_any_work(home: Path, change: tuple[str, str], said: str) -> None:
    for name, more in (
        ("bare", {"masks": False, "origin": "synthetic"}),
        ("strange", {"value": 7, "origin": "synthetic"}),
        ("blank", {"masks": False}),
    ):
        if name in change[1]:
            discs(home / f"{name}.zip", 30, **more)
    (home / "wrong.yaml").write_text(FILE.replace(*change))
    with pytest.raises(UserError, match=said):
        sg.study(study=home / "wrong.yaml", device="cpu")
    assert not (home / "wrong").exists()


def test_a_fold_that_lacks_a_class_is_refused(home: Path) -> None:
    """Of two mask values one is in a single image."""
    path = home / "rare.zip"
    writer = ArchiveWriter(path, {"test": 5})
    for number in range(12):
        pixels = np.random.default_rng(number).integers(0, 255, (SIDE, SIDE, 1)).astype(np.uint8)
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[:4] = 1
        mask[8:] = 2 * (number == 0)
        writer.add([encode({"image": pixels}, mask, Row("", None, f"r{number}"))])
    spec = ImageSpec(height=SIDE, width=SIDE, modalities={"image": 1})
    writer.finish(ArchiveInfo(spec=spec, namespace="rare"))
    text = FILE.replace("[nothing, cell]", "[a, cell, rare]").replace(" real.zip", " rare.zip")
    (home / "wrong.yaml").write_text(text)
    with pytest.raises(UserError, match="has no mask with class 'rare'"):
        sg.study(study=home / "wrong.yaml", device="cpu")
