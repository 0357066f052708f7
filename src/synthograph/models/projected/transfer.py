"""What new networks take over from trained ones that belongs to a class, by the class's name."""

import re

from synthograph.models.base import ModelBundle, WeightInit
from synthograph.models.stylegan2.transfer import match_classes

OF_CLASSES = re.compile(r"\bembed\.weight$|\.spread$")
"""Names of the tensors that have a column, or a row, for each class."""
SCALED = "generator/mapping.embed.weight"
"""Columns of this one are divided by the root of their number."""


def by_class(target: ModelBundle, source: ModelBundle) -> dict[str, WeightInit]:
    """Starts for the tensors of `OF_CLASSES`, by name. A class that the source does not know keeps
    its fresh column, and its row of zeros; what is left out stays fresh.
    """
    wanted, given = target.networks.tensors(), source.networks.tensors()
    found: dict[str, WeightInit] = {}
    for name in (n for n in wanted if OF_CLASSES.search(n) and n in given):
        across = name.endswith("embed.weight")
        fresh, x = (t.t() if across else t for t in (wanted[name], given[name]))
        places = _places(target, source, rows=len(fresh), labels=across)
        if x.shape[1:] != fresh.shape[1:] or all(place is None for place in places):
            continue
        value, scale = fresh.clone(), (len(fresh) / len(x)) ** 0.5 if name == SCALED else 1.0
        for row, place in enumerate(places):
            if place is not None:
                value[row] = x[place] * scale
        how = "" if places == list(range(len(x))) else "by class name"
        found[name] = WeightInit(value.t() if across else value, (name,), how)
    return found


def _places(
    target: ModelBundle, source: ModelBundle, *, rows: int, labels: bool
) -> list[int | None]:
    """The source's entry for each of the target's: of a label, or of the classes, in whose stead
    networks without classes have one entry for all images.
    """
    named = bool(target.condition.classes), bool(source.condition.classes)
    if labels or all(named):
        return match_classes(target.condition, source.condition)
    return [None] * rows if any(named) else [0]
