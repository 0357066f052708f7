"""Published names: the reference is the training images, the rules are the published ones."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from synthograph.archive.batches import ImageSet
from synthograph.core.devices import Precision
from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.features.base import MissingWeightsError
from synthograph.features.inception import Inception, InceptionExtractor
from synthograph.features.preprocess import Preprocess
from synthograph.features.registry import perceptual_distance
from synthograph.metrics import frechet, kernel, manifold
from synthograph.metrics.names import PathLength, parse, parse_path
from synthograph.metrics.paths import trimmed_mean
from synthograph.metrics.published import (
    FACES,
    INDICATIVE,
    NOTE,
    check_published,
    measure_path_length,
    measure_published,
)
from synthograph.metrics.scores import inception_score
from synthograph.stats.sample import Sample
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
    want = float(kernel.subset_distances(real, made).mean())
    assert got["kid50_full"].results == {"kid50_full": pytest.approx(want, rel=1e-9)}
    document = got["fid50_full"].tree()
    assert document["published"] is True and document["metric"] == "fid50_full"
    assert document["provenance"]["generated"]["n"] == 50
    assert document["provenance"]["real"]["n"] == 90
    assert NOTE in document["values"][0]["notes"]


def test_older_names_take_as_many_real_images_as_generated_ones(tmp_path: Path) -> None:
    train, fake = noise("train", 90), noise("made", 60, seed=1)
    got = measure_published(parse("fid50"), train, fake, Means(), folder=tmp_path)
    assert got.provenance.tree()["real"]["n"] == 50 and got.values[0].n_real == 50


def test_precision_and_recall_have_a_key_each(tmp_path: Path) -> None:
    spec = dataclasses.replace(parse("pr1k3_full"), count=60)
    train, fake = noise("train", 90), noise("made", 60, seed=1)
    got = measure_published(spec, train, fake, Means(), folder=tmp_path)
    want = manifold.manifold_measures(sample(train, 90), sample(fake, 60))
    assert got.results == {
        "pr1k3_full_precision": want.precision.value,
        "pr1k3_full_recall": want.recall.value,
    }


def alone(images: ImageSet, name: str, part: slice) -> ImageSet:
    """The same images of one modality."""
    spec = images.spec.model_copy(update={"modalities": {name: images.spec.modalities[name]}})
    return dataclasses.replace(
        images, spec=spec, batches=lambda: (batch[:, part] for batch in images.batches())
    )


@pytest.mark.parametrize("name", ["fid50_full", "kid50_full", "pr1k3_full"])
def test_of_several_modalities_each_has_its_number(name: str, tmp_path: Path) -> None:
    spec, both = dataclasses.replace(parse(name), count=50), {"vis": 3, "nir": 1}
    sets = noise("train", 60, modalities=both), noise("made", 50, seed=1, modalities=both)
    got = measure_published(spec, *sets, Means(), folder=tmp_path)
    want = {}
    for modality, ending, part in (("vis", "", slice(0, 3)), ("nir", "_nir", slice(3, 4))):
        one = [alone(images, modality, part) for images in sets]
        found = measure_published(spec, *one, Means(), folder=tmp_path)
        assert tuple(found.results) == spec.keys
        want |= {f"{key}{ending}": value for key, value in found.results.items()}
    assert got.results == want and len(set(want.values())) == len(want)
    notes = got.values[-1].notes
    assert NOTE in notes and any(note.endswith("of the channels of nir alone") for note in notes)


class TwoOutputs(InceptionExtractor):
    """Features and probabilities of `Means`."""

    def features_and_probabilities(self, images: Tensor) -> tuple[Tensor, Tensor]:
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
    rows = stub.features_and_probabilities(torch.cat(list(fake.batches())))[1][:50]
    value, deviation = inception_score(rows)
    assert got.results == {"is50_mean": value.value, "is50_std": pytest.approx(deviation)}
    assert value.value is not None and value.value > 1.0001
    got = measure_published(parse("fid50"), noise("train"), fake, stub, folder=tmp_path)
    plain = measure_published(parse("fid50"), noise("train"), fake, Means(), folder=tmp_path)
    assert got.results == plain.results, "probabilities are no features"
    sets = (noise("both", 60, seed=seed, modalities={"a": 1, "b": 1}) for seed in (0, 1))
    got = measure_published(parse("is50"), *sets, stub, folder=tmp_path)
    assert tuple(got.results) == ("is50_mean", "is50_std", "is50_mean_b", "is50_std_b")


def test_more_images_than_there_are() -> None:
    for name, way in (("fid50k_full", "fid2k_full"), ("pr50k3", "pr2k3"), ("is50k", "is2k")):
        with pytest.raises(UserError) as error:
            check_published(parse(name), noise(), 2500, "made")
        assert f"needs 50000 synthetic images, made has 2500; ask for fewer, such as {way}" in str(
            error.value
        )


@pytest.mark.parametrize(
    ("name", "way"),
    [("fid5k", "fid500"), ("is5k", "is500"), ("pr5k3_full", "give it more")],
)
def test_the_way_out_exists(name: str, way: str) -> None:
    with pytest.raises(UserError) as error:
        check_published(parse(name), noise(), 500, "made")
    assert str(error.value).endswith(way)
    if way[0] != "g":
        check_published(parse(way), noise(), 500, "made")


def test_the_kernel_distance_has_an_interval_beside_its_subsets(tmp_path: Path) -> None:
    train, fake = noise("train", 90, per=2), noise("made", 90, seed=1, bright=20)
    (value,) = measure_published(parse("kid90_full"), train, fake, Means(), folder=tmp_path).values
    assert value.interval is not None and value.value is not None
    assert value.interval.low <= value.value <= value.interval.high
    assert value.interval.low > 0


GREY = ImageSpec(height=32, width=32, modalities={"image": 1})


def steps(count: int, batch: int = 8, channels: int = 1) -> list[tuple[Tensor, Tensor]]:
    """Images of noise and what is 0.01 grey levels away from them."""
    generator = torch.Generator().manual_seed(0)
    first = 255 * torch.rand(count, channels, 32, 32, generator=generator)
    second = first + 0.01 * torch.randn(first.shape, generator=generator)
    return list(zip(first.split(batch), second.split(batch), strict=True))


def path(name: str) -> PathLength:
    spec = parse_path(name)
    assert spec is not None
    return spec


def test_path_length_by_the_offline_distance_is_marked() -> None:
    spec, distance = path("path_length_40"), perceptual_distance("random-vgg16-distance")
    got = measure_path_length(spec, steps(40), distance, GREY, origin={"snapshot": "s"}, batch=8)
    apart = torch.cat([distance(*pair) for pair in steps(40)]).double()
    assert got.results == {"path_length_40": pytest.approx(float(trimmed_mean(apart / 1e-8)))}
    (value,) = got.values
    assert INDICATIVE in value.notes and FACES not in value.notes
    assert value.n_fake == 40 and value.interval is not None and value.value in value.interval
    document = got.tree()
    assert document["published"] is False and document["metric"] == "path_length_40"
    about = document["provenance"]
    assert about["features"]["indicative"] is True
    assert about["generated"] == {"snapshot": "s", "pairs": 40, "n": 80}
    assert about["path"]["epsilon"] == 1e-4 and about["path"]["space"] == "w"


def test_of_several_modalities_each_has_its_path_length() -> None:
    spec, distance = path("path_length_40"), perceptual_distance("random-vgg16-distance")
    both = GREY.model_copy(update={"modalities": {"vis": 3, "nir": 1}})
    pairs = steps(40, channels=4)
    got = measure_path_length(spec, pairs, distance, both, origin={}, batch=8)
    want = {}
    for key, part in (("path_length_40", slice(0, 3)), ("path_length_40_nir", slice(3, 4))):
        apart = torch.cat([distance(a[:, part], b[:, part]) for a, b in pairs]).double()
        want[key] = pytest.approx(float(trimmed_mean(apart / 1e-8)))
    assert got.results == want
    assert [value.value for value in got.values] == list(got.results.values())
    notes = got.values[-1].notes
    assert "path_length_40_nir: of the channels of nir alone" in notes and INDICATIVE in notes


def test_published_path_lengths_need_the_published_distance() -> None:
    with pytest.raises(MissingWeightsError, match="vgg16"):
        perceptual_distance(path("ppl2_wend").distance)
    offline = perceptual_distance("random-vgg16-distance")
    with pytest.raises(UserError, match="ppl2_wend: is measured with lpips"):
        measure_path_length(path("ppl2_wend"), steps(8), offline, GREY, origin={}, batch=8)
    # as it is where the weights are here
    trained = dataclasses.replace(offline, name="lpips", indicative=False)
    spec = path("ppl_zfull_16")
    got = measure_path_length(spec, steps(16), trained, GREY, origin={}, batch=8)
    assert got.tree()["published"] is True and list(got.results) == ["ppl_zfull_16"]
    assert FACES in got.values[0].notes and INDICATIVE not in got.values[0].notes
    cut = [(a[:, :, 12:28, 8:24], b[:, :, 12:28, 8:24]) for a, b in steps(16)]
    apart = torch.cat([trained(*pair) for pair in cut]).double()
    assert got.results["ppl_zfull_16"] == pytest.approx(float(trimmed_mean(apart / 1e-8)))


def test_path_lengths_that_would_be_wrong() -> None:
    spec = path("path_length_16")
    low = perceptual_distance("random-vgg16-distance", precision=Precision.BF16)
    with pytest.raises(UserError, match="smaller than bf16 resolves"):
        measure_path_length(spec, steps(16), low, GREY, origin={}, batch=8)
    exact = perceptual_distance("random-vgg16-distance")
    with pytest.raises(UserError, match="8 pairs of images, 16 were expected"):
        measure_path_length(spec, steps(8), exact, GREY, origin={}, batch=8)
    spoiled = [(a, b * torch.nan) for a, b in steps(16)]
    with pytest.raises(UserError, match="path_length_16: a perceptual distance is negative"):
        measure_path_length(spec, spoiled, exact, GREY, origin={}, batch=8)
