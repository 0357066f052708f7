"""Which runs' synthetic images a page for everybody leaves out, and why."""

import contextlib
from collections.abc import Sequence

from synthograph.core.errors import UserError
from synthograph.report.gather import Inputs
from synthograph.report.runs import Run
from synthograph.report.words import listed
from synthograph.results.audit import Audit, AuditAnswer
from synthograph.results.authenticity import Authenticity, RecoveryAnswer

Audited = Sequence[tuple[AuditAnswer, frozenset[str]]]
"""Answers of audits, and the networks whose images they searched; none where that is unknown."""


def remembered(inputs: Inputs) -> str:
    """What the first comparison of projections says that found memorisation."""
    found = [each.content for each in inputs.of(Authenticity)]
    said = (
        f"Projections show signs that {each.network} memorised images: {each.sentence}."
        for each in found
        if each.answer is RecoveryAnswer.SIGNS
    )
    return next(said, "")


def reasons(inputs: Inputs) -> list[str]:
    """For every run, why its synthetic images are left out; empty where they may be shown, or there
    are none.
    """
    audited = [
        (each.content.verdict.answer, _networks(each.content, inputs)) for each in inputs.of(Audit)
    ]
    memory = bool(remembered(inputs))
    return [_reason(run, audited, memory=memory) if run.fakes else "" for run in inputs.runs]


def _networks(audit: Audit, inputs: Inputs) -> frozenset[str]:
    """Whose images were searched, by the audit or, where it is older, by the archive itself."""
    known = frozenset(audit.provenance.synthetic.networks)
    searched = audit.sets.synthetic.images_hash
    if known or searched is None:
        return known
    archives = (each.archive for each in inputs.archives if each.synthetic)
    made = (each.info.networks for each in archives if each.images_hash == searched)
    with contextlib.suppress(UserError):  # an archive that is broken says nothing
        known = frozenset(next(made, ()))
    return known


def _reason(run: Run, audited: Audited, *, memory: bool) -> str:
    if memory:
        return "projections show that the generator remembers its training images"
    own = [answer for answer, networks in audited if networks and networks & run.networks]
    unknown = [answer for answer, networks in audited if not networks]
    said = {answer.value for answer in (*own, *unknown)} - {AuditAnswer.CLEAN.value}
    if said:
        return f"an audit says: {listed(sorted(said))}"
    if own:
        return ""
    missing = "no audit of images that its network made says that they are no copies"
    way_out = "; give the archive that was audited, too: it says which network made it"
    return f"{missing}{way_out if unknown else ''}"


def pictures_left_out(inputs: Inputs) -> str:
    """Why a page for everybody lacks pictures of runs; empty where it has all that there are."""
    every = [
        (run.path.name, why)
        for run, why in zip(inputs.runs, reasons(inputs), strict=True)
        if run.fakes
    ]
    said = dict.fromkeys(why for _, why in every if why)
    return " ".join(
        f"Synthetic images{_of(every, why)} are left out of this page, since {why}." for why in said
    )


def _of(every: Sequence[tuple[str, str]], why: str) -> str:
    """The runs that are left out for a reason, where these are not all."""
    names = [name for name, reason in every if reason == why]
    return "" if len(names) == len(every) else f" of {listed(names)}"
