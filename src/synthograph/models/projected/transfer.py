"""What new networks take over from trained ones: of the generator what StyleGAN2 does, of the
discriminators what has the same shape, and what belongs to a class by the class's name.
"""

import re

from torch import Tensor

from synthograph.models.base import ModelBundle, WeightInit
from synthograph.models.stylegan2 import transfer
from synthograph.models.stylegan2.transfer import DISCRIMINATOR, match_classes, match_modalities

GENERATOR = "generator/"
OF_CLASSES = re.compile(r"\bembed\.weight$|\.spread$")
"""Names of the tensors of discriminators that have a column, or a row, for each class."""


def map_weights(target: ModelBundle, source: ModelBundle) -> dict[str, WeightInit]:
    """Starts for the tensors of fresh networks, by name; what is left out stays fresh."""
    found = transfer.map_weights(target, source, GENERATOR)
    theirs = match_modalities(target.spec.modalities, source.spec.modalities)
    wanted, given = target.networks.tensors(), source.networks.tensors()
    for name, fresh in wanted.items():
        ours = DISCRIMINATOR.match(name)
        if ours is None:
            continue
        donor = name[: ours.start(1)] + theirs[ours[1]] + name[ours.end(1) :]
        if donor not in given:
            continue
        if OF_CLASSES.search(name):
            start = _by_class(target, source, fresh, donor)
        else:
            same = given[donor].shape == fresh.shape
            start = WeightInit(given[donor], (donor,)) if same else None
        found |= {} if start is None else {name: start}
    return found


def _by_class(
    target: ModelBundle, source: ModelBundle, fresh: Tensor, donor: str
) -> WeightInit | None:
    """The start of a tensor of `OF_CLASSES`. A class that the source does not know keeps its fresh
    column, and its row of zeros.
    """
    x = source.networks.tensors()[donor]
    across = donor.endswith("embed.weight")
    rows, given = (t.t() if across else t for t in (fresh, x))
    places = _places(target, source, rows=len(rows), labels=across)
    if given.shape[1:] != rows.shape[1:] or all(place is None for place in places):
        return None
    value = rows.clone()
    for row, place in enumerate(places):
        if place is not None:
            value[row] = given[place]
    how = "" if places == list(range(len(given))) else "by class name"
    return WeightInit(value.t() if across else value, (donor,), how)


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
