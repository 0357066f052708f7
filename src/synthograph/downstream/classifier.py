"""Files of classifiers; see `trained.py` for what they share with those of segmenters."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from synthograph.core.errors import UserError
from synthograph.core.untrusted.documents import JsonObject
from synthograph.core.untrusted.tensors import write_tensors
from synthograph.downstream.probe import LogisticProbe
from synthograph.downstream.trained import TrainedInfo, read_trained


class ClassifierInfo(TrainedInfo):
    """What the header of a classifier's file holds beside what all have.

    Attributes:
        backbone: name of the extractor whose features it reads; `extractor` is its description
            with the hash of its weights.
        threshold: with two classes, the probability of the second from which it is decided.
        counts: real and synthetic training images of each class.
    """

    task: Literal["classify"] = "classify"
    backbone: str
    extractor: JsonObject
    threshold: float | None = None
    counts: dict[str, dict[str, int]]


@dataclass(frozen=True)
class Classifier:
    """A trained classifier."""

    info: ClassifierInfo
    probe: LogisticProbe


def save(path: Path, classifier: Classifier) -> None:
    """Write a classifier atomically."""
    write_tensors(path, classifier.probe.tensors(), classifier.info.tree())


def load(path: Path) -> Classifier:
    """Read a classifier; nothing in the file is executed.

    Raises:
        UserError: it cannot be read, is no classifier, or contradicts itself.
    """
    info, tensors = read_trained(path, ClassifierInfo, "classifier")
    try:
        probe = LogisticProbe.from_tensors(tensors)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    except (KeyError, ValueError, RuntimeError) as error:
        raise UserError(f"{path}: is a damaged classifier ({error})") from None
    if len(probe.bias) != len(info.classes):
        raise UserError(
            f"{path}: is a damaged classifier ({len(info.classes)} classes, numbers for "
            f"{len(probe.bias)})"
        )
    return Classifier(info, probe)
