"""The fallback: VGG16 with random weights and 64 outputs, which needs no file.

Source: Naeem et al. 2020, "Reliable Fidelity and Diversity Metrics for Generative Models", where
random VGG16 features of 64 dimensions (R64) serve sets that are far from ImageNet. Its numbers are
*indicative*: they compare only with numbers of the same name.

It differs from R64 in three ways, each a property of the network and not of any data:

- The convolutions have half the published channels, which lets images of 64x64 keep their size at a
  quarter of the cost. At 32x32 blur and noise can hardly be seen.
- The fully connected layers see mean and standard deviation over the picture of what goes into each
  of the five pools, and not only the last pool: fine texture is gone there.
- Their filters sum to zero. In deep random ReLU networks all features become nearly collinear,
  since positive activations have a common mean that every layer passes on.

Weights are uniform of the variance of He et al. 2015, drawn by our own counter-based generator in
integer arithmetic, so that every machine has the same bits.
"""

import copy
import hashlib
import math
from functools import lru_cache

import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from synthograph.core.seeds import random_words
from synthograph.features.base import FeatureNetwork, NetworkRecipe, WeightDigest
from synthograph.features.packaged import RANDOM
from synthograph.features.preprocess import Preprocess
from synthograph.features.vgg16 import TAPPED, pool_inputs, trunk

# n image, c channel, p place

NAME = RANDOM
SEED = 2020
SIDE, DIMS, HIDDEN = 64, 64, 4096
SHARE = 2
CHUNK = 32
MEAN, DEVIATION = (127.5,) * 3, (63.75,) * 3
_BITS = 24
_PIECE = 1 << 20


class RandomVGG16(FeatureNetwork):
    """Inputs [n, 3, 64, 64] to 64 features."""

    dims = DIMS

    def __init__(self) -> None:
        super().__init__()
        self.features = trunk(bias=False, share=SHARE)
        self.hidden = nn.Linear(2 * sum(TAPPED) // SHARE, HIDDEN, bias=False)
        self.last = nn.Linear(HIDDEN, DIMS, bias=False)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n 64"]:
        """The features."""
        found = [tap.flatten(2).float() for tap in pool_inputs(self.features, x)]
        pairs = ((tap.mean(2), tap.var(dim=2, correction=0).sqrt()) for tap in found)
        joined = torch.cat([moment for pair in pairs for moment in pair], dim=1)
        result: Tensor = self.last(torch.relu(self.hidden(joined)))
        return result


@lru_cache(maxsize=1)
def network() -> tuple[RandomVGG16, WeightDigest]:
    """The network on the CPU, drawn once per process, and the hash of its numbers.

    Whoever moves it to a device or another number type must copy it first.
    """
    with torch.device("meta"):
        module = RandomVGG16()
    module = module.to_empty(device="cpu")
    digest = hashlib.sha256()
    with torch.no_grad():
        for name, weight in module.named_parameters():
            drawn = draw(name, tuple(weight.shape), centred=not name.startswith("features."))
            weight.copy_(drawn)
            digest.update(drawn.numpy().astype("<f4").tobytes())
    module.eval().requires_grad_(False)
    found = WeightDigest(digest.hexdigest(), f"drawn from seed {SEED}", verified=True)
    return module, found


def draw(name: str, shape: tuple[int, ...], *, centred: bool) -> Float32[Tensor, "..."]:
    """Weights of one layer, the same bits on every machine.

    Args:
        name: of the layer; layers are independent of each other.
        shape: outputs first.
        centred: whether the weights of every output sum to zero.

    Returns:
        Uniform numbers of variance 2 / inputs (He et al. 2015, eq. 10).
    """
    outputs, inputs = shape[0], math.prod(shape[1:])
    rows = max(1, _PIECE // inputs)
    pieces = []
    for start in range(0, outputs, rows):
        indices = torch.arange(start, min(start + rows, outputs))
        drawn = random_words(SEED, f"{NAME}/{name}", indices, inputs) >> (32 - _BITS)
        whole = (2 * drawn - ((1 << _BITS) - 1)) * inputs
        if centred:
            whole -= whole.sum(dim=1, keepdim=True) // inputs
        # integers below 2^53 and single roundings: exact, in whatever order a machine works
        scale = math.sqrt(6 / inputs) / (inputs << _BITS)
        pieces.append((whole.to(torch.float64) * scale).to(torch.float32))
    return torch.cat(pieces).reshape(shape)


def own_network() -> tuple[RandomVGG16, WeightDigest]:
    """A copy of `network` that may be moved, and the hash of its numbers."""
    module, digest = network()
    return copy.deepcopy(module), digest


RECIPE = NetworkRecipe(
    name=NAME,
    preprocess=Preprocess(SIDE, mean=MEAN, deviation=DEVIATION),
    source="VGG16 with random weights, half the channels and 64 outputs, from means and "
    "deviations at its five pools (after R64 of Naeem et al. 2020)",
    draw=own_network,
    chunk=CHUNK,
    indicative=True,
)
