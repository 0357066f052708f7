"""A diverging run rolls back to the last state of a snapshot, with a remedy that is stated.

The remedy depends only on how often a run rolled back, which its state holds, so a resumed run
repeats it.
"""

from dataclasses import dataclass

from synthograph.core.devices import Precision
from synthograph.core.errors import DivergedError, UserError
from synthograph.training import model_selection
from synthograph.training.distributed import broadcast_state
from synthograph.training.run import RunDirectory
from synthograph.training.session import Session
from synthograph.training.state import drop_states_after, load_state, way_out

MAX_NON_FINITE = 5
"""Phases with gradients that are not finite which a run may skip between two status lines."""
MAX_ROLLBACKS = 3


@dataclass(frozen=True)
class Remedy:
    """What a run changes after rolling back: `rate` is a factor of every learning rate."""

    rate: float = 1.0
    fp32_penalties: bool = False

    def __str__(self) -> str:
        parts = [f"learning rates times {self.rate:g}"] if self.rate != 1 else []
        parts += ["penalties in fp32"] if self.fp32_penalties else []
        return " and ".join(parts) or "nothing changed"


def remedy(rollbacks: int, half: bool) -> Remedy:
    """Penalties in fp32 first where they are in half precision, then half the learning rate each
    time.
    """
    return Remedy(0.5 ** max(rollbacks - half, 0), half and rollbacks > 0)


def apply_remedy(session: Session) -> Remedy:
    """Give a session the remedy for its number of rollbacks."""
    config = session.config
    half = config.precision is Precision.BF16 and config.model.half_penalties
    chosen = remedy(session.state.progress.rollbacks, half)
    session.rate_factor = chosen.rate
    session.state.networks.fp32_penalties = chosen.fp32_penalties
    return chosen


def roll_back(session: Session, run: RunDirectory, reason: str) -> str:
    """Restore the last state of a snapshot and apply the next remedy.

    Returns:
        What went wrong, which is `reason`, and what happened, for the log.

    Raises:
        DivergedError: too many rollbacks, or no state to roll back to.
    """
    at, before = session.state.progress.images, session.state.progress.rollbacks
    if before >= MAX_ROLLBACKS:
        raise DivergedError(_advice(session))
    if session.team.is_main:
        _restore_boundary(session, run)
    broadcast_state(session.team, session.state)
    progress = session.state.progress
    progress.rollbacks = before + 1
    return (
        f"{reason} at {at} images: went back to {progress.images} images, rollback "
        f"{before + 1} of {MAX_ROLLBACKS}, with {apply_remedy(session)}"
    )


def _restore_boundary(session: Session, run: RunDirectory) -> None:
    """Restore the last state of a snapshot, and the run's files as they were then."""
    try:
        loaded = load_state(run.states, session.state, only_boundary=True)
    except UserError as error:
        raise DivergedError(f"{_advice(session)} ({error})") from None
    if loaded is None:
        raise DivergedError(_advice(session))
    drop_states_after(run.states, loaded.numbers.progress.images)
    run.truncate(loaded.numbers.lengths)
    model_selection.write_best(run, session.config, session.state.progress)


def _advice(session: Session) -> str:
    progress = session.state.progress
    return (
        f"training diverged after {progress.images} images and {progress.rollbacks} rollbacks: its "
        f"numbers are not finite. The last good state is kept. {way_out(session.state)}"
    )
