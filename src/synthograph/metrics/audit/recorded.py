"""What generators record of the augmentation that they were trained with."""

from collections.abc import Mapping, Sequence
from typing import Any

from synthograph.metrics.overlap import with_parents
from synthograph.ops.operations import OPERATIONS, Invariance
from synthograph.results.audit import TrainedWith

MIRRORED, UPSIDE_DOWN = "mirrored", "upside_down"


def trained_with(documents: Sequence[Mapping[str, Any]]) -> TrainedWith | None:
    """The augmentations that generators were trained with, as the audit names them, those that they
    were initialised from included.

    Args:
        documents: documents of snapshots, as in their headers and in `dataset.json` of synthetic
            archives.

    Returns:
        None where there is no document, or one of them does not say, as of a published pickle.
    """
    every = [each for document in documents for each in with_parents(document)]
    configs = [document.get("config") for document in every]
    known = [each for each in configs if isinstance(each, Mapping) and "augment" in each]
    if not every or len(known) < len(every):
        return None
    changes, strengths = set[str](), list[float | None]()
    for document, config in zip(every, known, strict=True):
        if (config.get("data") or {}).get("mirror"):
            changes.add(MIRRORED)
        acted = _changes(config["augment"])
        changes |= acted
        if acted:
            strengths.append(document.get("augment_p", config["augment"].get("p")))
    measured = [each for each in strengths if each is not None]
    complete = measured and len(measured) == len(strengths)
    return TrainedWith(changes=tuple(sorted(changes)), p=max(measured) if complete else None)


def _changes(augment: Mapping[str, Any]) -> set[str]:
    """What the audit calls the operations of a configuration; none where they never act."""
    if augment.get("mode") == "none" or (augment.get("mode") == "fixed" and not augment.get("p")):
        return set()
    pipe = augment.get("pipe") or {}
    acting = [OPERATIONS[name] for name, weight in pipe.items() if weight and name in OPERATIONS]
    found = {each.leak[0] for each in acting if each.leak is not None}
    if any(each.needs is Invariance.ROTATE for each in acting):  # at any angle, so also by quarters
        alike = (each for each in OPERATIONS.values() if each.needs is Invariance.ROTATE)
        found |= {UPSIDE_DOWN, *(each.leak[0] for each in alike if each.leak is not None)}
    return found
