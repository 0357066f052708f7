"""What the files of classifiers and segmenters share: safetensors whose header says, as JSON, what
the network is, which patients and images it saw, and where its synthetic images come from.
"""

from pathlib import Path
from typing import ClassVar, TypeVar

import pydantic
from torch import Tensor

from synthograph.core.config import Config
from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.core.untrusted.documents import JsonObject
from synthograph.core.untrusted.tensors import read_tensors
from synthograph.results.environment import Environment

Info = TypeVar("Info", bound="TrainedInfo")


class TrainedInfo(Config):
    """What the header of every trained network says.

    Attributes:
        task: what it does, which is also the verb that trained it.
        classes: in the order of the numbers that the network gives.
        spec: of the training images.
        selection: which score chose, and what was tried.
        group_digests: of training and validation patients; `image_digests` of their real images.
        snapshots: of the generators of its synthetic images.
        data: file name of the training archive.
        preparation: `view` and `sizing` of it, so that files can be prepared alike.
        settings: of the training; those of a classifier's own network stand with it.
        environments: where it was trained, in turn; none in older files.
        noun: what the network is called.
    """

    noun: ClassVar[str] = "network"
    format: int = pydantic.Field(1, ge=1, le=1)
    task: str
    package_version: str
    classes: list[str] = pydantic.Field(min_length=2)
    spec: ImageSpec
    selection: JsonObject
    group_digests: list[str]
    image_digests: list[str]
    snapshots: list[JsonObject] = []
    data: str
    preparation: JsonObject = {}
    settings: JsonObject = {}
    environments: list[Environment] = []


def read_trained(path: Path, kind: type[Info]) -> tuple[Info, dict[str, Tensor]]:
    """The header and the tensors of such a file; nothing in it is executed.

    Args:
        path: the file.
        kind: of the header; its `task` has a default, which the file must hold.

    Raises:
        UserError: it cannot be read, was made for another task, or its header breaks a rule.
    """
    task = kind.model_fields["task"].default
    expected = f"a file of 'synthograph {task} train'"
    tensors, document = read_tensors(path, expected)
    if document.get("task") != task:
        raise UserError(f"{path}: is no {kind.noun}: give {expected}")
    try:
        return kind.parse(document), tensors
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
