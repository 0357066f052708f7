"""Images that a judge leaves out: counted, named, and the same whoever made which part."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from synthograph.archive.parts import Part
from synthograph.archive.reader import open_archive
from synthograph.core.errors import UserError
from synthograph.sampling.generate import ImageRequest, RejectionRule, generate_archive, jobs_of
from tests.sampling.test_generate import make_snapshot


def bright(pixels: Sequence[np.ndarray]) -> list[bool]:
    return [int(each.sum()) % 3 == 0 for each in pixels]


def test_left_out_images_are_counted_and_named(tmp_path: Path) -> None:
    snapshot = make_snapshot(tmp_path / "snapshots")
    request = ImageRequest(jobs_of(range(12), ["a b", "c/d"]), batch=4)
    reject = RejectionRule(bright, {"name": "thirds"})
    count = generate_archive(snapshot, request, tmp_path / "a.zip", reject=reject)
    archive = open_archive(tmp_path / "a.zip")
    record = archive.info.snapshots[0]["rejected"]
    assert 0 < count < 24
    assert record["by"] == {"name": "thirds"}
    assert len(archive.rows) == count == 24 - record["images"]
    kept = {(int(row.columns["seed"]), row.label) for row in archive.rows}
    assert kept | {(seed, label) for seed, label in record["seeds"]} == set(request.jobs)

    for number in (2, 1):
        generate_archive(snapshot, request, tmp_path / "b.zip", reject=reject, part=Part(number, 2))
    generate_archive(snapshot, request, tmp_path / "b.zip", reject=reject)
    assert (tmp_path / "b.zip").read_bytes() == (tmp_path / "a.zip").read_bytes()


def test_another_judge_does_not_go_on(tmp_path: Path) -> None:
    snapshot = make_snapshot(tmp_path / "snapshots")
    request = ImageRequest(jobs_of(range(4), ["a b"]), batch=2)

    def broken(pixels: Sequence[np.ndarray]) -> list[bool]:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        generate_archive(
            snapshot, request, tmp_path / "a.zip", reject=RejectionRule(broken, {"n": 1})
        )
    with pytest.raises(UserError, match="another command"):
        generate_archive(snapshot, request, tmp_path / "a.zip")
