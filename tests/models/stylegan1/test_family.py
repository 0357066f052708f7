"""StyleGAN with progressive growing keeps the contract of families, with both losses."""

from synthograph.models.stylegan1.family import StyleGAN1
from tests.models.contract import FamilyContract

ADAM = {"lr": 0.02, "eps": 0.1}
SMALL = {
    "channel_base": 32,
    "channel_max": 4,
    "z_dim": 4,
    "w_dim": 4,
    "mapping_layers": 2,
    "mbstd_group": 2,
    "start_dimension": None,
    "progressive_stage": 12,
    "batch_scale": {"4": 2, "8": 1},
    "optimisers": {"G": ADAM, "D": ADAM},
}


class TestWassersteinLoss(FamilyContract):
    """With the spread loss, from a size on that has no features to compare."""

    kind = StyleGAN1()
    settings = {
        "augment": {"mode": "fixed"},
        "model": {**SMALL, "loss": "wgan-gp", "r1_gamma": None, "spread_weight": 5.0},
        "training": {"kimg": 0.048, "batch": 4, "batch_gpu": 2},
    }


class TestLogisticLoss(FamilyContract):
    kind = StyleGAN1()
    settings = {
        "model": {**SMALL, "loss": "logistic", "style_mixing": 0.9, "spread_weight": 0.0},
        "training": {"kimg": 0.048, "batch": 4, "batch_gpu": 2},
    }
