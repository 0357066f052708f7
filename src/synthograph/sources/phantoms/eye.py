"""Eye phantom: registered pictures in visible light and near infrared, left or right eye.

The tear duct (caruncle), the lower inner corner, the thick end of the brow and the shade of the
nose lie on the nose's side: image right for a right eye, image left for a left eye. Melanin hides
the iris's texture in visible light; in near infrared it hardly absorbs, and every iris shows its
texture (Daugman 2004; Boyce et al. 2006).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from synthograph.core.record import DecodedImage
from synthograph.sources.phantoms.anatomy import Anatomy, Scene
from synthograph.sources.phantoms.camera import Camera
from synthograph.sources.phantoms.drawing import (
    Colour,
    between,
    ellipse,
    paint,
    plane,
    ring_noise,
    soft,
)
from synthograph.sources.phantoms.labels import Confounder, Factor

FACTORS = (
    Factor("iris_hue", 0.0, 1.0, "colour of the stroma, 0 blue to 1 green-hazel", share=1.0),
    Factor("melanin", 0.0, 1.0, "melanin of the iris, 0 none to 1 dark brown", share=1.0),
    Factor("pupil_size", 0.24, 0.62, "radius of the pupil over that of the iris", share=0.3),
    Factor("opening", 0.70, 1.05, "opening of the lids, 1 wide", share=0.5),
    Factor("skin_tone", 0.0, 1.0, "tone of the patient's skin, 0 light to 1 dark", share=1.0),
)
PLACEMENT = (
    Factor("gaze_x", -0.16, 0.16, "gaze to the image's right, part of half the field", share=0.0),
    Factor("gaze_y", -0.05, 0.07, "gaze downwards, part of half the field", share=0.0),
)

CONFOUNDERS = (
    Confounder("lashes", offset=0.8, gain=0.6),
    Confounder("vignette", offset=0.8, gain=0.25, limit=0.95),
)
SITE_A = Camera(vignette=0.05)
SITE_B = Camera(
    gains=(1.10, 0.99, 0.86),
    contrast=0.88,
    gamma=1.15,
    blur=6.0,
    vignette=0.35,
    zoom=1.15,
    noise=0.022,
)

TONES = ((0.90, 0.72, 0.63), (0.82, 0.62, 0.50), (0.68, 0.47, 0.36), (0.45, 0.30, 0.23))
SCLERA = (0.90, 0.88, 0.86)
BLUE_IRIS = (0.45, 0.61, 0.76)
HAZEL_IRIS = (0.52, 0.55, 0.33)
BROWN_IRIS = (0.27, 0.14, 0.07)
CARUNCLE = (0.82, 0.48, 0.45)
HAIR = (0.12, 0.085, 0.07)
IRIS_RADIUS = 0.33
HALF_WIDTH = 0.80
CENTRE_Y = 0.12
TABLE = (64, 512)


@dataclass(frozen=True, slots=True)
class Layers:
    """Geometry of one eye on the canvas; distances are positive inside.

    Attributes:
        nose: coordinate towards the nose [1, w].
        lids: distance inside the opening of the lids [h, w].
        upper: height above the edge of the upper lid [h, w].
        iris: distance inside the iris [h, w].
        pupil: distance inside the pupil [h, w].
        fibres: texture of the iris, mean 0, standard deviation 1 [h, w].
        gaze: centre of iris and pupil.
    """

    nose: np.ndarray
    lids: np.ndarray
    upper: np.ndarray
    iris: np.ndarray
    pupil: np.ndarray
    fibres: np.ndarray
    gaze: tuple[float, float]


def render(scene: Scene) -> DecodedImage:
    """Modalities `vis` uint8 [size, size, 3] and `nir` uint8 [size, size, 1], and the mask (1
    sclera, 2 iris, 3 pupil).
    """
    values, canvas, camera, generator = scene.values, scene.canvas, scene.camera, scene.generator
    layers = _layers(scene)
    rough, fine = canvas.noise(generator, cells=10, octaves=3, fields=2, fading=0.7)
    lashes, brow = _lashes(layers, scene), _brow(layers, scene)
    shade = _shade(layers, canvas.y) * (1 + 0.02 * rough)
    visible = _visible(values, layers, fine) * shade
    infrared = _infrared(values, layers, fine) * (0.3 + 0.7 * shade)
    visible = paint(paint(visible, HAIR, 0.85 * brow), HAIR, lashes)
    infrared = paint(paint(infrared, 0.30, 0.6 * brow), 0.14, lashes)
    visible, infrared = _glints(visible, infrared, layers, scene)
    both = canvas.shrink(np.concatenate([visible, infrared]))
    # The same optics with the infrared sensor; its gain is the mean of the three colours'.
    grey = replace(camera, gains=(float(np.mean(camera.gains)),))
    exposed = [
        camera.expose(both[:3], vignette=values["vignette"]),
        grey.expose(both[3:], vignette=values["vignette"]),
    ]
    pixels = camera.digitise(np.concatenate(exposed), generator)
    open_, iris, pupil = layers.lids > 0, layers.iris > 0, layers.pupil > 0
    mask = canvas.shrink_mask([open_ & ~iris, open_ & iris & ~pupil, open_ & pupil])
    vis, nir = np.ascontiguousarray(pixels[..., :3]), np.ascontiguousarray(pixels[..., 3:])
    return DecodedImage({"vis": vis, "nir": nir}, mask)


def _layers(scene: Scene) -> Layers:
    values, canvas = scene.values, scene.canvas
    nose = canvas.x if values["right"] > 0.5 else -canvas.x
    u = np.clip(nose / HALF_WIDTH, -1.25, 1.25)
    y = canvas.y - CENTRE_Y - 0.07 * u
    bow = np.clip(1 - u * u, 0, None)
    # The nose's corner runs out into a narrow slit, which holds the caruncle.
    slit = 0.045 * np.clip(1 - ((u - 0.97) / 0.20) ** 2, 0, None)
    above = -values["opening"] * 0.47 * bow * (1 + 0.22 * u) - slit
    below = (0.16 + 0.12 * values["opening"]) * bow * (1 - 0.25 * u) + slit
    lids = np.minimum(y - above, below - y)
    lids = np.where(above < below - 1e-4, lids, np.float32(-0.2)).astype(np.float32)
    gaze = (values["gaze_x"], CENTRE_Y - 0.06 + values["gaze_y"])
    x, y_iris = canvas.x - gaze[0], canvas.y - gaze[1]
    distance = np.sqrt(x * x + y_iris * y_iris)
    pupil_radius = np.float32(IRIS_RADIUS * values["pupil_size"])
    place = (distance - pupil_radius) / (IRIS_RADIUS - pupil_radius)
    fibres = _fibres(place, np.arctan2(y_iris, x), scene.generator)
    return Layers(
        nose=nose,
        lids=lids,
        upper=(above - y).astype(np.float32),
        iris=(IRIS_RADIUS - distance).astype(np.float32),
        pupil=(pupil_radius - distance).astype(np.float32),
        fibres=fibres,
        gaze=gaze,
    )


def _fibres(place: np.ndarray, angle: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Radial fibres and a brighter collarette; `place` is 0 at the pupil, 1 at the outer rim."""
    fine = ring_noise(generator, angles=96, radii=3, samples=TABLE)
    coarse = ring_noise(generator, angles=28, radii=4, samples=TABLE)
    out = np.linspace(0, 1, TABLE[0])[:, None]
    collarette = np.exp(-(((out - 0.32) / 0.09) ** 2)) - 0.25
    table = (0.65 * fine + 0.55 * coarse + 0.9 * collarette).astype(np.float32)
    row = (np.clip(place, 0, 1) * (TABLE[0] - 1)).astype(np.int32)
    column = ((angle + np.pi) * (TABLE[1] / (2 * np.pi))).astype(np.int32) % TABLE[1]
    return table[row, column]


