"""The rules, branch by branch."""

from typing import Any

import pytest

from synthograph.report.conclusions import Distinction, judge, min_distinguishable, over_parts
from synthograph.report.numbers import Numbers
from synthograph.report.verdicts import (
    copies_verdict,
    diverse_verdict,
    faithful_verdict,
    verdicts,
)
from synthograph.results import Audit, Evaluation
from synthograph.results.provenance import weakness
from synthograph.results.report import Answer
from tests.report import material

DISTANT = ("frechet", "kernel", "precision")


def read(*found: Any, shares: Any = ()) -> Numbers:
    tree = material.evaluation(*found, shares=shares)
    return Numbers(("e.json",), Evaluation.parse(tree, "e.json").results)


def audited(answer: str = "clean", **more: Any) -> Audit:
    return Audit.parse(material.audit(answer, **more), "a.json")


def two(apart: tuple[str, ...] = (), **more: Any) -> Numbers:
    return read(
        material.entries(apart, **more), material.entries(apart, extractor="dinov2", **more)
    )


def test_yes_needs_two_extractors_and_a_clean_audit() -> None:
    verdict = faithful_verdict(two(), audited())
    assert verdict.answer is Answer.YES
    assert verdict.headline == "Not distinguishable from real images"
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
    assert other.reasons[0] == "The audit is of other images"


def test_a_difference_is_said_without_an_audit() -> None:
    assert faithful_verdict(two(DISTANT), None).answer is Answer.NO


def test_random_features_alone_indicate() -> None:
    alike = faithful_verdict(read(material.entries()), audited())
    assert alike.answer is Answer.INDICATIVE_YES
    assert any("one network that was never trained" in limit for limit in alike.limits)
    assert faithful_verdict(read(material.entries(DISTANT)), None).answer is Answer.INDICATIVE_NO


def test_one_trained_extractor_indicates() -> None:
    verdict = faithful_verdict(read(material.entries(extractor="dinov2")), audited())
    assert verdict.answer is Answer.INDICATIVE_YES
    assert any("one trained network" in limit for limit in verdict.limits)


def test_two_untrained_extractors_indicate() -> None:
    second = material.entries(extractor="other-random")
    for each in second:
        each["provenance"]["features"]["indicative"] = True
    verdict = faithful_verdict(read(material.entries(), second), audited())
    assert verdict.answer is Answer.INDICATIVE_YES
    assert any("none of the networks" in limit for limit in verdict.limits)


def test_a_classifier_of_ones_own_was_trained_and_indicates() -> None:
    own = read(material.entries(extractor="classifier:own.safetensors"))
    said = " ".join(faithful_verdict(own, audited()).limits)
    assert "one network that was trained on such images alone" in said and "never" not in said
    assert weakness(["classifier:a", "random-vgg16"]).startswith("never trained, or trained on")
    assert weakness([]) == weakness(["random-vgg16"]) == "never trained"


def test_extractors_that_disagree() -> None:
    blind, sees = material.entries(), material.entries(DISTANT, extractor="dinov2")
    verdict = faithful_verdict(read(blind, sees), audited())
    assert verdict.answer is Answer.INDICATIVE_NO, "a random network may be blind to it"
    assert any("may be blind" in limit for limit in verdict.limits)
    assert (
        "random-vgg16 finds them not distinguishable and dinov2 finds them distinguishable"
        in verdict.reasons[0]
    )
    other = read(material.entries(DISTANT), material.entries(extractor="dinov2"))
    assert faithful_verdict(other, audited()).answer is Answer.UNDECIDED
    third = read(blind, sees, material.entries(extractor="inception"))
    assert faithful_verdict(third, audited()).answer is Answer.UNDECIDED


def test_one_of_three_measures_beyond_is_unclear() -> None:
    assert faithful_verdict(two(("frechet",)), audited()).answer is Answer.UNDECIDED
    assert faithful_verdict(two(("frechet", "kernel")), audited()).answer is Answer.NO


