"""Whether a generator was trained on images that it is evaluated on."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from synthograph.archive.batches import ArchiveRows
from synthograph.archive.copies import one_coloured
from synthograph.core.errors import UserError
from synthograph.core.names import first_few

MAX_COPIES = 0.01
"""Share of reference images that may equal training images by chance, such as empty ones."""


@dataclass(frozen=True)
class Trained:
    """The training set of a generator as digests; empty where its snapshot has none."""

    groups: frozenset[str] = frozenset()  # of patients
    images: frozenset[str] = frozenset()  # of decoded pixels

    @property
    def known(self) -> bool:
        """Whether there are digests to compare."""
        return bool(self.groups or self.images)

    def groups_among(self, names: Mapping[str, str]) -> list[str]:
        """Those of these groups that were trained on, of digests with their names."""
        return sorted(names[digest] for digest in names.keys() & self.groups)

    def images_among(self, files: Mapping[str, str]) -> list[str]:
        """Those of these images that equal one that was trained on, of digests with their files."""
        return sorted(files[digest] for digest in files.keys() & self.images)

    def pictures_among(self, images: ArchiveRows) -> list[str]:
        """Those of these images that equal one that was trained on, and show something: images of
        one colour, such as empty slices, are equal by chance.
        """
        if not images.rows or not self.images:
            return []
        rows = {row.file: row for row in images.rows}
        copies = self.images_among(images.pixels)
        return [file for file in copies if not one_coloured(images.archive.read(rows[file]))]


def with_parents(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The document of a snapshot, and those of the snapshots that it was initialised from."""
    inner: Any = document
    while isinstance(inner, Mapping):
        yield inner
        inner = inner.get("initialised_from")


def trained_on(documents: Iterable[Mapping[str, Any]]) -> Trained:
    """The training sets of generators, including those that they were initialised from.

    Args:
        documents: documents of snapshots, as in their headers and in `dataset.json` of synthetic
            archives.
    """
    groups: set[str] = set()
    images: set[str] = set()
    for document in documents:
        for each in with_parents(document):
            groups |= {str(digest) for digest in each.get("group_digests") or ()}
            images |= {str(digest) for digest in each.get("image_digests") or ()}
    return Trained(frozenset(groups), frozenset(images))


def refuse_overlap(
    trained: Trained, groups: Mapping[str, str], images: Mapping[str, str], name: str
) -> list[str]:
    """Refuse a reference that shares patients or images with the training set.

    Args:
        trained: the training set of the generator.
        groups: digest to name of every patient of the reference.
        images: digest to file of every image of the reference.
        name: of the reference.

    Returns:
        Notes for the reader: that nothing could be checked, or that a few images are equal.

    Raises:
        UserError: a patient was trained on, or more than a hundredth of the images.
    """
    way = (
        "measure on images that it never saw (--real ARCHIVE:test of the archive that it was "
        "trained on, split before training), or under published names, which compare with "
        "training images (evaluate --metrics fid5k_full)"
    )
    if not trained.known:
        return [
            "the generator does not say what it was trained on, so whether it saw the images of "
            f"{name} cannot be checked"
        ]
    seen = trained.groups_among(groups)
    if seen:
        raise UserError(
            f"{name}: {len(seen)} of its {len(groups)} groups were trained on, such as "
            f"{first_few(repr(each) for each in seen)}: {way}"
        )
    copies = trained.images_among(images)
    if len(copies) > MAX_COPIES * len(images):
        raise UserError(
            f"{name}: {len(copies)} of its {len(images)} images equal training images pixel by "
            f"pixel, such as {first_few(copies)}: {way}"
        )
    if copies:
        return [f"{len(copies)} images of {name} equal training images, such as {copies[0]}"]
    return []


def same_names(
    trained: Iterable[str], groups: Iterable[str], name: str, training: str
) -> list[str]:
    """Notes on groups of a reference that are called as groups of training are, in another archive.

    Digests of two archives that were made apart never agree, so `refuse_overlap` is silent there.

    Args:
        trained: names of the groups that were trained on.
        groups: names of the groups of the reference.
        name: of the reference.
        training: name of the training archive.
    """
    reference = set(groups)
    shared = sorted(reference.intersection(trained))
    if not shared:
        return []
    return [
        f"{len(shared)} of {len(reference)} groups of {name} are called as groups that were "
        f"trained on, in {training}, such as {first_few(map(repr, shared))}: if they are the same "
        "patients, the numbers are too good; split one archive of all images instead"
    ]
