"""Samples: chunks, blocks, and sets that cannot be measured."""

import pytest
import torch

from synthograph.core.errors import UserError
from synthograph.metrics.frechet import frechet_distance
from synthograph.metrics.kernel import kernel_distance
from synthograph.metrics.manifold import manifold_measures
from synthograph.stats.sample import Sample, by_block
from tests.metrics.draws import gaussian

MEASURES = (
    frechet_distance,
    kernel_distance,
    lambda real, fake: manifold_measures(real, fake).recall,
)


def test_chunks_never_cross_a_block_and_hold_every_image_once() -> None:
    blocks = torch.tensor([2, 0, 1, 0, 2, 2, 0, 2])
    sample = Sample.singles(torch.arange(8.0)[:, None])
    ordered = by_block(sample, blocks, size=3)
    seen = []
    for block, start, stop in ordered.spans:
        rows = ordered.rows(start, stop)
        assert 0 < len(rows) <= 3
        assert set(blocks[rows.groups].tolist()) == {block}
        seen += rows.groups.tolist()
    assert sorted(seen) == list(range(8))


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("poison", [float("nan"), float("inf")])
def test_a_feature_that_is_no_number_is_refused_with_its_image(measure, poison: float) -> None:
    real, fake = gaussian(0, 20, 3), gaussian(1, 20, 3)
    fake.values[7, 1] = poison
    with pytest.raises(UserError, match="synthetic image 7"):
        measure(real, fake)


@pytest.mark.parametrize("measure", MEASURES)
def test_different_extractors_are_refused(measure) -> None:
    with pytest.raises(UserError, match="4 features and synthetic ones 3"):
        measure(gaussian(0, 20, 4), gaussian(1, 20, 3))


@pytest.mark.parametrize("measure", MEASURES)
@pytest.mark.parametrize("count", [0, 1])
def test_tiny_sets_have_no_value_and_say_why(measure, count: int) -> None:
    value = measure(gaussian(0, 20, 3), gaussian(1, count, 3))
    assert value.value is None
    assert value.interval is None
    assert f"{count} synthetic images, at least" in value.notes[0]


@pytest.mark.parametrize("measure", MEASURES)
def test_few_patients_have_a_value_without_an_interval(measure) -> None:
    value = measure(gaussian(0, 4, 3, per=10), gaussian(1, 40, 3))
    assert value.value is not None
    assert value.interval is None
    assert any("4 groups of images, at least 5" in note for note in value.notes)
    assert (value.n_real, value.n_fake, value.groups_real) == (40, 40, 4)


@pytest.mark.parametrize("measure", MEASURES)
def test_the_same_call_gives_the_same_value(measure) -> None:
    real, fake = gaussian(0, 30, 4, per=2), gaussian(1, 50, 4)
    assert measure(real, fake) == measure(real, fake)
