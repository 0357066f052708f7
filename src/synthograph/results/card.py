"""A model card: what a network was made of, how good it is, what it may be used for."""

from typing import Literal

from synthograph.results.base import (
    Command,
    Count,
    Document,
    Ends,
    FileName,
    Kimg,
    Many,
    Plain,
    Prose,
    Schema,
)
from synthograph.results.environment import Environment
from synthograph.results.report import Verdict

CARD = "card.json"
"""Its name in a folder to hand on."""


class CardNetwork(Schema):
    """The network beside the card.

    Attributes:
        sha256: of the file; `of_sha256` of the file that it was made of, which results name.
        kimg: thousands of real images that it was shown.
        images: what it draws, in words.
        settings: of the model.
    """

    file: FileName
    sha256: str
    of_sha256: str
    family: str
    kimg: Kimg
    images: str
    classes: Many[str] = ()
    parameters: Count
    settings: dict[str, Plain]


class CardData(Schema):
    """What it was trained on: counts, never names of groups or files.

    Attributes:
        name: file of the archive.
        groups: patients, or what stands for them; 0 where that is not known.
    """

    name: FileName = ""
    images: Count = 0
    groups: Count = 0
    split: str | None = None
    fold: Count | None = None
    invariances: Many[str] | None = None
    images_hash: str | None = None
    manifest_hash: str | None = None


class CardTraining(Schema):
    """How it was trained.

    Attributes:
        environments: software and machines, in turn; none where they were not recorded.
    """

    hours: float | None = None
    environments: Many[Environment] = ()
    commands: Many[Command] = ()
    settings: dict[str, Plain] = {}
    started_from_another: bool = False
    alarms: Many[Prose] = ()


class CardMeasure(Schema):
    """A number of the network.

    Attributes:
        part: of the images, such as `all`.
        floor: the same between two halves of the real images.
        chose: these images chose the snapshot, so they cannot judge it.
    """

    name: str
    title: str
    part: str
    value: float | None
    interval: Ends | None = None
    floor: float | None = None
    extractor: str | None = None
    n_real: Count = 0
    n_synthetic: Count = 0
    split: str = ""
    chose: bool = False


class ModelCard(Document):
    """`card.json`, beside `README.md` and the network.

    Attributes:
        licence: None where it was not stated.
        verdicts: those of the report, from the results that were given.
        left_out: results that are of another network.
        files: name -> sha256 of what lies beside it.
    """

    kind: Literal["card"] = "card"
    title: str
    licence: str | None = None
    authors: Many[str] = ()
    intended_use: str
    not_for: str
    network: CardNetwork
    data: CardData
    training: CardTraining
    measures: Many[CardMeasure] = ()
    verdicts: Many[Verdict] = ()
    left_out: Count = 0
    files: dict[str, str] = {}
    package_version: str
