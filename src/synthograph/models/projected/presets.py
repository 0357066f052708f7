"""Named starting points of the projected family."""

from synthograph.core.errors import UserError
from synthograph.core.names import nearest
from synthograph.core.spec import ImageSpec
from synthograph.core.untrusted.documents import JsonObject
from synthograph.ops.operations import BUNDLES

PRESETS = ("tiny-projected",)
ALIASES = {"auto": "tiny-projected", "tiny": "tiny-projected"}
"""What the names that every family has mean in this one."""
BATCH = 32
HEAD_LAYERS = 2
"""At 32x32 three of four pictures are no larger than 4x4, and heads without a hidden layer blend
kinds of image that share a class (docs/results/projected.md).
"""
CHANGES = ("xflip", "xint", "cutout", *BUNDLES["color"])
"""Augmentation of all images: shifts by whole pixels, cutout, and colours where they may change
(Zhao et al. 2020).
"""


def preset(name: str, spec: ImageSpec, gpus: int) -> JsonObject:
    """For a processor: sharp images of a few hundred originals in minutes.

    Raises:
        UserError: there is none of that name.
    """
    if ALIASES.get(name, name) not in PRESETS:
        raise UserError(f"preset {name!r} is unknown: {nearest(name, PRESETS)}")
    return {
        "model": {
            "family": "projected",
            "channel_base": 32 * max(spec.height, spec.width),
            "channel_max": 64,
            "clamp": None,
            "z_dim": 64,
            "w_dim": 128,
            "noise": False,
            "style_mixing": 0.0,
            "head_layers": HEAD_LAYERS,
        },
        "training": {
            "kimg": 40,
            "batch": BATCH,
            "batch_gpu": next(n for n in range(max(BATCH // gpus, 2), 0, -1) if BATCH % n == 0),
            "tick_kimg": 1,
            "snap": 5,
            "ema_kimg": 3,
            "ema_ramp": 0.1,
        },
        "augment": {"mode": "fixed", "p": 1.0, "pipe": dict.fromkeys(CHANGES, 1.0)},
    }
