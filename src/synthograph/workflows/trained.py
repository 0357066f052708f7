"""What jobs with classifiers and with segmenters have in common: which images train and which
choose, and what is refused.
"""

from collections.abc import Iterator
from pathlib import Path

import torch

from synthograph.archive.batches import ArchiveRows
from synthograph.archive.ledger import note_look, told
from synthograph.archive.reader import Archive
from synthograph.core.errors import UserError
from synthograph.core.files import placed, refuse_output, sha256_file, write_bytes
from synthograph.core.names import first_few
from synthograph.core.progress import Progress
from synthograph.core.untrusted.documents import JsonObject
from synthograph.core.untrusted.tensors import read_document
from synthograph.downstream.classifier import ClassifierInfo
from synthograph.downstream.fit_time import validations
from synthograph.downstream.fitting import FitConfig
from synthograph.downstream.start import OTHERS
from synthograph.downstream.trained import TrainedInfo
from synthograph.features.classifier import made_here
from synthograph.metrics.overlap import Trained, trained_on
from synthograph.report.validations import curves_png
from synthograph.report.words import several
from synthograph.results.validations import Fit, ValidationHistory
from synthograph.training.loop import duration
from synthograph.workflows.leaks import refuse_crossing, refuse_recoded, training_images

FEW_GROUPS = 20


def refuse_out(path: Path, ending: str, option: str = "--out") -> None:
    """Refuse a result that exists, has another ending or cannot be written.

    Raises:
        UserError: it does, has, or cannot.
    """
    if path.suffix.lower() != ending:
        raise UserError(f"{option} {path}: name it {path.with_suffix(ending).name}")
    refuse_output(path, option, file=True)


def unfinished(out: Path) -> Path:
    """Where a training that is not at its end is kept, beside the file to be written."""
    return out.with_suffix(".unfinished.safetensors")


def estimated(config: FitConfig, seconds: float, device: torch.device) -> str:
    """How long a training takes at most, in words."""
    return (
        f"estimate: {config.steps} steps and {several(validations(config), 'validation')} take at "
        f"most about {duration(seconds)} on {device}"
    )


def refuse_outputs(out: Path | None, curves: Path | None) -> None:
    """Refuse the files that a training is asked for, where `refuse_out` does."""
    for path, ending, option in ((out, ".safetensors", "--out"), (curves, ".png", "--curves")):
        if path is not None:
            refuse_out(path, ending, option)


def history_of(info: TrainedInfo) -> ValidationHistory | None:
    """The validations of a training; None of a probe, which takes no steps."""
    try:
        return ValidationHistory.parse(info.selection, "selection")
    except UserError:
        return None


def fit_of(info: TrainedInfo, settings: JsonObject, start: str) -> Fit | None:
    """How a network was trained; None where its file says nothing of it, as older ones of
    segmenters. Older ones of classifiers leave open what settled where they ran.

    Args:
        info: header of its file.
        settings: of the training.
        start: where its first weights came from, in words.
    """
    if not settings:
        return None
    said = start.partition(OTHERS)[0]  # others that it could begin with are no record
    return Fit(settings=settings, start=said, environments=tuple(info.environments))


def draw_curves(path: Path | None, info: TrainedInfo) -> list[str]:
    """Draw how a network was trained, if that is asked for and known; a line that says where."""
    history = history_of(info)
    if path is None or history is None:
        return []
    write_bytes(placed(path), curves_png(history))
    return [f"{path}: its curves"]


def written_lines(noun: str, out: Path) -> Iterator[str]:
    """What ends the output of a training: what its scores are good for, and its file."""
    yield f"these scores chose the {noun}: for a report, evaluate it on test images"
    yield f"{out}  sha256 {sha256_file(out)}"


def training_parts(archive: Archive) -> tuple[ArchiveRows, ArchiveRows]:
    """Training images, and validation images, which are real.

    Raises:
        UserError: there are none in a split, a patient is in two, or a validation image is
            synthetic or was seen by a generator of the training images.
    """
    refuse_crossing(archive.rows, archive.path)
    found = []
    for split in ("train", "val"):
        rows = [row for row in archive.rows if row.split == split]
        if not rows:
            way = f"'synthograph split {archive.path}' makes train, val and test"
            if any(row.split for row in archive.rows):
                way = (
                    "add --force to 'synthograph split' to cut all images anew, by group, which "
                    "gives up the split that it has"
                )
            raise UserError(f"{archive.path}: has no images in split {split}: {way}")
        found.append(ArchiveRows(archive, rows, split))
    train, validation = found
    seen = trained_on(archive.info.snapshots).groups_among(validation.real().groups)
    if seen:
        raise UserError(
            f"{archive.path}: the generator of its synthetic images was trained on {len(seen)} of "
            f"{len(validation.groups)} validation groups, such as {first_few(map(repr, seen))}: "
            "these would choose what they are much like; train the generator on split train alone"
        )
    return train, validation


