"""Losses, penalties and gradients against a plain implementation in float64."""

import copy
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import softplus

import synthograph
from synthograph.core.seeds import Streams
from synthograph.core.spec import ImageSpec
from synthograph.models.base import Batch, Condition, Networks, Stage
from synthograph.models.registry import family, parse_model
from synthograph.models.stylegan2.phases import PATH_MEAN, Losses
from tests.conftest import NVIDIA

N = 4


@pytest.fixture(scope="module")
def published():
    """Networks of a fixture, their losses, a batch of its real images, and float64 copies."""
    snapshot = synthograph.load(NVIDIA / "cond2_rgb_32.pkl")
    networks = snapshot.networks
    networks.buffers = {PATH_MEAN: torch.tensor(0.3)}
    for module in (networks.generator, networks.discriminators):
        module.requires_grad_(True)
    model = {**snapshot.info.config["model"], "r1_gamma": 2.5, "path_weight": 2.0}
    losses = Losses(networks, parse_model(model), lambda images, batch, scope: images)
    data = np.load(NVIDIA / "cond2_rgb_32.npz")
    labels = torch.from_numpy(data["c"])
    batch = Batch(
        torch.from_numpy(data["real"]),
        labels,
        labels.flip(0),
        torch.arange(N),
        Streams(7),
        range(N),
        Stage(32),
    )
    plain = Networks(
        copy.deepcopy(networks.generator).double(), copy.deepcopy(networks.discriminators).double()
    )
    return networks, losses, batch, plain


def styles64(plain: Networks, batch: Batch, phase: str) -> torch.Tensor:
    """Styles of a phase, drawn from the same streams, mixed image by image."""
    G, streams = plain.generator, batch.streams
    z, z2 = (
        streams.normal(f"{phase}/{name}", batch.indices, (G.z_dim,)).double()
        for name in ("z", "z2")
    )
    ws, ws2 = mapping64(G, z, batch.synthetic_labels), mapping64(G, z2, batch.synthetic_labels)
    crossover = 1 + streams.integers(f"{phase}/crossover", batch.indices, G.num_ws - 1)
    mix = streams.uniform(f"{phase}/mix", batch.indices)
    rows = []
    for n in range(N):
        cut = int(crossover[n]) if float(mix[n]) < 0.9 else G.num_ws
        rows.append(torch.cat((ws[n, :cut], ws2[n, cut:])))
    return torch.stack(rows)


def mapping64(G, z: torch.Tensor, label: torch.Tensor) -> torch.Tensor:
    """The mapping network written out (the module itself casts its input to fp32)."""
    m = G.mapping

    def normalise(x):
        return x / (x.square().mean(1, keepdim=True) + 1e-8).sqrt()

    def dense(layer, x):
        gain = layer.rate / math.sqrt(layer.weight.shape[1])
        return x @ (layer.weight * gain).t() + layer.bias * layer.rate

    x = torch.cat((normalise(z), normalise(dense(m.embed, label.double()))), 1)
    for layer in m.layers:
        y = dense(layer, x)
        x = torch.where(y > 0, y, 0.2 * y) * math.sqrt(2)
    return x[:, None].repeat(1, G.num_ws, 1)


def image64(plain: Networks, ws: torch.Tensor, batch: Batch, phase: str) -> torch.Tensor:
    """Synthesis with every kernel modulated and demodulated per image, one image at a time."""
    G = plain.generator
    noise = batch.streams.normal(f"{phase}/noise", batch.indices, (G.synthesis.noise_pixels,))
    return torch.cat([one_image64(G, ws[n], noise[n].double()) for n in range(len(ws))])


