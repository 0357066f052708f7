"""The networks that exist: one line each. A new extractor is one file and one line here."""

from synthograph.features import (
    dinov2,
    efficientnet_lite,
    inception,
    lpips,
    random_vgg,
    resnet50,
    vgg16,
)
from synthograph.features.base import NetworkRecipe, WeightFile

NETWORKS: dict[str, NetworkRecipe] = {
    recipe.name: recipe
    for recipe in (
        random_vgg.RECIPE,
        *efficientnet_lite.RECIPES,
        inception.RECIPE,
        vgg16.RECIPE,
        *dinov2.RECIPES,
        *resnet50.RECIPES,
    )
}
"""Extractors by name."""

WEIGHTS: dict[str, WeightFile] = {
    file.name: file
    for file in (*(recipe.weights for recipe in NETWORKS.values()), lpips.WEIGHTS)
    if file is not None
}
"""Published files of weights, by the name of what needs them."""
