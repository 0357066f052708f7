"""A mask generator from painted images, and archives of images with masks."""

import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import synthograph as sg
from synthograph.annotation import mask_generator
from synthograph.archive.reader import open_archive
from synthograph.core.errors import StoppedError, UserError
from synthograph.core.untrusted.tensors import read_tensors, write_tensors
from synthograph.models.snapshot import Snapshot, load
from synthograph.results.annotations import AnnotationSet, Fit, MaskClass, PaintedMask
from synthograph.stats.masks import IGNORED
from synthograph.workflows import annotate_generate, annotate_train
from synthograph.workflows.annotate_train import HEADS, AnnotateTrainResult
from synthograph.workflows.annotation_sets import OpenSet, indexed_png, mask_digest
from tests.sampling.test_generate import make_snapshot

CLASSES = (
    MaskClass(name="background", colour=(0, 0, 0)),
    MaskClass(name="bright", colour=(255, 0, 0)),
    MaskClass(name="rare", colour=(0, 0, 255)),
)


def bright(pixels: np.ndarray) -> np.ndarray:
    """What the painter of these tests does: pixels above the median of the image."""
    grey = pixels.mean(0)
    return (grey > np.median(grey)).astype(np.uint8)


def paint(folder: Path, snapshot: Snapshot, count: int, rare: int = 0) -> None:
    """Paint the first images of a set; the first `rare` of them have a third class."""
    opened = OpenSet.read(folder)
    drawn = {image.id: pixels for image, pixels in opened.redrawn(snapshot, "cpu")}
    (folder / "masks").mkdir(exist_ok=True)
    images = []
    for place, image in enumerate(opened.about.images):
        ids = bright(drawn[image.id])
        ids[:1] = 2 if place < rare else ids[:1]
        mask = PaintedMask(painter="p", sha256=mask_digest(ids)) if place < count else None
        if mask is not None:
            (folder / "masks" / f"{image.id}.png").write_bytes(indexed_png(ids, CLASSES))
        images.append(image.replace(mask=mask))
    opened.about.replace(images=tuple(images), classes=CLASSES).save(folder / "annotations.json")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    shorten(monkeypatch)


def shorten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train for a moment only."""
    short = {name: each.model_copy(update={"steps": 40}) for name, each in HEADS.items()}
    monkeypatch.setattr(annotate_train, "HEADS", short)
    few = annotate_train.IMAGE_NETWORK.model_copy(update={"steps": 20, "more": 0, "batch": 4})
    monkeypatch.setattr(annotate_train, "IMAGE_NETWORK", few)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network, a set with four painted images, and a mask generator of them."""
    folder = tmp_path_factory.mktemp("masks")
    snapshot = make_snapshot(folder / "network", size=(16, 16))
    sg.annotate_sample(network=snapshot.path, num=6, trunc=0.8, outdir=folder / "A")
    paint(folder / "A", snapshot, 4)
    sg.annotate_train(folder / "A", out=folder / "m.safetensors", preset="linear")
    return folder


@pytest.fixture(scope="module")
def both(made: Path) -> Path:
    """A mask generator in which an image network takes part, whatever trials say."""
    pytest.importorskip("monai", reason="monai is missing")
    out = made / "both.safetensors"
    with pytest.MonkeyPatch.context() as patch:
        shorten(patch)
        patch.setattr(annotate_train._Trial, "beats", lambda self, other: False)
        sg.annotate_train(made / "A", out=out)
    return out


def network_of(made: Path) -> Path:
    return next((made / "network").glob("generator-*"))


@pytest.fixture
def annotations(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made / "A", tmp_path / "A"))


