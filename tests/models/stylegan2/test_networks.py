"""Networks against the published ones: numbers, parameter counts, and shapes beyond them."""

from pathlib import Path

import numpy as np
import pytest
import torch

import synthograph
from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.core.untrusted.pickles import StoredObject
from synthograph.models.base import Condition, NoiseMode
from synthograph.models.registry import family, parse_model
from synthograph.models.snapshot import SnapshotInfo, load, save_snapshot
from synthograph.models.stylegan2.networks import minibatch_deviation
from synthograph.training.setup import first_layers
from tests.conftest import NVIDIA

SMALL = {"channel_base": 128, "channel_max": 8, "z_dim": 8, "w_dim": 8}


def build(spec: ImageSpec, width: int = 0, **settings: object):
    config = parse_model({"family": "stylegan2", **SMALL, **settings})
    return family("stylegan2").build(spec, Condition((), width), config)


def square(side: int, channels: int = 3) -> ImageSpec:
    return ImageSpec(height=side, width=side, modalities={"image": channels})


@pytest.mark.parametrize("name", ["cond2_rgb_32", "cond5_gray_64"])
def test_published_networks(name: str) -> None:
    snapshot = synthograph.load(NVIDIA / f"{name}.pkl")
    data = {k: torch.from_numpy(v) for k, v in np.load(NVIDIA / f"{name}.npz").items()}
    G, D = snapshot.generator, snapshot.discriminators["image"]
    z, c, ws = data["z"], data["c"], data["ws"]

    def close(ours: torch.Tensor, key: str, tolerance: float) -> None:
        assert float((ours - data[key]).norm() / data[key].norm()) < tolerance, key

    close(G.mapping(z, c), "ws", 1e-6)
    close(G.mapping(z, c, truncation_psi=0.5, truncation_cutoff=3), "ws_trunc", 1e-6)
    close(G.synthesis(ws, noise_mode="const"), "img_const", 1e-5)
    close(G.synthesis(ws, noise_mode="none"), "img_none", 1e-5)
    close(D(data["real"], c), "d_real", 1e-5)
    close(D(data["img_const"], c), "d_fake", 1e-5)
    real = data["real"].requires_grad_()
    (gradient,) = torch.autograd.grad(D(real, c).sum(), real)
    close(gradient.square().sum([1, 2, 3]), "r1_grad_sq", 1e-5)
    styles = ws.clone().requires_grad_()
    image = G.synthesis(styles, noise_mode="const")
    (gradient,) = torch.autograd.grad((image * data["pl_noise"]).sum(), styles)
    close(gradient.square().sum(2).mean(1).sqrt(), "pl_lengths", 1e-5)


@pytest.mark.parametrize(
    ("side", "generator", "discriminator"),
    [
        (32, 19_947_539, 21_507_073),
        (64, 22_243_608, 23_407_361),
        (128, 22_949_277, 23_882_369),
        (256, 23_191_522, 24_001_089),
        (512, 28_700_647, 28_982_849),
        (1024, 28_794_124, 29_012_513),
    ],
)
def test_published_parameter_counts(side: int, generator: int, discriminator: int) -> None:
    spec, kind = square(side), family("stylegan2")
    with torch.device("meta"):
        networks = kind.build(spec, Condition(), parse_model(kind.preset("auto", spec, 1)["model"]))
    counts = [
        sum(p.numel() for p in m.parameters())
        for m in (networks.generator, networks.discriminators)
    ]
    assert counts == [generator, discriminator]


@pytest.mark.parametrize("generator", ["skip", "orig", "resnet"])
@pytest.mark.parametrize("discriminator", ["skip", "orig", "resnet"])
def test_architectures_learn_everywhere(generator: str, discriminator: str) -> None:
    """Every parameter of every architecture gets a gradient."""
    torch.manual_seed(0)
    networks = build(
        square(16),
        width=3,
        generator_architecture=generator,
        discriminator_architecture=discriminator,
    )
    label = torch.eye(3)[[0, 1, 2, 0]]
    image = networks.generator(torch.randn(4, 8), label, noise_mode="const")
    networks.discriminators["image"](image, label).sum().backward()
    for module in (networks.generator, networks.discriminators):
        silent = [n for n, p in module.named_parameters() if p.grad is None or not p.grad.any()]
        assert not silent


def test_modalities_share_the_trunk_and_nothing_else() -> None:
    spec = ImageSpec(height=16, width=16, modalities={"vis": 3, "nir": 1})
    networks = build(spec)
    image = networks.generator(torch.randn(2, 8), noise_mode="const")
    assert image.shape == (2, 4, 16, 16)
    parts = spec.split(image)
    parts["nir"].sum().backward()
    named = networks.generator.named_parameters()
    heads = [n for n, p in named if "heads.vis" in n and p.grad is not None and p.grad.any()]
    assert not heads, "the visible head must not feel the infrared loss"
    assert networks.generator.synthesis.blocks[0].const.grad.any()
    assert networks.discriminators["vis"](parts["vis"]).shape == (2, 1)
    assert networks.discriminators["nir"](parts["nir"]).shape == (2, 1)


