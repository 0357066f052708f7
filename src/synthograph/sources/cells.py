"""What single cells of tables and parts of names mean: missing values, roles, splits, numbers."""

import re
from collections.abc import Collection, Iterable, Mapping

from synthograph.core.record import SPLITS

MISSING = ("n/a", "na", "nan", "none", "null", "<na>", "#n/a", "unknown", "missing", "-", "?", ".")
"""Cells that hold no value, beside the empty one; upper and lower case are the same."""
ROLES = ("file", "label", "group", "split")
ROLE_WORDS: Mapping[str, str] = {
    **{role: role for role in ROLES},
    "class": "label",
    "patient": "group",
}
"""What people call a role -> the role."""

_SPLIT_WORDS = {
    **dict.fromkeys(("train", "training", "trainval"), "train"),
    **dict.fromkeys(("val", "valid", "validation", "dev"), "val"),
    **dict.fromkeys(("test", "testing", "holdout"), "test"),
}
_WHOLE = re.compile(r"([0-9]+)(\.0*)?")


def missing_marks(words: Iterable[str]) -> frozenset[str]:
    """Marks for missing values as cells are compared with them; the empty cell always is one."""
    return frozenset({"", *(word.strip().casefold() for word in words)})


def value_of(cell: str | None, marks: Collection[str]) -> str | None:
    """A cell without spaces around it, or None where it holds no value."""
    cell = (cell or "").strip()
    return None if cell.casefold() in marks else cell


def split_of(name: str) -> str | None:
    """The split that a cell, folder or file name means: train, val or test, or None.

    One of its words says it: `Training`, `valid`, `ISIC_Test_Input`, `train2017`. A name of both
    train and val (`train_val_list`) is train, from which its validation set is still to be cut.
    """
    words = re.split(r"[^a-z]+", name.casefold())
    found = {_SPLIT_WORDS[word] for word in words if word in _SPLIT_WORDS}
    if found == {"train", "val"}:
        return "train"
    return found.pop() if len(found) == 1 else None


def split_words() -> str:
    """The words that `split_of` knows, for messages."""
    return ", ".join(
        f"{split} ({', '.join(w for w, s in _SPLIT_WORDS.items() if s == split and w != split)})"
        for split in SPLITS
    )


def without_decimals(cells: Mapping[int, str]) -> dict[int, str]:
    """Cells of one column by row, where `12.0` becomes `12` if all are whole numbers.

    A program that keeps numbers writes those of a column with gaps as `12.0`, of another as `12`.
    """
    found = {key: _WHOLE.fullmatch(cell) for key, cell in cells.items()}
    if not all(found.values()):
        return dict(cells)
    return {key: match[1] for key, match in found.items() if match}
