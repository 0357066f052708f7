"""The projected family keeps the contract of families, with untrained features."""

from synthograph.features.taps import UNTRAINED
from synthograph.models.projected.family import Projected
from tests.models.contract import FamilyContract

ADAM = {"lr": 0.02, "eps": 0.1}
SMALL = {
    "channel_base": 32,
    "channel_max": 4,
    "z_dim": 4,
    "w_dim": 4,
    "features": {"name": UNTRAINED, "strides": [4, 8], "channels": [24, 40]},
    "feature_side": 32,
    "mixed_channels": 4,
    "head_channels": 4,
    "label_width": 4,
    "head_layers": 1,
    "norm_group": 2,
    "optimisers": {"G": ADAM, "D": ADAM},
}


class TestProjected(FamilyContract):
    kind = Projected()
    settings = {
        "model": SMALL,
        "training": {"kimg": 0.024, "batch": 8, "batch_gpu": 4},
    }
    rounding = 1e-6