def test_non_square_images() -> None:
    spec = ImageSpec(height=28, width=32, modalities={"image": 1})
    networks = build(spec)
    assert networks.generator.num_ws == 2 * (spec.grid.doublings + 1) == 6
    image = networks.generator(torch.randn(2, 8))
    assert image.shape == (2, 1, 28, 32)
    assert networks.discriminators["image"](image).shape == (2, 1)


def test_an_image_does_not_depend_on_its_batch() -> None:
    torch.manual_seed(0)
    generator = build(square(16), width=2).generator.eval()
    z, label = torch.randn(5, 8), torch.eye(2)[[0, 1, 0, 1, 1]]
    together = generator(z, label, noise_mode="const")
    alone = torch.cat(
        [generator(z[i : i + 1], label[i : i + 1], noise_mode="const") for i in range(5)]
    )
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_bf16_blocks_stay_close_and_outputs_fp32() -> None:
    torch.manual_seed(0)
    spec, kind = square(16), family("stylegan2")
    networks = build(spec)
    z = torch.randn(4, 8)
    exact = networks.generator(z, noise_mode="const")
    kind.set_precision(networks, torch.bfloat16)
    rough = networks.generator(z, noise_mode="const")
    assert rough.dtype == torch.float32
    assert 0 < float(((rough - exact).norm() / exact.norm()).detach()) < 0.03
    torch.testing.assert_close(networks.generator(z, noise_mode="const", force_fp32=True), exact)
    assert networks.discriminators["image"](rough).dtype == torch.float32


def test_without_noise_every_mode_gives_the_same_image() -> None:
    torch.manual_seed(0)
    spec, kind = square(16), family("stylegan2")
    generator = build(spec, noise=False).generator
    assert not [name for name in generator.state_dict() if "noise" in name]
    assert generator.synthesis.noise_pixels == 0
    z, seeds = torch.randn(2, 8), torch.tensor([3, 4])
    plain = generator(z, noise_mode="none")
    for mode in NoiseMode:
        assert torch.equal(generator(z, noise_mode=mode), plain)
        assert torch.equal(kind.sample(generator, z, None, noise=mode, seeds=seeds), plain)
    assert any("noise_strength" in name for name in build(spec).generator.state_dict())


def test_minibatch_deviation_by_hand() -> None:
    x = torch.randn(6, 4, 2, 2)
    maps = minibatch_deviation(x, group=4)
    assert maps.shape == (6, 1, 2, 2)
    for group in (x[:4], x[4:]):
        expected = (group.numpy().std(axis=0) ** 2 + 1e-8) ** 0.5
        part = maps[:4] if len(group) == 4 else maps[4:]
        np.testing.assert_allclose(part.numpy(), expected.mean(), rtol=1e-5)
    two = minibatch_deviation(x, group=3, maps=2)
    assert two.shape == (6, 2, 2, 2)
    torch.testing.assert_close(two.mean(1, keepdim=True), minibatch_deviation(x, group=3))


@pytest.mark.parametrize("label", [None, torch.zeros(2, 3)])
def test_conditional_networks_need_their_label(label: torch.Tensor | None) -> None:
    networks = build(square(16), width=2)
    with pytest.raises(
        UserError,
        match=r"label: this network needs a tensor of shape \[n, 2\], got (none; try|\[2, 3\])",
    ):
        networks.generator(torch.randn(2, 8), label)
    with pytest.raises(
        UserError,
        match=r"label: this network needs a tensor of shape \[n, 2\], got (none; try|\[2, 3\])",
    ):
        networks.discriminators["image"](torch.randn(2, 3, 16, 16), label)


def test_refused_options_are_named(tmp_path: Path) -> None:
    from synthograph.models.pickles import read_pickle
    from synthograph.models.stylegan2.convert import convert

    content = read_pickle(NVIDIA / "cond5_gray_64.pkl")
    content["D"].state["_init_kwargs"]["block_kwargs"] = {"activation": "swish"}
    with pytest.raises(UserError, match="activation = 'swish'"):
        convert(content, family("stylegan2").build)


def test_published_networks_without_noise_are_read() -> None:
    from synthograph.models.pickles import read_pickle
    from synthograph.models.stylegan2.convert import convert

    content = read_pickle(NVIDIA / "cond5_gray_64.pkl")
    plain = convert(content, family("stylegan2").build).ema
    for name in ("G", "G_ema"):
        content[name].state["_init_kwargs"]["synthesis_kwargs"]["use_noise"] = False
        forget_noise(content[name])
    imported = convert(content, family("stylegan2").build)
    z, label = torch.randn(2, plain.z_dim), torch.eye(5)[:2]
    assert torch.equal(imported.ema(z, label), plain(z, label, noise_mode="none"))
    assert not imported.config.has_noise


