"""A study from its file to what may be claimed: resumed, shared, frozen."""

import csv
import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch

import synthograph as sg
from synthograph.archive.batches import ArchiveRows
from synthograph.archive.copies import NO_REPEATS
from synthograph.archive.ledger import looks
from synthograph.archive.manifest import Row
from synthograph.archive.reader import Archive, ArchiveInfo, open_archive
from synthograph.archive.split import SplitOptions, split_archive
from synthograph.archive.writer import ArchiveWriter, encode
from synthograph.core.children import environment, python_command
from synthograph.core.commands import LINE
from synthograph.core.errors import UserError
from synthograph.core.progress import Silent
from synthograph.core.spec import ImageSpec
from synthograph.downstream.networks import backbone
from synthograph.results.study import Study
from synthograph.workflows import study, study_checks
from synthograph.workflows.downstream_requests import StudyRequest
from synthograph.workflows.study_folder import StudyFolder
from synthograph.workflows.study_folds import make_folds
from synthograph.workflows.study_inputs import open_inputs
from synthograph.workflows.study_settings import StudySettings, read_study
from tests.conftest import Heard, make_archive

FILE = """
data: real.zip
folds: 2
draws: 1
ratios: [0.5, 1]
external: [other.zip]
conditions: [real, duplicates, mixed, shuffled, augmentation]
classifier: {backbone: random-vgg16}
generator: {sets: [made0.zip, made1.zip]}
"""


