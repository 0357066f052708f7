"""What leaves copies of training images out of a synthetic set."""

from synthograph.archive.batches import open_rows
from synthograph.core.errors import UserError
from synthograph.core.progress import Progress
from synthograph.features.registry import feature_folder
from synthograph.metrics.audit.audit import refuse_strange_training
from synthograph.metrics.audit.reject import copy_judge
from synthograph.metrics.overlap import trained_on
from synthograph.models.snapshot import Snapshot
from synthograph.sampling.generate import RejectionRule


def copy_rejection(snapshot: Snapshot, named: str, progress: Progress) -> RejectionRule:
    """What leaves out copies of the images of an archive.

    Args:
        snapshot: whose images are looked at.
        named: the training images, `PATH[:split]`.
        progress: is told what cannot be compared.

    Raises:
        UserError: the archive holds other kinds of images, synthetic ones, too few groups, or none
            that the generator was trained on.
    """
    training = open_rows(named).real()
    ours, theirs = snapshot.info.spec, training.archive.info.spec
    alike = ("height", "width", "channels", "bits")
    if any(getattr(ours, name) != getattr(theirs, name) for name in alike):
        raise UserError(
            f"--reject-copies {named}: images of {theirs.width}x{theirs.height}, {theirs.channels} "
            f"channels, {theirs.bits} bits; the generator makes {ours.width}x{ours.height}, "
            f"{ours.channels}, {ours.bits}: name the archive that it was trained on"
        )
    trained, groups = trained_on([snapshot.info.tree()]), training.groups
    notes = refuse_strange_training(trained, groups, named)
    for note in notes:
        progress.log(f"--reject-copies: {note}")
    judge = copy_judge(training.images, folder=feature_folder(), tracks=progress.track)
    decided = {**judge.origin, "score": judge.threshold.score, "rate": judge.threshold.rate}
    return RejectionRule(judge, decided)
