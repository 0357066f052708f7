"""Windows of grey values and conversions of colour."""

import dataclasses
import pickle

import numpy as np
import pytest
from PIL import Image

from synthograph.core.errors import UserError
from synthograph.core.record import DecodedImage, SourceItem, UnreadableError, array_of
from synthograph.sources.view import (
    Colour,
    View,
    Viewed,
    Window,
    WindowScope,
    measure_limits,
    other_reading,
    parse_centred,
    view_volumes,
    viewed,
)

RAMP = np.arange(101, dtype=np.int32).reshape(1, 101, 1)


def through(pixels: np.ndarray, view: View) -> np.ndarray:
    return array_of(view.apply(DecodedImage({"image": pixels})).modalities["image"])


@pytest.mark.parametrize(
    "text",
    ["center=40,width=400", "centre=40, width=400", "level=40,width=400", "C40W400", "W400 L40"]
    + ["ww=400,wl=40", "W:400,L:40"],
)
def test_windows_of_radiologists(text: str) -> None:
    window = Window.parse(text, WindowScope.ARCHIVE)
    assert (window.low, window.high) == (-160.0, 239.0)  # as of DICOM PS3.3 C.11.2.1.2.1


def test_two_plain_numbers_are_ends_and_the_other_reading_is_shown() -> None:
    assert parse_centred("40,400") is None
    assert "center=40,width=400 for -160 to 239" in str(other_reading("40,400"))
    assert other_reading("0.5%,99%") is None and other_reading("C40W400") is None
    with pytest.raises(UserError, match="here 40,400, or center=40,width=400"):
        Window.parse("400,40", WindowScope.ARCHIVE)
    for text in ("center=40", "center=40,width=1", "c40w400x", "center=a,width=3", "w..,c3"):
        with pytest.raises(UserError, match="--window"):
            Window.parse(text, WindowScope.ARCHIVE)


def test_deep_colours_become_8_bits_or_grey() -> None:
    deep = np.stack([RAMP[:, :, 0]] * 3, axis=2).astype(np.uint16) * 600
    found = through(deep, View(Window(0, 60000, False)))
    assert found.dtype == np.uint8 and found.shape[2] == 3 and found[0, 50, 1] == 128
    grey = through(deep, View(colour=Colour.GREY))
    assert grey.dtype == np.uint16 and np.array_equal(grey[:, :, 0], deep[:, :, 0])
    fractions = through(deep / np.float32(7), View(Window(0, 10000, False)))
    assert fractions.dtype == np.uint8


@pytest.mark.parametrize("dtype", [np.uint16, np.int16, np.int32, np.float32])
def test_values_of_a_window_fill_16_bits(dtype: type) -> None:
    found = through(RAMP.astype(dtype), View(Window.parse("20,70", WindowScope.ARCHIVE)))
    assert found.dtype == np.uint16
    assert found[0, [0, 20, 45, 70, 100], 0].tolist() == [0, 0, 32768, 65535, 65535]


def test_8_bits_stay_8_bits_and_missing_values_are_black() -> None:
    assert through(RAMP.astype(np.uint8), View(Window(0, 100, False)))[0, 40, 0] == 102
    holes = RAMP.astype(np.float32)
    holes[0, 3] = np.nan
    picture = View(Window(0, 100, False)).apply(DecodedImage({"image": holes}))
    assert array_of(picture.modalities["image"])[0, 3, 0] == 0
    assert "pixels without a value (NaN) put on black" in picture.notes


def test_percentiles_of_an_image_are_recorded_with_it() -> None:
    view = View(Window.parse("10%,90%", WindowScope.IMAGE))
    picture = view.apply(DecodedImage({"image": RAMP, "nir": RAMP * 2}))
    assert picture.columns == {
        "window_low": "10",
        "window_high": "90",
        "window_low.nir": "20",
        "window_high.nir": "180",
    }


def decode() -> DecodedImage:
    return DecodedImage({"image": RAMP})


