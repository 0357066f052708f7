"""What new networks take over from trained ones: levels are matched by their longer side,
modalities by their name, else by their number of channels, classes by their name.
"""

import re

from torch import Tensor
from torch.nn.functional import interpolate

from synthograph.models.base import ModelBundle, WeightInit
from synthograph.models.stylegan2.transfer import match_classes, match_levels, match_modalities

INHERITED = (
    "family",
    "z_dim",
    "w_dim",
    "channel_base",
    "channel_max",
    "mapping_layers",
    "mapping_rate",
    "loss",
)
"""Settings that decide on the tensors and on what they mean."""

BLOCK = re.compile(r"\bblocks\.(\d+)\.")
MODALITY = re.compile(r"^discriminators/([^.]+)\.|\.heads\.([^.]+)\.")
OWN = re.compile(r"\.growth\.")
"""How far networks have grown is their own."""
CLASSES = re.compile(r"^discriminators/[^.]+\.out\.|\bmapping\.embed\.weight$")
HEAD = re.compile(r"\.heads\.[^.]+\.(weight|bias)$")
READER = re.compile(r"\bfrom_image\.weight$")


def map_weights(target: ModelBundle, source: ModelBundle) -> dict[str, WeightInit]:
    """Starts for the tensors of fresh networks, by name; what is left out stays fresh."""
    mapper = _WeightMapper(target, source)
    found = {name: mapper.start(name) for name in mapper.wanted if not OWN.search(name)}
    return {name: start for name, start in found.items() if start is not None}


class _WeightMapper:
    """Fresh networks (target) beside the trained ones that they start from (source)."""

    def __init__(self, target: ModelBundle, source: ModelBundle) -> None:
        self.wanted, self.given = target.networks.tensors(), source.networks.tensors()
        self.levels = match_levels(target.spec, source.spec)
        self.modalities = match_modalities(target.spec.modalities, source.spec.modalities)
        self.classes = match_classes(target.condition, source.condition)

    def start(self, name: str) -> WeightInit | None:
        """What the tensor `name` starts with; None leaves it fresh."""
        donor = self._donor(name)
        if donor is None or donor not in self.given:
            return None
        x, fresh = self.given[donor], self.wanted[name]
        if CLASSES.search(name):
            return self._by_class(x, fresh, donor)
        if x.shape == fresh.shape:
            return WeightInit(x, (donor,))
        if HEAD.search(name) and x.shape[1:] == fresh.shape[1:]:
            mean = x.mean(0, keepdim=True).expand_as(fresh)
            return WeightInit(mean, (donor,), "mean over channels")
        if READER.search(name) and len(x) == len(fresh):  # a grey image gives the same features
            total = x.sum(1, keepdim=True) / (x.shape[1] * fresh.shape[1]) ** 0.5
            return WeightInit(total.expand_as(fresh), (donor,), "sum over channels")
        if name.endswith(".const") and len(x) == len(fresh):
            size = list(fresh.shape[1:])
            resampled = interpolate(x[None], size=size, mode="bilinear", align_corners=False)[0]
            return WeightInit(resampled, (donor,), "resampled")
        return None

    def _donor(self, name: str) -> str | None:
        """Name of the source's tensor that plays the part of the target's `name`."""
        found = MODALITY.search(name)
        if found is not None:
            place = 1 if found[1] is not None else 2
            theirs = self.modalities[found[place]]
            name = name[: found.start(place)] + theirs + name[found.end(place) :]
        block = BLOCK.search(name)
        if block is None:
            return name
        # both networks count from the coarsest; discriminators have no block for that one
        first = int(name.startswith("discriminators/"))
        level = self.levels[int(block[1]) + first]
        if level is None or level < first:
            return None
        return name[: block.start(1)] + str(level - first) + name[block.end(1) :]

    def _by_class(self, x: Tensor, fresh: Tensor, donor: str) -> WeightInit | None:
        """A row per class, or, of an embedding, a column; unchanged where nobody has any."""
        if not self.classes or not any(place is not None for place in self.classes):
            same = x.shape == fresh.shape and not self.classes
            return WeightInit(x, (donor,)) if same else None
        across = donor.endswith("embed.weight")
        # columns are scaled by one over the root of their number
        scale = (fresh.shape[1] / x.shape[1]) ** 0.5 if across else 1.0
        value, given = (fresh.clone().t(), x.t()) if across else (fresh.clone(), x)
        if value.shape[1:] != given.shape[1:]:
            return None
        for place, theirs in enumerate(self.classes):
            if theirs is not None:
                value[place] = given[theirs] * scale
        value = value.t() if across else value
        everything = self.classes == list(range(len(given)))
        return WeightInit(value, (donor,), "" if everything else "by class name")