def test_masks_are_those_of_the_painter(made: Path, tmp_path: Path) -> None:
    """On a rule that can be seen in the image, with forecasts that say so."""
    pytest.importorskip("monai", reason="monai is missing")
    found = sg.annotate_train(made / "A", out=tmp_path / "m.safetensors")
    heads = ["deep", "linear"]
    joined = [f"{head} with image network" for head in heads]
    assert [trial.name for trial in found.info.trials] == [*joined, *heads]
    assert sum(trial.chosen for trial in found.info.trials) == 1
    forecast = found.info.forecasts[1]
    assert forecast.dice is not None and forecast.dice > 0.65
    assert forecast.ends is not None and forecast.ends.low <= forecast.dice <= forecast.ends.high
    assert "expected Dice" in repr(found) and "no mask holds rare" in repr(found)
    out = tmp_path / "set.zip"
    sg.annotate_generate(
        network=network_of(made), mask_generator=tmp_path / "m.safetensors", num=9, out=out
    )
    archive = open_archive(out)
    for row in archive.rows:
        mask, truth = archive.read_mask(row), bright(archive.read(row))
        assert mask is not None
        assert (mask == truth).mean() > 0.7
        shares = [float(row.columns[f"share.{each.name}"]) for each in CLASSES]
        assert sum(shares) == pytest.approx(1, abs=1e-5)
        assert shares[1] == pytest.approx((mask == 1).mean(), abs=1e-5)
        assert row.columns["truncation"] == "0.8", "as the images were painted"
        assert 0 <= float(row.columns["uncertainty"]) <= np.log(3)
    about = archive.info.snapshots[0]["mask_generator"]
    assert [each["name"] for each in about["classes"]] == ["background", "bright", "rare"]


def test_images_are_those_of_generate(made: Path, tmp_path: Path) -> None:
    network, m = network_of(made), made / "m.safetensors"
    sg.annotate_generate(network=network, mask_generator=m, num=11, out=tmp_path / "a.zip")
    sg.generate(network=network, num=11, trunc=0.8, batch=8, outdir=tmp_path / "b.zip")
    one, other = (open_archive(tmp_path / name) for name in ("a.zip", "b.zip"))
    for a, b in zip(one.rows, other.rows, strict=True):
        np.testing.assert_array_equal(one.read(a), other.read(b))


def members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as packed:
        return {name: packed.read(name) for name in packed.namelist()}


def test_parts_and_interruptions_give_the_same_bytes(
    made: Path, both: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"network": network_of(made), "mask_generator": both, "num": 21}
    asked |= {"keep": 0.7}
    whole = tmp_path / "whole.zip"
    sg.annotate_generate(**asked, out=whole, save_uncertainty=tmp_path / "u")
    for part in ("2/3", "1/3"):
        found = sg.annotate_generate(**asked, out=tmp_path / "parts.zip", part=part)
        assert "part" in repr(found)
    sg.annotate_generate(**asked, out=tmp_path / "parts.zip")

    real = annotate_generate.MaskGenerator.label
    calls = []

    def label(self, source, ws):  # type: ignore[no-untyped-def]
        calls.append(1)
        if len(calls) == 2:
            raise StoppedError("stopped")
        return real(self, source, ws)

    monkeypatch.setattr(annotate_generate.MaskGenerator, "label", label)
    with pytest.raises(StoppedError, match="Continue with: synthograph annotate generate"):
        sg.annotate_generate(**asked, out=tmp_path / "again.zip", save_uncertainty=tmp_path / "v")
    assert not (tmp_path / "again.zip").exists()
    sg.annotate_generate(**asked, out=tmp_path / "again.zip", save_uncertainty=tmp_path / "v")
    first = members(whole)
    for name in ("parts.zip", "again.zip"):
        own = members(tmp_path / name)
        assert own.keys() == first.keys()
        assert all(own[n] == first[n] for n in own if n != "dataset.json")
    pictures = sorted(path.name for path in (tmp_path / "u").iterdir())
    assert len(pictures) == 21
    for name in pictures:
        assert (tmp_path / "u" / name).read_bytes() == (tmp_path / "v" / name).read_bytes()
    with Image.open(tmp_path / "u" / pictures[0]) as picture:
        assert picture.mode == "L"


def test_the_least_certain_are_withheld(made: Path, tmp_path: Path) -> None:
    asked = {"network": network_of(made), "mask_generator": made / "m.safetensors", "num": 20}
    sg.annotate_generate(**asked, out=tmp_path / "all.zip")
    found = sg.annotate_generate(**asked, keep=0.75, out=tmp_path / "kept.zip")
    assert (found.count, found.withheld) == (15, 5)
    whole, kept = (open_archive(tmp_path / name) for name in ("all.zip", "kept.zip"))
    scores = {row.columns["seed"]: float(row.columns["uncertainty"]) for row in whole.rows}
    there = {row.columns["seed"] for row in kept.rows}
    out = scores.keys() - there
    assert max(scores[seed] for seed in there) <= min(scores[seed] for seed in out)
    withheld = kept.info.snapshots[0]["withheld"]
    assert {seed for seed, _ in withheld["seeds"]} == out


