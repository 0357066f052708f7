"""`authenticity`: projections that are given, and those that it makes itself."""

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import synthograph
from synthograph.archive.batches import open_rows
from synthograph.archive.split import SplitOptions, split_archive
from synthograph.core.errors import StoppedError, UserError
from synthograph.features import registry
from synthograph.models.snapshot import load
from synthograph.results import Projections
from synthograph.results import load as load_results
from synthograph.results.authenticity import RecoveryAnswer
from synthograph.results.projection import Projection, ProjectionMethod
from synthograph.results.provenance import Features, ImageRecord
from synthograph.workflows import project
from synthograph.workflows.latent_requests import ProjectRequest
from tests.cli.test_recipes import network
from tests.conftest import make_archive
from tests.metrics.images import Means


@pytest.fixture(autouse=True)
def cheap_features(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "extractor", lambda name, **_: Means())


METHOD = ProjectionMethod(space="w", minimised="pixels", steps=10, seed=0, precision="fp32")


def projected(
    folder: Path, split: str | None, *, far: float, count: int = 14, **changes: object
) -> Path:
    """Projections of random pictures, each of another patient, that miss by so much."""
    rng, found = np.random.default_rng(len(str(split))), []
    folder.mkdir()
    for n in range(count):
        given = rng.integers(60, 200, (8, 8, 3))
        made = given + rng.normal(0, far * rng.uniform(0.7, 1.3), given.shape)
        for side, pixels in (("from", given), ("to", made)):
            picture = Image.fromarray(pixels.clip(0, 255).astype(np.uint8))
            picture.save(folder / f"{n}.{side}.png")
        found.append(
            Projection(
                file=f"{split}/{n}.png",
                group=f"{split} {n}",
                split=split,
                label="ab"[n % 2],
                target=f"{n}.from.png",
                result=f"{n}.to.png",
                psnr=float(-20 * np.log10(np.sqrt(np.square(made - given).mean()) / 255)),
                ssim=None,
                ms_ssim=None,
                distance=far / 100,
            )
        )
    Projections(
        network="generator.safetensors",
        network_sha256=str(changes.get("network", "0")),
        method=METHOD.replace(**{k: v for k, v in changes.items() if k != "network"}),
        distance=Features(distance="pixels"),
        data=ImageRecord(archive="cells.zip"),
        projections=tuple(found),
        version="1",
    ).save(folder / "projections.json")
    return folder


def options(train: Path, held_out: Path, outdir: Path, **more: object) -> dict[str, object]:
    usual = {"device": "cpu"}
    return {"train": train, "held_out": held_out, "outdir": outdir, **usual, **more}


def test_a_memoriser_is_found_and_shown(tmp_path: Path) -> None:
    train = projected(tmp_path / "t", "train", far=4)
    held_out = projected(tmp_path / "h", "test", far=12)
    own = projected(tmp_path / "o", None, far=3)
    out = tmp_path / "new" / "out"
    result = synthograph.authenticity(**options(train, held_out, out, own=own))
    found = result.authenticity
    assert found.answer is RecoveryAnswer.SIGNS
    assert load_results(out / "authenticity.json") == found
    assert found.settings["distance"] == "pixels"
    cosine = [each.cosine.median for each in found.sets if each.cosine is not None]
    assert cosine[2] < cosine[0] < cosine[1]
    rows = list(csv.DictReader((out / "pairs.csv").read_text().splitlines()))
    assert len(rows) == 42
    assert (rows[0]["set"], rows[0]["image"], rows[0]["group"]) == (
        "train",
        "train/0.png",
        "train 0",
    )
    with Image.open(out / "pairs.png") as picture:
        assert picture.width > 8 * 64
    text = "\n".join(result.lines())
    assert "signs of memorisation: the generator reaches its training images" in text
    assert "do not share it" in text


