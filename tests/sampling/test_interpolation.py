"""Frames lie where they should, in z, in w and on loops, and show what `generate` shows there."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from synthograph.core.errors import UserError
from synthograph.models.base import NoiseMode, TruncationCenter
from synthograph.models.registry import style_family
from synthograph.models.snapshot import Snapshot
from synthograph.sampling.easing import Easing
from synthograph.sampling.generate import ImageRequest, generate
from synthograph.sampling.interpolation import (
    BATCH,
    REACH,
    Film,
    Steps,
    between,
    circular_loop,
    frames,
    labels_of_keys,
    noise_loop,
    steps_at_keys,
    steps_by_keys,
    sweep,
    swinging,
)
from synthograph.sampling.latents import Latents, Rendering, Space, of_seeds, styles
from tests.sampling.test_generate import make_snapshot


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return make_snapshot(tmp_path_factory.mktemp("snapshots"))


def film_of(snapshot: Snapshot, steps: Steps, keys: Latents, **rendering: object) -> Film:
    path = between(keys.values, spherical=True) if keys.space is Space.Z else None
    return Film(keys, steps, path, Rendering(**rendering))


def drawn(snapshot: Snapshot, film: Film, first: int = 0) -> np.ndarray:
    return np.stack(list(frames(snapshot, film, first=first))).astype(int)


def generated(snapshot: Snapshot, seeds: list[int], label: str, **how: object) -> np.ndarray:
    request = ImageRequest([(seed, label) for seed in seeds], **how)
    return np.stack([i.pixels for part in generate(snapshot, request) for i in part]).astype(int)


# --- where frames stand ---------------------------------------------------------------------------


@pytest.mark.parametrize("closed", [False, True])
@pytest.mark.parametrize(("keys", "count"), [(1, 5), (2, 2), (3, 10), (4, 4), (3, 101)])
def test_every_key_is_met_by_a_frame(keys: int, count: int, closed: bool) -> None:
    steps = steps_by_keys(keys, count, 0.7, closed=closed)
    at = torch.where(steps.share == 1, steps.goal, steps.start)
    met = at[(steps.share == 0) | (steps.share == 1)]
    assert set(met.tolist()) == set(range(keys)) and len(steps) == count
    assert steps.start[0] == 0 and steps.share[0] == 0
    if closed and count > keys:
        assert steps.start[-1] == keys - 1 and 0 < steps.share[-1] < 1, "not the first one again"
    assert bool((steps.psi == 0.7).all())


def test_frames_are_even_in_time_and_eased_between_keys() -> None:
    steps = steps_by_keys(2, 5, 1, easing=Easing.QUADRATIC)
    assert steps.share.tolist() == [0, 0.125, 0.5, 0.875, 1]
    loop = steps_by_keys(1, 4, 1, closed=True)
    torch.testing.assert_close(loop.angle, torch.arange(4).double() * math.pi / 2)


def test_fewer_frames_than_keys_are_refused() -> None:
    with pytest.raises(UserError, match="--frames 2: 3 key images need a frame each"):
        steps_by_keys(3, 2, 1)


def test_sweeps_of_psi() -> None:
    assert sweep(0, 1, 0.25).tolist() == [0, 0.25, 0.5, 0.75, 1]
    assert len(sweep(0, 1, 0.01)) == 101
    torch.testing.assert_close(sweep(1, -0.5, 0.5), torch.tensor([1, 0.5, 0, -0.5]).double())
    assert sweep(0.3, 0.3, 0.1).tolist() == [0.3]
    for increment in (1e-9, 1e-320):
        with pytest.raises(UserError, match=rf"--increment {increment:g}: .* at least 1.00001e-05"):
            sweep(0, 1, increment)
    assert len(sweep(0, 1, 1.00001e-05)) == 100_000
    steps = steps_at_keys(2, sweep(0, 1, 0.5))
    assert steps.start.tolist() == [0, 0, 0, 1, 1, 1] and steps.psi.tolist() == [0, 0.5, 1] * 2


@pytest.mark.parametrize(
    ("increment", "closed", "psi"),
    [
        (None, False, [0, 0.25, 0.5, 0.75, 1]),
        (None, True, [0, 0.4, 0.8, 0.8, 0.4]),
        (0.5, False, [0, 0.5, 1, 0.5, 0]),
    ],
)
def test_psi_swings_along_the_way(increment: float | None, closed: bool, psi: list[float]) -> None:
    steps = swinging(steps_by_keys(2, 5, 1), 0, 1, increment, closed=closed)
    torch.testing.assert_close(steps.psi, torch.tensor(psi).double())
    same = swinging(steps_by_keys(2, 5, 1), 0.6, 0.6, increment, closed=closed)
    assert bool((same.psi == 0.6).all())


# --- latents of frames ----------------------------------------------------------------------------


def test_the_arc_keeps_to_the_plane_of_its_ends_and_its_length() -> None:
    keys = torch.zeros(2, 16)
    keys[0, 0], keys[1, 5] = 3, 5
    found = between(keys, spherical=True)(steps_by_keys(2, 4, 1))
    thirds = torch.arange(4) * math.pi / 6
    torch.testing.assert_close(found.norm(dim=1), torch.tensor([3, 11 / 3, 13 / 3, 5]))
    torch.testing.assert_close(found[:, 0] / found.norm(dim=1), thirds.cos(), atol=1e-6, rtol=0)
    torch.testing.assert_close(found[:, 5] / found.norm(dim=1), thirds.sin(), atol=1e-6, rtol=0)
    straight = between(keys, spherical=False)(steps_by_keys(2, 4, 1))
    torch.testing.assert_close(straight[:, 0], torch.tensor([3.0, 2, 1, 0]))


def test_keys_are_met_bit_by_bit_and_equal_ones_stand_still() -> None:
    keys = torch.randn(3, 64, generator=torch.Generator().manual_seed(1))
    found = between(keys, spherical=True)(steps_by_keys(3, 9, 1))
    assert bool((found[[0, 4, 8]] == keys).all())
    still = between(keys[:1].repeat(2, 1), spherical=True)(steps_by_keys(2, 5, 1))
    torch.testing.assert_close(still, keys[:1].expand(5, -1))
    zeros = between(torch.zeros(2, 4), spherical=True)(steps_by_keys(2, 5, 1))
    assert bool((zeros == 0).all())


@pytest.mark.parametrize("diameter", [1.0, 40.0, 100.0, 1000.0])
def test_latents_of_a_noise_loop_are_standard_normal_and_alike_by_distance(
    diameter: float,
) -> None:
    width, count = 4000, 16
    z = noise_loop(width, diameter, seed=3)(steps_by_keys(1, count, 1, closed=True)).double()
    covariance = z @ z.T / width
    chord = diameter * (torch.arange(count) * math.pi / count).sin()
    expected = torch.exp(-(chord**2) / (2 * REACH**2))  # squared exponential on a circle
    for turn in range(count):
        found = covariance.diagonal() if turn == 0 else covariance.roll(-turn, 1).diagonal()
        assert abs(found.mean().item() - expected[turn].item()) < 0.06


def test_loops_close_and_depend_on_their_seed_alone() -> None:
    few, many = (steps_by_keys(1, count, 1, closed=True) for count in (6, 12))
    for loop in (
        lambda seed: noise_loop(32, 100, seed),
        lambda seed: circular_loop(torch.ones(32), 100, seed),
    ):
        torch.testing.assert_close(loop(1)(few), loop(1)(many)[::2], msg="frames thin out the loop")
        step = (loop(1)(many) - loop(1)(many).roll(1, 0)).norm(dim=1)
        assert step[0] < 2 * step.mean(), "the last frame is a step before the first"
        assert not torch.allclose(loop(1)(few), loop(2)(few))


def test_a_circular_loop_goes_round_its_centre_on_the_sphere() -> None:
    centre = torch.randn(512, generator=torch.Generator().manual_seed(0))
    centre = centre / centre.norm() * 512**0.5
    steps = steps_by_keys(1, 24, 1, closed=True)
    z = circular_loop(centre, 10, seed=0)(steps)
    torch.testing.assert_close(z.norm(dim=1), torch.full((24,), 512**0.5))
    cosine = (z @ centre) / 512
    assert cosine.min() > 0.95 and cosine.max() < 0.995, "near the centre, never at it"
    wide = circular_loop(centre, 1000, seed=0)(steps)
    assert ((wide @ centre) / 512).abs().max() < 0.2


# --- frames ---------------------------------------------------------------------------------------


def test_frames_at_keys_are_the_images_of_their_seeds(snapshot: Snapshot) -> None:
    keys = of_seeds(snapshot, [3, 8, 4], ["a b"] * 3)
    film = film_of(snapshot, steps_by_keys(3, 9, 1), keys)
    found, wanted = drawn(snapshot, film), generated(snapshot, [3, 8, 4], "a b")
    assert np.abs(found[[0, 4, 8]] - wanted).max() <= 1
    assert len({frame.tobytes() for frame in found}) == 9


@pytest.mark.parametrize("center", list(TruncationCenter))
def test_a_sweep_shows_what_generate_shows_at_each_psi(
    snapshot: Snapshot, center: TruncationCenter
) -> None:
    keys = of_seeds(snapshot, [5, 6], ["a b", "c/d"])
    film = film_of(
        snapshot,
        steps_at_keys(2, sweep(0, 1, 0.5)),
        keys,
        center=center,
        cutoff=2,
        noise=NoiseMode.RANDOM,
    )
    found = drawn(snapshot, film)
    how = {"center": center, "cutoff": 2, "noise": NoiseMode.RANDOM}
    for place, psi in enumerate((0.0, 0.5, 1.0)):
        first = generated(snapshot, [5], "a b", truncation=psi, **how)
        second = generated(snapshot, [6], "c/d", truncation=psi, **how)
        assert np.abs(found[place] - first[0]).max() <= 1
        assert np.abs(found[3 + place] - second[0]).max() <= 1


def _styles_of(snapshot: Snapshot, film: Film, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """The styles that frames are drawn from."""
    seen = []

    def note(snapshot: Snapshot, ws: Tensor, *_: object) -> list[np.ndarray]:
        seen.append(ws)
        return [np.zeros(1)] * len(ws)

    monkeypatch.setattr("synthograph.sampling.interpolation.render", note)
    list(frames(snapshot, film))
    return torch.cat(seen)


def test_classes_change_in_w_and_truncation_comes_before(
    snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = of_seeds(snapshot, [5, 5], ["a b", "c/d"])
    rendering = Rendering(truncation=0.6)
    steps = steps_by_keys(2, 5, 0.6)
    ends = styles(snapshot, keys, rendering)
    found = _styles_of(snapshot, film_of(snapshot, steps, keys), monkeypatch)
    for frame, part in enumerate((0, 0.25, 0.5, 0.75, 1)):
        wanted = (1 - part) * ends[0] + part * ends[1]
        torch.testing.assert_close(found[frame], wanted, atol=1e-5, rtol=1e-5)


def test_the_way_in_w_is_straight(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    z = of_seeds(snapshot, [1, 2], ["a b", "a b"])
    ends = styles(snapshot, z, Rendering())
    keys = replace(z, values=ends, space=Space.W)
    found = _styles_of(snapshot, film_of(snapshot, steps_by_keys(2, 3, 1), keys), monkeypatch)
    torch.testing.assert_close(found[1], ends.mean(0))
    assert bool((found[[0, 2]] == ends).all())
    mean = style_family("stylegan2").mean_styles(
        snapshot.generator, 1, None, TruncationCenter.GLOBAL
    )
    pulled = _styles_of(snapshot, film_of(snapshot, steps_by_keys(2, 3, 0), keys), monkeypatch)
    torch.testing.assert_close(pulled, mean[None].expand(3, ends.shape[1], -1))


def test_frames_are_the_same_bytes_wherever_one_begins(snapshot: Snapshot) -> None:
    keys = of_seeds(snapshot, [3, 8], ["a b", "c/d"])
    whole = film_of(snapshot, steps_by_keys(2, 2 * BATCH + 3, 0.8), keys)
    every = drawn(snapshot, whole)
    alone = replace(whole, rendering=replace(whole.rendering, batch=1))
    assert (drawn(snapshot, alone) == every).all()
    for first in (1, BATCH, BATCH + 2, 2 * BATCH + 2):
        assert (drawn(snapshot, whole, first) == every[first:]).all()


def test_sixteen_bits_are_drawn_as_they_are(tmp_path: Path) -> None:
    grey = make_snapshot(tmp_path, bits=16, classes=())
    keys = of_seeds(grey, [0, 1], [None, None])
    first = next(frames(grey, film_of(grey, steps_by_keys(2, 3, 1), keys)))
    assert first.dtype == np.uint16 and first.shape == (1, 8, 8)


@pytest.mark.parametrize(
    ("keys", "classes", "found"),
    [
        (3, ["a"], (3, ["a"] * 3)),
        (3, ["a", "b", "a"], (3, ["a", "b", "a"])),
        (1, ["a", "b"], (2, ["a", "b"])),
    ],
)
def test_classes_of_keys(keys: int, classes: list[str], found: tuple[int, list[str]]) -> None:
    assert labels_of_keys(keys, classes, ["a", "b"]) == found
    assert labels_of_keys(keys, [], []) == (keys, [None] * keys)


def test_classes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match="conditional: name a class, --class a or b"):
        labels_of_keys(2, [], ["a", "b"])
    with pytest.raises(UserError, match="2 classes for 3 key images"):
        labels_of_keys(3, ["a", "b"], ["a", "b"])
