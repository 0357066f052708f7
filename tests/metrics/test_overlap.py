"""No generator is judged by what it was trained on."""

import pytest

from synthograph.core.errors import UserError
from synthograph.metrics.overlap import refuse_overlap, same_names, trained_on

DOCUMENT = {"group_digests": ["g1"], "image_digests": ["i1"]}


@pytest.mark.parametrize(
    "document", [DOCUMENT, {"initialised_from": {"initialised_from": DOCUMENT}}]
)
def test_patients_that_were_seen_are_named(document: dict[str, object]) -> None:
    trained = trained_on([{}, document])
    with pytest.raises(UserError, match=r"set: 1 of its 2 groups were trained on, such as 'P1'"):
        refuse_overlap(trained, {"g1": "P1", "g2": "P2"}, {}, "set")


def test_copies_of_training_images_are_refused_and_a_few_are_told() -> None:
    trained = trained_on([DOCUMENT])
    images = {f"i{n}": f"{n}.png" for n in range(200)}
    assert refuse_overlap(trained, {"g9": "P"}, images, "set") == [
        "1 images of set equal training images, such as 1.png"
    ]
    with pytest.raises(UserError, match="1 of its 2 images equal training images"):
        refuse_overlap(trained, {"g9": "P"}, {"i1": "1.png", "i2": "2.png"}, "set")


def test_a_generator_that_does_not_say_cannot_be_checked() -> None:
    (note,) = refuse_overlap(trained_on([{}]), {"g1": "P1"}, {"i1": "1.png"}, "set")
    assert "cannot be checked" in note


def test_no_overlap_has_nothing_to_say() -> None:
    assert refuse_overlap(trained_on([DOCUMENT]), {"g2": "P2"}, {"i2": "2.png"}, "set") == []


def test_patients_of_one_name_in_two_archives_are_told() -> None:
    (note,) = same_names(["P1", "P2", "P3"], ["P3", "P4", "P2"], "other.zip", "cells.zip")
    assert note.startswith("2 of 3 groups of other.zip are called as groups that were trained on")
    assert "in cells.zip, such as 'P2', 'P3'" in note
    assert same_names(["P1"], ["P2"], "other.zip", "cells.zip") == []
