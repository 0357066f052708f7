"""Seeds as people write them, and latents from seeds as the published tools draw them."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from synthograph.core.errors import UserError

LARGEST = 2**32 - 1


def parse_seeds(text: str) -> list[int]:
    """Seeds from `0-35,97`: single numbers and inclusive ranges.

    Raises:
        UserError: anything else, or a seed beyond 2^32 - 1.
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UserError(
                f"--seeds {text!r}: {part!r} is neither a number nor a range such as 0-35"
            )
        start, end = int(first), int(last or first)
        if end < start or end > LARGEST or end - start >= 10_000_000:
            raise UserError(
                f"--seeds {text!r}: {part!r} must rise, stay below 2^32 and hold < 10 million"
            )
        seeds.extend(range(start, end + 1))
    return seeds


def latents(seeds: Sequence[int], width: int) -> Float[Tensor, "n z"]:
    """Standard normal latents, one per seed: numpy's RandomState(seed), as published, so that
    images reproduce.
    """
    drawn = [np.random.RandomState(seed).randn(width) for seed in seeds]
    return torch.from_numpy(np.stack(drawn)).float()
