"""Pictures of projections: those of their modalities, and no others."""

from pathlib import Path

import numpy as np
import pytest

from synthograph.archive.png import encode_png
from synthograph.core.contact_sheets import as_rgb
from synthograph.core.errors import UserError
from synthograph.results.projection import Projections
from synthograph.workflows.projected import ProjectedSet
from tests.workflows.test_authenticity import projected

RNG = np.random.default_rng(0)


def draw(path: Path, channels: int) -> np.ndarray:
    path.parent.mkdir(exist_ok=True)
    pixels = RNG.integers(0, 255, (8, 8, channels)).astype(np.uint8)
    path.write_bytes(encode_png(pixels))
    return pixels.transpose(2, 0, 1)


@pytest.mark.parametrize(
    "modalities", [{"nir": 1, "vis": 3}, {"t1": 1, "t2": 1, "flair": 1}, {"image": 3}]
)
@pytest.mark.parametrize("older", [False, True])
def test_only_the_modalities_are_read(
    tmp_path: Path, modalities: dict[str, int], older: bool
) -> None:
    folder = projected(tmp_path / "set", "train", far=5, count=1)
    names = list(modalities)
    file = folder / "projections.json"
    found = Projections.load(file)
    found.replace(modalities=() if older and len(names) == 1 else tuple(names)).save(file)
    wanted = np.concatenate(
        [
            draw(folder / (name if place else "") / "0.from.png", channels)
            for place, (name, channels) in enumerate(modalities.items())
        ]
    )
    draw(folder / "quick" / "0.from.png", 1)  # projected once more, into a folder inside
    found.save(folder / "quick" / "projections.json")
    each = ProjectedSet.open(folder)
    assert np.array_equal(each.pixels("0.from.png"), wanted)
    assert np.array_equal(each.shown("0.from.png"), as_rgb(wanted, modalities.values()))


def test_modalities_do_not_lead_elsewhere(tmp_path: Path) -> None:
    folder = projected(tmp_path / "set", "train", far=5, count=1)
    draw(tmp_path / "0.from.png", 1)
    file = folder / "projections.json"
    Projections.load(file).replace(modalities=("image", "..")).save(file)
    with pytest.raises(UserError):
        ProjectedSet.open(folder).pixels("0.from.png")
