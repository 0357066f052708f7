"""What a measure says: a number, how sure it is, and what it rests on."""

from dataclasses import dataclass, field, replace
from typing import Any

from synthograph.core.errors import UserError
from synthograph.core.interval import Interval, refuse_nonfinite
from synthograph.stats.sample import Sample


@dataclass(frozen=True)
class Value:
    """One measure of a set of images.

    Attributes:
        name: short name, such as "frechet".
        value: the number; None where there is none, and `notes` says why.
        interval: where what the number estimates lies; None where that is unknown.
        n_real: real images used; 0 for a measure of generated images alone.
        n_fake: generated images used.
        groups_real: different patients among the real images.
        notes: sentences for the reader: reasons, warnings, what was reduced.
        counts: whole numbers behind the value, such as how many images are covered.
        curve: numbers along an axis, for measures that are more than one number.
    """

    name: str
    value: float | None
    interval: Interval | None = None
    n_real: int = 0
    n_fake: int = 0
    groups_real: int = 0
    notes: tuple[str, ...] = ()
    counts: dict[str, int] = field(default_factory=dict)
    curve: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        for number in (self.value, *self.curve):
            if number is not None:
                refuse_nonfinite(self.name, number)
        if self.value is None and not self.notes:
            raise UserError(f"{self.name}: a missing value needs a note that says why")
        if self.value is None and self.interval is not None:
            raise UserError(f"{self.name}: an interval without a value")

    def json(self) -> dict[str, Any]:
        """Plain numbers, lists and dictionaries for a JSON file; `from_json` reads them."""
        interval = self.interval
        ends = None if interval is None else [interval.low, interval.high, interval.level]
        document: dict[str, Any] = {
            "name": self.name,
            "value": self.value,
            "interval": ends,
            "n_real": self.n_real,
            "n_fake": self.n_fake,
            "groups_real": self.groups_real,
            "notes": list(self.notes),
        }
        if self.counts:
            document["counts"] = dict(self.counts)
        if self.curve:
            document["curve"] = list(self.curve)
        return document

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> "Value":
        """What `json` wrote.

        Raises:
            UserError: a number is not finite, or an entry is missing.
        """
        try:
            ends = document["interval"]
            return cls(
                name=document["name"],
                value=document["value"],
                interval=None if ends is None else Interval(*ends),
                n_real=document["n_real"],
                n_fake=document["n_fake"],
                groups_real=document["groups_real"],
                notes=tuple(document["notes"]),
                counts=dict(document.get("counts", {})),
                curve=tuple(document.get("curve", ())),
            )
        except (KeyError, TypeError) as problem:
            raise UserError(
                f"a measure's entry cannot be read ({problem}); measure again"
            ) from None

    def noted(self, *notes: str) -> "Value":
        """The same with further notes."""
        return replace(self, notes=(*self.notes, *notes))


def compared(
    name: str,
    value: float | None,
    real: Sample,
    fake: Sample,
    *,
    interval: Interval | None = None,
    notes: tuple[str | None, ...] = (),
    counts: dict[str, int] | None = None,
    curve: tuple[float, ...] = (),
) -> Value:
    """A measure of two samples; notes that are None are left out, the rest is as in `Value`."""
    return Value(
        name,
        value,
        interval=interval,
        n_real=len(real),
        n_fake=len(fake),
        groups_real=real.group_count,
        notes=tuple(note for note in notes if note is not None),
        counts=counts or {},
        curve=curve,
    )
