"""Copies are found whatever was done to them, and unseen patients are none."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from synthograph.archive.batches import ImageSet
from synthograph.core.errors import UserError
from synthograph.core.seeds import Streams
from synthograph.metrics.audit import calibration, matcher
from synthograph.metrics.audit.calibration import AgreementScale, calibrated, threshold_of
from synthograph.metrics.audit.control import look_among_unseen
from synthograph.metrics.audit.copies import (
    PAIRS,
    RATES,
    CopySearch,
    blindness,
    calibrate,
    convicting,
    doubtful,
    find_copies,
    unseen,
)
from synthograph.metrics.audit.identical import Identical, find_identical
from synthograph.metrics.audit.overlap import content_overlap
from synthograph.metrics.audit.reject import copy_judge
from synthograph.metrics.audit.search import Index
from synthograph.metrics.audit.transforms import GREY, TRANSFORMS, compressed, plant, plantable
from synthograph.results.audit import Copies, Flagged, Threshold
from synthograph.sources.phantoms import PhantomOptions, make_phantoms
from tests.metrics.audit.pictures import as_set, mixed, texture


def search(
    train: ImageSet, holdout: ImageSet, synthetic: ImageSet, *, folder: Path, **options: int
) -> CopySearch:
    return find_copies(Index(train, folder), holdout, synthetic, **options)


def test_copies_among_others_are_found_and_withheld(tmp_path: Path) -> None:
    train = texture(80, 1)
    copied = np.concatenate([train[:8, :, :, ::-1], np.rot90(train[8:12], axes=(2, 3))])
    synthetic = np.concatenate([texture(20, 3), copied])
    found = search(
        as_set(train, "train", per=2), as_set(texture(40, 2), "holdout"), as_set(synthetic, "made"),
        folder=tmp_path, planted=10,
    ).copies  # fmt: skip
    assert found.found
    assert found.withhold == tuple(range(20, 32))
    assert {(p.fake, p.train) for p in found.pairs[:12]} == {(20 + i, i) for i in range(12)}
    assert len(found.pairs) == PAIRS
    assert found.identical == ()
    recall = {r.transform: r.recall for r in found.recall if r.rate == 0.01 and r.label is None}
    assert set(recall) == set(TRANSFORMS) - {GREY}
    assert min(recall[name] for name in ("identity", "flip", "turn", "rotate", "crop")) == 1
    assert Copies.parse(found.tree(), "copies") == found
    assert list(tmp_path.iterdir()) == []


SEEN, UNSEEN = texture(80, 1), texture(48, 2)
"""Training images of 40 patients, and held-out ones of 24."""


def beside_others(folder: Path, *images: np.ndarray) -> Copies:
    """What is said of these synthetic images, behind 20 that are like no other."""
    sets = as_set(SEEN, "train", per=2), as_set(UNSEEN, "holdout", per=2)
    made = as_set(np.concatenate([texture(20, 3), *images]), "made")
    return search(*sets, made, folder=folder, planted=10).copies


def by_exchange(first: int, train: int, holdout: int) -> float:
    """Chance that so many groups with the highest scores are all of the training set."""
    return float(np.prod([(train - i) / (train + holdout - i) for i in range(first)]))


def test_images_that_look_like_copies_of_unseen_ones_as_well_convict_nobody(tmp_path: Path) -> None:
    """Nothing then tells copies from images that are like any real one; they stay withheld."""
    found = beside_others(tmp_path, mixed(SEEN[:8], 0.1, 4), mixed(UNSEEN[:12], 0.1, 5))
    assert not found.found and set(range(20, 28)) <= set(found.withhold)
    control = found.control
    assert control is not None and control.explains
    assert control.flagged == 12 and control.held == 6
    assert control.p < 0.01 < control.groups_p and control.groups <= 4
    said = doubtful(found)
    assert said is not None and "12 synthetic images look like copies of held-out images" in said
    assert blindness(found) is None and Copies.parse(found.tree(), "copies") == found


def test_copies_beside_images_that_are_like_any_real_one_are_found(tmp_path: Path) -> None:
    found = beside_others(tmp_path, mixed(SEEN[:24], 0.02, 4), mixed(UNSEEN[:12], 0.3, 5))
    assert found.found and found.proof == () and doubtful(found) is None
    assert set(range(20, 44)) <= set(found.withhold)
    control = found.control
    assert control is not None and control.p < 0.01 and not control.explains
    assert control.closer == 24 and control.groups == 12 and control.passed_over == 0
    assert control.groups_p == pytest.approx(3 * by_exchange(12, 40, 24))
    (said,) = [each for each in unseen(found) if "never saw" in each]
    assert "more alike to a training image than any is to a held-out one: 24 (groups: 12" in said


def test_one_held_out_patient_of_the_training_set_does_not_hide_copies(tmp_path: Path) -> None:
    """As one who is in both sets under two names does."""
    twin = np.concatenate([mixed(UNSEEN[:2], 0.0, 6)] * 2)
    others = mixed(UNSEEN[2:12], 0.3, 5)
    found = beside_others(tmp_path, mixed(SEEN[:40], 0.1, 4), twin, others)
    control = found.control
    assert found.found and control is not None and control.p < 0.01 and control.passed_over == 1
    assert "those of the most alike held-out groups apart" in " ".join(unseen(found))


def test_equal_images_are_copies_whatever_unseen_images_say(tmp_path: Path) -> None:
    found = beside_others(tmp_path, SEEN[:2], mixed(SEEN[2:8], 0.1, 4), mixed(UNSEEN[:12], 0.1, 5))
    assert found.control is not None and found.control.explains
    assert found.found and found.proof == (20, 21) and doubtful(found) is None


def test_copies_alone_are_found_whatever_unseen_images_say(tmp_path: Path) -> None:
    found = beside_others(tmp_path, mixed(SEEN[:8], 0.1, 4))
    assert found.found and not any("never saw" in each for each in unseen(found))
    assert found.control is not None and found.control.flagged == 0


def test_a_strict_level_convicts_though_a_looser_one_does_not(tmp_path: Path) -> None:
    """Images that are a little like any real one acquit no copies."""
    train, holdout = as_set(SEEN, "train", per=2), as_set(UNSEEN, "holdout", per=2)
    pixels = [mixed(SEEN[:8], 0.1, 4), mixed(SEEN[20:60], 0.4, 5), mixed(UNSEEN, 0.4, 6)]
    made = as_set(np.concatenate(pixels), "made")
    index = Index(train, tmp_path)
    known, every = calibrate(index, 0), torch.arange(made.count)
    seen = known.scale.scores(index.candidates(made, every, "synthetic"))
    scores = seen[0]
    high, low = (float(scores[part].min()) for part in (slice(0, 8), slice(8, 48)))
    assert low < high
    levels = [
        (Flagged(rate=rate, score=score, above=1, images=80, extrapolated=False, flagged=flagged,
                 holdout=0, p=0, upper_limit=1), (1.0, 80.0))
        for rate, score, flagged in ((0.001, high, 8), (0.01, low, 48))
    ]  # fmt: skip
    look = partial(look_among_unseen, index, holdout, made, seen=seen, scale=known.scale)
    strict, loose, both = (
        look(convicting=levels[:1]),
        look(convicting=levels[1:]),
        look(convicting=levels),
    )
    assert strict is not None and loose is not None
    assert not strict.explains and loose.explains and both == strict
    assert look(convicting=[]) is None


def test_unseen_patients_are_no_copies(tmp_path: Path) -> None:
    found = search(
        as_set(texture(80, 1), "train", per=2), as_set(texture(40, 2), "holdout"),
        as_set(texture(60, 3), "synthetic"), folder=tmp_path, planted=10,
    ).copies  # fmt: skip
    assert not found.found
    limit = found.counts[1]
    assert limit.upper_limit_by_transform["identity"] == pytest.approx(limit.upper_limit)
    assert limit.upper_limit >= 1 - 0.05 ** (1 / 60) - 1e-9


def test_one_image_that_equals_a_training_image_is_enough(tmp_path: Path) -> None:
    train, synthetic = texture(60, 1), texture(40, 3)
    synthetic[7] = train[5]
    found = search(
        as_set(train, "train"), as_set(texture(30, 2), "holdout"), as_set(synthetic, "synthetic"),
        folder=tmp_path, planted=5,
    ).copies  # fmt: skip
    assert found.found
    assert found.identical == (7,)
    assert 7 in found.withhold


def test_an_image_of_both_sets_proves_nothing_and_hides_nothing(tmp_path: Path) -> None:
    train, holdout, synthetic = texture(60, 1), texture(30, 2), texture(40, 3)
    holdout[0] = synthetic[2] = train[0]
    sets = [as_set(each, "set") for each in (train, holdout, synthetic)]
    assert find_identical(*sets) == Identical((2,), (0,), (), 1)
    synthetic[7] = train[5]
    found = search(*sets[:2], as_set(synthetic, "synthetic"), folder=tmp_path, planted=5)
    assert "(1 of them have one colour or equal a held-out image too" in found.copies.sentence
    chances = [each.p for each in found.copies.counts]
    assert found.copies.found and min(chances) > 0.005, "the proof is in pixels"
    assert found.copies.identical == (2, 7) and found.copies.proof == (7,)
    assert [(each.image, each.source) for each in found.withheld] == [(2, 0), (7, 5)]
    assert "1 images of set equal a training image" in " ".join(found.copies.notes)


def test_an_empty_image_proves_nothing(tmp_path: Path) -> None:
    """By chance no held-out slice is black."""
    train, holdout, synthetic = texture(60, 1), texture(30, 2), texture(40, 3)
    train[0] = synthetic[2] = 0
    sets = [as_set(each, "set") for each in (train, holdout, synthetic)]
    assert find_identical(*sets) == Identical((2,), (0,), (), 0)
    found = search(*sets, folder=tmp_path, planted=5).copies
    assert not found.found and found.identical == (2,) and 2 in found.withhold


def test_few_groups_and_other_sizes_are_refused(tmp_path: Path) -> None:
    train, synthetic = as_set(texture(60, 1), "train"), as_set(texture(10, 3), "synthetic")
    with pytest.raises(UserError, match="5 groups"):
        search(train, as_set(texture(60, 2), "held", per=12), synthetic, folder=tmp_path)
    with pytest.raises(UserError, match="16x16"):
        search(train, as_set(texture(60, 2, side=16), "held"), synthetic, folder=tmp_path)


@pytest.mark.parametrize("name", [n for n in TRANSFORMS if n not in ("elastic", "blend")])
@pytest.mark.parametrize(("channels", "bits"), [(3, 8), (4, 8), (1, 16)])
def test_every_kind_of_image_is_traced_to_its_source(
    name: str, channels: int, bits: int, tmp_path: Path
) -> None:
    if name not in plantable(channels):
        return
    pixels = texture(40, 4, channels=channels)
    pixels = pixels if bits == 8 else pixels.astype(np.uint16) * 257
    train = as_set(pixels, "train")
    rows = torch.arange(6)
    some, others = torch.from_numpy(pixels[:6]), torch.from_numpy(pixels[6:12])
    copies = plant(name, some, rows, Streams(0), others)
    assert copies.dtype == torch.from_numpy(pixels).dtype
    nearest = Index(train, tmp_path).search(copies).train
    assert (nearest == rows[:, None]).any(1).all()


@pytest.mark.parametrize("filled", [0, 255])
def test_a_shifted_copy_with_a_plain_border_is_traced(filled: int, tmp_path: Path) -> None:
    pixels = texture(60, 6)
    moved = np.full_like(pixels[:12], filled)
    moved[:, :, 3:, :-3] = pixels[:12, :, :-3, 3:]
    index = Index(as_set(pixels, "train"), tmp_path)
    shown = matcher.shown(index.small(torch.from_numpy(moved)))
    assert not shown[:, :, :3].any()
    assert not shown[:, :, :, -3:].any()
    assert shown[:, :, 4:, :-4].mean() > 0.9  # some pictures are as plain there
    found = index.search(torch.from_numpy(moved))
    real = index.search(torch.from_numpy(texture(60, 7)))
    score, nearest = AgreementScale.of(real, real).scores(found)
    assert nearest.tolist() == list(range(12))
    assert found.agreement[..., -1].amax(1).min() > 0.95
    assert score.min() > 7  # a thousandth of the tail's tenth, were it exponential


def test_an_image_without_padding_is_shown_as_a_whole(tmp_path: Path) -> None:
    slope = np.add.outer(np.arange(24) * 7, np.arange(24) * 3)  # no pixel is as its neighbour
    pixels = np.tile(slope.astype(np.uint8), (30, 1, 1, 1))
    index = Index(as_set(pixels, "train"), tmp_path)
    assert matcher.shown(index.small(torch.from_numpy(pixels))).all()
    plain = torch.full((2, 1, 24, 24), 90, dtype=torch.uint8)
    assert matcher.shown(index.small(plain)).all()


def test_images_of_the_own_group_are_passed_over(tmp_path: Path) -> None:
    pixels = texture(30, 5)
    pixels[1::2] = pixels[::2]
    train = as_set(pixels, "train", per=2)
    found = Index(train, tmp_path).search(torch.from_numpy(pixels), train.groups)
    assert not (train.groups[found.train] == train.groups[:, None]).any()


def test_a_seed_gives_the_same_numbers_again(tmp_path: Path) -> None:
    sets = [as_set(texture(n, s), str(s)) for n, s in ((40, 1), (24, 2), (12, 3))]
    one, two = (search(*sets, folder=tmp_path, planted=4, seed=3) for _ in range(2))
    assert one.copies == two.copies


def test_the_level_that_convicts_is_named_and_names_the_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Copies that only the looser level flags are counted, listed and withheld by that level."""

    def strict(scores: torch.Tensor, rate: float) -> Threshold:
        known = threshold_of(scores, rate)
        return known if rate > 0.001 else known.replace(score=1e6)

    monkeypatch.setattr(calibration, "threshold_of", strict)
    train, synthetic = texture(80, 1), texture(40, 3)
    synthetic[10:22] = train[:12, :, :, ::-1]
    sets = [as_set(p, "set") for p in (train, texture(40, 2), synthetic)]
    found = search(*sets, folder=tmp_path, planted=5)
    copies, (strictest, looser) = found.copies, found.copies.counts
    assert copies.found and strictest.flagged == 0 and looser.flagged >= 12
    assert copies.decided == looser.rate == 0.01
    assert set(range(10, 22)) <= set(copies.withhold) and len(copies.withhold) == looser.flagged
    assert [each.image for each in found.withheld] == list(copies.withhold)
    assert {each.why for each in found.withheld} == {"flagged at 1.0% false alarms"}
    assert f"{looser.flagged} of 40 synthetic images look like copies" in copies.sentence
    assert "at 1.0% false alarms" in copies.sentence and "; at 0.1% 0 do" in copies.sentence
    assert f"{looser.flagged} images are to be withheld" in copies.sentence
    old = {name: value for name, value in copies.tree().items() if name != "decided"}
    assert Copies.parse(old, "a file of before").decided is None


