"""Where the augmentation's random numbers come from: one row per image."""

import abc
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from synthograph.core.seeds import Streams, to_normal, to_uniform


class Draws(abc.ABC):
    """Random numbers under names, one row per image.

    All but `pixels` are on the host, where the maps that they make are put together: work too small
    for a GPU, which never has to be waited for.
    """

    @abc.abstractmethod
    def uniform(self, name: str, count: int) -> Float[Tensor, "n k"]:
        """Numbers in [0, 1)."""

    @abc.abstractmethod
    def normal(self, name: str, count: int) -> Float[Tensor, "n k"]:
        """Standard normal numbers."""

    @abc.abstractmethod
    def pixels(self, name: str, shape: Sequence[int]) -> Tensor:
        """Standard normal numbers for every pixel, [n, *shape]."""

    def half_normal(self, name: str) -> Float[Tensor, " n"]:
        """Absolute values of standard normal numbers."""
        return self.normal(name, 1)[:, 0].abs()

    def gate(self, name: str, probability: Tensor) -> Float[Tensor, " n"]:
        """1 where an operation acts on an image, else 0.

        The gate draws under a name of its own: a value that is drawn from the gate's number would
        depend on the gate.
        """
        return (self.uniform(f"{name}/gate", 1)[:, 0] < probability).float()


class GlobalDraws(Draws):
    """Numbers from torch's global generators."""

    def __init__(self, images: Tensor) -> None:
        self._images = images

    def uniform(self, name: str, count: int) -> Tensor:
        """See `Draws`."""
        return torch.rand(len(self._images), count)

    def normal(self, name: str, count: int) -> Tensor:
        """See `Draws`."""
        return torch.randn(len(self._images), count)

    def pixels(self, name: str, shape: Sequence[int]) -> Tensor:
        """See `Draws`."""
        return torch.randn(len(self._images), *shape, device=self._images.device)


class FixedDraws(GlobalDraws):
    """Every draw at one percentile and every operation on, for inspection.

    As published, normal draws become erfinv(2 p - 1), without the factor sqrt(2) of the quantile,
    and the second of the two rotations is off.
    """

    def __init__(self, images: Tensor, percentile: float) -> None:
        super().__init__(images)
        self.percentile = percentile

    def uniform(self, name: str, count: int) -> Tensor:
        """See `Draws`."""
        return torch.full((len(self._images), count), self.percentile, dtype=self._images.dtype)

    def normal(self, name: str, count: int) -> Tensor:
        """See `Draws`."""
        return torch.erfinv(2 * self.uniform(name, count) - 1)

    def half_normal(self, name: str) -> Tensor:
        """See `Draws`."""
        return torch.erfinv(self.uniform(name, 1)[:, 0])

    def gate(self, name: str, probability: Tensor) -> Tensor:
        """See `Draws`."""
        acts = float(name != "rotate/after")
        return torch.full((len(self._images),), acts, dtype=self._images.dtype)


class StreamDraws(Draws):
    """Random numbers keyed by image, so that an image's augmentation never depends on its batch.

    Args:
        streams: random streams.
        indices: of the images, on the host.
        device: where the images are.
        expected: names of draws to come, which are made together; gets those that come besides.
    """

    def __init__(
        self, streams: Streams, indices: Tensor, device: torch.device, expected: dict[str, None]
    ) -> None:
        self._streams, self._indices, self._device = streams, indices, device
        self._expected = expected
        self._words = streams.first_words(list(expected), indices)

    def words(self, name: str) -> Tensor:
        """Four words per image of a stream, [n, 4]."""
        if name not in self._words:
            self._expected[name] = None
            self._words |= self._streams.first_words([name], self._indices)
        return self._words[name]

    def uniform(self, name: str, count: int) -> Tensor:
        """Numbers in [0, 1), [n, count], at most four."""
        return to_uniform(self.words(name)[:, :count])

    def normal(self, name: str, count: int) -> Tensor:
        """Standard normal numbers, [n, count], at most four."""
        return to_normal(self.words(name))[:, :count]

    def pixels(self, name: str, shape: Sequence[int]) -> Tensor:
        """Standard normal numbers, [n, *shape]."""
        return self._streams.normal(name, self._indices.to(self._device), tuple(shape))
