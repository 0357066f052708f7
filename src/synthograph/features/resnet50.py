"""ResNet-50 with weights from three sources: ImageNet labels, SwAV, RadImageNet.

Source: He et al. 2016, "Deep Residual Learning for Image Recognition" (see `resnet.py`); Caron et
al. 2020 (SwAV); Mei et al. 2022 (RadImageNet).
"""

from synthograph.features.base import NetworkRecipe, WeightFile
from synthograph.features.preprocess import Preprocess
from synthograph.features.resnet import BlockPlan, Convolution, ResNet, ResNetShape

SIDE, DIMS = 224, 2048
STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))
"""Inner channels and blocks of each stage."""
WIDER = 4


def _plan() -> ResNetShape:
    """Shape of ResNet-50."""
    inputs, stages = 64, []
    for inner, count in STAGES:
        blocks, outputs = [], inner * WIDER
        for _ in range(count):
            shapes = (
                Convolution(inputs, inner, 1),
                Convolution(inner, inner, 3),
                Convolution(inner, outputs, 1),
            )
            around = None if inputs == outputs else Convolution(inputs, outputs, 1)
            blocks.append(BlockPlan(shapes, around))
            inputs = outputs
        stages.append(tuple(blocks))
    return ResNetShape(Convolution(3, 64, 7), tuple(stages))


class ResNet50(ResNet):
    """Inputs [n, 3, 224, 224] to the 2048 features before the classes."""

    def __init__(self) -> None:
        super().__init__(_plan())


_IMAGENET = WeightFile(
    name="resnet50",
    file="resnet50-0676ba61.pth",
    address="https://download.pytorch.org/models/resnet50-0676ba61.pth",
    licence="BSD-3-Clause (torchvision); ImageNet's own terms may hold for what is learnt from it",
    size=102_500_000,
    sha256="0676ba61",
    build=ResNet50,
    unused=("fc.",),
)
_SWAV = WeightFile(
    name="swav",
    file="swav_800ep_pretrain.pth.tar",
    address="https://dl.fbaipublicfiles.com/deepcluster/swav_800ep_pretrain.pth.tar",
    licence="CC BY-NC 4.0: not for commercial use",
    size=113_000_000,
    sha256=None,
    build=ResNet50,
    unused=("projection_head.", "prototypes."),
)
_RADIMAGENET = WeightFile(
    name="radimagenet",
    file="ResNet50.pt",
    address="https://huggingface.co/Lab-Rasool/RadImageNet/resolve/main/ResNet50.pt",
    licence="MIT as its mirror says; ask the authors of RadImageNet before other than research",
    size=94_300_000,
    sha256="08629f7e7bd3e29b8ee9522ca3f65ce4d010a7ddf74f0ea3c7e3f3d0bbab0734",
    build=ResNet50,
    unused=("fc.",),
    note="never judge by it alone: it agrees with experts less than general networks do",
)
_SOURCES = (
    (_IMAGENET, "ResNet-50 trained on ImageNet, last pool (He et al. 2016)"),
    (_SWAV, "ResNet-50 trained by SwAV, last pool (Caron et al. 2020)"),
    (
        _RADIMAGENET,
        "ResNet-50 trained on RadImageNet, last pool (Mei et al. 2022), with the normalisation of "
        "ImageNet",
    ),
)
RECIPES = tuple(
    NetworkRecipe(file.name, Preprocess(SIDE), source, file) for file, source in _SOURCES
)
