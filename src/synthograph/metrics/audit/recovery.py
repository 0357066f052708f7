"""Memorisation by recovery: whether a generator reaches its training images better than others.

Every image is projected: the latent is searched whose image comes nearest to it. A generator that
has learned what such images look like reaches training and held-out images alike; one that
remembers reaches those it was trained on better. Source: Webster et al. 2019, "Detecting
overfitting of deep generative networks via latent recovery". They find that pixels show it best,
and that some networks cannot recover even their own images: so their own are the floor here. Only W
tells: W+ and pivotal tuning fit any image.

Images of a class are ranked among each other, and whole groups (patients) change places between
training and hold-out, as in `membership`, whose numbers these are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from synthograph.core.errors import UserError
from synthograph.core.seeds import Streams
from synthograph.metrics.audit.embeddings import BINS, spread
from synthograph.metrics.audit.membership import CONTROLS, Cohort, attack, units
from synthograph.results.audit import Attack, SetSize
from synthograph.results.authenticity import (
    Authenticity,
    RecoveredSet,
    RecoveryAnswer,
)
from synthograph.results.authenticity import Recovered as Pair
from synthograph.results.pairs import Histogram
from synthograph.stats.sample import Sample

# n image

ALPHA = 0.05
OPEN = 0.2
"""A p up to this shows nothing, but leaves the question open."""
PERMUTATIONS = 1999
CLEAR = 10 ** (-30 / 20)
"""Pixel difference at 30 dB."""
RECOVERABLE = 0.9
"""Share of its own images that a search should reach that clearly, to be believed."""
CLOSE = 0.9
"""Share of its own images that are the measure of closeness."""
TRAIN, HELD_OUT, OWN = "train", "held-out", "own"


@dataclass(frozen=True)
class Recovery:
    """Projections of one set.

    Attributes:
        file: where they come from.
        images: names, as are `groups` (patients) and `labels` (empty where there are none).
        psnr: of every projection, in decibels; infinite where it equals its image.
        perceptual: distances; None where there are none, as is `cosine`.
    """

    file: str
    images: Sequence[str]
    groups: Sequence[str]
    labels: Sequence[str]
    psnr: Float64[Tensor, " n"]
    perceptual: Float64[Tensor, " n"] | None = None
    cosine: Float64[Tensor, " n"] | None = None

    @property
    def pixel(self) -> Float64[Tensor, " n"]:
        """Root mean square differences, 0..1."""
        return 10 ** (-self.psnr / 20)

    @property
    def numbers(self) -> Int64[Tensor, " n"]:
        """A number for the group of every image."""
        _, found = np.unique(np.asarray(self.groups, dtype=str), return_inverse=True)
        return torch.from_numpy(found.astype(np.int64))


def recovery(
    train: Recovery,
    held_out: Recovery,
    own: Recovery | None = None,
    *,
    network: str,
    permutations: int = PERMUTATIONS,
    controls: int = CONTROLS,
    seed: int = 0,
) -> Authenticity:
    """Compare how closely a generator reaches training images and held-out ones.

    Args:
        train: projections of images that it was trained on.
        held_out: of images of other patients.
        own: of images that it made.
        network: file name of the generator.
        permutations: how often groups change places.
        controls: cuts of the training images.
        seed: of permutations, cuts and blocks.

    Raises:
        UserError: a set is empty, or a group is on both sides.
    """
    _refuse(train, held_out, own)
    found, undecided = _advantage(train, held_out, (permutations, controls), seed)
    answer, sentence = _answer(found, undecided, train, held_out)
    sets = {TRAIN: train, HELD_OUT: held_out} | ({} if own is None else {OWN: own})
    recoverable = None if own is None else float((own.pixel < CLEAR).double().mean())
    return Authenticity(
        network=network,
        answer=answer,
        sentence=sentence,
        advantage=found,
        sets=tuple(_sets(sets)),
        recoverable=recoverable,
        pairs=tuple(pair for role, each in sets.items() for pair in _pairs(role, each)),
        settings={"permutations": permutations, "controls": controls, "seed": seed},
        limits=_limits(recoverable),
    )


def _refuse(train: Recovery, held_out: Recovery, own: Recovery | None) -> None:
    for each in (train, held_out, *([] if own is None else [own])):
        if not len(each.images):
            raise UserError(f"{each.file}: holds no projection")
    if both := sorted({*train.groups} & {*held_out.groups}):
        raise UserError(
            f"{len(both)} groups are in {train.file} and in {held_out.file}, such as {both[0]!r}: "
            "held-out images must be of patients that the generator never saw; project others"
        )


def _advantage(
    train: Recovery, held_out: Recovery, counts: tuple[int, int], seed: int
) -> tuple[Attack | None, str | None]:
    """The test, or why there is none."""
    values = torch.cat((train.psnr, held_out.psnr))
    one, other = train.psnr[:, None], held_out.psnr[:, None]
    labels = (train.labels, held_out.labels)
    cohort = Cohort.of(Sample(one, train.numbers), Sample(other, held_out.numbers), labels)
    if (reason := cohort.too_few(ALPHA)) is not None:
        return None, reason
    draws = cohort.draws(counts, Streams(seed).under("metrics/recovery"))
    by_image, _ = units(cohort, seed)
    found, _ = attack(cohort, cohort.ranked(values), "pixel", by_image, draws)
    return found, None


def _answer(
    found: Attack | None, undecided: str | None, train: Recovery, held_out: Recovery
) -> tuple[RecoveryAnswer, str]:
    if found is None:
        return RecoveryAnswer.UNDECIDABLE, str(undecided)
    ends = found.interval
    numbers = (
        f"the training image is reached more closely in {found.auc:.0%} of the pairs"
        + ("" if ends is None else f" (95 % interval {ends.low:.0%} to {ends.high:.0%})")
        + f", p = {found.p:.3f}; median difference of pixels {_median(train):.1%} against "
        f"{_median(held_out):.1%} of the range"
    )
    if found.p <= ALPHA:
        what = "the generator reaches its training images more closely than held-out ones"
        return RecoveryAnswer.SIGNS, f"{what}: {numbers}"
    if found.p <= OPEN:
        what = "memorisation is not shown and not unlikely; more images would tell"
        return RecoveryAnswer.OPEN, f"{what}: {numbers}"
    what = "memorisation is not shown, which does not prove that there is none"
    return RecoveryAnswer.NOT_SHOWN, f"{what}: {numbers}"


def _median(of: Recovery) -> float:
    return float(of.pixel.quantile(0.5))


def _sets(sets: dict[str, Recovery]) -> list[RecoveredSet]:
    top = max(float(each.pixel.max()) for each in sets.values()) or 1.0
    own = sets.get(OWN)
    close = None if own is None else float(own.pixel.quantile(CLOSE))
    found = []
    for role, each in sets.items():
        counts, edges = np.histogram(each.pixel.numpy(), bins=BINS, range=(0.0, top))
        groups = None if role == OWN else len({*each.groups})
        found.append(
            RecoveredSet(
                role=role,
                file=each.file,
                size=SetSize(images=len(each.images), groups=groups),
                pixel=spread(each.pixel),
                perceptual=None if each.perceptual is None else spread(each.perceptual),
                cosine=None if each.cosine is None else spread(each.cosine),
                as_close_as_own=None
                if close is None
                else float((each.pixel <= close).double().mean()),
                histogram=Histogram(counts=tuple(counts.tolist()), edges=tuple(edges.tolist())),
            )
        )
    return found


def _pairs(role: str, of: Recovery) -> list[Pair]:
    nothing = [None] * len(of.images)
    columns = (
        of.images,
        of.groups,
        of.labels,
        of.pixel.tolist(),
        nothing if of.perceptual is None else of.perceptual.tolist(),
        nothing if of.cosine is None else of.cosine.tolist(),
    )
    return [
        Pair(role=role, image=i, group=g, label=k, pixel=p, perceptual=d, cosine=c)
        for i, g, k, p, d, c in zip(*columns, strict=True)
    ]


def _limits(recoverable: float | None) -> tuple[str, ...]:
    limits = [
        "the test sees what the search finds; an image may be remembered where no search finds it",
        "training and held-out images must have been divided at random; any other difference, such "
        "as the device, can pass for memorisation or hide it",
        "the answer is about these images and this training run",
    ]
    if recoverable is None:
        limits.insert(
            0,
            "the generator's own images were not projected, so it is unknown how closely "
            "the search can come",
        )
    elif recoverable < RECOVERABLE:
        limits.insert(
            0,
            f"the search reaches only {recoverable:.0%} of the generator's own images with a PSNR "
            "above 30 dB, so it may miss what is remembered; project with more steps",
        )
    return tuple(limits)
