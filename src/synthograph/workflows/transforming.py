"""Which transforms the training images of an archive get, for classifiers and segmenters alike."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from synthograph.archive.batches import ArchiveRows, open_rows
from synthograph.archive.reader import Archive
from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec, stated
from synthograph.downstream.mixing import Control
from synthograph.ops.image_transforms import BY_NAME, Transforms
from synthograph.ops.transform_choice import ALL, NONE, NOT, Choice, check_invariances, choose
from synthograph.workflows.downstream_requests import FitOptions

FOURIER = "fourier"
MOST_STYLES = 256
"""Images of another archive that are kept to take the style of."""


@dataclass(frozen=True)
class Transforming:
    """Transforms of a training.

    Attributes:
        apply: transforms images, and masks with them.
        notes: which they are, and which are left out and why.
        key: the same for the same transforms.
        style: images whose style is taken, which the network sees thereby.
    """

    apply: Transforms
    notes: Sequence[str]
    key: str
    style: ArchiveRows | None = None


def transforming(request: FitOptions, archive: Archive) -> Transforming:
    """What a training asks for, as far as it leaves the meaning of the images alone.

    Raises:
        UserError: a word is unknown, or against what the archive says or stands for.
    """
    spec, invariances = archive.info.spec, _invariances(request, archive)
    words = _words(request, archive)
    choice = choose(words, spec, invariances)
    if request.style is not None and BY_NAME[FOURIER] not in choice.used:
        raise UserError(
            f"--style {request.style}: only transform 'fourier' takes a style: add "
            "--transforms default,fourier"
        )
    style = _style(request.style, spec)
    pixels = None if style is None else _pixels(style, request.seed)
    made = Transforms(choice.used, spec.modalities, request.seed, pixels)
    key = f"{made.key}/{None if style is None else style.images.key}"
    return Transforming(made, _notes(choice, invariances, archive), key, style)


def stands_for_augmentation(archive: Archive) -> bool:
    """Whether it is the control of a mixture in which augmentation stands for synthetic images."""
    return (archive.info.mixture or {}).get("control") == Control.AUGMENTATION.value


def _words(request: FitOptions, archive: Archive) -> Sequence[str]:
    if not stands_for_augmentation(archive):
        return request.transforms
    if NONE in request.transforms:
        raise UserError(
            f"{archive.path}: in this mixture augmentation stands for synthetic images "
            "(--control augmentation): leave --transforms none out, or train on the real archive"
        )
    without = all(word.startswith(NOT) for word in request.transforms)
    return (ALL, *request.transforms) if without else request.transforms


def _invariances(request: FitOptions, archive: Archive) -> Sequence[str] | None:
    given, said = stated(request.invariant), archive.info.invariances
    check_invariances(given or ())
    beyond = [name for name in given or () if said is not None and name not in said]
    if beyond:
        raise UserError(
            f"--invariant: {archive.path} says that {', '.join(beyond)} would change what its "
            f"images mean; if that is wrong, make it anew: synthograph prepare {archive.path} "
            f"NEW.zip --invariant {','.join(request.invariant)}"
        )
    return said if given is None else given


def _notes(choice: Choice, invariances: Sequence[str] | None, archive: Archive) -> list[str]:
    names = ", ".join(each.name for each in choice.used) or "none"
    control = ", which stand for synthetic images" * stands_for_augmentation(archive)
    found = [f"transforms of training images: {names}{control}"]
    if not choice.left_out:
        return found
    without = ", ".join(each.name for each in choice.left_out)
    if invariances is not None:
        stays = ", ".join(invariances) or "none"
        return [*found, f"without {without}: they could change what these images mean ({stays})"]
    return [
        *found,
        f"without {without}: what leaves the meaning of these images alone was not stated; say so "
        "with --invariant mirror,rotate,colour (those that hold) or none",
    ]


def _style(path: Path | None, spec: ImageSpec) -> ArchiveRows | None:
    """Images whose style is taken: of split train where there are splits."""
    if path is None:
        return None
    found = open_rows(str(path), "train")
    given = found.archive.info.spec
    if (given.height, given.width, given.modalities) != (spec.height, spec.width, spec.modalities):
        raise UserError(
            f"--style {path}: holds images of {given.describe()}, the training images are of "
            f"{spec.describe()}: prepare both alike"
        )
    return found


def _pixels(style: ArchiveRows, seed: int) -> Float[Tensor, "m c h w"]:
    count = len(style.rows)
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    return style.gather(order[:MOST_STYLES].sort().values)
