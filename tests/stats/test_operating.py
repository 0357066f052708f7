"""Operating points of a score."""

import torch

from synthograph.stats.operating import MOST, operating_points
from synthograph.stats.scores import auroc, average_precision


def test_areas_under_the_points_are_the_scores() -> None:
    generator = torch.Generator().manual_seed(0)
    said = (torch.rand(120, generator=generator) * 10).round() / 10  # with ties
    own = torch.rand(120, generator=generator) < said
    points = operating_points(said, own)
    assert points is not None
    once = torch.ones(1, 120, dtype=torch.float64)
    area = torch.trapezoid(points.sensitivity, points.false_alarms)
    assert torch.isclose(area, auroc(said, own, once)[0])
    steps = points.sensitivity.diff()
    assert torch.isclose(
        (steps * points.precision[1:]).sum(), average_precision(said, own, once)[0]
    )
    assert (points.false_alarms[0], points.sensitivity[0]) == (0, 0)
    assert (points.false_alarms[-1], points.sensitivity[-1]) == (1, 1)


def test_many_points_are_thinned_and_keep_their_ends() -> None:
    said = torch.linspace(0, 1, 5000)
    points = operating_points(said, said > 0.5)
    assert points is not None
    assert len(points.sensitivity) == MOST
    assert points.false_alarms[-1] == 1


def test_one_class_alone_has_none() -> None:
    assert operating_points(torch.rand(4), torch.ones(4, dtype=torch.bool)) is None
