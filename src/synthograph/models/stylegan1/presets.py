"""Named starting points: parts of the run configuration tree for an image specification."""

from collections.abc import Callable

from synthograph.core.errors import UserError
from synthograph.core.names import nearest
from synthograph.core.spec import ImageSpec
from synthograph.core.untrusted.documents import JsonObject
from synthograph.ops.operations import BUNDLES

FIRST_SIDE = 8
"""Longer side that growth starts near."""
KNEE_STAGE = 40_000
KNEE_LAST = 1690.0
"""Images of half a stage, and thousands of images at the last one, of the knee project: 60,000
steps in all, of which 7,200 are for the sizes 8 to 128.
"""
TINY_STAGE = 4_000
TINY_KIMG = 40
"""Thousands of images; more where stages are many, so that the last is twice as long as others."""


def _start(spec: ImageSpec) -> int:
    return min(spec.grid.sides, key=lambda side: abs(side - FIRST_SIDE))


def _stages(spec: ImageSpec) -> int:
    return sum(side >= _start(spec) for side in spec.grid.sides)


def _progressive(spec: ImageSpec) -> JsonObject:
    """As the knee project trained, of which the length follows the number of stages."""
    adam = {"lr": 0.001, "beta1": 0.0, "beta2": 0.99, "eps": 1e-8}
    return {
        "model": {
            "family": "stylegan1",
            "start_dimension": _start(spec),
            "progressive_stage": KNEE_STAGE,
            "style_mixing": 0.0,
            "optimisers": {"G": adam, "D": adam},
        },
        "training": {
            "kimg": KNEE_LAST + 2 * KNEE_STAGE / 1000 * (_stages(spec) - 1),
            "batch": 32,
            "batch_gpu": 32,
            "ema_kimg": 22,
        },
        "augment": {"mode": "none", "pipe": dict.fromkeys(BUNDLES["bgc"], 1.0)},
    }


def _tiny(spec: ImageSpec) -> JsonObject:
    """Networks that a laptop processor trains in minutes. Batches are small at all sizes, since the
    steps are few. With the spread loss, the logistic loss and a higher learning rate images come
    nearer and are more varied (docs/results/growing.md).
    """
    adam = {"lr": 0.006, "beta1": 0.0, "beta2": 0.99, "eps": 1e-8}
    return {
        "model": {
            "family": "stylegan1",
            "channel_base": max(512, spec.height, spec.width),
            "channel_max": 64,
            "z_dim": 64,
            "w_dim": 64,
            "mapping_layers": 4,
            "start_dimension": _start(spec),
            "progressive_stage": TINY_STAGE,
            "loss": "logistic",
            "r1_gamma": spec.height * spec.width / 2048,
            "spread_weight": 2.0 if spec.grid.doublings else 0.0,
            "batch_scale": {"4": 1},
            "rate_scale": {"4": 1.0},
            "optimisers": {"G": adam, "D": adam},
        },
        "training": {
            "kimg": max(TINY_KIMG, 2 * TINY_STAGE / 1000 * (_stages(spec) + 1)),
            "batch": 16,
            "batch_gpu": 16,
            "tick_kimg": 1,
            "snap": 5,
            "ema_kimg": 1,
            "ema_ramp": 0.05,
        },
        "augment": {"mode": "none", "pipe": dict.fromkeys(BUNDLES["bgc"], 1.0)},
    }


PRESETS: dict[str, Callable[[ImageSpec], JsonObject]] = {
    "progressive": _progressive,
    "tiny-progressive": _tiny,
}
ALIASES = {"auto": "progressive", "tiny": "tiny-progressive"}
"""What the names that every family has mean in this one."""


def preset(name: str, spec: ImageSpec) -> JsonObject:
    """The preset of that name.

    Raises:
        UserError: there is none.
    """
    own = ALIASES.get(name, name)
    if own not in PRESETS:
        raise UserError(f"preset {name!r} is unknown: {nearest(name, PRESETS)}")
    return PRESETS[own](spec)
