"""Pivotal tuning: a generator changed a little, so that one style gives exactly one image.

Source: Roich et al. 2021, "Pivotal Tuning for Latent-based Editing of Real Images": the generator's
weights are tuned around the style that a projection found. Their regularisation of the
neighbourhood is left out: the result is used at its style.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from synthograph.sampling.projection import Projector, Targets


@dataclass(frozen=True)
class Tuning:
    """How a generator is tuned; the rate and the number of steps are those published.

    Attributes:
        steps: of Adam.
        rate: its learning rate.
    """

    steps: int = 350
    rate: float = 3e-4


def tuned(
    projector: Projector,
    target: Targets,
    ws: Float[Tensor, "1 s w"],
    tuning: Tuning,
    *,
    tick: Callable[[], None] = lambda: None,
) -> nn.Module:
    """A copy of the generator that is tuned to give one target at its styles; fixed noise.

    Args:
        projector: whose network, and by which distance.
        target: one image.
        ws: its styles.
        tuning: how.
        tick: is called after every step.
    """
    generator = copy.deepcopy(projector.generator).requires_grad_(True)
    goal = projector.distance.prepare(target.images.to(projector.device))
    ws = ws.to(projector.device)
    adam = torch.optim.Adam(generator.parameters(), lr=tuning.rate)
    for _ in range(tuning.steps):
        adam.zero_grad(set_to_none=True)  # what no gradient reaches, such as the mapping, stays
        images = projector.family.synthesis(generator, ws)
        projector.distance(images, goal).sum().backward()
        adam.step()
        tick()
    return generator.requires_grad_(False)
