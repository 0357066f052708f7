"""Exact copies, and images that say nothing of whom they show."""

import dataclasses

import numpy as np

from synthograph.archive.batches import ImageSet
from synthograph.metrics.audit.identical import contents, find_identical, identical
from tests.metrics.audit.pictures import as_set, texture


def test_sets_are_read_once() -> None:
    read: list[str] = []

    def counted(images: ImageSet) -> ImageSet:
        def batches():
            read.append(images.name)
            return images.batches()

        return dataclasses.replace(images, batches=batches)

    train, holdout, synthetic = texture(60, 1), texture(30, 2), texture(40, 3)
    holdout[4], synthetic[2] = train[0], train[5]
    named = {"train": train, "holdout": holdout, "synthetic": synthetic}
    find_identical(*(counted(as_set(pixels, name)) for name, pixels in named.items()))
    assert read == ["train", "holdout", "synthetic"]


def test_images_of_one_colour_equal_nobody() -> None:
    train, other = texture(20, 1), texture(20, 2)
    train[3] = other[1] = 7
    train[4] = other[2] = np.arange(train[0].size).reshape(train[0].shape) % 2
    found = contents(as_set(other, "other"))
    assert found.blank.nonzero()[:, 0].tolist() == [1]
    assert identical(contents(as_set(train, "train")), found) == (2,)