def test_alike_needs_all_measures_of_the_question() -> None:
    some = [material.entry(name, same=0.5) for name in ("frechet", "kernel")]
    other = [material.entry(n, same=0.5, extractor="dinov2") for n in ("frechet", "kernel")]
    assert faithful_verdict(read(some, other), audited()).answer is Answer.UNDECIDED
    beyond = {"same": 0.9, "value": 0.9, "interval": [0.8, 1.0]}
    far = [material.entry(n, extractor="dinov2", **beyond) for n in ("frechet", "kernel")]
    both = [material.entry(name, **beyond) for name in ("frechet", "kernel")]
    assert faithful_verdict(read(both, far), audited()).answer is Answer.NO


def test_apart_needs_a_whole_interval_beyond_the_floor() -> None:
    near = {"value": 0.61, "interval": [0.55, 0.7, 0.95]}  # the floor ends at 0.6
    verdict = faithful_verdict(two(DISTANT, **near), audited())
    assert verdict.answer is Answer.UNDECIDED
    assert "the measures do not settle it" in " ".join(verdict.reasons)
    unknown = faithful_verdict(two(DISTANT, interval=None), audited())
    assert unknown.answer is Answer.UNDECIDED
    found = [*material.entries(DISTANT[:1]), *material.entries(DISTANT[1:], **near)]
    mixed = [found[0], *found[6:8]]  # one firm, the others beyond with a part of their interval
    assert judge(read(mixed).entries, DISTANT) is Distinction.YES
    assert "with its whole 95 % interval" in verdict.rule


def test_a_class_without_a_floor_makes_it_an_indication() -> None:
    found = []
    for name in ("random-vgg16", "dinov2"):
        bare = [{**e, "floor": None} for e in material.entries(level="b", extractor=name)]
        found.append([*material.entries(level="a", extractor=name), *bare])
    shares = [material.share("a", 150, 100), material.share("b", 50, 100)]
    verdict = faithful_verdict(read(*found, shares=shares), audited())
    assert verdict.answer is Answer.INDICATIVE_YES
    assert "there are too few images to tell (class b)" in verdict.reasons[0]
    assert any("too few real ones to compare" in limit for limit in verdict.limits)


def test_few_images_indicate() -> None:
    verdict = faithful_verdict(two(n=99), audited())
    assert verdict.answer is Answer.INDICATIVE_YES
    assert any("fewer than 100" in limit for limit in verdict.limits)
    assert faithful_verdict(two(n=100), audited()).answer is Answer.YES


def test_an_indicative_audit_gives_an_indication() -> None:
    weak = audited(indicative=True)
    assert faithful_verdict(two(), weak).answer is Answer.INDICATIVE_YES
    verdict = copies_verdict(weak, Numbers())
    assert verdict.answer is Answer.INDICATIVE_NONE
    assert verdict.headline == "Indication: no copies found"
    assert (
        copies_verdict(audited("copies found", indicative=True), Numbers()).answer is Answer.FOUND
    )


def test_nothing_measured() -> None:
    for evaluation in (Numbers(), read([]), read([material.entry("spectrum", same=0.5)])):
        verdict = faithful_verdict(evaluation, audited())
        assert verdict.answer is Answer.MISSING
        assert "synthograph evaluate" in verdict.reasons[0]
        assert diverse_verdict(evaluation).answer is Answer.MISSING


def test_numbers_without_a_floor_decide_nothing() -> None:
    bare = read([{**each, "floor": None} for each in material.entries()])
    verdict = faithful_verdict(bare, audited())
    assert verdict.answer is Answer.UNDECIDED
    assert "200 real images of 100 groups are too few" in verdict.reasons[0]


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
    assert any("Each class is judged by itself" in reason for reason in verdict.reasons)
    alike = [material.share("a", 100, 100), material.share("b", 100, 100)]
    assert faithful_verdict(read(by_class, second, shares=alike), audited()).answer is Answer.NO


