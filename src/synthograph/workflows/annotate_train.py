"""A mask generator, learned from a few painted images of a network."""

import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from synthograph.annotation import mask_generator
from synthograph.annotation.features import FeatureSource, at_pixels
from synthograph.annotation.forecast import forecasts
from synthograph.annotation.heads import Head
from synthograph.annotation.image_networks import (
    ImageNetworkConfig,
    PaintedImages,
    fit_network,
    leave_out_network,
    unit_range,
)
from synthograph.annotation.mask_generator import MaskGenerator
from synthograph.annotation.pixels import sample_pixels
from synthograph.annotation.training import (
    DEEP,
    LINEAR,
    PUBLISHED,
    HeadConfig,
    LeftOut,
    Painted,
    fit,
    leave_out,
)
from synthograph.core.devices import pick_device
from synthograph.core.errors import UserError
from synthograph.core.files import placed, sha256_file
from synthograph.core.names import first_few
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.core.version import VERSION
from synthograph.features.mask_networks import MaskNetwork
from synthograph.features.monai_networks import monai_is_here
from synthograph.models import published
from synthograph.models.registry import style_family
from synthograph.models.snapshot import Snapshot
from synthograph.ops.image_transforms import Transforms
from synthograph.ops.transform_choice import ALL, choose
from synthograph.report.words import several
from synthograph.results.annotations import AnnotatedImage, AnnotationSet
from synthograph.results.mask_generator import ClassForecast, HeadTrial, MaskGeneratorInfo
from synthograph.sampling import latents as drawing
from synthograph.stats.masks import IGNORED
from synthograph.workflows.annotate_requests import AnnotateTrainRequest
from synthograph.workflows.annotation_sets import OpenSet, drawn_digest
from synthograph.workflows.environment import here
from synthograph.workflows.latent_inputs import open_network
from synthograph.workflows.tables import number, rows_lines
from synthograph.workflows.trained import refuse_out

HEADS = {"linear": LINEAR, "deep": DEEP, "published": PUBLISHED}
TRIED = {"default": ("deep", "linear"), "linear": ("linear",), "published": ("published",)}
"""Preset -> heads that are tried; a later one is taken where it beats those before it. The deep one
comes first: images in the suggested order are unusual ones, on which a linear head does better than
on the usual ones (docs/results/masks.md).
"""
IMAGE_NETWORK = ImageNetworkConfig()
WITH_NETWORK = ("default",)
"""Presets in which an image network takes part, unless heads do better without."""


@dataclass(frozen=True, repr=False)
class AnnotateTrainResult(Result):
    """A mask generator that was written.

    Attributes:
        out: its file; None for a dry run.
        network: the file of the network.
        info: its header.
    """

    out: Path | None
    network: Path
    info: MaskGeneratorInfo

    def lines(self) -> Iterator[str]:
        """What is painted of every class, what to expect, and which head it is."""
        rows = []
        for each in self.info.forecasts:
            said = "" if each.dice is None else number(each.dice)
            if each.ends is not None:
                said += f" ({number(each.ends.low)} to {number(each.ends.high)})"
            rows.append((each.of_class, each.painted, f"{each.share:.2%}", said))
        head = ("class", "images", "share of pixels", "expected Dice (95 % interval)")
        yield from rows_lines(head, rows)
        for trial in self.info.trials:
            dice = "" if trial.dice is None else f", mean Dice of images left out {trial.dice:.3f}"
            taken = " (taken)" if trial.chosen else ""
            yield f"head {trial.name}: {trial.steps} steps{dice}{taken}"
        yield from (f"note: {note}" for note in self.info.notes)
        if self.out is not None:
            yield f"{self.out}  sha256 {sha256_file(self.out)}"
            yield (
                f"masks: synthograph annotate generate --network {self.network} "
                f"--mask-generator {self.out} --num 1000 --out SET.zip"
            )


