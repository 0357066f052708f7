"""Between network range and stored pixels, and small images."""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d


def to_pixels(images: Float[Tensor, "n c h w"], bits: int) -> np.ndarray:
    """Images in [-1, 1] as stored pixels, NCHW, uint8 or uint16.

    The value x becomes floor(x * 127.5 + 128), clamped to 0 ... 255, as published; 16-bit images
    likewise with 32767.5.
    """
    half = 2.0 ** (bits - 1)
    scaled = (images.detach().double() * (half - 0.5) + half).clamp(0, 2.0**bits - 1)
    dtype = np.uint8 if bits == 8 else np.uint16
    return scaled.to(torch.int32).cpu().numpy().astype(dtype)


def reduced(
    images: Float[Tensor, "n c h w"], longest: int, shortest: int = 1
) -> Float[Tensor, "n c hh ww"]:
    """Means over areas, so that the longer side has at most so many pixels; the other one keeps its
    share of it, but at least `shortest` pixels.
    """
    longer = max(images.shape[2:])
    if longer <= longest:
        return images
    height, width = (max(shortest, round(side * longest / longer)) for side in images.shape[2:])
    return adaptive_avg_pool2d(images, (height, width))