def test_chance_has_as_many_tries_as_there_are_classes() -> None:
    assert [min_distinguishable(parts) for parts in (1, 2, 5, 7, 8, 20)] == [1, 2, 2, 2, 3, 4]
    alike, apart, unclear = Distinction.NO, Distinction.YES, Distinction.UNCLEAR
    assert over_parts([apart]) is apart
    assert over_parts([alike, apart, unclear]) is unclear  # chance explains one of three
    assert over_parts([apart, apart, alike, alike, unclear]) is Distinction.PARTLY
    assert over_parts([apart, apart, apart, alike, unclear]) is apart
    assert over_parts([apart, apart, Distinction.UNMEASURED]) is apart
    assert over_parts([alike, unclear]) is unclear
    assert over_parts([alike, Distinction.UNMEASURED]) is alike
    assert over_parts([Distinction.UNMEASURED]) is Distinction.UNMEASURED


def by_class(apart: int, classes: int = 5) -> Numbers:
    """Two extractors that tell the first classes apart, in a set of another mix."""
    found = [
        each
        for extractor in ("random-vgg16", "dinov2")
        for number in range(classes)
        for each in material.entries(
            DISTANT if number < apart else (), level=f"c{number}", extractor=extractor
        )
    ]
    shares = [material.share(f"c{n}", 100, 100 if n else 400) for n in range(classes)]
    return read(found, shares=shares)


@pytest.mark.parametrize(
    ("apart", "answer"),
    [
        (0, Answer.YES),
        (1, Answer.UNDECIDED),
        (2, Answer.PARTLY),
        (3, Answer.NO),
        (5, Answer.NO),
    ],
)
def test_classes_that_are_apart(apart: int, answer: Answer) -> None:
    verdict = faithful_verdict(by_class(apart), audited())
    assert verdict.answer is answer
    assert (verdict.headline == "Distinguishable in some classes") == (answer is Answer.PARTLY)


@pytest.mark.slow
def test_equal_sets_are_not_accused_and_bad_ones_are() -> None:
    """Of 15 sets of one distribution more than 3 would be told apart with a probability of 0.5 % if
    chance did so in 5 % of sets; floors alone, which are ranges of three cuts, do it more often.
    """
    import torch

    from synthograph.metrics.measures import compare, floors
    from synthograph.stats.sample import Sample

    generator = torch.Generator().manual_seed(77)

    def measured(number: int, scale: float = 1.0, shift: float = 0.0) -> Numbers:
        real = Sample.singles(torch.randn(120, 8, generator=generator))
        fake = Sample.singles(torch.randn(120, 8, generator=generator) * scale + shift)
        values = {v.name: v.tree() for v in compare(real, fake, DISTANT, seed=number)}
        below = floors(real, fake, DISTANT, seed=number)
        return read(
            [
                material.entry(name, same=None) | values[name] | {"floor": below[name].tree()}
                for name in DISTANT
            ]
        )

    def told(number: int, **bad: float) -> bool:
        return judge(measured(number, **bad).entries, DISTANT) is Distinction.YES

    same = [measured(number).entries for number in range(15)]
    by_floors = sum(sum(not e.at_floor for e in entries) > 1 for entries in same)
    accused = sum(judge(entries, DISTANT) is Distinction.YES for entries in same)
    assert accused <= 3 and accused < by_floors
    assert all(told(number, scale=0.5) for number in range(2))  # blur: less spread
    assert all(told(number, shift=0.7) for number in range(2))


@pytest.mark.parametrize(
    ("apart", "answer"),
    [((), Answer.YES), (("recall", "coverage"), Answer.NO), (("recall",), Answer.UNDECIDED)],
)
def test_diverse(apart: tuple[str, ...], answer: Answer) -> None:
    verdict = diverse_verdict(two(apart))
    assert verdict.answer is answer
    assert any("Copies of the training images" in limit for limit in verdict.limits)


def within(spread: float, twins: float, level: str | None = "a", **more: Any) -> list[dict]:
    """Variety within a class by one extractor, with intervals of +- 0.05."""
    return [
        material.entry(
            name, same=v, value=v, interval=[v - 0.05, v + 0.05, 0.95], level=level, **more
        )
        for name, v in (("spread", spread), ("repetition", twins))
    ]


