"""Which snapshot is best, and when a run has stopped getting better.

Measures of snapshots come from a callable. They are part of the saved state, and every decision is
a function of them, so a resumed run decides alike.

A snapshot that repeats itself within a class is best only where all others do, too: a distance over
all images hardly sees it where the class is small, and precision prefers it.
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


@dataclass(frozen=True)
class Measured:
    """What was found of a snapshot: by held-out images, for `metrics.jsonl`, and for the log."""

    scores: Sequence[Score] = ()
    lines: Sequence[ResultLine] = ()
    log_lines: Sequence[str] = ()


def record_scores(progress: TrainingProgress, path: Path, scores: Sequence[Score]) -> None:
    """Remember what was found of the snapshot at `path`, which shows `progress.images`."""
    if scores:
        found = ScoredSnapshot(path.name, sha256_file(path), progress.images, scores)
        progress.measured.append(found)


def ranked(progress: TrainingProgress) -> list[tuple[tuple[bool, float], int]]:
    """Every snapshot that is still there: how bad it is (whether it repeats itself, then the
    measure that chooses), and its place among those measured.
    """
    newest = {entry.snapshot: place for place, entry in enumerate(progress.measured)}
    found = []
    for place in newest.values():
        entry = progress.measured[place]
        score = entry.leading
        if score is not None and score.value is not None:
            bad = score.value if score.smaller else -score.value
            found.append(((bool(entry.repeated), bad), place))
    return found


def best(progress: TrainingProgress) -> tuple[ScoredSnapshot, Score] | None:
    """The best snapshot that is still there, the earliest of equals, and the number it is best by;
    None where nothing chooses.
    """
    found = ranked(progress)
    if not found:
        return None
    entry = progress.measured[min(found)[1]]
    assert entry.leading is not None, "only such entries are ranked"
    return entry, entry.leading


def since_best(progress: TrainingProgress) -> int:
    """Snapshots with a number that came after the best one."""
    found = ranked(progress)
    place = min(found)[1] if found else 0
    return sum(other > place for _, other in found)


def patience_exhausted(progress: TrainingProgress, patience: int | None) -> bool:
    """Whether the last `patience` snapshots brought nothing better."""
    return patience is not None and since_best(progress) >= patience


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
    if entry.repeated:
        return f"{said}; its images repeat themselves ({', '.join(entry.repeated)}), as all do"
    (_, bad), _ = min(ranked(progress))
    passed = [
        progress.measured[place].snapshot
        for (repeats, value), place in ranked(progress)
        if repeats and value < bad
    ]
    if not passed:
        return said
    return f"{said}; passed over, since a class repeats itself: {', '.join(passed)}"


def write_best(run: RunDirectory, config: RunConfig, progress: TrainingProgress) -> None:
    """Write the best snapshot of the state to `best.json`, if the run measures any."""
    if config.metrics.measures:
        run.write_best(best_document(progress, config.metrics.features))
