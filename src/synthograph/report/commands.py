"""Commands that would add what is missing, with the names that are known."""

import shlex

from synthograph.report.numbers import Numbers

SET, REAL = "SYNTHETIC.zip", "REAL.zip"


def _archives(numbers: Numbers) -> tuple[str, str]:
    """Those of the synthetic and of the real images."""
    roles = (("generated", SET), ("real", REAL))
    synthetic, real = (numbers.of_set(role, "archive") or default for role, default in roles)
    return shlex.quote(synthetic), shlex.quote(real)


def audit_command(numbers: Numbers) -> str:
    """What searches the set for copies."""
    synthetic, real = _archives(numbers)
    return (
        f"synthograph audit --synthetic {synthetic} --train {real}:train --holdout "
        f"{real}:{shlex.quote(numbers.of_set('real', 'split') or 'test')} --outdir audit"
    )


def evaluate_command(synthetic: str = "", real: str = "") -> str:
    """What measures the set, given the names of archives."""
    return (
        f"synthograph evaluate --synthetic {shlex.quote(synthetic or SET)} "
        f"--real {shlex.quote(real or REAL)}:test --out evaluation.json"
    )


def gap_command(numbers: Numbers) -> str:
    """What compares sets of several places."""
    synthetic, real = _archives(numbers)
    return f"synthograph domain-gap {real} OTHER-HOSPITAL.zip {synthetic} --outdir domain-gap"
