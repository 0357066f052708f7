"""What two leaks look like as a gain, on skin phantoms: designs that `study` refuses.

    python -m docs.results.leaks /tmp/leaks --kimg 15

1. One generator, trained on the patients of all folds, feeds the training images of every fold.
   Beside it a generator per fold that never saw the fold's test patients. Twice: with a small GAN,
   and with the worst that a generator can do, which is to repeat its training images slightly
   changed.
2. Test images choose penalty and classifier, as where "validation" is the test set. Beside it the
   mean of the same classifiers, their penalties chosen by validation images.

Pixels to numbers by the default extractor, then the probe of `classify train`.
"""

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from docs.results.paired import tell
from synthograph.archive.reader import Archive, open_archive
from synthograph.core.progress import Silent
from synthograph.core.seeds import Streams
from synthograph.downstream import probe
from synthograph.report.claims import difference_words
from synthograph.results.study import ArmKind, StudyFacts
from synthograph.stats.scores import AUROC, Predictions
from synthograph.workflows import generate, phantom, split, train
from synthograph.workflows.classifying import open_backbone
from synthograph.workflows.requests import (
    GenerateRequest,
    PhantomRequest,
    SplitRequest,
    TrainRequest,
)
from synthograph.workflows.study_analysis import Arm, analyse

FOLDS, DRAWS, SIZE = 3, 2, 32
SETTINGS = ("model.channel_max=48", "model.r1_gamma=0.05", "model.noise=false")


class Images:
    """Features, labels, groups and folds of an archive; validation images are in fold -1."""

    def __init__(self, archive: Archive) -> None:
        self.classes = list(archive.info.classes)
        self.pixels = torch.stack([torch.from_numpy(archive.read(r).copy()) for r in archive.rows])
        self.features = features(self.pixels)
        self.labels = probe.class_numbers([row.label or "" for row in archive.rows], self.classes)
        names = sorted({row.group for row in archive.rows})
        self.groups = torch.tensor([names.index(row.group) for row in archive.rows])
        self.folds = torch.tensor([-1 if row.fold is None else row.fold for row in archive.rows])

    def blank(self, rows: Tensor) -> Predictions:
        """The images at `rows`, not predicted yet."""
        count = int(rows.sum())
        even = torch.full((count, len(self.classes)), 1 / len(self.classes)).double()
        return Predictions(even, self.labels[rows], self.groups[rows], self.folds[rows])


Source = Callable[[int | None, int], tuple[Tensor, Tensor]]
"""Fold to leave out (None: no fold) and draw, to features and labels of synthetic images."""


def features(pixels: Tensor) -> Tensor:
    """Of uint8 images."""
    extractor = open_backbone(None, "cpu")
    return torch.cat([extractor(part) for part in pixels.split(64)])


def copies(images: Images) -> Source:
    """A generator that repeats its training images: moved by a pixel, a little brighter, noisy."""

    def draw(fold: int | None, number: int) -> tuple[Tensor, Tensor]:
        seen = (images.folds >= 0) & (images.folds != (-1 if fold is None else fold))
        noise = torch.Generator().manual_seed(number)
        pixels = images.pixels[seen].float().roll((1, -1), (2, 3))
        light = 1 + 0.05 * torch.randn(len(pixels), 1, 1, 1, generator=noise)
        pixels = pixels * light + 4 * torch.randn(pixels.shape, generator=noise)
        return features(pixels.clamp(0, 255).byte()), images.labels[seen]

    return draw


def network(data: Path, folder: Path, kimg: float, images: Images) -> Source:
    """Small GANs, each trained once; as many images per class as it was trained on."""

    def draw(fold: int | None, number: int) -> tuple[Tensor, Tensor]:
        home = folder / f"fold-{fold}-draw-{number}"
        made = home / "made.zip"
        if not made.exists():
            asked = {
                "data": data,
                "cond": True,
                "cfg": "tiny",
                "kimg": kimg,
                "fold": fold,
                "seed": 100 * number + (0 if fold is None else 1 + fold),
                "metrics": "none",
                "settings": SETTINGS,
                "outdir": home / "runs",
            }
            trained = train.run(TrainRequest.parse(asked), progress=Silent())
            per_class = int((images.folds >= 0).sum()) // len(images.classes)
            making = GenerateRequest(network=trained.snapshot, outdir=made, per_class=per_class)
            generate.run(making, progress=Silent())
        archive = open_archive(made)
        pixels = torch.stack([torch.from_numpy(archive.read(row).copy()) for row in archive.rows])
        names = [row.label or "" for row in archive.rows]
        return features(pixels), probe.class_numbers(names, images.classes)

    return draw


