"""Turned, mirrored and recoloured images are counted where they are distinguishable at all."""

import numpy as np
import pytest

from synthograph.core.errors import UserError
from synthograph.metrics.audit.leaks import leaked_augmentations
from synthograph.ops.operations import OPERATIONS
from tests.metrics.audit.pictures import as_set, texture


def upright(count: int, seed: int) -> np.ndarray:
    """A bright corner, different from image to image, over texture."""
    pixels = texture(count, seed, channels=3) // 3
    rng = np.random.default_rng(seed)
    for image in pixels:
        side = rng.integers(8, 12)
        image[:, 1:side, 1:side] += np.array([120, 60, 20], dtype=np.uint8)[:, None, None]
    return pixels


def shares(synthetic: np.ndarray):
    return {
        leak.transform: leak
        for leak in leaked_augmentations(
            as_set(upright(150, 1), "real", per=3), as_set(synthetic, "synthetic")
        ).transforms
    }


def test_clean_images_leak_nothing() -> None:
    found = leaked_augmentations(
        as_set(upright(150, 1), "real", per=3), as_set(upright(120, 2), "synthetic")
    )
    assert not found.found
    assert found.tree()["found"] is False
    assert found.sentence == "augmentations: none shows in the synthetic images"


@pytest.mark.parametrize("name", ["turned", "mirrored", "hue"])
def test_a_fifth_is_found(name: str) -> None:
    synthetic = upright(150, 2)
    if name == "turned":
        synthetic[:30] = synthetic[:30, :, ::-1, ::-1]
    elif name == "mirrored":
        synthetic[:30] = synthetic[:30, :, :, ::-1]
    else:
        synthetic[:30] = synthetic[:30, [2, 0, 1]]
    leak = shares(synthetic)[name]
    assert leak.leaked
    assert leak.interval[0] <= 0.2 <= leak.interval[1]


def test_images_without_up_are_not_distinguishable() -> None:
    leaks = leaked_augmentations(
        as_set(texture(120, 1), "real"), as_set(texture(60, 2)[:, :, ::-1], "synthetic")
    )
    found = {leak.transform: leak for leak in leaks.transforms}
    assert found["turned"].share is None
    assert not found["turned"].leaked
    assert "cannot be distinguished" in found["turned"].tree()["note"]
    assert "not distinguishable on such images: mirrored, turned, upside_down" in leaks.sentence


def test_the_declared_augmentations_are_looked_for() -> None:
    declared = {each.leak[0] for each in OPERATIONS.values() if each.leak is not None}
    assert set(shares(upright(60, 2))) == declared | {"upside_down"}
    grey = leaked_augmentations(as_set(texture(60, 1), "real"), as_set(texture(60, 2), "synthetic"))
    assert {leak.transform for leak in grey.transforms} == {
        *("mirrored", "turned", "upside_down", "brightness", "contrast"),
    }


def test_too_few_images_are_refused() -> None:
    with pytest.raises(UserError, match="40 images"):
        leaked_augmentations(as_set(texture(20, 1), "real"), as_set(texture(60, 2), "synthetic"))