@pytest.mark.parametrize("preset", ["published", "default"])
def test_sixteen_bits_and_no_classes(preset: str, tmp_path: Path) -> None:
    snapshot = make_snapshot(tmp_path / "n", bits=16, classes=(), width=0)
    sg.annotate_sample(network=snapshot.path, num=4, outdir=tmp_path / "A")
    paint(tmp_path / "A", snapshot, 3)
    sg.annotate_train(tmp_path / "A", out=tmp_path / "m.safetensors", preset=preset)
    out = tmp_path / "s.zip"
    sg.annotate_generate(
        network=snapshot.path, mask_generator=tmp_path / "m.safetensors", seeds="5", out=out
    )
    archive = open_archive(out)
    assert archive.read(archive.rows[0]).dtype == np.uint16
    assert archive.read_mask(archive.rows[0]) is not None


def test_one_painted_image_is_no_forecast(annotations: Path, made: Path, tmp_path: Path) -> None:
    paint(annotations, load(network_of(made)), 1)
    found = sg.annotate_train(annotations, out=tmp_path / "m.safetensors")
    assert all(each.dice is None for each in found.info.forecasts)
    assert "nothing can be forecast" in repr(found)


def test_images_of_one_patient_say_nothing_of_others(
    annotations: Path, made: Path, tmp_path: Path
) -> None:
    paint(annotations, load(network_of(made)), 4, rare=2)
    about = AnnotationSet.load(annotations / "annotations.json")
    by_row = sorted(about.images[:4], key=lambda image: image.row)

    def trained(groups: str, *, known: bool = True) -> AnnotateTrainResult:
        owner = {image.id: name for image, name in zip(by_row, groups, strict=True)}
        images = []
        for image in about.images:
            mine = owner.get(image.id)
            fit = Fit(file="f", archive="a.zip", of_class="rare", distance=0, floor=0)
            own = fit.replace(group=mine or "") if known else fit
            images.append(image.replace(fit=None if mine is None else own))
        changed = about.replace(images=tuple(images), groups=tuple(sorted({*groups})))
        changed.save(annotations / "annotations.json")
        out = tmp_path / f"{groups}{known}.safetensors"
        return sg.annotate_train(annotations, out=out, preset="linear")

    one = trained("aaaa")
    assert all(each.dice is None for each in one.info.forecasts)
    assert "all painted images are of one patient, so none can be left out" in repr(one)
    having = "".join("a" if image in about.images[:2] else "b" for image in by_row)
    two = trained(having)
    assert two.info.forecasts[1].ends is not None and two.info.forecasts[2].ends is None
    assert "rare is painted in images of one patient only" in repr(two)
    assert "does not say which images are of one patient" not in repr(two)
    older = trained(having, known=False)
    assert "does not say which images are of one patient" in repr(older)
    assert older.info.forecasts[2].ends is not None, "as before"


def test_a_class_of_one_image_cannot_be_checked(
    annotations: Path, made: Path, tmp_path: Path
) -> None:
    paint(annotations, load(network_of(made)), 3, rare=1)
    found = sg.annotate_train(annotations, out=tmp_path / "m.safetensors", preset="linear")
    assert "rare is painted in one image only" in repr(found)
    assert found.info.forecasts[2].painted == 1


