"""The verdict of an audit, its rule, and what copy detection says in words."""

import enum
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from synthograph.metrics.audit.copies import Copies, Recall
from synthograph.metrics.audit.findings import Finding
from synthograph.metrics.audit.identical import Identical
from synthograph.metrics.audit.leaks import AugmentationLeakage
from synthograph.metrics.audit.membership import MEMBERSHIP_ALPHA
from synthograph.metrics.audit.overlap import OVERLAP_ALPHA, Overlap

MAX_OVERLAP = 0.01
"""Share of near-duplicates between training and hold-out above which nothing can be decided."""


class AuditAnswer(enum.StrEnum):
    """Answers of the verdict."""

    CLEAN = "clean"
    COPIES = "copies found"
    SUSPICIOUS = "suspicious"
    UNDECIDABLE = "undecidable"


RULE = (
    f"'{AuditAnswer.COPIES}' if a synthetic image equals a training image, and no held-out one, in "
    f"every pixel. Otherwise '{AuditAnswer.UNDECIDABLE}' if more than {MAX_OVERLAP:.0%} of the "
    "held-out images are near-duplicates of training images and false alarms do not explain it "
    f"(chance below {OVERLAP_ALPHA:.0%}), if there are too few patients to tell chance, or if copy "
    "detection finds less than half of the copies that were planted unchanged. Otherwise "
    f"'{AuditAnswer.COPIES}' if more synthetic images are flagged as copies of training images "
    "than real images of other patients lead one to expect (exact test). Otherwise "
    f"'{AuditAnswer.SUSPICIOUS}' if a test of nearest neighbours deviates towards memorisation "
    "beyond its interval (the intervals of all tests hold together in 95 of 100 audits), or if "
    "membership inference distinguishes training images from held-out ones (p at most "
    f"{MEMBERSHIP_ALPHA}). Otherwise '{AuditAnswer.CLEAN}': nothing was found by these means, "
    "which does not prove that there is nothing"
)
MIN_RECALL = 0.5
"""Share of planted plain copies that must be found for a set to be called clean."""
WEAK = 0.8
"""Share of planted copies below which a transform is named as a limit."""
AT_RANDOM = (
    "tests and copy detection take held-out patients for such as might have been trained on: if "
    "they come from another place or time, the set may look suspicious without any memorising"
)


@dataclass(frozen=True)
class AuditVerdict:
    """The answer.

    Attributes:
        answer: one of four.
        reasons: what led to it.
        limits: what it cannot tell.
        indicative: whether all features came from networks that were never trained.
    """

    answer: AuditAnswer
    reasons: tuple[str, ...]
    limits: tuple[str, ...]
    indicative: bool

    def json(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "answer": self.answer.value,
            "indicative": self.indicative,
            "rule": RULE,
            "reasons": list(self.reasons),
            "limits": list(self.limits),
        }


@dataclass(frozen=True)
class Evidence:
    """What the verdict rests on.

    Attributes:
        overlap: share of near-duplicates between training and hold-out, false alarms apart.
        findings: tests of nearest neighbours.
        copies: what copy detection says where it found copies, else None.
        told: what membership inference says where it told training images, else None.
        blind: why something could not be looked for, such as too few patients; else None.
        exact: what is said of images that can be nothing but copies, at any number of patients.
    """

    overlap: float = 0.0
    findings: Sequence[Finding] = ()
    copies: str | None = None
    told: str | None = None
    blind: str | None = None
    exact: str | None = None


def decide(evidence: Evidence) -> tuple[AuditAnswer, tuple[str, ...]]:
    """The answer by `RULE`, and the reasons for it."""
    reasons = []
    if evidence.overlap > MAX_OVERLAP:
        reasons.append(
            f"{evidence.overlap:.1%} of the held-out images are near-duplicates of training "
            f"images, more than {MAX_OVERLAP:.0%}: what the generator has seen and what it has "
            "not are not distinguishable"
        )
    reasons += filter(None, [evidence.blind])
    if evidence.exact is not None:
        answer = AuditAnswer.COPIES
        reasons.insert(0, evidence.exact)
    elif reasons:
        answer = AuditAnswer.UNDECIDABLE
    elif evidence.copies is not None:
        answer = AuditAnswer.COPIES
    else:
        answer = AuditAnswer.CLEAN
    reasons += filter(None, [evidence.copies])
    suspicions = [f"{e.test}, {e.extractor}: {e.sentence}" for e in evidence.findings if e.flagged]
    suspicions += filter(None, [evidence.told])
    if suspicions and answer is AuditAnswer.CLEAN:
        answer = AuditAnswer.SUSPICIOUS
    if not (reasons or suspicions):
        reasons.append("no test deviates beyond chance, and no more copies than chance gives")
    return answer, (*reasons, *suspicions)