def run(request: AnnotateTrainRequest, *, progress: Progress) -> AnnotateTrainResult:
    """Check the painted images, learn from them and write the mask generator.

    Raises:
        UserError: an image or a mask is not the one that was painted, no image is painted, or the
            network is another one.
    """
    if not request.dry_run or request.out:
        refuse_out(request.place("out"), ".safetensors")
    opened, device = OpenSet.read(request.annotations), str(pick_device(request.device))
    images = _painted(opened)
    snapshot = open_network(_network(request, opened), progress)
    _refuse_redrawn(opened, snapshot, images, device, progress)
    masks = np.stack([_said_of(opened, image) for image in images])
    info = _info(request, opened, images, masks)
    if request.dry_run:
        return AnnotateTrainResult(None, snapshot.path, info)
    learned = _Learning(snapshot, opened, images, masks, device, request.seed)
    trials = learned.trials(request.preset, progress)
    chosen = _best(trials)
    head, network = learned.final(chosen, progress)
    names = [each.name for each in info.classes]
    info = info.replace(
        head=head.shape.tree(),
        image_network=None if network is None else learned.painted.shape.tree(),
        channels=head.channels,
        forecasts=tuple(forecasts(masks, names, chosen.found)),
        trials=tuple(each.told(chosen) for each in trials),
    )
    out = placed(request.place("out"))
    mask_generator.save(out, MaskGenerator(info, head, network))
    return AnnotateTrainResult(out, snapshot.path, info)


def _painted(opened: OpenSet) -> list[AnnotatedImage]:
    """The painted images in the order of their latents.

    Raises:
        UserError: there are none.
    """
    found = sorted(opened.about.painted, key=lambda image: image.row)
    if not found:
        raise UserError(
            f"{opened.folder}: no image has a mask: paint some, and bring them in with "
            f"'synthograph annotate import {opened.folder} --masks FOLDER'"
        )
    return found


def _said_of(opened: OpenSet, image: AnnotatedImage) -> np.ndarray:
    """The mask of an image.

    Raises:
        UserError: it cannot be used, or says nothing.
    """
    mask = opened.mask(image)
    if (mask == IGNORED).all():
        raise UserError(
            f"{opened.folder}: every pixel of the mask of {image.id} is ignored: paint it, and "
            "import it again with 'synthograph annotate import --replace'"
        )
    return mask


def _network(request: AnnotateTrainRequest, opened: OpenSet) -> Path:
    """The network: as it was named when the images were drawn, where nothing else is said.

    Raises:
        UserError: it is not there any more.
    """
    if request.network is not None:
        return request.network
    words = shlex.split(opened.about.command)
    named = words[words.index("--network") + 1 :][:1] if "--network" in words else []
    ours = published.PHANTOMS.keys() | published.PUBLISHED.keys()
    if not named or not (named[0] in ours or Path(named[0]).exists()):  # no address of a stranger
        raise UserError(
            f"{opened.folder}: the network {opened.about.network} is not where it was when the "
            "images were drawn: name it with --network"
        )
    return Path(named[0])


def _refuse_redrawn(
    opened: OpenSet,
    snapshot: Snapshot,
    images: Sequence[AnnotatedImage],
    device: str,
    progress: Progress,
) -> None:
    """Draw every image again and refuse those that are no longer what was painted.

    Raises:
        UserError: there are some.
    """
    wanted = {image.id for image in images}
    drawn, count = opened.redrawn(snapshot, device), len(opened.about.images)
    changed = [
        image.id
        for image, pixels in progress.track("drawing again")(drawn, count)
        if image.id in wanted and drawn_digest(pixels) != image.digest
    ]
    if changed:
        raise UserError(
            f"{opened.folder}: {len(changed)} of {len(wanted)} painted images are not what "
            f"{snapshot.path.name} draws now ({first_few(changed)}): use the device and the "
            "version that they were drawn with, or draw and paint them anew"
        )


