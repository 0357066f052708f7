"""Projection of archives and files: what is written, how it goes on, and what is refused."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import synthograph
from synthograph.archive.png import encode_png
from synthograph.core import animations
from synthograph.core.errors import StoppedError, UserError
from synthograph.core.progress import Printed
from synthograph.results.projection import NO_ANONYMISATION, Projection, Projections
from synthograph.sampling.projection import Projector
from synthograph.workflows import project_search
from synthograph.workflows.project_files import percentile, with_percentiles
from synthograph.workflows.project_targets import target_names
from synthograph.workflows.projected import ProjectedSet
from tests.conftest import NVIDIA, make_archive
from tests.sampling.test_generate import make_snapshot

NETWORK = NVIDIA / "cond2_rgb_32.pkl"
CLASSES = tuple(synthograph.load(NETWORK).info.classes)
FEW = {"steps": 3, "distance": "pixels", "device": "cpu", "precision": "fp32"}


@pytest.fixture
def targets(tmp_path: Path) -> Path:
    return make_archive(tmp_path / "set.zip", count=5, size=(32, 32), classes=CLASSES, split="val")


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path))


def test_files_of_every_target_and_of_all(targets: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    made = synthograph.project(network=NETWORK, target=f"{targets}:val", outdir=folder, **FEW)
    names = [f"img{k:08d}" for k in range(5)]
    kinds = (".from.png", ".to.png", ".npz", ".json")
    of_all = {"projections.json", "projections.csv", "projections.png"}
    assert {p.name for p in folder.iterdir()} == {n + k for n in names for k in kinds} | of_all
    found = Projections.load(folder / "projections.json")
    assert found == made.found
    assert found.held_out == 5 and found.notes == (NO_ANONYMISATION,)
    assert (found.method.space, found.method.minimised) == ("w", "pixels")
    assert found.data.images_hash == synthograph.inspect(targets).json()["images_hash"]
    first = found.projections[0]
    assert (first.group, first.split, first.label) == ("P0", "val", CLASSES[0])
    apart = pixels(folder / first.target).astype(float) - pixels(folder / first.result)
    assert first.psnr == pytest.approx(10 * np.log10(255**2 / (apart**2).mean()), rel=1e-6)
    rows = list(csv.DictReader((folder / "projections.csv").read_text().splitlines()))
    assert [float(row["distance"]) for row in rows] == [p.distance for p in found.projections]
    assert json.loads((folder / "img00000000.json").read_text())["psnr"] == first.psnr
    assert NO_ANONYMISATION in repr(made) and "How near cond2_rgb_32.pkl comes" in repr(made)
    assert found.command.startswith("synthograph project --network")
    assert found.public().projections[0].file == "" == found.public().projections[0].latent


def test_a_file_that_cannot_be_a_target(tmp_path: Path) -> None:
    """The message names neither a folder that is gone again nor an option of another verb."""
    Image.fromarray(np.zeros((40, 40), np.uint16)).save(tmp_path / "deep.png")
    how = {"network": NETWORK, "of_class": "0", "outdir": tmp_path / "out", **FEW}
    with pytest.raises(UserError) as refused:
        synthograph.project(target=tmp_path / "deep.png", **how)
    assert str(refused.value) == (
        "no image is left: deep.png: 16-bit grey has no RGB form in an archive; save it with 8 bits"
    )


def test_generate_draws_the_projection_from_its_styles(targets: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    synthograph.project(network=NETWORK, target=targets, num=1, outdir=folder, **FEW)
    (styles,) = folder.glob("*.npz")
    with np.load(styles) as stored:
        assert stored["w"].shape[0] == 1 and stored["w"].ndim == 3
    synthograph.generate(network=NETWORK, projected_w=styles, outdir=tmp_path / "again")
    (again,) = (tmp_path / "again").glob("*.png")
    assert again.read_bytes() == styles.with_suffix(".to.png").read_bytes()


def test_parts_equal_the_whole(targets: Path, tmp_path: Path) -> None:
    asked = {"network": NETWORK, "target": str(targets), **FEW}
    whole = synthograph.project(outdir=tmp_path / "whole", batch=5, **asked).found
    second = synthograph.project(outdir=tmp_path / "parts", part="2/2", **asked)
    assert second.found is None and repr(second).endswith("3 targets of part 2/2")
    first = synthograph.project(outdir=tmp_path / "parts", part="1/2", **asked)
    assert [p.file for p in first.found.projections] == [p.file for p in whole.projections]
    for one, other in zip(first.found.projections, whole.projections, strict=True):
        assert one.distance == pytest.approx(other.distance, rel=1e-2)
    assert not list((tmp_path / "parts").glob(".unfinished*"))


def test_an_interrupted_search_keeps_what_is_done(
    targets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, project = tmp_path / "out", Projector.project
    asked = {"network": NETWORK, "target": str(targets), "outdir": folder, **FEW, "batch": 2}
    searched = []

    def until_the_second(self: Projector, some: object, **more: object) -> object:
        searched.append(len(some))
        if searched.count(2) == 4:  # two for the plan, then the batches
            raise StoppedError("stopped on request (SIGTERM)")
        return project(self, some, **more)

    monkeypatch.setattr(Projector, "project", until_the_second)
    with pytest.raises(StoppedError, match=r"Continue with: synthograph project .* --batch 2"):
        synthograph.project(**asked)
    done = {path: path.stat().st_mtime_ns for path in folder.glob("img*.json")}
    assert len(done) == 2 and not (folder / "projections.json").exists()
    with pytest.raises(UserError, match="another `project` was interrupted here"):
        synthograph.project(**{**asked, "seed": 1})
    searched.clear()
    made = synthograph.project(**{**asked, "batch": 3})
    assert len(made.found.projections) == 5 and searched[-1] == 3
    assert all(path.stat().st_mtime_ns == time for path, time in done.items())
    with pytest.raises(UserError, match="holds finished projections"):
        synthograph.project(**asked)


def test_pivotal_tuning_saves_a_network_that_draws_the_target(
    targets: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    asked = {"network": NETWORK, "target": targets, "num": 1, "space": "pti", "tuning_steps": 4}
    (found,) = synthograph.project(outdir=folder, **asked, **FEW).found.projections
    network = synthograph.load(folder / found.generator)
    assert network.info.initialised_from["sha256"] == synthograph.load(NETWORK).sha256
    assert len(network.info.image_digests) == 1 == len(network.info.group_digests)
    styles = folder / found.latent
    synthograph.generate(network=network.path, projected_w=styles, outdir=tmp_path / "again")
    (again,) = (tmp_path / "again").glob("*.png")
    assert again.read_bytes() == (folder / found.result).read_bytes()
    with pytest.raises(UserError, match="bound to the network"):
        synthograph.generate(network=NETWORK, projected_w=styles, outdir=tmp_path / "other")


def test_files_of_another_size_and_colour(tmp_path: Path) -> None:
    """Cropped about the centre, resized with the Lanczos filter, grey to colour."""
    images = tmp_path / "images"
    images.mkdir()
    grey = np.random.default_rng(0).integers(0, 256, (64, 80, 1)).astype(np.uint8)
    (images / "a.png").write_bytes(encode_png(grey))
    made = synthograph.project(
        network=NETWORK, target=images / "a.png", of_class="1", outdir=tmp_path / "one", **FEW
    )
    cropped = Image.fromarray(grey[:, 8:72, 0]).resize((32, 32), Image.Resampling.LANCZOS)
    expected = np.repeat(np.asarray(cropped)[:, :, None], 3, axis=2)
    np.testing.assert_array_equal(pixels(tmp_path / "one/a.from.png"), expected)
    (found,) = made.found.projections
    assert (found.file, found.label, found.percentile) == ("a.png", CLASSES[1], None)
    assert made.found.resizing.startswith("center-crop, Lanczos")
    shutil.copy(images / "a.png", images / "b.png")
    (images / "broken.png").write_bytes(b"no image")
    made = synthograph.project(
        network=NETWORK, target=images, of_class="1", outdir=tmp_path / "two", **FEW
    )
    assert [p.file for p in made.found.projections] == ["a.png", "b.png"]
    assert "1 file was left out: broken.png" in repr(made)


def test_two_modalities_and_16_bits(tmp_path: Path) -> None:
    network = make_snapshot(tmp_path / "net", size=(16, 24), classes=())
    target = make_archive(
        tmp_path / "a.zip", count=1, size=(16, 24), modalities={"vis": 3, "nir": 1}, classes=()
    )
    two = synthograph.project(
        network=network.path, target=target, outdir=tmp_path / "two", **FEW
    ).found
    assert two.modalities == ("vis", "nir")
    shutil.copytree(tmp_path / "two/nir", tmp_path / "two/depth")
    encoded = encode_png(np.full((16, 24, 1), 7, np.uint8))
    (tmp_path / "two/depth/img00000000.to.png").write_bytes(encoded)
    for modalities, first in ((("vis", "nir", "depth"), False), ((), True)):
        there = ProjectedSet(tmp_path / "two/projections.json", two.replace(modalities=modalities))
        values = there.pixels("img00000000.to.png")
        assert ((values[3] == 7).all(), (values[4] == 7).all()) == (first, not first)
    assert pixels(tmp_path / "two/img00000000.to.png").shape == (16, 24, 3)
    assert pixels(tmp_path / "two/nir/img00000000.from.png").shape == (16, 24)
    deep = make_snapshot(tmp_path / "deep", size=(16, 16), bits=16, classes=())
    target = make_archive(
        tmp_path / "b.zip", count=1, size=(32, 32), modalities={"ct": 3}, classes=()
    )
    made = synthograph.project(network=deep.path, target=target, outdir=tmp_path / "deep2", **FEW)
    assert pixels(tmp_path / "deep2/img00000000.from.png").dtype == np.uint16
    assert "bit depth" in made.found.resizing


def test_progress_video(targets: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    synthograph.project(network=NETWORK, target=targets, num=1, video="webp", outdir=folder, **FEW)
    (film,) = folder.glob("*.webp")
    with Image.open(film) as frames:
        assert 1 < frames.n_frames <= 4 and frames.size == (64, 32)  # equal ones are joined


def test_a_video_that_cannot_be_written_is_refused_before_the_search(
    targets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(animations.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="MP4 needs the package av"):
        synthograph.project(
            network=NETWORK, target=targets, video="mp4", outdir=tmp_path / "out", **FEW
        )
    assert not (tmp_path / "out").exists()


def test_more_parts_than_targets(targets: Path, tmp_path: Path) -> None:
    asked = {"network": NETWORK, "target": targets, "num": 1, "outdir": tmp_path / "out", **FEW}
    assert synthograph.project(**asked, part="1/3", dry_run=True) is None
    made = [synthograph.project(**asked, part=f"{k}/3") for k in (1, 2, 3)]
    assert [each.done for each in made] == [0, 0, 1] and made[-1].found is not None
    assert not list((tmp_path / "out").glob(".unfinished*"))


def test_dry_run_says_what_it_takes(
    targets: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {"network": NETWORK, "target": targets, "outdir": tmp_path / "out", **FEW}
    assert synthograph.project(**asked, space="pti", dry_run=True, progress=Printed()) is None
    said = capsys.readouterr().out
    assert "plan: 5 targets into pti" in said and "then 350 of a generator for each" in said
    assert "it will take about" in said and "a target" in said
    assert not (tmp_path / "out").exists()


def test_as_many_at_once_as_memory_allows(
    targets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = {"network": NETWORK, "target": targets, "outdir": tmp_path / "out", "dry_run": True}
    for free, at_once in ((1, 4), (1 << 40, 5), (None, 5)):
        monkeypatch.setattr(project_search, "free_memory", lambda device, free=free: free)
        lines = []
        listener = Printed()
        monkeypatch.setattr(listener, "log", lines.append)
        synthograph.project(**asked, **FEW, progress=listener)
        assert any(f"{at_once} at once" in line for line in lines)


def test_reference_of_held_out_images(targets: Path, tmp_path: Path) -> None:
    asked = {"network": NETWORK, "target": targets, **FEW}
    held_out = synthograph.project(outdir=tmp_path / "held", **asked).found
    file = tmp_path / "held/projections.json"
    found = synthograph.project(outdir=tmp_path / "train", reference=file, **asked).found
    assert found.held_out == 5 and found.reference == held_out.data
    assert sorted(p.percentile for p in found.projections) == [10, 30, 50, 70, 90]
    with pytest.raises(UserError, match=r"its space is w, here it is w\+"):
        synthograph.project(outdir=tmp_path / "x", reference=file, space="w+", **asked)
    for other, said in (
        ({"steps": 2}, "its steps is 3, here it is 2"),
        ({"distance": "random-vgg16"}, "its minimised distance is .*project held-out images"),
    ):
        with pytest.raises(UserError, match=said):
            synthograph.project(outdir=tmp_path / "x", reference=file, **{**asked, **other})


def test_percentiles() -> None:
    assert percentile(2, [1, 2, 3, 4]) == 37.5
    some = [
        Projection(psnr=1, ssim=0, ms_ssim=0, distance=d, split=s)
        for d, s in ((0.1, "train"), (0.2, "val"), (0.3, "val"), (0.4, "test"))
    ]
    placed, count = with_percentiles(some, None)
    assert count == 2 and [p.percentile for p in placed] == [0, 0, 100, 100]
    assert [p.percentile for p in with_percentiles(some[:1], None)[0]] == [None]


def test_names_of_files() -> None:
    assert target_names(["a/x.png", "a/y.png"]) == ["x", "y"]
    assert target_names(["a/x.png", "b/X.png"]) == ["a-x", "b-X"]
    assert target_names(["a/x.png", "a/x.jpg"]) == ["0000-a-x", "0001-a-x"]
    assert target_names(["../../etc/pass wd"]) == ["pass-wd"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"outdir": "x.zip"}, "projections are files in a folder"),
        ({"target": "nowhere"}, "nowhere: is not there"),
        ({"of_class": "nope"}, "class 'nope' is unknown"),
        ({"distance": "lpips"}, "weights of vgg16 are not here"),
        ({"part": "3/2"}, "--part '3/2'"),
        ({"space": "z"}, "setting 'space'"),
        ({"reference": "nowhere.json"}, "nowhere.json: cannot be read"),
    ],
)
def test_refusals(targets: Path, tmp_path: Path, options: dict, words: str) -> None:
    asked = {"network": NETWORK, "target": targets, "outdir": tmp_path / "out", **FEW, **options}
    with pytest.raises(UserError, match=words):
        synthograph.project(**asked)
    assert not (tmp_path / "out").exists()


def test_targets_that_do_not_fit(tmp_path: Path) -> None:
    plain = make_archive(tmp_path / "plain.zip", count=2, size=(32, 32), classes=())
    other = make_archive(tmp_path / "other.zip", count=2, size=(32, 32), classes=("cat", "dog"))
    two = make_archive(
        tmp_path / "two.zip", count=2, size=(32, 32), modalities={"vis": 3, "nir": 1}, classes=()
    )
    for target, words in (
        (plain, f"has no class, and the network is conditional: give --class {CLASSES[0]}"),
        (other, "is of class 'cat', which the network does not know"),
        (two, "prepare an archive of those, with prepare --modality"),
    ):
        with pytest.raises(UserError, match=words):
            synthograph.project(network=NETWORK, target=target, outdir=tmp_path / "out", **FEW)
    network = make_snapshot(tmp_path / "net", size=(16, 16), classes=())
    image = tmp_path / "image.png"
    image.write_bytes(encode_png(np.zeros((16, 16, 3), np.uint8)))
    with pytest.raises(UserError, match="name an archive of exactly these"):
        synthograph.project(network=network.path, target=image, outdir=tmp_path / "out", **FEW)
    small = make_snapshot(tmp_path / "small", classes=())
    with pytest.raises(UserError, match="their features need 16 pixels a side"):
        synthograph.project(network=small.path, target=two, outdir=tmp_path / "out", **FEW)
