"""Which generator serves which fold and draw of a study."""

from pathlib import Path

import pytest

from synthograph.archive.copies import NO_REPEATS
from synthograph.archive.reader import open_archive
from synthograph.core.errors import UserError
from synthograph.metrics.overlap import Trained
from synthograph.workflows.study_checks import Source, assign_sources, folds_together, notes
from synthograph.workflows.study_folds import make_folds
from synthograph.workflows.study_settings import StudySettings
from tests.conftest import make_archive


def test_two_sets_of_one_network_are_not_two_trainings(tmp_path: Path) -> None:
    archive = open_archive(make_archive(tmp_path / "set.zip", count=40))
    settings = StudySettings.parse({"data": "set.zip", "folds": 2, "draws": 2})
    folds = make_folds(archive, settings, NO_REPEATS)

    def made(name: str, *networks: str) -> Source:
        kind = archive.info.spec
        return Source(Path(name), Trained(frozenset()), kind, {}, networks=frozenset(networks))

    one, again, other = made("a.zip", "1f"), made("b.zip", "1f", "2e"), made("c.zip", "3d")
    with pytest.raises(UserError, match=r"b\.zip: is of the same network as a\.zip: 1 of 2"):
        assign_sources(settings, [one, again], folds)
    found = assign_sources(settings, [one, again, other], folds)
    assert [found[fold.number, draw] for fold in folds for draw in (0, 1)] == [one, other] * 2
    assert folds_together(found) == [{0, 1}]
    (note,) = notes(settings, archive, {}, [one, other], found)
    assert note.startswith("one generator serves folds 0, 1: what it does by chance")
    unknown = [made("d.zip"), made("e.zip")]  # of other programs, which name no network
    assert set(assign_sources(settings, unknown, folds).values()) == set(unknown)


def test_folds_belong_together_where_one_network_serves_them(tmp_path: Path) -> None:
    spec = open_archive(make_archive(tmp_path / "set.zip", count=8)).info.spec

    def made(name: str, *networks: str) -> Source:
        return Source(Path(name), Trained(frozenset()), spec, {}, networks=frozenset(networks))

    one, again, other, third = made("a", "1f"), made("b", "1f"), made("c"), made("d")
    assert folds_together({}) == []
    assert folds_together({(0, 0): one, (1, 0): other, (2, 0): third}) == []
    found = {(0, 0): one, (1, 0): again, (2, 0): other, (3, 0): other, (4, 0): third}
    assert folds_together(found) == [{0, 1}, {2, 3}]
    assert folds_together({**found, (1, 1): other}) == [{0, 1, 2, 3}]


def test_a_generator_that_serves_several_folds_is_the_same_draw_in_all(tmp_path: Path) -> None:
    """Whatever the order in the study file: folds in which it is another draw could not be moved
    together.
    """
    archive = open_archive(make_archive(tmp_path / "set.zip", count=40))
    settings = StudySettings.parse({"data": "set.zip", "folds": 2, "draws": 2})
    folds = make_folds(archive, settings, NO_REPEATS)

    train, test = ([set(each.part(part).groups) for each in folds] for part in ("train", "test"))

    def made(name: str, saw: set[str]) -> Source:
        return Source(Path(name), Trained(frozenset(saw)), archive.info.spec, {})

    first, second = made("a.zip", train[0] & test[1]), made("c.zip", train[1] & test[0])
    whole = made("b.zip", set())
    assert first.trained.groups and second.trained.groups
    found = assign_sources(settings, [first, whole, second], folds)
    assert found == {(0, 0): whole, (0, 1): first, (1, 0): whole, (1, 1): second}
