"""Published names: the reference is the training images, the rules are the published ones."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from synthograph.archive.batches import ImageSet
from synthograph.core.errors import UserError
from synthograph.features.inception import Inception, InceptionExtractor
from synthograph.features.preprocess import Preprocess
from synthograph.metrics import frechet, kernel, manifold
from synthograph.metrics.names import parse
from synthograph.metrics.published import NOTE, check_published, measure_published
from synthograph.metrics.sample import Sample
from synthograph.metrics.scores import inception_score
from tests.metrics.images import Means, noise


def sample(images: ImageSet, count: int) -> Sample:
    values = Means()(torch.cat(list(images.batches())))[:count]
    return Sample(values, images.groups[:count])


def test_they_are_the_measures_of_the_first_images_of_that_number(tmp_path: Path) -> None:
    train, fake = noise("train", 90, per=2), noise("made", 60, seed=1)
    got = {
        name: measure_published(parse(name), train, fake, Means(), folder=tmp_path)
        for name in ("fid50_full", "kid50_full")
    }
    real, made = sample(train, 90), sample(fake, 50)
    want = frechet.distance(frechet.moments(real), frechet.moments(made))
    assert got["fid50_full"].results == {"fid50_full": pytest.approx(want, rel=1e-9)}
    want = kernel.subset_distances(real, made).mean
    assert got["kid50_full"].results == {"kid50_full": pytest.approx(want, rel=1e-9)}
    document = got["fid50_full"].json()
    assert document["published"] is True and document["metric"] == "fid50_full"
    assert document["provenance"]["generated"]["n"] == 50
    assert document["provenance"]["real"]["n"] == 90
    assert NOTE in document["values"][0]["notes"]


def test_older_names_take_as_many_real_images_as_generated_ones(tmp_path: Path) -> None:
    train, fake = noise("train", 90), noise("made", 60, seed=1)
    got = measure_published(parse("fid50"), train, fake, Means(), folder=tmp_path)
    assert got.provenance["real"]["n"] == 50 and got.values[0].n_real == 50


def test_precision_and_recall_have_a_key_each(tmp_path: Path) -> None:
    spec = dataclasses.replace(parse("pr1k3_full"), count=60)
    train, fake = noise("train", 90), noise("made", 60, seed=1)
    got = measure_published(spec, train, fake, Means(), folder=tmp_path)
    want = manifold.manifold_measures(sample(train, 90), sample(fake, 60))
    assert got.results == {
        "pr1k3_full_precision": want.precision.value,
        "pr1k3_full_recall": want.recall.value,
    }


class TwoOutputs(InceptionExtractor):
    """Features and probabilities of `Means`."""

    def both(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = Means()(images)
        return features, torch.softmax(features[:, :3] / 20, 1)

    def describe(self) -> dict[str, Any]:
        return {"extractor": "inception"}


def test_the_inception_score_is_that_of_the_probabilities(tmp_path: Path) -> None:
    with torch.device("meta"):
        network = Inception()
    network.fc = torch.nn.Linear(4, 3)
    stub = TwoOutputs("inception", 4, Means().digest, network, Preprocess(8), "none", 8)
    fake = noise("made", 60, seed=1)
    got = measure_published(parse("is50"), noise("train"), fake, stub, folder=tmp_path)
    rows = stub.both(torch.cat(list(fake.batches())))[1][:50]
    value, deviation = inception_score(rows)
    assert got.results == {"is50_mean": value.value, "is50_std": pytest.approx(deviation)}
    assert value.value is not None and value.value > 1.0001
    got = measure_published(parse("fid50"), noise("train"), fake, stub, folder=tmp_path)
    plain = measure_published(parse("fid50"), noise("train"), fake, Means(), folder=tmp_path)
    assert got.results == plain.results, "probabilities are no features"


def test_more_images_than_there_are() -> None:
    for name, way in (("fid50k_full", "fid2k_full"), ("pr50k3", "pr2k3"), ("is50k", "is2k")):
        with pytest.raises(UserError) as error:
            check_published(parse(name), noise(), 2500, "made")
        assert f"needs 50000 generated images, made has 2500; ask for fewer, such as {way}" in str(
            error.value
        )