@pytest.mark.parametrize(
    ("spread", "twins", "answer", "headline"),
    [
        (0.9, 0.1, Answer.YES, "As varied as real images"),
        (0.3, 0.1, Answer.PARTLY, "A class repeats itself"),
        (0.68, 0.1, Answer.YES, "As varied as real images"),  # the interval reaches the limit
        (0.9, 0.3, Answer.PARTLY, "A class repeats itself"),
    ],
)
def test_a_class_that_repeats_itself_is_not_diverse(
    spread: float, twins: float, answer: Answer, headline: str
) -> None:
    both = [
        [
            *material.entries(extractor=name),
            *within(spread, twins, extractor=name),
            *within(1.0, 0.05, level="b", extractor=name),
        ]
        for name in ("random-vgg16", "dinov2")
    ]
    verdict = diverse_verdict(read(*both))
    assert (verdict.answer, verdict.headline) == (answer, headline)
    assert ("Images repeat themselves: class a." in verdict.reasons) == (answer is Answer.PARTLY)
    assert any(
        reason.startswith("By dinov2, class b: two synthetic images lie 1.00 times as far apart")
        for reason in verdict.reasons
    )


@pytest.mark.parametrize(
    ("shares", "answer", "headline"),
    [
        ((0.34, 0.1), Answer.YES, "As varied as real images"),  # the interval reaches the limit
        ((0.6, 0.1), Answer.PARTLY, "Much of the variety of a class comes from noise inputs"),
        ((0.6, 0.5), Answer.NO, "Much of the variety comes from noise inputs"),
    ],
)
def test_variety_that_noise_makes_is_none(
    shares: tuple[float, float], answer: Answer, headline: str
) -> None:
    noise = [material.noise_entry(v, level) for level, v in zip("ab", shares, strict=True)]
    both = [material.entries(extractor=name) for name in ("random-vgg16", "dinov2")]
    verdict = diverse_verdict(read([*both[0], *noise], both[1]))
    assert (verdict.answer, verdict.headline) == (answer, headline)
    alike = [
        each
        for each in verdict.reasons
        if each.startswith("Much of the variety comes from noise inputs: ")
    ]
    assert alike == {
        Answer.YES: [],
        Answer.PARTLY: ["Much of the variety comes from noise inputs: class a."],
        Answer.NO: ["Much of the variety comes from noise inputs: class a and class b."],
    }.get(answer)
    assert "Class b: with the same noise inputs for all, " in " ".join(verdict.reasons)
    assert any("repeat themselves was not measured" in limit for limit in verdict.limits)


def test_classes_that_are_too_much_alike_each_in_its_way() -> None:
    noise = [material.noise_entry(0.1, "a"), material.noise_entry(0.6, "b")]
    same = [*within(0.2, 0.0), *within(1.0, 0.0, level="b")]
    both = [material.entries(extractor=name) for name in ("random-vgg16", "dinov2")]
    verdict = diverse_verdict(read([*both[0], *same, *noise], both[1]))
    assert (verdict.answer, verdict.headline) == (Answer.NO, "Images are too much alike")
    assert verdict.reasons[:2] == (
        "Images repeat themselves: class a.",
        "Much of the variety comes from noise inputs: class b.",
    )


def test_where_all_classes_repeat_themselves_the_answer_is_no() -> None:
    both = [
        [*material.entries(extractor=name), *within(0.2, 1.0, level=None, extractor=name)]
        for name in ("random-vgg16", "dinov2")
    ]
    verdict = diverse_verdict(read(*both))
    assert (verdict.answer, verdict.headline) == (Answer.NO, "Images repeat themselves")
    one = diverse_verdict(read(both[0]))
    assert one.answer is Answer.INDICATIVE_NO
    assert verdict.reasons[0] == "Images repeat themselves: all images."
    alone = diverse_verdict(read(within(0.2, 1.0, level=None)))
    assert alone.answer is Answer.INDICATIVE_NO


def test_variety_within_classes_that_was_not_measured_is_said() -> None:
    limit = "Whether images of a class repeat themselves was not measured."
    assert limit in diverse_verdict(two()).limits


