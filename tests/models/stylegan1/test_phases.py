"""One step of training agrees with a plain implementation in float64: losses and all gradients."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from synthograph.core.seeds import Streams
from synthograph.core.spec import ImageSpec
from synthograph.models.base import Batch, Condition, Networks, Stage
from synthograph.models.stylegan1.config import StyleGAN1Config
from synthograph.models.stylegan1.family import StyleGAN1
from tests.models.stylegan1 import reference as plain

SPEC = ImageSpec(height=8, width=16, modalities={"vis": 3, "nir": 1})
CHANNELS = {"vis": slice(0, 3), "nir": slice(3, 4)}
SIZES = [(4, 8), (8, 16)]
COUNT, GROUP = 6, 2
BASE = {"channel_base": 128, "channel_max": 8, "z_dim": 6, "w_dim": 5, "mbstd_group": GROUP}
LAYERS = 3
STAGES = [Stage(8), Stage(16, fade=0.3), Stage(16)]


def made(**settings: object) -> tuple[Networks, StyleGAN1Config]:
    torch.manual_seed(0)
    config = StyleGAN1Config.parse({**BASE, "mapping_layers": LAYERS, **settings})
    networks = StyleGAN1().build(SPEC, Condition(("a", "b"), 2), config)
    for module in (networks.generator, networks.discriminators):
        for name, parameter in module.named_parameters():
            if name.endswith(("bias", "noise_strength")):  # most begin at 0
                torch.nn.init.normal_(parameter, std=0.3)
    return networks, config


def batch_of(stage: Stage) -> Batch:
    labels = torch.eye(2)[[0, 1, 1, 0, 1, 0]]
    indices = torch.arange(40, 40 + COUNT)
    reals = torch.rand(COUNT, 4, 8, 16) * 2 - 1
    return Batch(reals, labels, labels.flip(0), indices, Streams(7), range(40, 46), stage)


class Plain:
    """The same step in float64."""

    def __init__(
        self, networks: Networks, batch: Batch, mixing: float, *, pairs: bool = False
    ) -> None:
        self.batch, self.mixing, self.pairs = batch, mixing, pairs
        self.level = [8, 16].index(batch.stage.resolution)
        self.fade = batch.stage.fade
        self.generator = plain.doubles(networks.generator)
        self.critics = {m: plain.doubles(d) for m, d in networks.discriminators.items()}

    def numbers(self, name: str, *shape: int) -> Tensor:
        return self.batch.streams.normal(name, self.batch.indices, shape).double()

    def images(self, labels: Tensor, phase: str) -> Tensor:
        labels, rows = labels.double(), 2 * self.level + 2
        first, second = (
            plain.styles(self.generator, self.numbers(f"{phase}/{z}", 6), labels, LAYERS)
            for z in ("z", "z2")
        )
        ws = first[:, None].repeat(1, rows, 1)
        streams = self.batch.streams.under(phase)
        share = streams.uniform("mix", self.batch.indices)
        places = 1 + streams.integers("crossover", self.batch.indices, rows - 1)
        for i in range(COUNT):
            if share[i] < self.mixing:
                ws[i, int(places[i]) :] = second[i]
        sizes = [size for size in SIZES[: self.level + 1] for _ in range(2)]
        maps = self.numbers(f"{phase}/noise", sum(h * w for h, w in sizes))
        if self.pairs and phase == "Gmain":
            maps = maps[::2].repeat_interleave(2, 0)
        noise = [
            part.reshape(COUNT, *size)
            for part, size in zip(maps.split([h * w for h, w in sizes], 1), sizes, strict=True)
        ]
        return plain.generate(self.generator, ws, noise, self.level, self.fade, list(CHANNELS))

    def reals(self) -> Tensor:
        x = self.batch.reals.double()
        x = x if self.level else plain.smaller(x)
        return (1 - self.fade) * plain.larger(plain.smaller(x)) + self.fade * x

    def scores(self, m: str, images: Tensor, labels: Tensor) -> Tensor:
        return plain.score(self.critics[m], images, labels.double(), self.level, self.fade, GROUP)

    def generator_loss(self, wasserstein: bool) -> Tensor:
        labels = self.batch.synthetic_labels
        images, total = self.images(labels, "Gmain"), torch.zeros(COUNT, dtype=torch.float64)
        for m, channels in CHANNELS.items():
            scores = self.scores(m, images[:, channels], labels)
            total = total + (-scores if wasserstein else softplus(-scores))
        return total.mean()

    def critic_loss(self, config: StyleGAN1Config) -> Tensor:
        labels = self.batch.labels
        images, reals = self.images(labels, "Dmain").detach(), self.reals()
        total = torch.zeros(COUNT, dtype=torch.float64)
        for m, channels in CHANNELS.items():
            x, y = reals[:, channels], images[:, channels]
            real, synthetic = self.scores(m, x, labels), self.scores(m, y, labels)
            if config.loss == "logistic":
                length = plain.slopes(lambda some, m=m: self.scores(m, some, labels), x)
                total = total + softplus(synthetic) + softplus(-real) + 10 / 2 * length
                continue
            share = self.batch.streams.uniform("Dmain/between", self.batch.indices).double()
            share = share[:, None, None, None]
            between = (1 - share) * x + share * y
            length = plain.slopes(lambda some, m=m: self.scores(m, some, labels), between).sqrt()
            total = total + synthetic - real + 0.001 * real**2 + 10 * (length - 1) ** 2
        return total.mean()


def compare(module: torch.nn.Module, weights: plain.Weights, loss: Tensor) -> None:
    """Gradients of every parameter: none where the plain loss has none."""
    named = dict(module.named_parameters())
    expected = torch.autograd.grad(loss, [weights[n] for n in named], allow_unused=True)
    for (name, parameter), gradient in zip(named.items(), expected, strict=True):
        if gradient is None:
            assert parameter.grad is None, name
            continue
        assert parameter.grad is not None, name
        scale = float(gradient.abs().max()) or 1.0
        difference = float((parameter.grad.double() - gradient).abs().max())
        assert difference < 2e-3 * scale, name  # of float32 and second derivatives


@pytest.mark.parametrize("stage", STAGES, ids=lambda s: f"{s.resolution}-{s.fade}")
@pytest.mark.parametrize("loss", ["wgan-gp", "logistic"])
def test_a_step_agrees_with_the_plain_one(loss: str, stage: Stage) -> None:
    networks, config = made(loss=loss, style_mixing=0.5)
    batch = batch_of(stage)
    same = Plain(networks, batch, 0.5)
    painter, critic = StyleGAN1().phases(networks, config, lambda images, batch, scope: images)

    networks.select("G")
    terms = painter.loss(batch)
    expected = same.generator_loss(loss == "wgan-gp")
    assert float(terms.loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-4)
    terms.loss.backward()
    compare(networks.generator, same.generator, expected)

    networks.select("D")
    terms = critic.loss(batch)
    expected = same.critic_loss(config)
    assert float(terms.loss.detach()) == pytest.approx(float(expected.detach()), rel=1e-4)
    terms.loss.backward()
    for m, weights in same.critics.items():
        compare(networks.discriminators[m], weights, same.critic_loss(config))
    assert (terms.real_signs is None) == (loss == "wgan-gp")
    assert ("Loss/signs/real" in terms.stats) == (loss == "logistic")
    assert all(len(values) == COUNT for values in terms.stats.values())
    assert float(terms.stats["Growth/fade"][0]) == pytest.approx(stage.fade)


@pytest.mark.parametrize("stage", STAGES[1:], ids=lambda s: f"{s.resolution}-{s.fade}")
@pytest.mark.parametrize("loss", ["wgan-gp", "logistic"])
def test_the_spread_loss_agrees_with_a_plain_writing_out(loss: str, stage: Stage) -> None:
    """Value and gradient; and what the discriminators' phase says of real pairs."""
    networks, config = made(loss=loss, style_mixing=0.5, spread_weight=5.0, spread_decay=0.5)
    labels = torch.eye(2)[[0, 0, 1, 1, 0, 0]]
    batch = replace(batch_of(stage), labels=labels, synthetic_labels=labels.flip(0))
    same = Plain(networks, batch, 0.5, pairs=True)
    painter, critic = StyleGAN1().phases(networks, config, lambda images, batch, scope: images)

    def distances(images: Tensor, m: str, label: Tensor) -> Tensor:
        judge, part = same.critics[m], images[:, CHANNELS[m]]
        _, features = plain.judged(judge, part, label.double(), same.level, same.fade, GROUP)
        gaps = [(x[::2] - x[1::2]).square().mean((1, 2, 3)).sqrt() for x in features]
        return torch.stack(gaps, 1)

    found = critic.loss(batch).batch_stats
    critic.update_running_stats({name: rows.mean(0) for name, rows in found.items()})
    penalty, kinds = torch.zeros((), dtype=torch.float64), batch.synthetic_labels[::2].argmax(1)
    for m in CHANNELS:
        real, kept = distances(same.reals(), m, labels), networks.buffers[f"spread/{m}"]
        wanted = torch.stack((real[[0, 2]].mean(0), real[1]))
        torch.testing.assert_close(kept.double(), wanted, rtol=1e-3, atol=1e-6)
        kept.mul_(torch.tensor([[30.0], [0.5]]))
        fake = distances(same.images(batch.synthetic_labels, "Gmain"), m, batch.synthetic_labels)
        penalty = penalty + torch.relu(1 - fake / kept[kinds]).square().mean()
    assert penalty > 0.01, "some pair falls short"
    networks.select("G")
    terms = painter.loss(batch)
    expected = same.generator_loss(loss == "wgan-gp") + 5 * penalty
    assert float(terms.stats["Loss/spread"].mean()) == pytest.approx(
        float(penalty.detach()), rel=1e-3
    )
    terms.loss.backward()
    compare(networks.generator, same.generator, expected)


