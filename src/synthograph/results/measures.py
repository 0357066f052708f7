"""What a reader has to know of every measure: its title, what it says, which values are better."""

import enum
from dataclasses import dataclass


class Direction(enum.StrEnum):
    """Which values of a measure mean better images."""

    LOW = "low"
    HIGH = "high"


@dataclass(frozen=True)
class About:
    """A measure for its readers: what it says, in one sentence; which values are better, None where
    neither are; whether it is a share of images, said in percent.
    """

    title: str
    says: str = ""
    better: Direction | None = None
    share: bool = False


MEASURES = {
    "frechet": About(
        "Fréchet distance",
        "How far the synthetic images as a whole lie from the real ones; 0 is the same.",
        Direction.LOW,
    ),
    "kernel": About(
        "Kernel distance",
        "The same question, answered in a way that is fair for few images; 0 is the same.",
        Direction.LOW,
    ),
    "precision": About(
        "Precision",
        "Share of synthetic images that lie where real images lie: do they look real?",
        Direction.HIGH,
        share=True,
    ),
    "recall": About(
        "Recall",
        "Share of real images that lie where synthetic images lie: is everything real covered?",
        Direction.HIGH,
        share=True,
    ),
    "density": About(
        "Density",
        "How many real images surround the synthetic ones; 1 is as among real images.",
        Direction.HIGH,
    ),
    "coverage": About(
        "Coverage",
        "Share of real images that have a synthetic one among their neighbours.",
        Direction.HIGH,
        share=True,
    ),
    "inception_score": About(
        "Inception score",
        "How clearly a network for photographs recognises things; tells little of medical images.",
    ),
    "spectrum": About(
        "Spectrum",
        "Difference of fine and coarse structure of the pixels, in decibels; 0 is the same.",
        Direction.LOW,
    ),
    "ms_ssim": About(
        "Similarity of pairs",
        "How alike two synthetic images are on average (MS-SSIM); far above the value of real "
        "images means that they repeat themselves.",
    ),
}


def about(measure: str) -> About:
    """A measure for its readers; one that is not known is called by its name."""
    return MEASURES.get(measure, About(measure))
