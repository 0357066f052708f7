"""Several images of one thing in one folder, told apart by how their names end."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from synthograph.core.errors import UserError
from synthograph.core.names import first_few
from synthograph.core.spec import MASKS
from synthograph.sources.readers import stem_key


@dataclass(frozen=True, slots=True)
class Sequences:
    """Files of one folder by what they are, such as `x_t1.nii.gz` and `x_flair.nii.gz`.

    Attributes:
        images: files of the first modality.
        partners: further modality, or masks -> image -> its file.
        others: files whose names end otherwise.
    """

    images: Sequence[str]
    partners: Mapping[str, Mapping[str, str]]
    others: Sequence[str]


def by_ending(
    names: Iterable[str], endings: Mapping[str, Sequence[str]], masks: Sequence[str] = ()
) -> Sequences:
    """Sort files by the endings of their names, without that of their format.

    Args:
        names: relative names of files.
        endings: modality -> endings, such as `_t1`; the first modality is that of the images.
        masks: endings of masks.

    Raises:
        UserError: no file is of the first modality, or two are one thing of one image.
    """
    kinds = {end: kind for kind, ends in {**endings, MASKS: masks}.items() for end in ends}
    longest = sorted(kinds, key=len, reverse=True)
    found: dict[str, dict[str, str]] = {kind: {} for kind in kinds.values()}
    others = []
    for name in names:
        stem = stem_key(name)
        end = next((end for end in longest if stem.endswith(end)), None)
        if end is None:
            others.append(name)
            continue
        other = found[kinds[end]].setdefault(stem.removesuffix(end), name)
        if other != name:
            raise UserError(f"{other!r} and {name!r} are both {kinds[end]} of one image; keep one")
    first, *further = found
    if not found[first]:
        raise UserError(
            f"no file is called like one of {first} ({' or '.join(endings[first])}); there is "
            f"{first_few(others) or 'no other'}"
        )
    images = found[first]
    partners = {
        kind: {name: found[kind][stem] for stem, name in images.items() if stem in found[kind]}
        for kind in further
    }
    return Sequences([*images.values()], partners, others)
