"""The families that exist. A new one adds its import and its entry here, and nothing else outside
its folder.
"""

from collections.abc import Mapping

from synthograph.core.errors import UserError
from synthograph.core.names import nearest
from synthograph.models.base import Family
from synthograph.models.config import ModelConfig
from synthograph.models.stylegan2.family import StyleGAN2
from synthograph.models.styles import StyleFamily

FAMILIES: dict[str, Family] = {f.name: f for f in (StyleGAN2(),)}
DEFAULT_FAMILY = StyleGAN2.name


def family(name: str) -> Family:
    """The family of that name.

    Raises:
        UserError: there is none.
    """
    if name not in FAMILIES:
        raise UserError(f"model family {name!r} is unknown: {nearest(name, FAMILIES)}")
    return FAMILIES[name]


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
    """A model's config from plain data; its key `family` says whose it is."""
    return family(str(tree.get("family", DEFAULT_FAMILY))).Config.parse(tree)
