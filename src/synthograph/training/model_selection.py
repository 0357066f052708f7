"""Which snapshot is best, and when a run has stopped getting better.

Measures of snapshots come from a callable. They are part of the saved state, and every decision is
a function of them, so a resumed run decides alike.

A snapshot of which a class is too much alike is not the best while there is one without: a
distance over all images hardly sees it where the class is small, and precision prefers it. One that
is much worse does not count, such as the first snapshots of a run, whose images are noise.

Of networks that grow, snapshots of smaller images are only the best until there is one of the last
size, and patience begins with it: whenever layers are added, images get worse for a while.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from synthograph.core.files import sha256_file
from synthograph.core.interval import Interval
from synthograph.models.snapshot_files import kimg_of
from synthograph.results.evaluation import ResultLine
from synthograph.results.training import BestSnapshot
from synthograph.training.config import RunConfig
from synthograph.training.run import RunDirectory
from synthograph.training.state import Score, ScoredSnapshot, TrainingProgress

WORSE = 2.0
"""A snapshot that is so many times as bad takes no other's place."""


@dataclass(frozen=True)
class Measured:
    """What was found of a snapshot: by held-out images, for `metrics.jsonl`, and for the log."""

    scores: Sequence[Score] = ()
    lines: Sequence[ResultLine] = ()
    log_lines: Sequence[str] = ()


def record_scores(
    progress: TrainingProgress, path: Path, scores: Sequence[Score], *, grown: bool = True
) -> None:
    """Remember what was found of the snapshot at `path`, which shows `progress.images`."""
    if scores:
        found = ScoredSnapshot(path.name, sha256_file(path), progress.images, scores, grown)
        progress.measured.append(found)


@dataclass(frozen=True, order=True)
class _Ranked:
    """How bad a snapshot is by the measure that chooses, and its place among those measured."""

    bad: float
    place: int
    alike: bool

    def near(self, other: "_Ranked") -> bool:
        """Whether this one is not much worse than another."""
        return self.bad <= max(WORSE * other.bad, other.bad / WORSE)


def _ranked(progress: TrainingProgress) -> list[_Ranked]:
    """Every snapshot that is still there and has a number, the best by it first; those that are
    not grown only where none is.
    """
    newest = {entry.snapshot: place for place, entry in enumerate(progress.measured)}
    grown = [place for place in newest.values() if progress.measured[place].grown]
    found = []
    for place in grown or newest.values():
        entry = progress.measured[place]
        score = entry.leading
        if score is not None and score.value is not None:
            bad = score.value if score.smaller else -score.value
            found.append(_Ranked(bad, place, bool(entry.too_alike())))
    return sorted(found)


def _chosen(found: Sequence[_Ranked]) -> _Ranked:
    """The best one that is varied, unless it is much worse than the best of all."""
    varied = next((each for each in found if not each.alike), found[0])
    return varied if varied.near(found[0]) else found[0]


def best(progress: TrainingProgress) -> tuple[ScoredSnapshot, Score] | None:
    """The best snapshot that is still there, the earliest of equals, and the number it is best by;
    None where nothing chooses.
    """
    found = _ranked(progress)
    if not found:
        return None
    entry = progress.measured[_chosen(found).place]
    assert entry.leading is not None, "only such entries are ranked"
    return entry, entry.leading


def since_best(progress: TrainingProgress) -> int:
    """Snapshots with a number that came after the best one."""
    found = _ranked(progress)
    return sum(each.place > _chosen(found).place for each in found)


def patience_exhausted(progress: TrainingProgress, patience: int | None) -> bool:
    """Whether the last `patience` snapshots brought nothing better."""
    if patience is None or not any(entry.grown for entry in progress.measured):
        return False
    return since_best(progress) >= patience


def best_document(progress: TrainingProgress, extractor: str) -> BestSnapshot | None:
    """The best snapshot for `best.json`, measured by an extractor."""
    found = best(progress)
    if found is None:
        return None
    entry, score = found
    return BestSnapshot(
        snapshot=entry.snapshot,
        sha256=entry.sha256,
        measure=score.name,
        value=score.value,
        interval=None if score.interval is None else Interval(*score.interval),
        kimg=kimg_of(Path(entry.snapshot), entry.images),
        extractor=extractor,
    )


def describe_best(progress: TrainingProgress) -> str | None:
    """The best snapshot in words; None where nothing chooses."""
    found = best(progress)
    if found is None:
        return None
    entry, score = found
    since = since_best(progress)
    after = "" if not since else f"; {since} snapshot{'s' * (since > 1)} since then"
    said = f"best by {score.name}: {entry.snapshot} with {score.value:.3g}{after}"
    if alike := entry.too_alike():
        classes = ", ".join(alike)
        return f"{said}; its images are too much alike ({classes}), as others are, or are far worse"
    each = _ranked(progress)
    better = each[: each.index(_chosen(each))]
    if not better:
        return said
    names = ", ".join(progress.measured[one.place].snapshot for one in better)
    return f"{said}; passed over, since images of a class are too much alike: {names}"


def write_best(run: RunDirectory, config: RunConfig, progress: TrainingProgress) -> None:
    """Write the best snapshot of the state to `best.json`, if the run measures any."""
    if config.metrics.measures:
        run.write_best(best_document(progress, config.metrics.features))
