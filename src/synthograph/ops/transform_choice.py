"""Which transforms a training uses: those that are asked for and leave the meaning alone."""

from collections.abc import Sequence
from dataclasses import dataclass

from synthograph.core.errors import UserError
from synthograph.core.names import nearest
from synthograph.core.spec import ImageSpec, Invariance
from synthograph.ops.image_transforms import BY_NAME, TRANSFORMS, Transform

DEFAULT, ALL, NONE, NOT = "default", "all", "none", "no-"
"""Words beside the names; the last stands before a name that is left out."""


@dataclass(frozen=True)
class Choice:
    """Transforms that were chosen for images.

    Attributes:
        used: those that act.
        left_out: those that were meant and could change what the images mean.
    """

    used: tuple[Transform, ...]
    left_out: tuple[Transform, ...] = ()


def choose(words: Sequence[str], spec: ImageSpec, invariances: Sequence[str] | None) -> Choice:
    """The transforms that are meant.

    Args:
        words: names, `default`, `all` or `none`; `no-NAME` leaves one out. Without a word, or with
            such ones only, those of `default` are meant.
        spec: of the images.
        invariances: that the images have; None where nobody said.

    Raises:
        UserError: a word is unknown; a transform that is named does not fit the images or could
            change what they mean.
    """
    named = [word for word in words if not word.startswith(NOT)]
    without = [word.removeprefix(NOT) for word in words if word.startswith(NOT)]
    for name in (*named, *without):
        if name not in {*BY_NAME, DEFAULT, ALL, NONE}:
            known = [*BY_NAME, DEFAULT, ALL, NONE]
            raise UserError(f"transform {name!r} is unknown: {nearest(name, known)}")
    if NONE in named and len(words) > 1:
        raise UserError("transform 'none' stands alone")
    for name in named:
        if name in BY_NAME:
            _refuse(BY_NAME[name], spec, invariances)
    groups = set(named or [DEFAULT])
    meant = [
        each
        for each in TRANSFORMS
        if (ALL in groups or (DEFAULT in groups and each.usual) or each.name in groups)
        and each.fits(spec)
        and each.name not in without
    ]
    used = tuple(each for each in meant if each.allowed(invariances))
    return Choice(used, tuple(each for each in meant if each not in used))


def check_invariances(names: Sequence[str]) -> None:
    """Refuse unknown ones.

    Raises:
        UserError: a name is none of `Invariance`.
    """
    for name in names:
        if name not in set(Invariance):
            raise UserError(f"--invariant {name}: {nearest(name, [*Invariance, NONE])}")


def _refuse(each: Transform, spec: ImageSpec, invariances: Sequence[str] | None) -> None:
    """Refuse a transform that was asked for by name."""
    if not each.fits(spec):
        raise UserError(
            f"transform {each.name!r} is for {each.channels} channels, these are images of "
            f"{spec.describe()}: leave it out"
        )
    if each.allowed(invariances):
        return
    if invariances is None:
        word = each.needs or "none"
        raise UserError(
            f"transform {each.name!r}: whether it leaves the meaning of these images alone was not "
            f"stated: say so with --invariant {word}, or leave it out"
        )
    raise UserError(
        f"transform {each.name!r} would change what these images mean (invariances: "
        f"{', '.join(invariances) or 'none'}): leave it out"
    )
