"""The augmentation pipeline of a run: which operations it may use, and its random numbers."""

from collections.abc import Sequence

import torch
from torch import Tensor

from synthograph.core.spec import ImageSpec
from synthograph.models.base import Augment, Batch
from synthograph.ops.augment import AugmentPipe
from synthograph.ops.draws import StreamDraws
from synthograph.ops.operations import OPERATIONS, Invariance, allowed
from synthograph.training.config import AugmentConfig, AugmentMode


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
