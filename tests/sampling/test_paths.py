"""Pairs of images for path length: toy generators whose path length is known, and a real one."""

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import chi2
from torch import Tensor, nn

from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.metrics.paths import VARIANTS, PathVariant, Space, path_length, step_lengths
from synthograph.metrics.paths import Sampling as Places
from synthograph.models.base import NoiseMode
from synthograph.models.snapshot import Snapshot, SnapshotInfo
from synthograph.sampling.paths import Walk, check_walk, on_sphere, step_pairs
from tests.sampling.test_generate import make_snapshot

DIM = 16
COUNT = 20_000


class Repeat(nn.Module):
    """The style is the latent, a label moves it by a constant."""

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        if label is not None:
            z = z + label[:, 1:]
        return z[:, None].expand(-1, 2, -1)


class Canvas(nn.Module):
    """The style is the image, whose values are those of pixels on the scale 0 ... 255."""

    def forward(
        self, ws: Tensor, *, noise_mode: str, force_fp32: bool, noise: Tensor | None = None
    ) -> Tensor:
        assert force_fp32
        image = ws[:, 0] / 127.5
        if noise is not None:
            image = image + noise[:, :DIM]
        return image.reshape(-1, 1, 4, 4)


class Toy(nn.Module):
    def __init__(self, noise_pixels: int | None = None) -> None:
        super().__init__()
        self.mapping, self.synthesis = Repeat(), Canvas()
        if noise_pixels is not None:
            self.synthesis.noise_pixels = noise_pixels  # type: ignore[assignment]


def toy(classes: Sequence[str] = (), noise_pixels: int | None = None) -> Snapshot:
    info = SnapshotInfo(
        family="toy",
        config={"model": {"z_dim": DIM}},
        spec=ImageSpec(height=4, width=4, modalities={"image": 1}),
        classes=list(classes),
        label_width=len(classes),
    )
    return Snapshot(Path("toy.safetensors"), info, Toy(noise_pixels))


def squared(first: Tensor, second: Tensor) -> Tensor:
    return (first.double() - second.double()).square().sum(dim=(1, 2, 3))


def walk(variant: PathVariant, count: int = COUNT, **others: object) -> Walk:
    settings = {"batch": 5000, **others}
    return Walk(
        [None] * count,
        spherical=variant.space is Space.Z,
        anywhere=variant.sampling is Places.FULL,
        epsilon=variant.epsilon,
        **settings,  # type: ignore[arg-type]
    )


def straight() -> float:
    """Squared distance of two normal latents, twice a chi square, without its extremes."""
    low, high = chi2.ppf((0.01, 0.99), DIM)
    inside = np.diff(chi2.cdf((low, high), DIM + 2))[0]
    return float(2 * DIM * inside / 0.98)


def around() -> float:
    """Squared angle of two directions times the squared radius, without its extremes."""

    def density(angle: float) -> float:
        return math.sin(angle) ** (DIM - 2)

    grid = np.linspace(0, math.pi, 20_001)
    share = np.cumsum([density(angle) for angle in grid])
    low, high = np.interp((0.01, 0.99), share / share[-1], grid)
    mass = quad(density, low, high)[0]
    return float(DIM * quad(lambda angle: angle**2 * density(angle), low, high)[0] / mass)


@pytest.mark.parametrize("name", list(VARIANTS))
def test_a_generator_whose_path_length_is_known(name: str) -> None:
    """The image is the latent and the distance is Euclidean, so any place of a way is alike."""
    variant = replace(VARIANTS[name], crop=False)
    got = path_length(step_lengths(step_pairs(toy(), walk(variant)), variant, squared), name=name)
    truth = around() if variant.space is Space.Z else straight()
    assert got.n_fake == COUNT and got.interval is not None
    assert got.value == pytest.approx(truth, rel=0.01)
    assert truth in got.interval


def test_steps_begin_at_the_start_or_anywhere() -> None:
    """How far the first image is from where the way begins, as part of the way."""

    def places(name: str) -> Tensor:
        variant = VARIANTS[name]
        steps = next(step_pairs(toy(), walk(variant, 2000)))
        starts = next(step_pairs(toy(), replace(walk(variant, 2000), anywhere=False)))
        step = squared(starts[1], starts[0]).sqrt() / variant.epsilon
        return squared(steps[0], starts[0]).sqrt() / step

    for name in ("ppl_wend", "ppl_zend"):
        assert float(places(name).max()) == 0
    parts = places("ppl_wfull").sort().values
    uniform = torch.linspace(0, 1, 2000)
    assert float((parts - uniform).abs().max()) < 0.05  # Kolmogorov and Smirnov: 0.03 by chance


def test_points_on_the_sphere() -> None:
    start, goal = torch.randn(2, 50, 8, generator=torch.Generator().manual_seed(0)).double()
    whole = on_sphere(start, goal, torch.ones(50).double())
    torch.testing.assert_close(whole, goal / goal.norm(dim=1, keepdim=True) * 8**0.5)
    half = on_sphere(start, goal, torch.full((50,), 0.5).double())
    torch.testing.assert_close(half.norm(dim=1), torch.full((50,), 8**0.5).double())
    one, other = (each / each.norm(dim=1, keepdim=True) for each in (start, goal))
    torch.testing.assert_close((half * one).sum(1), (half * other).sum(1))