def one_image64(G, w: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    taps = torch.tensor([1.0, 3, 3, 1], dtype=torch.float64)
    fir = torch.outer(taps, taps) / 64

    def up(x):
        spread = x.new_zeros(1, x.shape[1], 2 * x.shape[2], 2 * x.shape[3])
        spread[:, :, ::2, ::2] = x
        spread = torch.nn.functional.pad(spread, (2, 1, 2, 1))
        kernel = (fir * 4).expand(x.shape[1], 1, 4, 4)
        return torch.nn.functional.conv2d(spread, kernel, groups=x.shape[1])

    def affine(layer, row):
        return layer.weight / math.sqrt(layer.weight.shape[1]) @ row + layer.bias

    def styled(layer, x, row):
        nonlocal noise
        kernel = layer.weight * affine(layer.affine, row)[None, :, None, None]
        fan_in = kernel[0].numel()
        kernel = kernel / math.sqrt(fan_in)
        kernel = kernel / (kernel.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if layer.convolve.__name__ == "conv_up":
            y = torch.nn.functional.conv_transpose2d(x, kernel.transpose(0, 1), stride=2)
            y = torch.nn.functional.pad(y, (1, 1, 1, 1))
            fine = (fir * 4).expand(y.shape[1], 1, 4, 4)
            y = torch.nn.functional.conv2d(y, fine, groups=y.shape[1])
        else:
            y = torch.nn.functional.conv2d(x, kernel, padding=1)
        size = layer.noise_const.numel()
        y = y + noise[:size].reshape(layer.noise_const.shape) * layer.noise_strength
        noise = noise[size:]
        y = y + layer.bias[None, :, None, None]
        y = torch.where(y > 0, y, 0.2 * y) * math.sqrt(2)
        return y if layer.clamp is None else y.clamp(-layer.clamp, layer.clamp)

    x, image, row = None, None, 0
    for block in G.synthesis.blocks:
        if block.conv0 is None:
            x = block.const[None]
        else:
            x = styled(block.conv0, x, w[row])
            row += 1
        x = styled(block.conv1, x, w[row])
        row += 1
        head = block.heads["image"]
        kernel = head.weight * (affine(head.affine, w[row]) / math.sqrt(x.shape[1]))[:, None, None]
        y = torch.nn.functional.conv2d(x, kernel) + head.bias[None, :, None, None]
        image = y if image is None else up(image) + y
    return image


def gradients(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {n: p.grad.clone() for n, p in module.named_parameters() if p.grad is not None}


def compare(ours, theirs, loss: torch.Tensor, loss64: torch.Tensor, tolerance: float) -> None:
    """The loss and the gradient of every parameter that has one."""
    assert float(loss.detach()) == pytest.approx(float(loss64.detach()), rel=1e-4)
    ours.zero_grad()
    theirs.zero_grad()
    loss.backward(retain_graph=True)
    loss64.backward(retain_graph=True)
    mine, plain = gradients(ours), gradients(theirs)
    norm = torch.stack([g.norm() for g in plain.values()]).norm()
    for name, gradient in plain.items():
        error = (mine[name].double() - gradient).norm() / norm
        assert float(error) < tolerance, name


@pytest.fixture
def judge64(published, monkeypatch: pytest.MonkeyPatch):
    """The discriminator's own epilogue casts to fp32: in float64 the casts do nothing."""
    monkeypatch.setattr(torch.Tensor, "float", lambda x: x)
    D = published[3].discriminators["image"]
    D.block_dtype = torch.float64
    return D


def test_generator_main(published, judge64) -> None:
    networks, losses, batch, plain = published
    terms = losses.generator_main(batch)
    fake = image64(plain, styles64(plain, batch, "Gmain"), batch, "Gmain")
    loss64 = softplus(-judge64(fake, batch.synthetic_labels.double())).mean()
    compare(networks.generator, plain.generator, terms.loss, loss64, 1e-4)
    w = mapping64(
        plain.generator,
        batch.streams.normal("Gmain/z", batch.indices, (48,)).double(),
        batch.synthetic_labels,
    )[:, 0]
    torch.testing.assert_close(terms.batch_stats["w"].double(), w.detach(), rtol=1e-4, atol=1e-5)


def test_the_spread_loss_agrees_with_a_plain_writing_out(published, judge64) -> None:
    """Value and gradient; and what the discriminator's phase says of real pairs."""
    networks, losses, batch, plain = published
    label = torch.eye(2)[[0, 0, 1, 1]]
    batch = replace(batch, labels=label, synthetic_labels=label.flip(0))
    buffers = {**networks.buffers, "spread/image": torch.zeros(2, 3)}
    config = losses.config.model_copy(update={"spread_weight": 5.0, "spread_decay": 0.5})
    pairs = Losses(replace(networks, buffers=buffers), config, losses.augment)

    def distances64(images: torch.Tensor, labels: torch.Tensor) -> list[torch.Tensor]:
        _, features = judge64.judged(images, labels.double())
        gaps = [(x[::2] - x[1::2]).square().mean((1, 2, 3)) for x in features]
        return [gap.sqrt() for gap in gaps]

    found = pairs.discriminator_main(batch).batch_stats
    pairs.spread.update({name: rows.mean(0) for name, rows in found.items()})
    real = distances64(batch.reals.double(), label)
    kept = buffers["spread/image"]
    torch.testing.assert_close(kept.double(), torch.stack(real, 1), rtol=1e-4, atol=1e-6)
    kept.mul_(torch.tensor([[30.0, 0.5, 20.0], [11.0, 40.0, 17.0]]))

    fake = image64(plain, styles64(plain, batch, "Gmain"), batch, "Gmain")
    loss64 = softplus(-judge64(fake, batch.synthetic_labels.double())).mean()
    ratios = [x / kept[[1, 0], place] for place, x in enumerate(distances64(fake, label.flip(0)))]
    penalty = torch.stack([torch.relu(1 - ratio).square() for ratio in ratios]).mean()
    assert penalty > 0.01, "some pair falls short"
    terms = pairs.generator_main(batch)
    compare(networks.generator, plain.generator, terms.loss, loss64 + 5 * penalty, 1e-4)
    assert float(terms.stats["Loss/spread"].mean()) == pytest.approx(
        float(penalty.detach()), rel=1e-3
    )


def test_discriminator_main(published, judge64) -> None:
    networks, losses, batch, plain = published
    terms = losses.discriminator_main(batch)
    fake = image64(plain, styles64(plain, batch, "Dmain"), batch, "Dmain").detach()
    logits = judge64(batch.reals.double(), batch.labels.double())
    loss64 = (softplus(judge64(fake, batch.synthetic_labels.double())) + softplus(-logits)).mean()
    compare(networks.discriminators, plain.discriminators, terms.loss, loss64, 1e-4)
    torch.testing.assert_close(terms.real_signs, logits.sign()[:, 0].to(torch.float32))


def test_r1(published, judge64) -> None:
    networks, losses, batch, plain = published
    terms = losses.r1(batch)
    reals = batch.reals.double().requires_grad_()
    logits = judge64(reals, batch.labels.double())
    (gradient,) = torch.autograd.grad(logits.sum(), reals, create_graph=True)
    loss64 = (gradient.square().sum((1, 2, 3)) * 2.5 / 2).mean() * 16
    compare(networks.discriminators, plain.discriminators, terms.loss, loss64, 1e-3)


def test_path_length(published) -> None:
    networks, losses, batch, plain = published
    terms = losses.path_length(batch)
    ws = styles64(plain, batch, "Greg")
    probe = batch.streams.normal("Greg/probe", batch.indices, (3, 32, 32)).double() / 32
    lengths = []
    for n in (0, 2):  # images of even index
        row = ws[n]
        noise = batch.streams.normal(
            "Greg/noise", batch.indices, (losses.generator.synthesis.noise_pixels,)
        )
        image = one_image64(plain.generator, row, noise[n].double())
        (jacobian,) = torch.autograd.grad((image[0] * probe[n]).sum(), row, create_graph=True)
        lengths.append(jacobian.square().sum(1).mean().sqrt())
    lengths64 = torch.stack(lengths)
    torch.testing.assert_close(
        terms.batch_stats["length"].double(), lengths64.detach(), rtol=1e-4, atol=1e-6
    )
    loss64 = (lengths64 - 0.3).square().mean() * 2.0 * 4
    compare(networks.generator, plain.generator, terms.loss, loss64, 1e-3)


def test_running_means(published) -> None:
    networks, losses, _, _ = published
    before = networks.generator.mapping.w_avg.clone()
    target = torch.ones_like(before)
    losses.update_style_mean({"w": target})
    decay = losses.config.w_avg_decay
    expected = before * decay + target * (1 - decay)
    torch.testing.assert_close(networks.generator.mapping.w_avg, expected)
    networks.generator.mapping.w_avg.copy_(before)
    losses.update_path_mean({"length": torch.tensor(1.3)})
    torch.testing.assert_close(networks.buffers[PATH_MEAN], torch.tensor(0.31))
    networks.buffers[PATH_MEAN].fill_(0.3)


def test_a_network_without_a_mean_style_trains() -> None:
    networks, phases = small({"image": 3}, w_avg_decay=None)
    terms = phases["Gmain"].loss(noise_batch(3))
    phases["Gmain"].update_running_stats(terms.batch_stats)
    assert networks.generator.mapping.w_avg is None
    assert not any("w_avg" in name for name in networks.generator.state_dict())


def small(modalities: dict[str, int], **settings: object):
    spec = ImageSpec(height=16, width=16, modalities=modalities)
    model = {"family": "stylegan2", "channel_base": 64, "channel_max": 8, "z_dim": 8, "w_dim": 8}
    config = parse_model({**model, **settings})
    torch.manual_seed(0)
    networks = family("stylegan2").build(spec, Condition(), config)
    phases = family("stylegan2").phases(networks, config, lambda images, batch, scope: images)
    return networks, {phase.name: phase for phase in phases}


def noise_batch(channels: int, count: int = 8, first: int = 0) -> Batch:
    empty, whole = torch.zeros(count, 0), range(first, first + count)
    images = torch.randn(count, channels, 16, 16)
    return Batch(images, empty, empty, torch.tensor(whole), Streams(0), whole, Stage(16))


@pytest.mark.parametrize("name", ["Gmain", "Greg", "Dmain", "Dreg"])
def test_shares_of_a_batch_add_up(name: str) -> None:
    """Gradients of a batch are those of its shares, weighted: accumulation changes nothing."""
    networks, phases = small({"image": 1}, mbstd_group=2)
    batch, phase = noise_batch(1), phases[name]
    module = networks.trained[phase.key]
    phase.loss(batch).loss.backward()
    whole = gradients(module)
    module.zero_grad()
    for start in range(0, 8, 2):
        terms = phase.loss(batch.take(slice(start, start + 2)))
        (terms.loss / 4).backward()
    for gradient, expected in zip(gradients(module).values(), whole.values(), strict=True):
        torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-5)


def test_several_modalities_are_weighted_and_reported() -> None:
    _, phases = small({"vis": 3, "nir": 1}, modality_weights={"nir": 0.5})
    batch = noise_batch(4)
    terms = phases["Gmain"].loss(batch)
    scores = {m: terms.stats[f"Loss/scores/fake/{m}"] for m in ("vis", "nir")}
    expected = softplus(-scores["vis"]) + 0.5 * softplus(-scores["nir"])
    torch.testing.assert_close(terms.loss, expected.mean())
    r1 = phases["Dreg"].loss(batch).stats
    parts = r1["Loss/r1_penalty/vis"] + r1["Loss/r1_penalty/nir"]
    torch.testing.assert_close(r1["Loss/r1_penalty"], parts)
    more = {"modality_r1": {"nir": 3.0}, "r1_gamma": 2.0, "r1_interval": 4}
    _, weighted = small({"vis": 3, "nir": 1}, **more)
    terms = weighted["Dreg"].loss(batch)
    each = {m: r1[f"Loss/r1_penalty/{m}"] for m in ("vis", "nir")}
    torch.testing.assert_close(terms.loss, (each["vis"] + 3 * each["nir"]).mean() * 4)
    torch.testing.assert_close(terms.stats["Loss/r1_penalty"], parts)
    signs = phases["Dmain"].loss(batch)
    both = torch.cat([signs.stats[f"Loss/signs/real/{m}"] for m in ("vis", "nir")], 1)
    torch.testing.assert_close(signs.real_signs, both.mean(1))


def test_every_discriminator_is_regularised() -> None:
    """The published code for two modalities never reached the penalty of the second one."""
    networks, phases = small({"vis": 3, "nir": 1})
    batch = noise_batch(4)
    terms = phases["Dreg"].loss(batch)
    terms.loss.backward()
    for modality, discriminator in networks.discriminators.items():
        assert (terms.stats[f"Loss/r1_penalty/{modality}"] > 0).all()
        changed = {name for name, g in gradients(discriminator).items() if g.abs().sum() > 0}
        weights = {n for n, p in discriminator.named_parameters() if n.endswith("weight")}
        assert weights <= changed, modality
    part = batch.reals[:, 3:].clone().requires_grad_()
    logits = networks.discriminators["nir"](part, batch.labels)
    (gradient,) = torch.autograd.grad(logits.sum(), part)
    expected = gradient.square().sum((1, 2, 3))
    torch.testing.assert_close(terms.stats["Loss/r1_penalty/nir"], expected)


def test_without_noise_other_draws_stay_the_same() -> None:
    """A network whose noise has no strength yet computes what one without noise does."""
    (with_noise, noisy), (without, phases) = (small({"image": 1}, noise=n) for n in (True, False))
    without.generator.load_state_dict(
        {n: t for n, t in with_noise.generator.state_dict().items() if "noise" not in n}
    )
    without.discriminators.load_state_dict(with_noise.discriminators.state_dict())
    batch = noise_batch(1)
    for name, phase in phases.items():
        torch.testing.assert_close(phase.loss(batch).loss, noisy[name].loss(batch).loss)
    phases["Gmain"].loss(batch).loss.backward()
    assert all(p.grad is not None for p in without.generator.parameters())


def test_penalties_of_weight_zero_have_no_phase() -> None:
    _, phases = small({"image": 1}, path_weight=0, r1_gamma=0)
    assert list(phases) == ["Gmain", "Dmain"]


def test_odd_images_alone_have_no_path_length() -> None:
    _, phases = small({"image": 1})
    assert phases["Greg"].loss(noise_batch(1).take(slice(1, 2))).loss is None


@pytest.mark.parametrize("first", [0, 3])
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_path_length_is_the_mean_over_its_images(count: int, first: int) -> None:
    """Batches of odd size weigh like others, wherever they begin, alone and in shares."""
    networks, phases = small({"image": 1}, mbstd_group=1, path_weight=2.0, path_interval=4)
    module, path = networks.trained["G"], phases["Greg"]
    batch = noise_batch(1, count, first)
    terms = path.loss(batch)
    penalties = terms.stats["Loss/pl_penalty"]
    assert len(penalties) == (count + 1) // 2
    torch.testing.assert_close(terms.loss.detach(), penalties.mean() * 2.0 * 4)
    terms.loss.backward()
    whole = gradients(module)
    module.zero_grad()
    total = torch.zeros(())
    for start in range(0, count, 2):
        share = batch.take(slice(start, start + 2))
        loss = path.loss(share).loss * (len(share) / count)
        loss.backward()
        total += loss.detach()
    torch.testing.assert_close(total, terms.loss.detach())
    for gradient, expected in zip(gradients(module).values(), whole.values(), strict=True):
        torch.testing.assert_close(gradient, expected, rtol=1e-3, atol=1e-5)
