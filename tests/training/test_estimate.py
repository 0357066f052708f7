"""How long training takes is measured on steps of a bounded size."""

from pathlib import Path

import pytest

from synthograph.archive.reader import open_archive
from synthograph.training import estimate as module
from synthograph.training.estimate import (
    Estimate,
    coarse_estimate,
    estimate,
    quick_estimate,
    timed_images,
)
from synthograph.training.session import Session
from synthograph.training.setup import make_session, open_data, resolve_run

SMALL = {"channel_base": 32, "channel_max": 4, "z_dim": 4, "w_dim": 4}


def begin(archive: Path, batch: int, *, share: int | None = None, group: int = 4) -> Session:
    training = {"batch": batch, "batch_gpu": share or batch}
    parts = [
        {"device": "cpu", "training": training, "model": {**SMALL, "mbstd_group": group}},
    ]
    config, _ = resolve_run(open_archive(archive), "tiny", parts)
    return make_session(config, open_data(config))


@pytest.mark.parametrize(
    ("batch", "share", "group", "images"),
    [(8, 8, 4, 8), (16, 4, 4, 16), (1024, 1024, 4, 16), (1024, 4, 4, 16), (1024, 1024, 6, 12)],
)
def test_a_timed_step_has_whole_groups_and_at_most_so_many_images(
    archive: Path,
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
    share: int,
    group: int,
    images: int,
) -> None:
    monkeypatch.setitem(module.MAX_IMAGES, "cpu", 17)
    if group == 6:
        batch = share = 1020
    assert timed_images(begin(archive, batch, share=share, group=group)) == images


def test_a_group_is_never_cut(archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(module.MAX_IMAGES, "cpu", 8)
    assert timed_images(begin(archive, 64, group=32)) == 32


def test_only_the_average_of_the_weights_is_spread_over_the_whole_batch(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(module.MAX_IMAGES, "cpu", 8)
    monkeypatch.setattr(module, "median_seconds", lambda work, *_: work() and 1.0 or 1.0)
    session = begin(archive, 4096)
    shown: list[int] = []
    batch = Session.batch
    monkeypatch.setattr(Session, "batch", lambda s, n: shown.append(n) or batch(s, n))
    measured = estimate(session)
    parts = 1 + sum(1 / phase.interval for phase in session.phases)
    assert set(shown) == {8} and measured.images == 8
    assert measured.sec_per_kimg == pytest.approx((parts / 8 + 1 / 4096) * 1000)
    assert measured.augmented is None


def test_times_of_narrow_networks_are_scaled_by_channels_and_their_square() -> None:
    def at(share: float) -> Estimate:
        plain = 80 * share**2 + 20 * share
        return Estimate(plain, plain + 30, 4)

    found = module._scaled([(1 / 8, at(1 / 8)), (1 / 4, at(1 / 4))])
    assert found.sec_per_kimg == pytest.approx(100) and found.narrow == 4
    assert found.augmented == pytest.approx(130), "augmentation knows no channels"
    only = module._scaled([(1 / 8, Estimate(10, None, 4))])
    assert only.sec_per_kimg == pytest.approx(80) and only.augmented is None
    odd = module._scaled([(1 / 8, Estimate(10, None, 4)), (1 / 4, Estimate(10, None, 4))])
    assert odd.sec_per_kimg == pytest.approx(40), "no time falls with more channels"


@pytest.mark.parametrize("seconds", [0.0, 100.0])
@pytest.mark.parametrize(("batch", "expected"), [(32, 7 + 40 / 32), (4, 17.0), (8, 12.0)])
def test_times_of_few_images_are_those_of_a_batch(
    archive: Path, monkeypatch: pytest.MonkeyPatch, batch: int, expected: float, seconds: float
) -> None:
    """7 s a thousand images and 40 a thousand steps."""

    def measured(_: Session, images: int, least: float) -> Estimate:
        return Estimate(7 + 40 / images, 9 + 40 / images, images)

    monkeypatch.setattr(module, "_measured", measured)
    found = module._of_batch(begin(archive, batch), seconds)
    assert found.sec_per_kimg == pytest.approx(expected)
    assert found.augmented == pytest.approx(expected + 2)


def test_large_networks_are_timed_by_narrow_ones(archive: Path) -> None:
    parts = [{"device": "cpu", "training": {"batch": 4, "batch_gpu": 4}}]
    wide = {"model": {"channel_base": 512, "channel_max": 16, "z_dim": 4, "w_dim": 4}}
    config, _ = resolve_run(open_archive(archive), "tiny", [*parts, wide])
    found = quick_estimate(config, open_data(config), 0.0)
    assert found is not None and found.narrow == 8 and found.sec_per_kimg > 0
    config, _ = resolve_run(
        open_archive(archive), "tiny", [*parts, {"model": {**SMALL, "channel_max": 1}}]
    )
    assert quick_estimate(config, open_data(config), 0.0) is None, "fewer channels than a level has"


def test_networks_of_large_images_that_compare_pairs_are_timed(
    archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LARGE_PIXELS", 1)
    monkeypatch.setattr(module, "SMALL_PIXELS", 1)
    shown: list[int] = []
    batch = Session.batch
    monkeypatch.setattr(Session, "batch", lambda s, n: shown.append(n) or batch(s, n))
    for weight, fewest in ((0.0, 1), (5.0, 2)):
        model = {"channel_base": 512, "channel_max": 16, "z_dim": 4, "w_dim": 4}
        parts = [{"device": "cpu", "model": {**model, "spread_weight": weight}}]
        config, _ = resolve_run(open_archive(archive), "tiny", parts)
        found = coarse_estimate(config, open_data(config), 0.0)
        assert found.narrow == 8 and min(shown) == fewest
        shown.clear()