def test_both_images_of_a_pair_have_one_class_and_one_noise() -> None:
    variant = VARIANTS["ppl2_wend"]
    plain = next(step_pairs(toy(), walk(variant, 40)))
    labelled = toy(("a", "b"))
    mixed = replace(walk(variant, 40), labels=["a", "b"] * 20)
    first, second = next(step_pairs(labelled, mixed))
    torch.testing.assert_close(first[::2], plain[0][::2])
    torch.testing.assert_close(first[1::2], plain[0][1::2] + 1, rtol=0, atol=1e-3)
    torch.testing.assert_close(squared(first, second), squared(*plain), rtol=0.05, atol=0)
    without = next(step_pairs(toy(noise_pixels=0), walk(variant, 40)))
    assert torch.equal(without[0], plain[0])
    noisy = next(step_pairs(toy(noise_pixels=DIM), walk(variant, 40)))
    shift = noisy[0] - plain[0]
    assert float(shift.std()) == pytest.approx(127.5, rel=0.1), "every pair has noise of its own"
    torch.testing.assert_close(noisy[1] - plain[1], shift, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", list(VARIANTS))
def test_a_real_network_gives_pairs_that_do_not_depend_on_the_batch(
    name: str, tmp_path: Path
) -> None:
    snapshot = make_snapshot(tmp_path)
    labels = ["a b", "c/d", "c/d", "a b", "c/d"]
    asked = replace(walk(VARIANTS[name], 5, batch=5), labels=labels)
    whole = next(step_pairs(snapshot, asked))
    parts = list(step_pairs(snapshot, replace(asked, batch=2)))
    assert [len(first) for first, _ in parts] == [2, 2, 1]
    for place in range(2):
        apart = torch.cat([pair[place] for pair in parts])
        torch.testing.assert_close(apart, whole[place], rtol=0, atol=1e-3)  # of 255 levels
    again = next(step_pairs(snapshot, asked))
    assert torch.equal(again[0], whole[0]) and torch.equal(again[1], whole[1])
    other = next(step_pairs(snapshot, replace(asked, seed=1)))
    assert float((other[0] - whole[0]).abs().mean()) > 1
    assert whole[0].shape == (5, 4, 8, 8) and whole[0].dtype == torch.float32
    step, apart = squared(*whole).sqrt(), squared(whole[0][:1], whole[0][1:]).sqrt()
    assert float(step.min()) > 0, "steps are no rounding to nothing"
    assert float(step.max()) < 0.01 * float(apart.min()), "noise and place are those of the pair"


def test_a_real_network_is_asked_for_styles_and_images_of_the_published_interface(
    tmp_path: Path,
) -> None:
    """Pairs of W at the ends are what anyone can make with mapping and synthesis."""
    snapshot = make_snapshot(tmp_path, classes=())
    from synthograph.core.seeds import Streams

    streams, numbers = Streams(0).under("sampling/paths"), torch.arange(3)
    asked = Walk([None] * 3, epsilon=0.25)
    first, second = next(step_pairs(snapshot, asked))
    generator = snapshot.generator
    start, goal = (
        generator.mapping(streams.normal(name, numbers, (8,)), None)  # type: ignore[operator]
        for name in ("start", "goal")
    )
    noise = streams.normal("noise", numbers, (generator.synthesis.noise_pixels,))  # type: ignore[union-attr]
    for got, part in ((first, 0.0), (second, 0.25)):
        want = generator.synthesis(  # type: ignore[operator]
            start + part * (goal - start), noise_mode=NoiseMode.RANDOM, noise=noise
        )
        torch.testing.assert_close(got, (want + 1) * 127.5, rtol=1e-4, atol=1e-3)


def test_the_size_of_the_step_hardly_matters(tmp_path: Path) -> None:
    """The step is small enough for a quadratic and large enough for fp32."""
    snapshot = make_snapshot(tmp_path)
    found = []
    for epsilon in (1e-3, 1e-4):
        variant = replace(VARIANTS["ppl2_wend"], epsilon=epsilon)
        asked = replace(walk(variant, 64, batch=64), labels=["a b"] * 64)
        lengths = torch.cat(list(step_lengths(step_pairs(snapshot, asked), variant, squared)))
        found.append(float(lengths.median()))
    assert found[0] == pytest.approx(found[1], rel=0.05)


def test_what_cannot_be_made(tmp_path: Path) -> None:
    snapshot = make_snapshot(tmp_path)
    with pytest.raises(UserError, match="at least one pair"):
        check_walk(snapshot, Walk(["a b"], batch=0))
    with pytest.raises(UserError, match="part of the way"):
        next(step_pairs(snapshot, Walk(["a b"], epsilon=0.0)))
    with pytest.raises(UserError, match="'c' is unknown"):
        check_walk(snapshot, Walk(["a b", "c"]))
    with pytest.raises(UserError, match="not conditional"):
        check_walk(toy(), Walk(["a b"]))
    vectors = snapshot.info.model_copy(update={"classes": []})
    with pytest.raises(UserError, match="label vectors"):
        check_walk(replace(snapshot, info=vectors), Walk([None]))
    bare = replace(snapshot, generator=nn.Linear(2, 2))
    with pytest.raises(UserError, match="no mapping"):
        check_walk(bare, Walk(["a b"]))
