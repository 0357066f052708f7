"""Areas in one file of all images: drawn as the programs show them, and never dropped silently."""

import json
from typing import Any

import numpy as np
import pytest

from synthograph.annotation.exports import Export, read_coco, read_cvat, read_label_studio
from synthograph.core.record import UnreadableError

HEIGHT, WIDTH = 40, 20


def cvat(*shapes: str) -> Export:
    text = f'<image name="a.png" width="{WIDTH}" height="{HEIGHT}">{"".join(shapes)}</image>'
    return read_cvat(f"<annotations>{text}</annotations>".encode(), "a.xml")


def studio(kind: str, **value: object) -> Export:
    whole = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
    result = [{"type": kind, **whole, "value": {kind: ["iris"], **value}}]
    task = {"id": 1, "data": {"image": "a.png"}, "annotations": [{"result": result}]}
    return read_label_studio(json.loads(json.dumps([task])))


def drawn(export: Export) -> np.ndarray:
    (area,) = export.images[0].areas
    return area.draw(HEIGHT, WIDTH)


def inside_ellipse(x: float, y: float, wide: float, high: float, degrees: float) -> np.ndarray:
    """By the equation of an ellipse, turned clockwise where rows run downwards."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    turn = np.deg2rad(degrees)
    along = (columns - x) * np.cos(turn) + (rows - y) * np.sin(turn)
    across = (rows - y) * np.cos(turn) - (columns - x) * np.sin(turn)
    found: np.ndarray = (along / wide) ** 2 + (across / high) ** 2 < 1
    return found


def inside_box(x: float, y: float, wide: float, high: float, degrees: float) -> np.ndarray:
    """A box of a first corner, turned around it."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    turn = np.deg2rad(degrees)
    along = (columns - x) * np.cos(turn) + (rows - y) * np.sin(turn)
    across = (rows - y) * np.cos(turn) - (columns - x) * np.sin(turn)
    return (along > 0) & (along < wide) & (across > 0) & (across < high)


@pytest.mark.parametrize("degrees", [0, 30, 300.5])
def test_ellipses(degrees: float) -> None:
    expected = inside_ellipse(9.7, 18.2, 8.3, 3.1, degrees)
    assert expected.any()
    shape = f'<ellipse label="iris" cx="9.7" cy="18.2" rx="8.3" ry="3.1" rotation="{degrees}"/>'
    np.testing.assert_array_equal(drawn(cvat(shape)), expected)
    place = {"x": 48.5, "y": 45.5, "radiusX": 41.5, "radiusY": 7.75, "rotation": degrees}
    np.testing.assert_array_equal(drawn(studio("ellipselabels", **place)), expected)


@pytest.mark.parametrize("degrees", [0, 25, 340])
def test_boxes_are_turned_around_a_corner_in_label_studio(degrees: float) -> None:
    """In pixels: one percent of the height is two of the width."""
    place = {"x": 46, "y": 33, "width": 31, "height": 20.5, "rotation": degrees}
    expected = inside_box(9.2, 13.2, 6.2, 8.2, degrees)
    np.testing.assert_array_equal(drawn(studio("rectanglelabels", **place)), expected)


def test_boxes_are_turned_around_their_centre_in_cvat() -> None:
    shape = '<box label="iris" xtl="2" ytl="8" xbr="18" ybr="12" rotation="{}"/>'
    flat, upright = (drawn(cvat(shape.format(degrees))) for degrees in (0, 90))
    assert flat[8:12, 2:18].all() and flat.sum() == 64
    assert upright[2:18, 8:12].all() and upright.sum() == 64
    slanted = drawn(cvat(shape.format(45)))
    assert slanted[5:7, 5:7].all() and not slanted[13:15, 5:7].any(), "clockwise"


def test_what_has_no_area_is_counted() -> None:
    polygon = '<polygon label="iris" points="1,1;3,1;3,4"/>'
    points = '<points label="iris" points="1,1"/>'
    line = '<polyline label="iris" points="1,1;3,1"/>'
    found = cvat('<tag label="eye"/>', points, polygon, line)
    assert found.without_area == 3 and len(found.images[0].areas) == 1
    assert studio("keypointlabels", x=1, y=1, width=2).without_area == 1
    assert studio("choices", choices=["good"]).without_area == 0


def test_areas_of_other_kinds_are_refused() -> None:
    with pytest.raises(UnreadableError, match="kind 'cuboid' of CVAT is not read: draw it as"):
        cvat('<cuboid label="iris" xtl1="1"/>')
    for kind in ("bitmasklabels", "ellipse", "vectorlabels"):
        with pytest.raises(UnreadableError, match=f"kind '{kind}' of Label Studio is not read"):
            studio(kind)
    with pytest.raises(UnreadableError, match="no sound export of CVAT"):
        cvat('<ellipse label="iris" cx="1" cy="1" rx="1" ry="1" rotation="inf"/>')


@pytest.mark.parametrize("outline", [{"segmentation": []}, {}])
def test_a_box_of_coco_is_no_outline(outline: dict[str, Any]) -> None:
    tree = {
        "images": [{"id": 1, "file_name": "a.png", "height": HEIGHT, "width": WIDTH}],
        "categories": [{"id": 1, "name": "iris"}],
        "annotations": [
            {"id": 7, "image_id": 1, "category_id": 1, "bbox": [1, 1, 4, 4], **outline}
        ],
    }
    with pytest.raises(UnreadableError, match="annotation 7 of COCO has no segmentation"):
        read_coco(tree)
