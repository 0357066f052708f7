"""Named starting points: parts of the run configuration tree for an image specification and a
number of GPUs.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from synthograph.core.errors import UserError
from synthograph.core.names import nearest
from synthograph.core.spec import ImageSpec
from synthograph.core.untrusted.documents import JsonObject
from synthograph.ops.operations import BUNDLES


@dataclass(frozen=True)
class PublishedSettings:
    """One row of the published table of base configurations (StyleGAN2-ADA)."""

    gpus: int
    kimg: float
    batch: int
    mbstd: int
    fmaps: float
    lr: float
    gamma: float
    ema_kimg: float
    ema_ramp: float | None = None
    mapping: int = 8


PUBLISHED = {
    "stylegan2": PublishedSettings(8, 25000, 32, 4, 1, 0.002, 10, 10),
    "paper256": PublishedSettings(8, 25000, 64, 8, 0.5, 0.0025, 1, 20),
    "paper512": PublishedSettings(8, 25000, 64, 8, 1, 0.0025, 0.5, 20),
    "paper1024": PublishedSettings(8, 25000, 32, 4, 1, 0.002, 2, 10),
    "cifar": PublishedSettings(2, 100000, 64, 32, 1, 0.0025, 0.01, 500, ema_ramp=0.05, mapping=2),
}


PUBLISHED_SIDES = {"paper256": 256, "paper512": 512, "paper1024": 1024, "cifar": 32}
"""Side of the images that a row of the table was found for (StyleGAN2-ADA, table of base
configurations); `stylegan2` was used for several and is not among them.
"""


def auto(spec: ImageSpec, gpus: int) -> PublishedSettings:
    """The published formulas, whose batch is cut to whole groups for each GPU; of non-square images
    r is the longer side, r^2 height x width.
    """
    r = max(spec.height, spec.width)
    batch = max(min(gpus * min(4096 // r, 32), 64), gpus)
    group = min(batch // gpus, 4)
    batch -= batch % (gpus * group)
    return PublishedSettings(
        gpus=gpus,
        kimg=25000,
        batch=batch,
        mbstd=group,
        fmaps=1 if r >= 512 else 0.5,
        lr=0.002 if r >= 1024 else 0.0025,
        gamma=0.0002 * spec.height * spec.width / batch,
        ema_kimg=batch * 10 / 32,
        ema_ramp=0.05,
        mapping=2,
    )


def _tree(row: PublishedSettings) -> JsonObject:
    adam = {"lr": row.lr, "beta1": 0.0, "beta2": 0.99, "eps": 1e-8}
    return {
        "model": {
            "family": "stylegan2",
            "channel_base": int(32768 * row.fmaps),
            "channel_max": 512,
            "mapping_layers": row.mapping,
            "mbstd_group": row.mbstd,
            "r1_gamma": row.gamma,
            "optimisers": {"G": adam, "D": adam},
        },
        "training": {
            "kimg": row.kimg,
            "batch": row.batch,
            "batch_gpu": row.batch // row.gpus,
            "ema_kimg": row.ema_kimg,
            "ema_ramp": row.ema_ramp,
        },
        "augment": {"mode": "ada", "pipe": dict.fromkeys(BUNDLES["bgc"], 1.0)},
    }


def _fixed(row: PublishedSettings) -> Callable[[ImageSpec, int], JsonObject]:
    return lambda spec, gpus: _tree(row)


def _cifar(_: ImageSpec, __: int) -> JsonObject:
    tree = _tree(PUBLISHED["cifar"])
    tree["model"] |= {
        "path_weight": 0.0,
        "style_mixing": 0.0,
        "discriminator_architecture": "orig",
    }
    return tree


def _tiny(spec: ImageSpec, _: int) -> JsonObject:
    """A network that a laptop processor trains in minutes, for demonstrations and tests.

    Few channels and no path length, which is the dearest penalty; small batches and a shorter
    average, because a run of a few ten kimg ends long before the published ones have warmed up.
    Images of a class get varied by the spread loss. It holds a higher learning rate and an R1 of 40
    times the published formula, with which images form earlier (docs/results/tiny.md).
    Snapshots come often.
    """
    adam = {"lr": 0.006, "beta1": 0.0, "beta2": 0.99, "eps": 1e-8}
    return {
        "model": {
            "family": "stylegan2",
            "channel_base": max(512, spec.height, spec.width),
            "channel_max": 64,
            "clamp": None,
            "z_dim": 64,
            "w_dim": 64,
            "mapping_layers": 2,
            "mbstd_group": 4,
            "r1_gamma": 0.0005 * spec.height * spec.width,
            "path_weight": 0.0,
            "spread_weight": 2.0 if spec.grid.doublings else 0.0,
            "optimisers": {"G": adam, "D": adam},
        },
        "training": {
            "kimg": 40,
            "batch": 16,
            "batch_gpu": 16,
            "tick_kimg": 1,
            "snap": 5,
            "ema_kimg": 1,
            "ema_ramp": 0.05,
        },
        "augment": {"mode": "none", "pipe": dict.fromkeys(BUNDLES["bgc"], 1.0)},
    }


SHORT_KIMG = 300
"""Thousands of images below which `auto` trains as `short`."""


def _short(spec: ImageSpec, gpus: int) -> JsonObject:
    """`auto` for trainings that end before the published settings have warmed up.

    What it changes was measured one setting at a time (docs/results/short.md).
    """
    row = auto(spec, gpus)
    batch = max(min(row.batch, 16 * gpus), gpus)
    gamma = row.gamma * row.batch / batch
    tree = _tree(replace(row, kimg=100, batch=batch, gamma=gamma, lr=0.003, ema_kimg=1))
    tree["model"] |= {"path_weight": 0.0, "z_dim": 64, "w_dim": 64}
    tree["training"] |= {"tick_kimg": 1, "snap": 10}
    return tree


def within(name: str, kimg: float) -> str:
    """The preset that stands in for `name` in a training of so many thousand images."""
    return "short" if name == "auto" and kimg < SHORT_KIMG else name


PRESETS: dict[str, Callable[[ImageSpec, int], JsonObject]] = {
    "auto": lambda spec, gpus: _tree(auto(spec, gpus)),
    **{name: _fixed(row) for name, row in PUBLISHED.items()},
    "cifar": _cifar,
    "short": _short,
    "tiny": _tiny,
}


def preset_note(name: str, spec: ImageSpec) -> str | None:
    """The warning for a preset that was published for images of another size, in one sentence; None
    where size and preset agree, or the preset was published for no size.
    """
    side = PUBLISHED_SIDES.get(name)
    if side is None or (spec.height, spec.width) == (side, side):
        return None
    gamma, fitting = PUBLISHED[name].gamma, auto(spec, 1).gamma
    return (
        f"preset {name} was published for {side}x{side}; these images are {spec.width}x"
        f"{spec.height}, for which its weights and rates were not found (r1_gamma {gamma:g}, where "
        f"--cfg auto takes {fitting:.2g}); use --cfg auto unless you mean it"
    )


def preset(name: str, spec: ImageSpec, gpus: int) -> JsonObject:
    """The preset of that name.

    Raises:
        UserError: there is none.
    """
    if name not in PRESETS:
        raise UserError(f"preset {name!r} is unknown: {nearest(name, PRESETS)}")
    return PRESETS[name](spec, gpus)
