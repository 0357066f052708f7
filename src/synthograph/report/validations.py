"""How a training of a classifier or segmenter went: curves for the page and as a file."""

from collections.abc import Iterator

from synthograph.report.curves import Curve, Panel, draw, picture
from synthograph.report.words import score_words
from synthograph.results.base import Tree
from synthograph.results.environment import told
from synthograph.results.validations import Fit, ValidationHistory

SETTINGS = {
    "steps": "steps at most",
    "batch": "images per step",
    "rate": "learning rate",
    "schedule": "schedule of the rate",
    "every": "steps between validations",
    "patience": "early stopping after so many validations without a better one",
    "max_norm": "longest gradient",
    "balance": "balancing of classes",
    "transforms": "augmentation",
}
"""What settings of a training are called here; others have their own names."""
SWITCHES = ("patience", "transforms")
"""Settings that are off where they are 0 or empty."""
OPEN = (None, "auto")
"""Values that settled only where the training ran; files of today hold what they became."""
LOSS_CAPTION = "Loss in training: the mean of all steps since the validation before."
LOSSES_CAPTION = (
    f"{LOSS_CAPTION[:-1]}, and on the validation images. Where the second rises while the first "
    "falls, the network learns images by heart."
)
SCORE_CAPTION = (
    "What validation images said of the network while it trained. It chose the step at the "
    "vertical line, so it is too good for a report."
)


def settings_text(fit: Fit) -> str:
    """Settings of a training in one line; of augmentations the names. What older files leave open
    is left out.
    """
    said = []
    for name, value in fit.settings.items():
        if value in OPEN:
            continue
        text = ", ".join(value) if isinstance(value, dict) else value
        text = "none" if name in SWITCHES and not value else text
        said.append(f"{SETTINGS.get(name, name.replace('_', ' '))}: {text}")
    return "; ".join(said)


def fit_tree(fit: Fit | None) -> list[str]:
    """How a network was trained, a sentence each; none where that was not recorded."""
    if fit is None:
        return []
    known = told(fit.environments)
    start, settings = f"Training {fit.start}.", f"Settings of the training: {settings_text(fit)}."
    return [start, settings, *([f"Trained with {known}."] if known else [])]


def panels(history: ValidationHistory) -> Iterator[tuple[Panel, str]]:
    """Losses, where they are known, and the score that chose, with a caption each; the chosen step
    is a vertical line.
    """
    steps, chosen = [each.step for each in history.tried], history.chosen.step
    losses = [
        Curve("training images", steps, [each.training for each in history.tried]),
        Curve("validation images", steps, [each.loss for each in history.tried]),
    ]
    known = [line for line in losses if any(y is not None for y in line.y)]
    if known:
        caption = LOSSES_CAPTION if len(known) > 1 else LOSS_CAPTION
        yield Panel(known, "loss", "steps", chosen=chosen), caption
    words = score_words(history.score)
    score = Curve(words, steps, history.scores)
    yield Panel([score], f"{words}, validation", "steps", chosen=chosen), SCORE_CAPTION


def drawings(history: ValidationHistory | None, of: str) -> list[tuple[str, str]]:
    """SVG and caption of every picture; none without a history. What was trained has a name that no
    other one on the page has.
    """
    if history is None:
        return []
    return [(draw(each, f"{each.label} of {of}"), text) for each, text in panels(history)]


def curves_png(history: ValidationHistory) -> bytes:
    """All of them on one picture."""
    return picture([each for each, _ in panels(history)])


def history_tree(history: ValidationHistory | None) -> Tree | None:
    """The validations for the JSON of the page."""
    return None if history is None else {**history.tree(), "chosen": history.chosen.step}
