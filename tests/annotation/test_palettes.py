"""What colours and numbers mean."""

import json

import numpy as np
import pytest
from PIL import Image

from synthograph.annotation.palettes import BUILT_IN, UNKNOWN, Palette, of_names, read_palette
from synthograph.core.errors import UserError

ITK_SNAP = b"""################################################
# ITK-SnAP Label Description File
    0     0    0    0        0  0  0    "Clear Label"
    1   255    0    0        1  1  1    "iris"
    7     0  255    0        1  1  1    "the pupil"
"""
CVAT = (
    b"# label:color_rgb:parts:actions\niris:61,61,245::\nbackground:0,0,0::\npupil:42,125,209::\n"
)
GIMP = b"GIMP Palette\nName: eye\nColumns: 2\n#\n  0   0   0\tbackground\n  0   0 255\tiris\n"


def names(palette: Palette) -> list[str]:
    return [each.name for each in palette.classes]


def test_palettes_of_programs() -> None:
    snap = read_palette(ITK_SNAP, "labels.txt")
    assert names(snap) == ["background", "iris", "the pupil"] and snap.values == [0, 1, 7]
    cvat = read_palette(CVAT, "labelmap.txt")
    assert names(cvat) == ["background", "iris", "pupil"], "the order of colours means nothing"
    assert cvat.classes[2].colour == (42, 125, 209)
    assert names(read_palette(GIMP, "eye.gpl")) == ["background", "iris"]
    plain = read_palette(b'{"iris": "#0000ff", "pupil": [255, 0, 0], "lid": 90}', "p.json")
    assert names(plain) == ["background", "iris", "pupil", "lid"]
    assert plain.classes[3].colour == (90, 90, 90)
    assert names(read_palette(b'["background", "x"]', "p.json")) == ["background", "x"]


@pytest.mark.parametrize("name", BUILT_IN)
def test_palettes_are_written_as_they_are_read(name: str) -> None:
    palette = BUILT_IN[name]
    assert read_palette(json.dumps(palette.json()).encode(), "p") == palette


def test_the_grey_values_of_the_ocular_project() -> None:
    """Converted by Pillow, as there; colours of the classes have their own grey values."""
    for palette in BUILT_IN.values():
        for k, each in enumerate(palette.classes):
            grey = Image.new("RGB", (1, 1), each.colour).convert("L").getpixel((0, 0))
            assert grey in each.greys
            for value in each.greys:
                pixel = np.full((1, 1, 3), value, np.uint8)
                assert palette.of_colours(pixel)[0, 0] == k
    assert BUILT_IN["ocular"].of_colours(np.full((1, 1, 3), 40, np.uint8))[0, 0] == UNKNOWN
    every = np.random.RandomState(0).randint(0, 256, (64, 64, 3), np.uint8)
    ours = BUILT_IN["ocular-10"].of_colours(every)
    greys = np.asarray(Image.fromarray(every).convert("L"))
    for k, each in enumerate(BUILT_IN["ocular-10"].classes):
        np.testing.assert_array_equal(ours == k, np.isin(greys, each.greys))


def test_tolerance_takes_the_nearest() -> None:
    palette = read_palette(b'{"background": 0, "a": [100, 0, 0], "b": [120, 0, 0]}', "p")
    pixels = np.array([[[108, 3, 0], [112, 0, 0], [100, 0, 60]]], np.uint8)
    assert palette.of_colours(pixels).tolist() == [[UNKNOWN] * 3]
    assert palette.of_colours(pixels, 10).tolist() == [[1, 2, UNKNOWN]]


def test_more_classes_than_colours_have_one_each() -> None:
    assert len({each.colour for each in of_names([f"c{k}" for k in range(40)]).classes}) == 40


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"hello", "is no palette"),
        (b'{"a": "blue"}', "is no colour"),
        (b'{"a": [1, 2]}', "is no colour"),
        (b'{"a": {"color": "#000000"}}', "'color' is unknown"),
        (b'{"a": {"colour": 1, "value": 900}}', "from 0 to 255"),
        (b'{"a": {"colour": 1, "greys": "x"}}', "greys"),
        (b'{"a": 7, "b": 7}', "two classes have the colour"),
        (b'{"a": 7, "A": 8}', "two classes have the name"),
        (b'{"": 7}', "no name"),
        (b"{}", "background first; got 1"),
        (b"# label:color_rgb:parts:actions\niris:x,y,z::", "no 'label:red,green,blue::'"),
        (b'{"a": 1', "not valid JSON"),
    ],
)
def test_what_is_no_palette(data: bytes, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_palette(data, "p")


def test_empty_lines_are_read_in_no_time() -> None:
    with pytest.raises(UserError, match="is no palette"):
        read_palette(b"\n" * 200_000 + b"x", "labelmap.txt")
