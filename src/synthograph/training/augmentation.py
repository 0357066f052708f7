"""The augmentation pipeline of a run: which operations it may use, and its random numbers."""

from collections.abc import Sequence

import torch
from torch import Tensor

from synthograph.core.seeds import Streams, to_normal, to_uniform
from synthograph.core.spec import ImageSpec
from synthograph.models.base import Augment, Batch
from synthograph.ops.augment import AugmentPipe
from synthograph.ops.draws import Draws
from synthograph.ops.operations import OPERATIONS, Invariance, allowed
from synthograph.training.config import AugmentConfig, AugmentMode


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


def make_pipe(config: AugmentConfig, spec: ImageSpec) -> AugmentPipe | None:
    """The pipeline of a run, on the host, at p = 0; None where it does not augment."""
    if config.mode is AugmentMode.NONE:
        return None
    pipe = AugmentPipe(modalities=spec.modalities, **config.pipe)  # type: ignore[arg-type]
    pipe.p.zero_()
    return pipe


def augment_with(pipe: AugmentPipe | None) -> Augment:
    """What the phases call: `scope` keeps the draws of a phase's inputs apart."""
    expected: dict[str, None] = {}  # every image takes the draws of the images before it

    def augment(images: Tensor, batch: Batch, scope: str) -> Tensor:
        if pipe is None or float(pipe.p) == 0:
            return images
        streams = batch.streams.under(f"augment/{scope}")
        draws = StreamDraws(streams, batch.indices, images.device, expected)
        augmented: Tensor = pipe(images, draws=draws)
        return augmented

    return augment


def permitted(
    config: AugmentConfig, invariances: Sequence[str] | None
) -> tuple[AugmentConfig, list[str]]:
    """The configuration without operations that could change what images mean, and their names.

    Args:
        config: augmentation as it was asked for.
        invariances: what leaves the meaning of the images alone; None where nobody said.
    """
    asked = [name for name in OPERATIONS if config.pipe.get(name)]
    _, left_out = allowed(asked, invariances)
    pipe = {name: value for name, value in config.pipe.items() if name not in left_out}
    return config.model_copy(update={"pipe": pipe}), left_out


def left_out_note(
    config: AugmentConfig, left_out: Sequence[str], invariances: Sequence[str] | None
) -> str:
    """Why operations are left out, for the log; and what gives them back where nobody said what
    leaves the meaning of the images alone.
    """
    if invariances is not None:
        return (
            f"augmentation without {', '.join(left_out)}: they would change what these images mean "
            f"(invariances: {', '.join(invariances) or 'none'})"
        )
    used = [name for name in OPERATIONS if config.pipe.get(name)]
    waiting = [
        f"{', '.join(names)} for {word or 'any of these words'}"
        for word in (*Invariance, None)
        if (names := [name for name in left_out if OPERATIONS[name].needs == word])
    ]
    return (
        "which changes leave the meaning of these images unchanged was not stated, so "
        f"augmentation uses {', '.join(used) or 'nothing'} only. The others wait for your word, "
        f"--invariant mirror,rotate,colour (those that hold) or none: {'; '.join(waiting)}"
    )


def set_strength(pipe: AugmentPipe | None, p: float) -> None:
    """Hand the controller's p to the pipeline."""
    if pipe is not None:
        with torch.no_grad():
            pipe.p.fill_(p)
