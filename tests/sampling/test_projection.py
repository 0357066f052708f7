"""Projection: its schedule and penalty against the published formulas, and images whose latent is
known.
"""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from synthograph.core.devices import Precision
from synthograph.features.registry import perceptual_distance
from synthograph.models.snapshot import Snapshot
from synthograph.ops.pixels import to_pixels
from synthograph.sampling.latents import one_hot_labels
from synthograph.sampling.projection import (
    Projector,
    Schedule,
    Targets,
    key_of,
    normalise_maps,
    structure,
)
from synthograph.sampling.target_distance import TargetDistance
from synthograph.sampling.tuning import Tuning, tuned
from tests.sampling.test_generate import make_snapshot


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return make_snapshot(tmp_path_factory.mktemp("network"), size=(16, 24))


def projector(snapshot: Snapshot, steps: int = 40, **settings: object) -> Projector:
    features = perceptual_distance("random-vgg16-distance")
    distance = TargetDistance(snapshot.info.spec, features, by_features=False)
    return Projector(snapshot, distance, Schedule(steps=steps), **settings)


def known(snapshot: Snapshot, count: int = 3) -> tuple[Targets, Tensor]:
    """Images of the network, and their styles."""
    finder = projector(snapshot)
    classes = snapshot.info.classes
    labels = one_hot_labels(snapshot, [classes[k % 2] for k in range(count)], "cpu")
    z = torch.from_numpy(np.random.RandomState(0).randn(count, finder.space.z_dim)).float()
    with torch.no_grad():
        ws = finder.family.mapping(finder.generator, z, labels)
        images = finder.family.synthesis(finder.generator, ws)
    pixels = to_pixels(images, 8)
    keys = torch.tensor([key_of(each) for each in pixels])
    return Targets(images, labels, keys), ws


def error(snapshot: Snapshot, ws: Tensor, targets: Targets) -> Tensor:
    finder = projector(snapshot)
    with torch.no_grad():
        images = finder.family.synthesis(finder.generator, ws)
    return (images - targets.images).square().mean((1, 2, 3))


def test_schedule_is_the_published_one() -> None:
    """Karras et al. 2020, appendix D."""
    schedule = Schedule()
    for step in (0, 1, 25, 50, 400, 750, 800, 999):
        t = step / 1000
        ramp = 0.5 - 0.5 * math.cos(math.pi * min(1, (1 - t) / 0.25))
        assert schedule.rate_at(step) == pytest.approx(0.1 * ramp * min(1, t / 0.05))
        assert schedule.jitter_at(step) == pytest.approx(0.05 * max(0, 1 - t / 0.75) ** 2)
    assert schedule.rate_at(0) == 0 and schedule.rate_at(400) == pytest.approx(0.1)
    assert schedule.jitter_at(750) == 0


