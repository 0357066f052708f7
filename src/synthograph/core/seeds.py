"""Random numbers without a generator state: Philox4x32-10 in tensor arithmetic.

Every number is a function of (run seed, stream name, global image index, position), so an image
never depends on its batch, on the process that drew it or on what was drawn before, and nothing
needs to be saved for an exact resume. The integers are the same on every device.

Source: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"; constants and known
answers of Random123.
"""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

# s stream, n image, e element of one image, b block of four elements

ROUNDS = 10
MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
KEY_STEPS = (0x9E3779B9, 0xBB67AE85)
MASK32 = 0xFFFFFFFF
_WORD, _MASK = np.uint64(32), np.uint64(MASK32)
_MULTIPLIERS = np.array(MULTIPLIERS, dtype=np.uint64)[:, None, None, None]


def philox4x32(
    counter: tuple[Tensor, Tensor, Tensor, Tensor], key: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The Philox4x32-10 bijection.

    Args:
        counter: four int64 tensors of equal shape that hold 32-bit words.
        key: two 32-bit words.

    Returns:
        Four int64 tensors of 32-bit words.
    """
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(ROUNDS):
        high0, low0 = _multiply(c0, MULTIPLIERS[0])
        high1, low1 = _multiply(c2, MULTIPLIERS[1])
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + KEY_STEPS[0]) & MASK32, (k1 + KEY_STEPS[1]) & MASK32
    return c0, c1, c2, c3


def _multiply(word: Tensor, constant: int) -> tuple[Tensor, Tensor]:
    """High and low 32 bits of a 32 x 32 bit product; int64 overflows, but its bits are correct."""
    product = word * constant
    return (product >> 32) & MASK32, product & MASK32


@lru_cache(maxsize=256)
def stream_key(seed: int, stream: str) -> tuple[int, int]:
    """The 64-bit key of a named stream of a run, as two words."""
    digest = hashlib.sha256(f"{seed}/{stream}".encode()).digest()
    return int.from_bytes(digest[:4], "little"), int.from_bytes(digest[4:8], "little")


def random_words(
    seed: int, stream: str, indices: Int64[Tensor, " n"], count: int
) -> Int64[Tensor, "n e"]:
    """`count` random 32-bit words for every index.

    Args:
        seed: seed of the run.
        stream: name of what is drawn; streams are independent of each other.
        indices: global image indices, >= 0.
        count: words per index.
    """
    blocks, key = -(-count // 4), stream_key(seed, stream)
    if indices.device.type == "cpu":
        return _words_by_numpy(indices, blocks, (key,))[0, :, :count]
    place = torch.arange(blocks, device=indices.device)
    shape = (len(indices), blocks)
    counter = (
        (indices & MASK32)[:, None].expand(shape),
        (indices >> 32)[:, None].expand(shape),
        place[None].expand(shape),
        torch.zeros(shape, dtype=torch.int64, device=indices.device),
    )
    return torch.stack(philox4x32(counter, key), dim=2).flatten(1)[:, :count]


def _words_by_numpy(
    indices: Int64[Tensor, " n"], blocks: int, keys: tuple[tuple[int, int], ...]
) -> Int64[Tensor, "s n e"]:
    """`philox4x32` on the CPU for several streams at once, in place: several times faster for short
    draws.
    """
    first, second = np.empty((2, 2, len(keys), len(indices), blocks), dtype=np.uint64)
    index = indices.numpy().astype(np.uint64)[:, None]
    first[0], first[1] = index & _MASK, np.arange(blocks, dtype=np.uint64)
    second[0], second[1] = index >> _WORD, 0
    for key in _key_schedule(keys):
        product = first * _MULTIPLIERS
        second ^= (product >> _WORD)[::-1]
        second ^= key
        first, second = second, (product & _MASK)[::-1]
    # first holds words 0 and 2, second words 1 and 3
    drawn = np.stack((first[0], second[0], first[1], second[1]), axis=3)
    return torch.from_numpy(drawn.reshape(len(keys), len(indices), 4 * blocks).view(np.int64))


@lru_cache(maxsize=256)
def _key_schedule(keys: tuple[tuple[int, int], ...]) -> list[np.ndarray]:
    """The two words of every key in every round, [2, s, 1, 1] each."""
    start = np.array(keys, dtype=np.uint64).reshape(-1, 2)
    step = np.array(KEY_STEPS, dtype=np.uint64)
    return [((start + step * np.uint64(k)) & _MASK).T[:, :, None, None] for k in range(ROUNDS)]


def to_uniform(drawn: Int64[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """Float32 numbers in [0, 1), 24 bits each, of random words."""
    return (drawn >> 8).to(torch.float32) * 2.0**-24


def to_normal(drawn: Int64[Tensor, "n e"]) -> Float[Tensor, "n e"]:
    """Float32 standard normal numbers of random words, two of two (Box and Muller 1958)."""
    first, second = drawn.reshape(len(drawn), drawn.shape[1] // 2, 2).unbind(2)
    radius = ((((first >> 8) + 1).to(torch.float32) * 2.0**-24).log() * -2).sqrt()
    angle = (second >> 8).to(torch.float32) * (2 * math.pi * 2.0**-24)
    return torch.stack((radius * angle.cos(), radius * angle.sin()), dim=2).flatten(1)


@dataclass(frozen=True)
class Streams:
    """The random streams of one run.

    Attributes:
        seed: seed of the run.
        prefix: put before every stream name, so that phases draw apart from each other.
    """

    seed: int
    prefix: str = ""
    _permutations: dict[tuple[str, int, int], Tensor] = field(
        default_factory=dict, repr=False, compare=False
    )

    def under(self, name: str) -> "Streams":
        """The same run's streams below `name`."""
        return Streams(self.seed, f"{self.prefix}{name}/")

    def uniform(
        self, stream: str, indices: Int64[Tensor, " n"], shape: tuple[int, ...] = ()
    ) -> Float[Tensor, "n *shape"]:
        """Float32 numbers in [0, 1), 24 bits each, `shape` of them per index."""
        drawn = random_words(self.seed, self.prefix + stream, indices, math.prod(shape))
        return to_uniform(drawn).reshape(len(indices), *shape)

    def normal(
        self, stream: str, indices: Int64[Tensor, " n"], shape: tuple[int, ...] = ()
    ) -> Float[Tensor, "n *shape"]:
        """Float32 standard normal numbers, `shape` of them per index."""
        count = math.prod(shape)
        drawn = random_words(self.seed, self.prefix + stream, indices, count + count % 2)
        return to_normal(drawn)[:, :count].reshape(len(indices), *shape)

    def first_words(
        self, names: Sequence[str], indices: Int64[Tensor, " n"]
    ) -> dict[str, Int64[Tensor, "n 4"]]:
        """The first four words per index of several streams, at once: a third of the time of many
        short draws. Indices are on the host.
        """
        keys = tuple(stream_key(self.seed, self.prefix + name) for name in names)
        return dict(zip(names, _words_by_numpy(indices, 1, keys), strict=True))

    def integers(self, stream: str, indices: Int64[Tensor, " n"], high: int) -> Int64[Tensor, " n"]:
        """One integer in [0, high) per index; `high` at most 2^31, its bias below high / 2^32."""
        return (random_words(self.seed, self.prefix + stream, indices, 1)[:, 0] * high) >> 32

    def permutation(self, stream: str, epoch: int, count: int) -> Int64[Tensor, " n"]:
        """A permutation of 0 ... count-1 keyed by the epoch; the last few are kept."""
        key = (stream, epoch, count)
        if key not in self._permutations:
            while len(self._permutations) >= 4:
                self._permutations.pop(next(iter(self._permutations)))
            drawn = random_words(
                self.seed, f"{self.prefix}{stream}/{epoch}", torch.arange(count), 2
            )
            order = (drawn[:, 0] << 31) ^ drawn[:, 1]
            self._permutations[key] = torch.argsort(order, stable=True)
        return self._permutations[key]

    def order(self, stream: str, indices: Int64[Tensor, " n"], count: int) -> Int64[Tensor, " n"]:
        """Positions in endless shuffled passes: index i is place i % count of epoch i // count."""
        epochs, places = indices // count, indices % count
        result = torch.empty_like(indices)
        for epoch in epochs.unique().tolist():
            chosen = epochs == epoch
            result[chosen] = self.permutation(stream, int(epoch), count)[places[chosen]]
        return result