def test_a_dry_run_writes_nothing(annotations: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    found = sg.annotate_train(annotations, dry_run=True)
    assert found.out is None and "bright" in repr(found)
    assert sorted(tmp_path.rglob("*")) == before


def test_what_is_not_as_it_was_painted_is_refused(
    annotations: Path, made: Path, tmp_path: Path
) -> None:
    out, network = tmp_path / "m.safetensors", network_of(made)
    about = AnnotationSet.load(annotations / "annotations.json")

    def refused(message: str, changed: AnnotationSet = about, **options: object) -> None:
        changed.save(annotations / "annotations.json")
        with pytest.raises(UserError, match=message):
            sg.annotate_train(annotations, out=out, **options)
        assert not out.exists()

    none = tuple(each.replace(mask=None) for each in about.images)
    refused("no image has a mask", about.replace(images=none))
    other = tuple(each.replace(digest="0" * 16) for each in about.images)
    refused("4 of 4 painted images are not what", about.replace(images=other))
    refused("name it with --network", about.replace(command=""))
    drawn = "synthograph annotate sample --network"
    stranger = about.replace(command=f"{drawn} https://ward.example/g.safetensors")
    refused("name it with --network", stranger)
    refused("and .*skin.safetensors is", about.replace(command=f"{drawn} phantom:skin"))
    strange = make_snapshot(tmp_path / "other", size=(16, 16), w_dim=4)
    refused("give --network the one", network=strange.path)
    refused("beyond|holds class id", about.replace(classes=CLASSES[:1]))
    path = annotations / "masks" / f"{about.painted[0].id}.png"
    Image.fromarray(np.full((16, 16), IGNORED, np.uint8)).save(path)
    refused("another mask than the one that was imported")
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)
    refused("is 8x8 pixels, the images are 16x16")
    blank = np.full((16, 16), IGNORED, np.uint8)
    Image.fromarray(blank).save(path)
    first = about.painted[0]
    own = PaintedMask(painter="p", sha256=mask_digest(blank))
    images = tuple(each.replace(mask=own) if each == first else each for each in about.images)
    refused(f"every pixel of the mask of {first.id} is ignored", about.replace(images=images))
    assert network.exists()


def test_files_of_others_are_data(made: Path, both: Path, tmp_path: Path) -> None:
    good, bad = made / "m.safetensors", tmp_path / "bad.safetensors"
    tensors, document = read_tensors(good)

    def refused(message: str, **changes: object) -> None:
        write_tensors(bad, tensors, {**document, **changes})
        with pytest.raises(UserError, match=message) as error:
            sg.annotate_generate(
                network=network_of(made), mask_generator=bad, num=2, out=tmp_path / "s.zip"
            )
        assert "\n" not in str(error.value)
        assert not (tmp_path / "s.zip").exists()

    refused("is no mask generator", task="classify")
    refused("far larger", channels=[1 << 40])
    refused("tensor 'biases.0'", head={"members": 3})
    refused("members", head={"members": 10_000})
    refused("head is no object", head=[])
    refused("reads features of the network", network_sha256="0" * 64)
    refused("schema_version", schema_version=99)
    refused("masks are 8x16", width=8)
    channels = document["channels"]
    refused("layers of", channels=[channels[0] + 1, channels[1] - 1, *channels[2:]])
    shape = {"channels": 3, "network": "unet", "width": 16, "depth": 3}
    refused("tensor", image_network=shape)
    refused("image_network is no object", image_network=[1])
    refused("width", image_network={**shape, "width": 10_000})
    refused("far larger", image_network={**shape, "width": 512, "depth": 8})
    tensors, document = read_tensors(both)
    own = document["image_network"]
    assert own == {"channels": 4, "network": "unet", "width": 16, "depth": 3}
    refused("tensor 'network/", image_network=None)
    refused("tensor", image_network={**own, "width": 8})
    del tensors["network/mean"]
    refused("mean", image_network=own)
    with pytest.raises(UserError, match="is no mask generator"):
        sg.annotate_generate(
            network=network_of(made),
            mask_generator=network_of(made),
            num=2,
            out=tmp_path / "s.zip",
        )


def test_truncation_is_named_whole(made: Path, tmp_path: Path) -> None:
    asked = {"network": network_of(made), "mask_generator": made / "m.safetensors", "num": 2}
    for name, flag, value in (
        ("trunc_cutoff", "--trunc-cutoff", 1),
        ("trunc_center", "--trunc-center", "global"),
    ):
        with pytest.raises(UserError, match=f"{flag} goes with --trunc, .* add --trunc 0.8"):
            sg.annotate_generate(**asked, out=tmp_path / "s.zip", **{name: value})
    sg.annotate_generate(**asked, out=tmp_path / "s.zip", trunc=0.8, trunc_cutoff=1)
    sg.annotate_generate(**asked, out=tmp_path / "t.zip")
    one, other = (open_archive(tmp_path / name) for name in ("s.zip", "t.zip"))
    assert not np.array_equal(one.read(one.rows[0]), other.read(other.rows[0]))


