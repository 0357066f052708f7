"""Shared images are found by content, and a clean hold-out shares none."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import binom

from synthograph.core.errors import UserError
from synthograph.metrics.audit.overlap import OVERLAP_ALPHA, by_chance, content_overlap
from synthograph.metrics.audit.search import Index
from tests.metrics.audit.pictures import as_set, texture


def test_shared_images_are_found(tmp_path: Path) -> None:
    train, holdout = texture(80, 1), texture(40, 2)
    holdout[4], holdout[9] = train[7], np.rot90(train[8], axes=(1, 2))
    found = content_overlap(Index(as_set(train, "a"), tmp_path), as_set(holdout, "b"))
    assert {pair[:2] for pair in found.pairs} == {(4, 7), (9, 8)}
    assert found.share == 2 / 40
    assert found.identical == (4,)
    assert found.interval[0] < found.share < found.interval[1]
    assert found.tree()["threshold"]["images"] == 80


def test_a_clean_holdout_shares_nothing(tmp_path: Path) -> None:
    found = content_overlap(
        Index(as_set(texture(80, 1), "a"), tmp_path), as_set(texture(40, 2), "b")
    )
    assert found.share == found.believed == 0 and found.p == 1
    assert found.pairs == ()


def test_one_false_alarm_among_few_images_is_not_believed(tmp_path: Path) -> None:
    train, holdout = texture(80, 1), texture(40, 2)
    holdout[9] = np.rot90(train[8], axes=(1, 2))
    one = content_overlap(Index(as_set(train, "a"), tmp_path), as_set(holdout, "b"))
    assert one.share == 1 / 40 and one.believed == 0
    assert one.p == pytest.approx(1 - 0.999**40, rel=1e-4)
    assert "false alarms alone" in one.sentence
    for place in (3, 4):
        holdout[place] = np.rot90(train[place], axes=(1, 2))
    more = content_overlap(Index(as_set(train, "a"), tmp_path), as_set(holdout, "b"))
    assert more.believed == more.share == 3 / 40 and more.p < OVERLAP_ALPHA
    holdout[:] = texture(40, 2)
    holdout[5] = train[5]
    equal = content_overlap(Index(as_set(train, "a"), tmp_path), as_set(holdout, "b"))
    assert equal.believed == equal.share == 1 / 40, "an equal image is no false alarm"


def test_empty_images_of_both_sides_say_nothing(tmp_path: Path) -> None:
    """The first and last slices of a volume are often black, whoever is shown."""
    train, holdout = texture(80, 1), texture(40, 2)
    train[::8] = holdout[::5] = 0
    holdout[3] = 40  # no training image has this colour
    holdout[9] = train[9]
    found = content_overlap(Index(as_set(train, "a"), tmp_path), as_set(holdout, "b"))
    assert found.identical == (9,) and [pair[:2] for pair in found.pairs] == [(9, 9)]
    assert found.share == found.believed == 1 / 31 and found.images == 31
    assert "9 images of b of one colour" in found.notes[0]
    holdout[:] = 0
    with pytest.raises(UserError, match="b: only 0 images have more than one colour"):
        content_overlap(Index(as_set(train, "a"), tmp_path), as_set(holdout, "b"))


def test_false_alarms_follow_the_binomial_law() -> None:
    for count, of in ((1, 20), (1, 99), (2, 99), (3, 150), (12, 1000)):
        assert by_chance(count, of) == pytest.approx(binom.sf(count - 1, of, 0.001))
    honest = [sum(binom.pmf(k, n, 0.001) for k in range(1, 9) if by_chance(k, n) < OVERLAP_ALPHA)
              for n in range(20, 200)]  # fmt: skip
    assert max(honest) < OVERLAP_ALPHA, "a hold-out that shares nothing is hardly ever refused"
    assert by_chance(0, 50) == 1.0


def test_duplicates_in_training_are_named_and_hide_nothing(tmp_path: Path) -> None:
    train, holdout = texture(100, 1), texture(40, 2)
    train[1], train[3], holdout[5] = train[0], train[2], train[50]
    found = content_overlap(Index(as_set(train, "a"), tmp_path), as_set(holdout, "b"))
    assert [pair[:2] for pair in found.pairs] == [(5, 50)]
    assert "4 of 100" in found.notes[0]
