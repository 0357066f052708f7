"""What a run writes of its training: `stats.jsonl` and `best.json`."""

from collections.abc import Collection
from typing import Annotated, ClassVar

from synthograph.results.base import (
    Count,
    Document,
    Ends,
    FileName,
    Many,
    Plain,
    Private,
    Prose,
    Schema,
)


class Statistic(Schema):
    """A statistic since the last status line."""

    num: float | None = None
    mean: float | None = None
    std: float | None = None


class StatusLine(Schema, extra="allow"):
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

    snapshot: FileName
    sha256: str
    measure: str
    value: float | None
    interval: Ends | None
    kimg: Count


class SnapshotRecord(Schema):
    """What a reader of results needs of the document in a snapshot's header.

    Attributes:
        images_seen: real images shown to it.
        classes: names.
        images_hash: of the archive that it was trained on.
        manifest_hash: likewise.
        split: that it was trained on.
        group_digests: one per patient of the training set.
        image_digests: one per image of the training set.
        package_version: that trained it.
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
    initialised_from: Annotated[dict[str, Plain] | None, Private] = None
