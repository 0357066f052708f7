"""Files of classifiers: safetensors whose header says, as JSON, what the classifier is, which
patients and images it saw, and where its synthetic images come from.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pydantic

from synthograph.core.config import Config
from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.core.untrusted.documents import JsonObject
from synthograph.core.untrusted.tensors import read_tensors, write_tensors
from synthograph.downstream.probe import LogisticProbe

EXPECTED = "a file of 'synthograph classify train'"


class ClassifierInfo(Config):
    """What the header of a classifier's file holds.

    Attributes:
        backbone: name of the extractor whose features it reads; `extractor` is its description
            with the hash of its weights.
        classes: in the order of the probabilities.
        spec: of the training images.
        threshold: with two classes, the probability of the second from which it is decided.
        selection: which score chose, and what was tried.
        counts: real and synthetic training images of each class.
        group_digests: of training patients; `image_digests` of real training images.
        snapshots: of the generators of its synthetic images.
        data: file name of the training archive.
    """

    format: int = pydantic.Field(1, ge=1, le=1)
    task: Literal["classify"] = "classify"
    package_version: str
    backbone: str
    extractor: JsonObject
    classes: list[str] = pydantic.Field(min_length=2)
    spec: ImageSpec
    threshold: float | None = None
    selection: JsonObject
    counts: dict[str, dict[str, int]]
    group_digests: list[str]
    image_digests: list[str]
    snapshots: list[JsonObject] = []
    data: str


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
    tensors, document = read_tensors(path, EXPECTED)
    if document.get("task") != "classify":
        raise UserError(f"{path}: is no classifier: give {EXPECTED}")
    try:
        info = ClassifierInfo.parse(document)
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
