"""Knee phantom: 16-bit grey slices like sagittal MR, osteoarthritis grade low or high.

Fat is suppressed, cartilage bright and marrow dark, as in the double echo steady state sequence of
the Osteoarthritis Initiative (Peterfy et al. 2008). The factors of the score are thin cartilage,
osteophytes and marrow lesions, three features of semi-quantitative grading (MOAKS, Hunter et al.
2011). A left knee looks to the image's left, a right knee to its right (a convention of this
phantom), so that mirroring a picture changes its side. The field is 100 mm wide.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from synthograph.core.record import DecodedImage
from synthograph.sources.phantoms.anatomy import Anatomy, Scene
from synthograph.sources.phantoms.camera import Camera, quantise
from synthograph.sources.phantoms.drawing import ellipse, paint, soft, soft_max
from synthograph.sources.phantoms.labels import Confounder, Factor

Point = tuple[float, float]
CARTILAGE = 4
HALF_FIELD_MM = 50.0
JOINT = 6.0
"""Height of the femur's lowest point in mm."""

FACTORS = (
    Factor("cartilage_thickness", 0.6, 4.2, "thickness of a layer of cartilage in mm", weight=-0.7),
    Factor("osteophytes", 0.0, 6.5, "reach of the osteophytes in mm", weight=0.6),
    Factor("marrow_lesion", 0.0, 1.0, "strength of bright marrow lesions, 0 none to 1", weight=0.4),
    Factor("bone_size", 0.90, 1.10, "size of the bones over the mean", share=1.0),
    Factor("fat_layer", 3.0, 11.0, "thickness of the fat under the skin in mm", share=1.0),
    Factor("muscle", 0.0, 1.0, "fat within the muscle, 0 none to 1", share=1.0),
)
PLACEMENT = (
    Factor("slice_position", -1.0, 1.0, "slice, -1 inner to 1 outer side of the joint", share=0.0),
    Factor("flexion", -4.0, 8.0, "flexion of the knee in degrees", share=0.0),
)

CONFOUNDERS = (
    Confounder("coil_shading", offset=0.1, gain=0.30, limit=0.9),
    Confounder("motion", offset=0.1, gain=0.35, limit=1.0),
)
SITE_A = Camera(gains=(1.0,), noise=0.018)
SITE_B = Camera(
    gains=(0.88,), contrast=0.94, gamma=1.20, blur=8.0, vignette=0.35, zoom=1.15, noise=0.035
)

AIR, FAT, MUSCLE, MARROW, CORTEX, TENDON = 0.015, 0.26, 0.45, 0.22, 0.04, 0.06
CARTILAGE_GREY, FLUID, VESSEL = 0.84, 0.97, 0.75


@dataclass(frozen=True, slots=True)
class Bones:
    """Signed distances in mm, positive inside, and the frame they were drawn in.

    Attributes:
        x: backwards from the joint's centre in mm [1, w].
        y: downwards in mm [h, 1].
        femur: distance inside the femur [h, w].
        tibia: distance inside the tibia [h, w].
        patella: distance inside the patella [h, w].
        plateau: height of the tibia's top in mm.
    """

    x: np.ndarray
    y: np.ndarray
    femur: np.ndarray
    tibia: np.ndarray
    patella: np.ndarray
    plateau: float


def render(scene: Scene) -> DecodedImage:
    """Modality `image` uint16 [size, size, 1] and the mask (1 femur, 2 tibia, 3 patella, 4
    cartilage).
    """
    canvas, camera = scene.canvas, scene.camera
    bones = _bones(scene)
    layer = _cartilage(bones, scene)
    image = _joint(_soft_tissue(bones, scene), bones, layer, scene)
    image = _ghosts(_marrow(image, bones, scene), scene.values["motion"])
    image = camera.expose(canvas.shrink(_coil(image, scene))[None])
    image = _rician(image, camera.noise, scene.generator)
    femur = bones.femur > 0
    tibia = (bones.tibia > 0) & ~femur
    patella = (bones.patella > 0) & ~(femur | tibia)
    cartilage = (layer > 0) & ~(femur | tibia | patella)
    mask = canvas.shrink_mask([femur, tibia, patella, cartilage], thin=CARTILAGE)
    return DecodedImage({"image": quantise(image, 65535)}, mask)


