"""What a run writes of its training: `stats.jsonl` and `best.json`."""

from collections.abc import Collection
from typing import ClassVar

from synthograph.results.base import Count, Document, Ends, Many, Prose, Result


class Statistic(Result):
    """A statistic since the last status line."""

    num: float | None = None
    mean: float | None = None
    std: float | None = None


class StatusLine(Result, extra="allow"):
    """A line of `stats.jsonl`: statistics by name, such as `Progress/kimg`.

    Attributes:
        alarms: since the last line.
        timestamp: seconds since 1970.
    """

    __pydantic_extra__: dict[str, Statistic]
    sparse: ClassVar[Collection[str]] = ("timestamp",)

    alarms: Many[Prose] = ()
    timestamp: float | None = None

    def mean(self, name: str) -> float | None:
        """The mean of a statistic; None where the line lacks it."""
        found = (self.model_extra or {}).get(name)
        return None if found is None else found.mean


class BestSnapshot(Document):
    """`best.json`: the snapshot of a run that its held-out images choose.

    Attributes:
        snapshot: its file.
        sha256: hash of it.
        measure: that chose it.
        value: of the measure.
        interval: low end, high end and level.
        kimg: thousands of images that it had seen.
    """

    snapshot: str
    sha256: str
    measure: str
    value: float | None
    interval: Ends | None
    kimg: Count
