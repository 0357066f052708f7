"""The rules, branch by branch."""

from typing import Any

import pytest

from synthograph.report.evaluations import Evaluation, read_evaluation
from synthograph.report.fields import Fields
from synthograph.report.findings import Audit, read_audit
from synthograph.report.verdicts import (
    Answer,
    Finding,
    copies_verdict,
    diverse_verdict,
    faithful_verdict,
    judge,
    over_parts,
    useful_verdict,
    verdicts,
)
from tests.report import material

DISTANT = ("frechet", "kernel", "precision")


def read(*found: Any, shares: Any = ()) -> Evaluation:
    return read_evaluation(Fields(material.evaluation(*found, shares=shares), "e"), "e.json")


def audited(answer: str = "clean", **more: Any) -> Audit:
    return read_audit(Fields(material.audit(answer, **more), "a"), "a.json")


def two(apart: tuple[str, ...] = (), **more: Any) -> Evaluation:
    return read(
        material.entries(apart, **more), material.entries(apart, extractor="dinov2", **more)
    )


def test_yes_needs_two_extractors_and_a_clean_audit() -> None:
    verdict = faithful_verdict(two(), audited())
    assert verdict.answer is Answer.YES
    assert verdict.headline == "Not told apart from real images"
    assert any("dinov2" in reason for reason in verdict.reasons)


@pytest.mark.parametrize("answer", ["copies found", "suspicious", "undecidable"])
def test_faithful_is_withheld_while_the_audit_is_not_clean(answer: str) -> None:
    verdict = faithful_verdict(two(), audited(answer))
    assert verdict.answer is Answer.WITHHELD
    assert f"The audit says: {answer}." in verdict.reasons


def test_faithful_is_withheld_without_an_audit() -> None:
    verdict = faithful_verdict(two(), None)
    assert verdict.answer is Answer.WITHHELD
    assert "synthograph audit --synthetic made.zip --train set.zip:train" in verdict.reasons[0]
    one = faithful_verdict(read(material.entries()), None)
    assert one.answer is Answer.WITHHELD  # an indication is a claim, too
    other = faithful_verdict(two(), None, "the audit is of other images")
    assert other.reasons[0] == "the audit is of other images"


def test_a_difference_is_said_without_an_audit() -> None:
    assert faithful_verdict(two(DISTANT), None).answer is Answer.NO


def test_random_features_alone_indicate() -> None:
    alike = faithful_verdict(read(material.entries()), audited())
    assert alike.answer is Answer.INDICATIVE_YES
    assert any("random weights alone" in limit for limit in alike.limits)
    assert faithful_verdict(read(material.entries(DISTANT)), None).answer is Answer.INDICATIVE_NO


def test_one_trained_extractor_indicates() -> None:
    verdict = faithful_verdict(read(material.entries(extractor="dinov2")), audited())
    assert verdict.answer is Answer.INDICATIVE_YES
    assert any("one extractor" in limit for limit in verdict.limits)


def test_two_untrained_extractors_indicate() -> None:
    second = material.entries(extractor="other-random")
    for each in second:
        each["provenance"]["features"]["indicative"] = True
    verdict = faithful_verdict(read(material.entries(), second), audited())
    assert verdict.answer is Answer.INDICATIVE_YES
    assert any("none of the networks" in limit for limit in verdict.limits)


def test_extractors_that_disagree() -> None:
    mixed = read(material.entries(), material.entries(DISTANT, extractor="dinov2"))
    verdict = faithful_verdict(mixed, audited())
    assert verdict.answer is Answer.UNDECIDED
    assert "random-vgg16 says alike and dinov2 says apart" in verdict.reasons[0]


def test_one_of_three_measures_beyond_is_unclear() -> None:
    assert faithful_verdict(two(("frechet",)), audited()).answer is Answer.UNDECIDED
    assert faithful_verdict(two(("frechet", "kernel")), audited()).answer is Answer.NO


def test_alike_needs_all_measures_of_the_question() -> None:
    some = [material.entry(name, same=0.5) for name in ("frechet", "kernel")]
    other = [material.entry(n, same=0.5, extractor="dinov2") for n in ("frechet", "kernel")]
    assert faithful_verdict(read(some, other), audited()).answer is Answer.UNDECIDED
    far = [material.entry(n, same=0.9, extractor="dinov2") for n in ("frechet", "kernel")]
    both = [material.entry(name, same=0.9) for name in ("frechet", "kernel")]
    assert faithful_verdict(read(both, far), audited()).answer is Answer.NO


def test_a_class_without_a_floor_makes_it_an_indication() -> None:
    found = []
    for name in ("random-vgg16", "dinov2"):
        bare = [{**e, "floor": None} for e in material.entries(level="b", extractor=name)]
        found.append([*material.entries(level="a", extractor=name), *bare])
    shares = [material.share("a", 150, 100), material.share("b", 50, 100)]
    verdict = faithful_verdict(read(*found, shares=shares), audited())
    assert verdict.answer is Answer.INDICATIVE_YES
    assert "has too few images for a floor in class b" in verdict.reasons[0]
    assert any("too few for a floor" in limit for limit in verdict.limits)


