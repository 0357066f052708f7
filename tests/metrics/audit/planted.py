"""Training, held-out and synthetic features with and without copies."""

import torch

from synthograph.stats.sample import Sample
from tests.metrics.draws import gaussian

Three = tuple[Sample, Sample, Sample]


def three(
    seed: int,
    *,
    copied: float = 0.0,
    noise: float = 0.05,
    likeness: float = 0.5,
    train: int = 54,
    held: int = 20,
    per: int = 4,
    synthetic: int = 200,
    features: int = 8,
) -> Three:
    """Gaussians in groups of `per`; a share of the synthetic ones are noisy training images."""
    ours = gaussian(3 * seed, train, features, per=per, likeness=likeness)
    theirs = gaussian(3 * seed + 1, held, features, per=per, likeness=likeness)
    made = gaussian(3 * seed + 2, synthetic, features)
    count = int(copied * synthetic)
    generator = torch.Generator().manual_seed(seed)
    source = torch.randint(0, len(ours), (count,), generator=generator)
    values = made.values.clone()
    values[:count] = ours.values[source]
    values[:count] += noise * torch.randn(count, features, generator=generator)
    return ours, theirs, Sample(values, made.groups)
