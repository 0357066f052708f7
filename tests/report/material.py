"""Run directories and results as other rooms write them, small and made up."""

import hashlib
import io
import json
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

SPLITS = 3


def png(width: int = 40, height: int = 20, seed: int = 0) -> bytes:
    """Noise."""
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG")
    return file.getvalue()


def snapshot(path: Path, document: Mapping[str, Any]) -> None:
    """A safetensors file with a document and one tensor of four bytes."""
    header = {
        "__metadata__": {"synthograph": json.dumps(document)},
        "w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]},
    }
    data = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(data)) + data + b"\0\0\0\0")


def stats_line(kimg: float, **more: Any) -> str:
    names = ("Loss/G/loss", "Loss/D/loss", "Loss/scores/real", "Loss/scores/fake")
    line = {name: {"num": 1, "mean": kimg / 10, "std": 0.0} for name in names}
    line["Progress/kimg"] = {"num": 1, "mean": kimg, "std": 0.0}
    line["Progress/augment"] = {"num": 1, "mean": kimg / 100, "std": 0.0}
    line["Timing/total_sec"] = {"num": 1, "mean": kimg * 60, "std": 0.0}
    return json.dumps({**line, "alarms": [], **more})


def run_directory(
    folder: Path, *, pictures: int = 4, classes: tuple[str, ...] = ("a", "b")
) -> Path:
    """A finished run."""
    path = folder / "00000-set-cond-tiny"
    (path / "snapshots").mkdir(parents=True)
    data = {"path": "/nowhere/private/set.zip", "split": "train"}
    config = {"seed": 3, "data": data, "model": {"family": "stylegan2", "r1_gamma": 0.5}}
    (path / "config.json").write_text(json.dumps(config))
    (path / "log.txt").write_text("synthograph train --data /nowhere/private/set.zip\ndata: 9\n")
    lines = [stats_line(k) for k in (0.0, 1.0, 2.0, 3.0)]
    lines.append(stats_line(4.0, alarms=["the discriminator is never wrong any more"]))
    (path / "stats.jsonl").write_text("\n".join(lines) + "\n")
    (path / "reals.png").write_bytes(png(seed=99))
    for number in range(1, pictures + 1):
        (path / f"fakes-{number:06d}.png").write_bytes(png(seed=number))
    document = {
        "images_seen": 4000,
        "classes": list(classes),
        "images_hash": "beef" * 16,
        "manifest_hash": "cafe" * 16,
        "split": "train",
        "group_digests": ["00", "11"],
        "image_digests": ["0", "1", "2"],
        "package_version": "0.1.0",
    }
    snapshot(path / "snapshots" / "generator-000004.safetensors", document)
    return path


