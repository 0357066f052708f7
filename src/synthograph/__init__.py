"""synthograph: from a small private image set to a labelled synthetic set that can be defended.

    import synthograph as sg

    sg.prepare("photos", "mine.zip", size=64, transform="center-crop")
    sg.split("mine.zip")

The functions do what the commands of the same names do, take their options as keywords (or a ready
request as the only argument) and return what was found. Importing the package imports no torch; the
names below are loaded when they are first used.
"""

import os
import sys

# `python -m synthograph` has the working folder first on the path: any `typing.py` in it would run
if sys.argv[:1] == ["-m"] and "-m synthograph" in " ".join(sys.orig_argv[:8]):
    _package = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    if not sys.flags.safe_path and os.path.realpath(sys.path[0]) != _package:
        del sys.path[0]

import importlib
from typing import TYPE_CHECKING, Any

from synthograph.core.version import VERSION

if TYPE_CHECKING:
    from synthograph.core.errors import UserError as UserError
    from synthograph.core.spec import ImageSpec as ImageSpec
    from synthograph.models.snapshot import Snapshot as Snapshot
    from synthograph.models.snapshot import load as load
    from synthograph.ops.augment import AugmentPipe as AugmentPipe

__version__ = VERSION
_LAZY = {
    "AugmentPipe": "synthograph.ops.augment",
    "ImageSpec": "synthograph.core.spec",
    "Snapshot": "synthograph.models.snapshot",
    "UserError": "synthograph.core.errors",
    "load": "synthograph.models.snapshot",
}
_JOBS = (
    *("annotate_agreement", "annotate_from_real", "annotate_generate", "annotate_import"),
    *("annotate_review", "annotate_sample", "annotate_train"),
    *("audit", "authenticity", "classify_evaluate", "classify_predict", "classify_train"),
    *("card", "cohorts", "convert", "demo"),
    *("directions", "doctor", "domain_gap", "embeddings", "evaluate", "export", "film"),
    *("generate", "get_weights", "import_weights", "inspect", "interpolate"),
    *("mix", "mix_styles", "neighbours", "phantom", "prepare", "project"),
    *("report", "segment_evaluate", "segment_predict", "segment_train", "split"),
    *("search", "study", "train", "truncation", "weights"),
)
__all__ = ["AugmentPipe", "ImageSpec", "Snapshot", "UserError", "load", *_JOBS]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name in _JOBS:
        found = importlib.import_module("synthograph.workflows").function(name)
    elif name in _LAZY:
        found = getattr(importlib.import_module(_LAZY[name]), name)
    else:
        raise AttributeError(f"module 'synthograph' has no attribute {name!r}")
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
