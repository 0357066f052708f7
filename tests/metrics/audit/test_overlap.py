"""Shared images are found by content, and a clean hold-out shares none."""

import json
from pathlib import Path

import numpy as np

from synthograph.metrics.audit.overlap import content_overlap
from tests.metrics.audit.pictures import as_set, texture


def test_shared_images_are_found(tmp_path: Path) -> None:
    train, holdout = texture(80, 1), texture(40, 2)
    holdout[4], holdout[9] = train[7], np.rot90(train[8], axes=(1, 2))
    found = content_overlap(as_set(train, "a"), as_set(holdout, "b"), folder=tmp_path)
    assert {pair[:2] for pair in found.pairs} == {(4, 7), (9, 8)}
    assert found.share == 2 / 40
    assert found.identical == (4,)
    assert found.interval[0] < found.share < found.interval[1]
    json.dumps(found.json(), allow_nan=False)


def test_a_clean_holdout_shares_nothing(tmp_path: Path) -> None:
    found = content_overlap(
        as_set(texture(80, 1), "a"), as_set(texture(40, 2), "b"), folder=tmp_path
    )
    assert found.share == 0
    assert found.pairs == ()


def test_duplicates_in_training_are_named_and_hide_nothing(tmp_path: Path) -> None:
    train, holdout = texture(100, 1), texture(40, 2)
    train[1], train[3], holdout[5] = train[0], train[2], train[50]
    found = content_overlap(as_set(train, "a"), as_set(holdout, "b"), folder=tmp_path)
    assert [pair[:2] for pair in found.pairs] == [(5, 50)]
    assert "4 of 100" in found.notes[0]
