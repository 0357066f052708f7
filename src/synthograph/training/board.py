"""TensorBoard events beside `stats.jsonl`, where the package is installed."""

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Board:
    """Writes the means of statistics as scalars; does nothing without TensorBoard.

    Args:
        folder: the run directory.
        step: images seen; later events of an earlier sitting are hidden by TensorBoard.
        write: whether this process writes events at all.
    """

    def __init__(self, folder: Path, step: int, *, write: bool = True) -> None:
        self._writer: Any = None
        if write and importlib.util.find_spec("tensorboard") is not None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(folder), purge_step=step or None)

    def add(self, entry: Mapping[str, Mapping[str, float | None]], step: int) -> None:
        """Write one scalar per statistic that is finite."""
        if self._writer is None:
            return
        for name, values in entry.items():
            if values["mean"] is not None:
                self._writer.add_scalar(name, values["mean"], step)
        self._writer.flush()

    def close(self) -> None:
        """Close the event file."""
        if self._writer is not None:
            self._writer.close()