def _shade(layers: Layers, y: np.ndarray) -> np.ndarray:
    """Light and shade of the face: the nose's side, the socket, the lid's crease, the cheek."""
    nose = 1 - 0.38 * soft(layers.nose - 0.86, 0.42) + 0.06 * soft(-layers.nose - 0.5, 0.8)
    crease = np.exp(-(((layers.upper - 0.13) / 0.035) ** 2)) * soft(0.95 - np.abs(layers.nose), 0.4)
    socket = 0.10 * np.exp(-(((y + 0.42) / 0.22) ** 2))
    bag = np.exp(-(((y - 0.55 - 0.05 * layers.nose) / 0.10) ** 2)) * 0.06
    rim = 0.25 * np.exp(-(((layers.lids + 0.02) / 0.035) ** 2))
    shadow = 0.40 * soft(0.04 + layers.upper, 0.24) * (layers.lids > 0)
    outside = 1 - 0.20 * crease - socket - bag
    return (nose * np.where(layers.lids > 0, 1 - shadow, outside - rim)).astype(np.float32)


def _visible(values: Mapping[str, float], layers: Layers, fine: np.ndarray) -> np.ndarray:
    """The eye in visible light [3, h, w], before light and hair."""
    skin = plane(between(TONES, values["skin_tone"])) * (1 + 0.018 * fine)
    red = soft(np.abs(layers.nose) - 0.42, 0.5) * (0.06 + 0.03 * fine)
    sclera = plane(SCLERA) - np.stack([0.15 * red, red, red])
    melanin, hue = values["melanin"], values["iris_hue"]
    stroma = np.asarray(BLUE_IRIS) * (1 - hue) + np.asarray(HAZEL_IRIS) * hue
    # Melanin absorbs: colour and texture of the stroma disappear together.
    colour = stroma ** (1 - 0.4 * melanin) * (1 - melanin) + np.asarray(BROWN_IRIS) * melanin
    contrast = 0.20 * (1 - melanin) ** 1.5 + 0.03
    ring = 1 - 0.55 * soft(0.035 - layers.iris, 0.06)
    iris = plane(colour) * (1 + contrast * layers.fibres) * ring
    return _eye(skin, sclera, CARUNCLE, iris, (0.025, 0.02, 0.02), layers)