def test_alike_sets_show_nothing(tmp_path: Path) -> None:
    train = projected(tmp_path / "t", "train", far=8)
    held_out = projected(tmp_path / "h", "test", far=8)
    out = tmp_path / "out"
    found = synthograph.authenticity(**options(train, held_out / "projections.json", out))
    assert found.authenticity.answer is RecoveryAnswer.NOT_SHOWN
    assert found.authenticity.recoverable is None
    assert "own images were not projected" in "\n".join(found.lines())
    with pytest.raises(UserError, match="exists"):
        synthograph.authenticity(**options(train, held_out, out))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 20}, "its steps is 20, that of .* is 10: project all sets with the same"),
        ({"network": "1"}, "its network is 1"),
        ({"minimised": "features"}, "its minimised distance is features"),
        ({"space": "w+"}, "which can fit any image"),
    ],
)
def test_projections_that_cannot_be_compared_are_refused(
    tmp_path: Path, changes: dict[str, object], message: str
) -> None:
    train = projected(tmp_path / "t", "train", far=4, count=2)
    held_out = projected(tmp_path / "h", "test", far=4, count=2, **changes)
    with pytest.raises(UserError, match=message):
        synthograph.authenticity(**options(train, held_out, tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_wrong_sides_and_missing_options_are_refused(tmp_path: Path) -> None:
    train = projected(tmp_path / "t", "train", far=4, count=2)
    held_out = projected(tmp_path / "h", "test", far=4, count=2)
    given = options(held_out, train, tmp_path / "out")
    with pytest.raises(
        UserError, match=r"2 of its images are of split test, so they are not train"
    ):
        synthograph.authenticity(**given)
    with pytest.raises(UserError, match="give --train and --held-out"):
        synthograph.authenticity(train=train, outdir=tmp_path / "out")
    with pytest.raises(UserError, match="--network goes with --archive"):
        synthograph.authenticity(**options(train, held_out, tmp_path / "out", network=train))
    found = Projections.load(train / "projections.json")
    strange = found.projections[0].replace(target="../secret.png")
    found.replace(projections=(strange, *found.projections[1:])).save(train / "projections.json")
    with pytest.raises(UserError, match="does not lie beside it"):
        synthograph.authenticity(**options(train, held_out, tmp_path / "out"))


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    path = make_archive(
        tmp_path / "cells.zip",
        count=48,
        modalities={"vis": 3, "nir": 1},
        classes=("a b", "c/d"),
    )
    split_archive(path, SplitOptions(test=0.5, val=0.0))
    return path


def trained_on(cells: Path, split: str, folder: Path) -> Path:
    """An untrained network that says it saw a split."""
    seen = open_rows(f"{cells}:{split}").groups
    kind = {"vis": 3, "nir": 1}
    return network(folder / "net", kind, ("a b", "c/d"), 8, side=16, groups=list(seen))


@pytest.mark.slow
def test_it_projects_itself(cells: Path, tmp_path: Path) -> None:
    net, out = trained_on(cells, "train", tmp_path), tmp_path / "out"
    asked = {"network": net, "archive": str(cells), "outdir": out, "num": 5, "steps": 1}
    found = synthograph.authenticity(**asked, device="cpu").authenticity
    assert [each.role for each in found.sets] == ["train", "held-out", "own"]
    assert [each.size.images for each in found.sets] == [5, 5, 5]
    assert (out / "held-out" / "nir").is_dir()


@pytest.mark.parametrize(
    ("count", "images", "words"),
    [
        (16, 8, "of 4 groups, at least 5 .*: there are 4 in all: split the archive into larger"),
        (24, 5, "of [34] groups, at least 5 .*: take more than --num 5 images"),
    ],
)
def test_too_few_groups_are_known_before_the_long_work(
    tmp_path: Path, count: int, images: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(project, "run", None)
    path = make_archive(tmp_path / "few.zip", count=count, modalities={"vis": 3, "nir": 1})
    split_archive(path, SplitOptions(test=0.5, val=0.0))
    net = trained_on(path, "train", tmp_path)
    with pytest.raises(UserError, match=words):
        synthograph.authenticity(network=net, archive=str(path), outdir=tmp_path, num=images)
    assert not (tmp_path / "own.zip").exists()


def test_it_goes_on_with_what_is_projected(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net, out = trained_on(cells, "train", tmp_path), tmp_path / "out"
    done: list[str] = []

    def made(asked: ProjectRequest, **_: object) -> None:
        """Projects the first two sets and is stopped at the third one."""
        done.append(asked.outdir.name)
        if len(done) == 3:
            raise StoppedError("stopped after 0 of 5. Continue with: synthograph project")
        split = "train" if asked.target.endswith(":train") else "test"
        split = None if asked.target.endswith("own.zip") else split
        path = projected(asked.outdir, split, far=5, count=5) / "projections.json"
        Projections.load(path).replace(
            network_sha256=load(net).sha256,
            data=ImageRecord(archive=asked.target),
            method=METHOD.replace(steps=asked.steps),
        ).save(path)

    monkeypatch.setattr(project, "run", made)
    asked = {"network": net, "archive": str(cells), "outdir": out, "num": 5, "device": "cpu"}
    with pytest.raises(StoppedError, match=r"Continue with: synthograph authenticity .*--num 5"):
        synthograph.authenticity(**asked)
    with pytest.raises(UserError, match="another network, archive, number, seed or steps"):
        synthograph.authenticity(**asked, steps=3)
    with pytest.raises(UserError, match=r"own\.zip: holds images of another network, or another"):
        synthograph.authenticity(**{**asked, "num": 6})
    found = synthograph.authenticity(**asked).authenticity
    assert done == ["train", "held-out", "own", "own"]
    assert [each.size.images for each in found.sets] == [5, 5, 5]
    with pytest.raises(UserError, match=r"authenticity\.json"):
        synthograph.authenticity(**asked)


def test_a_dry_run_projects_nothing(
    cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plans: list[ProjectRequest] = []
    monkeypatch.setattr(project, "run", lambda asked, **_: plans.append(asked))
    net, out = trained_on(cells, "train", tmp_path), tmp_path / "out"
    asked = {"network": net, "archive": str(cells), "outdir": out, "device": "cpu"}
    assert synthograph.authenticity(**asked, dry_run=True) is None
    assert [each.target for each in plans] == [f"{cells}:train", f"{cells}:test"]
    assert all(each.dry_run for each in plans)
    assert not out.exists()


def test_images_that_the_network_saw_are_not_held_out(cells: Path, tmp_path: Path) -> None:
    net = trained_on(cells, "test", tmp_path)
    asked = {"network": net, "outdir": tmp_path / "out"}
    with pytest.raises(UserError, match="these are no held-out images"):
        synthograph.authenticity(**asked, archive=str(cells))
    with pytest.raises(UserError, match="name no split here"):
        synthograph.authenticity(**asked, archive=f"{cells}:test")
