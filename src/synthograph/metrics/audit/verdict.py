"""The verdict of an audit and its rule."""

from collections.abc import Sequence

from synthograph.metrics.audit.control import LEVEL
from synthograph.metrics.audit.copies import RATES
from synthograph.metrics.audit.membership import MEMBERSHIP_ALPHA
from synthograph.metrics.audit.overlap import OVERLAP_ALPHA
from synthograph.results.audit import AuditAnswer, NeighbourTest

MAX_OVERLAP = 0.01
"""Share of near-duplicates between training and hold-out above which nothing can be decided."""


RULE = (
    "The first of these that holds is the answer. "
    f"'{AuditAnswer.COPIES}': a synthetic image of more than one colour equals a training image, "
    f"and no held-out one, in every pixel. '{AuditAnswer.UNDECIDABLE}': more than "
    f"{MAX_OVERLAP:.0%} of the held-out images are near-duplicates of "
    "training images, more than false alarms explain (chance below "
    f"{OVERLAP_ALPHA:.0%}); or there are too few patients to know what chance does; or the search "
    "finds less than half of the copies that were planted unchanged. "
    f"'{AuditAnswer.COPIES}': more synthetic images are flagged as copies than real images of "
    f"other patients would be, at {' or '.join(format(rate, '.1%') for rate in RATES)} false "
    "alarms (exact tests; the level that decides is named, and what it flags is withheld). Where "
    "they look like copies of held-out images, too, more than chance gives, only those count that "
    "are more alike to a training image than any is to a held-out one, by groups (p below "
    f"{LEVEL:g}). "
    f"'{AuditAnswer.SUSPICIOUS}': a test of nearest neighbours points to memorising, outside an "
    "interval that holds for all tests together in 95 of 100 audits; or membership inference "
    f"recognises training images (p at most {MEMBERSHIP_ALPHA}). "
    f"'{AuditAnswer.UNDECIDABLE}': images are flagged, but too few count. "
    f"'{AuditAnswer.CLEAN}': none of these was found, which does not prove that there is nothing"
)
AT_RANDOM = (
    "the audit assumes that chance decided which patients were held out: if they come from another "
    "place or time, images may look copied and the set suspicious without any memorising"
)


def decide(
    *,
    overlap: float = 0.0,
    tests: Sequence[NeighbourTest] = (),
    copies: str | None = None,
    distinguished: str | None = None,
    blind: str | None = None,
    doubtful: str | None = None,
    exact: str | None = None,
) -> tuple[AuditAnswer, tuple[str, ...]]:
    """The answer by `RULE`, and the reasons for it.

    Args:
        overlap: share of near-duplicates between training and hold-out, false alarms left out.
        tests: of nearest neighbours.
        copies: what copy detection says if it found copies.
        distinguished: what membership inference says if it distinguishes training images.
        blind: why something could not be looked for, such as too few patients.
        doubtful: why images that are flagged need not be copies.
        exact: what is said of images that can be nothing but copies, at any number of patients.
    """
    shared = (
        f"{overlap:.1%} of the held-out images are near-duplicates of training images, more than "
        f"{MAX_OVERLAP:.0%}: so what the generator saw cannot be told from what it did not see"
    )
    suspicions = [f"{e.test}, {e.extractor}: {e.sentence}" for e in tests if e.flagged]
    evidence = (  # the first of these answers that has a reason holds
        (AuditAnswer.COPIES, [exact]),
        (AuditAnswer.UNDECIDABLE, [shared if overlap > MAX_OVERLAP else None, blind]),
        (AuditAnswer.COPIES, [copies]),
        (AuditAnswer.SUSPICIOUS, [*suspicions, distinguished]),
        (AuditAnswer.UNDECIDABLE, [doubtful]),
    )
    found = [(answer, reason) for answer, reasons in evidence for reason in reasons if reason]
    if not found:
        clean = "nothing points to memorising, and no more copies were found than chance gives"
        return AuditAnswer.CLEAN, (clean,)
    return found[0][0], tuple(reason for _, reason in found)
