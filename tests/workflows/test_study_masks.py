"""A study that makes masks itself: per fold a generator and a mask generator, both of that fold's
training images alone.
"""

from pathlib import Path

import pytest

import synthograph as sg
from synthograph.annotation import mask_generator
from synthograph.archive.batches import open_rows
from synthograph.archive.reader import open_archive
from synthograph.core.errors import UserError
from synthograph.core.files import sha256_file
from synthograph.core.untrusted.tensors import read_tensors, write_tensors
from synthograph.models.snapshot_files import list_snapshots
from synthograph.workflows.study_masks import MASKS
from synthograph.workflows.study_settings import StudySettings
from tests.workflows.test_study_segment import discs

pytest.importorskip("monai", reason="monai is missing")

FILE = """
data: real.zip
task: segment
folds: 2
draws: 1
seeds: 1
ratios: [0.5]
conditions: [real, synthetic]
segmenter: {width: 4, steps: 2, every: 2, batch: 4, rate: 0.01, classes: [nothing, cell]}
generator:
  preset: tiny
  kimg: 0.064
  settings: [model.channel_max=16, model.z_dim=16, training.batch=16]
  masks: {num: 4, steps: 3, least: 2, preset: linear, keep: 0.9}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    discs(folder / "real.zip", 0)
    (folder / "own.yaml").write_text(FILE)
    sg.study(study=folder / "own.yaml", device="cpu")
    return folder


def test_both_generators_saw_training_images_of_the_fold_alone(home: Path) -> None:
    for fold in range(2):
        train = open_rows(f"{home}/own/folds/{fold}:train")
        place = home / f"own/generators/fold{fold}-draw0"
        info = mask_generator.load(place / MASKS).info
        assert 2 <= len(info.groups) <= 4 and {*info.groups} <= train.groups.keys()
        assert {*info.real_images} <= train.pixels.keys()
        made = open_archive(place / "synthetic-0.zip")
        assert len(made.rows) >= len(train.rows)
        (about,) = made.info.snapshots
        assert {*about["group_digests"]} == train.groups.keys()
        assert {*about["projected"]["group_digests"]} == {*info.groups}


def test_what_masks_learned_from_stands_beside_the_numbers(home: Path) -> None:
    about = sg.study(study=home / "own.yaml", device="cpu").study.about
    assert "masks are learned from projections" in about.generator
    notes = [note for note in about.notes if "real images that agree within" in note]
    assert len(notes) == 2 and "expected Dice cell" in notes[0]


def test_a_killed_study_does_not_learn_masks_anew(home: Path) -> None:
    place, result = home / "own/generators/fold0-draw0", home / "own/study.json"
    digest, then = sha256_file(place / MASKS), result.read_text()
    for path in (place / "made.json", result):
        path.unlink()
    sg.study(study=home / "own.yaml", device="cpu")
    assert sha256_file(place / MASKS) == digest and result.read_text() == then


def test_who_gave_masks_may_not_be_tested(home: Path) -> None:
    """A generator of fold 0, and masks of real images of fold 1: neither fold can use the set."""
    place = home / "own/generators/fold0-draw0"
    (run,) = (place / "runs").iterdir()
    network, other = list_snapshots(run)[-1], home / "other"
    asked = {"network": network, "steps": 20, "max_move": 16, "num": 4}
    archive = f"{home}/own/folds/1:train"
    sg.annotate_from_real(archive=archive, outdir=other, classes=["nothing", "cell"], **asked)
    masks = home / "other.safetensors"
    sg.annotate_train(other, network=network, out=masks, preset="linear")
    sg.annotate_generate(network=network, mask_generator=masks, num=12, out=home / "set.zip")
    text = FILE.split("generator:")[0] + "generator: {sets: [set.zip]}\n"
    (home / "others.yaml").write_text(text)
    with pytest.raises(UserError, match=r"projections of, .* test groups of fold 0"):
        sg.study(study=home / "others.yaml", device="cpu")
    assert not (home / "others").exists()


def test_segmenters_of_such_images_are_not_tested_on_who_gave_masks(home: Path) -> None:
    cell = home / "own/cells/synthetic-fold0-draw0-seed0/segmenter.safetensors"
    tensors, document = read_tensors(cell)
    nobody = {"group_digests": ["0"], "image_digests": []}
    document["snapshots"] = [{**document["snapshots"][0], **nobody}]
    write_tensors(home / "alone.safetensors", tensors, {**document, **nobody})
    with pytest.raises(UserError, match="were seen by a generator of the training images"):
        sg.segment_evaluate(model=home / "alone.safetensors", data=f"{home}/own/folds/0:train")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("preset: tiny\n", "sets: [a.zip]\n"), "generator.masks: sets have masks already"),
        (("segment\n", "classify\n"), "segmenter: is of task segment"),
        (("least: 2", "lest: 2"), "did you mean 'least'"),
        (
            (FILE, FILE.replace("real.zip", "7.zip").replace("nothing, cell", "no=0, cell=7")),
            "masks of synthetic images hold 0 to 1",
        ),
    ],
)
def test_refusals_come_before_any_work(home: Path, change: tuple[str, str], said: str) -> None:
    if "7.zip" in change[1]:
        discs(home / "7.zip", 3, value=7)
    text = FILE.replace(*change)
    (home / "wrong.yaml").write_text(text)
    with pytest.raises(UserError, match=said):
        sg.study(study=home / "wrong.yaml", device="cpu")
    assert not (home / "wrong").exists()


def test_masks_are_of_segmenters_alone() -> None:
    tree = {"data": "a.zip", "generator": {"masks": {"num": 3}}}
    with pytest.raises(UserError, match="generator.masks: task classify has none"):
        StudySettings.parse(tree)
