"""Where a classifier looks: Grad-CAM (Selvaraju et al. 2017, equations 1 and 2).

All classifiers here are means over the last maps of a network and a linear layer. The gradient of a
class by a map is then the layer's weight, the same everywhere, so no backward pass is needed.
Logits that all rise together change no probability: the layer's mean over classes is taken off.
"""

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn.functional import interpolate

from synthograph.core.errors import UserError
from synthograph.downstream.classifier import Classifier, TrainedExtractor
from synthograph.features.base import Extractor, NetworkExtractor
from synthograph.features.efficientnet_lite import EfficientNetLite

# n image, d map, u v its sides


def saliency(
    model: Classifier, extractor: Extractor, images: Tensor, classes: Int64[Tensor, " n"]
) -> Float[Tensor, "n h w"]:
    """How much each place speaks for a class, from 0 to 1, where it speaks most; all 0 where
    nothing does.

    Args:
        model: the classifier.
        extractor: what gives its features.
        images: uint8 or uint16 [n, c, h, w].
        classes: number of the class of every image.

    Raises:
        UserError: the features are no means over maps.
    """
    weights = (model.probe.weight / model.probe.scale).float()
    weights = (weights - weights.mean(0))[classes]
    heat = torch.einsum("nd,nduv->nuv", weights, last_maps(extractor, images)).clamp(min=0)
    heat = heat / heat.amax((1, 2), keepdim=True).clamp(min=1e-12)
    size = (images.shape[2], images.shape[3])
    return interpolate(heat[:, None], size, mode="bilinear", align_corners=False)[:, 0]


def last_maps(extractor: Extractor, images: Tensor) -> Float[Tensor, "n d u v"]:
    """The maps whose means are the features.

    Raises:
        UserError: there are none.
    """
    with torch.inference_mode():
        if isinstance(extractor, TrainedExtractor):
            whole = 255 if images.dtype == torch.uint8 else 65535
            return extractor.network.maps(images.to(extractor.device).float() / whole).float().cpu()
        if isinstance(extractor, NetworkExtractor):
            network, inputs = extractor.network, extractor.preprocess(images, extractor.device)
            if isinstance(network, EfficientNetLite):
                return torch.stack([network.maps(part) for part in inputs]).mean(0).cpu()
    raise UserError(
        f"features of {extractor.name} are no means over maps, so nothing tells where it looks: "
        "train with --backbone lite0, with or without --probe, or leave --pictures out"
    )