def damaged() -> DecodedImage:
    raise UnreadableError("damaged")


def test_percentiles_of_all_images_are_the_same_for_all() -> None:
    items = [SourceItem("a", decode), SourceItem("b", damaged), SourceItem("c", decode)]
    window = Window.parse("0%,100%", WindowScope.ARCHIVE)
    limits = measure_limits(items, window, lambda items, total: items)
    assert limits == {"image": (0.0, 100.0)}
    view = View(window, tuple(limits.items()))
    assert view.record() == {
        "window": {
            "low": 0.0,
            "high": 100.0,
            "percentiles": True,
            "scope": "archive",
            "limits": {"image": [0.0, 100.0]},
        }
    }
    one = viewed(items, view)[0].decode
    assert isinstance(one, Viewed) and hash(one) == hash(pickle.loads(pickle.dumps(one)))
    assert not one().columns


@dataclasses.dataclass(frozen=True)
class Shade:
    """An image of one value."""

    value: int

    def __call__(self) -> DecodedImage:
        return DecodedImage({"image": np.full((2, 2, 1), self.value, np.uint16)})


@pytest.mark.parametrize("views", [2, 24])
def test_percentiles_are_of_every_view_of_large_sets(views: int) -> None:
    items = [
        SourceItem(f"P{patient:04d}_{view}", Shade(300 if view == 0 else 3000))
        for patient in range(510 if views == 2 else 990)
        for view in range(views)
    ]
    window = Window.parse("1%,99%", WindowScope.ARCHIVE)
    assert measure_limits(items, window, lambda some, total: some) == {"image": (300, 3000)}


def colours() -> DecodedImage:
    return DecodedImage(
        {"image": np.broadcast_to(np.array([10, 100, 200], np.uint8), (130, 129, 3))}
    )


def test_percentiles_of_colours_are_of_all_channels() -> None:
    items = [SourceItem(f"{n}", colours) for n in range(1000)]  # a third of their values is taken
    window = Window.parse("0%,100%", WindowScope.ARCHIVE)
    assert measure_limits(items, window, lambda some, total: some) == {"image": (10, 200)}


def bright() -> DecodedImage:
    return DecodedImage({"image": RAMP * 3})


def test_percentiles_of_a_volume_are_those_of_its_slices() -> None:
    items = [SourceItem("v.nii#a", decode), SourceItem("v.nii#b", bright), SourceItem("w", decode)]
    view = View(Window.parse("0%,100%", WindowScope.VOLUME))
    made = [item.decode() for item in view_volumes(items, view, lambda some, total: some)]
    assert [picture.columns["window_high"] for picture in made] == ["300", "300", "100"]
    tops = [int(array_of(picture.modalities["image"]).max()) for picture in made]
    assert tops == [21845, 65535, 65535]


def test_colours() -> None:
    grey = np.full((2, 2, 1), 9, np.uint8)
    assert through(grey, View(colour=Colour.RGB)).tolist() == [[[9, 9, 9]] * 2] * 2
    rgb = Image.new("RGB", (2, 2), (255, 0, 0))
    assert View(colour=Colour.GREY).apply(DecodedImage({"image": rgb})).notes == (
        "RGB converted to grey",
    )
    with pytest.raises(UnreadableError, match="no RGB form"):
        through(grey.astype(np.uint16), View(colour=Colour.RGB))
    assert not View() and View().record() is None


@pytest.mark.parametrize(
    "text", ["", "5", "5,5", "9,1", "1%,5", "0%,101%", "nan,1", "a,b", "1,2,3"]
)
def test_windows_that_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="--window .*such as 0,4095"):
        Window.parse(text, WindowScope.ARCHIVE)


def test_numbers_are_the_same_for_all_images() -> None:
    with pytest.raises(UserError, match="--window-scope image takes percentiles"):
        Window.parse("0,5", WindowScope.IMAGE)
