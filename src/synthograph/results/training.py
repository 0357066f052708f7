"""What a run writes of its training: `stats.jsonl` and `best.json`."""

from typing import Annotated

from synthograph.results.base import (
    Count,
    Document,
    Ends,
    FileName,
    IfGiven,
    Kimg,
    Many,
    Plain,
    Private,
    Prose,
    Schema,
)
from synthograph.results.environment import Environment


class Statistic(Schema):
    """A statistic since the last status line."""

    num: float | None = None
    mean: float | None = None
    std: float | None = None


class StatusLine(Schema, extra="allow"):
    """A line of `stats.jsonl`: statistics by name, such as `Progress/kimg`, alarms since the last
    line, and seconds since 1970.
    """

    __pydantic_extra__: dict[str, Statistic]

    alarms: Many[Prose] = ()
    timestamp: IfGiven[float | None] = None

    def mean(self, name: str) -> float | None:
        """The mean of a statistic; None where the line lacks it."""
        found = (self.model_extra or {}).get(name)
        return None if found is None else found.mean


class BestSnapshot(Document):
    """`best.json`: the snapshot of a run that its held-out images choose.

    Attributes:
        measure: that chose it; `value` and `interval` are its.
        kimg: thousands of images that the snapshot had seen.
        extractor: of the run's measures of features; None in files of before it was recorded.
    """

    snapshot: FileName
    sha256: str
    measure: str
    value: float | None
    interval: Ends | None
    kimg: Kimg
    extractor: str | None = None


class SnapshotRecord(Schema):
    """What a reader of results needs of the document in a snapshot's header.

    Attributes:
        images_seen: real images shown to it.
        images_hash: of the archive that it was trained on, as are `manifest_hash` and `split`.
        group_digests: one per patient of the training set; `image_digests`: one per image.
        environments: where it was trained, in turn; none in older files.
        initialised_from: the document of the network whose weights it began with.
    """

    images_seen: Count | None = None
    classes: Many[str] = ()
    images_hash: str | None = None
    manifest_hash: str | None = None
    split: str | None = None
    group_digests: Annotated[tuple[str, ...], Private] = ()
    image_digests: Annotated[tuple[str, ...], Private] = ()
    package_version: str = ""
    environments: Many[Environment] = ()
    initialised_from: Annotated[dict[str, Plain] | None, Private] = None
