"""The frozen network that some families see images through: found, recorded, handed over."""

from functools import lru_cache

import torch

from synthograph.core.errors import SettingError, UserError
from synthograph.features.base import MissingWeightsError
from synthograph.features.taps import UNTRAINED, FrozenTaps
from synthograph.models.base import FeatureTaps
from synthograph.models.config import FrozenFeatures, ModelConfig


@lru_cache(maxsize=2)
def _taps(name: str, device: str, dtype: torch.dtype) -> FrozenTaps:
    """The last ones are kept: a dry run and a study open it again and again."""
    return FrozenTaps(name, device, dtype)


def found_features(wanted: FrozenFeatures) -> FrozenFeatures:
    """The same with what this machine's network has: strides, channels and the hash.

    Raises:
        MissingWeightsError: it is not here.
        UserError: it has no such strides, or is another one than the hash says.
    """
    try:
        found = _taps(wanted.name, "cpu", torch.float32)
    except MissingWeightsError as error:
        way_out = f"or take untrained features: --set model.features.name={UNTRAINED}"
        raise MissingWeightsError(f"{error}; {way_out}") from None
    if wanted.sha256 not in (None, found.sha256):
        raise UserError(
            f"the weights of {wanted.name} on this machine are not those that this network was "
            f"trained with (sha256 {found.sha256:.12}, not {wanted.sha256:.12}): put those back, "
            "or start a new run with --init-from none"
        )
    strides = sorted(found.strides if wanted.strides is None else set(wanted.strides))
    absent = [stride for stride in strides if stride not in found.strides]
    if absent:
        there = ", ".join(map(str, found.strides))
        rule = f"{wanted.name} has pictures at {there}"
        raise SettingError("model.features.strides", rule, value=str(absent[0]))
    channels = [c for c, s in zip(found.channels, found.strides, strict=True) if s in strides]
    new = {"strides": strides, "channels": channels, "sha256": found.sha256}
    return wanted.model_copy(update=new)


def completed(model: ModelConfig) -> ModelConfig:
    """The same with what this machine has of the frozen network that a model needs, if any.

    Raises:
        UserError: see `found_features`.
    """
    wanted = model.frozen_features
    return model if wanted is None else model.with_features(found_features(wanted))


def feature_taps(wanted: FrozenFeatures, device: torch.device, dtype: torch.dtype) -> FeatureTaps:
    """The network of a configuration that `found_features` has completed.

    Raises:
        UserError: see `found_features`.
    """
    found_features(wanted)
    return _taps(wanted.name, str(device), dtype)
