"""Colour profiles: whether the numbers of an image mean something else than in sRGB."""

import io
from functools import lru_cache

import numpy as np
from PIL import Image, ImageCms

OTHER = "colour profile other than sRGB is not applied"
BROKEN = "colour profile could not be read and is not applied"
GAMMA = "gamma of the file is not applied"
_TOLERANCE = 4  # grey levels: profiles of sRGB by different makers differ by up to 3
_USUAL_GAMMA = 1 / 2.2


def profile_notes(image: Image.Image) -> tuple[str, ...]:
    """What was not applied to a decoded image: its profile, or the gamma of a PNG."""
    profile = image.info.get("icc_profile")
    if profile:
        return _profile_notes(bytes(profile), image.mode)
    gamma = image.info.get("gamma")
    odd = gamma is not None and "srgb" not in image.info and abs(gamma - _USUAL_GAMMA) > 0.05
    return (GAMMA,) if odd else ()


@lru_cache(maxsize=64)
def _profile_notes(profile: bytes, mode: str) -> tuple[str, ...]:
    """Take a set of colours to sRGB, and see whether one moves."""
    kind = {"L": "L", "LA": "L", "I;16": "L", "I": "L", "CMYK": "CMYK"}.get(mode, "RGB")
    if kind == "CMYK":
        return (OTHER,)
    steps = np.linspace(0, 255, 6).round().astype(np.uint8)
    if kind == "L":
        sample = Image.fromarray(steps[None])
    else:
        sample = Image.fromarray(np.stack(np.meshgrid(*[steps] * 3), -1).reshape(1, -1, 3))
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        target = ImageCms.createProfile("sRGB")
        intent = ImageCms.Intent.RELATIVE_COLORIMETRIC
        moved = ImageCms.profileToProfile(sample, source, target, intent, "RGB")
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return (BROKEN,)
    assert moved is not None, "the sample is not changed in place"
    before = np.asarray(sample.convert("RGB")).astype(int)
    far = np.abs(np.asarray(moved).astype(int) - before).max() > _TOLERANCE
    return (OTHER,) if far else ()