def test_a_class_without_images_is_not_diverse() -> None:
    shares = [material.share("a", 100, 200), material.share("b", 100, 0)]
    verdict = diverse_verdict(read(material.entries(), shares=shares))
    assert verdict.answer is Answer.NO
    assert verdict.reasons[0] == "No synthetic image at all: class b."


def test_a_class_that_was_not_drawn_is_not_missing() -> None:
    """Whoever measures a network draws the classes, and may draw none of a rare one."""
    shares = [material.share("a", 100, 200), material.share("b", 1, 0)]
    tree = material.evaluation(material.entries(), shares=shares)
    for entry in tree["results"][0]["entries"]:
        entry["provenance"]["generated"] = {"name": "g.safetensors", "seeds": [0, 199]}
    drawn = Numbers(("e.json",), Evaluation.parse(tree, "e.json").results)
    assert drawn.drawn == 200
    assert diverse_verdict(drawn).headline != "A part is missing"


def test_images_without_a_class_are_no_part_that_is_missing() -> None:
    shares = [material.share("a", 99, 200), material.share("", 1, 0)]
    both = [material.entries(), material.entries(extractor="dinov2")]
    verdict = diverse_verdict(read(*both, shares=shares))
    assert verdict.answer is Answer.YES
    limit = "1 real image and 0 synthetic images have no class and count in no class."
    assert limit in verdict.limits
    many = [material.share("a", 50, 100), material.share("b", 50, 100), material.share("", 50, 0)]
    judged = faithful_verdict(read(material.entries(), shares=many), audited())
    assert not any("Each class is judged by itself" in reason for reason in judged.reasons)


def test_copies() -> None:
    answers = {
        "clean": Answer.NONE_FOUND,
        "copies found": Answer.FOUND,
        "suspicious": Answer.NOT_SHOWN,
        "undecidable": Answer.NOT_SHOWN,
    }
    for name, answer in answers.items():
        verdict = copies_verdict(audited(name), Numbers())
        assert verdict.answer is answer
        assert verdict.rule == "a rule"
        assert verdict.limits == ("A limit",)
    assert copies_verdict(None, Numbers()).headline == "Not audited yet"
    said = copies_verdict(audited("copies found"), Numbers()).tree()
    assert said["question"] == "Copies? Are training images among them?"
    assert said["answer"] == "found"  # a plain yes or no would be read the wrong way round


def test_notes_of_an_audit_are_limits_of_its_verdict() -> None:
    content = material.audit() | {"notes": ["nothing could be checked", "a limit"]}
    audit = Audit.parse(content, "a.json")
    assert copies_verdict(audit, Numbers()).limits == ("A limit", "Nothing could be checked")


def test_nearness_to_training_is_told_with_or_without_an_audit() -> None:
    near = material.entry("frechet", same=0.5)
    near["train"] = {"name": "frechet", "value": 0.1, "interval": [0.05, 0.2, 0.95]}
    for found in (None, audited()):
        reasons = copies_verdict(found, read([near])).reasons
        assert any("sign of memorising" in reason for reason in reasons)
    near["train"]["interval"] = [0.05, 0.31, 0.95]  # overlaps
    assert not any("memorising" in r for r in copies_verdict(None, read([near])).reasons)
    among = material.entry("repetition", same=0.5)
    among["train"] = {"name": "repetition", "value": 0.0, "interval": [0.0, 0.001, 0.95]}
    said = copies_verdict(None, read([among])).reasons
    assert not any("memorising" in reason for reason in said), "no distance to training images"


def test_three_questions_each_with_a_rule() -> None:
    found = verdicts(two(), audited())
    assert [v.question.split("?")[0] for v in found] == ["Faithful", "Diverse", "Copies"]
    assert all(v.rule and v.reasons and v.tree()["tone"] for v in found)


def test_judge_ignores_other_measures() -> None:
    entries = read(material.entries(("recall",))).entries
    assert judge(entries, ("frechet",)) is Distinction.NO
    assert judge(entries, ("recall",)) is Distinction.YES
    assert judge(entries, ("spectrum",)) is Distinction.UNMEASURED
