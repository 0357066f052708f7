"""Equal images: sets, pairs, and the groups that they join."""

from collections.abc import Callable

from synthograph.archive.copies import RepeatedImages, copies_of, find_copies, joined_groups
from synthograph.archive.manifest import SOURCE_FILE, Row
from synthograph.archive.reader import Archive

ROWS = [Row(f"{n}.png", "ab"[n // 4], f"p{n}", columns={SOURCE_FILE: f"x{n}"}) for n in range(6)]


def test_sets_of_equal_digests() -> None:
    copies = copies_of(ROWS, ["d", "e", "d", None, None, "d"])
    assert copies.sets == [[ROWS[0], ROWS[2], ROWS[5]]] and copies.count == 2
    assert copies.named() == "x2 = x0, x5 = x0"
    assert copies.across("group").count == 2 and copies.across("label").count == 2
    assert not copies.across("split").sets


def test_chains_of_equal_images_join_all_their_groups() -> None:
    copies = RepeatedImages([ROWS[1:3], ROWS[2:4], [ROWS[5], ROWS[0]]])
    joined = joined_groups(ROWS, copies)
    assert joined == {"p0": "p0", "p5": "p0", "p1": "p1", "p2": "p1", "p3": "p1", "p4": "p4"}


def test_two_spellings_of_a_patient_are_joined() -> None:
    names = ["P 1", "p01", "p1", "P2"]
    rows = [Row(f"{n}.png", None, name) for n, name in enumerate(names)]
    joined = joined_groups(rows, RepeatedImages([]))
    assert joined == {"P 1": "P 1", "p01": "P 1", "p1": "P 1", "P2": "P2"}


def test_an_archive_of_different_images_has_none(
    make_archive: Callable[..., Archive],
) -> None:
    assert not find_copies(make_archive(count=8)).sets
