"""What settings are called in messages: by the flag, `--set` or file that they came from."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from synthograph.core.config import flatten

TRAIN_OPTIONS = {
    "data.path": "data",
    "data.split": "split",
    "data.fold": "fold",
    "data.subset": "subset",
    "data.mirror": "mirror",
    "data.cond": "cond",
    "training.kimg": "kimg",
    "training.batch": "batch",
    "training.batch_gpu": "batch_gpu",
    "training.snap": "snap",
    "training.save_every": "save_every",
    "training.max_hours": "max_hours",
    "training.freezed": "freezed",
    "model.r1_gamma": "gamma",
    "augment.mode": "aug",
    "augment.p": "p",
    "augment.target": "target",
    "augment.pipe": "augpipe",
    "metrics.measures": "metrics",
    "metrics.num": "metric_num",
    "metrics.features": "features",
    "metrics.patience": "patience",
    "seed": "seed",
    "device": "device",
    "precision": "precision",
    "threads": "threads",
}
"""Setting of a run -> the option of `train` that gives it."""


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
    names = {path: f"{config}: {path}" for path in flatten(file, sections=True)}
    names |= {path: f"--set {path}" for path in flatten(sets, sections=True)}
    options = {path: TRAIN_OPTIONS[path] for path in given if path in TRAIN_OPTIONS}
    return names | {path: f"--{option.replace('_', '-')}" for path, option in options.items()}