@pytest.mark.parametrize(
    ("flagged", "rate"), [((0, 40), 0.01), ((12, 15), 0.001), ((4, 60), 0.01), ((0, 4), None)]
)
def test_no_level_convicts_what_is_left_without_the_withheld(
    flagged: tuple[int, int], rate: float | None
) -> None:
    counts = [
        Flagged(rate=r, score=1, above=1, images=600, extrapolated=False, flagged=f, holdout=0,
                p=1, upper_limit=1)
        for r, f in zip((0.001, 0.01), flagged, strict=True)
    ]  # fmt: skip
    levels = convicting(counts, [(1, 900), (9, 900)], 300)
    decided = levels[-1][0] if levels else None
    assert (None if decided is None else decided.rate) == rate


def test_what_the_judge_keeps_no_level_flags(tmp_path: Path) -> None:
    train, synthetic = texture(80, 1), texture(100, 3)
    mixed = 0.5 * synthetic[:40].astype(float) + 0.5 * train[:40].astype(float)
    synthetic[:40] = mixed.astype(np.uint8)  # some of these count, some do not
    out = copy_judge(as_set(train, "train"), folder=tmp_path)(list(synthetic))
    assert any(out)
    kept = synthetic[~np.array(out)]
    sets = [as_set(p, "set") for p in (train, texture(40, 2), kept)]
    found = search(*sets, folder=tmp_path, planted=5).copies
    assert [each.flagged for each in found.counts] == [0, 0]
    assert not found.found and found.withhold == ()


