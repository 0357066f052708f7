"""The whole audit of a set of synthetic images, and the verdict with its rule and its limits."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import synthograph
from synthograph.archive.batches import ArchiveRows, ImageSet
from synthograph.core.errors import UserError
from synthograph.core.names import first_few
from synthograph.core.progress import Tracks, silent
from synthograph.features.base import Extractor
from synthograph.metrics import evaluate
from synthograph.metrics.audit import memorisation
from synthograph.metrics.audit.copies import (
    Withheld,
    blindness,
    doubtful,
    exact_words,
    find_copies,
    find_equal,
    unseen,
)
from synthograph.metrics.audit.findings import PermutedTests, judge
from synthograph.metrics.audit.leaks import leaked_augmentations
from synthograph.metrics.audit.membership import membership
from synthograph.metrics.audit.overlap import content_overlap
from synthograph.metrics.audit.search import Index
from synthograph.metrics.audit.sets import MIN_GROUPS
from synthograph.metrics.audit.verdict import AT_RANDOM, MAX_OVERLAP, RULE, decide
from synthograph.metrics.columns import extractor_column, rows_of
from synthograph.metrics.evaluate import MIN_IMAGES
from synthograph.metrics.overlap import Trained, refuse_overlap
from synthograph.results.audit import (
    Audit,
    AuditedSet,
    AuditProvenance,
    AuditVerdict,
    AugmentationLeakage,
    Copies,
    Membership,
    Overlap,
    Sets,
    TrainedWith,
)
from synthograph.results.evaluation import MIN_FOR_MORE
from synthograph.results.provenance import Features, ImageRecord, weakness
from synthograph.stats.permutation import Labels
from synthograph.stats.sample import Sample


@dataclass(frozen=True)
class AuditSets:
    """What to audit: images of patients whom the generator was trained on, and of others.

    `train_groups` and `holdout_groups` give the name of every patient by digest, so that an overlap
    can be named; `notes` are what is known of the sets before, `recorded` what the generator says
    of the augmentation in its training.
    """

    train: ImageSet
    holdout: ImageSet
    synthetic: ImageSet
    seed: int = 0
    train_groups: Mapping[str, str] = field(default_factory=dict)
    holdout_groups: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    recorded: TrainedWith | None = None

    @property
    def labels(self) -> Labels | None:
        """Classes of training and held-out images, where both have some."""
        ours, theirs = self.train.labels, self.holdout.labels
        return None if ours is None or theirs is None else (ours, theirs)


@dataclass(frozen=True)
class Audited:
    """What an audit found, and the synthetic images that should not be shared."""

    result: Audit
    withheld: tuple[Withheld, ...]


def check(request: AuditSets) -> None:
    """Refuse what cannot be audited, before anything is computed.

    Raises:
        UserError: a patient is in training and hold-out, sets of different kinds of images, or too
            few images.
    """
    train, holdout, synthetic = request.train, request.holdout, request.synthetic
    both = request.train_groups.keys() & request.holdout_groups.keys()
    if both:
        names = sorted(request.train_groups[digest] for digest in both)
        raise UserError(
            f"{len(names)} groups are in {train.name} and in {holdout.name}, such as "
            f"{first_few(repr(name) for name in names)}: a hold-out must have patients of its own; "
            "split by group (synthograph split) and name the two splits, such as cells.zip:train "
            "and cells.zip:test"
        )
    for images, what in ((train, "training"), (holdout, "held-out"), (synthetic, "synthetic")):
        if images.count < MIN_IMAGES:
            raise UserError(
                f"{images.name}: {images.count} {what} images say nothing of memorisation: at "
                f"least {MIN_IMAGES} of each set are needed, and below {MIN_FOR_MORE} little can "
                "be seen"
            )
    evaluate.check(evaluate.EvaluationTask(holdout, synthetic, train, measures=()))


def refuse_seen(trained: Trained, images: ArchiveRows) -> list[str]:
    """`refuse_overlap` for a hold-out, whose way out is another split."""
    try:
        return refuse_overlap(trained, images)
    except UserError as error:
        found = str(error).partition(": measure on")[0]
        raise UserError(
            f"{found}: these are no held-out images; name a split that the generator never saw, "
            "such as cells.zip:test"
        ) from None


def refuse_strange_training(trained: Trained, groups: Mapping[str, str], name: str) -> list[str]:
    """Refuse a training set that the generator was not trained on.

    Returns:
        What a reader should know: that the generator saw some of them only, or others too, or does
        not say.

    Raises:
        UserError: it saw none of them.
    """
    if not trained.groups:
        return [
            "the generator does not say what it was trained on, so whether its training images are "
            f"those of {name} cannot be checked"
        ]
    missing = sorted(groups[digest] for digest in groups.keys() - trained.groups)
    if len(missing) == len(groups):
        raise UserError(
            f"{name}: the generator was trained on none of its {len(groups)} groups, so its images "
            "cannot have been copied; name the archive and split that it was trained on"
        )
    notes = unsearched(trained, groups, name)
    if not missing:
        return notes
    return [
        f"the generator saw only {len(groups) - len(missing)} of the {len(groups)} groups of "
        f"{name}, so all tests see less; it did not see {len(missing)} groups, such as "
        f"{first_few(repr(each) for each in missing)}",
        *notes,
    ]


def unsearched(trained: Trained, groups: Mapping[str, str], name: str) -> list[str]:
    """What a reader should know of groups that the generator saw and that are not in a set; its
    groups are digest -> name.
    """
    others = len(trained.groups - groups.keys())
    if not others:
        return []
    return [
        f"the generator saw {others} groups that are not in {name}: copies of their images are "
        "not searched for"
    ]


def _sets(request: AuditSets) -> Sets:
    train, holdout = request.train, request.holdout
    return Sets(
        train=_about(train, train.group_count),
        holdout=_about(holdout, holdout.group_count),
        synthetic=_about(request.synthetic, None),
    )


def audit(
    request: AuditSets, extractors: Sequence[Extractor], *, folder: Path, tracks: Tracks = silent
) -> Audited:
    """Audit a set of synthetic images.

    Args:
        request: what.
        extractors: whose features; at least one. Membership is inferred by the first.
        folder: where features are kept.
        tracks: shows progress.

    Raises:
        UserError: as from `check`, no extractor, or features that are not finite.
    """
    check(request)
    if not extractors:
        raise UserError("an audit needs features: give at least one extractor")
    train, holdout, synthetic = request.train, request.holdout, request.synthetic
    overlap, seed, blind = None, request.seed, _too_few(train, holdout)
    if blind is None:
        index = Index(train, folder, tracks)
        overlap = content_overlap(index, holdout, seed=seed)
        search = find_copies(index, holdout, synthetic, seed=seed)
        blind = blindness(search.copies)
    else:
        search = find_equal(train, holdout, synthetic)
    copies, samples = search.copies, _samples(request, extractors, folder, tracks)
    first = samples[extractors[0].name]
    inferred = membership(*first, labels=request.labels, seed=seed)
    inferred = inferred.replace(extractor=extractors[0].name)
    measured = [] if memorisation.too_small(*first[:2]) else _measured(request, samples, tracks)
    tests = judge(measured)
    leaks, why_not = _leaks(request, tracks)
    limits = [*_limits(request, extractors, copies, inferred), *_notes(request, overlap, measured)]
    answer, reasons = decide(
        overlap=0.0 if overlap is None else overlap.believed,
        tests=tests,
        copies=copies.sentence if copies.found else None,
        distinguished=inferred.sentence if inferred.seen else None,
        blind=blind,
        doubtful=doubtful(copies),
        exact=exact_words(copies),
    )
    verdict = AuditVerdict(
        answer=answer,
        indicative=all(each.indicative for each in extractors),
        rule=RULE,
        reasons=reasons,
        limits=(*limits, *why_not, AT_RANDOM),
    )
    result = Audit(
        verdict=verdict,
        sets=_sets(request),
        notes=request.notes,
        overlap=overlap,
        tests=tuple(tests),
        distances={each.extractor: each.distances for each in measured},
        copies=copies,
        membership=inferred,
        augmentations=leaks,
        provenance=_provenance(request, extractors),
    )
    return Audited(result, search.withheld)


def _about(images: ImageSet, groups: int | None) -> AuditedSet:
    key = images.origin.get("images_hash")
    return AuditedSet(name=images.name, images=images.count, groups=groups, images_hash=key)


def _provenance(request: AuditSets, extractors: Sequence[Extractor]) -> AuditProvenance:
    return AuditProvenance(
        seed=request.seed,
        version=synthograph.__version__,
        extractors=tuple(Features(**each.describe()) for each in extractors),
        train=ImageRecord(**request.train.origin),
        holdout=ImageRecord(**request.holdout.origin),
        synthetic=ImageRecord(**request.synthetic.origin),
    )


def _leaks(request: AuditSets, tracks: Tracks) -> tuple[AugmentationLeakage | None, list[str]]:
    """Augmentations that leaked, or why that cannot be seen."""
    sets, seed = (request.train, request.synthetic), request.seed
    try:
        found = leaked_augmentations(*sets, recorded=request.recorded, seed=seed, tracks=tracks)
    except UserError as error:  # sets of one kind, so they can only be too small
        return None, [str(error)]
    return found, []


def _samples(
    request: AuditSets, extractors: Sequence[Extractor], folder: Path, tracks: Tracks
) -> dict[str, tuple[Sample, Sample, Sample]]:
    """Features of the three sets by extractor."""
    sets = (request.train, request.holdout, request.synthetic)
    # several modalities are cut by place, and a set of one may call it otherwise
    columns = [extractor_column(each, request.holdout.spec) for each in extractors]
    found = [
        rows_of(images, columns, folder=folder, track=tracks(f"features of {images.name}"))
        for images in sets
    ]
    samples = {}
    for extractor, *features in zip(extractors, *found, strict=True):
        train, holdout, synthetic = (
            Sample(rows[:, : extractor.dims], images.groups)
            for rows, images in zip(features, sets, strict=True)
        )
        samples[extractor.name] = (train, holdout, synthetic)
    return samples


def _measured(
    request: AuditSets, samples: Mapping[str, tuple[Sample, Sample, Sample]], tracks: Tracks
) -> list[PermutedTests]:
    return [
        memorisation.measure(
            *three,
            extractor=name,
            labels=request.labels,
            seed=request.seed,
            exchanges=memorisation.EXCHANGES,
            track=tracks(f"exchanges of patients, {name}"),
        )
        for name, three in samples.items()
    ]


def _too_few(train: ImageSet, holdout: ImageSet) -> str | None:
    """Why copies cannot be looked for, or None."""
    for images, what in ((train, "training"), (holdout, "held-out")):
        if images.group_count < MIN_GROUPS:
            return (
                f"{images.group_count} groups of {what} images: at least {MIN_GROUPS} are needed "
                "to know how alike images of different patients can be"
            )
    return None


def _limits(
    request: AuditSets, extractors: Sequence[Extractor], copies: Copies, inferred: Membership
) -> Iterator[str]:
    """What could not be seen."""
    if all(each.indicative for each in extractors):
        yield (
            f"the networks behind this audit were {weakness(e.name for e in extractors)}, so it "
            "gives only an indication: networks trained on many images may see more"
        )
    if copies.found is False and copies.control is None:
        yield copies.sentence
    if copies.found is not None:
        yield from unseen(copies)
    if inferred.undecided is not None:
        yield inferred.sentence
    fewest = min(request.train.count, request.holdout.count, request.synthetic.count)
    if fewest < MIN_FOR_MORE:
        yield f"{fewest} images in the smallest set: below {MIN_FOR_MORE} little can be seen"
    share = request.holdout.count / request.train.count
    if share < 0.5:
        yield (
            f"the tests of nearest neighbours use about {share:.0%} of the training images at a "
            "time, so they may miss a few copies; the search for copies looks at all images"
        )


def _notes(
    request: AuditSets, overlap: Overlap | None, measured: Sequence[PermutedTests]
) -> Iterator[str]:
    """What was known of the sets before, and what was left out of them."""
    yield from request.notes
    for images in (request.train, request.holdout):
        if images.group_count == images.count:
            yield (
                f"{images.name}: every image is its own group; if patients have several images, "
                "chance does more than these tests allow for"
            )
    if overlap is not None and overlap.believed <= MAX_OVERLAP < overlap.share:
        yield overlap.sentence
    yield from dict.fromkeys(note for each in measured for note in each.notes)
