"""Masks of real images for their projections: those that agree, and nobody who is tested on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.random import RandomState

import synthograph as sg
from synthograph.archive.batches import open_rows
from synthograph.archive.manifest import Row
from synthograph.archive.reader import ArchiveInfo
from synthograph.archive.writer import ArchiveWriter, encode
from synthograph.core.errors import UserError
from synthograph.models.snapshot import Snapshot
from synthograph.results.projection import Projection, ProjectionMethod, Projections
from synthograph.results.provenance import Features, ImageRecord
from synthograph.sampling.latents import (
    FoundOn,
    Latents,
    Rendering,
    Space,
    of_seeds,
    render,
    styles,
)
from synthograph.sampling.pictures import by_modality
from synthograph.workflows.annotation_sets import OpenSet, drawn_digest
from tests.sampling.test_generate import make_snapshot

COUNT, OFF = 6, 2


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    return make_snapshot(tmp_path / "s", size=(16, 16))


def masks() -> list[np.ndarray]:
    return [RandomState(k).randint(0, 2, (16, 16)).astype(np.uint8) for k in range(COUNT)]


def real_images(snapshot: Snapshot, path: Path, *, flat: bool = False) -> Latents:
    """Images that the network can make exactly; the styles of the last are those of others."""
    latents = of_seeds(snapshot, range(COUNT), ["a b", "c/d"] * (COUNT // 2))
    ws = styles(snapshot, latents, Rendering())
    writer = ArchiveWriter(path, {})
    for k, pixels in enumerate(render(snapshot, ws, latents.seeds, Rendering())):
        split = "train" if k < COUNT - 1 else "test"
        row = Row("", latents.labels[k], f"patient{k}", split, None, "real", {})
        mask = None if k == 1 else masks()[k]
        pixels = np.full_like(pixels, 255) if flat else pixels
        writer.add([encode(by_modality(snapshot.info.spec, pixels), mask, row)])
    writer.finish(ArchiveInfo(classes=["a b", "c/d"], spec=snapshot.info.spec, namespace="n"))
    ws[OFF] = styles(snapshot, of_seeds(snapshot, [99], ["a b"]), Rendering())[0] * 3
    return Latents(ws, Space.W, latents.labels, latents.names, (0,) * COUNT)


def projected(snapshot: Snapshot, archive: Path, folder: Path, **changes: object) -> Path:
    """As `project` writes them."""
    latents = real_images(snapshot, archive)
    rows = open_rows(f"{archive}:train")
    folder.mkdir()
    found = []
    for k, row in enumerate(rows.rows):
        one = replace(latents.take(slice(k, k + 1)), found_on=FoundOn(frozenset({f"g{k}"})))
        one.save(folder / f"p{k}.npz", snapshot)
        found.append(
            Projection(
                file=row.file, latent=f"p{k}.npz", psnr=None, ssim=None, ms_ssim=None, distance=0
            )
        )
    about = Projections(
        network=snapshot.path.name,
        network_sha256=snapshot.sha256,
        method=ProjectionMethod(space="w+", minimised="x", steps=1, seed=0, precision="fp32"),
        distance=Features(),
        data=ImageRecord(archive=archive.name, images_hash=rows.archive.images_hash),
        projections=tuple(found),
        version="1",
    )
    about.replace(**changes).save(folder / "projections.json")
    return folder


def test_masks_of_real_images_for_their_projections(snapshot: Snapshot, tmp_path: Path) -> None:
    archive = tmp_path / "real.zip"
    folder = projected(snapshot, archive, tmp_path / "P")
    found = sg.annotate_from_real(
        network=snapshot.path,
        archive=str(archive),
        projections=folder,
        outdir=tmp_path / "A",
        classes=["background", "cell"],
    )
    rows = open_rows(f"{archive}:train")
    opened = OpenSet.read(tmp_path / "A")
    about = opened.about
    kept = [k for k in range(COUNT - 1) if k not in (1, OFF)]
    assert {each.fit.file for each in about.images if each.fit} == {rows.rows[k].file for k in kept}
    assert [each.name for each in about.classes] == ["background", "cell"]
    by_file = {row.file: k for k, row in enumerate(rows.rows)}
    for image in about.painted:
        assert image.fit is not None and image.fit.distance == 0 < image.fit.floor
        np.testing.assert_array_equal(opened.mask(image), masks()[by_file[image.fit.file]])
    assert all(drawn_digest(p) == i.digest for i, p in opened.redrawn(snapshot, "cpu"))
    wanted = {name for name, group in rows.groups.items() if group[7:] in map(str, kept)}
    assert {*about.groups} == wanted
    named = {e.fit.file: rows.groups[e.fit.group] for e in about.images if e.fit}
    assert named == {rows.rows[k].file: f"patient{k}" for k in kept}
    assert len(about.real_images) == len(kept)
    assert opened.latents(snapshot).found_on.groups == {f"g{k}" for k in kept}
    text = repr(found)
    assert "left out: 1 image that differ from their projections" in text
    assert "not used: 1 image without a mask" in text
    assert (tmp_path / "A" / "painted.png").is_file()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network_sha256": "0" * 64}, "name another folder with --projections"),
        ({"data": ImageRecord(images_hash="0")}, "whose images are others"),
        ({"projections": ()}, "none of its projections"),
        (
            {
                "method": ProjectionMethod(
                    space="pti", minimised="x", steps=1, seed=0, precision="fp32"
                )
            },
            "project with --space w or w",
        ),
    ],
)
def test_projections_of_something_else(
    changes: dict[str, object], message: str, snapshot: Snapshot, tmp_path: Path
) -> None:
    archive = tmp_path / "real.zip"
    folder = projected(snapshot, archive, tmp_path / "P", **changes)
    with pytest.raises(UserError, match=message):
        sg.annotate_from_real(
            network=snapshot.path, archive=str(archive), projections=folder, outdir=tmp_path / "A"
        )
    assert not (tmp_path / "A").exists()


def test_a_folder_without_projections_is_not_filled_with_them(
    snapshot: Snapshot, tmp_path: Path
) -> None:
    archive = tmp_path / "real.zip"
    real_images(snapshot, archive)
    (tmp_path / "own").mkdir()
    for name in ("own", "nowhere"):
        with pytest.raises(UserError, match="has no projections.json: name a folder"):
            sg.annotate_from_real(
                network=snapshot.path,
                archive=str(archive),
                projections=tmp_path / name,
                outdir=tmp_path / "A",
            )
    assert not list((tmp_path / "own").iterdir()) and not (tmp_path / "nowhere").exists()


def test_projects_what_is_not_there_and_keeps_nothing_that_disagrees(
    snapshot: Snapshot, tmp_path: Path
) -> None:
    real_images(snapshot, tmp_path / "real.zip", flat=True)
    asked = {"network": snapshot.path, "archive": str(tmp_path / "real.zip"), "steps": 1}
    assert sg.annotate_from_real(outdir=tmp_path / "A", dry_run=True, **asked) is None
    assert not [*tmp_path.glob("A*")]
    with pytest.raises(UserError, match="no projection is near enough"):
        sg.annotate_from_real(outdir=tmp_path / "A", **asked)
    assert (tmp_path / "A-projections" / "projections.json").is_file()
    assert sg.annotate_from_real(outdir=tmp_path / "A", dry_run=True, **asked) is None
    assert not (tmp_path / "A").exists(), "nothing but the projections was made"
    for changes, message in (
        ({"steps": 2}, "whose --steps is 1, not 2: remove this folder, or choose another --outdir"),
        ({"space": "w"}, r"whose --space is w\+, not w"),
        ({"num": 3}, "whose number of images is 5, not 3"),
        ({"archive": f"{asked['archive']}:test"}, "whose split is train, not test"),
        ({"network": make_snapshot(tmp_path / "t", size=(16, 16), w_dim=4).path}, "remove this"),
    ):
        with pytest.raises(UserError, match=message):
            sg.annotate_from_real(outdir=tmp_path / "A", **{**asked, **changes})
    with pytest.raises(UserError, match="no projection is near enough"):
        sg.annotate_from_real(
            outdir=tmp_path / "A", projections=tmp_path / "A-projections", **{**asked, "steps": 2}
        )
    assert not (tmp_path / "A").exists()


def test_the_limit_grows_until_enough_agree(snapshot: Snapshot, tmp_path: Path) -> None:
    folder = projected(snapshot, tmp_path / "real.zip", tmp_path / "P")
    asked = {"network": snapshot.path, "archive": str(tmp_path / "real.zip"), "projections": folder}
    found = sg.annotate_from_real(outdir=tmp_path / "A", least=3, **asked)
    assert found.max_move == 1 and len(found.about.painted) == 3
    assert {each.fit.pixels for each in found.about.images if each.fit} == {1}
    found = sg.annotate_from_real(outdir=tmp_path / "B", least=9, **asked)
    assert found.max_move == 1, "one of them agrees with nothing, so a looser limit is no use"
    assert len(found.about.painted) == 3 and "were moved by" not in repr(found)
    words = "warning: 3 of the 9 images that --least asks for agree; moved by more than 1 pixel"
    assert words in repr(found)


def test_images_of_another_size(snapshot: Snapshot, tmp_path: Path) -> None:
    real_images(snapshot, tmp_path / "real.zip")
    other = make_snapshot(tmp_path / "t")
    with pytest.raises(UserError, match="the network makes 8x8"):
        sg.annotate_from_real(
            network=other.path, archive=str(tmp_path / "real.zip"), outdir=tmp_path / "A"
        )
