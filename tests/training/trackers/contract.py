"""What holds for every tracker. A tracker's tests inherit `TrackerContract` and say how to read
what it wrote.
"""

from pathlib import Path
from typing import ClassVar

import pytest

from synthograph.core.errors import UserError
from synthograph.training.trackers import TRACKERS, followers
from synthograph.training.trackers.base import Outcome, Tracker, TrackingConfig
from tests.training.trackers.material import PARAMS, PICTURE


class TrackerContract:
    """Subclass it with a tracker and `read`."""

    kind: ClassVar[type[Tracker]]

    def read(self, run: Path) -> dict[str, dict[int, float]]:
        """Scalars that were written of a run: name -> images -> value."""
        raise NotImplementedError

    @pytest.fixture(autouse=True)
    def needs(self) -> None:
        pytest.importorskip(self.kind.package)

    @pytest.fixture
    def run(self, tmp_path: Path) -> Path:
        """A run directory."""
        run = tmp_path / "00000-run"
        run.mkdir()
        return run

    def test_scalars_of_a_run_that_was_resumed(self, run: Path) -> None:
        tracker = self.kind()
        tracker.start(run, PARAMS, 0)
        for images in (10, 20, 30):
            tracker.scalars({"Loss/G/loss": images / 8, "Progress/kimg": images / 1000}, images)
        tracker.picture("fakes-000000.png", PICTURE, 30)
        snapshot = run / "generator-000000.safetensors"
        snapshot.write_bytes(b"weights")
        tracker.file(snapshot)
        tracker.close(Outcome.STOPPED)
        again = self.kind()
        again.start(run, PARAMS, 20)
        again.scalars({"Loss/G/loss": 7.0}, 30)
        again.close(Outcome.FINISHED)
        found = self.read(run)
        assert found["Loss/G/loss"] == pytest.approx({10: 1.25, 20: 2.5, 30: 7.0})
        assert found["Progress/kimg"][10] == pytest.approx(0.01)
        assert snapshot.read_bytes() == b"weights"

    def test_it_is_listed(self) -> None:
        assert self.kind in TRACKERS
        assert len({kind.name for kind in TRACKERS}) == len(TRACKERS)
        asked = TrackingConfig(trackers=[self.kind.name])
        assert [type(each) for each in followers(asked)] == [self.kind]

    def test_its_package_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(self.kind, "package", "no_such_package")
        with pytest.raises(UserError, match=rf"synthograph\[{self.kind.extra}\]"):
            self.kind().check()
        assert not followers(TrackingConfig(trackers=[self.kind.name]))