def test_the_judge_agrees_with_the_search(tmp_path: Path) -> None:
    train, synthetic = texture(60, 1), texture(12, 3)
    synthetic[3], synthetic[5] = train[9, :, ::-1], train[11]
    found = search(
        as_set(train, "train"), as_set(texture(30, 2), "holdout"), as_set(synthetic, "synthetic"),
        folder=tmp_path, planted=4,
    ).copies  # fmt: skip
    judged = copy_judge(as_set(train, "train"), folder=tmp_path)(list(synthetic))
    assert tuple(i for i, out in enumerate(judged) if out) == found.withhold == (3, 5)


def test_score_is_finite_for_plain_images(tmp_path: Path) -> None:
    pixels = texture(30, 5)
    pixels[:4] = 200
    train = as_set(pixels, "train")
    found = Index(train, tmp_path).search(torch.from_numpy(pixels), train.groups)
    scores, _ = AgreementScale.of(found, found).scores(found)
    assert torch.isfinite(scores).all()
    assert np.isfinite(threshold_of(scores, 0.001).score)


def test_what_was_searched_for_is_known(tmp_path: Path) -> None:
    asked: list[str] = []
    train, holdout = as_set(texture(60, 1), "train"), as_set(texture(30, 2), "holdout")

    def tracks(what: str):
        asked.append(what)
        return lambda items, total: items

    index = Index(train, tmp_path, tracks)
    content_overlap(index, holdout)
    assert len(asked) == 2
    found = find_copies(index, holdout, as_set(texture(20, 3), "synthetic"), planted=5)
    assert asked[2:] == ["synthetic against training images", "planted copies"]
    alone = search(train, holdout, as_set(texture(20, 3), "synthetic"), folder=tmp_path, planted=5)
    assert found.copies == alone.copies


