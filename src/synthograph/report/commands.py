"""Commands that would add what is missing, with the names that are known."""

import shlex
from collections.abc import Mapping

from synthograph.report.numbers import Numbers

SET, REAL = "SYNTHETIC.zip", "REAL.zip"


def _archive(about: Mapping[str, str], default: str) -> str:
    return shlex.quote(about.get("archive") or default)


def _sets(numbers: Numbers | None) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """What is known of the synthetic and of the real images."""
    sets = {} if numbers is None else numbers.sets
    return sets.get("generated", {}), sets.get("real", {})


def audit_command(numbers: Numbers | None) -> str:
    """What searches the set for copies."""
    synthetic, real = _sets(numbers)
    archive = _archive(real, REAL)
    return (
        f"synthograph audit --synthetic {_archive(synthetic, SET)} --train {archive}:train "
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


def gap_command(numbers: Numbers | None) -> str:
    """What compares sets of several places."""
    synthetic, real = _sets(numbers)
    return (
        f"synthograph domain-gap {_archive(real, REAL)} OTHER-HOSPITAL.zip "
        f"{_archive(synthetic, SET)} --outdir domain-gap"
    )