def entry(
    measure: str,
    *,
    same: float | None,
    low: float = 0.4,
    high: float = 0.6,
    extractor: str | None = "random-vgg16",
    level: str | None = None,
    n: int = 200,
    **more: Any,
) -> dict[str, Any]:
    """One number as `evaluate` writes it, with a floor from `low` to `high`."""
    features = {
        "extractor": extractor,
        "indicative": str(extractor).startswith(("random", "classifier:")),
    }
    return {
        "name": measure,
        "value": 0.5,
        "interval": [0.3, 0.7, 0.95],
        "n_real": n,
        "n_fake": n,
        "groups_real": n // 2,
        "notes": [],
        "scope": {"column": "label" if level else None, "level": level, "modality": None},
        "floor": {
            "value": (low + high) / 2,
            "low": low,
            "high": high,
            "same_n": same,
            "n": [n // 2, n // 2],
            "splits": SPLITS,
        },
        "train": None,
        "gap": None,
        "published": False,
        "provenance": {
            "features": features if extractor else None,
            "generated": {"name": "made.zip", "archive": "made.zip", "images_hash": "aa"},
            "real": {
                "name": "set.zip:test",
                "archive": "set.zip",
                "images_hash": "bb",
                "split": "test",
            },
            "train": {"name": "set.zip:train", "archive": "set.zip", "split": "train"},
            "seed": 7,
            "version": "0.1.0",
        },
        **more,
    }


ALIKE, APART = 0.5, {"frechet": 0.9, "kernel": 0.9, "precision": 0.1, "recall": 0.1, "coverage": 0}


def noise_entry(value: float, level: str | None = None) -> dict[str, Any]:
    """A noise share with an interval of +- 0.05, which real images have no part in."""
    return entry(
        "noise_share",
        same=None,
        extractor=None,
        level=level,
        value=value,
        interval=[value - 0.05, value + 0.05, 0.95],
        floor=None,
        n_real=0,
        groups_real=0,
    )


def entries(
    apart: tuple[str, ...] = (), *, extractor: str = "random-vgg16", **more: Any
) -> list[dict[str, Any]]:
    """All measures of verdicts by one extractor; those of `apart` beyond their floor, with their
    whole intervals.
    """
    found = []
    for name, far in APART.items():
        if name not in apart:
            found.append(entry(name, same=ALIKE, extractor=extractor, **more))
            continue
        beyond = {"value": far, "interval": [max(far - 0.05, 0.0), far + 0.05, 0.95]}
        found.append(entry(name, same=far, extractor=extractor, **{**beyond, **more}))
    return found


def evaluation(*found: list[dict[str, Any]], shares: Any = ()) -> dict[str, Any]:
    """What `evaluate --out` writes."""
    numbers = [each for several in found for each in several]
    line = {
        "metric": "evaluation",
        "published": False,
        "entries": numbers,
        "shares": list(shares),
        "notes": [],
    }
    return {"format": 1, "skipped": [], "results": [line]}


def share(level: str, real: int, fake: int) -> dict[str, Any]:
    return {"column": "label", "level": level, "modality": None, "n_real": real} | {
        "n_generated": fake,
        "n_train": None,
        "share_generated_over_share_train": None,
    }


def audit_of(run: Path, answer: str = "clean") -> dict[str, Any]:
    """What `audit` writes of images that the network of a run made."""
    newest = max((run / "snapshots").iterdir())
    made_by = {"networks": [hashlib.sha256(newest.read_bytes()).hexdigest()]}
    found = audit(answer)
    return found | {"provenance": {**found["provenance"], "synthetic": made_by}}


def audit(answer: str = "clean", **more: Any) -> dict[str, Any]:
    """What `audit` writes; `test_document.py` compares it with its schema."""
    verdict = {"answer": answer, "indicative": False, "rule": "a rule", "reasons": ["a reason"]}
    test = {
        "test": "closer_to_training",
        "extractor": "random-vgg16",
        "value": 0.51,
        "expected": 0.5,
        "interval": [0.4, 0.6],
        "level": 0.95,
        "p": 0.6,
        "flagged": False,
        "draws": 20,
        "exchanges": 199,
        "sentence": "51 % are closer to training images",
    }
    planted = {"transform": "identity", "rate": 0.001, "recall": 0.99, "interval": [0.9, 1.0]}
    threshold = {"rate": 0.001, "score": 9.5, "above": 1, "images": 100, "extrapolated": True}
    counted = {"upper_limit_by_transform": {"identity": 0.0151}}
    return {
        "format": 1,
        "kind": "audit",
        "verdict": {**verdict, "limits": ["a limit"], **more},
        "notes": [],
        "sets": {
            "train": {"name": "set.zip:train", "images": 150, "groups": 30, "images_hash": "bb"},
            "holdout": {"name": "set.zip:test", "images": 50, "groups": 10, "images_hash": "bb"},
            "synthetic": {"name": "made.zip", "images": 200, "groups": None, "images_hash": "aa"},
        },
        "overlap": {
            "share": 0.0,
            "interval": [0.0, 0.1],
            "p": 1.0,
            "believed": 0.0,
            "images": 50,
            "threshold": threshold,
            "sentence": "overlap: none",
        },
        "tests": [test],
        "copies": {
            "found": False,
            "identical": [],
            "withhold": [3, 4, 5],
            "pairs": [{"fake": 3, "train": 7, "score": 1.5}],
            "recall": [
                {**planted, "label": label, "class": label or "", "planted": 100, "n": 100}
                | {"found": 99}
                for label in (None, "a")
            ],
            "counts": [
                {**threshold, "flagged": 0, "holdout": 3, "p": 1.0, "upper_limit": 0.015} | counted
            ],
            "notes": [],
            "sentence": "copies: no more than chance gives",
        },
        "membership": {
            "extractor": "random-vgg16",
            "attacks": [attack()],
            "p": 0.4,
            "seen": False,
            "undecided": None,
            "sentence": "membership: no better than chance",
            "train": {"images": 150, "groups": 30},
            "holdout": {"images": 50, "groups": 10},
            "synthetic": {"images": 200},
            "notes": [],
        },
        "augmentations": {"found": False, "transforms": [], "sentence": "augmentations: none"},
        "pictures": {"pairs": "pairs.png"},
        "provenance": {
            "seed": 0,
            "version": "0.1.0",
            "command": "synthograph audit --train /nowhere/private/set.zip",
        },
    }


def attack() -> dict[str, Any]:
    """Inference of membership by one score."""
    return {
        "score": "nearest",
        "unit": "image",
        "auc": 0.512,
        "interval": [0.431, 0.587, 0.95],
        "p": 0.4,
        "null": {"mean": 0.5, "high": 0.55},
        "true_positive_rate": 0.02,
        "true_positive_interval": [0.01, 0.04, 0.95],
        "true_positive_p": 0.3,
        "true_positive_null": {"mean": 0.01, "high": 0.03},
        "false_positives_allowed": 1,
        "control": {"mean": 0.52, "high": 0.56},
    }


def gap(points: int = 5) -> dict[str, Any]:
    """What `domain-gap` writes."""
    classifier = {
        "auc": 0.8,
        "interval": [0.7, 0.9, 0.95],
        "accuracy": 0.75,
        "accuracy_interval": [0.7, 0.8, 0.95],
        "p": 0.01,
        "images": [9, 9],
        "groups": [9, 9],
    }
    kernel = {"name": "kernel", "value": 0.1, "interval": [0.0, 0.2, 0.95], "notes": []}
    floor = {"value": 0.0123, "low": 0.0111, "high": 0.0135, "same_n": None, "n": [4, 5]}
    pair = {
        "one": "set.zip",
        "other": "made.zip",
        "extractor": "random-vgg16",
        "sentence": "differ",
    }
    return {
        "format": 1,
        "kind": "domain-gap",
        "sets": [{"name": "set.zip", "images": 9}, {"name": "made.zip", "origin": "synthetic"}],
        "pairs": [
            {
                **pair,
                "kernel": kernel,
                "floor": {"one": {**floor, "splits": SPLITS}, "other": None},
                "classifier": classifier,
            }
        ],
        "map": {
            "method": "pca",
            "points": [[float(i), float(i * i)] for i in range(points)],
            "set": [i % 2 for i in range(points)],
            "label": ["a"] * points,
            "image": list(range(points)),
        },
        "thumbnails": {
            "file": "sprite.png",
            "width": 8,
            "height": 8,
            "columns": 3,
            "count": points,
        },
    }


def sensitivity() -> dict[str, Any]:
    """A table of sensitivities."""
    trial = {
        "grade": 1.0,
        "amount": "1 pixel",
        "part": "",
        "images": 50,
        "value": 0.5,
        "floor": [0.1, 0.2, 0.3],
        "beyond": 3,
        "noticed": True,
    }
    cell = {"kind": "blur", "measure": "frechet", "verdict": "noticed", "smallest": "1 pixel"}
    return {
        "rule": "beyond the floor",
        "cells": [{**cell, "trials": [trial], "reason": ""}],
        "splits": SPLITS,
        "images": 100,
        "groups": 10,
        "half": 50,
        "damaged": 50,
        "seed": 0,
        "extractor": {},
        "notes": ["n"],
    }


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path
