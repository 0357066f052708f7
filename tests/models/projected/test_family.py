"""The projected family keeps the contract of families, with untrained features."""

from synthograph.core.spec import ImageSpec
from synthograph.features.taps import UNTRAINED
from synthograph.models.config import FrozenFeatures
from synthograph.models.projected.config import ProjectedConfig
from synthograph.models.projected.family import Projected
from synthograph.training.presets import resolve
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


def test_settings_of_one_optimiser_leave_the_other_and_the_rest() -> None:
    spec = ImageSpec(height=32, width=32, modalities={"image": 3})
    for change in ({"G": {"lr": 0.002}}, {"D": {"beta1": 0.5}}):
        parts = [{"data": {"path": "x.zip"}, "model": {"optimisers": change}}]
        made = resolve(spec, "tiny-projected", parts).model.optimisers
        plain = resolve(spec, "tiny-projected", [parts[0] | {"model": {}}]).model.optimisers
        (key,) = change
        assert made == {**plain, key: plain[key].model_copy(update=change[key])}


def test_what_was_found_of_one_frozen_network_says_nothing_of_another() -> None:
    """Its hash would refuse the other one; strides and channels are of the first."""
    found = FrozenFeatures(strides=[4], channels=[3], sha256="0" * 64)
    config, old = ProjectedConfig(features=found), found.model_dump(mode="json")
    other_settings = ({"features": None}, {"features": {"strides": [8]}})
    same_name: dict[str, object] = {"features": {"name": old["name"]}}
    for asked in (None, {}, *other_settings, same_name):
        assert Projected().inherited_settings(config, asked)["features"] == old
    other = {"features": {"name": UNTRAINED}}
    fresh = FrozenFeatures.parse(Projected().inherited_settings(config, other)["features"])
    assert (fresh.strides, fresh.channels, fresh.sha256) == (None, None, None)


def test_another_mode_of_augmentation_does_not_take_the_strength_of_the_preset() -> None:
    spec = ImageSpec(height=32, width=32, modalities={"image": 3})

    def made(**augment: object) -> tuple[str, float | None]:
        parts = [{"data": {"path": "x.zip"}, "augment": augment}]
        found = resolve(spec, "tiny-projected", parts).augment
        return str(found.mode), found.p

    assert made() == made(mode="fixed") == ("fixed", 1.0)
    assert made(mode="none") == ("none", None) and made(mode="ada") == ("ada", None)
    assert made(mode="ada", p=0.3) == ("ada", 0.3) and made(p=0.5) == ("fixed", 0.5)
