import math
from dataclasses import replace

import pytest
import torch

from synthograph.core.errors import UserError
from synthograph.metrics.audit.recovery import ALPHA, Recovery, recovery
from synthograph.results.authenticity import Authenticity, RecoveryAnswer


def drawn(
    role: str, groups: int, *, each: int = 2, gain: float = 0.0, share: float = 1.0, seed: int = 0
) -> Recovery:
    """Projections whose PSNR varies between patients and between images of one; `gain` decibels
    more in a share of the images.
    """
    torch.manual_seed(1000 * seed + len(role) * 100 + groups)
    patient = torch.randn(groups).double().repeat_interleave(each)
    psnr = 22 + 2 * patient + torch.randn(groups * each).double()
    psnr += gain * (torch.rand(len(psnr)) < share)
    names = [f"{role}/{number}.png" for number in range(len(psnr))]
    owner = [f"{role} {number // each}" for number in range(len(psnr))]
    labels = ["a" if number % 4 < 2 else "b" for number in range(len(psnr))]
    return Recovery(f"{role}.json", names, owner, labels, psnr)


def compared(seed: int = 0, permutations: int = 199, **planted: float) -> Authenticity:
    train, held_out = drawn("train", 30, seed=seed, **planted), drawn("held", 25, seed=seed)
    return recovery(train, held_out, network="g", permutations=permutations, controls=20)


def test_a_memoriser_is_found() -> None:
    found = compared(gain=8.0, share=0.6)
    assert found.answer is RecoveryAnswer.SIGNS
    assert found.advantage is not None
    assert found.advantage.auc > 0.7
    assert found.advantage.interval is not None
    assert found.advantage.interval.low > 0.5
    assert "reaches its training images more closely" in found.sentence
    train, held_out = found.of("train"), found.of("held-out")
    assert train is not None
    assert held_out is not None
    assert train.pixel.median < held_out.pixel.median
    assert train.size.groups == 30
    assert sum(train.histogram.counts) == 60
    assert train.histogram.edges == held_out.histogram.edges


def test_one_that_remembers_nothing_is_rarely_accused() -> None:
    """Images of a patient resemble each other, so a test of single images would accuse often."""
    tries = 120
    accused = sum(compared(seed).answer is RecoveryAnswer.SIGNS for seed in range(tries))
    assert accused <= 12  # of 120 at 5 %: more than 12 has a chance of 1 %


def test_between_signs_and_nothing_the_question_stays_open() -> None:
    answers = {}
    for gain in (0.0, 0.5, 1.0, 1.5, 2.0):
        found = compared(3, gain=gain, share=1.0)
        assert found.advantage is not None
        answers[found.answer] = found.advantage.p
        assert (found.answer is RecoveryAnswer.OPEN) == (0.05 < found.advantage.p <= 0.2)
    assert RecoveryAnswer.OPEN in answers and RecoveryAnswer.SIGNS in answers


def test_worse_training_images_are_no_memorisation() -> None:
    found = compared(gain=-8.0)
    assert found.answer is RecoveryAnswer.NOT_SHOWN
    assert found.advantage is not None
    assert found.advantage.p > 0.9
    assert "does not prove" in found.sentence


def test_classes_that_are_easier_to_reach_do_not_matter() -> None:
    train, held_out = drawn("train", 40, each=1), drawn("held", 40, each=1)
    easy = ["easy" if number < 30 else "hard" for number in range(40)]
    rare = ["easy" if number < 10 else "hard" for number in range(40)]
    gain = {"easy": 10.0, "hard": 0.0}
    sets = [
        replace(each, labels=labels, psnr=each.psnr + torch.tensor([gain[name] for name in labels]))
        for each, labels in ((train, easy), (held_out, rare))
    ]
    found = recovery(*sets, network="g", permutations=199, controls=20)
    assert found.answer is RecoveryAnswer.NOT_SHOWN
    blind = [replace(each, labels=[""] * 40) for each in sets]
    fooled = recovery(*blind, network="g", permutations=199, controls=20)
    assert fooled.answer is RecoveryAnswer.SIGNS


def test_the_generators_own_images_are_the_floor() -> None:
    train, held_out = drawn("train", 30), drawn("held", 30)
    own = drawn("own", 20, each=1, gain=20.0)
    found = recovery(train, held_out, own, network="g", permutations=199, controls=20)
    mine, theirs = found.of("own"), found.of("train")
    assert mine is not None
    assert theirs is not None
    assert mine.size.groups is None
    assert found.recoverable == 1
    assert mine.as_close_as_own == pytest.approx(0.9)
    assert theirs.as_close_as_own == 0
    blurred = replace(own, psnr=own.psnr - 15)
    found = recovery(train, held_out, blurred, network="g", permutations=199, controls=20)
    assert found.recoverable == pytest.approx(0.15, abs=0.15)
    assert "of the generator's own images" in found.limits[0]


def test_too_few_patients_are_undecidable() -> None:
    train, held_out = drawn("train", 30), drawn("held", 3)
    found = recovery(train, held_out, network="g", permutations=99, controls=5)
    assert found.answer is RecoveryAnswer.UNDECIDABLE
    assert found.advantage is None
    assert "3 groups on one side" in found.sentence
    assert found.limits[0].startswith("the generator's own images were not projected")


def test_equal_images_have_no_difference_of_pixels() -> None:
    train, held_out = drawn("train", 10), drawn("held", 10)
    train.psnr[0] = math.inf
    found = recovery(train, held_out, network="g", permutations=99, controls=5)
    assert found.pairs[0].pixel == 0
    assert Authenticity.parse(found.tree(), "file") == found


def test_the_public_form_names_no_image() -> None:
    public = str(compared().public().tree())
    assert "train/0.png" not in public
    assert "train 0" not in public


def test_patients_on_both_sides_and_empty_sets_are_refused() -> None:
    train, held_out = drawn("train", 10), drawn("held", 10)
    same = replace(held_out, groups=[*train.groups[:2], *held_out.groups[2:]])
    with pytest.raises(UserError, match="1 groups are in train.json and in held.json"):
        recovery(train, same, network="g")
    nothing = Recovery("own.json", [], [], [], torch.zeros(0).double())
    with pytest.raises(UserError, match=r"own.json: holds no projection"):
        recovery(train, held_out, nothing, network="g")
    assert ALPHA == 0.05