def test_penalty_of_noise_is_the_published_one() -> None:
    """Map by map, each halved until a side of 8 pixels."""
    sizes = [(4, 6), (8, 12), (8, 12), (16, 24), (16, 24)]
    maps = torch.randn(2, sum(h * w for h, w in sizes), generator=torch.Generator().manual_seed(0))
    expected, start = torch.zeros(2), 0
    for h, w in sizes:
        level, start = maps[:, start : start + h * w].reshape(2, h, w), start + h * w
        while True:
            for axis in (1, 2):
                expected += (level * level.roll(1, axis)).mean((1, 2)) ** 2
            if level.shape[1] <= 8:
                break
            level = level.reshape(2, level.shape[1] // 2, 2, level.shape[2] // 2, 2).mean((2, 4))
    torch.testing.assert_close(structure(maps, sizes), expected)
    normalise_maps(maps, sizes)
    for part in maps.split([h * w for h, w in sizes], dim=1):
        torch.testing.assert_close(part.mean(1), torch.zeros(2), atol=1e-6, rtol=0)
        torch.testing.assert_close(part.square().mean(1), torch.ones(2))


def test_starts_at_the_mean_of_the_class(snapshot: Snapshot) -> None:
    finder = projector(snapshot)
    starts = [finder.start(label) for label in torch.eye(2)]
    assert not torch.allclose(starts[0].mean, starts[1].mean)
    z = torch.from_numpy(np.random.RandomState(123).randn(10_000, finder.space.z_dim)).float()
    with torch.no_grad():
        w = finder.family.mapping(finder.generator, z, torch.eye(2)[:1].expand(10_000, 2))[:, 0]
    assert starts[0].spread == pytest.approx(float((w - w.mean(0)).square().sum(1).mean() ** 0.5))


def test_images_of_the_network_are_found_again(snapshot: Snapshot) -> None:
    targets, _ = known(snapshot)
    finder, seen = projector(snapshot, steps=100), []
    ws = finder.project(targets, watch=lambda step, styles: seen.append(step))
    assert seen == list(range(1, 101))
    assert ws.shape == (3, finder.space.rows, finder.space.w_dim)
    assert torch.equal(ws, ws[:, :1].expand_as(ws)), "in w all layers share a style"
    before = error(snapshot, finder.mean_styles(targets), targets)
    assert bool((error(snapshot, ws, targets) < before / 10).all())


def test_a_target_depends_on_no_other(snapshot: Snapshot) -> None:
    targets, _ = known(snapshot)
    finder = projector(snapshot, steps=10)
    together = finder.project(targets)
    alone = torch.cat([finder.project(targets.take(slice(k, k + 1))) for k in (2, 0, 1)])
    torch.testing.assert_close(together, alone[[1, 2, 0]], atol=1e-3, rtol=1e-3)
    other = projector(snapshot, steps=10, seed=1).project(targets)
    assert float((other - together).abs().max()) > 0.01, "the seed decides the noise"


def test_w_plus_has_a_style_per_layer_and_comes_nearer(snapshot: Snapshot) -> None:
    finder = projector(snapshot)
    noise = torch.rand(1, 4, 16, 24, generator=torch.Generator().manual_seed(0)) - 0.5
    targets = Targets(noise, torch.eye(2)[:1], torch.tensor([7]))
    one = finder.project(targets)
    several = projector(snapshot, rows_apart=True).project(targets)
    assert not torch.allclose(several[:, :1].expand_as(several), several)
    assert error(snapshot, several, targets) < error(snapshot, one, targets)


def test_networks_without_noise(tmp_path: Path) -> None:
    plain = make_snapshot(tmp_path, size=(16, 16), noise=False, classes=())
    targets, ws = known_unconditional(plain)
    found = projector(plain, steps=60).project(targets)
    start = projector(plain).mean_styles(targets)
    assert error(plain, found, targets) < error(plain, start, targets) / 5


def known_unconditional(snapshot: Snapshot) -> tuple[Targets, Tensor]:
    finder = projector(snapshot)
    with torch.no_grad():
        ws = finder.family.mapping(finder.generator, torch.ones(1, finder.space.z_dim), None)
        images = finder.family.synthesis(finder.generator, ws)
    return Targets(images, None, torch.tensor([1])), ws


def test_the_search_leaves_the_network_as_it_was(snapshot: Snapshot) -> None:
    targets, ws = known(snapshot)
    finder = projector(snapshot, steps=2, precision=Precision.BF16)
    before = {name: x.clone() for name, x in snapshot.generator.state_dict().items()}
    finder.project(targets)
    cost = finder.trial(targets, 2)
    assert cost.seconds > 0 and cost.kept > targets.images.nbytes
    assert all(torch.equal(x, before[n]) for n, x in snapshot.generator.state_dict().items())
    assert error(snapshot, ws, targets).max() < 1e-3, "blocks compute in fp32 again"


def test_memory_of_a_target(snapshot: Snapshot) -> None:
    targets, _ = known(snapshot, 6)
    finder = projector(snapshot, unit=1)
    one, six = (finder.trial(targets.take(slice(k))).kept for k in (1, 6))
    assert six / one == pytest.approx(1, rel=0.3), "it is told of each"


def test_targets_are_padded(snapshot: Snapshot) -> None:
    targets, _ = known(snapshot, 5)
    padded = targets.padded(4)
    assert padded.keys.tolist() == [*targets.keys.tolist(), *targets.keys.tolist()[-1:] * 3]
    assert len(targets.padded(5)) == 5 == len(targets.padded(1))
    shapes = []
    projector(snapshot, steps=2).project(targets, watch=lambda step, ws: shapes.append(len(ws)))
    assert shapes == [5, 5], "nobody sees the padding"


def test_tuning_brings_one_style_nearer(snapshot: Snapshot) -> None:
    targets, _ = known(snapshot)
    one, ticks = targets.take(slice(1)), []
    finder = projector(snapshot)
    mean = finder.mean_styles(one)
    changed = tuned(finder, one, mean, Tuning(steps=30), tick=lambda: ticks.append(0))
    assert len(ticks) == 30
    before = error(snapshot, mean, one)
    assert error(replace(snapshot, generator=changed), mean, one) < before
    assert error(snapshot, mean, one) == before, "a copy is tuned"
    same = (changed.mapping.layers[0].weight, snapshot.generator.mapping.layers[0].weight)
    assert torch.equal(*same), "the mapping takes no part"


def test_keys_follow_from_pixels() -> None:
    pixels = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)
    assert key_of(pixels) == key_of(pixels.copy()) != key_of(pixels + 1)
    assert 0 <= key_of(pixels) < 2**63
