"""TensorBoard events beside `stats.jsonl`, where the package is installed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from synthograph.core.untrusted.documents import JsonObject
from synthograph.training.trackers.base import Outcome, Tracker


class TensorBoard(Tracker):
    """Scalars in the run directory; TensorBoard hides those of an earlier sitting that are void."""

    name = package = extra = "tensorboard"
    _writer: Any = None

    def start(self, run: Path, params: JsonObject, images: int) -> None:
        """See `Tracker`."""
        from torch.utils.tensorboard import SummaryWriter  # which is slow to import

        self._writer = SummaryWriter(str(run), purge_step=images + 1 if images else None)

    def scalars(self, values: Mapping[str, float], images: int) -> None:
        """See `Tracker`."""
        for name, value in values.items():
            self._writer.add_scalar(name, value, images)
        self._writer.flush()

    def close(self, outcome: Outcome) -> None:
        """See `Tracker`."""
        self._writer.close()
