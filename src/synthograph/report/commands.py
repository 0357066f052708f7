"""Commands that would add what is missing, with the names that are known."""

import shlex
from dataclasses import dataclass

from synthograph.report.numbers import Numbers

SET, REAL = "SYNTHETIC.zip", "REAL.zip"


@dataclass(frozen=True)
class Beside:
    """What is known of a set beside its numbers.

    Attributes:
        during: what was measured while the run trained, by the images that chose its best snapshot.
        run: its directory.
        synthetic: the archive of synthetic images that was given.
        real: that of real images.
        remembered: what a comparison of projections says of a generator that remembers its
            training images; empty where none does.
    """

    during: Numbers = Numbers()
    run: str = ""
    synthetic: str = ""
    real: str = ""
    remembered: str = ""


ALONE = Beside()
"""Nothing but the numbers is known."""


def _archives(numbers: Numbers, beside: Beside) -> tuple[str, str]:
    """Those of the synthetic and of the real images, for a command."""
    synthetic = numbers.of_set("generated", "archive") or beside.synthetic or SET
    real = numbers.of_set("real", "archive") or beside.real or REAL
    return shlex.quote(synthetic), shlex.quote(real)


def _split(numbers: Numbers) -> str:
    return shlex.quote(numbers.of_set("real", "split") or "test")


def audit_command(numbers: Numbers, beside: Beside) -> str:
    """What searches the set for copies."""
    synthetic, real = _archives(numbers, beside)
    return (
        f"synthograph audit --synthetic {synthetic} --train {real}:train --holdout "
        f"{real}:{_split(numbers)} --outdir audit"
    )


def evaluate_command(numbers: Numbers, beside: Beside, features: str = "") -> str:
    """What measures the set: the images of an archive, else those of the run.

    Args:
        numbers: what was measured before.
        beside: what else is known.
        features: the extractor, where it is not the usual one.
    """
    synthetic, real = _archives(numbers, beside)
    of_archive = numbers.of_set("generated", "archive") or (not numbers and beside.synthetic)
    of_network = numbers.of_set("generated", "snapshot") or beside.run
    if of_network and not of_archive:
        given = shlex.quote(beside.run or "RUN")
    else:
        given = f"--synthetic {synthetic}"
    chosen = f" --features {features}" if features else ""
    if numbers.drawn is not None:  # of the same images, so that the numbers stand together
        chosen += f" --num {numbers.drawn}" + (f" --seed {numbers.seed}" if numbers.seed else "")
    out = "evaluation-2.json" if numbers else "evaluation.json"
    return f"synthograph evaluate {given} --real {real}:{_split(numbers)}{chosen} --out {out}"


def generate_command(count: int) -> str:
    """What makes more images."""
    return f"synthograph generate --network RUN --num {count} --outdir MORE.zip"


def gap_command(numbers: Numbers, beside: Beside) -> str:
    """What compares sets of several places."""
    synthetic, real = _archives(numbers, beside)
    return f"synthograph domain-gap {real} OTHER-HOSPITAL.zip {synthetic} --outdir domain-gap"