def test_the_spread_loss_asks_nothing_where_there_are_no_features() -> None:
    """At 4x4 a discriminator has no block; means of sizes that were not seen stay 0."""
    networks, config = made(spread_weight=5.0)
    batch = batch_of(Stage(8))
    batch = replace(batch, labels=batch.labels.sort(0)[0], synthetic_labels=batch.labels)
    painter, critic = StyleGAN1().phases(networks, config, lambda images, batch, scope: images)
    critic.update_running_stats({n: x.mean(0) for n, x in critic.loss(batch).batch_stats.items()})
    assert not networks.buffers["spread/vis"].any()
    assert "Loss/spread" not in painter.loss(batch).stats


def test_distances_of_a_size_stay_those_of_its_block_while_networks_grow() -> None:
    spec = ImageSpec(height=16, width=16, modalities={"image": 1})
    config = StyleGAN1Config.parse({**BASE, "mapping_layers": 1, "spread_weight": 5.0})
    networks = StyleGAN1().build(spec, Condition((), 0), config)
    _, critic = StyleGAN1().phases(networks, config, lambda images, batch, scope: images)
    kept, none = networks.buffers["spread/image"], torch.zeros(4, 0)
    for stage, seen in ((Stage(8), [0, 1]), (Stage(16), [1, 1])):
        reals = torch.rand(4, 1, 16, 16)
        batch = Batch(reals, none, none, torch.arange(4), Streams(0), range(4), stage)
        found = critic.loss(batch).batch_stats
        critic.update_running_stats({name: rows.mean(0) for name, rows in found.items()})
        assert kept.sign().tolist() == [seen]