def _rician(image: np.ndarray, noise: float, generator: np.random.Generator) -> np.ndarray:
    """Magnitude of a complex signal with noise in both parts (Gudbjartsson and Patz 1995)."""
    grain = generator.standard_normal((2, *image.shape), dtype=np.float32) * np.float32(noise)
    return 0.92 * np.sqrt((image + grain[0]) ** 2 + grain[1] ** 2)


def _bones(scene: Scene) -> Bones:
    values = scene.values
    side = -1.0 if values["right"] > 0.5 else 1.0
    x = scene.canvas.x * np.float32(side * HALF_FIELD_MM)
    y = scene.canvas.y * np.float32(HALF_FIELD_MM)
    scale, off, reach = values["bone_size"], abs(values["slice_position"]), values["osteophytes"]
    bend = math.tan(math.radians(values["flexion"]))
    plateau = JOINT + (2 * values["cartilage_thickness"] + 0.8)
    femur = _femur(x, y, scale=scale * (1 - 0.06 * off), bend=bend)
    femur = _spurs(femur, x, y, ((-22.0 * scale, -8.0), (27.0 * scale, -10.0)), reach)
    tibia = _tibia(x, y, plateau=plateau, scale=scale, bend=bend)
    edges = ((-23.0 * scale, plateau + 2.5), (26.0 * scale, plateau + 2.5))
    tibia = np.minimum(_spurs(tibia, x, y, edges, reach), -femur - 0.6)
    patella = np.minimum(_patella(x, y, scene), -femur - 0.6)
    return Bones(x, y, femur, tibia, patella, plateau)


def _femur(x: np.ndarray, y: np.ndarray, *, scale: float, bend: float) -> np.ndarray:
    """Shaft, condyle and the trochlea in front of it."""
    middle = 1.0 - bend * (y + 20)
    shaft = np.minimum(14.5 * scale - np.abs(x - middle), -14 - y)
    condyle = ellipse(x, y, centre=(4.0, JOINT - 20 * scale), radii=(24 * scale, 20 * scale))
    front = (-9.0 * scale, JOINT - 26 * scale)
    trochlea = ellipse(x, y, centre=front, radii=(14 * scale, 15 * scale))
    return soft_max(soft_max(condyle, trochlea, 6.0), shaft, 12.0)


def _tibia(
    x: np.ndarray, y: np.ndarray, *, plateau: float, scale: float, bend: float
) -> np.ndarray:
    """Plateau, slightly hollow, on a narrowing shaft, with the tuberosity in front."""
    depth = np.clip(y - plateau, 0, None)
    narrow = 10.0 * (1 - np.exp(-depth / 16.0))
    half = (25.5 - narrow) * scale
    middle = 1.5 + (0.05 + bend) * depth
    hollow = 1.2 * np.clip(1 - ((x - 3) / 20) ** 2, 0, None)
    top = y - plateau - hollow + 0.9
    side = (half - np.abs(x - middle)) * 0.85
    body = np.minimum(top, side) - 0.12 * np.clip(4 - np.minimum(top + side, 4), 0, None)
    bump = ellipse(x, y, centre=(-14.0 * scale, plateau + 15), radii=(6.0, 13.0))
    return soft_max(body, bump, 8.0)


def _patella(x: np.ndarray, y: np.ndarray, scene: Scene) -> np.ndarray:
    values = scene.values
    scale, off = values["bone_size"], abs(values["slice_position"])
    back = -22.5 * scale - 2 * values["cartilage_thickness"]
    radii = (6.5 * scale * (1 - 0.2 * off), 14.5 * scale * (1 - 0.2 * off))
    centre = (back - radii[0], -19.0)
    # Two ellipses: a flat back and a round front.
    body = ellipse(x - 0.10 * (y - centre[1]), y, centre=centre, radii=radii)
    poles = ((back - 3.0, centre[1] - radii[1] + 1.0), (back - 3.0, centre[1] + radii[1] - 1.0))
    return _spurs(body, x, y, poles, 0.6 * values["osteophytes"])


