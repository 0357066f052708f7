"""Strength of the augmentation during training: fixed, none, or adaptive to overfitting.

Source of the adaptive one: Karras et al. 2020, "Training generative adversarial networks with
limited data", section 3.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from synthograph.training.config import AugmentConfig, AugmentMode

INTERVAL = 4
"""Steps between changes of the strength."""


class Controller:
    """A constant strength p, 0 for no augmentation; subclasses adapt it to the discriminators'
    logits for real images.
    """

    def __init__(self, p: float) -> None:
        self.p = p

    def observe(self, signs: Tensor) -> None:
        """Take in the signs of the discriminators' logits for real images of a step."""

    def after_step(self, steps: int, batch: int) -> str | None:
        """Adjust p after `steps` steps in all; a warning for the log, or None."""
        return None

    def tensors(self) -> dict[str, Tensor]:
        """What resumes."""
        return {}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore what `tensors` gave."""


class Adaptive(Controller):
    """Raises p while real images are recognised more often than `target`, else lowers it."""

    def __init__(self, config: AugmentConfig) -> None:
        super().__init__(config.p or 0.0)
        self.config = config
        self._sum = torch.zeros(2, dtype=torch.float64)
        self._alarmed = False

    def observe(self, signs: Tensor) -> None:
        """Count signs since the last change, where they are."""
        finite = signs.isfinite()  # the others are counted where they arise
        kept = torch.where(finite, signs.detach().double(), 0.0)
        self._sum = self._sum.to(signs.device) + torch.stack((kept.sum(), finite.double().sum()))

    def after_step(self, steps: int, batch: int) -> str | None:
        """Move p by batch x interval / speed towards the target, between 0 and `p_max`."""
        if steps % INTERVAL:
            return None
        total, count = self._sum.tolist()
        if not count:
            return None
        overfit = total / count
        change = batch * INTERVAL / (self.config.speed_kimg * 1000)
        direction = (overfit > self.config.target) - (overfit < self.config.target)
        self.p = min(max(self.p + direction * change, 0.0), self.config.p_max)
        self._sum.zero_()
        return self._alarm(overfit)

    def _alarm(self, overfit: float) -> str | None:
        """Once per time that the cap is reached."""
        at_cap = self.p >= self.config.p_max
        new, self._alarmed = at_cap and not self._alarmed, at_cap
        if not new:
            return None
        return (
            f"augmentation p reached its cap {self.config.p_max:g} while the discriminator "
            f"still recognises the training images (sign {overfit:.2f}, target "
            f"{self.config.target:g}): the set is small for this network; more images, --mirror, "
            "a smaller network, or, where the family has it, a higher --gamma help; a higher cap "
            "leaks augmentations"
        )

    def tensors(self) -> dict[str, Tensor]:
        """p, the signs counted so far, and whether the cap was reported."""
        numbers = torch.tensor([self.p, float(self._alarmed)], dtype=torch.float64)
        return {"controller": torch.cat((numbers, self._sum.cpu()))}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore what `tensors` gave."""
        numbers = tensors["controller"]
        self.p, self._alarmed = float(numbers[0]), bool(numbers[1])
        self._sum = numbers[2:].clone()


def make_controller(config: AugmentConfig) -> Controller:
    """The controller that a configuration asks for."""
    if config.mode is AugmentMode.ADA:
        return Adaptive(config)
    return Controller((config.p or 0.0) if config.mode is AugmentMode.FIXED else 0.0)
