"""Statistics of a training run: moments per name since the last tick, part of the state that
resumes.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor


class RunningMoments:
    """Number, sum and sum of squares of values per name, kept in float64 where the values are:
    counting never waits for a GPU.
    """

    def __init__(self) -> None:
        self._sums: dict[str, Tensor] = {}

    def add(self, name: str, values: Tensor) -> None:
        """Count values of any shape."""
        flat = values.detach().double().flatten()
        if not len(flat):
            return
        sums = torch.stack((torch.full_like(flat, 1).sum(), flat.sum(), flat.square().sum()))
        before = self._sums.get(name)
        self._sums[name] = sums if before is None else before.to(sums.device) + sums

    def add_all(self, values: Mapping[str, Tensor]) -> None:
        """Count the values of several names."""
        for name, value in values.items():
            self.add(name, value)

    def summary(self) -> dict[str, dict[str, float]]:
        """Name to number, mean and standard deviation; a mean that is not finite is None."""
        return {name: _moments(*sums.tolist()) for name, sums in sorted(self._sums.items())}

    def mean(self, name: str) -> float | None:
        """Mean of a name, or None where nothing was counted."""
        entry = self.summary().get(name)
        return None if entry is None else entry["mean"]

    def clear(self) -> None:
        """Forget everything."""
        self._sums.clear()

    def tensors(self) -> dict[str, Tensor]:
        """The state as tensors, on the host."""
        return {name: sums.cpu() for name, sums in self._sums.items()}

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Restore what `tensors` gave."""
        self._sums = {name: value.clone() for name, value in tensors.items()}


def _moments(number: float, total: float, squares: float) -> dict[str, float]:
    mean = total / number
    variance = max(squares / number - mean * mean, 0.0) if math.isfinite(squares) else math.nan
    return {"num": int(number), "mean": mean, "std": math.sqrt(variance)}


def json_safe(entry: Mapping[str, float]) -> dict[str, float | None]:
    """Numbers that JSON can hold; what is not finite becomes null."""
    return {key: value if math.isfinite(value) else None for key, value in entry.items()}
