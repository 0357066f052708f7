"""The psi that a sweep names."""

import pytest

from synthograph.core.interval import Interval
from synthograph.results.evaluation import Scope, Value
from synthograph.results.truncation import TruncationPart, TruncationPoint


def point(psi: float, recall: float | None, high: float | None = None) -> TruncationPoint:
    note = () if recall is not None else ("too few",)
    ends = None if high is None or recall is None else Interval(0, high)
    value = Value(name="recall", value=recall, interval=ends, n_real=40, notes=note)
    return TruncationPoint(psi=psi, values=(Value(name="precision", value=0.5), value))


@pytest.mark.parametrize(
    ("recalls", "best", "chosen"),
    [
        ({1.0: 0.6, 0.9: 0.58, 0.8: 0.57, 0.7: 0.56}, 1.0, 0.8),  # 0.57 is 95 % of 0.6
        ({0.5: 0.2, 0.7: 0.8, 1.0: 0.5}, 0.7, 0.7),
        ({0.5: 0.4, 1.0: 0.4}, 1.0, 0.5),
        ({0.5: None, 1.0: 0.4}, 1.0, 1.0),
        ({0.5: None, 1.0: None}, None, None),
        ({0.5: 0.0, 1.0: 0.1}, 1.0, None),  # 4 of 40 images are too few
        ({0.5: 0.0, 1.0: 0.125}, 1.0, 1.0),
        ({-1.0: 0.4, 1.0: 0.1}, -1.0, -1.0),
    ],
)
def test_the_rule(
    recalls: dict[float, float | None], best: float | None, chosen: float | None
) -> None:
    part = TruncationPart.of(Scope(), [point(psi, recall) for psi, recall in recalls.items()])
    assert (part.best, part.chosen, part.possible) == (best, chosen, None)
    assert [p.psi for p in part.points] == sorted(recalls)
    assert TruncationPart.parse(part.tree(), "file") == part


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize(
    ("images", "hits", "chosen"),
    [
        (77, {0.5: 5, 1.0: 5}, 0.5),  # 5 / 77 * 77 is below 5
        (77, {0.5: 4, 1.0: 4}, None),
        (53, {0.5: 18, 0.7: 19, 1.0: 20}, 0.7),  # 95 % of 20 / 53 is above 19 / 53
    ],
)
def test_the_rule_counts_images(
    images: int, hits: dict[float, int], chosen: float | None, *, counted: bool
) -> None:
    points = []
    for psi, count in hits.items():
        counts = {"hits": count, "images": images} if counted else {}
        share = count / images
        ends = Interval(0, share)
        value = Value(name="recall", value=share, interval=ends, n_real=images, counts=counts)
        points.append(TruncationPoint(psi=psi, values=(value,)))
    part = TruncationPart.of(Scope(), points)
    assert (part.chosen, part.possible) == (chosen, chosen)


def test_psi_that_few_images_do_not_rule_out() -> None:
    points = [point(0.5, 0.1, 0.3), point(0.7, 0.3, 0.6), point(1, 0.6, 0.8)]
    part = TruncationPart.of(Scope(), points)
    assert (part.chosen, part.possible) == (1, 0.7)
    assert part.at(0.7).of("recall").value == 0.3
