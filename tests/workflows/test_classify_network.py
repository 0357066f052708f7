"""Classifiers whose network is trained with them: scores, files, resuming, refusals."""

import json
import os
import re
import shutil
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import synthograph as sg
from synthograph.archive.batches import open_rows
from synthograph.archive.reader import open_archive
from synthograph.archive.split import SplitOptions, rewrite, split_archive
from synthograph.core.cache import weights_folder
from synthograph.core.errors import StoppedError, UserError
from synthograph.core.files import sha256_file
from synthograph.core.untrusted.tensors import read_tensors, write_tensors
from synthograph.downstream import classifier, fitting
from synthograph.downstream.networks import BACKBONES, backbone
from synthograph.workflows.classify_network import NetworkJob
from synthograph.workflows.classifying import extractor_of, predict
from synthograph.workflows.downstream_requests import ClassifyTrainRequest
from tests.conftest import make_archive

FEW = {"backbone": "small", "steps": 12, "batch": 8, "every": 4}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of dark and bright noise."""
    path = make_archive(tmp_path_factory.mktemp("network") / "set.zip", count=96)
    split_archive(path, SplitOptions(test=0.3, val=0.2))
    return path


@pytest.fixture(scope="module")
def trained(data: Path) -> Path:
    out = data.with_name("c.safetensors")
    sg.classify_train(data=data, out=out, curves=data.with_name("curves.png"), **FEW)
    return out


def test_a_network_learns_a_plain_difference(data: Path, trained: Path, tmp_path: Path) -> None:
    found = sg.classify_evaluate(model=trained, data=str(data)).evaluation
    assert next(each.value for each in found.scores if each.score == "auroc") > 0.95
    info = classifier.load(trained).info
    assert (info.backbone, info.network.steps) == ("small", 12)
    assert len(info.selection["tried"]) == 3
    assert info.network.settings["balance"] == "weights"
    fit = found.model.fit
    assert fit is not None and fit.environments == (found.environment,) == (*info.environments,)
    assert fit.start == "begins with random numbers" and fit.settings["precision"] != "auto"
    sg.classify_predict(model=trained, data=str(data), out=tmp_path / "p.csv")
    assert len((tmp_path / "p.csv").read_text().splitlines()) == 97


def test_its_curves_are_drawn_and_go_with_its_scores(data: Path, trained: Path) -> None:
    assert data.with_name("curves.png").read_bytes().startswith(b"\x89PNG")
    found = sg.classify_evaluate(model=trained, data=str(data)).evaluation.model.history
    assert found is not None and [each.step for each in found.tried] == [4, 8, 12]
    assert found.score == "auroc" and all(each.training is not None for each in found.tried)
    with pytest.raises(UserError, match=r"curves\.png.*exists"):
        out = trained.with_name("d.safetensors")
        sg.classify_train(data=data, out=out, curves=data.with_name("curves.png"), **FEW)


def test_the_file_says_what_the_trained_network_said(data: Path, trained: Path) -> None:
    model = classifier.load(trained)
    images = open_rows(f"{data}:val")
    found = predict(model, extractor_of(model, "cpu"), images.images)
    history = [each["value"] for each in model.info.selection["tried"]]
    labels = torch.tensor([row.label == "bright" for row in images.ordered])
    hits = (found.probabilities[:, 1] >= model.info.threshold) == labels
    assert max(history) > 0.95
    assert hits.double().mean() > 0.9
    far = predict(model, extractor_of(model, "cpu"), open_rows(f"{data}:train").images).distances
    assert (far > 1).double().mean() < 0.05


def test_one_class_for_all_is_a_note(data: Path, tmp_path: Path) -> None:
    few = {**FEW, "steps": 1, "rate": 1e-6, "balance": "none"}
    found = sg.classify_train(data=data, out=tmp_path / "c.safetensors", **few)
    made = classifier.load(tmp_path / "c.safetensors")
    images = open_rows(f"{data}:val")
    p = predict(made, extractor_of(made, "cpu"), images.images).probabilities[:, 1]
    single = len({value >= made.info.threshold for value in p.tolist()}) == 1
    assert any("all validation images are called" in note for note in found.notes) == single


def test_a_killed_training_goes_on_with_the_same_command(
    data: Path, trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"data": data, "out": tmp_path / "c.safetensors", **FEW}
    advance = fitting._Run.advance

    def kill(run: fitting._Run) -> None:
        advance(run)
        if run.step == 7:
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(fitting._Run, "advance", kill)
    with pytest.raises(StoppedError, match="the same command continues"):
        sg.classify_train(**asked)
    monkeypatch.setattr(fitting._Run, "advance", advance)
    with pytest.raises(UserError, match=r"begun with rate 0\.001, now 0\.1: remove that file"):
        sg.classify_train(**asked, rate=0.1)
    sg.classify_train(**asked)
    assert [path.name for path in tmp_path.iterdir()] == ["c.safetensors"]
    ours, theirs = (read_tensors(path)[0] for path in (asked["out"], trained))
    for name, tensor in theirs.items():
        assert torch.equal(ours[name], tensor), name


def test_other_labels_of_validation_images_are_another_training(data: Path, tmp_path: Path) -> None:
    other = Path(shutil.copy(data, tmp_path / "o.zip"))
    archive = open_archive(other)
    turned = {"dark": "bright", "bright": "dark"}
    own = [replace(row, label=turned[row.label]) for row in archive.rows if row.split == "val"]
    rewrite(archive, [*own, *(row for row in archive.rows if row.split != "val")])
    keys = []
    for path in (data, data, other):
        request = ClassifyTrainRequest(data=path, out=tmp_path / "c.safetensors", **FEW)
        job = NetworkJob(request, open_rows(f"{path}:train"), open_rows(f"{path}:val"))
        keys.append(job.task().key)
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("balance", ["weights", "sampling", "none"])
def test_modalities_of_16_bits(balance: str, tmp_path: Path) -> None:
    modalities = {"vis": 1, "nir": 1}
    path = make_archive(
        tmp_path / "a.zip", modalities=modalities, bits=16, classes=("a", "b", "c"), count=48
    )
    split_archive(path, SplitOptions(test=0.25, val=0.25))
    out = tmp_path / "c.safetensors"
    found = sg.classify_train(data=path, out=out, balance=balance, measure="brier", **FEW)
    assert len(found.threshold) == 3
    assert min(found.threshold) > 0
    assert sum(found.threshold) == pytest.approx(1)
    assert "step" in found.how
    assert sg.classify_evaluate(model=out, data=str(path)).evaluation.images == 12


def test_weights_of_another_classifier(data: Path, trained: Path, tmp_path: Path) -> None:
    found = sg.classify_train(
        data=data, out=tmp_path / "c.safetensors", weights=trained, **{**FEW, "rate": 1e-9}
    )
    assert any("tensors that it needs of c.safetensors" in note for note in found.notes)
    ours, theirs = (read_tensors(path)[0] for path in (found.out, trained))
    kernels = "network/body.layers.1.0.weight"
    assert torch.allclose(ours[kernels], theirs[kernels], atol=1e-5)


def test_whom_the_first_weights_saw_is_seen(data: Path, trained: Path, tmp_path: Path) -> None:
    other = make_archive(tmp_path / "b.zip", count=48, namespace="else", seed=3)
    split_archive(other, SplitOptions(test=0.25, val=0.25))
    out = tmp_path / "b.safetensors"
    found = sg.classify_train(data=other, out=out, weights=trained, **FEW)
    assert not any("saw" in note for note in found.notes)
    first, info = (classifier.load(path).info for path in (trained, out))
    assert {*first.group_digests} < {*info.group_digests}
    assert {*first.image_digests} < {*info.image_digests}
    with pytest.raises(UserError, match="groups were seen by b.safetensors"):
        sg.classify_evaluate(model=out, data=f"{data}:train")
    again = {"data": data, "out": tmp_path / "c.safetensors", "weights": out}
    notes = sg.classify_train(**again, **FEW).notes
    assert any("b.safetensors saw" in note and "validation groups before" in note for note in notes)


def test_published_weights_by_their_word(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("monai", reason="monai is missing")
    asked = {"data": data, "out": tmp_path / "c.safetensors", **FEW, "backbone": "resnet18"}
    assert "(--weights imagenet: with those of ImageNet)" in str(
        sg.classify_train(**asked, dry_run=True)
    )
    monkeypatch.setenv("SYNTHOGRAPH_OFFLINE", "1")
    with pytest.raises(UserError, match=r"download https://.*resnet18-f37072fd.pth and put it"):
        sg.classify_train(**asked, weights="imagenet")
    body = backbone("resnet18").make(3)
    file = tmp_path / "published.pth"
    torch.save({n.removeprefix("net."): t for n, t in body.state_dict().items()}, file)
    name = f"resnet18-{sha256_file(file)[:8]}.pth"
    weights_folder().mkdir(parents=True, exist_ok=True)
    shutil.copy(file, weights_folder() / name)
    known = replace(backbone("resnet18"), address=f"https://somewhere.org/{name}")
    monkeypatch.setitem(BACKBONES, "resnet18", known)
    found = sg.classify_train(**asked, weights="imagenet", dry_run=True)
    assert any(f"tensors that it needs of {name}" in note for note in found.notes)
    with (weights_folder() / name).open("ab") as other:
        other.write(b"x")
    with pytest.raises(UserError, match="expected one that begins with"):
        sg.classify_train(**asked, weights="imagenet")
    for name, why in (("small", "none are known for small"), ("lite0", "extra imagenet")):
        with pytest.raises(UserError, match=f"--weights imagenet: .*{why}"):
            sg.classify_train(**{**asked, "backbone": name}, weights="imagenet")


def test_addresses_of_published_weights_hold_their_hash() -> None:
    named = {each.name: each.address for each in BACKBONES.values() if each.address}
    assert {"resnet50", "densenet121", "efficientnet-b2"} < {*named}
    for name, address in named.items():
        assert re.fullmatch(rf"https://.*/{name}-[0-9a-f]{{8}}\.pth", address), name


def test_a_dry_run_tells_the_time_and_writes_nothing(data: Path, tmp_path: Path) -> None:
    found = sg.classify_train(data=data, out=tmp_path / "c.safetensors", dry_run=True, **FEW)
    text = str(found)
    assert "12 steps and 3 validations take at most about" in text
    assert "small begins with random numbers" in text
    assert not list(tmp_path.iterdir())


def test_options_that_a_probe_has_no_use_for_are_named(data: Path, tmp_path: Path) -> None:
    found = sg.classify_train(
        data=data,
        out=tmp_path / "c.safetensors",
        probe=True,
        backbone="random-vgg16",
        steps=10,
        rate=0.1,
        seed=3,
    )
    assert any(note.endswith("no steps: --rate, --steps") for note in found.notes)


def test_what_cannot_work_is_refused_before_any_work(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "c.safetensors"
    with pytest.raises(UserError, match="did you mean 'small'"):
        sg.classify_train(data=data, out=out, backbone="smal")
    with pytest.raises(UserError, match="names of evaluate --features with --probe"):
        sg.classify_train(data=data, out=out, backbone="random-vgg16")
    with pytest.raises(UserError, match="--weights with --probe"):
        sg.classify_train(data=data, out=out, probe=True, weights=out)
    with pytest.raises(UserError, match="there is no such file|expected a file of weights"):
        sg.classify_train(data=data, out=out, backbone="small", weights=tmp_path / "no.pth")
    with pytest.raises(UserError, match="steps"):
        sg.classify_train(data=data, out=out, backbone="small", steps=0)
    assert not list(tmp_path.iterdir())


def test_damaged_files_are_refused(data: Path, trained: Path, tmp_path: Path) -> None:
    tensors, document = read_tensors(trained)
    odd = tmp_path / "odd.safetensors"

    def refused(match: str, tensors: dict, document: dict) -> None:
        write_tensors(odd, tensors, document)
        with pytest.raises(UserError, match=match):
            classifier.load(odd)

    refused("'nothing'|nothing", tensors, {**document, "backbone": "nothing"})
    less = {name: t for name, t in tensors.items() if "layers.3" not in name}
    refused("lacks tensor", less, document)
    huge = json.loads(json.dumps(document))
    huge["spec"]["modalities"] = {"image": 10**9}
    refused("larger than what is stored|channels|must be", tensors, huge)
    probe = {**tensors, **{n: tensors[n][..., :5] for n in ("mean", "scale", "weight", "axes")}}
    refused("damaged classifier", probe, document)


def test_groups_that_a_network_saw_are_refused(data: Path, trained: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"were seen by c\.safetensors"):
        sg.classify_evaluate(model=trained, data=f"{data}:val")
    other = make_archive(tmp_path / "renamed.zip", count=96, namespace="other")
    archive = open_archive(other)
    rewrite(archive, [replace(row, group=f"new{row.group}") for row in archive.rows])
    with pytest.raises(UserError, match=r"equal images that c\.safetensors saw"):
        sg.classify_evaluate(model=trained, data=str(other))
