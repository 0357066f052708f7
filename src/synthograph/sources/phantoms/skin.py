"""Skin phantom: dermoscopy-like pictures of pigmented lesions, benign or melanoma.

The factors of the score are those of the ABCD rule of dermoscopy (Stolz et al. 1994): asymmetry,
border, colours, and the diameter that clinicians add. Pigment darkens skin by absorption,
exp(-amount x absorption), so that a lesion on dark skin is darker; blue-grey, red and white areas
scatter and are painted over it. The field is 14 mm wide.
"""

import numpy as np

from synthograph.core.record import DecodedImage
from synthograph.sources.phantoms.anatomy import Anatomy, Scene
from synthograph.sources.phantoms.camera import Camera
from synthograph.sources.phantoms.drawing import Colour, between, paint, plane, soft, turned
from synthograph.sources.phantoms.labels import Confounder, Factor

FIELD_MM = 14.0

FACTORS = (
    Factor("diameter", 2.5, 11.5, "mean diameter of the lesion in mm", weight=0.5),
    Factor("asymmetry", 0.0, 1.0, "shape and colour off a common axis, 0 none to 1", weight=0.5),
    Factor("border", 0.0, 1.0, "irregularity of the border, 0 smooth to 1 ragged", weight=0.5),
    Factor("colour", 0.0, 1.0, "variegation: 0 one, 1 all six colours of the rule", weight=0.6),
    Factor("skin_tone", 0.0, 1.0, "tone of the patient's skin, 0 light to 1 dark", share=1.0),
    Factor("redness", 0.0, 1.0, "redness of the patient's skin, 0 pale to 1 red", share=1.0),
    Factor("pigment", 0.0, 1.0, "pigment of all lesions, 0 light to 1 dark brown", share=1.0),
)
PLACEMENT = (
    Factor("centre_x", -0.12, 0.12, "lesion right of the centre, part of the field", share=0.0),
    Factor("centre_y", -0.12, 0.12, "lesion below the centre, part of the field", share=0.0),
    Factor("angle", 0.0, 360.0, "direction of the lesion's long axis in degrees", share=0.0),
)

CONFOUNDERS = (
    Confounder("hair", offset=0.1, gain=1.0),  # half of all pictures have some
    Confounder("vignette", offset=0.1, gain=0.5, limit=0.95),
)
SITE_A = Camera(vignette=0.08)
SITE_B = Camera(
    gains=(0.90, 1.0, 1.16),
    contrast=0.86,
    gamma=1.14,
    blur=7.0,
    vignette=0.45,
    zoom=1.18,
    noise=0.02,
)

TONES = ((0.93, 0.77, 0.70), (0.88, 0.69, 0.59), (0.77, 0.56, 0.44), (0.60, 0.41, 0.31))
MELANIN = (0.62, 1.05, 1.32)
BLACK = (0.10, 0.07, 0.07)
RED = (0.72, 0.27, 0.27)
BLUE_GREY = (0.33, 0.38, 0.49)
WHITE = (0.87, 0.74, 0.72)
HAIR = (0.13, 0.09, 0.07)
# Opacity of dark brown, black, blue-grey, red and white areas: the brown shines through veils.
SHARE_OF = (0.9, 1.0, 0.9, 0.75, 0.75)
MAX_COLOURS = 6
MAX_HAIRS = 48
HAIRS = 7.0


def render(scene: Scene) -> DecodedImage:
    """Modality `image` uint8 [size, size, 3] and the mask (1 lesion)."""
    values, canvas = scene.values, scene.canvas
    skin = _skin(scene)
    depth, x, y = _depth(scene)
    image = _hairs(_lesion(skin, depth, (x, y), scene), scene)
    image = scene.camera.expose(canvas.shrink(image), vignette=values["vignette"])
    mask = canvas.shrink_mask([depth > 0])
    return DecodedImage({"image": scene.camera.digitise(image, scene.generator)}, mask)


