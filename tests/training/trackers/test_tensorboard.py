"""TensorBoard keeps the contract of trackers."""

from pathlib import Path

from synthograph.training.trackers.tensorboard import TensorBoard
from tests.training.trackers.contract import TrackerContract


class TestTensorBoard(TrackerContract):
    kind = TensorBoard

    def read(self, run: Path) -> dict[str, dict[int, float]]:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

        events = EventAccumulator(str(run))
        events.Reload()
        return {
            name: {event.step: event.value for event in events.Scalars(name)}
            for name in events.Tags()["scalars"]
        }
