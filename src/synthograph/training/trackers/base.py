"""What a tracker of runs is asked to do, and what happens when it cannot."""

import abc
import enum
import importlib.util
import queue
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import ClassVar

from synthograph.core.addresses import hidden
from synthograph.core.errors import StoppedError, UserError, one_line
from synthograph.core.untrusted.documents import JsonObject
from synthograph.training.config import TrackingConfig

QUEUE = 256
"""Entries that wait for a tracker at most; further ones are dropped and counted."""
PATIENCE = 30.0
"""Seconds that the end of a run waits for its trackers."""


class Outcome(enum.Enum):
    """How a sitting of a run ended."""

    FINISHED = enum.auto()
    STOPPED = enum.auto()
    FAILED = enum.auto()

    @classmethod
    def of(cls, error: BaseException | None) -> "Outcome":
        """How it ended, by what was raised."""
        if error is None:
            return cls.FINISHED
        return cls.STOPPED if isinstance(error, StoppedError) else cls.FAILED


def failure(error: Exception) -> str:
    """What failed, on one line that shows no credentials."""
    return one_line(hidden(str(error) or repr(error)))


class Tracker(abc.ABC):
    """A place outside the run directory that shows how a run goes.

    Its methods are called one by one in a thread of their own. Every one may raise or take its
    time: training continues. A tracker ignores what it has no use for.

    Args:
        settings: where and under which names.
        unit: what the progress of a run is counted in, and `images` means in the calls below: of a
            classifier and a segmenter it is steps.
    """

    name: ClassVar[str]
    """What `--tracker` calls it."""
    package: ClassVar[str]
    """Package that it needs."""
    extra: ClassVar[str] = ""
    """Extra that brings the package."""

    def __init__(self, settings: TrackingConfig | None = None, unit: str = "images") -> None:
        self.settings, self.unit = settings or TrackingConfig(), unit

    @classmethod
    def installed(cls) -> bool:
        """Whether its package is there."""
        return importlib.util.find_spec(cls.package) is not None

    def title(self, run: Path) -> str:
        """What to call a run: its name; for parts of another one, whose names are alike, with the
        folders of the part.
        """
        return run.name if self.settings.parent is None else "/".join(run.resolve().parts[-3:])

    def check(self) -> None:
        """Called before a new run, in the caller's thread.

        Raises:
            UserError: it cannot follow any run.
        """
        if not self.installed():
            raise UserError(
                f"--tracker {self.name}: its package is missing; pip install "
                f"'synthograph[{self.extra}]' brings it"
            )

    @abc.abstractmethod
    def start(self, run: Path, params: JsonObject, images: int) -> None:
        """Begin to follow a run. Called again before the next entry where it failed.

        Args:
            run: its directory.
            params: its configuration tree.
            images: images seen; above 0 the run is resumed, and entries of later ones are void.
        """

    @abc.abstractmethod
    def scalars(self, values: Mapping[str, float], images: int) -> None:
        """Numbers by name, all finite, at an image count."""

    def picture(self, name: str, png: bytes, images: int) -> None:
        """A picture of synthetic images, under its file name."""
        return None

    def file(self, path: Path) -> None:
        """A file of the run was written: its configuration, a snapshot."""
        return None

    @abc.abstractmethod
    def close(self, outcome: Outcome) -> None:
        """Nothing more comes of this sitting."""


Entry = Callable[[Tracker], None]


class _Follower:
    """A tracker, the entries that wait for it, and the thread that hands them over."""

    def __init__(self, tracker: Tracker, start: Entry) -> None:
        self.tracker, self.missed = tracker, 0
        self.failure: str | None = None
        self._start: Entry | None = start
        self._entries: queue.Queue[Entry] = queue.Queue(QUEUE)
        self._last: Entry | None = None
        self._thread = threading.Thread(target=self._work, name=tracker.name, daemon=True)
        self._thread.start()

    def tell(self, entry: Entry) -> None:
        """Have the tracker do this later, if it is not too far behind."""
        try:
            self._entries.put_nowait(entry)
        except queue.Full:
            self.missed += 1

    def end(self, entry: Entry, deadline: float) -> bool:
        """Have the tracker do this last; whether it was done before the deadline."""
        self._last = entry
        try:
            self._entries.put(entry, timeout=max(deadline - time.monotonic(), 0.01))
            self._thread.join(max(deadline - time.monotonic(), 0.01))
        except queue.Full:
            self.missed += 1
        done = not self._thread.is_alive()
        self.missed += 0 if done else self._entries.qsize() + 1
        return done

    def _work(self) -> None:
        entry = None
        while entry is None or entry is not self._last:
            entry = self._entries.get()
            try:
                if self._start is not None:
                    self._start(self.tracker)
                    self._start = None
                entry(self.tracker)
            except Exception as error:  # noqa: BLE001 - whatever happens there, training continues
                self.missed += 1
                self.failure = self.failure or failure(error)


class Trackers:
    """All trackers of a run. None of them stops training or has it wait: each has a queue, and what
    it could not take is counted. As a context it waits for them at the end, for `PATIENCE` seconds.

    Args:
        trackers: where the run is followed.
        warn: gets a line for the log: the first failure of each, and how much was missed.
    """

    def __init__(self, trackers: Sequence[Tracker], warn: Callable[[str], None]) -> None:
        self._trackers, self._warn = trackers, warn
        self._followers: list[_Follower] = []
        self._told: set[_Follower] = set()

    def start(self, run: Path, params: JsonObject, images: int) -> None:
        """See `Tracker`."""
        self._followers = [
            _Follower(each, lambda tracker: tracker.start(run, params, images))
            for each in self._trackers
        ]
        self._tell(lambda tracker: None)  # so that runs are listed from their beginning

    def scalars(self, values: Mapping[str, float | None], images: int) -> None:
        """See `Tracker`; numbers that are not finite are None and left out."""
        finite = {name: value for name, value in values.items() if value is not None}
        self._tell(lambda tracker: tracker.scalars(finite, images))

    def picture(self, name: str, png: bytes, images: int) -> None:
        """See `Tracker`."""
        self._tell(lambda tracker: tracker.picture(name, png, images))

    def file(self, path: Path) -> None:
        """See `Tracker`."""
        self._tell(lambda tracker: tracker.file(path))

    def __enter__(self) -> "Trackers":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        outcome = Outcome.of(error)
        deadline = time.monotonic() + PATIENCE
        for each in self._followers:
            done = each.end(lambda tracker: tracker.close(outcome), deadline)
            self._say_failure(each)
            late = "" if done else f" within {PATIENCE:g} s of the end"
            if each.missed:
                self._warn(f"{each.tracker.name}: {each.missed} entries could not be written{late}")
        self._followers = []

    def _tell(self, entry: Entry) -> None:
        for each in self._followers:
            each.tell(entry)
            self._say_failure(each)

    def _say_failure(self, follower: _Follower) -> None:
        if follower.failure is not None and follower not in self._told:
            self._told.add(follower)
            self._warn(f"{follower.tracker.name} fails ({follower.failure}); training continues")
