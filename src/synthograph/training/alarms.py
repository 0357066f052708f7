"""Warnings about a run that is going wrong, from its own statistics."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from synthograph.results.diversity import NOISE_SHARE, REPEATING, REPETITION, SPREAD
from synthograph.training.state import ALL, Score, ScoredSnapshot, TrainingProgress
from synthograph.training.stats import RunningMoments

SATURATED = 0.99
"""Mean sign of the logits from which the discriminators count as never wrong."""
ENOUGH = 1000
"""Fewest logits for such a mean."""
FLAT = 0.05
"""Fraction of the real images' spread below which synthetic images count as all the same."""
COLLAPSED = "synthetic images are nearly all the same"
"""How the alarm about them begins."""
MORE_VARIETY = (
    "more training, more augmentation (--aug ada), more real images of the class, or, where the "
    "family has it, a higher --gamma help"
)
LESS_NOISE = (
    "more training helps if they still look grainy, an earlier snapshot if they did not before; "
    "--set model.noise=false, where the family has it, trains without, at the cost of detail"
)

FIDELITY, DIVERSITY = "frechet", ("recall", "coverage")
"""Measures by held-out images, as `metrics.names` calls them."""


def of_tick(progress: TrainingProgress, moments: RunningMoments) -> list[str]:
    """Alarms about the statistics since the last tick; a lasting condition is reported once."""
    found = []
    if progress.non_finite:
        found.append(_non_finite(progress, moments))
    if new(progress, "saturated", _saturated(moments)):
        found.append(
            "the discriminator is never wrong any more (signs of real images "
            f"{moments.mean('Loss/signs/real'):+.2f}, of synthetic ones "
            f"{moments.mean('Loss/signs/fake'):+.2f}), so the generator learns little: more "
            "augmentation (--aug ada), more images, or, where the family has it, a higher --gamma "
            "help"
        )
    return found


def of_pictures(progress: TrainingProgress, spread: float, real_spread: float) -> list[str]:
    """Alarms about synthetic images that are all alike.

    Args:
        progress: remembers what was reported.
        spread: `spread` of synthetic images.
        real_spread: the same of as many real ones.
    """
    if not new(progress, "constant", spread < FLAT * real_spread):
        return []
    return [
        f"{COLLAPSED} (they differ by {spread:.3g}, real ones by "
        f"{real_spread:.3g}): the generator collapsed; an earlier snapshot, a lower learning rate, "
        "or, where the family has it, a higher --gamma help"
    ]


@dataclass(frozen=True)
class _Point:
    """A measure of diversity of a snapshot, with its ends, and the Frechet distance beside it."""

    snapshot: str
    value: float
    low: float
    high: float
    distance: float

    def __str__(self) -> str:
        return f"{self.value:.2f} ({self.low:.2f} .. {self.high:.2f})"


def of_measures(progress: TrainingProgress) -> list[str]:
    """Alarms about the newest snapshot's measures: its images got better and more alike, or those
    of a class repeat themselves.
    """
    return [*_narrower(progress), *_alike(progress)]


def _narrower(progress: TrainingProgress) -> list[str]:
    """A fall counts where the intervals of both snapshots lie apart. Smaller images of networks
    that grow are another thing.
    """
    found, grown = [], progress.measured[-1].grown
    for name in DIVERSITY:
        alike = [entry for entry in progress.measured if entry.grown == grown]
        *before, now = [_point(entry, name) for entry in alike]
        fallen = [
            then
            for then in before
            if then is not None
            and now is not None
            and then.low > now.high
            and then.distance > now.distance
        ]
        if new(progress, f"narrower {name}", bool(fallen)) and now is not None:
            then = max(fallen, key=lambda point: point.low)
            found.append(
                f"{name} fell from {then} at {then.snapshot} to {now} while the Frechet distance "
                f"improved from {then.distance:.3g} to {now.distance:.3g}: images got better and "
                "more alike; see whether rare kinds are still there, or take an earlier snapshot"
            )
    return found


def _alike(progress: TrainingProgress) -> list[str]:
    """Classes of the newest snapshot whose images are too much alike, and were not before."""
    entry, found = progress.measured[-1], []
    kinds = (("repeats", REPEATING, MORE_VARIETY), ("noise", (NOISE_SHARE,), LESS_NOISE))
    for part in dict.fromkeys(score.part for score in entry.scores):
        of_part = {score.name: score for score in entry.scores if score.part == part}
        named = part or ALL
        for key, measures, advice in kinds:
            if new(progress, f"{key} {named}", named in entry.too_alike(*measures)):
                said = _within({name: of_part[name] for name in measures if name in of_part})
                found.append(
                    f"{named}: synthetic images are too much alike ({said}); a snapshot without is "
                    f"preferred, unless it is more than twice as bad; {advice}"
                )
    return found


def _within(scores: Mapping[str, Score]) -> str:
    """How varied images are, in words."""
    words = {
        SPREAD: "they lie {:.2f} times as far apart as real ones",
        REPETITION: "{:.0%} have a near duplicate among them",
        NOISE_SHARE: "{:.0%} of their variety is lost where all have the same noise inputs",
    }
    return ", ".join(
        text.format(scores[name].value)
        for name, text in words.items()
        if name in scores and scores[name].value is not None
    )


def _point(entry: ScoredSnapshot, name: str) -> _Point | None:
    scores = {score.name: score for score in entry.scores if score.part is None}
    score, distance = scores.get(name), scores.get(FIDELITY)
    if score is None or score.value is None or score.interval is None:
        return None
    if distance is None or distance.value is None:
        return None
    low, high, _ = score.interval
    return _Point(entry.snapshot, score.value, low, high, distance.value)


def spread(images: np.ndarray) -> float:
    """Standard deviation over images [n, c, h, w], averaged over the pixels."""
    # line by line, since all images at once would be eight times as large as they are
    lines = [images[:, :, y].astype(np.float64).std(axis=0).mean() for y in range(images.shape[2])]
    return float(np.mean(lines))


def new(progress: TrainingProgress, name: str, holds: bool) -> bool:
    """Whether a condition has just begun to hold."""
    before = name in progress.lasting
    if holds != before:
        progress.lasting = sorted(
            {*progress.lasting, name} if holds else {*progress.lasting} - {name}
        )
    return holds and not before


def _non_finite(progress: TrainingProgress, moments: RunningMoments) -> str:
    counts = [
        f"{name.removeprefix('Nonfinite/')} {int(entry['num'])}"
        for name, entry in moments.summary().items()
        if name.startswith("Nonfinite/")
    ]
    return (
        f"gradients were not finite in {progress.non_finite} phases since the last line "
        f"({', '.join(counts)}); those did not step their optimiser"
    )


def _saturated(moments: RunningMoments) -> bool:
    summary = moments.summary()
    real, fake = (summary.get(f"Loss/signs/{kind}") for kind in ("real", "fake"))
    if real is None or fake is None or real["num"] < ENOUGH:
        return False
    return real["mean"] >= SATURATED and fake["mean"] <= -SATURATED