def _info(
    request: AnnotateTrainRequest,
    opened: OpenSet,
    images: Sequence[AnnotatedImage],
    masks: np.ndarray,
) -> MaskGeneratorInfo:
    """The header as far as it is known before training.

    Raises:
        UserError: the masks hold one class only.
    """
    about = opened.about
    names = [each.name for each in about.classes]
    found = forecasts(masks, names, None)
    there = [each for each in found if each.painted]
    if len(there) < 2:
        raise UserError(
            f"{opened.folder}: its {several(len(images), 'mask')} hold one class only, so nothing "
            "can be told apart: paint more"
        )
    return MaskGeneratorInfo(
        network=about.network,
        network_sha256=about.network_sha256,
        drawing=about.drawing,
        head={},
        channels=(1,),
        height=about.height,
        width=about.width,
        classes=about.classes,
        image_digests=tuple(image.digest for image in images),
        mask_digests=tuple(image.mask.sha256 for image in images if image.mask is not None),
        painters=tuple(sorted({i.mask.painter for i in images if i.mask is not None})),
        forecasts=tuple(found),
        groups=about.groups,
        real_images=about.real_images,
        seed=request.seed,
        version=VERSION,
        environment=here(request.device),
        notes=(
            *_notes(found, masks, _groups_of(images)),
            *_unknown_groups(about, images),
            *_monai_note(request.preset),
        ),
    )


def _groups_of(images: Sequence[AnnotatedImage]) -> list[int]:
    """Patient of every image, by 0, 1, 2 ... in their order: of the real image whose mask it has;
    any other image is one of its own.
    """
    names = [i.fit.group if i.fit is not None and i.fit.group else i.id for i in images]
    numbers = {name: number for number, name in enumerate(dict.fromkeys(names))}
    return [numbers[name] for name in names]


_NO_FORECAST = "so none can be left out: nothing can be forecast, and no other head is tried"


def _notes(
    found: Sequence[ClassForecast], masks: np.ndarray, groups: Sequence[int]
) -> Iterator[str]:
    """What to know of the painted masks."""
    if (single := len({*groups}) == 1) and len(masks) == 1:
        yield f"one image is painted, {_NO_FORECAST}; paint a second one"
    elif single:
        yield f"all painted images are of one patient, {_NO_FORECAST}; add images of another"
    absent = [each.of_class for each in found if not each.painted]
    if absent:
        yield f"no mask holds {first_few(absent)}: no generated mask will"
    holders = [{*np.asarray(groups)[(masks == k).any((1, 2))]} for k in range(len(found))]
    alone = [each for each, own in zip(found, holders, strict=True) if len(own) == 1]
    for where, once in (
        ("one image", [each.of_class for each in alone if each.painted == 1]),
        ("images of one patient", [each.of_class for each in alone if each.painted > 1]),
    ):
        if once and not single:
            yield (
                f"{first_few(once)} is painted in {where} only, so that how well it is found "
                "cannot be checked: paint another image that has it"
            )
    ignored = float((masks == IGNORED).mean())
    if ignored:
        yield f"{ignored:.1%} of the painted pixels are ignored"


def _unknown_groups(about: AnnotationSet, images: Sequence[AnnotatedImage]) -> Iterator[str]:
    """A note where an older set does not say which images are of one patient."""
    unknown = [image for image in images if image.fit is not None and not image.fit.group]
    if len(unknown) > len(about.groups):
        yield (
            "this set does not say which images are of one patient, so they are not left out "
            "together, and the forecast may be too good: make the set anew with 'synthograph "
            "annotate from-real'"
        )


def _monai_note(preset: str) -> Iterator[str]:
    """What is missing where MONAI is."""
    if preset in WITH_NETWORK and not monai_is_here():
        yield (
            "MONAI is not installed, so no image network takes part, with which masks are better: "
            "pip install 'synthograph[segment]'"
        )


@dataclass(frozen=True)
class _Trial:
    """What may be taken.

    Attributes:
        head: its name.
        network: whether an image network takes part.
        found: what came of images left out; None where none was.
    """

    head: str
    network: bool
    found: LeftOut | None = None

    def beats(self, other: "_Trial") -> bool:
        """Whether it is better on images left out."""
        return self.found is not None and other.found is not None and self.found.beats(other.found)

    def told(self, chosen: "_Trial") -> HeadTrial:
        """For the file."""
        config, dice = HEADS[self.head], None
        steps = config.steps
        if self.found is not None:
            steps = config.steps * (self.found.best + 1) // config.checks
            dice = self.found.value
        name = f"{self.head}{' with image network' if self.network else ''}"
        return HeadTrial(name=name, steps=steps, dice=dice, chosen=self is chosen)


