"""What is measured: configurations A to E, on phantoms made on the spot."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Configuration:
    """One row of the table.

    Attributes:
        phantom: which phantom the images are.
        size: side of the images.
        settings: overrides of the preset `auto`.
        cond: conditional on the phantom's classes.
        p: strength of augmentation bgc, held fixed; None trains without it.
        needs_gpu: too large to be measured on a processor.
    """

    phantom: str
    size: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    cond: bool = False
    p: float | None = None
    needs_gpu: bool = False

    def tree(self) -> dict[str, Any]:
        """The part of a run's configuration tree that this row sets."""
        augment: dict[str, Any] = (
            {"mode": "none"} if self.p is None else {"mode": "fixed", "p": self.p}
        )
        return {"augment": augment, "data": {"cond": self.cond}}


def small(base: int, most: int) -> dict[str, Any]:
    """Widths of the generator and the discriminators."""
    return {"model.channel_base": base, "model.channel_max": most, "model.mapping_layers": 2}


CONFIGURATIONS: dict[str, Configuration] = {
    "A": Configuration("skin", 32, {**small(16384, 128), "training.batch": 32}),
    "B": Configuration("skin", 32, {**small(16384, 64), "training.batch": 32}, cond=True, p=0.3),
    "C": Configuration("skin", 64, {**small(4096, 256), "training.batch": 16}, p=0.3),
    "D128": Configuration("skin", 128, {"training.batch": 32}, p=0.3, needs_gpu=True),
    "D256": Configuration("skin", 256, {"training.batch": 32}, p=0.3, needs_gpu=True),
    "D512": Configuration("skin", 512, {"training.batch": 16}, p=0.3, needs_gpu=True),
    "E": Configuration("eye", 64, {**small(4096, 256), "training.batch": 16}, p=0.3),
}