def fitted(
    images: Images, fold: int, synthetic: tuple[Tensor, Tensor] | None, chosen_by: Tensor
) -> Predictions:
    """Predictions of the test images of a fold.

    Args:
        images: all of them.
        fold: that is tested.
        synthetic: features and labels, as many of them at most as there are real ones.
        chosen_by: images that choose the penalty.
    """
    own = (images.folds >= 0) & (images.folds != fold)
    values, labels = images.features[own], images.labels[own]
    if synthetic is not None:
        order = Streams(fold).permutation("leaks", 0, len(synthetic[1]))[: len(labels)]
        values = torch.cat((values, synthetic[0][order]))
        labels = torch.cat((labels, synthetic[1][order]))
    weights = probe.balanced_weights(labels, len(images.classes))
    checked = images.blank(chosen_by)
    shares = probe.frequencies(images.labels[own], len(images.classes))
    seen = images.features[chosen_by]
    made, *_ = probe.fit(values, labels, weights, checked, seen, shares, AUROC)
    test = images.folds == fold
    return replace(images.blank(test), probabilities=made.probabilities(images.features[test]))


def joined(parts: list[Predictions]) -> Predictions:
    """Predictions of all folds."""
    names = ("probabilities", "labels", "groups", "folds")
    return Predictions(*(torch.cat([getattr(each, name) for each in parts]) for name in names))


def arm(images: Images, name: str, source: Source | None, *, leaked: bool) -> Arm:
    """Out of fold, for every draw of the generator."""
    draws, validation = [], images.folds < 0
    for number in range(DRAWS):
        parts = []
        for fold in range(FOLDS):
            made = None if source is None else source(None if leaked else fold, number)
            parts.append(fitted(images, fold, made, validation))
        draws.append(joined(parts))
    return Arm(name, ArmKind.REAL if source is None else ArmKind.MIXED, tuple(draws))


def compared(images: Images, name: str, source: Source) -> Iterator[str]:
    """Rows of the table for one kind of generator."""
    real = arm(images, "real only", None, leaked=False)
    about = StudyFacts(name=name, data="phantoms", classes=tuple(images.classes))
    for title, leaked in (("one per fold", False), ("one for all folds", True)):
        mixed = arm(images, title, source, leaked=leaked)
        found = analyse([real, mixed], about=about, primary=title, measure=AUROC)
        values = [each.value for each in found.internal.arms]
        difference = difference_words(found.decided)
        yield f"| {name}, {title} | {values[0]:.3f} | {values[1]:.3f} | {difference} |"


def chosen_by_test(images: Images, sources: list[Source]) -> Iterator[str]:
    """What the choice of penalty and classifier by test images adds to the mean classifier."""
    validation = images.folds < 0
    means, bests = list[float](), list[float]()
    for fold in range(FOLDS):
        test = images.folds == fold
        values = []
        for source in sources:
            for number in range(DRAWS):
                for size in (0.25, 0.5, 1.0):
                    x, y = source(fold, number)
                    some = Streams(number).permutation("some", fold, len(y))[: int(size * len(y))]
                    made = (x[some], y[some])
                    by_validation = fitted(images, fold, made, validation)
                    by_test = fitted(images, fold, made, test)
                    values.append((AUROC.value(by_validation), AUROC.value(by_test)))
        means.append(sum(each for each, _ in values) / len(values))
        bests.append(max(each for _, each in values))
    honest, best = sum(means) / FOLDS, sum(bests) / FOLDS
    yield f"| {honest:.3f} | {best:.3f} | {best - honest:+.3f} |"


def main() -> None:
    """Draw phantoms, train, compare, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kimg", type=float, default=15.0)
    parser.add_argument("--count", type=int, default=360)
    given = parser.parse_args()
    data = given.folder / "skin.zip"
    if not data.exists():
        given.folder.mkdir(parents=True, exist_ok=True)
        drawing = PhantomRequest(
            kind="skin", dest=data, count=given.count, size=SIZE, seed=5, settings=("auroc=0.9",)
        )
        phantom.run(drawing, progress=Silent())
        cut = SplitRequest(archive=data, test=0.0, val=0.2, folds=FOLDS)
        split.run(cut, progress=Silent())
    images = Images(open_archive(data))
    gan = network(data, given.folder / "gan", given.kimg, images)
    tell("| generator | real only | with synthetic | difference |")
    tell("|---|---|---|---|")
    for name, source in (("repeats its images", copies(images)), ("small GAN", gan)):
        for row in compared(images, name, source):
            tell(row)
    tell("| mean of 12, penalty by validation | best of 12, all by test | apparent gain |")
    tell("|---|---|---|")
    for row in chosen_by_test(images, [copies(images), gan]):
        tell(row)


if __name__ == "__main__":
    main()
