"""Synthetic images as a set that can be measured, generated while it is read."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from synthograph.archive.batches import ImageSet
from synthograph.archive.manifest import Row
from synthograph.core.errors import UserError
from synthograph.core.names import nearest
from synthograph.core.seeds import Streams
from synthograph.models.base import NoiseMode, TruncationCenter
from synthograph.models.snapshot import Snapshot
from synthograph.sampling.generate import ImageRequest, check_request, generate


def synthetic_images(
    snapshot: Snapshot,
    rows: Sequence[Row],
    count: int,
    *,
    seed: int,
    device: str,
    batch: int,
    truncation: float = 1.0,
    center: TruncationCenter = TruncationCenter.GLOBAL,
) -> ImageSet:
    """Images of a snapshot as a set: seeds 0 ... count-1, noise by the seed, labels drawn from
    those of `rows`.

    Args:
        snapshot: whose images.
        rows: whose classes they have, as often.
        count: how many images.
        seed: of the labels.
        device: where they are generated.
        batch: how many at once; does not change them.
        truncation: psi; the same seeds have the same latents, labels and noise at every psi.
        center: what truncation pulls to.

    Raises:
        UserError: the generator has a class that rows lack, or the other way round.
    """
    labels = draw_labels(snapshot, rows, count, seed)
    request = ImageRequest(
        list(enumerate(labels)),
        truncation=truncation,
        center=center,
        noise=NoiseMode.RANDOM,
        batch=batch,
        device=device,
    )
    check_request(snapshot, request)
    named = all(label is not None for label in labels)

    def some(numbers: range) -> ImageRequest:
        return replace(request, jobs=request.jobs[numbers.start : numbers.stop])

    def drawn(asked: ImageRequest) -> Iterator[Tensor]:
        for images in generate(snapshot, asked):
            yield torch.from_numpy(np.stack([image.pixels for image in images]))

    def fixed_noise(numbers: range) -> Iterator[Tensor]:
        return drawn(replace(some(numbers), noise=NoiseMode.CONST))

    kind = device.partition(":")[0]
    about = [snapshot.sha256, labels, "random noise", f"psi {truncation:.12g}", kind]
    if center is not TruncationCenter.GLOBAL and truncation != 1:
        about.append(center)
    return ImageSet(
        name=snapshot.path.name,
        spec=snapshot.info.spec,
        count=count,
        batches=lambda: drawn(request),
        batch=batch,
        groups=torch.arange(count),
        labels=tuple(label or "" for label in labels) if named and count else None,
        key=hashlib.sha256(json.dumps(about).encode()).hexdigest(),
        origin={
            "snapshot": snapshot.sha256,
            "images_seen": snapshot.info.images_seen,
            "images_hash": snapshot.info.images_hash,
            "seeds": [0, count - 1],
            "labels": "drawn from the reference" if named else None,
            "truncation": truncation,
            "noise": "random, by the seed",
            "device": kind,
        },
        section=lambda numbers: drawn(some(numbers)),
        fixed_noise=fixed_noise if snapshot.info.model.has_noise else None,
    )


def draw_labels(snapshot: Snapshot, rows: Sequence[Row], count: int, seed: int) -> list[str | None]:
    """Classes of generated images, as often as in `rows`; None each where there are no classes.

    Raises:
        UserError: a row is of no class that the generator makes.
    """
    classes = snapshot.info.condition.classes
    if not classes:
        return [None] * count
    for row in rows:
        if row.label not in classes:
            what = "has no label" if row.label is None else f"is of class {row.label!r}"
            raise UserError(
                f"{row.file} {what}, which {snapshot.path.name} cannot make: its classes are "
                f"{', '.join(classes)}"
                + ("" if row.label is None else f"; {nearest(row.label, classes)}")
            )
    drawn = Streams(seed).integers("metrics/labels", torch.arange(count), len(rows))
    return [rows[number].label for number in drawn.tolist()]
