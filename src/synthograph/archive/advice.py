"""Notes on what is allowed but probably not intended."""

from collections.abc import Iterator, Sequence

from synthograph.archive.manifest import Row

MIN_IMAGES = 100
"""Images below which a generator mostly repeats what it saw."""

NO_GROUPS = (
    "no groups were given: nothing protects against images of one patient in two splits. If "
    "patients have several images, and these are files, name them (--column group=..., "
    "--name-regex or --folders)"
)
NOT_STATED = (
    "which changes leave the meaning of these images unchanged was not stated, so none is taken "
    "for granted: training moves, scales and brightens them, and does not mirror, turn or recolour "
    "them. State what holds with --invariant mirror,rotate,colour or none, here or at training"
)


def few_images_note(count: int) -> str:
    """The note on a set of fewer than `MIN_IMAGES` images."""
    return (
        f"{count} images are very few: below {MIN_IMAGES}, a generator mostly repeats what it saw; "
        "add images, or start from a trained network"
    )


def has_groups(rows: Sequence[Row]) -> bool:
    """Whether any real image has a group that is more than its own name."""
    real = [row for row in rows if row.real]
    return not real or any(row.grouped for row in real)


def without_group(rows: Sequence[Row]) -> list[Row]:
    """The real images that have no group though others have one."""
    return [row for row in rows if row.real and not row.grouped] if has_groups(rows) else []


def training_notes(rows: Sequence[Row], *, conditional: bool) -> Iterator[str]:
    """Notes on an unusual training set, one sentence each.

    Args:
        rows: the images that train.
        conditional: whether the networks get the labels.
    """
    labels = {row.label for row in rows}
    if conditional and len(labels) == 1 and None not in labels:
        yield (
            f"all images are of one class, {labels.pop()!r}, so --cond tells the networks nothing; "
            "leave it out, or train on more classes"
        )
    if len(rows) < MIN_IMAGES:
        yield few_images_note(len(rows))
