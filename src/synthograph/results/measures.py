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
    neither are; whether it is a share, said in percent; whether it is of synthetic images alone.
    """

    title: str
    says: str = ""
    better: Direction | None = None
    share: bool = False
    alone: bool = False


MEASURES = {
    "frechet": About(
        "Fréchet distance",
        "How far the synthetic images, taken together, lie from the real ones; 0 means equal.",
        Direction.LOW,
    ),
    "kernel": About(
        "Distance of the sets (kernel)",
        "How far the two sets lie apart, by a formula that stays right for few images; about 0 "
        "means equal.",
        Direction.LOW,
    ),
    "precision": About(
        "Precision",
        "Share of synthetic images that resemble some real image: do they look real?",
        Direction.HIGH,
        share=True,
    ),
    "recall": About(
        "Recall",
        "Share of real images that resemble some synthetic image: is everything real covered?",
        Direction.HIGH,
        share=True,
    ),
    "density": About(
        "Density",
        "How many real images resemble a synthetic one; 1 is as many as resemble a real one.",
        Direction.HIGH,
    ),
    "coverage": About(
        "Coverage",
        "Share of real images with a synthetic image as near as their fifth nearest real one.",
        Direction.HIGH,
        share=True,
    ),
    "spread": About(
        "Spread",
        "How far two synthetic images lie apart on average, against two real ones; 1 means equally "
        "far, 0 that all look the same.",
        Direction.HIGH,
    ),
    "repetition": About(
        "Repetition",
        "Share of synthetic images that have a near duplicate among themselves: nearer than half "
        "the distance that real images of different patients keep.",
        Direction.LOW,
        share=True,
    ),
    "noise_share": About(
        "Noise share",
        "Share of the variety that is lost where all images have the same noise inputs; 0 means "
        "that these decide nothing larger than an eighth of the image's longer side.",
        Direction.LOW,
        share=True,
        alone=True,
    ),
    "inception_score": About(
        "Inception score",
        "How clearly a network for photographs recognises everyday things; it tells little of "
        "medical images.",
        alone=True,
    ),
    "spectrum": About(
        "Spectrum",
        "Whether fine and coarse detail is as strong as in real images, in decibels; 0 means "
        "equal.",
        Direction.LOW,
    ),
    "ms_ssim": About(
        "Similarity of pairs",
        "How alike two synthetic images are on average (MS-SSIM). Far above the value of real "
        "images, the set repeats itself.",
    ),
}


def about(measure: str) -> About:
    """A measure for its readers; one that is not known is called by its name."""
    return MEASURES.get(measure, About(measure))