def test_published_networks_without_a_mean_style_are_read(tmp_path: Path) -> None:
    """As the published settings for CIFAR-10 have it, trained without tracking."""
    from synthograph.models.pickles import read_pickle
    from synthograph.models.stylegan2.convert import convert

    content = read_pickle(NVIDIA / "cond2_rgb_32.pkl")
    tracked = convert(content, family("stylegan2").build).ema
    for name in ("G", "G_ema"):
        content[name].state["_init_kwargs"]["mapping_kwargs"] = {
            **(content[name].state["_init_kwargs"].get("mapping_kwargs") or {}),
            **{"w_avg_beta": None, "layer_features": None, "embed_features": None},
        }
        del content[name].state["_modules"]["mapping"].state["_buffers"]["w_avg"]
    imported = convert(content, family("stylegan2").build)
    z, label = torch.randn(2, tracked.z_dim), torch.eye(2)
    expected = tracked(z, label, noise_mode="const")
    assert torch.equal(imported.ema(z, label, noise_mode="const"), expected)
    assert imported.config.w_avg_decay is None
    kind = family("stylegan2")
    assert torch.equal(kind.sample(imported.ema, z, label), kind.sample(tracked, z, label))
    with pytest.raises(UserError, match="no mean style .* at 1, or pull to class means"):
        kind.sample(imported.ema, z, label, truncation=0.7)
    info = SnapshotInfo(
        family="stylegan2",
        config={"model": imported.config.tree()},
        spec=imported.spec,
        label_width=2,
    )
    again = load(save_snapshot(tmp_path, info, imported.ema, imported.networks))
    assert torch.equal(again.generator(z, label, noise_mode="const"), expected)


@pytest.mark.parametrize(
    ("part", "settings", "config"),
    [
        ("synthesis_kwargs", {"conv_clamp": None, "num_fp16_res": 0}, {"clamp": None}),
        ("mapping_kwargs", {"w_avg_beta": 1}, {"w_avg_decay": 1}),
        ("epilogue_kwargs", {"mbstd_group_size": None}, {"mbstd_group": 1 << 30}),
        ("mapping_kwargs", None, {"w_avg_decay": 0.995}),
        ("conv_clamp", None, {"discriminator_clamp": None}),
        ("cmap_dim", None, {"label_width": None}),
    ],
)
def test_published_settings_of_none(part: str, settings: object, config: dict) -> None:
    from synthograph.models.pickles import read_pickle
    from synthograph.models.stylegan2.convert import convert

    content = read_pickle(NVIDIA / "cond2_rgb_32.pkl")
    for name in ("G", "G_ema") if part in ("synthesis_kwargs", "mapping_kwargs") else ("D",):
        stored = content[name].state["_init_kwargs"]
        inner = stored.get(part)
        both = isinstance(settings, dict)
        stored[part] = {**(inner or {}), **settings} if both else settings  # type: ignore[dict-item]
        if part == "mapping_kwargs" and not both:
            stored[part] = {k: v for k, v in inner.items() if k == "num_layers"} or None
    found = convert(content, family("stylegan2").build).config
    assert {name: getattr(found, name) for name in config} == config


def test_a_label_mapping_of_another_rate_is_refused() -> None:
    from synthograph.models.pickles import read_pickle
    from synthograph.models.stylegan2.convert import convert

    content = read_pickle(NVIDIA / "cond5_gray_64.pkl")
    content["D"].state["_init_kwargs"]["mapping_kwargs"] = {"lr_multiplier": 0.1}
    with pytest.raises(UserError, match="lr_multiplier = 0.1, only 0.01"):
        convert(content, family("stylegan2").build)


def forget_noise(thing: StoredObject) -> None:
    """Drop the noise from a stored module and from those inside, as one built without has none."""
    for kind in ("_parameters", "_buffers"):
        held = thing.state.get(kind, {})
        for name in [name for name in held if name.startswith("noise_")]:
            del held[name]
    for inner in thing.state.get("_modules", {}).values():
        forget_noise(inner)


def test_freeze_d_counts_from_the_image() -> None:
    spec = ImageSpec(height=16, width=16, modalities={"vis": 3, "nir": 1})
    networks, kind = build(spec), family("stylegan2")
    networks.frozen = first_layers(kind.discriminator_layers(networks), 5)
    networks.select("D")
    names = [n for n, p in networks.discriminators.named_parameters() if not p.requires_grad]
    first = ["from_image.weight", "from_image.bias", "conv0.weight", "conv0.bias"]
    first += ["conv1.weight", "conv1.bias", "skip.weight"]
    expected = [f"blocks.0.{n}" for n in first] + ["blocks.1.conv0.weight", "blocks.1.conv0.bias"]
    assert names == [f"{m}.{n}" for m in ("vis", "nir") for n in expected]
    networks.select("G")
    assert not any(p.requires_grad for p in networks.discriminators.parameters())
    with pytest.raises(UserError, match="7 layers"):
        first_layers(kind.discriminator_layers(networks), 8)


@pytest.mark.parametrize("channels", [2, 4])
def test_one_modality_of_any_channel_count(channels: int) -> None:
    """Networks of others may have what our archives do not."""
    networks = build(square(16, channels))
    image = networks.generator(torch.randn(2, 8))
    assert image.shape == (2, channels, 16, 16)
    assert networks.discriminators["image"](image).shape == (2, 1)
