"""The worst synthetic images by distance."""

from dataclasses import replace
from pathlib import Path

import torch

from synthograph.metrics.evaluate import EvaluationTask, evaluate
from synthograph.metrics.farthest import MOST, farthest
from synthograph.results.evaluation import Measurements
from synthograph.stats.sample import Sample
from tests.metrics.images import Means, noise


def test_the_farthest_of_every_class_come_first() -> None:
    """Image i of the synthetic set lies i steps from its nearest real image, all of class a but
    one of class b, which has no real image.
    """
    fake = replace(
        noise("fake", 20, seed=1),
        files=tuple(f"{i}.png" for i in range(20)),
        labels=("a",) * 19 + ("b",),
    )
    real = replace(noise("real", 12, seed=2), labels=("a",) * 12)
    rows = (Sample.singles(torch.zeros(12, 3)), Sample.singles(torch.arange(60.0).reshape(20, 3)))
    rows[1].values[:, 1:] = 0
    (found,) = farthest(real, fake, rows, "x")
    assert (found.label, found.extractor) == ("a", "x")
    assert found.files == tuple(f"{i}.png" for i in range(18, 18 - MOST, -1))
    assert found.distances[0] == 54.0
    (all_together,) = farthest(replace(real, labels=None), fake, rows, "x")
    assert all_together.label is None and all_together.files[0] == "19.png"
    assert not list(farthest(real, replace(fake, files=()), rows, "x"))


def test_an_evaluation_names_them_and_its_public_form_does_not(tmp_path: Path) -> None:
    fake = replace(noise("fake", 20, seed=1), files=tuple(f"{i}.png" for i in range(20)))
    task = EvaluationTask(noise("real", 24, seed=2), fake, measures=("frechet",))
    found = evaluate(task, [Means()], folder=tmp_path)
    assert found.farthest
    assert {name for each in found.farthest for name in each.files} <= set(fake.files)
    assert Measurements.parse(found.tree(), "x").farthest == found.farthest
    assert found.public().farthest == ()
    made = evaluate(replace(task, fake=replace(fake, files=())), [Means()], folder=tmp_path)
    assert "farthest" not in made.tree()
