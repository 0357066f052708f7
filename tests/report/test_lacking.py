"""What an answer still needs."""

import pytest

from synthograph.report.commands import Beside
from synthograph.report.conclusions import FAITHFUL
from synthograph.report.lacking import lacking, second_extractor
from synthograph.report.numbers import Numbers
from synthograph.report.verdicts import diverse_verdict, faithful_verdict
from synthograph.report.words import NARROW
from synthograph.results import Evaluation
from synthograph.results.report import Answer
from tests.report import material

COMMAND = "synthograph evaluate --synthetic made.zip --real set.zip:test"


def read(*found: object, **more: object) -> Numbers:
    tree = material.evaluation(*found, **more)
    return Numbers(("e.json",), Evaluation.parse(tree, "e.json").results)


def only(*names: str, **changes: object) -> list[dict[str, object]]:
    far = {"same": 3.5, "low": 0.18, "high": 0.2, "value": 3.5, "interval": [3.0, 4.0, 0.95]}
    return [material.entry(name, **{**far, **changes}) for name in names]


def test_one_measure_is_told_beside_those_that_are_missing() -> None:
    """Not "not measured yet" beside a Fréchet distance of 3.5."""
    verdict = faithful_verdict(read(only("frechet")), None)
    assert verdict.answer is Answer.UNDECIDED
    assert verdict.reasons[0] == (
        "Measured: Fréchet distance 3.50 (real against real 0.190). An answer also needs Distance "
        f"of the sets (kernel) and Precision: {COMMAND} --out evaluation-2.json"
    )


def test_too_few_synthetic_images_are_the_reason() -> None:
    found = read(only("frechet", "kernel", "precision", same=None, n=40))
    verdict = faithful_verdict(found, None)
    assert verdict.answer is Answer.UNDECIDED
    assert verdict.headline == "Undecided: numbers are missing"
    assert "Measured: Fréchet distance 3.50" in verdict.reasons[0]
    assert "40 synthetic images are fewer than half of the real ones" in verdict.reasons[0]
    assert "synthograph generate --network RUN --num 40" in verdict.reasons[0]


def test_numbers_that_chose_a_snapshot_are_told() -> None:
    beside = Beside(read(only("frechet", "kernel", "precision")), "runs/0")
    verdict = faithful_verdict(Numbers(), None, "", beside)
    assert verdict.answer is Answer.MISSING
    assert verdict.reasons[0].startswith("Measured while the run trained: Fréchet distance 3.50")
    assert "synthograph evaluate runs/0 --real REAL.zip:test" in verdict.reasons[0]
    assert "Nothing was measured" in diverse_verdict(Numbers(), beside).reasons[0]


def test_published_measures_are_told() -> None:
    line = {"metric": "fid5k_full", "published": True, "results": {"fid5k_full": 12.0}}
    tree = {"format": 1, "skipped": [], "results": [line]}
    found = Numbers(("e.json",), Evaluation.parse(tree, "e.json").results)
    assert "fid5k_full 12.0" in lacking(found, FAITHFUL, Beside())[0]


def test_classes_that_are_judged_by_themselves_but_have_too_few_images() -> None:
    classes = [e for level in "ab" for e in material.entries(level=level)]
    bare = [{**each, "floor": None} for each in classes]
    shares = [material.share("a", 10, 90), material.share("b", 90, 10)]
    verdict = faithful_verdict(read(material.entries(), bare, shares=shares), None)
    assert verdict.answer is Answer.UNDECIDED
    assert "each is judged by itself, and has too few images" in verdict.reasons[0]


@pytest.mark.parametrize(("name", "other"), [("random-vgg16", "efficientnet"), ("x", "vgg16")])
def test_the_command_of_a_second_extractor(name: str, other: str) -> None:
    found = read(material.entries(extractor=name))
    assert not lacking(found, FAITHFUL, Beside())
    (line,) = second_extractor(found, FAITHFUL, Beside())
    assert line.startswith(f"A second network is missing: {COMMAND} --features ") and other in line
    both = read(material.entries(), material.entries(extractor="dinov2"))
    assert not second_extractor(both, FAITHFUL, Beside())


def test_shares_are_told_in_percent() -> None:
    found = read(only("precision", value=0.2, low=0.8, high=0.8))
    said = lacking(found, FAITHFUL, Beside())[0].replace(NARROW, " ")
    assert "Precision 20 % (real against real 80 %)" in said
