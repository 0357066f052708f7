"""What a tracker of runs is asked to do, and what happens when it cannot."""

import abc
import importlib.util
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from synthograph.core.untrusted.documents import JsonObject


class Tracker(abc.ABC):
    """A place outside the run directory that shows how a run goes.

    Every method may raise: training continues. A tracker ignores what it has no use for.
    """

    name: ClassVar[str]
    package: ClassVar[str]
    """Package that it needs; without it there is no such tracker."""

    @abc.abstractmethod
    def start(self, run: Path, params: JsonObject, images: int) -> None:
        """Begin to follow a run.

        Args:
            run: its directory.
            params: its configuration tree.
            images: images seen; above 0 the run is resumed, and entries of later ones are void.
        """

    @abc.abstractmethod
    def scalars(self, values: Mapping[str, float], images: int) -> None:
        """Numbers by name, all finite, at an image count."""

    def picture(self, name: str, png: bytes, images: int) -> None:
        """A picture of the run, under its file name."""
        return None

    def file(self, path: Path) -> None:
        """A snapshot was written."""
        return None

    @abc.abstractmethod
    def close(self) -> None:
        """Nothing more comes of this sitting."""


class Trackers:
    """All trackers of a run. The first failure of each is logged, its missed entries counted.

    Args:
        trackers: where the run is followed.
        warn: gets a line for the log.
    """

    def __init__(self, trackers: Sequence[Tracker], warn: Callable[[str], None]) -> None:
        self.missed = dict.fromkeys(trackers, 0)
        self.warn = warn

    def start(self, run: Path, params: JsonObject, images: int) -> None:
        """See `Tracker`."""
        self._ask(lambda tracker: tracker.start(run, params, images))

    def scalars(self, values: Mapping[str, float | None], images: int) -> None:
        """See `Tracker`; numbers that are not finite are None and left out."""
        finite = {name: value for name, value in values.items() if value is not None}
        self._ask(lambda tracker: tracker.scalars(finite, images))

    def picture(self, name: str, png: bytes, images: int) -> None:
        """See `Tracker`."""
        self._ask(lambda tracker: tracker.picture(name, png, images))

    def file(self, path: Path) -> None:
        """See `Tracker`."""
        self._ask(lambda tracker: tracker.file(path))

    def close(self) -> None:
        """See `Tracker`; logs how much was missed."""
        self._ask(lambda tracker: tracker.close())
        for tracker, count in self.missed.items():
            if count:
                self.warn(f"{tracker.name}: {count} entries could not be written")

    def _ask(self, call: Callable[[Tracker], None]) -> None:
        for tracker in self.missed:
            try:
                call(tracker)
            except Exception as error:  # noqa: BLE001 - whatever happens there, training continues
                if not self.missed[tracker]:
                    self.warn(f"{tracker.name} fails ({error}); training continues")
                self.missed[tracker] += 1


def installed(kinds: Sequence[type[Tracker]]) -> list[Tracker]:
    """Those trackers whose packages are there."""
    return [kind() for kind in kinds if importlib.util.find_spec(kind.package) is not None]
