"""Measures and numbers in words that a reader understands without the papers."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Words:
    """How to speak of a measure.

    Attributes:
        title: its name for readers.
        says: what it says, in one sentence.
        better: "low" or "high"; empty where neither is.
        share: whether it is a share of images, said in percent.
    """

    title: str
    says: str
    better: str = ""
    share: bool = False


MEASURES = {
    "frechet": Words(
        "Fréchet distance",
        "How far the generated images as a whole lie from the real ones; 0 is the same.",
        "low",
    ),
    "kernel": Words(
        "Kernel distance",
        "The same question asked in a way that is fair for few images; 0 is the same.",
        "low",
    ),
    "precision": Words(
        "Precision",
        "Share of generated images that lie where real images lie: do they look real?",
        "high",
        share=True,
    ),
    "recall": Words(
        "Recall",
        "Share of real images that lie where generated images lie: is all that is real also made?",
        "high",
        share=True,
    ),
    "density": Words(
        "Density",
        "How crowded with real images the places are where generated images lie; 1 is as real.",
        "high",
    ),
    "coverage": Words(
        "Coverage",
        "Share of real images that have a generated one among their neighbours.",
        "high",
        share=True,
    ),
    "inception_score": Words(
        "Inception score",
        "How clearly a network for photographs recognises things; tells little of medical images.",
    ),
    "spectrum": Words(
        "Spectrum",
        "Difference of fine and coarse structure of the pixels, in decibels; 0 is the same.",
        "low",
    ),
    "ms_ssim": Words(
        "Similarity of pairs",
        "How alike two generated images are on average (MS-SSIM); far above the real images' "
        "value means that they repeat themselves.",
    ),
}

NARROW = "\N{NO-BREAK SPACE}"

FAITHFUL = ("frechet", "kernel", "precision")
"""Measures that answer whether generated images look real."""
DIVERSE = ("recall", "coverage")
"""Measures that answer whether they are as varied as real ones."""


def words_of(measure: str) -> Words:
    """How to speak of a measure; one that is not known is called by its name."""
    return MEASURES.get(measure, Words(measure, ""))


def number(value: float | None) -> str:
    """Three digits that count, without powers of ten where a reader can do without."""
    if value is None:
        return "–"
    size = abs(value)
    if value == 0:
        return "0"
    if size >= 1000:
        return count(value).replace("-", "−")
    if size < 1e-5:
        return f"{value:.1e}".replace("-", "−")
    digits = next(d for d in range(9) if size >= 10 ** (2 - d))
    return f"{value:.{digits}f}".replace("-", "−")


def amount(measure: str, value: float | None) -> str:
    """A value of a measure: shares in percent."""
    if value is None or not words_of(measure).share:
        return number(value)
    return percent(value)


def percent(share: float | None) -> str:
    """A share in percent; small ones with a digit behind the point."""
    if share is None:
        return "–"
    digits = 0 if share == 0 or share >= 0.0995 else 1
    return f"{100 * share:.{digits}f}{NARROW}%"


def duration(hours: float) -> str:
    """A time in the unit that fits it."""
    if hours >= 1:
        return f"{number(hours)} hours"
    return f"{number(60 * hours)} minutes" if hours * 60 >= 1 else f"{number(3600 * hours)} seconds"


def count(value: float | None) -> str:
    """A whole number with spaces between thousands."""
    return "–" if value is None else f"{value:,.0f}".replace(",", NARROW)


def listed(names: list[str], most: int = 6) -> str:
    """Names with commas and "and"; of many the first few."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def several(value: int, one: str, many: str | None = None) -> str:
    """A count with its noun in the right number."""
    return f"{count(value)} {one if value == 1 else many or one + 's'}"
