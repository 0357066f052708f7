"""Which snapshot is best, and when a run has stopped getting better.

Measures of snapshots come from a callable. They are part of the saved state, and every decision is
a function of them, so a resumed run decides alike.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from synthograph.core.files import sha256_file
from synthograph.core.interval import Interval
from synthograph.results.evaluation import ResultLine
from synthograph.results.training import BestSnapshot
from synthograph.training.config import RunConfig
from synthograph.training.run import RunDirectory
from synthograph.training.state import Progress


@dataclass(frozen=True)
class Score:
    """A measure of a snapshot by images that were held out.

    Attributes:
        name: of the measure.
        value: the number; None where there is none.
        interval: low end, high end and level; None where it is unknown.
        smaller: whether smaller numbers are better.
        leads: whether this measure chooses the best snapshot. One of a run does.
    """

    name: str
    value: float | None
    interval: tuple[float, float, float] | None
    smaller: bool
    leads: bool = False


@dataclass(frozen=True)
class Measured:
    """What was found of a snapshot.

    Attributes:
        scores: measures by held-out images.
        lines: entries for `metrics.jsonl`.
        log_lines: lines for the log.
    """

    scores: Sequence[Score] = ()
    lines: Sequence[ResultLine] = ()
    log_lines: Sequence[str] = ()


def record_scores(progress: Progress, path: Path, scores: Sequence[Score]) -> None:
    """Remember what was found of the snapshot at `path`, which shows `progress.images`."""
    if scores:
        progress.measured.append(
            {
                "snapshot": path.name,
                "sha256": sha256_file(path),
                "images": progress.images,
                "scores": [asdict(score) for score in scores],
            }
        )


def scores_of(entry: Mapping[str, Any]) -> dict[str, Score]:
    """The measures of an entry of `Progress.measured`, by name."""
    found: dict[str, Score] = {}
    for each in entry["scores"]:
        ends = each["interval"]
        found[each["name"]] = Score(**{**each, "interval": None if ends is None else tuple(ends)})
    return found


def leading(entry: Mapping[str, Any]) -> Score | None:
    """The measure that chooses, if it has a value."""
    every = scores_of(entry).values()
    return next((score for score in every if score.leads and score.value is not None), None)


def ranked(progress: Progress) -> list[tuple[float, int]]:
    """Every snapshot that is still there: how bad it is, and its place among those measured."""
    newest = {entry["snapshot"]: place for place, entry in enumerate(progress.measured)}
    found = []
    for place in newest.values():
        score = leading(progress.measured[place])
        if score is not None and score.value is not None:
            found.append((score.value if score.smaller else -score.value, place))
    return found


def best(progress: Progress) -> tuple[dict[str, Any], Score] | None:
    """The best snapshot that is still there, the earliest of equals, and the number it is best by;
    None where nothing chooses.
    """
    found = ranked(progress)
    if not found:
        return None
    entry = progress.measured[min(found)[1]]
    score = leading(entry)
    assert score is not None, "only such entries are ranked"
    return entry, score


def since_best(progress: Progress) -> int:
    """Snapshots with a number that came after the best one."""
    found = ranked(progress)
    place = min(found)[1] if found else 0
    return sum(other > place for _, other in found)


def patience_exhausted(progress: Progress, patience: int | None) -> bool:
    """Whether the last `patience` snapshots brought nothing better."""
    return patience is not None and since_best(progress) >= patience


def best_document(progress: Progress) -> BestSnapshot | None:
    """The best snapshot for `best.json`."""
    found = best(progress)
    if found is None:
        return None
    entry, score = found
    return BestSnapshot(
        snapshot=entry["snapshot"],
        sha256=entry["sha256"],
        measure=score.name,
        value=score.value,
        interval=None if score.interval is None else Interval(*score.interval),
        kimg=entry["images"] // 1000,
    )


def describe_best(progress: Progress) -> str | None:
    """The best snapshot in words; None where nothing chooses."""
    found = best(progress)
    if found is None:
        return None
    entry, score = found
    since = since_best(progress)
    after = "" if not since else f"; {since} snapshot{'s' * (since > 1)} since then"
    return f"best by {score.name}: {entry['snapshot']} with {score.value:.3g}{after}"


def write_best(run: RunDirectory, config: RunConfig, progress: Progress) -> None:
    """Write the best snapshot of the state to `best.json`, if the run measures any."""
    if config.metrics.measures:
        run.write_best(best_document(progress))
