"""What holds for every tracker. A tracker's tests inherit `TrackerContract` and say how to read
what it wrote.
"""

from pathlib import Path
from typing import ClassVar

import pytest

from synthograph.training.trackers import TRACKERS
from synthograph.training.trackers.base import Tracker

PARAMS = {"seed": 0, "training": {"kimg": 1.5, "batch": 4}, "data": {"split": None}}


class TrackerContract:
    """Subclass it with a tracker and `read`."""

    kind: ClassVar[type[Tracker]]

    def read(self, run: Path) -> dict[str, dict[int, float]]:
        """Scalars that were written of a run: name -> images -> value."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def needs(self) -> None:
        pytest.importorskip(self.kind.package)

    def test_scalars_of_a_run_that_was_resumed(self, tmp_path: Path) -> None:
        tracker = self.kind()
        tracker.start(tmp_path, PARAMS, 0)
        for images in (10, 20, 30):
            tracker.scalars({"Loss/G/loss": images / 8, "Progress/kimg": images / 1000}, images)
        tracker.picture("fakes-000000.png", b"\x89PNG", 30)
        tracker.file(tmp_path / "generator-000000.safetensors")
        tracker.close()
        again = self.kind()
        again.start(tmp_path, PARAMS, 20)
        again.scalars({"Loss/G/loss": 7.0}, 30)
        again.close()
        found = self.read(tmp_path)
        assert found["Loss/G/loss"] == pytest.approx({10: 1.25, 20: 2.5, 30: 7.0})
        assert found["Progress/kimg"][10] == pytest.approx(0.01)

    def test_it_is_listed(self) -> None:
        assert self.kind in TRACKERS
        assert len({kind.name for kind in TRACKERS}) == len(TRACKERS)
