"""The share of the variety that noise makes, against a plain computation."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from synthograph.archive.batches import ImageSet
from synthograph.archive.parts import Part
from synthograph.metrics.evaluate import EvaluationTask, evaluate, keep_part
from synthograph.metrics.noise import noise_column, noise_share
from synthograph.models.snapshot import Snapshot
from synthograph.results.evaluation import Entry
from synthograph.sampling.image_set import synthetic_images
from tests.metrics.contract import MeasureContract
from tests.metrics.images import noise
from tests.sampling.test_generate import make_snapshot


class TestNoiseShare(MeasureContract):
    name = "noise_share"


def drawn(count: int, seed: int) -> Tensor:
    return torch.randn(count, 6, generator=torch.Generator().manual_seed(seed))


def variance(rows: Tensor) -> float:
    pairs = itertools.combinations(rows.double(), 2)
    return sum(float((x - y).square().sum()) for x, y in pairs)


def test_it_is_the_variance_that_fixed_noise_loses() -> None:
    fixed = drawn(17, 0) + 40
    own = fixed + 0.7 * drawn(17, 1) - 5
    found = noise_share(own, fixed)
    assert found.value == pytest.approx(1 - variance(fixed) / variance(own), rel=1e-6)
    assert found.interval is not None and found.value in found.interval


def test_the_ends_of_the_scale() -> None:
    latents, grain = drawn(400, 0), drawn(400, 1)
    assert noise_share(latents, latents).value == 0
    none = noise_share(latents + 0.01 * grain, latents + 3)
    assert none.interval is not None and none.value is not None and none.value < 0.01
    whole = noise_share(grain, torch.ones(400, 6))
    assert whole.value == 1 and whole.interval is not None and whole.interval.high == 1
    more = noise_share(latents, 2 * latents)
    assert more.value == 0 and more.interval is not None and more.interval.low == 0


def test_noise_that_latents_turn_into_variety_is_none() -> None:
    """What differs by noise, but as much where all have the same, is not lost."""
    signs = drawn(400, 1).sign()
    found = noise_share(drawn(400, 0) * signs, drawn(400, 0))
    assert found.value is not None and found.value < 0.1


def test_what_has_no_share_says_why() -> None:
    assert noise_share(drawn(9, 0), drawn(9, 1)).notes == (
        "9 images were drawn with fixed noise, too, at least 10 are needed",
    )
    same = torch.full((20, 3), 7.3)
    assert "all synthetic images are the same" in noise_share(same, same).notes[0]


def snapshot_of(path: Path, strength: float, bits: int = 8) -> Snapshot:
    """A network of images of 8x16 whose noise has this strength."""
    snapshot = make_snapshot(path, bits=bits, classes=(), size=(16, 8))
    with torch.no_grad():
        for name, value in snapshot.generator.named_parameters():
            if name.endswith("noise_strength"):
                value.fill_(strength)
    return snapshot


def images_of(snapshot: Snapshot, count: int = 40, batch: int = 8) -> ImageSet:
    return synthetic_images(snapshot, (), count, seed=0, device="cpu", batch=batch)


def test_the_same_latents_with_the_same_noise(tmp_path: Path) -> None:
    still, noisy = (images_of(snapshot_of(tmp_path / str(s), s), 12) for s in (0.0, 2.0))
    for images, same in ((still, True), (noisy, False)):
        assert images.fixed_noise is not None
        again = torch.cat(list(images.fixed_noise(range(12))))
        assert torch.equal(torch.cat(list(images.batches())), again) == same
        assert torch.equal(torch.cat(list(images.fixed_noise(range(8, 12)))), again[8:])


def test_rows_follow_the_set_whatever_is_asked_first(tmp_path: Path) -> None:
    images = images_of(snapshot_of(tmp_path / "n", 2.0), 24)
    column = noise_column(images)
    assert column.dims == 1 + 2 * images.spec.channels * 8 * 4
    step = column.begin(0)
    rows = torch.cat([step(batch) for batch in images.batches()])
    later = column.begin(16)
    assert torch.equal(torch.cat([later(b) for b in images.within(range(16, 24))]), rows[16:])
    assert rows[:, 0].eq(1).all()
    half = (column.dims - 1) // 2
    assert not torch.equal(rows[:, 1 : 1 + half], rows[:, 1 + half :])


def test_only_the_first_images_of_a_large_set_are_drawn_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("synthograph.metrics.noise.PAIRS", 12)
    images = images_of(snapshot_of(tmp_path / "n", 2.0), 32)
    step = noise_column(images).begin(0)
    rows = torch.cat([step(batch) for batch in images.batches()])
    assert rows[:, 0].tolist() == [1.0] * 12 + [0.0] * 20
    late = noise_column(images).begin(16)
    assert not torch.cat([late(b) for b in images.within(range(16, 32))]).any()


Measure = Callable[..., list[Entry]]


@pytest.fixture
def measured(tmp_path: Path) -> Measure:
    def run(fake: ImageSet, folder: str = "kept", **more: object) -> list[Entry]:
        spec = fake.spec
        real = noise(
            "real.zip",
            40,
            size=(spec.height, spec.width),
            modalities=dict(spec.modalities),
            bits=spec.bits,
            levels=None,
        )
        task = EvaluationTask(real, fake, measures=("spectrum", "noise_share"), **more)
        if folder == "parts":
            for number in (1, 2):
                keep_part(task, [], Part(number, 2), folder=tmp_path / folder)
        found = evaluate(task, [], folder=tmp_path / folder)
        return [entry for entry in found.entries if entry.name == "noise_share"]

    return run


@pytest.mark.parametrize(("bits", "parts"), [(8, [None, "vis", "nir"]), (16, [None])])
def test_a_network_that_draws_by_noise_is_told_from_one_that_does_not(
    tmp_path: Path, measured: Measure, bits: int, parts: list[str | None]
) -> None:
    shares = []
    for strength in (0.0, 5.0):
        name = f"{bits}-{strength}"
        entries = measured(images_of(snapshot_of(tmp_path / name, strength, bits)), name)
        assert [entry.scope.modality for entry in entries] == parts
        assert all(entry.n_fake == 40 and entry.n_real == 0 for entry in entries)
        shares.append([entry.value for entry in entries])
    assert shares[0] == [0.0] * len(parts)
    assert all(share is not None and share > 0.1 for share in shares[1])


def test_parts_and_the_whole_agree(tmp_path: Path, measured: Measure) -> None:
    images = images_of(snapshot_of(tmp_path / "n", 2.0), 1040, batch=64)
    whole, parts = measured(images), measured(images, "parts")
    assert whole == parts and whole[0].n_fake == 1000


def test_images_that_no_network_makes_now_have_no_share(tmp_path: Path, measured: Measure) -> None:
    images = images_of(snapshot_of(tmp_path / "n", 2.0))
    assert measured(replace(images, fixed_noise=None)) == []
    quiet = make_snapshot(tmp_path / "quiet", classes=(), noise=False)
    assert images_of(quiet).fixed_noise is None