def seen_digests(*parts: ArchiveRows | None) -> tuple[list[str], list[str]]:
    """Digests of the groups and of the images that a network saw: real ones, which trained it,
    chose it or lent it their style.
    """
    given = [part for part in parts if part is not None]
    real = [ArchiveRows(each.archive, [r for r in each.rows if r.real]) for each in given]
    groups = sorted({name for each in real for name in each.groups})
    return groups, sorted({name for each in real for name in each.pixels})


def start_of(weights: Path | None) -> tuple[Trained, list[JsonObject]]:
    """Whom a classifier saw whose weights another one begins with, and the generators of its
    training images; nobody where the file is of others, who do not say.
    """
    if weights is None or not made_here(weights):
        return Trained(), []
    try:
        info = ClassifierInfo.parse(read_document(weights))
    except UserError:  # no header of ours in spite of its name
        return Trained(), []
    return Trained(frozenset(info.group_digests), frozenset(info.image_digests)), info.snapshots


def few_groups(validation: ArchiveRows) -> list[str]:
    """A note where few groups choose."""
    groups = len(validation.groups)
    return [] if groups >= FEW_GROUPS else [f"{groups} validation groups choose, which is few"]


def refuse_other_modalities(info: TrainedInfo, images: ArchiveRows) -> None:
    """Refuse images of other modalities or channels than a network was trained on."""
    given, trained = images.archive.info.spec, info.spec
    if trained.modalities != given.modalities:
        raise UserError(
            f"{images.name}: holds {given.describe()}, the {info.noun} was trained on "
            f"{trained.describe()}: prepare the images alike"
        )


def other_size_note(info: TrainedInfo, images: ArchiveRows) -> list[str]:
    """A note where images of an archive are brought to the size or depth of the training images.

    Raises:
        UserError: they have another shape, which would be squeezed.
    """
    given, trained = images.archive.info.spec, info.spec
    if given.height * trained.width != given.width * trained.height:
        raise UserError(
            f"{images.name}: its images of {given.width}x{given.height} have another shape than "
            f"those of {trained.width}x{trained.height} that the {info.noun} was trained on: "
            f"prepare the archive with --width {trained.width} --height {trained.height} and "
            "--transform center-crop, pad or stretch"
        )
    if given == trained:
        return []
    return [
        f"the {info.noun} was trained on {trained.describe()}, these images are {given.describe()}"
    ]


def refuse_seen(info: TrainedInfo, images: ArchiveRows, name: str) -> None:
    """Refuse images that a network, or a generator of its training images, was trained on.

    Raises:
        UserError: a group or an image was, or the file does not say on what it was trained.
    """
    if not (info.group_digests or info.image_digests):
        raise UserError(
            f"{name}: does not say what it was trained on, as every file of 'synthograph "
            f"{info.task} train' does: it was changed afterwards; train it anew"
        )
    for who, trained in (
        (name, Trained(frozenset(info.group_digests), frozenset(info.image_digests))),
        (f"a generator of the training images of {name}", trained_on(info.snapshots)),
    ):
        seen = trained.groups_among(images.groups)
        if seen:
            raise UserError(
                f"{images.name}: {len(seen)} of its {len(images.groups)} groups were seen by "
                f"{who}, such as {first_few(map(repr, seen))}: evaluate on images of other "
                "patients, such as split test of the archive that it was trained on"
            )
        copies = trained.pictures_among(images)
        if copies:
            raise UserError(
                f"{images.name}: {len(copies)} of its {len(images.rows)} images equal images that "
                f"{who} saw, such as {first_few(copies)}: evaluate on images that it never saw"
            )


def noted_look(images: ArchiveRows, job: str, model: Path) -> list[str]:
    """Write down that test images are looked at, in the ledger beside their archive.

    Returns:
        Notes: how often that was so before, or that it cannot be written.
    """
    if images.split not in ("test", None):
        return []
    path, counts = images.archive.path, (len(images.rows), len(images.groups))
    before = told(path)
    what = f"{job} {model.name} {sha256_file(model):.12}"
    failed = note_look(path, what, images=counts[0], groups=counts[1])
    return [*before, *([failed] if failed else [])]


def refuse_seen_recoded(
    info: TrainedInfo, images: ArchiveRows, model: Path, progress: Progress
) -> list[str]:
    """Refuse images that show what the network was trained on as other pixels, where its training
    archive lies beside it, beside the images or in the working folder.

    Returns:
        Notes: on a few such images, or that the archive is not there.

    Raises:
        UserError: more than a hundredth of them do.
    """
    known = training_images(info.data, info.group_digests, (model, images.archive.path))
    if known is None:
        return [
            f"{info.data} with the images that trained {model.name} lies neither beside it, nor "
            f"beside {images.archive.path.name}, nor in the working folder: whether images show "
            "its pictures as other pixels cannot be checked; put it there to know"
        ]
    what = f"images that trained {model.name}"
    return refuse_recoded(images, known, what, progress)
