"""DINOv2 vision transformers: the class token after the last normalisation.

Source: Oquab et al. 2023, "DINOv2: Learning Robust Visual Features without Supervision";
Dosovitskiy et al. 2021 for the transformer; Stein et al. 2023, "Exposing flaws of generative model
evaluation metrics", for the use in measures (there ViT-L/14).
"""

from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import interpolate, scaled_dot_product_attention

from synthograph.features.base import FeatureNetwork, NetworkRecipe, WeightFile
from synthograph.features.preprocess import Preprocess

# n image, t token, d width

SIDE, PATCH, HEAD = 224, 14, 64
TRAINED = 37
"""Patches along a side of the position table (518 pixels)."""
OFFSET = 0.1
"""Added to the number of patches in the published interpolation of positions."""
EPS = 1e-6


@dataclass(frozen=True)
class Size:
    """Width and depth of a transformer."""

    width: int
    depth: int


class Scale(nn.Module):
    """A learnt factor per feature (Touvron et al. 2021)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.empty(width))

    def forward(self, x: Float[Tensor, "n t d"]) -> Float[Tensor, "n t d"]:
        """The scaled features."""
        return x * self.gamma


class Attention(nn.Module):
    """Every token looks at every other one."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Float[Tensor, "n t d"]) -> Float[Tensor, "n t d"]:
        """The mixed tokens."""
        parts = self.qkv(x).unflatten(2, (3, -1, HEAD)).permute(2, 0, 3, 1, 4)
        mixed = scaled_dot_product_attention(parts[0], parts[1], parts[2])
        return self.proj(mixed.transpose(1, 2).flatten(2))


class TransformerBlock(nn.Module):
    """Attention and a two-layer network, each normalised before and added after."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width, EPS), nn.LayerNorm(width, EPS)
        self.attn = Attention(width)
        self.ls1, self.ls2 = Scale(width), Scale(width)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width)})
        self.mlp["fc2"] = nn.Linear(4 * width, width)

    def forward(self, x: Float[Tensor, "n t d"]) -> Float[Tensor, "n t d"]:
        """The next tokens."""
        x = x + self.ls1(self.attn(self.norm1(x)))
        inner = nn.functional.gelu(self.mlp["fc1"](self.norm2(x)))
        return x + self.ls2(self.mlp["fc2"](inner))


class Transformer(FeatureNetwork):
    """Inputs [n, 3, u, v], sides multiples of 14, to the class token."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.dims = width = size.width
        self.cls_token = nn.Parameter(torch.empty(1, 1, width))
        self.pos_embed = nn.Parameter(torch.empty(1, 1 + TRAINED**2, width))
        self.mask_token = nn.Parameter(torch.empty(1, width))  # in the files, for training only
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, PATCH, PATCH)})
        self.blocks = nn.ModuleList(TransformerBlock(width) for _ in range(size.depth))
        self.norm = nn.LayerNorm(width, EPS)

    def forward(self, x: Float[Tensor, "n 3 h w"]) -> Float[Tensor, "n d"]:
        """The features."""
        patches = self.patch_embed["proj"](x)
        tokens = patches.flatten(2).transpose(1, 2)
        first = self.cls_token.expand(len(x), -1, -1)
        x = torch.cat((first, tokens), dim=1) + self._positions(*patches.shape[2:])
        for block in self.blocks:
            x = block(x)
        normalised: Tensor = self.norm(x)
        return normalised[:, 0]

    def _positions(self, height: int, width: int) -> Float[Tensor, "1 t d"]:
        """The table of positions for so many patches, by bicubic interpolation as published."""
        if height == width == TRAINED:
            return self.pos_embed
        grid = self.pos_embed[:, 1:].unflatten(1, (TRAINED, TRAINED)).permute(0, 3, 1, 2)
        factors = ((height + OFFSET) / TRAINED, (width + OFFSET) / TRAINED)
        grid = interpolate(grid.float(), scale_factor=factors, mode="bicubic")
        places = grid.flatten(2).transpose(1, 2)
        return torch.cat((self.pos_embed[:, :1], places.to(self.pos_embed.dtype)), dim=1)


SIZES = {"dinov2-s": Size(384, 12), "dinov2-b": Size(768, 12), "dinov2": Size(1024, 24)}
"""`dinov2` is the one of Stein et al.; the others cost less."""
_HOST = "https://dl.fbaipublicfiles.com/dinov2"


def _recipe(name: str, letter: str, size: int, sha256: str) -> NetworkRecipe:
    stem = f"dinov2_vit{letter}14"
    weights = WeightFile(
        name=name,
        file=f"{stem}_pretrain.pth",
        address=f"{_HOST}/{stem}/{stem}_pretrain.pth",
        licence="Apache-2.0",
        size=size,
        sha256=sha256,
        build=partial(Transformer, SIZES[name]),
    )
    source = f"DINOv2 ViT-{letter.upper()}/14, class token (Oquab et al. 2023)"
    return NetworkRecipe(name, Preprocess(SIDE), source, weights)


_SMALL = "b938bf1bc15cd2ec0feacfe3a1bb553fe8ea9ca46a7e1d8d00217f29aef60cd9"
_BASE = "0b8b82f85de91b424aded121c7e1dcc2b7bc6d0adeea651bf73a13307fad8c73"
_LARGE = "d5383ea8f4877b2472eb973e0fd72d557c7da5d3611bd527ceeb1d7162cbf428"
RECIPES = (
    _recipe("dinov2-s", "s", 88_283_115, _SMALL),
    _recipe("dinov2-b", "b", 346_378_731, _BASE),
    _recipe("dinov2", "l", 1_217_586_395, _LARGE),
)
