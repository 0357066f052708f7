"""StyleGAN2 keeps the contract of families."""

from synthograph.models.stylegan2.family import StyleGAN2
from tests.models.contract import FamilyContract

ADAM = {"lr": 0.02, "eps": 0.1}


class TestStyleGAN2(FamilyContract):
    kind = StyleGAN2()
    settings = {
        "model": {
            "channel_base": 32,
            "channel_max": 4,
            "z_dim": 4,
            "w_dim": 4,
            "path_weight": 2.0,
            "mbstd_group": 2,
            "r1_interval": 3,
            "path_interval": 2,
            "optimisers": {"G": ADAM, "D": ADAM},
        },
        "training": {"kimg": 0.032, "batch": 8, "batch_gpu": 4},
    }


class TestSpread(FamilyContract):
    """With the spread loss."""

    kind = StyleGAN2()
    settings = {
        "model": {
            "channel_base": 32,
            "channel_max": 4,
            "z_dim": 4,
            "w_dim": 4,
            "path_weight": 0.0,
            "mbstd_group": 2,
            "r1_interval": 3,
            "spread_weight": 5.0,
            "optimisers": {"G": ADAM, "D": ADAM},
        },
        "training": {"kimg": 0.024, "batch": 8, "batch_gpu": 4},
    }
