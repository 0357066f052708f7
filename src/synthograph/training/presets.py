"""A preset with settings on top: the configuration of a run, checked against its images."""

from collections.abc import Sequence

from synthograph.core.config import merge
from synthograph.core.errors import SettingError, UserError
from synthograph.core.spec import ImageSpec
from synthograph.core.untrusted.documents import JsonObject
from synthograph.models.base import Family
from synthograph.models.config import ModelConfig
from synthograph.models.registry import RACES, family, family_of_preset
from synthograph.training.config import RunConfig


def resolve(
    spec: ImageSpec, preset: str, over: Sequence[JsonObject], *, gpus: int = 1
) -> RunConfig:
    """A preset with settings on top, frozen.

    Args:
        spec: the images to train on; presets depend on their size.
        preset: name of a preset of the model's family, or, where that is not said, of any.
        over: parts of the tree, later ones win.
        gpus: number of GPUs that the preset is scaled for.

    Raises:
        UserError: an unknown preset or setting, a value out of range, or one that these images do
            not allow.
    """
    asked: JsonObject = {}
    for part in over:
        asked = merge(asked, part)
    named = asked.get("model", {}).get("family")
    kind = family_of_preset(preset) if named is None else family(named)
    wanted = asked.get("training", {})
    tree = _settings(kind, preset, spec, gpus, wanted.get("kimg"))
    if (
        "batch" in wanted and "batch_gpu" not in wanted
    ):  # a preset's share need not divide another batch
        tree["training"].pop("batch_gpu", None)
        asked = merge(asked, {"training": {"batch_gpu": wanted["batch"]}})
    augment, own = asked.get("augment") or {}, tree.get("augment", {})
    if augment.get("mode", own.get("mode")) != own.get("mode") and "p" not in augment:
        own.pop("p", None)  # it is the strength of another mode
    config = RunConfig.parse(merge(tree, asked))
    check_model(spec, config.model)
    return config


def _settings(kind: Family, preset: str, spec: ImageSpec, gpus: int, kimg: object) -> JsonObject:
    """What a preset sets.

    Raises:
        UserError: there is none of that name, or only in another family.
    """
    try:
        return kind.preset(chosen(kind, preset, kimg), spec, gpus)
    except UserError:
        other = family_of_preset(preset).name
        if other == kind.name:
            raise
        raise UserError(
            f"preset {preset} is of the family {other}, the networks are to be of the family "
            f"{kind.name}: take one of its presets, {', '.join(kind.preset_names())}"
        ) from None


def chosen(kind: Family, preset: str, kimg: object) -> str:
    """The preset that a name stands for: of a race the first, and of those that a family has for
    short trainings the one for so many kimg.
    """
    first = RACES.get(preset, (preset,))[0]
    return kind.preset_within(first, float(kimg)) if isinstance(kimg, int | float) else first


def check_model(spec: ImageSpec, model: ModelConfig) -> None:
    """Refuse settings of a model that do not fit the images, before anything is built.

    Raises:
        SettingError: see `Family.check`.
    """
    try:
        family(model.family).check(spec, model)
    except SettingError as error:
        raise error.under("model") from None
