"""From options to a list of source items: truth is drawn at once, pictures when asked for."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from synthograph.core.record import DecodedImage, SourceItem
from synthograph.sources.phantoms.anatomy import Anatomy, Scene
from synthograph.sources.phantoms.camera import Camera
from synthograph.sources.phantoms.drawing import Canvas
from synthograph.sources.phantoms.eye import EYE
from synthograph.sources.phantoms.knee import KNEE
from synthograph.sources.phantoms.labels import Factor, Key, Population, Stream, draw_population
from synthograph.sources.phantoms.options import PhantomKind, PhantomOptions, Site
from synthograph.sources.phantoms.skin import SKIN

ANATOMY: Mapping[PhantomKind, Anatomy] = {
    PhantomKind.SKIN: SKIN,
    PhantomKind.EYE: EYE,
    PhantomKind.KNEE: KNEE,
}
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
        factors: columns of properties of the object (not of its placement or of the camera).
        mask_classes: names of the mask's class ids 0, 1, ...
    """

    items: list[SourceItem]
    classes: list[str]
    invariances: tuple[str, ...]
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
        knee `score` (noiseless; standard normal before `separation`) and `probability` of the
        second class given the factors; for eye and knee `side`; for knee `visit`; for skin
        `colours`.
    """
    anatomy = ANATOMY[options.kind]
    key = Key(options.seed, anatomy.number)
    factors = (*anatomy.factors, *anatomy.placement)
    population = draw_population(key, factors, anatomy.confounders, options)
    camera, other = anatomy.cameras
    if options.site is Site.B:
        camera = camera.moved(other, options.site_shift)
    draw = partial(_draw, options.kind, key=key, size=options.size, camera=camera)
    truth = dict(population.values)
    if anatomy.right is not None:
        truth["right"] = anatomy.right(population)
    items = []
    for i in range(options.count):
        values = {name: float(column[i]) for name, column in truth.items()}
        item = SourceItem(
            name=f"{options.kind}_{i:06d}",
            decode=partial(draw, values, index=i),
            label=anatomy.classes[int(population.positive[i])],
            group=f"P{options.seed}-{population.patient[i]:04d}",
            columns=_columns(i, values, anatomy, population, options.site),
        )
        items.append(item)
    return PhantomSet(
        items=items,
        classes=list(anatomy.classes),
        invariances=anatomy.invariances,
        factors=anatomy.factors,
        mask_classes=anatomy.mask_classes,
    )


def _columns(
    i: int, values: Mapping[str, float], anatomy: Anatomy, population: Population, site: Site
) -> dict[str, str]:
    """What the manifest says of image i."""
    columns = {name: f"{value:.{DIGITS}g}" for name, value in values.items() if name != "right"}
    if "right" in values:
        columns["side"] = SIDES[int(values["right"])]
    columns |= anatomy.columns(values, int(population.ordinal[i]))
    columns["site"] = str(site)
    if population.score is not None:
        columns["score"] = f"{population.score[i]:.{DIGITS}g}"
        columns["probability"] = f"{population.probability[i]:.{DIGITS}g}"
    return columns


def _draw(
    kind: PhantomKind,
    values: Mapping[str, float],
    *,
    key: Key,
    index: int,
    size: int,
    camera: Camera,
) -> DecodedImage:
    """The picture of one image, in whichever process decodes it."""
    scene = Scene(values, Canvas(size, camera.zoom), camera, key.generator(Stream.RENDER, index))
    return ANATOMY[kind].render(scene)
