"""Whether a generator was trained on images that it is evaluated on."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from synthograph.archive.batches import ArchiveRows
from synthograph.archive.copies import one_coloured
from synthograph.archive.manifest import spelling
from synthograph.core.errors import UserError
from synthograph.core.names import first_few

MAX_COPIES = 0.01
"""Share of reference images that may equal training images by chance."""


@dataclass(frozen=True)
class Trained:
    """The training set of a generator as digests; empty where its snapshot has none. What its
    images are projections of counts as seen, too.
    """

    groups: frozenset[str] = frozenset()  # of patients
    images: frozenset[str] = frozenset()  # of decoded pixels
    target_groups: frozenset[str] = frozenset()
    target_images: frozenset[str] = frozenset()

    @property
    def known(self) -> bool:
        """Whether there are digests to compare."""
        return bool(self.groups or self.images)

    @property
    def projections(self) -> bool:
        """Whether its images are projections of real ones."""
        return bool(self.target_groups or self.target_images)

    def deed(self, subject: str) -> str:
        """The beginning of a sentence that ends with what was seen."""
        more = ", or its images are projections of," if self.projections else ""
        return f"{subject} was trained on{more}"

    def groups_among(self, names: Mapping[str, str]) -> list[str]:
        """Those of these groups that were trained on, of digests with their names."""
        seen = self.groups | self.target_groups
        return sorted(names[digest] for digest in names.keys() & seen)

    def images_among(self, files: Mapping[str, str]) -> list[str]:
        """Those of these images that equal one that was trained on, of digests with their files."""
        seen = self.images | self.target_images
        return sorted(files[digest] for digest in files.keys() & seen)

    def pictures_among(self, images: ArchiveRows) -> list[str]:
        """Those of these images that equal one that was trained on, and show something: images of
        one colour, such as empty slices, are equal by chance.
        """
        if not images.rows or not self.images | self.target_images:
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
    found = Trained()
    for document in documents:
        for each in with_parents(document):
            targets = each.get("projected")
            found = Trained(
                found.groups | _digests(each, "group_digests"),
                found.images | _digests(each, "image_digests"),
                found.target_groups | _digests(targets, "group_digests"),
                found.target_images | _digests(targets, "image_digests"),
            )
    return found


def _digests(document: object, name: str) -> frozenset[str]:
    digests = document.get(name) if isinstance(document, Mapping) else None
    return frozenset(map(str, digests)) if isinstance(digests, list) else frozenset()


def refuse_overlap(trained: Trained, images: ArchiveRows) -> list[str]:
    """Refuse a reference that shares patients or images with the training set. Images of one
    colour, such as empty slices, are equal by chance and count for none.

    Args:
        trained: the training set of the generator.
        images: the reference.

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
    name, groups, count = images.name, images.groups, len(images.rows)
    seen, more = trained.groups_among(groups), " or projected" if trained.projections else ""
    if seen:
        raise UserError(
            f"{name}: {len(seen)} of its {len(groups)} groups were trained on{more}, such as "
            f"{first_few(repr(each) for each in seen)}: {way}"
        )
    copies = trained.pictures_among(images)
    if len(copies) > MAX_COPIES * count:
        raise UserError(
            f"{name}: {len(copies)} of its {count} images equal training images pixel by "
            f"pixel, such as {first_few(copies)}: {way}"
        )
    if not trained.known:
        return [
            "the generator does not say what it was trained on, so whether it saw the images of "
            f"{name} cannot be checked"
        ]
    if copies:
        return [f"{len(copies)} images of {name} equal training images, such as {copies[0]}"]
    return []


def same_names(
    trained: Iterable[str], groups: Iterable[str], name: str, training: str
) -> list[str]:
    """Notes on groups of a reference that are called as groups of training are, in another archive.

    Digests of two archives that were made apart never agree, so `refuse_overlap` is silent there;
    `name` is that of the reference.
    """
    reference, known = set(groups), set(map(spelling, trained))
    shared = sorted(group for group in reference if spelling(group) in known)
    if not shared:
        return []
    return [
        f"{len(shared)} of {len(reference)} groups of {name} are called as groups that were "
        f"trained on, in {training}, such as {first_few(map(repr, shared))}: if they are the same "
        "patients, the numbers are too good; split one archive of all images instead"
    ]
