"""Feature extractors as commands name them: those of `features.registry`, and the networks of
classifiers that `classify train` made.
"""

from collections.abc import Iterable
from pathlib import Path

import torch

from synthograph.core.devices import Precision, pick_device
from synthograph.core.errors import UserError
from synthograph.downstream.classifier import file_extractor
from synthograph.features import registry
from synthograph.features.base import Extractor, MissingWeightsError
from synthograph.features.classifier import made_here


def extractor(
    name: str, *, device: torch.device | str = "cpu", precision: Precision = Precision.FP32
) -> Extractor:
    """The feature extractor of that name; arguments and errors as for `registry.extractor`."""
    own = _own_file(name)
    if own is None:
        return registry.extractor(name, device=device, precision=precision)
    exact = precision is Precision.AUTO
    return file_extractor(own, pick_device(str(device)), Precision.FP32 if exact else precision)


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
            one = extractor(name, device=device, precision=precision)
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


def missing_weights(name: str) -> str | None:
    """How to get the weights of an extractor that are not on this machine; None where all are here;
    errors as for `registry.missing_weights`.
    """
    if _own_file(name) is None:
        return registry.missing_weights(name)
    extractor(name)
    return None


def _own_file(name: str) -> Path | None:
    """The file of `classify train` that is named, if it is one."""
    path = Path(name.removeprefix(registry.CLASSIFIER))
    return path if name.startswith(registry.CLASSIFIER) and made_here(path) else None