def test_networks_remember_the_stage_of_their_last_step() -> None:
    networks, config = made()
    painter, _ = StyleGAN1().phases(networks, config, lambda images, batch, scope: images)
    painter.loss(batch_of(Stage(16, fade=0.25)))
    parts = [networks.generator.synthesis, *networks.discriminators.values()]
    assert [part.growth.get() for part in parts] == [(1, 0.25)] * 3


def test_a_gradient_of_length_one_costs_nothing() -> None:
    """And one of length 0, which has no direction, gives no gradient that is not a number."""
    networks, config = made(gradient_penalty=10.0)
    _, critic = StyleGAN1().phases(networks, config, lambda images, batch, scope: images)
    for each in networks.discriminators.values():
        torch.nn.init.zeros_(each.out.weight)
    networks.select("D")
    terms = critic.loss(batch_of(Stage(8)))
    norms = terms.stats["Loss/gradient_norm"]
    assert torch.equal(norms, torch.zeros(COUNT))
    biases = [each.out.bias.detach() for each in networks.discriminators.values()]
    drift = sum(0.001 * float(bias.square().mean()) for bias in biases)
    assert float(terms.stats["Loss/D/reg"].mean()) == pytest.approx(20 + drift, rel=1e-2)
    assert math.isfinite(float(terms.loss.detach()))
    terms.loss.backward()
    for parameter in networks.discriminators.parameters():
        assert parameter.grad is None or bool(parameter.grad.isfinite().all())
