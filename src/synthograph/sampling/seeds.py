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
    return parse_numbers(text, option, most=MAX_SEED, what="seed")


def parse_numbers(text: str, option: str, *, most: int, what: str) -> list[int]:
    """Numbers from 0 to `most`, written as seeds are; `what` is what each of them is.

    Raises:
        UserError: as for `parse_seeds`.
    """
    numbers: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise UserError(
                f"{option} {text!r}: {part!r} is neither a number nor a range such as 0-35"
            )
        first, last = (word.lstrip("0") or word[:1] for word in (first, last))
        # Python reads no integer of more than 4300 digits
        longest = max((first, last), key=len)
        if len(longest) > len(str(most)) or max(int(first), int(last or first)) > most:
            also = " (2^32 - 1)" if most == MAX_SEED else ""
            raise UserError(f"{option} {text!r:.80}: the largest {what} is {most}{also}")
        start, end = int(first), int(last or first)
        if end < start:
            raise UserError(f"{option} {text!r}: {part!r} runs backwards, write {end}-{start}")
        if len(numbers) + end - start >= MAX_SEEDS:
            raise UserError(
                f"{option} {text!r}: more than {MAX_SEEDS // 10**6} million {what}s; ask for "
                "fewer at once"
            )
        numbers.extend(range(start, end + 1))
    return numbers


def latents(seeds: Sequence[int], width: int) -> Float[Tensor, "n z"]:
    """Standard normal latents, one per seed: numpy's RandomState(seed), as published, so that
    images reproduce.
    """
    drawn = [np.random.RandomState(seed).randn(width) for seed in seeds]
    return torch.from_numpy(np.stack(drawn)).float()
