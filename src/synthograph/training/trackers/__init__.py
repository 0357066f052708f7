"""Where a run can be followed besides its directory: one file each, and one line in `TRACKERS`."""

from synthograph.training.config import TrackingConfig
from synthograph.training.trackers.base import Tracker
from synthograph.training.trackers.mlflow import MLflow
from synthograph.training.trackers.tensorboard import TensorBoard
from synthograph.training.trackers.wandb import WandB

TRACKERS: tuple[type[Tracker], ...] = (TensorBoard, MLflow, WandB)


def followers(settings: TrackingConfig, unit: str = "images") -> list[Tracker]:
    """The trackers that a run asks for, as far as their packages are there; TensorBoard where it
    asks for nothing. `unit` is what the run's progress is counted in.
    """
    asked = (TensorBoard.name,) if settings.trackers is None else settings.trackers
    return [kind(settings, unit) for kind in TRACKERS if kind.name in asked and kind.installed()]


def check_trackers(settings: TrackingConfig) -> None:
    """Refuse, before any work, trackers that cannot follow a run.

    Raises:
        UserError: a package is missing, a server does not answer, ...
    """
    for kind in TRACKERS:
        if kind.name in (settings.trackers or ()):
            kind(settings).check()