def test_few_images_indicate() -> None:
    verdict = faithful_verdict(two(n=99), audited())
    assert verdict.answer is Answer.INDICATIVE_YES
    assert any("fewer than 100" in limit for limit in verdict.limits)
    assert faithful_verdict(two(n=100), audited()).answer is Answer.YES


def test_an_indicative_audit_gives_an_indication() -> None:
    weak = audited(indicative=True)
    assert faithful_verdict(two(), weak).answer is Answer.INDICATIVE_YES
    verdict = copies_verdict(weak, None)
    assert verdict.answer is Answer.INDICATIVE_YES
    assert verdict.headline == "Indication: no copies found"
    assert copies_verdict(audited("copies found", indicative=True), None).answer is Answer.NO


def test_nothing_measured() -> None:
    for evaluation in (None, read([]), read([material.entry("spectrum", same=0.5)])):
        verdict = faithful_verdict(evaluation, audited())
        assert verdict.answer is Answer.MISSING
        assert "synthograph evaluate" in verdict.reasons[0]
        assert diverse_verdict(evaluation).answer is Answer.MISSING


def test_numbers_without_a_floor_decide_nothing() -> None:
    bare = read([{**each, "floor": None} for each in material.entries()])
    assert faithful_verdict(bare, audited()).answer is Answer.MISSING
    fewer = read([material.entry("frechet", same=None)])
    assert faithful_verdict(fewer, audited()).answer is Answer.MISSING


def test_other_mix_of_classes_is_judged_by_class() -> None:
    by_class = [
        *material.entries(DISTANT),  # the whole is apart because of the mix
        *material.entries(level="a"),
        *material.entries(level="b"),
    ]
    second = [
        *material.entries(DISTANT, extractor="dinov2"),
        *material.entries(level="a", extractor="dinov2"),
        *material.entries(level="b", extractor="dinov2"),
    ]
    other = [material.share("a", 150, 100), material.share("b", 50, 100)]
    verdict = faithful_verdict(read(by_class, second, shares=other), audited())
    assert verdict.answer is Answer.YES
    assert any("Judged class by class" in reason for reason in verdict.reasons)
    alike = [material.share("a", 100, 100), material.share("b", 100, 100)]
    assert faithful_verdict(read(by_class, second, shares=alike), audited()).answer is Answer.NO


def test_apart_in_one_class_is_apart() -> None:
    found = [Finding.ALIKE, Finding.APART, Finding.UNCLEAR]
    assert over_parts(found) is Finding.APART
    assert over_parts([Finding.ALIKE, Finding.UNCLEAR]) is Finding.UNCLEAR
    assert over_parts([Finding.ALIKE, Finding.NOTHING]) is Finding.ALIKE
    assert over_parts([Finding.NOTHING]) is Finding.NOTHING


@pytest.mark.parametrize(
    ("apart", "answer"),
    [((), Answer.YES), (("recall", "coverage"), Answer.NO), (("recall",), Answer.UNDECIDED)],
)
def test_diverse(apart: tuple[str, ...], answer: Answer) -> None:
    verdict = diverse_verdict(two(apart))
    assert verdict.answer is answer
    assert any("Copies of training images" in limit for limit in verdict.limits)


def test_a_class_without_images_is_not_diverse() -> None:
    shares = [material.share("a", 100, 200), material.share("b", 100, 0)]
    verdict = diverse_verdict(read(material.entries(), shares=shares))
    assert verdict.answer is Answer.NO
    assert verdict.reasons[0] == "No generated image at all: class b."


def test_copies() -> None:
    answers = {
        "clean": Answer.YES,
        "copies found": Answer.NO,
        "suspicious": Answer.UNDECIDED,
        "undecidable": Answer.UNDECIDED,
    }
    for name, answer in answers.items():
        verdict = copies_verdict(audited(name), None)
        assert verdict.answer is answer
        assert verdict.rule == "a rule"
        assert verdict.limits == ("a limit",)
    assert copies_verdict(None, None).headline == "Not audited yet"


def test_nearness_to_training_is_told_with_or_without_an_audit() -> None:
    near = material.entry("frechet", same=0.5)
    near["train"] = {"value": 0.1, "interval": [0.05, 0.2, 0.95]}
    for found in (None, audited()):
        reasons = copies_verdict(found, read([near])).reasons
        assert any("sign of memorisation" in reason for reason in reasons)
    near["train"]["interval"] = [0.05, 0.31, 0.95]  # overlaps
    assert not any("memorisation" in r for r in copies_verdict(None, read([near])).reasons)


def test_useful_is_not_studied_yet() -> None:
    assert useful_verdict().answer is Answer.MISSING
    assert useful_verdict().headline == "Not studied yet"


def test_four_questions_each_with_a_rule() -> None:
    found = verdicts(two(), audited())
    assert [v.question.split("?")[0] for v in found] == ["Faithful", "Diverse", "Copies", "Useful"]
    assert all(v.rule and v.reasons and v.json()["tone"] for v in found)


def test_judge_ignores_other_measures() -> None:
    entries = read(material.entries(("recall",))).entries
    assert judge(entries, ("frechet",)) is Finding.ALIKE
    assert judge(entries, ("recall",)) is Finding.APART
    assert judge(entries, ("spectrum",)) is Finding.NOTHING