def _spurs(
    bone: np.ndarray, x: np.ndarray, y: np.ndarray, places: Sequence[Point], reach: float
) -> np.ndarray:
    """Osteophytes: bony spurs of `reach` mm at the margins of a joint surface."""
    if reach < 0.3:
        return bone
    for place in places:
        spur = ellipse(x, y, centre=place, radii=(0.95 * reach, 0.65 * reach))
        bone = soft_max(bone, spur, 1.5)
    return bone


def _cartilage(bones: Bones, scene: Scene) -> np.ndarray:
    """Distance inside the cartilage of femur, tibia or patella [h, w] in mm, positive inside."""
    x, y, scale = bones.x, bones.y, scene.values["bone_size"]
    thick = scene.values["cartilage_thickness"]

    def coat(bone: np.ndarray, thickness: float) -> np.ndarray:
        return np.minimum(-bone, bone + thickness)

    low = np.minimum(y + 14 - 0.35 * x, 26 * scale - x)
    femur = np.minimum(coat(bones.femur, thick), low)
    span = np.minimum(x + 18 * scale, 22 * scale - x)
    tibia = np.minimum(coat(bones.tibia, thick), np.minimum(span, bones.plateau + 2.5 - y))
    behind = x + 26 * scale + 2 * thick
    patella = np.minimum(coat(bones.patella, 0.9 * thick), behind)
    return np.maximum(np.maximum(femur, tibia), patella)


def _soft_tissue(bones: Bones, scene: Scene) -> np.ndarray:
    """Air, fat, muscles, tendons and vessels [h, w], before bones and joint."""
    x, y, canvas, layer = bones.x, bones.y, scene.canvas, scene.values["fat_layer"]
    rough, streak = canvas.noise(scene.generator, cells=9, octaves=3, fields=2, fading=0.7)
    front = -37.0 - 8.0 * np.exp(-(((y + 17) / 22) ** 2)) - 0.5 * layer + 0.10 * y
    skin = x - front
    image = (FAT * (1 + 0.10 * rough)).astype(np.float32)
    infiltrated = MUSCLE - 0.10 * scene.values["muscle"] * soft(streak - 0.6, 0.8) + 0.03 * rough
    hamstring = np.minimum(x - 25 + 0.25 * (y + 20), 52 - layer - x)
    hamstring = np.minimum(hamstring, 4 - y)
    calf = np.minimum(x - 21 + 0.10 * (y - 20), 52 - layer - 0.1 * (y - 20) - x)
    calf = np.minimum(calf, y + 2 - 0.5 * np.abs(x - 34))
    quadriceps = np.minimum(-12 - x, np.minimum(skin - layer, -33 - y))
    for muscle in (hamstring, calf, quadriceps):
        image = paint(image, infiltrated, soft(muscle, 2.0))
    for place, radius in (((30.0, -6.0), 3.4), ((34.5, 0.0), 2.6)):
        vessel = ellipse(x, y, centre=place, radii=(radius, 2.2 * radius))
        image = paint(image, VESSEL, soft(vessel, 1.2))
    line = -31.5 - 0.22 * (y - 4) * (y < 4) + 0.42 * (y - 4) * (y > 4)
    tendon = np.minimum(2.3 - np.abs(x - line), np.minimum(y + 46, 24 - y))
    image = paint(image, TENDON, soft(tendon, 1.5))
    image = image * (1 - 0.6 * np.exp(-((skin / 1.2) ** 2)))
    return paint(image, AIR, soft(-skin, 1.2))


