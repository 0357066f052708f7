"""What a kind of phantom is, and the scene of one picture of it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from synthograph.core.record import DecodedImage
from synthograph.sources.phantoms.camera import Camera
from synthograph.sources.phantoms.drawing import Canvas
from synthograph.sources.phantoms.labels import Confounder, Factor, Population


@dataclass(frozen=True, slots=True)
class Scene:
    """One picture that is to be drawn.

    Attributes:
        values: every factor, placement and confounder by name, and for an object with a side
            `right`: 1 for a right one, 0 for a left one.
        canvas: what it is drawn on; the same scene on another canvas shows the same object.
        camera: who looks.
        generator: source of what is random in the picture.
    """

    values: Mapping[str, float]
    canvas: Canvas
    camera: Camera
    generator: np.random.Generator


@dataclass(frozen=True, slots=True, kw_only=True)
class Anatomy:
    """One kind of phantom.

    Attributes:
        number: chooses the streams of its random numbers.
        classes: class names in order; the second one is the positive class.
        mask_classes: names of the mask's class ids 0, 1, ...
        factors: properties of the object; a kind whose factors have no weight has no score.
        placement: how the object lies in the field.
        confounders: what disturbs the picture.
        cameras: those of sites a and b.
        render: draws the modalities and the mask of a scene.
        invariances: which of mirror, rotate, colour leave the meaning of an image unchanged.
        right: whether each object is a right one (1 or 0) [n]; None for objects without a side.
        columns: further manifest columns of an image, from its values and its place among the
            images of its patient.
    """

    number: int
    classes: tuple[str, str]
    mask_classes: tuple[str, ...]
    factors: tuple[Factor, ...]
    placement: tuple[Factor, ...]
    confounders: tuple[Confounder, ...]
    cameras: tuple[Camera, Camera]
    render: Callable[[Scene], DecodedImage]
    invariances: tuple[str, ...] = ()
    right: Callable[[Population], np.ndarray] | None = None
    columns: Callable[[Mapping[str, float], int], dict[str, str]] = lambda values, ordinal: {}