def made(path: Path, archive: Archive, fold: int, seed: int) -> None:
    """A set whose generator saw the training images of one fold, as its record says."""
    settings = StudySettings.parse({"data": "real.zip", "folds": 2, "draws": 1})
    seen: ArchiveRows = make_folds(archive, settings, NO_REPEATS)[fold].part("train")
    rng = np.random.default_rng(seed)
    writer = ArchiveWriter(path, {"synthetic": seed})
    for number in range(48):
        low = 128 * (number % 2)
        pixels = rng.integers(low, low + 128, (16, 16, 3)).astype(np.uint8)
        label = ("dark", "bright")[number % 2]
        writer.add([encode({"image": pixels}, None, Row("", label, "g", origin="synthetic"))])
    record = {"group_digests": [*seen.groups], "image_digests": [*seen.pixels]}
    spec = ImageSpec(height=16, width=16, modalities={"image": 3})
    info = ArchiveInfo(classes=["dark", "bright"], spec=spec, namespace="s", snapshots=[record])
    writer.finish(info)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with everything that the study file names."""
    folder = tmp_path_factory.mktemp("study")
    archive = open_archive(make_archive(folder / "real.zip", count=60))
    make_archive(folder / "other.zip", count=40, seed=5, namespace="other")
    for fold in range(2):
        made(folder / f"made{fold}.zip", archive, fold, 100 + fold)
    (folder / "mine.yaml").write_text(FILE)
    return folder


@pytest.fixture(scope="module")
def finished(home: Path) -> Study:
    return sg.study(study=home / "mine.yaml", device="cpu").study


def test_all_arms_predict_all_images(home: Path, finished: Study) -> None:
    names = [arm.name for arm in finished.internal.arms]
    assert names == ["real", "duplicates", "mixed", "shuffled"]
    assert finished.internal.images == 60
    assert [part.name for part in finished.external] == ["other.zip"]
    assert any("augmentation is left out" in note for note in finished.about.notes)
    with (home / "mine/predictions/mixed-draw0.csv").open() as file:
        table = list(csv.DictReader(file))
    assert list(table[0]) == ["file", "group", "split", "fold", "label", "p.dark", "p.bright"]
    assert {row["file"] for row in table} == {r.file for r in open_archive(home / "real.zip").rows}


def test_one_ratio_goes_to_the_test(home: Path, finished: Study) -> None:
    choices = json.loads((home / "mine/frozen/choices.json").read_text())
    assert len(choices["ratios"]) == 2
    tested = [path.parent.name for path in (home / "mine/cells").glob("mixed-*/tested.json")]
    assert len(tested) == 2
    assert set(tested) < set(choices["classifiers"])


def test_cells_are_opened_by_the_ordinary_commands(home: Path, finished: Study) -> None:
    cell = next((home / "mine/cells").glob("mixed-*/tested.json")).parent
    fold = cell.name.partition("-fold")[2][0]
    found = sg.classify_evaluate(
        model=cell / "classifier.safetensors", data=f"{home}/mine/folds/{fold}:test"
    )
    assert found.evaluation.images == 30
    rows = open_archive(cell / "mixture").rows
    assert any(not row.real for row in rows)
    commands = json.loads((cell / "trained.json").read_text())["commands"]
    assert commands[0].startswith("synthograph mix ")
    assert commands[1].startswith("synthograph classify train ")


def test_classifiers_of_a_fold_have_one_seed_in_all_arms_and_another_in_each_fold(
    home: Path, finished: Study
) -> None:
    """What a seed does by chance is no difference between arms, and not the same in every fold."""
    seeds: dict[str, set[int]] = {"0": set(), "1": set()}
    for record in (home / "mine/cells").glob("*/trained.json"):
        command = shlex.split(json.loads(record.read_text())["commands"][-1])
        seed = int(command[command.index("--seed") + 1]) if "--seed" in command else 0
        seeds[record.parent.name.partition("-fold")[2][0]].add(seed)
    assert all(len(each) == 1 for each in seeds.values())
    assert seeds["0"] != seeds["1"]


def test_who_looked_is_written_down_once(home: Path, finished: Study) -> None:
    sg.study(study=home / "mine.yaml", device="cpu")
    (look,) = looks(home / "real.zip")
    assert look.what == f"study mine {finished.about.plan_sha256[:12]}"
    assert len(looks(home / "other.zip")) == 1


def test_a_study_does_not_change_on_its_way(home: Path, finished: Study, tmp_path: Path) -> None:
    other = home / "changed.yaml"
    other.write_text(FILE.replace("[0.5, 1]", "[0.5, 2]") + "name: mine\n")
    with pytest.raises(UserError, match="ratios was.*test images were looked at"):
        sg.study(study=other, outdir=home / "mine", device="cpu")


def test_a_classifier_that_changed_after_the_choice_is_refused(
    home: Path, finished: Study, tmp_path: Path
) -> None:
    cell = next((home / "mine/cells").glob("shuffled-*/tested.json")).parent
    record, model = cell / "tested.json", cell / "classifier.safetensors"
    kept = record.read_bytes(), model.read_bytes()
    record.unlink()
    model.write_bytes(kept[1] + b" ")
    try:
        with pytest.raises(UserError, match="is not the classifier that was frozen"):
            sg.study(study=home / "mine.yaml", device="cpu")
    finally:
        record.write_bytes(kept[0])
        model.write_bytes(kept[1])


@pytest.mark.parametrize("kind", ["trained.json", "tested.json"])
def test_an_emptied_record_names_its_way_out(
    home: Path, finished: Study, tmp_path: Path, kind: str
) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(home / "mine", folder)
    record = next((folder / "cells").glob("mixed-*/tested.json")).with_name(kind)
    record.write_text("")
    (folder / "study.json").unlink()
    with pytest.raises(UserError, match=f"{kind}.*not valid JSON.*: remove this file and run"):
        sg.study(study=home / "mine.yaml", outdir=folder, device="cpu")
    record.unlink()
    again = sg.study(study=home / "mine.yaml", outdir=folder, device="cpu").study
    assert again.internal == finished.internal


@pytest.mark.parametrize("change", ["order", "fewer"])
def test_a_table_of_predictions_that_changed_is_refused_and_made_again(
    home: Path, finished: Study, tmp_path: Path, change: str
) -> None:
    folder = tmp_path / "mine"
    shutil.copytree(home / "mine", folder)
    (folder / "study.json").unlink()
    table = next((folder / "cells").glob("mixed-*/tested.json")).with_name("test.csv")
    head, *rows = table.read_text().splitlines(keepends=True)
    table.write_text("".join([head, *(rows[::-1] if change == "order" else rows[1:])]))
    with pytest.raises(UserError, match="test.csv: was changed.*remove tested.json"):
        sg.study(study=home / "mine.yaml", outdir=folder, device="cpu")
    table.with_name("tested.json").unlink()
    again = sg.study(study=home / "mine.yaml", outdir=folder, device="cpu").study
    assert again.internal == finished.internal


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("[0.5, 1]", "[0.5, 9]"), "images of class 'dark' are needed for fold 0, it has 24"),
        (("sets: [made0.zip, made1.zip]", "sets: [other.zip, made1.zip]"), "is real"),
    ],
)
def test_sets_that_cannot_be_mixed_are_refused_before_any_work(
    home: Path, change: tuple[str, str], message: str
) -> None:
    (home / "unfit.yaml").write_text(FILE.replace(*change))
    with pytest.raises(UserError, match=message):
        sg.study(study=home / "unfit.yaml", device="cpu")
    assert not (home / "unfit").exists()


def test_a_plan_says_what_it_would_cost(home: Path, tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(FILE.replace(" real.zip", f" {home}/real.zip"))
    text = (tmp_path / "p.yaml").read_text()
    for name in ("other", "made0", "made1"):
        text = text.replace(f"{name}.zip", f"{home}/{name}.zip")
    (tmp_path / "p.yaml").write_text(text)
    said = str(sg.study(study=tmp_path / "p.yaml", plan=True, device="cpu"))
    assert "smallest difference that is seen with a power of 80 %" in said
    assert "given this generator" in said
    assert "in one process on this machine" in said
    assert not (tmp_path / "p").exists()


def test_a_condition_that_a_probe_leaves_out_is_no_primary_one(home: Path) -> None:
    text = FILE.replace("duplicates, mixed, shuffled, ", "").split("generator:")[0]
    (home / "none.yaml").write_text(f"{text}primary: {{condition: augmentation}}\n")
    with pytest.raises(UserError, match=r"primary.condition: augmentation is left out: a probe"):
        sg.study(study=home / "none.yaml", device="cpu")


def test_duplicates_alone_choose_among_ratios(home: Path) -> None:
    text = FILE.replace(", mixed, shuffled, augmentation", "").replace("external: [other.zip]", "")
    primary = "primary: {condition: duplicates, measure: brier}"
    (home / "real.yaml").write_text(f"{text.split('generator:')[0]}{primary}\n")
    said = str(sg.study(study=home / "real.yaml", plan=True, device="cpu"))
    assert "arm: duplicates, ratios 0.5, 1" in said and "where 85% are right" in said, said
    found = sg.study(study=home / "real.yaml", device="cpu").study
    assert found.reference == "real" and found.decided.arm == "duplicates"
    assert not found.about.generator
    choices = json.loads((home / "real/frozen/choices.json").read_text())
    assert len(choices["ratios"]) == 2


def test_a_study_that_was_begun_before_a_key_existed_goes_on(home: Path, tmp_path: Path) -> None:
    inputs = open_inputs(read_study(home / "mine.yaml"), "cpu", Silent())
    folder = StudyFolder(tmp_path)
    frozen = folder.freeze(inputs)
    path = tmp_path / "frozen/study.json"
    tree = json.loads(path.read_text())
    del tree["settings"]["spread"]
    path.write_text(json.dumps({**tree, "sha256": "of then"}))
    assert folder.freeze(inputs).sha256 == "of then" != frozen.sha256


@pytest.mark.parametrize(("option", "goes_on"), [("seed", True), ("style", False)])
def test_a_study_that_was_begun_with_what_is_refused_today(
    home: Path, tmp_path: Path, option: str, goes_on: bool
) -> None:
    """A seed of its classifiers never had an effect; a style had."""
    inputs = open_inputs(read_study(home / "mine.yaml"), "cpu", Silent())
    folder = StudyFolder(tmp_path)
    folder.freeze(inputs)
    path = tmp_path / "frozen/study.json"
    tree = json.loads(path.read_text())
    tree["settings"]["classifier"][option] = {"seed": 7, "style": "other.zip"}[option]
    path.write_text(json.dumps({**tree, "sha256": "of then"}))
    if goes_on:
        assert folder.freeze(inputs).sha256 == "of then"
        return
    with pytest.raises(UserError, match="begun otherwise.*style was other.zip, now nothing"):
        folder.freeze(inputs)


def test_first_weights_that_saw_test_patients_are_refused(home: Path, tmp_path: Path) -> None:
    for name in ("real", "other"):
        archive = tmp_path / f"{name}.zip"
        archive.write_bytes((home / f"{name}.zip").read_bytes())
        split_archive(archive, SplitOptions(test=0.2, val=0.2))
        few = {"backbone": "small", "steps": 4, "every": 4, "device": "cpu"}
        sg.classify_train(data=archive, out=home / f"of-{name}.safetensors", **few)
    text = FILE.split("generator:")[0].replace(", mixed, shuffled", "")
    for name, said in (("real", "groups of fold 0"), ("other", "images of external other.zip")):
        options = f"{{probe: false, backbone: small, steps: 8, weights: of-{name}.safetensors}}"
        (home / "start.yaml").write_text(text.replace("{backbone: random-vgg16}", options))
        with pytest.raises(UserError, match=f"of-{name}.safetensors: .*{said}"):
            sg.study(study=home / "start.yaml", device="cpu")
    assert not (home / "start").exists()


def test_published_first_weights_are_known_by_their_word(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("monai", reason="monai is missing")
    text = FILE.split("generator:")[0].replace(", mixed, shuffled", "")
    options = "{probe: false, backbone: resnet18, steps: 8, weights: imagenet}"
    (home / "imagenet.yaml").write_text(text.replace("{backbone: random-vgg16}", options))
    monkeypatch.setenv("SYNTHOGRAPH_OFFLINE", "1")
    with pytest.raises(UserError, match=r"download https://.*resnet18-f37072fd.pth and put it"):
        sg.study(study=home / "imagenet.yaml", device="cpu", plan=True)
    file = home / "published.pth"
    body = backbone("resnet18").make(3)
    torch.save({n.removeprefix("net."): t for n, t in body.state_dict().items()}, file)
    monkeypatch.setattr(study_checks, "published_file", lambda *_: file)
    found = open_inputs(read_study(home / "imagenet.yaml"), "cpu", Silent())
    assert found.settings.classifier["weights"] == str(file)


def test_an_external_archive_of_the_same_name_is_another_one(home: Path, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/real.zip").write_bytes((home / "other.zip").read_bytes())
    text = FILE.replace(" real.zip", f" {home}/real.zip").replace("other.zip", "site/real.zip")
    (tmp_path / "p.yaml").write_text(text.split("generator:")[0].replace(", mixed, shuffled", ""))
    inputs = open_inputs(read_study(tmp_path / "p.yaml"), "cpu", Silent())
    frozen = StudyFolder(tmp_path / "p").freeze(inputs)
    hashes = [each[0] for each in frozen.images.values()]
    assert hashes == [open_archive(home / n).images_hash for n in ("real.zip", "other.zip")]


def test_an_emptied_record_of_its_beginning_has_a_way_out(home: Path, tmp_path: Path) -> None:
    inputs = open_inputs(read_study(home / "mine.yaml"), "cpu", Silent())
    StudyFolder(tmp_path / "first").freeze(inputs)
    (tmp_path / "first/frozen/study.json").write_bytes(b"")
    with pytest.raises(UserError, match="begin in another folder by --outdir"):
        StudyFolder(tmp_path / "first").freeze(inputs)
    StudyFolder(tmp_path / "second").freeze(inputs)


def test_processes_without_gpus_are_told_once(
    home: Path, finished: Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Sequence[str]] = []
    monkeypatch.setattr(study, "side_by_side", lambda commands, line: started.extend(commands))
    monkeypatch.setattr(study.torch.cuda, "is_available", lambda: False)
    progress = Heard()
    request = StudyRequest(study=home / "mine.yaml", device="cpu", gpus=2)
    study.run(request, progress=progress)
    assert len(started) == 2
    assert all("--gpus" not in words for words in started)
    assert progress.lines.count("note: no GPU here: 2 processes share the processor cores") == 1
    progress.lines.clear()
    monkeypatch.setenv(LINE, "synthograph study mine.yaml --gpus 2")  # as one of the two
    study.run(request.model_copy(update={"gpus": 1}), progress=progress)
    assert not [line for line in progress.lines if line.startswith("note")]


def test_a_folder_with_other_files_is_left_alone(home: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="a folder with other files"):
        sg.study(study=home / "mine.yaml", outdir=tmp_path, device="cpu")
    assert [path.name for path in tmp_path.iterdir() if path.suffix] == ["mine.txt"]


def test_a_start_that_was_killed_is_no_other_file(home: Path, tmp_path: Path) -> None:
    settings = read_study(home / "mine.yaml")
    inputs = open_inputs(settings, "cpu", Silent())
    (tmp_path / "folds.csv").touch()
    (tmp_path / "frozen").mkdir()
    (tmp_path / ".lock").touch()
    frozen = StudyFolder(tmp_path).freeze(inputs)
    assert frozen == StudyFolder(tmp_path).freeze(inputs)


@pytest.mark.slow
def test_killed_and_shared_it_is_the_same_study(
    home: Path, finished: Study, tmp_path: Path
) -> None:
    """Two processes, both killed several times, give what one undisturbed process gives."""
    words = ["study", str(home / "mine.yaml"), "--outdir", str(tmp_path / "s"), "--device", "cpu"]
    command = [*python_command("synthograph"), *words]

    def begin() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            command, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    for wait in (8, 10, 12):
        both = [begin(), begin()]
        time.sleep(wait)
        for process in both:
            if process.poll() is None:
                os.kill(process.pid, signal.SIGKILL)
            process.wait()
    both = [begin(), begin()]
    assert [process.wait(timeout=600) for process in both] == [0, 0]
    for path in sorted((home / "mine/predictions").iterdir()):
        assert path.read_bytes() == (tmp_path / "s/predictions" / path.name).read_bytes()
