"""What is said of training comes from the generator's record."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from synthograph.metrics.audit.leaks import leaked_augmentations
from synthograph.metrics.audit.recorded import trained_with
from synthograph.results.audit import AugmentationLeakage, TrainedWith
from tests.metrics.audit.pictures import as_set
from tests.metrics.audit.test_leaks import upright


def document(mode: str, pipe: Mapping[str, float], **more: Any) -> dict[str, Any]:
    config = {"data": {"mirror": more.pop("mirror", False)}, "augment": {"mode": mode}}
    config["augment"] |= {"pipe": dict(pipe), "p": more.pop("p", None)}
    return {"config": config, **more}


@pytest.mark.parametrize(
    ("documents", "expected"),
    [
        ([], None),
        ([{"config": {"model": {}}}], None),  # a published pickle
        ([document("none", {"hue": 1.0})], TrainedWith()),
        ([document("fixed", {"hue": 1.0}, p=0.0)], TrainedWith()),
        ([document("none", {}, mirror=True)], TrainedWith(changes=("mirrored",))),
        (
            [document("fixed", {"hue": 1.0, "xint": 1.0, "contrast": 0.0}, p=0.2)],
            TrainedWith(changes=("hue",), p=0.2),
        ),
        (
            [document("ada", {"rotate": 1.0}, augment_p=0.41)],
            TrainedWith(changes=("turned", "upside_down"), p=0.41),
        ),
        ([document("ada", {"hue": 1.0})], TrainedWith(changes=("hue",))),  # of an older version
        (
            [document("none", {}, initialised_from=document("fixed", {"xflip": 1.0}, p=0.3))],
            TrainedWith(changes=("mirrored",), p=0.3),
        ),
        ([document("none", {}, initialised_from={"config": {"model": {}}})], None),
        ([document("none", {}), {"config": {}}], None),
    ],
)
def test_the_record_of_training_is_read(
    documents: list[dict[str, Any]], expected: TrainedWith | None
) -> None:
    assert trained_with(documents) == expected


@pytest.mark.parametrize(
    ("recorded", "words"),
    [
        (None, "whether the generator was trained with augmentation is not recorded"),
        (TrainedWith(), "by its record the generator was trained without that"),
        (TrainedWith(changes=("mirrored",), p=0.5), "by its record the generator was trained with"),
        (TrainedWith(changes=("hue",), p=0.5), "as the augmentation of training does: hue"),
    ],
)
def test_sentences_say_of_training_what_was_recorded(
    recorded: TrainedWith | None, words: str
) -> None:
    synthetic = upright(150, 2)
    synthetic[:120] = synthetic[:120, [2, 0, 1]]
    real, made = as_set(upright(150, 1), "real", per=3), as_set(synthetic, "synthetic")
    found = leaked_augmentations(real, made, recorded=recorded)
    hue = next(each for each in found.transforms if each.transform == "hue")
    assert hue.leaked and words in found.sentence
    assert ("as the augmentation of training" in found.sentence) == (
        recorded is not None and "hue" in recorded.changes
    )
    assert AugmentationLeakage.parse(found.tree(), "it") == found
    old = {name: value for name, value in found.tree().items() if name != "recorded"}
    assert AugmentationLeakage.parse(old, "a file of before").recorded is None
    assert np.isfinite(hue.flagged)