def test_pictures_of_parts_replace_no_others(made: Path, tmp_path: Path) -> None:
    asked = {"network": network_of(made), "mask_generator": made / "m.safetensors", "num": 4}
    asked |= {"save_uncertainty": tmp_path / "u"}
    for part in ("2/2", "1/2", "2/2"):
        sg.annotate_generate(**asked, out=tmp_path / "s.zip", part=part)
    assert len([*(tmp_path / "u").iterdir()]) == 4
    with pytest.raises(UserError, match="exists already: choose another --save-uncertainty"):
        sg.annotate_generate(**asked, out=tmp_path / "t.zip", part="1/2")
    sg.annotate_generate(**asked, out=tmp_path / "s.zip")


def test_destinations_in_the_way(made: Path, tmp_path: Path) -> None:
    asked = {"network": network_of(made), "mask_generator": made / "m.safetensors", "num": 2}
    (tmp_path / "u").mkdir()
    (tmp_path / "u" / "x").touch()
    with pytest.raises(UserError, match="--save-uncertainty"):
        sg.annotate_generate(**asked, out=tmp_path / "s.zip", save_uncertainty=tmp_path / "u")
    (tmp_path / "t.zip").touch()
    with pytest.raises(UserError, match="exists"):
        sg.annotate_generate(**asked, out=tmp_path / "t.zip")
    with pytest.raises(UserError, match="name it m.safetensors"):
        sg.annotate_train(made / "A", out=tmp_path / "m.pt")
    with pytest.raises(UserError, match="keep"):
        sg.annotate_generate(**asked, out=tmp_path / "s.zip", keep=0)


def test_groups_of_real_images_go_on_record(annotations: Path, made: Path, tmp_path: Path) -> None:
    about = AnnotationSet.load(annotations / "annotations.json")
    about.replace(groups=("ab",), real_images=("cd",)).save(annotations / "annotations.json")
    m = tmp_path / "m.safetensors"
    sg.annotate_train(annotations, out=m, preset="linear")
    assert mask_generator.load(m).info.groups == ("ab",)
    sg.annotate_generate(network=network_of(made), mask_generator=m, num=2, out=tmp_path / "s.zip")
    with zipfile.ZipFile(tmp_path / "s.zip") as packed:
        document = json.loads(packed.read("dataset.json"))
    assert document["snapshots"][0]["projected"] == {
        "group_digests": ["ab"],
        "image_digests": ["cd"],
    }
    assert torch.is_grad_enabled()


def test_an_image_network_is_left_out_where_heads_do_better_alone(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that says nothing but background."""
    pytest.importorskip("monai", reason="monai is missing")

    def nothing(config, painted, seed, track):  # type: ignore[no-untyped-def]
        return [torch.eye(3)[0][:, None, None].expand(3, 16, 16)] * len(painted.images)

    monkeypatch.setattr(annotate_train, "leave_out_network", nothing)
    found = sg.annotate_train(made / "A", out=tmp_path / "m.safetensors")
    (chosen,) = (trial.name for trial in found.info.trials if trial.chosen)
    assert chosen in {"deep", "linear"}
    assert found.info.image_network is None
    assert mask_generator.load(tmp_path / "m.safetensors").network is None


def test_without_monai_heads_are_alone(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(annotate_train, "monai_is_here", lambda: False)
    found = sg.annotate_train(made / "A", out=tmp_path / "m.safetensors")
    assert [trial.name for trial in found.info.trials] == ["deep", "linear"]
    assert "MONAI is not installed" in repr(found)


def test_an_image_network_changes_masks_and_counts_in_their_uncertainty(
    made: Path, both: Path, tmp_path: Path
) -> None:
    whole = mask_generator.load(both)
    mask_generator.save(
        tmp_path / "alone.safetensors",
        mask_generator.MaskGenerator(whole.info.replace(image_network=None), whole.head),
    )
    found = []
    for path in (both, tmp_path / "alone.safetensors"):
        out = tmp_path / f"{path.stem}.zip"
        sg.annotate_generate(network=network_of(made), mask_generator=path, num=4, out=out)
        archive = open_archive(out)
        found.append([float(row.columns["uncertainty"]) for row in archive.rows])
    assert all(one > other for one, other in zip(*found, strict=True))
