"""StyleGAN and its losses once more, as the papers write them: float64, plain operations of torch,
dictionaries of weights. Slow, and nothing of ours.
"""

import math

import torch
from torch import Tensor
from torch.nn.functional import conv2d

Weights = dict[str, Tensor]


def doubles(module: torch.nn.Module) -> Weights:
    """All tensors of a module as leaves in float64."""
    found = {n: t.detach().double() for n, t in module.state_dict().items()}
    return {n: t.requires_grad_(True) for n, t in found.items()}


def leaky(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, 0.2 * x)


def unit(x: Tensor) -> Tensor:
    return x / (x**2).mean(1, keepdim=True).add(1e-8).sqrt()


def dense(w: Weights, name: str, x: Tensor, gain: float = 1.0) -> Tensor:
    weight, bias = w[f"{name}.weight"], w[f"{name}.bias"]
    return x @ (weight * gain / math.sqrt(weight.shape[1])).T + bias * gain


def larger(x: Tensor) -> Tensor:
    return x.repeat_interleave(2, 2).repeat_interleave(2, 3)


def smaller(x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 2, 2, w // 2, 2).mean((3, 5))


def blurred(x: Tensor) -> Tensor:
    taps = torch.tensor([0.25, 0.5, 0.25], dtype=x.dtype)
    kernel = torch.outer(taps, taps).expand(x.shape[1], 1, 3, 3)
    return conv2d(x, kernel, padding=1, groups=x.shape[1])


def styles(w: Weights, z: Tensor, label: Tensor, layers: int) -> Tensor:
    x = torch.cat((unit(z), unit(dense(w, "mapping.embed", label))), 1)
    for k in range(layers):
        x = leaky(dense(w, f"mapping.layers.{k}", x, 0.01 * math.sqrt(2)))
    return x


def styled(w: Weights, name: str, x: Tensor, style: Tensor, noise: Tensor) -> Tensor:
    x = x + noise[:, None] * w[f"{name}.noise_strength"][:, None, None]
    x = leaky(x + w[f"{name}.bias"][:, None, None])
    x = (x - x.mean((2, 3), keepdim=True)) / (
        x.var((2, 3), keepdim=True, correction=0) + 1e-8
    ).sqrt()
    scale, shift = dense(w, f"{name}.affine", style).chunk(2, 1)
    return x * scale[:, :, None, None] + shift[:, :, None, None]


def scaled(weight: Tensor) -> Tensor:
    return weight * math.sqrt(2 / weight[0].numel())


def to_image(w: Weights, level: int, x: Tensor, modalities: list[str]) -> Tensor:
    parts = []
    for m in modalities:
        weight = w[f"synthesis.blocks.{level}.heads.{m}.weight"]
        bias = w[f"synthesis.blocks.{level}.heads.{m}.bias"]
        parts.append(conv2d(x, weight / math.sqrt(weight.shape[1]), bias))
    return torch.cat(parts, 1)


def generate(
    w: Weights, rows: Tensor, noise: list[Tensor], level: int, fade: float, modalities: list[str]
) -> Tensor:
    """Images of the stage from style rows [n, s, w] and noise maps [n, h, w]."""
    x = w["synthesis.blocks.0.const"].expand(len(rows), -1, -1, -1)
    images = []
    for k in range(level + 1):
        name = f"synthesis.blocks.{k}"
        if k:
            x = blurred(conv2d(larger(x), scaled(w[f"{name}.layer0.weight"]), padding=1))
        x = styled(w, f"{name}.layer0", x, rows[:, 2 * k], noise[2 * k])
        x = conv2d(x, scaled(w[f"{name}.layer1.weight"]), padding=1)
        x = styled(w, f"{name}.layer1", x, rows[:, 2 * k + 1], noise[2 * k + 1])
        images.append(to_image(w, k, x, modalities))
    return images[-1] if fade == 1 else (1 - fade) * larger(images[-2]) + fade * images[-1]


def layer(w: Weights, name: str, x: Tensor) -> Tensor:
    weight, bias = w[f"{name}.weight"], w[f"{name}.bias"] * math.sqrt(2)
    return conv2d(x, scaled(weight), bias, padding=weight.shape[-1] // 2)


def score(w: Weights, x: Tensor, label: Tensor, level: int, fade: float, group: int) -> Tensor:
    """Scores [n] of images of the stage."""
    return judged(w, x, label, level, fade, group)[0]


def judged(
    w: Weights, x: Tensor, label: Tensor, level: int, fade: float, group: int
) -> tuple[Tensor, list[Tensor]]:
    """Scores [n] of images of the stage, and what each block makes of them, the finest first."""

    def read(image: Tensor, k: int) -> Tensor:
        return leaky(layer(w, f"blocks.{k - 1}.from_image" if k else "from_image", image))

    y, features = read(x, level), []
    for k in range(level, 0, -1):
        y = leaky(layer(w, f"blocks.{k - 1}.conv0", y))
        y = leaky(smaller(layer(w, f"blocks.{k - 1}.conv1", blurred(y))))
        if k == level and fade < 1:
            y = (1 - fade) * read(smaller(x), k - 1) + fade * y
        features.append(y)
    parts = []
    for some in y.split(group):
        deviation = (some.var(0, correction=0) + 1e-8).sqrt().mean()
        parts.append(torch.cat((some, deviation.expand_as(some[:, :1])), 1))
    y = leaky(layer(w, "conv", torch.cat(parts)))
    y = leaky(dense(w, "dense", y.flatten(1), math.sqrt(2)))
    return (dense(w, "out", y) * label).sum(1), features


def slopes(score_of: object, x: Tensor) -> Tensor:
    """Squared length [n] of the gradient of scores by images."""
    x = x.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(score_of(x).sum(), x, create_graph=True)  # type: ignore[operator]
    return (gradient**2).sum((1, 2, 3))