@dataclass(frozen=True)
class _Learning:
    """Painted images of a network, ready to be learned from."""

    snapshot: Snapshot
    opened: OpenSet
    images: Sequence[AnnotatedImage]
    masks: np.ndarray
    device: str
    seed: int

    def trials(self, preset: str, progress: Progress) -> list[_Trial]:
        """What heads make of images left out, those with an image network first; with images of
        one patient the first of them, unchecked.
        """
        names, joined = TRIED[preset], preset in WITH_NETWORK and monai_is_here()
        if len({*self.groups}) == 1:
            return [_Trial(names[0], joined)]
        network: Sequence[Tensor] = ()
        if joined:
            track = progress.track("image network, images left out")
            network = leave_out_network(IMAGE_NETWORK, self.painted, self.seed, track)
        found = []
        for name in names:
            track = progress.track(f"{name} head, images left out")
            heads = leave_out(HEADS[name], self._painted(HEADS[name]), self.seed, track, network)
            found += [_Trial(name, joined and each is heads[0], each) for each in heads]
        return sorted(found, key=lambda trial: not trial.network)

    def final(self, trial: _Trial, progress: Progress) -> tuple[Head, MaskNetwork | None]:
        """The head that learned from all images, after the number of steps that was best, and the
        image network.
        """
        config, every = HEADS[trial.head], range(len(self.images))
        wanted = config.checks if trial.found is None else trial.found.best + 1
        heads = fit(config, self._painted(config), every, self.seed)
        for _, head in zip(progress.track("training")(range(wanted), wanted), heads, strict=False):
            trained = head
        network = None
        if trial.network:
            network = fit_network(IMAGE_NETWORK, self.painted, every, self.seed)
        return trained, network

    @cached_property
    def groups(self) -> list[int]:
        """Patient of every image."""
        return _groups_of(self.images)

    @cached_property
    def painted(self) -> PaintedImages:
        """Images and masks, for an image network."""
        draw, info = self._drawing(), self.snapshot.info
        images = torch.cat([unit_range(draw(number)[0]) for number in range(len(self.images))])
        used = choose((ALL,), info.spec, info.invariances).used
        return PaintedImages(
            images,
            torch.from_numpy(self.masks).to(self.device),
            len(self.opened.about.classes),
            Transforms(used, info.spec.modalities, self.seed),
            self.groups,
        )

    def _drawing(self, patch: int = 0) -> Callable[[int], tuple[Tensor, list[Tensor]]]:
        """Number of a painted image to the image and its layers; see `FeatureSource.draw`."""
        how, kind = self.opened.rendering(self.device), style_family(self.snapshot.info.family)
        generator = drawing.placed(self.snapshot, how)
        source = FeatureSource(kind, generator, how.noise, patch)
        ws = self.opened.latents(self.snapshot).values.to(self.device)

        def draw(number: int) -> tuple[Tensor, list[Tensor]]:
            row = self.images[number].row
            return source.draw(ws[row : row + 1])

        return draw

    def _painted(self, config: HeadConfig) -> Painted:
        """Masks with the features of those pixels that are learned from."""
        draw = self._drawing(config.shape.patch)

        def layers(number: int) -> list[Tensor]:
            return draw(number)[1]

        channels = [layer.shape[1] for layer in layers(0)]
        sample = sample_pixels(torch.from_numpy(self.masks), sum(channels), self.seed)
        features = torch.cat(
            [
                at_pixels(layers(number), sample.of(number), self.masks.shape[1:])
                for number in range(len(self.images))
            ]
        )
        classes = len(self.opened.about.classes)
        return Painted(self.masks, sample, features, layers, channels, classes, self.groups)


def _best(trials: Sequence[_Trial]) -> _Trial:
    """The one to take: a later one where it beats the one before."""
    taken = trials[0]
    for trial in trials[1:]:
        taken = trial if trial.beats(taken) else taken
    return taken
