"""Archives in the folders that other tools read. A new format is one file of this room that holds a
`Format`, and one entry in `FORMATS`; what reads such folders is in `sources/layouts`.
"""

from synthograph.archive.exchange.base import Format
from synthograph.archive.exchange.coco import Coco
from synthograph.archive.exchange.huggingface import HuggingFace
from synthograph.archive.exchange.imagefolder import ImageFolder
from synthograph.archive.exchange.monai import Monai
from synthograph.archive.exchange.nnunet import NnUnet

FORMATS: dict[str, Format] = {
    each.name: each for each in (ImageFolder(), HuggingFace(), Monai(), NnUnet(), Coco())
}

__all__ = ["FORMATS", "Format"]
