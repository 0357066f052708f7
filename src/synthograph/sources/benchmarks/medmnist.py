"""MedMNIST: an `.npz` file holds images and labels of train, val and test.

Source: Yang et al. 2023, "MedMNIST v2, a large-scale lightweight benchmark for 2D and 3D biomedical
image classification"; names of classes as its package states them (version 2.1).
"""

import re
from collections.abc import Iterator, Sequence

import numpy as np

from synthograph.core.errors import UserError
from synthograph.core.record import SourceItem
from synthograph.core.untrusted.arrays import parse_array
from synthograph.sources.benchmarks.base import (
    BenchmarkFiles,
    BenchmarkImages,
    PixelDecoder,
    named,
)

SPLITS = ("train", "val", "test")
_NAME = re.compile(r"[a-z]+?mnist")
_ORGANS = (
    *("bladder", "femur-left", "femur-right", "heart", "kidney-left", "kidney-right", "liver"),
    *("lung-left", "lung-right", "pancreas", "spleen"),
)
CLASSES: dict[str, tuple[str, ...]] = {
    "pathmnist": (
        *("adipose", "background", "debris", "lymphocytes", "mucus", "smooth muscle"),
        *("normal colon mucosa", "cancer-associated stroma"),
        "colorectal adenocarcinoma epithelium",
    ),
    "chestmnist": (
        *("atelectasis", "cardiomegaly", "effusion", "infiltration", "mass", "nodule"),
        *("pneumonia", "pneumothorax", "consolidation", "edema", "emphysema", "fibrosis"),
        *("pleural", "hernia"),
    ),
    "dermamnist": (
        *("actinic keratoses and intraepithelial carcinoma", "basal cell carcinoma"),
        *("benign keratosis-like lesions", "dermatofibroma", "melanoma", "melanocytic nevi"),
        "vascular lesions",
    ),
    "octmnist": ("choroidal neovascularization", "diabetic macular edema", "drusen", "normal"),
    "pneumoniamnist": ("normal", "pneumonia"),
    "retinamnist": ("0", "1", "2", "3", "4"),
    "breastmnist": ("malignant", "normal, benign"),
    "bloodmnist": (
        *("basophil", "eosinophil", "erythroblast", "immature granulocytes", "lymphocyte"),
        *("monocyte", "neutrophil", "platelet"),
    ),
    "tissuemnist": (
        *("Collecting Duct, Connecting Tubule", "Distal Convoluted Tubule"),
        *("Glomerular endothelial cells", "Interstitial endothelial cells", "Leukocytes"),
        *("Podocytes", "Proximal Tubule Segments", "Thick Ascending Limb"),
    ),
    **dict.fromkeys(("organamnist", "organcmnist", "organsmnist"), _ORGANS),
}
"""Of the sets, in the order of their numbers."""
NO_PATIENTS = (
    "MedMNIST says of no image whom it shows: one patient may be in several splits, and then "
    "measures on test images flatter"
)


class MedMnist:
    """The published split is kept. Of several findings per image each is a column of 0 and 1."""

    def recognises(self, names: Sequence[str]) -> bool:
        """Whether the arrays of a split are there."""
        there = set(names)
        return any({_images(split), _labels(split)} <= there for split in SPLITS)

    def images(self, files: BenchmarkFiles) -> BenchmarkImages:
        """The images of all splits."""
        file = files.origin.replace("\\", "/").rpartition("/")[2]
        found = _NAME.match(file.lower())
        known = CLASSES.get(found[0], ()) if found else ()
        remarks = [NO_PATIENTS]
        if not known:
            remarks.append(
                f"names of classes are not known for {file}, so they are numbers; a name as it is "
                "published, such as dermamnist_64.npz, tells them"
            )
        items: list[SourceItem] = []
        several = False
        for split in SPLITS:
            if _images(split) in files.names:
                pixels, labels = _arrays(files, split)
                several = labels.shape[1] > 1
                where = files.where(_labels(split))
                items += _items(pixels, labels, split, known, where)
        if not items:
            raise UserError(f"{files.origin}: holds no image")
        classes = None if several or not known else list(known)
        return BenchmarkImages("MedMNIST", items, classes, remarks)


def _images(split: str) -> str:
    return f"{split}_images.npy"


def _labels(split: str) -> str:
    return f"{split}_labels.npy"


def _arrays(files: BenchmarkFiles, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Pixels [n, h, w, 1 or 3] and labels [n, k] of a split."""
    names = (_images(split), _labels(split))
    missing = [name for name in names if name not in files.names]
    if missing:
        raise UserError(f"{files.where(missing[0])}: is missing: get the file again")
    pixels, labels = (parse_array(files.read(name), files.where(name)) for name in names)
    if pixels.ndim == 3:
        pixels = pixels[..., None]
    if pixels.dtype != np.uint8 or pixels.ndim != 4 or pixels.shape[3] not in (1, 3):
        raise UserError(
            f"{files.where(names[0])}: holds {pixels.dtype} of shape {list(pixels.shape)}; images "
            "of 8 bits [n, height, width] or [n, height, width, 3] are read, no volumes: take a 2D "
            "set of MedMNIST, or write volumes as NIfTI files"
        )
    labels = labels[:, None] if labels.ndim == 1 else labels
    whole = labels.dtype.kind in "iu" and labels.ndim == 2
    if not whole or len(labels) != len(pixels) or not labels.shape[1]:
        raise UserError(
            f"{files.where(names[1])}: holds {labels.dtype} of shape {list(labels.shape)}, not a "
            f"whole number or several for each of {len(pixels)} images: get the file again"
        )
    return pixels, labels


def _items(
    pixels: np.ndarray, labels: np.ndarray, split: str, known: Sequence[str], where: str
) -> Iterator[SourceItem]:
    digits = len(str(max(len(pixels) - 1, 0)))
    several = labels.shape[1] > 1
    for n, (image, values) in enumerate(zip(pixels, labels.tolist(), strict=True)):
        if several:
            label = None
            columns = {
                named(k, known, where) if known else f"label_{k}": str(v)
                for k, v in enumerate(values)
            }
        else:
            label = named(values[0], known, where) if known else str(values[0])
            columns = {}
        name = f"{split}#{n:0{digits}}"
        yield SourceItem(name, PixelDecoder(image), label, columns=columns, split=split)
