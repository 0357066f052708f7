"""Where a run can be followed besides its directory: one file each, and one line in `TRACKERS`."""

from synthograph.training.trackers.base import Tracker
from synthograph.training.trackers.tensorboard import TensorBoard

TRACKERS: tuple[type[Tracker], ...] = (TensorBoard,)
