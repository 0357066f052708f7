"""The verdict of an audit and its rule."""

from collections.abc import Sequence

from synthograph.metrics.audit.copies import RATES
from synthograph.metrics.audit.membership import MEMBERSHIP_ALPHA
from synthograph.metrics.audit.overlap import OVERLAP_ALPHA
from synthograph.results.audit import AuditAnswer, NeighbourTest

MAX_OVERLAP = 0.01
"""Share of near-duplicates between training and hold-out above which nothing can be decided."""


RULE = (
    f"'{AuditAnswer.COPIES}' if a synthetic image equals a training image, and no held-out one, in "
    f"every pixel. Otherwise '{AuditAnswer.UNDECIDABLE}' if more than {MAX_OVERLAP:.0%} of the "
    "held-out images are near-duplicates of training images and false alarms do not explain it "
    f"(chance below {OVERLAP_ALPHA:.0%}), if there are too few patients to tell chance, or if copy "
    "detection finds less than half of the copies that were planted unchanged. Otherwise "
    f"'{AuditAnswer.COPIES}' if more synthetic images are flagged as copies of training images "
    "than real images of other patients lead one to expect, at "
    f"{' or '.join(format(rate, '.1%') for rate in RATES)} false alarms (exact tests; the "
    "level that decides is named, and what it flags is withheld). Otherwise "
    f"'{AuditAnswer.SUSPICIOUS}' if a test of nearest neighbours deviates towards memorisation "
    "beyond its interval (the intervals of all tests hold together in 95 of 100 audits), or if "
    "membership inference distinguishes training images from held-out ones (p at most "
    f"{MEMBERSHIP_ALPHA}). Otherwise '{AuditAnswer.CLEAN}': nothing was found by these means, "
    "which does not prove that there is nothing"
)
AT_RANDOM = (
    "tests and copy detection take held-out patients for such as might have been trained on: if "
    "they come from another place or time, the set may look suspicious without any memorising"
)


def decide(
    *,
    overlap: float = 0.0,
    tests: Sequence[NeighbourTest] = (),
    copies: str | None = None,
    distinguished: str | None = None,
    blind: str | None = None,
    exact: str | None = None,
) -> tuple[AuditAnswer, tuple[str, ...]]:
    """The answer by `RULE`, and the reasons for it.

    Args:
        overlap: share of near-duplicates between training and hold-out, false alarms left out.
        tests: of nearest neighbours.
        copies: what copy detection says if it found copies.
        distinguished: what membership inference says if it distinguishes training images.
        blind: why something could not be looked for, such as too few patients.
        exact: what is said of images that can be nothing but copies, at any number of patients.
    """
    shared = (
        f"{overlap:.1%} of the held-out images are near-duplicates of training images, more than "
        f"{MAX_OVERLAP:.0%}: what the generator has seen and what it has not are not "
        "distinguishable"
    )
    suspicions = [f"{e.test}, {e.extractor}: {e.sentence}" for e in tests if e.flagged]
    evidence = (  # the first of these answers that has a reason holds
        (AuditAnswer.COPIES, [exact]),
        (AuditAnswer.UNDECIDABLE, [shared if overlap > MAX_OVERLAP else None, blind]),
        (AuditAnswer.COPIES, [copies]),
        (AuditAnswer.SUSPICIOUS, [*suspicions, distinguished]),
    )
    found = [(answer, reason) for answer, reasons in evidence for reason in reasons if reason]
    if not found:
        clean = "no test deviates beyond chance, and no more copies than chance gives"
        return AuditAnswer.CLEAN, (clean,)
    return found[0][0], tuple(reason for _, reason in found)
