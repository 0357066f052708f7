"""Neighbours lie exactly as far away as they are asked for."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from synthograph.core.errors import UserError
from synthograph.models.snapshot import Snapshot
from synthograph.sampling.latents import Rendering, Space, of_seeds, styles
from synthograph.sampling.neighbours import (
    angles,
    around,
    on_cones,
    others,
    parse_distances,
    spread_of,
    style_distances,
    styled_centre,
)
from tests.sampling.test_generate import make_snapshot

HOW = Rendering()


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    return make_snapshot(tmp_path)


def test_points_on_a_circle() -> None:
    """In the plane: from (2, 0) towards (0, 1) and (1, -1)."""
    centre, ways = torch.tensor([2.0, 0]).double(), torch.tensor([[0.0, 1], [1, -1]]).double()
    found = on_cones(centre, ways, [90, 60])
    half = 3**0.5
    expected = torch.tensor([[0, 2], [0, -2], [1, half], [1, -half]]).double()
    torch.testing.assert_close(found, expected)


def test_angles_in_z_are_exact(snapshot: Snapshot) -> None:
    centre = of_seeds(snapshot, [85], ["a b"])
    near = around(snapshot, centre, [0.01, 10, 179], 5, HOW)
    wanted = torch.tensor([0.01, 10, 179]).double().repeat_interleave(5)
    torch.testing.assert_close(angles(centre.values, near.values), wanted, rtol=1e-4, atol=0)
    length = float(centre.values.norm())
    torch.testing.assert_close(near.values.norm(dim=1), torch.full((15,), length))
    assert near.names[5] == "10-000" and near.labels == ("a b",) * 15 and near.seeds == (85,) * 15
    assert len(near.values.unique(dim=0)) == 15


def test_distances_in_w_are_exact(snapshot: Snapshot) -> None:
    z = of_seeds(snapshot, [85], ["c/d"])
    centre = styled_centre(snapshot, z, Rendering(truncation=0.5))
    torch.testing.assert_close(centre.values, styles(snapshot, z, HOW), msg="no truncation yet")
    near, spread = around(snapshot, centre, [0.5, 2], 3, HOW), spread_of(snapshot, "c/d", HOW)
    assert near.space is Space.W
    wanted = torch.tensor([0.5, 2]).repeat_interleave(3)
    found = style_distances(centre.values, near.values, spread)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=0)
    again = style_distances(
        centre.values, styles(snapshot, near, Rendering(truncation=0.5)), spread
    )
    assert (again != found).all(), "truncation moves what is drawn"


def test_a_projection_of_many_styles_moves_as_a_whole(snapshot: Snapshot) -> None:
    centre = styled_centre(snapshot, of_seeds(snapshot, [1], ["a b"]), HOW)
    centre = replace(centre, values=centre.values + torch.randn(1, 4, 8))
    near = around(snapshot, centre, [1], 2, HOW)
    moved = near.values - centre.values
    torch.testing.assert_close(moved[:, 0], moved[:, 3])


def test_the_spread_is_that_of_random_styles(snapshot: Snapshot) -> None:
    """Independent styles are a root of two spreads apart, in the mean square."""
    spread = spread_of(snapshot, "a b", HOW)
    first = styles(snapshot, of_seeds(snapshot, range(500), ["a b"] * 500), HOW)[:, 0]
    second = styles(snapshot, of_seeds(snapshot, range(500, 1000), ["a b"] * 500), HOW)[:, 0]
    apart = (first - second).square().sum(1).mean().sqrt() / spread.size
    assert float(apart) == pytest.approx(2**0.5, rel=0.1)


def test_directions_follow_the_seed(snapshot: Snapshot) -> None:
    centre = of_seeds(snapshot, [85], ["a b"])
    first, again, other = (around(snapshot, centre, [9], 4, HOW, seed=s).values for s in (0, 0, 1))
    assert (first == again).all() and (first != other).any()
    more = around(snapshot, centre, [9], 6, HOW).values
    torch.testing.assert_close(more[:4], first, msg="more neighbours leave the first as they are")
    assert len(others(snapshot, centre, 3)) == 3


@pytest.mark.parametrize("text", ["x", "0", "-1", "nan", "inf", "181", "10,,20", ""])
def test_what_is_no_distance(text: str) -> None:
    with pytest.raises(
        UserError, match=r"--distance .* is no number above 0 and up to 180 degrees"
    ):
        parse_distances(text, Space.Z)


def test_distances() -> None:
    assert parse_distances("20, 5,20", Space.Z) == (20, 5)
    assert parse_distances("20,20.00001,20.001", Space.Z) == (20, 20.001), "names are different"
    assert parse_distances(None, Space.W) == (0.25, 0.5, 1)
