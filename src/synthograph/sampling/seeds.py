"""Seeds as people write them, and latents from seeds as the published tools draw them."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from synthograph.core.errors import UserError

MAX_SEED = 2**32 - 1
MAX_SEEDS = 10_000_000


def parse_seeds(text: str, option: str = "--seeds") -> list[int]:
    """Seeds from `0-35,97`: single numbers and inclusive ranges; `option` is what messages call it.

    Raises:
        UserError: anything else, a range that runs backwards, a seed beyond 2^32 - 1, or more than
            `MAX_SEEDS` seeds.
    """
    seeds: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UserError(
                f"{option} {text!r}: {part!r} is neither a number nor a range such as 0-35"
            )
        start, end = (_number(n, text, option) for n in (first, last or first))
        if end < start:
            raise UserError(f"{option} {text!r}: {part!r} runs backwards, write {end}-{start}")
        if len(seeds) + end - start >= MAX_SEEDS:
            raise UserError(
                f"{option} {text!r}: more than {MAX_SEEDS // 10**6} million seeds; ask for "
                "fewer at once"
            )
        seeds.extend(range(start, end + 1))
    return seeds


def _number(text: str, seeds: str, option: str) -> int:
    # Python reads no integer of more than 4300 digits
    if len(text) > len(str(MAX_SEED)) or int(text) > MAX_SEED:
        raise UserError(f"{option} {seeds!r:.80}: the largest seed is {MAX_SEED} (2^32 - 1)")
    return int(text)


def latents(seeds: Sequence[int], width: int) -> Float[Tensor, "n z"]:
    """Standard normal latents, one per seed: numpy's RandomState(seed), as published, so that
    images reproduce.
    """
    drawn = [np.random.RandomState(seed).randn(width) for seed in seeds]
    return torch.from_numpy(np.stack(drawn)).float()
