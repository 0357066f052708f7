"""Sizes and their grids, modalities and their channels."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from synthograph.core.errors import UserError
from synthograph.core.spec import Grid, ImageSpec, find_grid, nearest_size, parse_spec


def spec(height: int, width: int, **kwargs: object) -> ImageSpec:
    return ImageSpec.parse({"height": height, "width": width, "modalities": {"image": 3}, **kwargs})


@pytest.mark.parametrize(
    ("height", "width", "grid"),
    [
        (4, 4, (4, 4, 0)),
        (32, 32, (4, 4, 3)),
        (1024, 1024, (4, 4, 8)),
        (224, 256, (7, 8, 5)),
        (256, 224, (8, 7, 5)),
        (6, 6, (6, 6, 0)),
        (48, 48, (6, 6, 3)),
        (64, 16, (16, 4, 2)),
        (13, 16, (13, 16, 0)),
    ],
)
def test_grids(height: int, width: int, grid: tuple[int, int, int]) -> None:
    assert spec(height, width).grid == Grid(*grid)


@pytest.mark.parametrize(("height", "width"), [(17, 17), (34, 34), (32, 256), (31, 32), (100, 17)])
def test_sizes_without_grid_are_refused_with_one_that_fits(height: int, width: int) -> None:
    near_h, near_w = nearest_size(height, width)
    size = f"--size {near_w}" if near_w == near_h else f"--width {near_w} --height {near_h}"
    with pytest.raises(UserError, match=f"prepare with {size}") as caught:
        _ = spec(height, width).grid
    assert f"{width}x{height}" in str(caught.value)
    assert find_grid(near_h, near_w) is not None


@given(st.integers(4, 2000), st.integers(4, 2000))
@settings(max_examples=60, deadline=None)
def test_the_grid_is_the_coarsest_and_the_proposal_fits(height: int, width: int) -> None:
    grid = find_grid(height, width)
    if grid is None:
        assert find_grid(*nearest_size(height, width)) is not None
        return
    h, w, k = grid
    assert (h << k, w << k) == (height, width)
    assert 4 <= min(h, w) and max(h, w) <= 16
    assert h % 2 or w % 2 or min(h, w) < 8
    assert nearest_size(height, width) == (height, width)


def test_nearest_size_changes_least() -> None:
    assert nearest_size(500, 500) == (512, 512) or find_grid(500, 500) is not None
    assert nearest_size(225, 255) == (224, 256)


def test_split_gives_views_of_each_modality() -> None:
    two = spec(8, 8, modalities={"vis": 3, "nir": 1})
    batch = torch.arange(2 * 4 * 64.0).reshape(2, 4, 8, 8)
    parts = two.split(batch)
    assert {name: part.shape[1] for name, part in parts.items()} == {"vis": 3, "nir": 1}
    assert torch.equal(torch.cat(list(parts.values()), 1), batch)
    parts["nir"].zero_()
    assert not batch[:, 3].any() and two.channels == 4


def test_description_and_range() -> None:
    two = spec(32, 64, modalities={"vis": 3, "nir": 1}, bits=16)
    assert two.describe() == "64x32, vis 3 channels + nir 1 channel, 16 bit"
    assert two.max_value == 65535 and spec(4, 4).max_value == 255


@pytest.mark.parametrize(
    "change",
    [
        {"modalities": {}},
        {"modalities": {"a": 0}},
        {"modalities": {"a": 65}},
        {"modalities": {"../x": 1}},
        {"modalities": {"a/b": 1}},
        {"modalities": {"": 1}},
        {"modalities": {"masks": 1}},
        {"modalities": {"00000": 1}},
        {"bits": 12},
        {"height": 3},
        {"height": 10**12},
        {"height": "tall"},
    ],
)
def test_what_no_image_can_be_is_refused(change: dict[str, object]) -> None:
    tree = {"height": 8, "width": 8, "modalities": {"image": 3}, **change}
    with pytest.raises(UserError, match="^file.json: "):
        parse_spec(tree, "file.json")
