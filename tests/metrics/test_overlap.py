"""No generator is judged by what it was trained on."""

from pathlib import Path

import numpy as np
import pytest

from synthograph.archive.batches import ArchiveRows, open_rows
from synthograph.archive.manifest import Row
from synthograph.archive.reader import ArchiveInfo
from synthograph.archive.writer import ArchiveWriter, encode
from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.metrics.overlap import Trained, refuse_overlap, same_names, trained_on
from tests.conftest import make_archive

GROUPS = ["g1"]


@pytest.fixture
def held(archive: Path) -> ArchiveRows:
    """24 images of 12 patients."""
    return open_rows(str(archive))


@pytest.mark.parametrize("parents", [0, 2])
def test_patients_that_were_seen_are_named(held: ArchiveRows, parents: int) -> None:
    (digest,) = (digest for digest, name in held.groups.items() if name == "P1")
    document: dict[str, object] = {"group_digests": [digest], "image_digests": ["i1"]}
    for _ in range(parents):
        document = {"initialised_from": document}
    with pytest.raises(UserError, match=r"1 of its 12 groups were trained on, such as 'P1'"):
        refuse_overlap(trained_on([{}, document]), held)


def test_copies_of_training_images_are_refused_and_a_few_are_told(tmp_path: Path) -> None:
    many = open_rows(str(make_archive(tmp_path / "many.zip", count=120)))
    few = open_rows(str(make_archive(tmp_path / "few.zip", count=12)))
    assert set(few.pixels) < set(many.pixels)
    trained = trained_on([{"group_digests": GROUPS, "image_digests": [next(iter(few.pixels))]}])
    assert refuse_overlap(trained, many) == [
        "1 images of many.zip equal training images, such as 00000/img00000000.png"
    ]
    with pytest.raises(UserError, match="1 of its 12 images equal training images"):
        refuse_overlap(trained, few)


def test_empty_images_are_equal_by_chance(tmp_path: Path) -> None:
    writer = ArchiveWriter(tmp_path / "set.zip", {})
    rng = np.random.default_rng(0)
    for n in range(12):
        pixels = rng.integers(0, 255, (16, 16, 1)).astype(np.uint8) * (n > 2)
        writer.add([encode({"image": pixels}, None, Row("", None, f"P{n // 2}"))])
    spec = ImageSpec(height=16, width=16, modalities={"image": 1}, bits=8)
    writer.finish(ArchiveInfo(classes=[], spec=spec, namespace="test"))
    held = open_rows(str(tmp_path / "set.zip"))
    seen = Trained(frozenset(GROUPS), frozenset(held.digests[:3]))
    assert refuse_overlap(seen, held) == []
    with pytest.raises(UserError, match="1 of its 12 images equal training images"):
        refuse_overlap(Trained(frozenset(GROUPS), frozenset(held.digests[:4])), held)


def test_a_generator_that_does_not_say_cannot_be_checked(held: ArchiveRows) -> None:
    (note,) = refuse_overlap(trained_on([{}]), held)
    assert "cannot be checked" in note


def test_no_overlap_has_nothing_to_say(held: ArchiveRows) -> None:
    assert refuse_overlap(trained_on([{"group_digests": GROUPS}]), held) == []


def test_patients_of_one_name_in_two_archives_are_told() -> None:
    (note,) = same_names(["P1", "P2", "P3"], ["P3", "P4", "P2"], "other.zip", "cells.zip")
    assert note.startswith("2 of 3 groups of other.zip are called as groups that were trained on")
    assert "in cells.zip, such as 'P2', 'P3'" in note
    assert same_names(["P1"], ["P2"], "other.zip", "cells.zip") == []