def _joint(image: np.ndarray, bones: Bones, layer: np.ndarray, scene: Scene) -> np.ndarray:
    """Fluid, menisci and cartilage over the soft tissue."""
    x, y, scale = bones.x, bones.y, scene.values["bone_size"]
    outside = np.minimum(-bones.femur, -bones.tibia)
    middle = (JOINT + bones.plateau) / 2
    gap = np.minimum(9.0 - np.abs(y - middle), np.minimum(x + 24 * scale, 28 * scale - x))
    space = np.minimum(gap, outside)
    image = paint(image, 0.30, soft(space, 1.0))
    wedge = 0.36 * np.abs(x - 3) - 2.2 - np.abs(y - middle - 1)
    ring = np.minimum(np.abs(x - 3) - 8 * scale, 24 * scale - np.abs(x - 3))
    meniscus = np.minimum(np.minimum(wedge, ring), outside)
    image = paint(image, TENDON, soft(meniscus, 1.0))
    surface = np.abs(bones.femur + scene.values["cartilage_thickness"] + 0.5)
    film = np.minimum(1.1 - surface, space)
    image = image + (FLUID - image) * 0.8 * soft(film, 1.0)
    pouch = ellipse(x, y, centre=(-18.5 * scale, -37.0), radii=(2.0, 7.0))
    image = image + (FLUID - image) * 0.85 * soft(pouch, 1.5)
    return paint(image, CARTILAGE_GREY, soft(layer + 0.2, 0.9))


def _marrow(image: np.ndarray, bones: Bones, scene: Scene) -> np.ndarray:
    """Bones with dark cortex, trabeculae, scars of the growth plates, and marrow lesions."""
    generator, strength = scene.generator, scene.values["marrow_lesion"]
    fine, blot = scene.canvas.noise(generator, cells=18, octaves=3, fields=2, fading=0.8)
    grey = MARROW * (1 + 0.14 * fine)
    scar_femur = np.exp(-(((bones.y + 22 - 0.02 * bones.x**2) / 0.9) ** 2))
    scar_tibia = np.exp(-(((bones.y - bones.plateau - 17) / 0.9) ** 2))
    scars = scar_femur * (bones.femur > 0) + scar_tibia * (bones.tibia > 0)
    grey = grey * (1 - 0.35 * scars)
    reach = 3.0 + 7.0 * strength
    heights = (bones.plateau + 3, JOINT - 5)
    for place, height in zip(generator.uniform(-12, 16, 2), heights, strict=True):
        spot = ellipse(bones.x, bones.y, centre=(place, height), radii=(1.3 * reach, reach))
        bright = soft(spot + 1.2 * blot, reach) * np.float32(0.85 * strength)
        grey = paint(grey, 0.72, bright)
    for bone in (bones.femur, bones.tibia, bones.patella):
        image = paint(image, CORTEX, soft(bone, 0.9))
        image = paint(image, grey, soft(bone - 1.3, 1.2))
    return image


def _ghosts(image: np.ndarray, strength: float) -> np.ndarray:
    """Motion during the scan: copies displaced along the phase direction (top to bottom)."""
    if strength <= 0:
        return image
    step = image.shape[0] // 6
    ghost = np.roll(image, step, axis=0) + np.roll(image, -step, axis=0)
    weight = np.float32(0.16 * strength)
    return (image + weight * ghost) / (1 + 2 * weight)


def _coil(image: np.ndarray, scene: Scene) -> np.ndarray:
    """Uneven sensitivity of the receiving coil."""
    angle = scene.generator.uniform(0, 2 * np.pi)
    field = scene.canvas.x * np.float32(np.cos(angle)) + scene.canvas.y * np.float32(np.sin(angle))
    return image * (1 + np.float32(scene.values["coil_shading"]) * field)


KNEE = Anatomy(
    number=3,
    classes=("low", "high"),
    mask_classes=("background", "femur", "tibia", "patella", "cartilage"),
    factors=FACTORS,
    placement=PLACEMENT,
    confounders=CONFOUNDERS,
    cameras=(SITE_A, SITE_B),
    render=render,
    # Both knees of a patient in turn, the first by the patient's number: no tie to the label.
    right=lambda population: (population.patient + population.ordinal) % 2.0,
    columns=lambda values, ordinal: {"visit": f"V{ordinal // 2:02d}"},
)
