"""From options to a list of source items: truth is drawn at once, pictures when asked for."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import ModuleType

import numpy as np

from synthograph.core.record import DecodedImage, SourceItem
from synthograph.sources.phantoms import eye, knee, skin
from synthograph.sources.phantoms.camera import Camera
from synthograph.sources.phantoms.labels import (
    Factor,
    Key,
    LabelModel,
    Population,
    calibrate_signal,
    draw_population,
)
from synthograph.sources.phantoms.options import PhantomKind, PhantomOptions, Site

MODULES: Mapping[PhantomKind, ModuleType] = {
    PhantomKind.SKIN: skin,
    PhantomKind.EYE: eye,
    PhantomKind.KNEE: knee,
}
SCORED_PREVALENCE = 0.4
SIDES = ("left", "right")
# Enough for the tails: a factor at 4.5 standard deviations can still be standardised again.
DIGITS = 7


@dataclass(frozen=True, slots=True)
class PhantomSet:
    """A set of phantoms with known truth.

    Attributes:
        items: one per image; `decode` draws it, the same way whenever and wherever it is called.
        classes: class names in order; the second one is the positive class.
        invariances: which of mirror, rotate, colour leave the meaning of an image unchanged.
        description: one sentence for people.
        factors: columns of properties of the object (not of its placement or of the camera).
        mask_classes: names of the mask's class ids 0, 1, ...
    """

    items: list[SourceItem]
    classes: list[str]
    invariances: tuple[str, ...]
    description: str
    factors: tuple[Factor, ...]
    mask_classes: tuple[str, ...]


def make_phantoms(options: PhantomOptions) -> PhantomSet:
    """Draw the truth of a set and give items that draw the pictures.

    Image i depends on seed and i alone: a larger `count` only appends, another `size` or `site`
    shows the same object, and the order or process of decoding does not matter.

    Args:
        options: what to make.

    Returns:
        The set. Columns of every item: each factor and confounder by name, `site`, and for skin and
        knee `score` (standard normal, noiseless) and `probability` of the second class given the
        factors; for eye and knee `side`; for knee `visit`.

    Raises:
        UserError: an AUROC or prevalence that cannot be had.
    """
    module = MODULES[options.kind]
    key = Key(options.seed, module.NUMBER)
    population = draw_population(
        key,
        count=options.count,
        images_per_patient=options.images_per_patient,
        patient_effect=options.patient_effect,
        factors=(*module.FACTORS, *module.PLACEMENT),
        confounders=len(module.CONFOUNDERS),
        model=_label_model(options),
    )
    camera = module.SITE_A
    if options.site is Site.B:
        camera = camera.moved(module.SITE_B, options.site_shift)
    truth = _truth(options, population)
    items = [
        _item(i, options=options, key=key, population=population, truth=truth, camera=camera)
        for i in range(options.count)
    ]
    return PhantomSet(
        items=items,
        classes=list(module.CLASSES),
        invariances=module.INVARIANCES,
        description=module.DESCRIPTION,
        factors=module.FACTORS,
        mask_classes=module.MASK_CLASSES,
    )


def _label_model(options: PhantomOptions) -> LabelModel:
    """Skin and knee: a noisy threshold of the score. Eye: the side is drawn image by image."""
    if options.kind is PhantomKind.EYE:
        prevalence = 0.5 if options.prevalence is None else options.prevalence
        return LabelModel(0.0, prevalence, correlation=options.confounder_correlation)
    prevalence = SCORED_PREVALENCE if options.prevalence is None else options.prevalence
    return LabelModel(
        calibrate_signal(options.auroc, prevalence),
        prevalence,
        noise_share=options.patient_effect,
        correlation=options.confounder_correlation,
    )


def _truth(options: PhantomOptions, population: Population) -> dict[str, np.ndarray]:
    """All numbers that a picture depends on, by name [n]."""
    module = MODULES[options.kind]
    truth = dict(population.values)
    truth |= module.confounders(population.confounders, options.confounders)
    if options.kind is PhantomKind.EYE:
        truth["right"] = population.positive.astype(float)
    if options.kind is PhantomKind.KNEE:
        # Both knees of a patient in turn, the first by the patient's number: no tie to the label.
        truth["right"] = (population.patient + population.ordinal) % 2.0
    return truth


def _item(
    index: int,
    *,
    options: PhantomOptions,
    key: Key,
    population: Population,
    truth: Mapping[str, np.ndarray],
    camera: Camera,
) -> SourceItem:
    module = MODULES[options.kind]
    values = {name: float(column[index]) for name, column in truth.items()}
    columns = {name: f"{value:.{DIGITS}g}" for name, value in values.items() if name != "right"}
    if options.kind is PhantomKind.SKIN:
        columns["colours"] = str(skin.colours_of(values["colour"]))
    if "right" in values:
        columns["side"] = SIDES[int(values["right"])]
    if options.kind is PhantomKind.KNEE:
        columns["visit"] = f"V{int(population.ordinal[index]) // 2:02d}"
    columns["site"] = str(options.site)
    if options.kind is not PhantomKind.EYE:
        columns["score"] = f"{population.score[index]:.{DIGITS}g}"
        columns["probability"] = f"{population.probability[index]:.{DIGITS}g}"
    render: Callable[..., DecodedImage] = module.render
    return SourceItem(
        name=f"{options.kind}_{index:06d}",
        decode=partial(render, values, key=key, index=index, size=options.size, camera=camera),
        label=module.CLASSES[int(population.positive[index])],
        group=f"P{int(population.patient[index]):04d}",
        columns=columns,
    )
