"""Folders as other tools keep them: which files belong together, and what is known of them. A new
format is one file of this room that holds a `Layout`, and one entry in `LAYOUTS`.
"""

from synthograph.sources.layouts.base import Layout
from synthograph.sources.layouts.coco import Coco
from synthograph.sources.layouts.huggingface import HuggingFace
from synthograph.sources.layouts.monai import Monai
from synthograph.sources.layouts.nnunet import NnUnet

LAYOUTS: dict[str, Layout] = {
    each.name: each for each in (HuggingFace(), Monai(), NnUnet(), Coco())
}

__all__ = ["LAYOUTS", "Layout"]