def _infrared(values: Mapping[str, float], layers: Layers, fine: np.ndarray) -> np.ndarray:
    """The eye in near infrared [1, h, w]: skin bright, iris textured whatever its colour."""
    skin = np.float32(0.80 - 0.10 * values["skin_tone"]) * (1 + 0.015 * fine)[None]
    ring = 1 - 0.22 * soft(0.03 - layers.iris, 0.06)
    iris = ((0.46 - 0.05 * values["melanin"]) + 0.075 * layers.fibres) * ring
    return _eye(skin, 0.66, 0.58, iris, 0.05, layers)


def _eye(
    skin: np.ndarray,
    sclera: np.ndarray | float,
    caruncle: Colour | float,
    iris: np.ndarray,
    pupil: Colour | float,
    layers: Layers,
) -> np.ndarray:
    """The parts of the eye over the skin [channels, h, w]."""
    opened = soft(layers.lids, 0.03)
    corner = soft(layers.nose - 0.68, 0.14) * soft(layers.lids + 0.01, 0.03)
    image = paint(paint(skin, sclera, opened), caruncle, 0.9 * corner)
    image = paint(image, iris, soft(layers.iris, 0.03) * opened)
    return paint(image, pupil, soft(layers.pupil, 0.025) * opened)


def _lashes(layers: Layers, scene: Scene) -> np.ndarray:
    """Opacity of the lashes [h, w]: the lid's edge, and hairs that fan outwards above it."""
    jitter = scene.canvas.noise(scene.generator, cells=9)[0]
    across = layers.nose / HALF_WIDTH
    fan = across * (1 + 0.55 * layers.upper)
    hairs = np.abs(np.sin(fan * np.float32(42.0) + 1.3 * jitter))
    length = np.float32(0.17) * np.clip(1 - across**4, 0, None) * (1 - 0.35 * across)
    reach = layers.upper / np.clip(length, 0.02, None)
    body = soft(hairs - 0.45 - 0.5 * reach, 0.35) * (layers.upper > -0.015) * (reach < 1)
    inner = np.abs(across) < 0.98
    edge = np.exp(-(((layers.upper + 0.003) / 0.016) ** 2))
    cover = np.maximum(body * min(scene.values["lashes"], 1.0), 0.75 * edge) * inner
    return np.clip(cover, 0, 0.9).astype(np.float32)


def _brow(layers: Layers, scene: Scene) -> np.ndarray:
    """Opacity of the brow [h, w]: thick at the nose, thin at the temple."""
    hairs = scene.canvas.noise(scene.generator, cells=40)[0]
    middle = -0.74 + 0.16 * (layers.nose + 0.15) ** 2 - 0.04 * layers.nose
    thick = np.clip(0.085 + 0.065 * layers.nose, 0.015, None)
    inside = soft(1 - np.abs(scene.canvas.y - middle) / thick, 1.1) * soft(0.88 - layers.nose, 0.3)
    cover = np.clip(inside * (0.90 + 0.13 * hairs), 0, 1) * soft(layers.nose + 0.9, 0.3)
    return cover.astype(np.float32)


def _glints(
    visible: np.ndarray, infrared: np.ndarray, layers: Layers, scene: Scene
) -> tuple[np.ndarray, np.ndarray]:
    """Reflections on the cornea: one lamp in visible light, two diodes in infrared."""
    opened = soft(layers.lids, 0.03)
    x, y = scene.canvas.x - layers.gaze[0], scene.canvas.y - layers.gaze[1]
    lamp = ellipse(x, y, centre=(-0.10, -0.10), radii=(0.050, 0.062))
    visible = paint(visible, 1.0, 0.95 * soft(lamp, 0.03) * opened)
    for side in (-0.07, 0.07):
        diode = ellipse(x, y, centre=(side, 0.05), radii=(0.034, 0.034))
        infrared = paint(infrared, 1.0, 0.95 * soft(diode, 0.03) * opened)
    return visible, infrared


EYE = Anatomy(
    number=2,
    classes=("left", "right"),
    mask_classes=("background", "sclera", "iris", "pupil"),
    factors=FACTORS,
    placement=PLACEMENT,
    confounders=CONFOUNDERS,
    cameras=(SITE_A, SITE_B),
    render=render,
    right=lambda population: population.positive.astype(float),
)
