"""The extractors and distances that exist, by name."""

from pathlib import Path
from typing import cast

import torch

from synthograph.core.cache import cache_part
from synthograph.core.devices import Precision, pick_device
from synthograph.core.errors import UserError
from synthograph.core.names import nearest
from synthograph.features import classifier, lpips, random_vgg
from synthograph.features.base import Extractor, FeatureNetwork, to_device
from synthograph.features.lpips import PerceptualDistance
from synthograph.features.networks import NETWORKS, WEIGHTS
from synthograph.features.packaged import TRAINED, default_extractor
from synthograph.features.weights import how_to_get, load, weight_state

CLASSIFIER = classifier.PREFIX
DISTANCES = ("lpips", f"{random_vgg.NAME}-distance", f"{TRAINED}-distance")

NAMES = tuple(NETWORKS)
"""Of the extractors; all but the first need a file of weights."""


def feature_folder() -> Path:
    """Where features are kept; made if it is missing.

    Raises:
        UserError: nothing can be written there.
    """
    return cache_part("features")


def extractor(
    name: str,
    *,
    device: torch.device | str = "cpu",
    precision: Precision = Precision.FP32,
) -> Extractor:
    """The feature extractor of that name.

    Args:
        name: one of `NAMES`, or `classifier:FILE`, see `features/classifier.py`.
        device: where it computes.
        precision: of convolutions and matrix products; `auto` is fp32.

    Raises:
        MissingWeightsError: its weights are not on this machine; the message says how to get them.
        UserError: there is none of that name, or its file is missing or damaged.
    """
    check_name(name)
    where = pick_device(str(device))
    precision = _resolved(precision)
    if name.startswith(CLASSIFIER):
        return classifier.make(Path(name.removeprefix(CLASSIFIER)), where, precision)
    recipe = NETWORKS[name]
    network, digest = load(name) if recipe.draw is None else recipe.draw()
    return recipe.make(cast(FeatureNetwork, network), digest, where, precision)


def check_name(name: str) -> None:
    """Refuse an extractor that does not exist.

    Raises:
        UserError: there is none of that name, or no file is given.
    """
    if name == CLASSIFIER:
        raise UserError(f"{name!r}: give the file of weights, as {CLASSIFIER}cells.safetensors")
    if name not in NAMES and not name.startswith(CLASSIFIER):
        raise UserError(f"extractor {name!r} is unknown: {nearest(name, NAMES)}")


def perceptual_distance(
    name: str = "lpips",
    *,
    device: torch.device | str = "cpu",
    precision: Precision = Precision.FP32,
) -> PerceptualDistance:
    """The distance of image pairs of that name.

    Args:
        name: one of `DISTANCES`; `random-vgg16-distance` needs no weights and is indicative.
        device: where it computes.
        precision: of convolutions; `auto` is fp32.

    Raises:
        MissingWeightsError: weights are not on this machine; the message says how to get them.
        UserError: there is none of that name, or its weights are damaged.
    """
    where = pick_device(str(device))
    precision = _resolved(precision)
    if name == DISTANCES[1]:
        return lpips.make_random(where, precision)
    if name not in DISTANCES:
        raise UserError(f"distance {name!r} is unknown: {nearest(name, DISTANCES)}")
    if name == DISTANCES[2]:
        return lpips.make_lite(*load(TRAINED), where, precision)
    (trunk, first), (weighting, second) = load("vgg16"), load("lpips")
    return PerceptualDistance(
        name=name,
        layers=to_device(trunk.get_submodule("features"), where),
        weights=[vector.detach().flatten().to(where) for vector in weighting.parameters()],
        digests={"vgg16": first, "lpips": second},
        device=where,
        precision=precision,
    )


def default_distance() -> str:
    """The distance of images where the user names none: by the trained network, if its weights are
    here, else by the random one, which is indicative.
    """
    return f"{default_extractor()}-distance"


def needed_weights(name: str) -> tuple[str, ...]:
    """The files of weights that an extractor or a distance needs."""
    if name == "lpips":
        return ("vgg16", "lpips")
    return (name,) if name in WEIGHTS else ()


def classifying() -> list[str]:
    """Names of the extractors that give class probabilities."""
    return list(filter(classifies, NAMES))


def classifies(name: str) -> bool:
    """Whether the extractor of that name gives class probabilities too."""
    return name in NETWORKS and NETWORKS[name].extractor.classifies


def missing_weights(name: str) -> str | None:
    """How to get the weights of an extractor that are not on this machine; None where all are here.
    No network is built, unless it is the user's own.

    Raises:
        UserError: there is no extractor of that name, or its file is missing or damaged.
    """
    check_name(name)
    if name.startswith(CLASSIFIER):
        extractor(name)
    states = map(weight_state, needed_weights(name))
    absent = [state for state in states if state.here is None]
    return how_to_get(absent[0]) if absent else None


def _resolved(precision: Precision) -> Precision:
    return Precision.FP32 if precision is Precision.AUTO else precision
