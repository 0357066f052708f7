"""The families that exist. A new one adds its import and its entry here, and nothing else outside
its folder.
"""

from collections.abc import Mapping

from synthograph.core.errors import SettingError, UserError
from synthograph.core.names import nearest
from synthograph.models.base import Family
from synthograph.models.config import ModelConfig
from synthograph.models.projected.family import Projected
from synthograph.models.stylegan1.family import StyleGAN1
from synthograph.models.stylegan2.family import StyleGAN2
from synthograph.models.styles import StyleFamily

FAMILIES: dict[str, Family] = {f.name: f for f in (StyleGAN2(), StyleGAN1(), Projected())}
DEFAULT_FAMILY = StyleGAN2.name
RACES: Mapping[str, tuple[str, ...]] = {"quick": ("tiny", "tiny-projected")}
"""Presets of which the better one for the images at hand is found by a short training of each; the
first one stands for all where there is only one configuration to look at.
"""


def family(name: str) -> Family:
    """The family of that name.

    Raises:
        UserError: there is none.
    """
    if name not in FAMILIES:
        raise UserError(f"model family {name!r} is unknown: {nearest(name, FAMILIES)}")
    return FAMILIES[name]


def family_of_preset(name: str) -> Family:
    """The first family that has a preset of that name.

    Raises:
        UserError: there is none.
    """
    name = RACES.get(name, (name,))[0]
    names = {each: list(each.preset_names()) for each in FAMILIES.values()}
    for each, known in names.items():
        if name in known:
            return each
    if name in FAMILIES:
        having = " or ".join(names[FAMILIES[name]])
        raise UserError(f"preset {name!r} is unknown: it is a family, whose presets are {having}")
    everything = [*RACES, *(known for each in names.values() for known in each)]
    raise UserError(f"preset {name!r} is unknown: {nearest(name, everything)}")


def style_family(name: str) -> StyleFamily:
    """The family of that name, for tools that work on styles.

    Raises:
        UserError: there is none, or its generators have no styles.
    """
    found = family(name)
    styled = [n for n, each in FAMILIES.items() if isinstance(each, StyleFamily)]
    if not isinstance(found, StyleFamily):
        raise UserError(
            f"a generator of family {name} has no mapping and no synthesis, so it has no styles "
            f"to work on: this needs a generator of {' or '.join(styled)}"
        )
    return found


def parse_model(tree: Mapping[str, object]) -> ModelConfig:
    """A model's config from plain data; its key `family` says whose it is.

    Raises:
        SettingError: a setting that the family does not have, or a value out of range.
    """
    kind = family(str(tree.get("family", DEFAULT_FAMILY)))
    try:
        return kind.Config.parse(tree)
    except SettingError as error:
        having = [each for each in FAMILIES.values() if error.path in each.Config.model_fields]
        if not error.unknown or not having:
            raise
        presets = " or ".join(f"--cfg {name}" for name in having[0].preset_names())
        rule = (
            f"models of the family {kind.name} have none, those of {having[0].name} do: {presets}"
        )
        raise SettingError(error.path, rule, unknown=True) from None
