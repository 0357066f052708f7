"""Truncation: a smaller psi loses variety, and the rule finds where."""

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from synthograph.archive.batches import ImageSet
from synthograph.core.spec import ImageSpec
from synthograph.metrics.truncation import MIN_OF_CLASS, NAMES, truncation_parts
from synthograph.results.evaluation import Scope
from tests.metrics.images import Means

SPEC = ImageSpec(height=8, width=8, modalities={"image": 1})


def of_values(values: Tensor, labels: tuple[str, ...]) -> ImageSet:
    """Images of 8x8 pixels, four shades each."""
    grid = values.reshape(-1, 1, 2, 2).repeat_interleave(4, 2).repeat_interleave(4, 3)
    pixels = grid.round().clamp(0, 255).to(torch.uint8)

    def batches() -> Iterator[Tensor]:
        yield pixels

    count = len(pixels)
    return ImageSet("set", SPEC, count, batches, count, torch.arange(count), labels)


def test_recall_falls_with_psi_and_small_classes_are_named(tmp_path: Path) -> None:
    spread = torch.randn(120, 4, generator=torch.Generator().manual_seed(0)) * 30
    labels = ("a",) * 100 + ("b",) * (MIN_OF_CLASS - 10)
    other = torch.randn(120, 4, generator=torch.Generator().manual_seed(1)) * 30
    at = {psi: of_values(128 + psi * other, labels) for psi in (0.2, 0.6, 1.0)}
    parts, notes = truncation_parts(of_values(128 + spread, labels), at, Means(), folder=tmp_path)
    assert [part.scope for part in parts] == [Scope(), Scope(column="label", level="a")]
    assert notes == [
        "class b is not measured alone: 20 real and 20 synthetic images, at least 30 of each are "
        "needed"
    ]
    for part in parts:
        assert [point.psi for point in part.points] == [0.2, 0.6, 1]
        recall, precision = (
            [point.of(name).value for point in part.points] for name in ("recall", "precision")
        )
        assert recall[0] < 0.3 < recall[1] < recall[2]
        assert precision[0] >= precision[2]
        assert part.best == part.chosen == 1
        assert all(value.name in NAMES for value in part.points[0].values)
        assert part.points[2].of("recall").interval is not None
