"""Measures as columns: the same numbers as the measures with intervals, and coverage per class."""

import pytest
import torch

from synthograph.metrics.frechet import frechet_distance
from synthograph.metrics.kernel import kernel_distance
from synthograph.metrics.manifold import manifold_measures
from synthograph.metrics.probes import (
    BY_LABEL,
    UNLABELLED,
    Direction,
    Labelled,
    coverage_per_class,
    covered,
    standard_probes,
)
from synthograph.stats.sample import Sample
from tests.metrics.draws import gaussian


def labelled(sample: Sample, labels: torch.Tensor) -> Labelled:
    return Labelled(sample.values, sample.groups, labels)


def pair() -> tuple[Labelled, Labelled]:
    real, fake = gaussian(0, 50, 4), gaussian(1, 40, 4, shift=1.0)
    return labelled(real, torch.arange(50) % 2), labelled(fake, torch.arange(40) % 2)


def test_the_standard_numbers_are_those_of_the_measures() -> None:
    real, fake = pair()
    probe, by_label, by_look = standard_probes(("a", "b"))
    found = probe.function(real, fake)
    shares = manifold_measures(real, fake)
    expected = [frechet_distance(real, fake), kernel_distance(real, fake)]
    expected += [shares.precision, shares.recall, shares.density, shares.coverage]
    assert {name for name, _ in found} == set(probe.columns)
    for value in expected:
        assert found[value.name, ""] == pytest.approx(value.value, rel=1e-6)
    assert probe.columns["frechet"] is probe.columns["kernel"] is Direction.LOW
    assert {probe.columns[name] for name in ("precision", "recall", "density", "coverage")} == {
        Direction.HIGH
    }
    assert [*by_label.columns, *by_look.columns] == [BY_LABEL, UNLABELLED]
    assert len(standard_probes()) == 1


@pytest.mark.parametrize("fakes", [40, 3, 0])
def test_covered_images_are_those_of_the_coverage(fakes: int) -> None:
    real, fake = gaussian(0, 50, 4), gaussian(1, 40, 4, shift=1.0)
    inside = covered(real, fake.subset(torch.arange(fakes)))
    brute = torch.cdist(real.values.double(), real.values.double()).sort(1).values[:, 5]
    apart = torch.cdist(real.values.double(), fake.values.double()[:fakes])
    assert torch.equal(inside, (apart <= brute[:, None]).any(1))
    if fakes == 40:
        assert float(inside.double().mean()) == manifold_measures(real, fake).coverage.value
        assert 0 < int(inside.sum()) < 50


def test_coverage_per_class_by_label_is_that_of_the_class_alone() -> None:
    real, fake = pair()
    found = coverage_per_class(("a", "b")).function(real, fake)
    for label, name in enumerate("ab"):
        alone = manifold_measures(
            real.subset(real.labels == label), fake.subset(fake.labels == label)
        )
        assert found[BY_LABEL, name] == alone.coverage.value


def test_without_labels_any_generated_image_counts() -> None:
    real, fake = pair()
    nameless = labelled(fake, torch.full((40,), -1))
    loose = coverage_per_class(("a", "b"), unlabelled=True)
    found = loose.function(real, nameless)
    assert found == loose.function(real, fake)
    whole = manifold_measures(real, fake).coverage.value
    assert sum(found[UNLABELLED, name] or 0 for name in "ab") / 2 == pytest.approx(whole)
    strict = coverage_per_class(("a", "b")).function(real, nameless)
    assert set(strict.values()) == {0.0}


def test_too_few_images_have_no_number() -> None:
    real, fake = pair()
    few = real.subset(torch.arange(5))
    assert coverage_per_class(("a",)).function(few, fake) == {}
    assert coverage_per_class(("a",), unlabelled=True).function(few, fake) == {}