def overlap_words(overlap: Overlap) -> str:
    """Training images in the hold-out, in a sentence."""
    words = f"overlap: {overlap.share:.1%} of the held-out images are near-duplicates of training"
    if overlap.identical:
        words += f", {len(overlap.identical)} images equal one in every pixel"
    if overlap.believed < overlap.share:
        words += f"; false alarms alone give as many others with a probability of {overlap.p:.2g}"
    return words


def exact_words(same: Identical) -> str | None:
    """Images that can be nothing but copies, in a sentence; None where there are none."""
    if not same.proof:
        return None
    return (
        f"copies: {len(same.proof)} synthetic images equal a training image, but no held-out one, "
        "in every pixel"
    )


def same_words(same: Identical) -> str:
    """What is said of copies where there are too few patients to search for other ones."""
    return (
        f"copies: {len(same.images)} synthetic images equal a training image in every pixel"
        f"{_unproven(same)}; there are too few patients to search for others"
    )


def _unproven(same: Identical) -> str:
    count = len(same.images) - len(same.proof)
    return f" ({count} of them equal a held-out image too, which proves nothing)" if count else ""


def leaks_words(leaks: AugmentationLeakage) -> str:
    """Augmentations that show, in a sentence."""
    found = [
        f"{each.transform} ({each.share:.0%})"
        for each in leaks.transforms
        if each.leaked and each.share is not None
    ]
    untold = [each.transform for each in leaks.transforms if each.share is None]
    words = "augmentations: " + (
        f"synthetic images look as if they had been changed as in training: {', '.join(found)}"
        if found
        else "none shows in the synthetic images"
    )
    return words + (f"; not distinguishable on such images: {', '.join(untold)}" if untold else "")


def copies_words(copies: Copies) -> str:
    """The result of copy detection in a sentence."""
    count = copies.counts[0]
    images, real = len(copies.scores), count.threshold.rate
    expected = real * images
    words = (
        f"{count.flagged} of {images} synthetic images look like copies of training images, where "
        f"{expected:.1f} are expected by chance ({real:.1%} false alarms; p = {count.p:.2g})"
    )
    if copies.identical:
        words += f"; {len(copies.identical)} equal a training image in every pixel"
        words += _unproven(copies.same)
    if copies.found:
        return f"copies: {words}"
    known = {name: limit for name, limit in count.limits.items() if limit is not None}
    limits = ", ".join(f"{name} {limit:.1%}" for name, limit in known.items())
    return (
        f"copies: no more than chance gives: {words}; with 95 % confidence at most these shares of "
        f"the images are copies, by transform: {limits or 'nothing can be said'}"
    )


def blindness(copies: Copies) -> str | None:
    """Why copy detection cannot clear a set, or None."""
    for recall in _recalls(copies):
        if recall.transform == "identity" and recall.share < MIN_RECALL:
            return (
                f"copy detection finds {recall.share:.0%} of planted copies without any change, "
                f"less than {MIN_RECALL:.0%}: images of different patients are too alike"
            )
    return None


def unseen(copies: Copies) -> Iterator[str]:
    """What copy detection could have missed."""
    weak = [f"{r.transform} {r.share:.0%}" for r in _recalls(copies) if r.share < WEAK]
    if weak:
        rate = copies.counts[0].threshold.rate
        yield (
            f"of planted copies under these transforms few are found ({rate:.1%} false alarms): "
            + (", ".join(weak))
        )
    yield "copies of parts of an image, and under transforms that were not planted, may be missed"
    yield from copies.notes


def _recalls(copies: Copies) -> list[Recall]:
    """Of all classes, at the lowest rate of false alarms."""
    rate = copies.counts[0].threshold.rate
    return [each for each in copies.recalls if each.label is None and each.rate == rate]
