"""`directions` from the archive to the sheet, with a network that drew the archive itself."""

import csv
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import synthograph
from synthograph.archive.batches import ImageSet
from synthograph.archive.manifest import Row
from synthograph.archive.reader import ArchiveInfo
from synthograph.archive.writer import ArchiveWriter, encode
from synthograph.core.errors import UserError
from synthograph.downstream.classifier import Classifier
from synthograph.models.snapshot import Snapshot
from synthograph.results import Directions, Projections, load
from synthograph.results.projection import Projection, ProjectionMethod
from synthograph.results.provenance import Features, ImageRecord
from synthograph.sampling.latents import (
    FoundOn,
    Latents,
    Rendering,
    Space,
    of_seeds,
    read,
    render,
    styles,
)
from synthograph.workflows import direction_search
from synthograph.workflows.classifying import Predicted
from tests.sampling.test_generate import make_snapshot

COUNT = 160
CLASSES = ("a b", "c/d")
FIRST = 50_000
"""Seed of the archive's first image."""


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return make_snapshot(tmp_path_factory.mktemp("network"))


@pytest.fixture(scope="module")
def drawn(snapshot: Snapshot, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of the network as real ones. Bright ones are of the second class; one column has the
    brightness, another one luck.
    """
    path, rng = tmp_path_factory.mktemp("archive") / "drawn.zip", np.random.default_rng(0)
    latents = of_seeds(snapshot, range(FIRST, FIRST + COUNT), CLASSES * (COUNT // 2))
    how = Rendering()
    images = [*render(snapshot, styles(snapshot, latents, how), latents.seeds, how)]
    middle = np.median([pixels.mean() for pixels in images])
    writer = ArchiveWriter(path, {"test": 1})
    for n, pixels in enumerate(images):
        columns = {"bright": f"{pixels.mean():.3f}", "luck": f"{rng.normal():.3f}"}
        parts = {"vis": pixels[:3].transpose(1, 2, 0), "nir": pixels[3:].transpose(1, 2, 0)}
        label = CLASSES[int(pixels.mean() > middle)]  # whatever it was drawn with
        writer.add([encode(parts, None, Row("", label, f"P{n // 2}", columns=columns))])
    writer.finish(ArchiveInfo(classes=list(CLASSES), spec=snapshot.info.spec, namespace="test"))
    return path


def asked(snapshot: Snapshot, drawn: Path, outdir: Path, **more: object) -> dict[str, object]:
    usual = {"column": "bright", "num": 300, "fresh": 12, "steps": 3}
    return {
        "network": snapshot.path,
        "archive": str(drawn),
        "outdir": outdir,
        "device": "cpu",
        **usual,
        **more,
    }


def test_what_makes_images_bright_is_found_and_measured(
    snapshot: Snapshot, drawn: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    result = synthograph.directions(**asked(snapshot, drawn, out))
    found = result.directions
    assert load(out / "directions.json") == found
    assert isinstance(found, Directions)
    first = found.moved[0]
    assert (first.column, first.cosine) == ("bright", pytest.approx(1))
    assert first.moves
    assert first.change > found.chance
    assert found.fit.value > 0.8
    assert "luck" in found.left_out
    text = "\n".join(result.lines())
    assert "bright moves along the direction" in text
    assert (out / "steps.png").read_bytes().startswith(b"\x89PNG")
    rows = list(csv.DictReader((out / "steps.csv").read_text().splitlines()))
    assert [row["step"] for row in rows[:3]] == ["-3", "0", "3"]
    assert float(rows[0]["change"]) < 0 < float(rows[2]["change"])


def test_its_latents_are_drawn_by_other_tools(
    snapshot: Snapshot, drawn: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    synthograph.directions(**asked(snapshot, drawn, out))
    along = read(out / "direction.npz", snapshot)
    assert along.names == ("step-3", "step+0", "step+3")
    assert along.space is Space.W
    means = [pixels.mean() for pixels in render(snapshot, along.values, along.seeds, Rendering())]
    assert means == sorted(means)
    synthograph.generate(
        network=snapshot.path, latents=(out / "moved.npz",), outdir=tmp_path / "pictures"
    )
    assert len(list((tmp_path / "pictures").glob("*.png"))) == 18
    again = tmp_path / "again"
    synthograph.directions(**asked(snapshot, drawn, again, latents=out / "direction.npz"))
    assert len(read(again / "moved.npz", snapshot)) == 9


def test_a_class_is_found_by_what_samples_were_drawn_with(
    snapshot: Snapshot, drawn: Path, tmp_path: Path
) -> None:
    result = synthograph.directions(
        **asked(snapshot, drawn, tmp_path / "out", column="class", level="c/d")
    )
    assert result.directions.found_on == "300 samples, by the class that they were drawn with"
    assert result.directions.fit.measure == "AUROC"
    assert result.directions.fit.value > 0.9


@pytest.fixture
def projected(snapshot: Snapshot, drawn: Path, tmp_path: Path) -> Path:
    """Projections that equal the latents which the images were drawn of."""
    folder = tmp_path / "projected"
    folder.mkdir()
    rows = []
    for n in range(60):
        latent = of_seeds(snapshot, [FIRST + n], [CLASSES[n % 2]])
        some = styles(snapshot, latent, Rendering())
        kept = Latents(
            some,
            Space.W,
            latent.labels,
            latent.names,
            latent.seeds,
            found_on=FoundOn(frozenset([f"group{n // 2}"]), frozenset([f"image{n}"])),
        )
        kept.save(folder / f"{n}.npz", snapshot)
        name = f"00000/img{n:08d}.png"
        rows.append(
            Projection(
                file=name,
                group=f"P{n // 2}",
                latent=f"{n}.npz",
                psnr=30.0,
                ssim=None,
                ms_ssim=None,
                distance=0.1,
            )
        )
    Projections(
        network=snapshot.path.name,
        network_sha256=snapshot.sha256,
        method=ProjectionMethod(space="w", minimised="pixels", steps=10, seed=0, precision="fp32"),
        distance=Features(),
        data=ImageRecord(
            archive=str(drawn), images_hash=synthograph.inspect(drawn).json()["images_hash"]
        ),
        projections=tuple(rows),
        version="1",
    ).save(folder / "projections.json")
    return folder


def test_projections_say_the_column_themselves(
    snapshot: Snapshot, drawn: Path, projected: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    found = synthograph.directions(**asked(snapshot, drawn, out, projections=projected)).directions
    assert found.found_on == "60 projections"
    assert (found.fit.images, found.fit.groups) == (60, 30)
    assert found.moved[0].moves
    assert found.moved[0].change > found.chance
    assert "which may be of the groups that found the direction" in found.notes[0]


def test_what_a_direction_of_projections_moves_was_found_on_their_images(
    snapshot: Snapshot, drawn: Path, projected: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    other = replace(read(projected / "0.npz", snapshot), found_on=FoundOn(frozenset(["other"])))
    other.save(tmp_path / "other.npz", snapshot)
    given = asked(snapshot, drawn, out, projections=projected)
    synthograph.directions(**given, latents=tmp_path / "other.npz")
    along = read(out / "direction.npz", snapshot).found_on
    assert along.groups == {f"group{n}" for n in range(30)}
    assert along.images == {f"image{n}" for n in range(60)}
    assert read(out / "moved.npz", snapshot).found_on == along | other.found_on


def test_latents_without_a_class_are_refused_before_work(
    snapshot: Snapshot, drawn: Path, tmp_path: Path
) -> None:
    of_seeds(snapshot, [1, 2], [None, None]).save(tmp_path / "z.npz", snapshot)
    values = styles(snapshot, of_seeds(snapshot, [1], CLASSES[:1]), Rendering())
    Latents(values, Space.W, (None,), ("one",), (0,)).save(tmp_path / "w.npz", snapshot)
    pulled = {"trunc": 0.5, "trunc_center": "class"}
    for name, more in (("z.npz", {}), ("w.npz", pulled)):
        given = asked(
            snapshot, drawn, tmp_path / "out", latents=tmp_path / name, dry_run=True, **more
        )
        with pytest.raises(UserError, match="is conditional: name a class, --class a b or c/d"):
            synthograph.directions(**given)
        assert synthograph.directions(**given, of_class="a b") is None
    out = tmp_path / "out"
    synthograph.directions(
        **asked(snapshot, drawn, out, latents=tmp_path / "z.npz", of_class="c/d")
    )
    assert set(read(out / "moved.npz", snapshot).labels) == {"c/d"}


def tells_bright() -> Classifier:
    """A classifier whose header says its classes; `said` is what it says."""
    made = object.__new__(Classifier)
    object.__setattr__(made, "info", SimpleNamespace(classes=["a b", "c/d"]))
    return made


def said(model: object, extractor: object, images: ImageSet, tracks: object) -> Predicted:
    means = torch.cat([each.double().mean((1, 2, 3)) for each in images.batches()])
    share = (means / 255)[:, None]
    return Predicted(torch.cat((1 - share, share), 1), torch.zeros(len(share)).double())


def test_a_classifier_scores_samples(
    snapshot: Snapshot, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direction_search.classifier, "load", lambda path: tells_bright())
    monkeypatch.setattr(direction_search, "extractor_of", lambda model, device: None)
    monkeypatch.setattr(direction_search, "predict", said)
    given = asked(snapshot, drawn, tmp_path / "out", classifier=Path("c.safetensors"))
    found = synthograph.directions(**{**given, "column": "class", "level": "c/d"}).directions
    assert found.found_on == "300 samples, scored by the classifier"
    assert found.fit.measure == "correlation"
    bright = next(each for each in found.moved if each.column == "bright")
    assert bright.moves
    assert bright.change > 0
    with pytest.raises(UserError, match="but not bright; leave it out"):
        synthograph.directions(**{**given, "outdir": tmp_path / "other"})


def test_projections_of_another_network_or_archive_are_refused(
    snapshot: Snapshot, drawn: Path, projected: Path, tmp_path: Path
) -> None:
    path = projected / "projections.json"
    found = Projections.load(path)
    found.replace(network_sha256="0" * 64).save(path)
    given = asked(snapshot, drawn, tmp_path / "out", projections=path)
    with pytest.raises(UserError, match="give the network of both"):
        synthograph.directions(**given)
    for images_hash in ("0" * 64, None):  # None where images were brought to another size
        found.replace(data=found.data.replace(images_hash=images_hash)).save(path)
        with pytest.raises(UserError, match=r"images are others than those of .*drawn\.zip"):
            synthograph.directions(**given)
    other = tuple(each.replace(file=f"x{each.file}") for each in found.projections)
    found.replace(projections=other).save(path)
    with pytest.raises(UserError, match=r"none of its images is in drawn\.zip"):
        synthograph.directions(**given)
    tuned = found.method.replace(space="pti")
    found.replace(method=tuned).save(path)
    with pytest.raises(UserError, match="tuned a generator for every image"):
        synthograph.directions(**given)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"column": "luck"}, "luck cannot be read from images by 16x16 pixels"),
        ({"column": "brigt"}, "did you mean 'bright'"),
        ({"steps": 4}, "an odd number"),
        ({"of_class": "z"}, "z"),
    ],
)
def test_bad_input_is_one_line(
    snapshot: Snapshot, drawn: Path, tmp_path: Path, more: dict[str, object], message: str
) -> None:
    out = tmp_path / "out"
    with pytest.raises(UserError, match=message) as error:
        synthograph.directions(**asked(snapshot, drawn, out, **more))
    assert "\n" not in str(error.value)
    assert not out.exists()


def test_a_dry_run_writes_nothing(
    snapshot: Snapshot, drawn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert synthograph.directions(**asked(snapshot, drawn, out, dry_run=True)) is None
    assert not out.exists()
    text = capsys.readouterr().out
    assert "images to draw: 1336, read by 16x16 pixels" in text
    assert "will take about" in text
