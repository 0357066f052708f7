"""Numbers as a reader expects them."""

from collections.abc import Sequence

from synthograph.results.evaluation import Scope
from synthograph.results.measures import about

NARROW = "\N{NO-BREAK SPACE}"
SCORES = {
    "auroc": "AUROC",
    "macro_f1": "macro F1",
    "brier": "Brier score",
    "dice": "Dice",
    "iou": "IoU",
}
"""Scores whose names are no words."""


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
    if value is None or not about(measure).share:
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


def scope_name(scope: Scope) -> str:
    """A part of the images, for readers."""
    return "all images" if scope.whole else str(scope)


def as_sentence(text: str) -> str:
    """Words with a capital in front, unless they begin with a name, such as cells.zip."""
    plain = text.partition(" ")[0].strip(",:;").isalpha()
    return text[:1].upper() + text[1:] if plain else text


def listed(names: Sequence[str], most: int = 6) -> str:
    """Names with commas and "and"; of many the first few."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most} more"
    if len(names) < 2:
        return "".join(names)
    return f"{', '.join(names[:-1])} and {names[-1]}"


def several(value: int, one: str, many: str | None = None) -> str:
    """A count with its noun in the right number."""
    return f"{count(value)} {one if value == 1 else many or one + 's'}"


def score_words(score: str) -> str:
    """The name of a score for readers."""
    return SCORES.get(score, score.replace("_", " "))
