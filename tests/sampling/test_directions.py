"""Directions in the style space: columns as numbers, readers that must agree, vectors."""

import pytest
import torch

from synthograph.archive.manifest import Row
from synthograph.core.errors import UserError
from synthograph.core.seeds import Streams
from synthograph.sampling.directions import (
    Direction,
    Reading,
    Scorer,
    Trait,
    changes,
    moved,
    other_traits,
    shuffled_vectors,
    small_pixels,
    spread_along,
    trait_of,
)

AGES = ["41", "60.5", "", "33", "75"]
ROWS = [
    Row(f"{n}.png", "ab"[n % 2], f"P{n}", columns={"age": AGES[n], "sex": "mfmfm"[n], "eye": "l"})
    for n in range(5)
]


def test_a_column_of_numbers_leads_to_larger_ones() -> None:
    found = trait_of(ROWS, "age")
    assert found.values[found.known].tolist() == [41, 60.5, 33, 75]
    assert (found.title, found.known.tolist()) == ("age", [True, True, False, True, True])


def test_classes_and_names_lead_to_one_value() -> None:
    assert trait_of(ROWS, "class", "a").values.tolist() == [1, 0, 1, 0, 1]
    assert trait_of(ROWS, "sex").title == "sex m"
    assert trait_of(ROWS, "age", "41").values.nan_to_num(9).tolist() == [1, 0, 9, 0, 0]


def test_a_column_or_value_that_is_not_there_is_refused() -> None:
    with pytest.raises(UserError, match=r"--column agee: .* did you mean 'age'"):
        trait_of(ROWS, "agee")
    with pytest.raises(UserError, match=r"--level x: no image has this value: column sex holds"):
        trait_of(ROWS, "sex", "x")
    three = [Row(f"{n}.png", "abc"[n % 3], "P") for n in range(6)]
    with pytest.raises(UserError, match=r"--level is missing: column class holds a, b, c"):
        trait_of(three, "class")
    with pytest.raises(UserError, match="--column weight"):
        other_traits(ROWS, trait_of(ROWS, "age"), ["weight"])


def test_others_are_what_varies_and_says_something_else() -> None:
    rows = [
        Row(r.file, r.label, r.group, columns={**r.columns, "copy": AGES[n]})
        for n, r in enumerate(ROWS)
    ]
    found = other_traits(rows, trait_of(rows, "age"))
    assert [each.title for each in found] == ["class b", "sex m"]
    assert [e.title for e in other_traits(rows, trait_of(rows, "sex"), ["age"])] == ["age"]


def planted(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Styles whose third number makes the value, with some noise; images are their own groups."""
    torch.manual_seed(seed)
    styles = torch.randn(300, 6)
    return styles, 4 * styles[:, 2].double() + torch.randn(300).double(), torch.arange(300)


def test_the_direction_is_the_one_that_was_planted() -> None:
    styles, values, groups = planted()
    found = Direction.of(styles, values, groups, styles, 0)
    assert float(found.vector[2]) > 0.98
    assert float(found.vector.norm()) == pytest.approx(1)
    assert found.spread == pytest.approx(1, abs=0.1)
    assert found.quality.value > 0.9
    assert found.quality.measure == "correlation"
    members = (values > 0).double()
    of_class = Direction.of(styles, members, groups, styles, 0)
    assert of_class.quality.measure == "AUROC"
    assert found.cosine(of_class) > 0.97
    for vector in shuffled_vectors(styles, values, found.penalty, 5, Streams(0)):
        assert abs(float(vector[2])) < 0.95
        assert float(vector.norm()) == pytest.approx(1)


def test_moving_adds_the_same_to_every_row() -> None:
    ws, vector = torch.randn(2, 3, 6), torch.eye(6).double()[1]
    ways = moved(ws, vector, [-2.0, 0.0, 1.0])
    assert ways.shape == (6, 3, 6)
    assert torch.equal(ways[1], ws[0])
    assert torch.allclose(ways[5] - ws[1], torch.eye(6)[1].expand(3, 6), atol=1e-6)
    assert spread_along(ways[::3, 0], vector) == pytest.approx(float(ws[:, 0, 1].std()))


def test_changes_are_taken_against_the_same_image() -> None:
    start = torch.randn(20).double() * 100
    scores = start[:, None] + torch.tensor([-3.0, 0.0, 2.0])
    steps, total = changes(scores, [-1.0, 0.0, 1.0])
    assert [each.change for each in steps] == pytest.approx([-3, 0, 2])
    assert total.change == pytest.approx(5)
    assert total.interval is not None
    assert total.interval.low == pytest.approx(5)


def readers(shared: float) -> tuple[Scorer | None, Scorer | None, torch.Tensor]:
    """Two readers of halves of real images that answer alike to the column, but on samples, which
    lie elsewhere, to what only a half has.
    """
    torch.manual_seed(1)
    values = torch.randn(200).double()
    found = []
    for half in (0, 1):
        odd = torch.zeros(200, 4)
        odd[:, half] = values + 0.1 * torch.randn(200)
        odd[:, 2] = values * shared
        found.append(Scorer.of(odd, Trait("age", "", values), torch.arange(200), 0))
    return found[0], found[1], torch.randn(100, 4)


def test_readers_that_contradict_each_other_on_samples_are_not_believed() -> None:
    one, other, samples = readers(shared=0.0)
    assert one is not None
    assert one.quality.value > 0.9
    assert Reading.of(one, other, samples) is None
    one, other, _ = readers(shared=20.0)
    samples[:, :2] *= 0.01
    found = Reading.of(one, other, samples)
    assert found is not None
    assert found.agreement > 0.7
    assert Reading.of(None, other, samples) is None


def test_what_images_do_not_show_has_no_reader() -> None:
    torch.manual_seed(2)
    luck = Trait("luck", "", torch.randn(60).double())
    assert Scorer.of(torch.randn(60, 5), luck, torch.arange(60), 0) is None
    assert Scorer.of(torch.randn(60, 5), luck, torch.zeros(60).long(), 0) is None


def test_small_pixels_are_means() -> None:
    images = torch.arange(2 * 3 * 32 * 64, dtype=torch.int32).reshape(2, 3, 32, 64)
    found = small_pixels(images.to(torch.uint16))
    assert found.shape == (2, 3 * 16 * 16)
    assert float(found[0, 0]) == pytest.approx(float(images[0, 0, :2, :4].float().mean()))
    assert small_pixels(torch.zeros(1, 1, 8, 8, dtype=torch.uint8)).shape == (1, 64)
