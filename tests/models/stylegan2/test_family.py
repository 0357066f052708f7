"""StyleGAN2 keeps the contract of families."""

from synthograph.models.stylegan2.family import StyleGAN2
from tests.models.contract import FamilyContract

ADAM = {"lr": 0.02, "eps": 0.1}
SMALL = {
    "channel_base": 32,
    "channel_max": 4,
    "z_dim": 4,
    "w_dim": 4,
    "mbstd_group": 2,
    "r1_interval": 3,
    "optimisers": {"G": ADAM, "D": ADAM},
}


class TestStyleGAN2(FamilyContract):
    kind = StyleGAN2()
    settings = {
        "model": {**SMALL, "path_weight": 2.0, "path_interval": 2},
        "training": {"kimg": 0.032, "batch": 8, "batch_gpu": 4},
    }


class TestSpread(FamilyContract):
    """With the spread loss."""

    kind = StyleGAN2()
    settings = {
        "model": {**SMALL, "path_weight": 0.0, "spread_weight": 5.0},
        "training": {"kimg": 0.024, "batch": 8, "batch_gpu": 4},
    }
