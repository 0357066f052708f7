"""Membership inference: chance where nothing was remembered, and planted copies."""

import json

import pytest
import torch

from synthograph.core.errors import UserError
from synthograph.metrics.audit import membership as module
from synthograph.metrics.audit import verdict
from synthograph.metrics.audit.membership import membership
from synthograph.metrics.audit.nearness import nearness
from synthograph.stats.sample import Sample
from tests.metrics.draws import gaussian

REPEATS = 200


def divided(seed: int, groups: int = 25, per: int = 3) -> tuple[Sample, Sample]:
    """Three fifths of the patients for training, the rest held out."""
    everybody = gaussian(seed, groups, 5, per=per, likeness=0.7)
    out = everybody.groups >= groups * 3 // 5
    return everybody.subset(~out), everybody.subset(out)


def with_copies(synthetic: Sample, train: Sample, images: int) -> Sample:
    """A generator that gives some training images again, hardly changed."""
    values = synthetic.values.clone()
    values[:images] = train.values[:images] + 0.001
    return Sample(values, synthetic.groups)


@pytest.mark.slow
def test_without_memory_p_is_uniform() -> None:
    """Groups resemble themselves, so a test by image would see a difference far too often."""
    ps, first, held = [], [], 0
    for seed in range(REPEATS):
        train, holdout = divided(seed)
        found = membership(
            train, holdout, gaussian(5000 + seed, 40, 5), permutations=99, controls=5, seed=seed
        )
        ps.append(found.p)
        first.append(found.attacks[0].p)
        ends = found.attacks[0].interval
        held += ends is not None and 0.5 in ends
    for each in (torch.tensor(ps), torch.tensor(first)):
        assert (each < 0.05).float().mean() <= 0.08
        assert 0.4 < each.mean() < 0.6
        assert (each < 0.5).float().mean() == pytest.approx(0.5, abs=0.12)
    assert held / REPEATS > 0.88


def test_planted_copies_are_seen() -> None:
    for seed in range(5):
        train, holdout = divided(seed, groups=50)
        synthetic = with_copies(gaussian(100 + seed, 200, 5), train, 60)
        found = membership(train, holdout, synthetic, seed=seed)
        assert found.seen and found.p is not None and found.p < 0.01
        image, group = found.attacks[0], found.attacks[1]
        assert (image.score, image.unit, group.unit) == ("nearest", "image", "group")
        assert image.true_positive_rate == pytest.approx(60 / 90, abs=0.05), (
            "the copies are what is found"
        )
        assert image.auc_minus_control > 0.1 and image.auc > image.null.high
        assert image.true_positive_interval is not None and 0.6 in image.true_positive_interval
        assert "recognise training images" in found.sentence


def test_words_and_verdict_go_by_one_level() -> None:
    train, holdout = divided(0, groups=50)
    found = membership(train, holdout, gaussian(100, 60, 5), permutations=50)
    assert found.p is not None
    assert module.conclude(found.attacks[0], found.p) == (found.seen, found.sentence)
    for p, expected in ((0.01, True), (verdict.MEMBERSHIP_ALPHA, True), (0.04, False)):
        seen, sentence = module.conclude(found.attacks[0], p)
        assert seen is expected and ("recognise" in sentence) is expected
    assert f"p at most {module.MEMBERSHIP_ALPHA}" in verdict.RULE


def test_a_clean_generator_of_the_same_size_is_not() -> None:
    train, holdout = divided(1, groups=50)
    found = membership(train, holdout, gaussian(101, 200, 5))
    assert not found.seen and "does not prove" in found.sentence
    assert abs(found.attacks[0].auc - 0.5) < 0.15 and found.attacks[0].auc_minus_control < 0.1


def test_classes_that_lie_nearer_do_not_matter() -> None:
    """Training has more of a class that the generator makes often."""
    train, holdout = divided(3, groups=60)
    shift = torch.zeros(5)
    shift[0] = 20
    ours = train.groups < 30  # nearly all of training
    theirs = holdout.groups < 42  # a quarter of the held out
    one = Sample(train.values + shift * ~ours[:, None], train.groups)
    other = Sample(holdout.values + shift * ~theirs[:, None], holdout.groups)
    labels = tuple(["often" if each else "rare" for each in s.tolist()] for s in (ours, theirs))
    synthetic = gaussian(9, 300, 5)
    told = membership(one, other, synthetic, labels=(labels[0], labels[1]))
    assert not told.seen and abs(told.attacks[0].auc - 0.5) < 0.15
    untold = membership(one, other, synthetic)
    assert untold.seen and untold.attacks[0].auc > 0.7, "without classes it is all of the AUC"


def test_the_same_call_gives_the_same_numbers() -> None:
    train, holdout = divided(2)
    synthetic = gaussian(7, 50, 5)
    one, other = (membership(train, holdout, synthetic, permutations=50).tree() for _ in range(2))
    assert one == other
    third = membership(train, holdout, synthetic, permutations=50, seed=1).tree()
    assert third["attacks"][0]["auc"] == one["attacks"][0]["auc"]
    assert third["attacks"][0]["null"] != one["attacks"][0]["null"]


def test_plain_data() -> None:
    train, holdout = divided(2)
    document = membership(train, holdout, gaussian(7, 50, 5), permutations=50).tree()
    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert "extractor" not in document, "it is the audit's"
    assert document["train"] == {"images": 45, "groups": 15}
    assert document["holdout"] == {"images": 30, "groups": 10}
    assert document["synthetic"] == {"images": 50}
    assert [(a["score"], a["unit"]) for a in document["attacks"]] == [
        (score, unit) for score in module.SCORES for unit in ("image", "group")
    ]
    assert any("less than one" in note for note in document["notes"])


def test_too_few_groups_are_undecidable() -> None:
    train, holdout = gaussian(0, 20, 3, per=4), gaussian(1, 4, 3, per=20)
    found = membership(train, holdout, gaussian(2, 30, 3))
    assert found.undecided is not None and "4 groups on one side" in found.undecided
    assert not found.seen and found.p is None and "undecidable" in found.sentence
    assert found.tree()
    train, holdout = gaussian(0, 6, 3, per=4), gaussian(1, 6, 3, per=4)
    labels = (["a"] * 24, ["b"] * 24)
    found = membership(train, holdout, gaussian(2, 30, 3), labels=labels)
    assert found.undecided is not None and "in 1 ways only" in found.undecided


def test_nearness_is_exact() -> None:
    real, synthetic = gaussian(0, 30, 4), gaussian(1, 50, 4)
    distances = torch.cdist(real.values.double(), synthetic.values.double())
    found = nearness(real, synthetic)
    torch.testing.assert_close(found.nearest, -distances.amin(1).float())
    ten = distances.topk(10, largest=False).values.mean(1)
    torch.testing.assert_close(found.neighbourhood, -ten.float())
    assert nearness(synthetic, synthetic).nearest.abs().max() == 0


def test_sets_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match="same extractor"):
        nearness(gaussian(0, 5, 4), gaussian(1, 5, 3))
    with pytest.raises(UserError, match="there must be some"):
        nearness(gaussian(0, 5, 4), gaussian(1, 5, 4).subset(torch.zeros(5, dtype=torch.bool)))
    train, holdout = divided(0)
    with pytest.raises(UserError, match="give one for every image"):
        membership(train, holdout, gaussian(1, 9, 5), labels=(["a"], ["b"]))