def test_recompressed_grey_and_framed_copies_are_found(tmp_path: Path) -> None:
    """JPEG of quality 75 and grey: at least nine of ten at 0.1 % false alarms."""
    items = make_phantoms(PhantomOptions(kind="skin", count=200, size=32, seed=3)).items
    pixels = np.stack([item.decode().modalities["image"] for item in items]).transpose(0, 3, 1, 2)
    index, every = Index(as_set(pixels, "train"), tmp_path), torch.arange(200)
    unseen = index.among_others(every), index.padded_among_others(every)
    known = calibrated(*unseen, every, every, RATES)
    rows, plain = torch.arange(20), torch.from_numpy(pixels[:20]).to(torch.float32) / 255

    def change(name: str, images: torch.Tensor) -> torch.Tensor:
        return TRANSFORMS[name](images, rows, Streams(0), images)

    as_they_are, framed = (
        [torch.stack([compressed(x, 75, halved=each) for x in images]) for each in (True, False)]
        for images in (plain, change("screenshot", plain))
    )
    for copies in (*as_they_are, *framed, change("grey", change("flip", plain))):
        found = index.search((copies * 255).round().clamp(0, 255).to(torch.uint8))
        scores, nearest = known.scale.scores(found)
        assert int(((scores >= known.thresholds[0].score) & (nearest == rows)).sum()) >= 18
