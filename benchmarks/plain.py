"""The plain path: fp32, NCHW, the reference operations, for comparison in the same run."""

from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

import reference
from torch import nn

from synthograph.models.stylegan2 import layers, networks
from synthograph.ops import augment, resample, warp
from synthograph.training.session import Session

CONVOLUTIONS = {
    resample.conv: reference.conv,
    resample.conv_up: reference.conv_up,
    resample.conv_down: reference.conv_down,
}


@contextmanager
def plain_operations() -> Iterator[None]:
    """Let networks compute with the reference operations; `use_plain` does the rest."""
    with (
        patch.object(networks, "modulated_conv", reference.modulated_conv),
        patch.object(networks, "modulated_pointwise", reference.modulated_pointwise),
        patch.object(networks, "lrelu_", reference.lrelu),
        patch.object(networks, "limit", reference.limit),
        patch.object(layers, "lrelu_", reference.lrelu),
        patch.object(resample, "conv", reference.conv),
        patch.object(resample, "upsample", reference.upsample),
        patch.object(resample, "downsample", reference.downsample),
        patch.object(augment, "warp", warp.resample),
        patch.dict(warp.LONGEST_BY_MATRIX, cpu=0, cuda=0),
    ):
        yield


def use_plain(session: Session) -> None:
    """Replace the convolutions that the layers of a session have chosen."""
    state = session.state
    for module in (state.networks.generator, state.networks.discriminators, state.ema):
        for layer in module.modules():
            _replace(layer)


def _replace(layer: nn.Module) -> None:
    chosen = getattr(layer, "convolve", None)
    if chosen is not None:
        layer.convolve = CONVOLUTIONS.get(chosen, chosen)
