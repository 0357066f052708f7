"""What settings are called in messages: by the flag, `--set` or file that they came from."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from synthograph.core.config import leaves

TRAIN_FLAGS = {
    "data.path": "--data",
    "data.split": "--split",
    "data.fold": "--fold",
    "data.subset": "--subset",
    "data.mirror": "--mirror",
    "data.cond": "--cond",
    "training.kimg": "--kimg",
    "training.batch": "--batch",
    "training.batch_gpu": "--batch-gpu",
    "training.snap": "--snap",
    "training.save_every": "--save-every",
    "training.max_hours": "--max-hours",
    "training.freezed": "--freezed",
    "model.r1_gamma": "--gamma",
    "augment.mode": "--aug",
    "augment.p": "--p",
    "augment.target": "--target",
    "augment.pipe": "--augpipe",
    "metrics.measures": "--metrics",
    "metrics.num": "--metric-num",
    "metrics.features": "--features",
    "metrics.patience": "--patience",
    "seed": "--seed",
    "device": "--device",
    "precision": "--precision",
}
"""Setting of a run -> the flag that gives it."""


def setting_names(
    given: Iterable[str],
    sets: Mapping[str, Any],
    file: Mapping[str, Any],
    config: Path | None,
) -> dict[str, str]:
    """Names for `core.config.calling`; a flag goes before `--set`, and that before the file.

    Args:
        given: settings that flags gave.
        sets: tree of the `--set` arguments.
        file: tree of the configuration file.
        config: that file.
    """
    names = {path: f"{config}: {path}" for path in leaves(file)}
    names |= {path: f"--set {path}" for path in leaves(sets)}
    return names | {path: TRAIN_FLAGS[path] for path in given if path in TRAIN_FLAGS}
