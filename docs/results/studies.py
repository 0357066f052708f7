"""Whole simulated studies: how often one is wrong in what it says.

    python -m docs.results.studies --studies 500

Patients and trainings as in `paired.py`. A study has three real-only arms that are equally good, of
which a noisy score on validation images chooses the reference; a primary condition; and two further
conditions. Every arm is trained twice per fold.
"""

import argparse
from collections import Counter
from collections.abc import Iterator

import torch

from docs.results.paired import EFFECT, conditions, normal, tell, true_difference
from synthograph.results.study import ArmKind, Finding, Study, StudyFacts
from synthograph.stats.scores import AUROC
from synthograph.workflows.study_analysis import Arm, analyse

ABOUT = StudyFacts(name="simulated", data="simulated", classes=("0", "1"))
REAL = (ArmKind.REAL, ArmKind.BALANCED, ArmKind.DUPLICATES)
PRIMARY = "primary"
SCENARIOS = {"100 patients": {}, "40 patients": {"patients": 40}}
DIFFERS = (Finding.BETTER, Finding.WORSE)


def simulated(
    rng: torch.Generator, effect: float, *, margin: float | None, seed: int, **settings: float
) -> Study:
    """One study whose primary condition has an effect, and whose further conditions have none."""
    condition = conditions(rng, **settings)

    def arm(name: str, kind: ArmKind, gain: float) -> Arm:
        validation = 0.8 + 0.02 * float(normal(rng, 1))
        return Arm(name, kind, tuple(condition(gain)), validation)

    arms = [
        *(arm(kind.value, kind, 0.0) for kind in REAL),
        arm(PRIMARY, ArmKind.MIXED, effect),
        arm("more", ArmKind.MIXED, 0.0),
        arm("synthetic", ArmKind.SYNTHETIC, 0.0),
    ]
    return analyse(
        arms,
        about=ABOUT,
        primary=PRIMARY,
        measure=AUROC,
        margin=margin,
        seed=seed,
        replicates=200,
    )


def facts(study: Study, truth: float) -> Iterator[str]:
    """What is counted of a study."""
    found = study.decided
    if found.interval is not None and truth in found.interval:
        yield "holds"
    if found.finding in DIFFERS:
        yield "differs"
    if found.finding in (Finding.BETTER, Finding.NON_INFERIOR):
        yield "not worse"
    further = [each for each in study.internal.differences if each.adjusted_p is not None]
    if any(each.finding in DIFFERS for each in further):
        yield "further"
    for each in found.others:
        if each.p is not None and each.p < 0.05:
            yield each.test.split()[0]


def main() -> None:
    """Print a table of all scenarios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--studies", type=int, default=500)
    count = parser.parse_args().studies
    columns = {
        "holds": "holds it",
        "differs": "differs",
        "not worse": "not worse",
        "further": "further differs",
        "corrected": "t-test",
        "Obuchowski": "Obuchowski",
    }
    tell(f"| studies | truth | {' | '.join(columns.values())} |")
    tell("|---|---|" + "---|" * len(columns))
    for name, settings in SCENARIOS.items():
        for effect in (0.0, EFFECT, -EFFECT):
            truth = true_difference(effect, **settings) if effect else 0.0
            margin = -truth if truth < 0 else 0.05
            rng, counted = torch.Generator().manual_seed(1), Counter[str]()
            for number in range(count):
                study = simulated(rng, effect, margin=margin, seed=number, **settings)
                counted.update(facts(study, truth))
            row = " | ".join(f"{counted[each] / count:.1%}" for each in columns)
            tell(f"| {name} | {truth:.3f} | {row} |")


if __name__ == "__main__":
    main()
