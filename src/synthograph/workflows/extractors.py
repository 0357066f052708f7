"""Feature extractors by name, and where their features are kept."""

from collections.abc import Iterable
from pathlib import Path

from synthograph.core.devices import Precision
from synthograph.core.errors import UserError
from synthograph.core.files import cache_folder
from synthograph.features import registry
from synthograph.features.base import Extractor, MissingWeightsError


def feature_folder() -> Path:
    """Where features are kept."""
    return cache_folder() / "features"


def missing_weights(names: Iterable[str]) -> dict[str, str]:
    """Extractors whose weights are not on this machine, and how to get them, by name.

    Raises:
        UserError: an unknown name, or weights that cannot be read.
    """
    reasons = {name: registry.missing_weights(name) for name in dict.fromkeys(names)}
    return {name: reason for name, reason in reasons.items() if reason is not None}


def open_extractors(
    names: Iterable[str], device: str, precision: Precision = Precision.FP32
) -> tuple[dict[str, Extractor], dict[str, str]]:
    """The available extractors, and how to get the weights of the others, by name.

    Raises:
        UserError: an unknown name, damaged weights, or two extractors that call themselves alike,
            so that the numbers of one would stand for both.
    """
    found: dict[str, Extractor] = {}
    missing: dict[str, str] = {}
    typed: dict[str, str] = {}
    for name in dict.fromkeys(names):
        try:
            one = registry.extractor(name, device=device, precision=precision)
        except MissingWeightsError as error:
            missing[name] = str(error)
            continue
        if one.name in typed:
            raise UserError(
                f"features {typed[one.name]} and {name} are both called {one.name}: rename one "
                "of the files, or name one of them only"
            )
        found[name], typed[one.name] = one, name
    return found, missing
