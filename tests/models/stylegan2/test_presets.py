"""Presets against the published table, field by field."""

import pytest

from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.models.registry import family, parse_model
from synthograph.models.stylegan2.presets import PRESETS, SHORT_KIMG, preset, within


def square(side: int) -> ImageSpec:
    return ImageSpec(height=side, width=side, modalities={"image": 3})


# name: kimg, batch, batch per GPU, mbstd, channel base, lr, gamma, EMA kimg, ramp, mapping layers
TABLE = {
    "stylegan2": (25000, 32, 4, 4, 32768, 0.002, 10, 10, None, 8),
    "paper256": (25000, 64, 8, 8, 16384, 0.0025, 1, 20, None, 8),
    "paper512": (25000, 64, 8, 8, 32768, 0.0025, 0.5, 20, None, 8),
    "paper1024": (25000, 32, 4, 4, 32768, 0.002, 2, 10, None, 8),
    "cifar": (100000, 64, 32, 32, 32768, 0.0025, 0.01, 500, 0.05, 2),
}
# side, GPUs: batch, gamma, EMA kimg, channel base, lr, mbstd
AUTO = {
    (32, 1): (32, 0.0064, 10, 16384, 0.0025, 4),
    (64, 8): (64, 0.0128, 20, 16384, 0.0025, 4),
    (128, 2): (64, 0.0512, 20, 16384, 0.0025, 4),
    (256, 1): (16, 0.8192, 5, 16384, 0.0025, 4),
    (256, 4): (64, 0.2048, 20, 16384, 0.0025, 4),
    (512, 1): (8, 6.5536, 2.5, 32768, 0.0025, 4),
    (1024, 1): (4, 52.4288, 1.25, 32768, 0.002, 4),
    (1024, 8): (32, 6.5536, 10, 32768, 0.002, 4),
}


@pytest.mark.parametrize("name", TABLE)
def test_published_table(name: str) -> None:
    kimg, batch, share, mbstd, base, lr, gamma, ema, ramp, layers = TABLE[name]
    tree = preset(name, square(256), gpus=1)
    model, training = tree["model"], tree["training"]
    assert (training["kimg"], training["batch"], training["batch_gpu"]) == (kimg, batch, share)
    assert (training["ema_kimg"], training["ema_ramp"]) == (ema, ramp)
    assert (model["mbstd_group"], model["channel_base"], model["channel_max"]) == (mbstd, base, 512)
    assert (model["r1_gamma"], model["mapping_layers"]) == (gamma, layers)
    for adam in model["optimisers"].values():
        assert adam == {"lr": lr, "beta1": 0.0, "beta2": 0.99, "eps": 1e-8}
    parsed = parse_model(model)
    cifar = name == "cifar"
    assert (parsed.path_weight, parsed.style_mixing) == ((0, 0) if cifar else (2, 0.9))
    assert parsed.discriminator_architecture == ("orig" if cifar else "resnet")
    assert tree["augment"]["mode"] == "ada"


@pytest.mark.parametrize(("side", "gpus"), AUTO)
def test_auto_formulas(side: int, gpus: int) -> None:
    batch, gamma, ema, base, lr, mbstd = AUTO[side, gpus]
    tree = preset("auto", square(side), gpus)
    model, training = tree["model"], tree["training"]
    assert (training["batch"], training["batch_gpu"]) == (batch, batch // gpus)
    assert (training["kimg"], training["ema_kimg"], training["ema_ramp"]) == (25000, ema, 0.05)
    assert model["r1_gamma"] == pytest.approx(gamma)
    assert (model["channel_base"], model["mapping_layers"], model["mbstd_group"]) == (
        base,
        2,
        mbstd,
    )
    assert model["optimisers"]["G"]["lr"] == lr


def test_lazy_regularisation_corrects_the_rates() -> None:
    kind = family("stylegan2")
    config = parse_model(preset("auto", square(64), 1)["model"])
    rates = kind.optimiser_rates(config)
    assert rates["G"].lr == pytest.approx(0.0025 * 4 / 5)
    assert rates["G"].beta2 == pytest.approx(0.99 ** (4 / 5))
    assert rates["D"].lr == pytest.approx(0.0025 * 16 / 17)
    assert rates["D"].beta2 == pytest.approx(0.99 ** (16 / 17))
    assert rates["D"].beta1 == 0


def test_non_square_images_use_area_and_longer_side() -> None:
    spec = ImageSpec(height=256, width=224, modalities={"image": 1})
    model = preset("auto", spec, 1)["model"]
    assert model["r1_gamma"] == pytest.approx(0.0002 * 256 * 224 / 16)


@pytest.mark.parametrize("name", ["auto", "short"])
def test_shares_of_all_gpus_are_whole_groups(name: str) -> None:
    for gpus in range(1, 17):
        for side in (32, 64, 192, 288, 1024, 1536):
            tree = preset(name, square(side), gpus)
            batch, share = tree["training"]["batch"], tree["training"]["batch_gpu"]
            assert batch == share * gpus and share % tree["model"]["mbstd_group"] == 0
            assert tree["model"]["r1_gamma"] == pytest.approx(0.0002 * side * side / batch)


def test_unknown_preset() -> None:
    with pytest.raises(UserError, match="did you mean 'paper512'"):
        preset("paper521", square(64), 1)
    assert set(family("stylegan2").preset_names()) == set(PRESETS)


def test_short_trainings_have_a_preset_of_their_own() -> None:
    assert within("auto", SHORT_KIMG - 1) == "short" and within("auto", SHORT_KIMG) == "auto"
    assert within("paper256", 1) == "paper256"
    for side, gpus, batch in ((32, 1, 16), (32, 4, 64), (256, 2, 32), (1024, 1, 4)):
        tree = preset("short", square(side), gpus)
        whole = preset("auto", square(side), gpus)
        assert (tree["training"]["batch"], tree["training"]["batch_gpu"]) == (batch, batch // gpus)
        assert tree["model"]["r1_gamma"] == pytest.approx(0.0002 * side * side / batch)
        assert tree["model"]["path_weight"] == 0 and tree["model"]["w_dim"] == 64
        for name in ("channel_base", "channel_max", "mbstd_group"):
            assert tree["model"][name] == whole["model"][name], "networks for longer trainings"