def _skin(scene: Scene) -> np.ndarray:
    """Bare skin [3, h, w]: tone, blotches, fine furrows and uneven light."""
    canvas, redness = scene.canvas, scene.values["redness"]
    tone = between(TONES, scene.values["skin_tone"])
    tone *= np.array([1.02, 1 - 0.10 * redness, 1 - 0.08 * redness])
    blotch, light = canvas.noise(scene.generator, cells=4, octaves=2, fields=2)
    furrow = canvas.noise(scene.generator, cells=30)[0]
    slope = scene.generator.normal(0, 0.03, 2).astype(np.float32)
    shade = 1 + 0.018 * light + 0.022 * furrow + slope[0] * canvas.x + slope[1] * canvas.y
    red = np.stack([0.006 * blotch, -0.020 * blotch, -0.016 * blotch])
    return (plane(tone) + red) * shade


def _depth(scene: Scene) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Distance inside the border in half fields, and coordinates in units of the radius."""
    values, canvas, generator = scene.values, scene.canvas, scene.generator
    radius = values["diameter"] / FIELD_MM
    angle = np.deg2rad(values["angle"])
    x, y = turned(canvas.x - 2 * values["centre_x"], canvas.y - 2 * values["centre_y"], angle)
    shape = _contour(values["asymmetry"], values["border"], generator)
    distance = np.sqrt(x * x + y * y)
    place = (np.arctan2(y, x) + np.float32(np.pi)) * np.float32((len(shape) - 1) / (2 * np.pi))
    reach = shape[place.astype(np.int32)] * np.float32(radius)
    # Amplitude grows with the radius, but less, so that small lesions do not turn into stars.
    scale = np.sqrt(radius * 0.5)
    rough = canvas.noise(generator, cells=12, octaves=3, fading=0.75)[0]
    ragged = np.float32(scale * (0.008 + 0.065 * values["border"])) * rough
    return reach - distance + ragged, x / radius, y / radius


def _contour(asymmetry: float, border: float, generator: np.random.Generator) -> np.ndarray:
    """Radius of the border over one turn, mean square 1: asymmetry by lobes, border by notches."""
    theta = np.linspace(-np.pi, np.pi, 721)
    phases = generator.uniform(0, 2 * np.pi, 16)
    sizes = generator.uniform(0.6, 1.0, 16)
    shape = 1 + 0.07 * np.cos(2 * theta)
    for order, size in ((1, 0.20), (2, 0.16), (3, 0.15)):
        shape += asymmetry * size * sizes[order] * np.cos(order * theta + phases[order])
    notches = np.arange(5, 13)[:, None]
    waves = np.cos(notches * theta + phases[5:13, None])
    shape += border * 0.10 * np.sum(np.sqrt(5 / notches) * sizes[5:13, None] ** 3 * waves, axis=0)
    shape = np.clip(shape, 0.2, None)
    return (shape / np.sqrt(np.mean(shape**2))).astype(np.float32)


def _lesion(
    skin: np.ndarray, depth: np.ndarray, place: tuple[np.ndarray, np.ndarray], scene: Scene
) -> np.ndarray:
    """The skin with the lesion in it."""
    values, canvas, generator = scene.values, scene.canvas, scene.generator
    variegation, asymmetry = values["colour"], values["asymmetry"]
    opacity = soft(depth + 0.02, 0.15 - 0.06 * values["border"])
    cloud = canvas.noise(generator, cells=5, octaves=3, fading=0.7)[0]
    x, y = place
    direction = generator.uniform(0, 2 * np.pi)
    slope = x * np.float32(np.cos(direction)) + y * np.float32(np.sin(direction))
    centre = np.exp(-1.2 * (x * x + y * y))
    amount = 0.50 + 0.55 * values["pigment"] + 0.28 * centre
    amount = amount + np.float32(0.09 + 0.22 * variegation) * cloud
    amount += np.float32(0.45 * asymmetry * variegation) * np.clip(slope, -1, 1)
    mesh = _network(scene) * (1 - 0.5 * centre)
    absorbed = np.clip(amount + np.float32(0.12) * mesh, 0.08, None) * opacity
    image = skin * np.exp(-absorbed * plane(MELANIN))
    image = _patches(image, opacity, slope, scene)
    return image * (1 - np.float32(0.09) * (mesh + 0.8 * cloud) * opacity)


def _network(scene: Scene) -> np.ndarray:
    """Pigment network: dark meshes about 0.6 mm wide, from the zero lines of two noise fields."""
    fields = scene.canvas.noise(scene.generator, cells=22, fields=2)
    return 1 - 2.2 * np.minimum(np.abs(fields[0]), np.abs(fields[1]) + 0.1)


def _colours(variegation: float) -> int:
    """Number of colours, 1 to 6 (the C of the ABCD rule), at a variegation of 0 to 1."""
    return min(1 + int(variegation * MAX_COLOURS), MAX_COLOURS)


def _patches(image: np.ndarray, opacity: np.ndarray, slope: np.ndarray, scene: Scene) -> np.ndarray:
    """Areas of further colours: one fewer than there are, as the brown below counts as one."""
    values, generator = scene.values, scene.generator
    sides = generator.choice([-1.0, 1.0], MAX_COLOURS - 1)
    wanted = _colours(values["colour"]) - 1
    if wanted == 0:
        return image
    # Dark brown and black first, white (regression) last, as often as melanomas show them.
    order = [0, *generator.permutation([1, 2, 3]), 4]
    brown = image * np.exp(-plane(MELANIN) * np.float32(0.9))
    palette: tuple[Colour | np.ndarray, ...] = (brown, BLACK, BLUE_GREY, RED, WHITE)
    strength = np.float32(0.45 + 0.40 * values["colour"])
    fields = scene.canvas.noise(generator, cells=4, octaves=3, fields=wanted, fading=0.65)
    for field, number in zip(fields, order, strict=False):
        lean = np.float32(sides[number] * 0.9 * values["asymmetry"]) * slope
        rare = 0.45 if number < 2 else 0.8
        alpha = soft(field + lean - rare, 1.5) * opacity * strength * SHARE_OF[number]
        image = paint(image, palette[number], alpha)
    return image


def _hairs(image: np.ndarray, scene: Scene) -> np.ndarray:
    """Hairs as parabolas, roughly combed in one direction; a strength of 1 is about seven."""
    strength, canvas, generator = scene.values["hair"], scene.canvas, scene.generator
    count = min(int(np.ceil(HAIRS * strength)), MAX_HAIRS) if strength > 0 else 0
    comb = generator.uniform(0, np.pi)
    draws = generator.standard_normal((MAX_HAIRS, 5)).astype(np.float32)
    cover = np.zeros((canvas.side, canvas.side), dtype=np.float32)
    for turn, offset, start, bend, thick in draws[:count]:
        u, v = turned(canvas.x, canvas.y, comb + 0.45 * turn)
        curve = 0.55 * offset + 0.22 * bend * u * u
        width = 0.011 + 0.004 * float(np.clip(thick, -1, 2))
        near = np.clip((width - np.abs(v - curve)) / 0.012 + 0.5, 0, 1)
        ends = np.clip((0.95 - np.abs(u - 0.6 * start)) / 0.1, 0, 1)
        cover = np.maximum(cover, near * ends)
    return paint(image, HAIR, cover * np.float32(0.85))


SKIN = Anatomy(
    number=1,
    classes=("benign", "melanoma"),
    mask_classes=("background", "lesion"),
    factors=FACTORS,
    placement=PLACEMENT,
    confounders=CONFOUNDERS,
    cameras=(SITE_A, SITE_B),
    render=render,
    invariances=("mirror", "rotate"),
    columns=lambda values, ordinal: {"colours": str(_colours(values["colour"]))},
)
