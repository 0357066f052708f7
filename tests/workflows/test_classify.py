"""Classifiers through their workflows: scores, refusals of what was seen, predictions."""

import csv
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

import synthograph as sg
from synthograph import results
from synthograph.archive.batches import open_rows
from synthograph.archive.ledger import looks
from synthograph.archive.reader import open_archive
from synthograph.archive.split import SplitOptions, rewrite, split_archive
from synthograph.core.errors import UserError
from synthograph.core.untrusted.tensors import read_tensors, write_tensors
from synthograph.downstream import classifier
from synthograph.workflows.classifying import real_shares
from tests.conftest import make_archive

BACKBONE = "random-vgg16"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An archive of dark and bright noise, and a classifier of it."""
    folder = tmp_path_factory.mktemp("classify")
    data, out = folder / "set.zip", folder / "c.safetensors"
    make_archive(data, count=96)
    split_archive(data, SplitOptions(test=0.3, val=0.2))
    sg.classify_train(data=data, out=out, backbone=BACKBONE, probe=True)
    return data, out


def test_a_plain_difference_is_learned_and_scored(trained: tuple[Path, Path]) -> None:
    data, model = trained
    found = sg.classify_evaluate(model=model, data=str(data)).evaluation
    by_name = {each.score: each for each in found.scores if each.unit == "image"}
    assert by_name["auroc"].value > 0.95
    assert by_name["auroc"].interval is not None
    assert {"sensitivity", "specificity"} <= by_name.keys()
    assert sum(map(sum, found.confusion)) == found.images
    assert found.confusion_by_group == ()  # no patient has two images of a class
    assert found.groups == found.images // 2
    assert 0 <= found.model.threshold <= 1


def test_a_classifier_is_inspected(trained: tuple[Path, Path]) -> None:
    facts = sg.inspect(trained[1]).facts
    assert "PyTorch" in facts["training"]["environments"]
    assert "penalty" in facts["training"]["settings"]
    assert (facts["kind"], facts["backbone"]) == ("classifier", BACKBONE)
    assert facts["training"]["groups seen"] > 0 and facts["training"]["data"] == "set.zip"


def test_a_refusal_leaves_no_folder_and_a_result_makes_its_own(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    data, model = trained
    new = tmp_path / "new folder" / "inner"
    with pytest.raises(UserError, match="nowhere"):
        sg.classify_train(data=tmp_path / "nowhere.zip", out=new / "c.safetensors", probe=True)
    with pytest.raises(UserError, match="were seen by"):
        sg.classify_evaluate(model=model, data=f"{data}:train", out=new / "e.json")
    sg.classify_train(data=data, out=new / "c.safetensors", backbone="small", dry_run=True)
    sg.classify_train(data=data, backbone="small", dry_run=True)
    with pytest.raises(UserError, match="^--out is missing: classifier to be written"):
        sg.classify_train(data=data, backbone="small")
    assert not new.parent.exists()
    sg.classify_predict(model=model, data=str(data), out=new / "p.csv")
    assert [path.name for path in new.iterdir()] == ["p.csv"]


def test_every_look_at_test_images_is_written_down(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    data, model = trained
    before = len(looks(data))
    sg.classify_evaluate(model=model, data=str(data))
    sg.classify_evaluate(model=model, data=str(data))
    found = sg.classify_evaluate(model=model, data=str(data)).evaluation
    assert len(looks(data)) == before + 3
    assert looks(data)[-1].what.startswith("classify evaluate c.safetensors ")
    assert f"looked at {before + 2} times before" in " ".join(found.notes)


def test_scores_come_back_from_their_file(trained: tuple[Path, Path], tmp_path: Path) -> None:
    data, model = trained
    found = sg.classify_evaluate(model=model, data=str(data), out=tmp_path / "e.json")
    assert results.load(tmp_path / "e.json") == found.evaluation
    assert "balanced accuracy" in str(found)


def test_the_file_says_what_it_saw(trained: tuple[Path, Path]) -> None:
    data, model = trained
    info = classifier.load(model).info
    rows = open_archive(data).rows
    seen = {row.group for row in rows if row.split in ("train", "val")}
    assert len(info.group_digests) == len(seen)
    assert info.counts["dark"]["synthetic"] == 0
    assert info.data == data.name


@pytest.mark.parametrize("split", ["train", "val"])
def test_patients_that_it_saw_are_refused_by_name(trained: tuple[Path, Path], split: str) -> None:
    data, model = trained
    group = next(row.group for row in open_archive(data).rows if row.split == split)
    with pytest.raises(UserError, match="were seen by c.safetensors") as refused:
        sg.classify_evaluate(model=model, data=f"{data}:{split}")
    assert repr(group) in str(refused.value) or "more" in str(refused.value)


def test_images_that_it_saw_are_refused_under_any_name(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    """The same pixels in an archive of its own, with patients of other names."""
    data, model = trained
    other = make_archive(tmp_path / "renamed.zip", count=96, namespace="other")
    archive = open_archive(other)
    rewrite(archive, [replace(row, group=f"new{row.group}") for row in archive.rows])
    with pytest.raises(UserError, match="equal images that c.safetensors saw"):
        sg.classify_evaluate(model=model, data=str(other))


def test_a_generator_that_saw_a_test_patient_is_refused(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    data, model = trained
    tensors, document = read_tensors(model)
    groups = list(open_rows(f"{data}:test").groups)
    document["snapshots"] = [{"group_digests": groups[:1]}]
    leaky = tmp_path / "leaky.safetensors"
    write_tensors(leaky, tensors, document)
    with pytest.raises(UserError, match="seen by a generator of the training images"):
        sg.classify_evaluate(model=leaky, data=str(data))


def test_by_a_column(tmp_path: Path, trained: tuple[Path, Path]) -> None:
    _, model = trained
    path = make_archive(tmp_path / "sites.zip", seed=5, namespace="sites")
    archive = open_archive(path)
    rows = [
        replace(row, columns={"site": "ab"[number % 4 // 2]}, group=f"{row.label}{number // 4}")
        for number, row in enumerate(archive.rows)
    ]
    rewrite(archive, rows)
    result = sg.classify_evaluate(model=model, data=str(path), by="site")
    found = result.evaluation
    assert {(each.column, each.level) for each in found.scores} >= {("site", "a"), ("site", "b")}
    groups = next(each for each in found.scores if each.unit == "group")
    assert groups.images == groups.groups == 12  # one prediction for each
    assert [sum(row) for row in found.confusion] == [12, 12]
    assert [sum(row) for row in found.confusion_by_group] == [6, 6]
    assert any(line.startswith("Groups, by the mean") for line in result.lines())
    (risk,) = found.risks
    assert (risk.of_class, risk.share) == (found.classes[1], 0.5)
    assert risk.gain[49].value == pytest.approx(risk.benefit[49].value)  # acting on all has 0 there
    assert risk.gain[49].interval is not None
    voted = sg.classify_evaluate(model=model, data=str(path), combine="vote")
    assert any(line.startswith("Groups, by the vote") for line in voted.lines())
    assert voted.evaluation.confusion == found.confusion
    with pytest.raises(UserError, match="no such column: did you mean 'site'"):
        sg.classify_evaluate(model=model, data=str(path), by="sites")


def test_predictions_are_a_table_in_the_order_of_the_archive(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    data, model = trained
    sg.classify_predict(model=model, data=str(data), out=tmp_path / "p.csv")
    with (tmp_path / "p.csv").open() as file:
        table = list(csv.DictReader(file))
    assert [row["file"] for row in table] == [row.file for row in open_archive(data).rows]
    assert all(abs(float(r["p.dark"]) + float(r["p.bright"]) - 1) < 1e-4 for r in table)
    right = sum(row["decided"] == row["label"] for row in table)
    assert right > 0.9 * len(table)


def test_what_cannot_be_trained_is_refused_at_once(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    whole = make_archive(tmp_path / "whole.zip")
    out = tmp_path / "c.safetensors"
    with pytest.raises(UserError, match="has no images in split train: 'synthograph split"):
        sg.classify_train(data=whole, out=out, backbone=BACKBONE, probe=True)
    single = make_archive(tmp_path / "single.zip", classes=("dark",), split="train")
    with pytest.raises(UserError, match="fewer than two classes"):
        sg.classify_train(data=single, out=out, backbone=BACKBONE, probe=True)
    lacking = make_archive(tmp_path / "lacking.zip", split="train")
    archive = open_archive(lacking)
    own = [replace(row, group=f"{row.group} {row.label}") for row in archive.rows]
    rewrite(archive, [replace(r, split="val") if r.label == "dark" else r for r in own])
    with pytest.raises(UserError, match="split train lacks class 'dark'"):
        sg.classify_train(data=lacking, out=out, backbone=BACKBONE, probe=True)
    rewrite(archive, [replace(row, split="test") for row in archive.rows])
    with pytest.raises(UserError, match="cut all images anew"):
        sg.classify_train(data=lacking, out=out, backbone=BACKBONE, probe=True)
    with pytest.raises(UserError, match=r"name it c\.safetensors"):
        sg.classify_train(data=whole, out=tmp_path / "c.txt", backbone=BACKBONE, probe=True)
    with pytest.raises(UserError, match="is unknown"):
        sg.classify_train(data=trained[0], out=out, backbone="resnet9000", probe=True)
    with pytest.raises(UserError, match="would not find this file again"):
        sg.classify_train(data=trained[0], out=out, backbone="classifier:c.pth", probe=True)
    assert not out.exists()


def test_strange_files_are_no_classifiers(trained: tuple[Path, Path], tmp_path: Path) -> None:
    data, model = trained
    text = tmp_path / "x.safetensors"
    text.write_text("no tensors")
    with pytest.raises(UserError, match="a file of 'synthograph classify train'"):
        sg.classify_evaluate(model=text, data=str(data))
    tensors, document = read_tensors(model)
    write_tensors(text, tensors, {**document, "task": "segment"})
    with pytest.raises(UserError, match="is no classifier"):
        sg.classify_evaluate(model=text, data=str(data))
    write_tensors(text, tensors, {**document, "threshold": [0.5, 0.0]})
    with pytest.raises(UserError, match="no positive share of each of 2 classes"):
        sg.classify_evaluate(model=text, data=str(data))
    write_tensors(text, {**tensors, "bias": tensors["bias"][:1]}, document)
    with pytest.raises(UserError, match="damaged classifier"):
        sg.classify_evaluate(model=text, data=str(data))


def test_other_weights_than_it_was_trained_with_are_refused(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    data, model = trained
    tensors, document = read_tensors(model)
    weights = {**document["extractor"]["weights"], "sha256": "0" * 64}
    other = tmp_path / "o.safetensors"
    extractor = {**document["extractor"], "weights": weights}
    write_tensors(other, tensors, {**document, "extractor": extractor})
    with pytest.raises(UserError, match="with other weights than are on this machine"):
        sg.classify_evaluate(model=other, data=str(data))
    with pytest.raises(UserError, match="with other weights than are on this machine"):
        sg.classify_predict(model=other, data=str(data), out=tmp_path / "p.csv")
    assert not (tmp_path / "p.csv").exists()


def test_other_classes_and_modalities_are_refused(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    _, model = trained
    other = make_archive(tmp_path / "o.zip", classes=("dark", "grey"), seed=3, namespace="o")
    with pytest.raises(UserError, match="is of class 'grey'"):
        sg.classify_evaluate(model=model, data=str(other))
    wide = make_archive(tmp_path / "w.zip", size=(16, 64), seed=3, namespace="w")
    for job in (sg.classify_evaluate, partial(sg.classify_predict, out=tmp_path / "p.csv")):
        with pytest.raises(UserError, match="64x16 have another shape than those of .*--transform"):
            job(model=model, data=str(wide))
    grey = make_archive(tmp_path / "g.zip", modalities={"image": 1}, seed=3, namespace="g")
    with pytest.raises(UserError, match="the classifier was trained on"):
        sg.classify_predict(model=model, data=str(grey), out=tmp_path / "p.csv")


def test_repeated_images_do_not_make_a_class_frequent(tmp_path: Path) -> None:
    path = make_archive(tmp_path / "a.zip", count=96)
    archive = open_archive(path)
    groups = sorted({row.group for row in archive.rows})[::4]
    rewrite(archive, [replace(r, label="dark") if r.group in groups else r for r in archive.rows])
    split_archive(path, SplitOptions(test=0.2, val=0.2))
    mixed = tmp_path / "m.zip"
    result = sg.mix(real=path, control="duplicates", add="dark=20,bright=0", dest=mixed)
    assert result.added == {"dark": 20, "bright": 0}
    shares = []
    for data in (path, mixed):
        classes = open_archive(data).info.classes
        parts = [open_rows(f"{data}:{split}") for split in ("train", "val")]
        shares.append(real_shares(*parts, classes).tolist())
    assert shares[0] == pytest.approx(shares[1])
    assert max(shares[0]) > 0.52
