"""Commands that would add what is missing, with the names that are known."""

import shlex
from collections.abc import Mapping
from typing import Any

from synthograph.report.evaluations import Evaluation

SET, REAL = "SYNTHETIC.zip", "REAL.zip"


def _archive(about: Mapping[str, Any], default: str) -> str:
    return shlex.quote(about.get("archive") or default)


def audit_command(evaluation: Evaluation | None) -> str:
    """What searches the set for copies."""
    sets = {} if evaluation is None else evaluation.sets
    made, real = sets.get("generated", {}), sets.get("real", {})
    archive = _archive(real, REAL)
    return (
        f"synthograph audit --synthetic {_archive(made, SET)} --train {archive}:train "
        f"--holdout {archive}:{shlex.quote(real.get('split') or 'test')} --outdir audit"
    )


def evaluate_command(synthetic: str = "", real: str = "") -> str:
    """What measures the set.

    Args:
        synthetic: name of its archive.
        real: name of the archive of real images.
    """
    return (
        f"synthograph evaluate --synthetic {shlex.quote(synthetic or SET)} "
        f"--real {shlex.quote(real or REAL)}:test --out evaluation.json"
    )


def gap_command(evaluation: Evaluation | None) -> str:
    """What compares sets of several places."""
    sets = {} if evaluation is None else evaluation.sets
    made, real = sets.get("generated", {}), sets.get("real", {})
    return (
        f"synthograph domain-gap {_archive(real, REAL)} OTHER-HOSPITAL.zip {_archive(made, SET)} "
        "--outdir domain-gap"
    )
