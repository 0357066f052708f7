"""Built-in spaces of a search: which settings are drawn where nobody names any."""

from collections.abc import Callable, Mapping

from synthograph.models.registry import FAMILIES, family_of_preset
from synthograph.ops.operations import BUNDLES
from synthograph.results.search import PRESET
from synthograph.workflows.search_settings import SMALL_DATA, Searched, SearchSettings


def _published(_: SearchSettings) -> dict[str, Searched]:
    """That of the digital-health project, whose own search never trained (sources.md, 4.2)."""
    return {
        PRESET: Searched(choices=["auto", "stylegan2", "paper1024"]),
        "data.mirror": Searched(choices=[False, True]),
        "model.r1_gamma": Searched(low=5, high=15, step=1),
        "augment.target": Searched(low=0.5, high=0.7),
        "augment.pipe": Searched(choices=list(BUNDLES)),
    }


def _small_data(settings: SearchSettings) -> dict[str, Searched]:
    """What decides on a few hundred images: the R1 weight in steps of its own size around the
    automatic value (windows that train can be narrow, and differ by set), the learning rates, how
    much is augmented and how long weights are averaged; and the family.
    """
    others = _relatives(settings.preset)
    families = {PRESET: Searched(choices=[settings.preset, *others])} if others else {}
    return {
        **families,
        "model.r1_gamma": Searched(times=(0.125, 8)),
        "model.optimisers.G.lr": Searched(times=(0.25, 2)),
        "model.optimisers.D.lr": Searched(times=(0.25, 2)),
        "augment.mode": Searched(choices=["none", "ada", "fixed"]),
        "augment.target": Searched(low=0.4, high=0.7, when={"augment.mode": "ada"}),
        "augment.p": Searched(low=0.1, high=0.5, when={"augment.mode": "fixed"}),
        "training.ema_kimg": Searched(times=(0.25, 4)),
    }


def _relatives(preset: str) -> list[str]:
    """Presets of other families that are called after this one, as `tiny-progressive` after `tiny`;
    the first one of a family that has none.
    """
    own = family_of_preset(preset)
    found = []
    for other in FAMILIES.values():
        names = [] if other is own else list(other.preset_names())
        found += [n for n in names if preset in n.split("-")][:1] or names[:1]
    return found


BUILT_IN: Mapping[str, Callable[[SearchSettings], dict[str, Searched]]] = {
    "published": _published,
    SMALL_DATA: _small_data,
}
