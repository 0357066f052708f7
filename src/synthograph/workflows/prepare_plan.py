"""What `prepare --dry-run` says."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from synthograph.archive.advice import NO_GROUPS, NOT_STATED
from synthograph.archive.cohort_note import CohortNote
from synthograph.archive.prepare import PrepareOptions, Rejects
from synthograph.core.names import first_few
from synthograph.core.record import SourceItem
from synthograph.core.request import Result


@dataclass(frozen=True, repr=False)
class PreparePlan(Result):
    """What would be prepared, by tables and names alone; no image was decoded.

    Attributes:
        archive: where it would be.
        images: how many.
        classes: images per class.
        groups: how many groups there are.
        ungrouped: images without one.
        splits: images per split.
        crossing: groups that are in several splits.
        invariances: what would be stated; None where nobody said.
        rejects: what cannot be used.
        cohort: what the archive would say of its cohort.
    """

    archive: Path
    images: int
    classes: Mapping[str, int]
    groups: int
    ungrouped: int
    splits: Mapping[str, int]
    crossing: Sequence[str]
    invariances: Sequence[str] | None
    rejects: Rejects
    cohort: CohortNote | None

    def lines(self) -> Iterator[str]:
        """The same in words."""
        yield f"{self.archive}: would hold {self.images} images; nothing is decoded or written"
        yield from (f"  class {name}: {count}" for name, count in self.classes.items())
        if self.invariances is None:
            yield f"note: {NOT_STATED}"
        else:
            yield f"  invariances: {', '.join(self.invariances) or 'none'}"
        yield f"  groups: {self.groups}" if self.groups else f"warning: {NO_GROUPS}"
        if self.groups and self.ungrouped:
            yield f"warning: {self.ungrouped} images have no group though others have one"
        if self.splits:
            yield f"  split: {', '.join(f'{name} {n}' for name, n in self.splits.items())}"
        if self.crossing:
            yield (
                f"warning: {len(self.crossing)} of {self.groups} groups are in two splits: "
                f"{first_few(self.crossing)}"
            )
        if self.rejects:
            file, reason = self.rejects[0]
            yield (
                f"  rejected: {len(self.rejects)}, the first: {file}: {reason}; only with "
                "--allow-rejects is an archive made without them"
            )
        yield from () if self.cohort is None else self.cohort.lines()


def plan(
    dest: Path, items: Sequence[SourceItem], rules: PrepareOptions, rejects: Rejects
) -> PreparePlan:
    """Count what would be prepared."""
    items = _needed(items)
    splits = Counter(item.split for item in items if item.split)
    parts = {(item.group, item.split) for item in items if item.group and item.split}
    several = Counter(group for group, _ in parts)
    classes = Counter(item.label for item in items if item.label is not None)
    order = rules.classes if rules.classes is not None else sorted(classes)
    return PreparePlan(
        archive=dest,
        images=len(items),
        classes={name: classes[name] for name in order},
        groups=len({item.group for item in items if item.group}),
        ungrouped=sum(not item.group for item in items),
        splits={name: splits[name] for name in ("train", "val", "test") if splits[name]},
        crossing=sorted(group for group, count in several.items() if group and count > 1),
        invariances=rules.invariances,
        rejects=rejects,
        cohort=rules.cohort,
    )


def _needed(items: Sequence[SourceItem]) -> list[SourceItem]:
    """Items without those that are there in case that others come to nothing."""
    seen, needed = Counter[str](), []
    for item in items:
        name, most = item.most or ("", 1)
        seen[name] += item.most is not None
        if seen[name] <= most:
            needed.append(item)
    return needed
