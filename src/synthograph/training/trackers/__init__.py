"""Where a run can be followed besides its directory: one file each, and one line in `TRACKERS`."""

import os

from synthograph.training.config import TrackingConfig
from synthograph.training.trackers.base import Tracker
from synthograph.training.trackers.mlflow import URI, MLflow
from synthograph.training.trackers.tensorboard import TensorBoard
from synthograph.training.trackers.wandb import WandB

TRACKERS: tuple[type[Tracker], ...] = (TensorBoard, MLflow, WandB)


def followers(settings: TrackingConfig, unit: str = "images") -> list[Tracker]:
    """The trackers that a run asks for, as far as their packages are there; TensorBoard where it
    asks for nothing. `unit` is what the run's progress is counted in.
    """
    asked = (TensorBoard.name,) if settings.trackers is None else settings.trackers
    return [kind(settings, unit) for kind in TRACKERS if kind.name in asked and kind.installed()]


def is_strange(address: object, asked: object) -> bool:
    """Whether a file that may be someone else's names a server that neither the user's options nor
    the environment name: nothing is sent there.
    """
    known = asked, os.environ.get(URI)
    return isinstance(address, str) and address not in known and not address.startswith("sqlite:")


def unfollowed_note(address: object) -> str:
    """What is said of a strange server, and the way to it."""
    return (
        f"note: not followed at {address}, which only the run directory names: add --tracker "
        f"mlflow --tracking-uri {address} to follow the run there"
    )


def check_trackers(settings: TrackingConfig) -> None:
    """Refuse, before any work, trackers that cannot follow a run.

    Raises:
        UserError: a package is missing, a server does not answer, ...
    """
    for kind in TRACKERS:
        if kind.name in (settings.trackers or ()):
            kind(settings).check()
