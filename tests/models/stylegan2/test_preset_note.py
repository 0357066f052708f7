"""A preset that was published for another size says so."""

import pytest

from synthograph.core.spec import ImageSpec
from synthograph.models.stylegan2.presets import PRESETS, PUBLISHED_SIDES, preset_note


def spec(height: int, width: int) -> ImageSpec:
    return ImageSpec(height=height, width=width, modalities={"image": 3})


def test_another_size() -> None:
    note = preset_note("paper1024", spec(32, 32))
    assert note is not None
    assert note.startswith("preset paper1024 was published for 1024x1024; these images are 32x32")
    assert "r1_gamma 2, where --cfg auto takes 0.0064" in note
    note = preset_note("paper256", spec(256, 224))
    assert note is not None and "these images are 224x256" in note


@pytest.mark.parametrize("name", [*PRESETS])
def test_its_own_size_or_none(name: str) -> None:
    side = PUBLISHED_SIDES.get(name, 48)
    assert preset_note(name, spec(side, side)) is None
