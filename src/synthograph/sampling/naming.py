"""What files of synthetic images are called."""

from collections import Counter
from collections.abc import Sequence

from synthograph.core.errors import UserError

MAX_NAME = 100
"""Bytes that a file takes from the name of a latent; file systems allow 255 in all."""


def file_names(heads: Sequence[str], labels: Sequence[str | None], ending: str) -> list[str]:
    """A name for each image: `HEAD.ending`, with `_CLASS` where there are several; by number where
    names would collide.
    """
    kinds = list(dict.fromkeys(label or "" for label in labels))
    safe = [_plain(label, "-.") for label in kinds]
    if collide(safe):
        safe = [f"{number}-{name}" for number, name in enumerate(safe)]
    names = dict(zip(kinds, safe, strict=True))
    tails = {label: f"_{name}" if len(kinds) > 1 else "" for label, name in names.items()}
    made = [h + tails[label or ""] for h, label in zip(heads, labels, strict=True)]
    if collide(made):
        made = [f"{number:04d}-{name}" for number, name in enumerate(made)]
    return [f"{name}.{ending}" for name in made]


def file_head(name: str) -> str:
    """The name of a latent as the beginning of a file's name, which stays in its folder."""
    plain = _plain(name, "-_.+").lstrip(".")
    return plain.encode()[:MAX_NAME].decode(errors="ignore") or "latent"


def _plain(name: str, others: str) -> str:
    return "".join(c if c.isalnum() or c in others else "-" for c in name)


def collide(names: Sequence[str]) -> bool:
    """Whether a file system may see two of them as one."""
    return len({name.casefold() for name in names}) < len(names)


def refuse_same_names(names: Sequence[str], what: str) -> None:
    """Refuse images whose files would have one name.

    Raises:
        UserError: two of them have; the message calls them `what`.
    """
    if collide(names):
        (name, _), *_ = Counter(name.casefold() for name in names).most_common(1)
        raise UserError(f"{what}: {name} is named more than once: name everything once")
