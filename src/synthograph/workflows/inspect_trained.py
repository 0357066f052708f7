"""What classifiers, segmenters, mask generators and annotation sets are, without trusting them."""

from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from synthograph.annotation import mask_generator
from synthograph.core.errors import UserError
from synthograph.core.files import disk_errors, sha256_file
from synthograph.core.untrusted.documents import JsonObject
from synthograph.core.untrusted.tensors import SUFFIX, read_document
from synthograph.downstream import classifier, segmenter
from synthograph.downstream.start import OTHERS
from synthograph.downstream.trained import TrainedInfo
from synthograph.report.words import number
from synthograph.results.annotations import SET
from synthograph.results.environment import told
from synthograph.results.mask_generator import TASK, ClassForecast
from synthograph.workflows.annotation_sets import OpenSet

SHORT = 16
"""Digits of a hash that name a file to people."""


def describer(path: Path) -> Callable[[Path, JsonObject], None] | None:
    """Who describes such a file or folder; None for others, which are refused elsewhere."""
    if (path / SET).is_file():
        return _annotation_set
    if path.suffix.lower() != SUFFIX or not path.is_file():
        return None
    try:
        return _FILES.get(str(read_document(path).get("task")))
    except UserError:
        return None


def _file(path: Path, kind: str) -> JsonObject:
    with disk_errors(path):
        return {"kind": kind, "bytes": path.stat().st_size, "sha256": sha256_file(path)}


def _classifier(path: Path, facts: JsonObject) -> None:
    facts |= _file(path, classifier.ClassifierInfo.noun)
    info = classifier.load(path).info
    facts["backbone"] = info.backbone
    settings = info.settings
    if info.network is not None:
        start = info.network.start.partition(OTHERS)[0]
        settings = {"first weights": start, **info.network.settings}
    facts |= _trained(info, settings)


def _segmenter(path: Path, facts: JsonObject) -> None:
    facts |= _file(path, segmenter.SegmenterInfo.noun)
    info = segmenter.load(path, torch.device("cpu")).info
    facts["network"] = f"{info.network}, width {info.width}, depth {info.depth}"
    facts["mask values"] = dict(zip(info.classes, info.values, strict=True))
    facts |= _trained(info, info.settings)


def _trained(info: TrainedInfo, settings: JsonObject) -> JsonObject:
    """What all trained networks say; digests are counted, not shown."""
    return {
        "images": info.spec.describe(),
        "classes": info.classes,
        "training": {
            "data": info.data,
            "chosen by": info.selection.get("score"),
            "groups seen": len(info.group_digests),
            "images seen": len(info.image_digests),
            "generators of synthetic images": len(info.snapshots),
            "package_version": info.package_version,
            "environments": told(info.environments),
            "settings": settings,
        },
    }


def _mask_generator(path: Path, facts: JsonObject) -> None:
    facts |= _file(path, "mask generator")
    made = mask_generator.load(path)
    info = made.info
    chosen = [each.name for each in info.trials if each.chosen]
    facts |= {
        "network": f"{info.network} ({info.network_sha256:.{SHORT}})",
        "images": f"{info.width}x{info.height}",
        "classes": {each.of_class: _forecast(each) for each in info.forecasts},
        "head": {
            "kind": chosen[0] if chosen else "not stated",
            "members": made.head.shape.members,
            "hidden units": made.head.shape.widths,
            "values": sum(each.numel() for each in made.head.parameters()),
            "layers": len(info.channels),
            "features of a pixel": sum(info.channels),
        },
        "image network": _image_network(made),
        "training": {
            "painted images": len(info.image_digests),
            "painters": list(info.painters),
            "truncation psi": info.drawing.truncation,
            "groups seen": len(info.groups),
            "real images seen": len(info.real_images),
            "seed": info.seed,
            "package_version": info.version,
            "environment": "" if info.environment is None else str(info.environment),
        },
        "notes": list(info.notes),
    }


def _image_network(made: mask_generator.MaskGenerator) -> JsonObject | None:
    """Its shape; None where there is none."""
    if made.network is None:
        return None
    shape = made.info.image_network
    assert isinstance(shape, dict), "it was built from it"
    return {**shape, "values": sum(each.numel() for each in made.network.parameters())}


def _forecast(each: ClassForecast) -> str:
    """What is painted of a class, and what to expect."""
    said = f"in {each.painted} images, {each.share:.2%} of the pixels, "
    if each.dice is None:
        return f"{said}nothing forecast"
    ends = "" if each.ends is None else f" ({number(each.ends.low)} to {number(each.ends.high)})"
    return f"{said}expected Dice {number(each.dice)}{ends}"


def _annotation_set(path: Path, facts: JsonObject) -> None:
    facts["kind"] = "annotation set"
    about = OpenSet.read(path).about
    facts |= {
        "network": f"{about.network} ({about.network_sha256:.{SHORT}})",
        "image": f"{about.width}x{about.height}, {about.bits} bit",
        "modalities": about.modalities,
        "images": len(about.images),
        "painted": len(about.painted),
        "painters": list(about.painters),
        "classes": [each.name for each in about.classes],
        "truncation psi": about.drawing.truncation,
        "groups seen": len(about.groups),
        "real images seen": len(about.real_images),
        "package_version": about.version,
    }


_FILES: Mapping[str, Callable[[Path, JsonObject], None]] = {
    TASK: _mask_generator,
    "classify": _classifier,
    "segment": _segmenter,
}
"""Task in the header of a file -> who describes it."""
