"""Areas of other programs, against what these programs write themselves."""

import json
from pathlib import Path

import numpy as np
import pytest
from skimage.draw import polygon2mask

from synthograph.annotation.regions import box_runs, coco_runs, polygon, studio_runs
from synthograph.core.record import UnreadableError

DATA = Path(__file__).parents[1] / "data" / "annotations"
BIG = np.random.RandomState(0).rand(40, 33) > 0.6


def test_compressed_runs_of_pycocotools() -> None:
    tree = json.loads((DATA / "coco_big.json").read_text())
    np.testing.assert_array_equal(coco_runs(tree["counts"], 40, 33), BIG)


def test_brush_of_label_studio() -> None:
    data = json.loads((DATA / "studio_big.json").read_text())
    np.testing.assert_array_equal(studio_runs(data, 40, 33), BIG)
    with pytest.raises(UnreadableError, match="cut short"):
        studio_runs(data[:-20], 40, 33)
    with pytest.raises(UnreadableError, match="not of a 33x41 image"):
        studio_runs(data, 41, 33)
    with pytest.raises(UnreadableError, match="0 to 255"):
        studio_runs([300], 4, 4)


@pytest.mark.parametrize("seed", range(8))
def test_polygons_against_scikit_image(seed: int) -> None:
    """Which has pixel centres at whole numbers."""
    points = np.random.RandomState(seed).rand(7, 2) * 40 - 5
    expected = polygon2mask((30, 31), points[:, ::-1] - 0.5)
    np.testing.assert_array_equal(polygon(points, 30, 31), expected)


def test_runs_go_down_columns_in_coco_and_along_rows_of_a_box_in_cvat() -> None:
    down = np.array([[0, 0, 0], [1, 0, 0], [1, 0, 0]], bool)
    np.testing.assert_array_equal(coco_runs([1, 2, 6], 3, 3), down)
    box = box_runs([1, 2, 1], (1, 0, 2, 2), 3, 3)
    np.testing.assert_array_equal(box, np.array([[0, 0, 1], [0, 1, 0], [0, 0, 0]], bool))


def test_areas_that_fit_no_image_are_refused() -> None:
    for bad in ([1, 2], [10, -1], []):
        with pytest.raises(UnreadableError, match="add up to"):
            coco_runs(bad, 3, 3)
    with pytest.raises(UnreadableError, match="cannot be read"):
        coco_runs("~~~", 3, 3)
    with pytest.raises(UnreadableError, match="outside"):
        box_runs([9], (2, 2, 3, 3), 4, 4)
    with pytest.raises(UnreadableError, match="corners"):
        polygon(np.array([[0.0, 0], [1, np.nan], [2, 2]]), 3, 3)


def test_runs_below_zero_are_refused_by_that_name() -> None:
    with pytest.raises(UnreadableError, match="below zero"):
        coco_runs([-5, 1029], 32, 32)
