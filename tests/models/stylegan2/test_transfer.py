"""Transfer between networks of different images, labels and sizes: what was learned is kept."""

import copy
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

import synthograph
from synthograph.core.spec import ImageSpec
from synthograph.models.base import Condition, ModelBundle, Networks
from synthograph.models.registry import family, parse_model
from synthograph.models.stylegan2.transfer import (
    INHERITED,
    match_classes,
    match_levels,
    match_modalities,
)
from synthograph.ops.resample import upsample
from tests.conftest import NVIDIA

KIND = family("stylegan2")
SMALL = {"channel_base": 128, "channel_max": 16, "z_dim": 8, "w_dim": 8, "mapping_layers": 3}
Z = torch.randn(4, 8, generator=torch.Generator().manual_seed(5))


def image(side: int = 16, channels: int = 3, **modalities: int) -> ImageSpec:
    return ImageSpec(height=side, width=side, modalities=modalities or {"image": channels})


def classes(*names: str) -> Condition:
    return Condition(names, len(names))


def make(
    spec: ImageSpec, condition: Condition | None = None, *, seed: int = 1, **settings: object
) -> ModelBundle:
    """Networks in which nothing is zero, as after training."""
    config = parse_model({"family": "stylegan2", **SMALL, **settings})
    torch.manual_seed(seed)
    built = ModelBundle(
        spec, condition or Condition(), config, KIND.build(spec, condition or Condition(), config)
    )
    with torch.no_grad():
        for tensor in built.networks.tensors().values():
            tensor.add_(torch.randn_like(tensor) * 0.1)
    return built


def fill(target: ModelBundle, source: ModelBundle) -> dict[str, str]:
    """Name -> how, of every tensor that was taken over."""
    starts = KIND.map_weights(target, source)
    with torch.no_grad():
        for name, tensor in target.networks.tensors().items():
            if name in starts:
                tensor.copy_(starts[name].value)
    return {name: start.how for name, start in starts.items()}


def fresh(target: ModelBundle, found: dict[str, str]) -> set[str]:
    return {name for name in target.networks.tensors() if name not in found}


def images(built: ModelBundle, label: Tensor | None = None, mode: str = "const") -> Tensor:
    with torch.no_grad():
        return built.networks.generator(Z, label, noise_mode=mode)


def logits(
    built: ModelBundle, batch: Tensor, label: Tensor | None = None, name: str = "image"
) -> Tensor:
    with torch.no_grad():
        return built.networks.discriminators[name](batch, label)


def one_hot(width: int, indices: Sequence[int] = (0, 1, 1, 0)) -> Tensor:
    return torch.eye(width)[list(indices)]


def test_the_same_networks_are_taken_over_bit_by_bit() -> None:
    source, target = make(image(), classes("a", "b")), make(image(), classes("a", "b"), seed=2)
    found = fill(target, source)
    assert set(found.values()) == {""}
    assert not fresh(target, found)
    assert torch.equal(images(target, one_hot(2)), images(source, one_hot(2)))
    x = torch.randn(4, 3, 16, 16)
    assert torch.equal(logits(target, x, one_hot(2)), logits(source, x, one_hot(2)))
    mean = target.networks.generator.mapping.w_avg
    assert torch.equal(mean, source.networks.generator.mapping.w_avg)
    assert mean.abs().sum() > 0


@pytest.mark.parametrize("discriminator", ["resnet", "skip", "orig"])
def test_grey_from_colour(discriminator: str) -> None:
    source = make(image(), discriminator_architecture=discriminator)
    target = make(image(channels=1), seed=2, discriminator_architecture=discriminator)
    found = fill(target, source)
    assert not fresh(target, found)
    torch.testing.assert_close(images(target), images(source).mean(1, keepdim=True))
    grey = torch.randn(4, 1, 16, 16)
    expected = logits(source, grey.expand(-1, 3, -1, -1))
    torch.testing.assert_close(logits(target, grey), expected)


@pytest.mark.parametrize("channels", [3, 4])
def test_more_channels_from_grey(channels: int) -> None:
    source, target = make(image(channels=1)), make(image(channels=channels), seed=2)
    fill(target, source)
    torch.testing.assert_close(images(target), images(source).expand(-1, channels, -1, -1))
    grey = torch.randn(4, 1, 16, 16)
    torch.testing.assert_close(
        logits(target, grey.expand(-1, channels, -1, -1)), logits(source, grey)
    )


def test_four_channels_from_three_begin_as_their_mean() -> None:
    source, target = make(image()), make(image(channels=4), seed=2)
    fill(target, source)
    expected = images(source).mean(1, keepdim=True).expand(-1, 4, -1, -1)
    torch.testing.assert_close(images(target), expected)


def test_every_new_modality_begins_as_the_source() -> None:
    source, target = make(image()), make(image(vis=3, nir=1), seed=2)
    found = fill(target, source)
    assert not fresh(target, found)
    vis, nir = target.spec.split(images(target)).values()
    torch.testing.assert_close(vis, images(source))
    torch.testing.assert_close(nir, images(source).mean(1, keepdim=True))
    torch.testing.assert_close(logits(target, vis, name="vis"), logits(source, vis))
    expected = logits(source, nir.expand(-1, 3, -1, -1))
    torch.testing.assert_close(logits(target, nir, name="nir"), expected)


def test_modalities_match_by_name_then_by_channels() -> None:
    source = {"vis": 3, "nir": 1}
    assert match_modalities({"nir": 1, "vis": 3}, source) == {"nir": "nir", "vis": "vis"}
    assert match_modalities({"image": 1}, source) == {"image": "nir"}
    assert match_modalities({"image": 2}, source) == {"image": "vis"}


def test_other_classes_match_by_name() -> None:
    source = make(image(), classes("nevus", "melanoma", "keratosis"))
    target = make(image(), classes("melanoma", "nevus"), seed=2)
    found = fill(target, source)
    assert not fresh(target, found)
    assert found["generator/mapping.embed.weight"] == "columns by class name"
    ours, theirs = one_hot(2, (0, 1, 0, 1)), one_hot(3, (1, 0, 1, 0))
    torch.testing.assert_close(images(target, ours), images(source, theirs))
    x = torch.randn(4, 3, 16, 16)
    torch.testing.assert_close(logits(target, x, ours), logits(source, x, theirs))


def test_an_unknown_class_is_read_with_fresh_weights() -> None:
    source = make(image(), classes("a", "b"))
    target = make(image(), classes("b", "new", "other"), seed=2)
    before = target.networks.generator.mapping.embed.weight.detach().clone()
    found = fill(target, source)
    assert found["generator/mapping.embed.weight"] == "fresh columns for new, other"
    now = target.networks.generator.mapping.embed.weight
    assert torch.equal(now[:, 1:], before[:, 1:])
    torch.testing.assert_close(
        images(target, one_hot(3, (0,) * 4)), images(source, one_hot(2, (1,) * 4))
    )
    new, other = (images(target, one_hot(3, (k,) * 4)) for k in (1, 2))
    assert not torch.allclose(new, other, atol=1e-2), "classes that begin alike stay alike for long"


def test_classes_of_which_none_is_known_are_read_with_fresh_weights() -> None:
    source = make(image(), classes("a", "b"))
    target = make(image(), classes("x", "y", "z"), seed=2)
    names = ("generator/mapping.embed.weight", "discriminators/image.mapping.embed.weight")
    assert set(fresh(target, fill(target, source))) == set(names)
    x = torch.randn(4, 3, 16, 16)
    first, second = (one_hot(3, (k,) * 4) for k in (0, 1))
    assert not torch.allclose(images(target, first), images(target, second), atol=1e-2)
    assert not torch.allclose(logits(target, x, first), logits(target, x, second), atol=1e-2)


def test_numbered_classes_and_label_vectors_match_by_place() -> None:
    numbered = classes("0", "1")
    assert match_classes(classes("a", "b"), numbered) == [0, 1]
    assert match_classes(classes("a", "b", "c"), numbered) == [None] * 3
    assert match_classes(Condition((), 2), Condition((), 2)) == [0, 1]
    assert match_classes(classes("a", "b"), classes("c", "d")) == [None, None]
    assert match_classes(Condition((), 2), classes("c", "d")) == [None, None]


@pytest.mark.parametrize("rate", [0.01, 0.02])
@pytest.mark.parametrize("embedding", [None, 5])
def test_a_new_label_is_read_with_fresh_weights(embedding: int | None, rate: float) -> None:
    source = make(image())
    settings = {"embedding_width": embedding, "w_dim": 8, "label_width": 6, "mapping_rate": rate}
    target = make(image(), classes("a", "b", "c"), seed=2, **settings)
    first = target.networks.generator.mapping.layers[0].weight.detach().clone()
    found = fill(target, source)
    assert "generator/mapping.embed.weight" in fresh(target, found)
    assert torch.equal(target.networks.generator.mapping.layers[0].weight[:, 8:], first[:, 8:])
    each = [images(target, one_hot(3, (k,) * 4)) for k in range(3)]
    assert not torch.allclose(each[0], each[1], atol=1e-2), "classes differ from the start"
    for label in (one_hot(3), one_hot(3, (2, 2, 1, 0))):
        x = torch.randn(4, 3, 16, 16)
        torch.testing.assert_close(
            logits(target, x, label), logits(source, x), rtol=1e-3, atol=1e-3
        )
    with torch.no_grad():  # apart from the label, styles are the source's
        target.networks.generator.mapping.layers[0].weight[:, 8:] = 0
    torch.testing.assert_close(images(target, one_hot(3)), images(source))


def test_without_the_label_of_the_source() -> None:
    source, target = make(image(), classes("a", "b")), make(image(), seed=2)
    with torch.no_grad():  # two classes that mean the same
        embed = source.networks.generator.mapping.embed
        embed.weight.copy_(embed.weight[:, :1].expand(-1, 2))
    found = fill(target, source)
    assert not fresh(target, found)
    torch.testing.assert_close(images(target), images(source, one_hot(2)))
    x = torch.randn(4, 3, 16, 16)
    each = [logits(source, x, one_hot(2, (k,) * 4)) for k in (0, 1)]
    torch.testing.assert_close(logits(target, x), (each[0] + each[1]) / 2, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("discriminator", ["resnet", "skip"])
def test_finer_levels_begin_with_the_image_of_the_coarser(discriminator: str) -> None:
    source = make(image(16), discriminator_architecture=discriminator)
    target = make(image(32), seed=2, discriminator_architecture=discriminator)
    found = fill(target, source)
    torch.testing.assert_close(images(target), upsample(images(source)))
    new = fresh(target, found)
    assert "generator/synthesis.blocks.3.conv0.weight" in new
    assert "discriminators/image.blocks.0.conv0.weight" in new
    assert not any(".blocks.2." in name and name.startswith("generator") for name in new)
    ours, theirs = (b.networks.discriminators["image"] for b in (target, source))
    for k in (0, 1):
        assert torch.equal(ours.blocks[k + 1].conv1.weight, theirs.blocks[k].conv1.weight)
    assert torch.equal(ours.dense.weight, theirs.dense.weight)


def test_coarser_images_from_finer_ones() -> None:
    source, target = make(image(32)), make(image(16), seed=2)
    found = fill(target, source)
    assert not [name for name in fresh(target, found) if name.startswith("generator")]
    for k in range(3):
        ours, theirs = (b.networks.generator.synthesis.blocks[k].conv1 for b in (target, source))
        assert torch.equal(ours.weight, theirs.weight)
        assert torch.equal(ours.noise_const, theirs.noise_const)


def test_levels_of_other_shapes_match_by_their_longer_side() -> None:
    assert match_levels(image(32), image(16)) == [0, 1, 2, None]
    wide = ImageSpec(height=256, width=224, modalities={"image": 3})
    assert match_levels(wide, image(256)) == [1, 2, 3, 4, 5, 6]
    assert match_levels(image(256), wide) == [None, 0, 1, 2, 3, 4, 5]
    odd = ImageSpec(height=192, width=128, modalities={"image": 3})
    assert match_levels(odd, image(256)) == [1, 2, 3, 4, 5, 6]


def test_images_that_are_not_square() -> None:
    source = make(image(16))
    wide = ImageSpec(height=16, width=20, modalities={"image": 3})
    target = make(wide, seed=2, channel_base=16 * 16)
    with torch.no_grad():  # weights that are even over the coarsest level
        weight = source.networks.discriminators["image"].dense.weight
        weight.copy_(weight.reshape(-1, 16).mean(1, keepdim=True).expand(-1, 16).reshape(16, -1))
    found = fill(target, source)
    assert found["generator/synthesis.blocks.0.const"] == "resampled"
    names = {name for name in fresh(target, found) if name.startswith("generator")}
    assert {name.rpartition(".")[2] for name in names} <= {"noise_const", "weight", "bias"}
    assert "generator/synthesis.blocks.0.conv1.noise_const" in names
    assert "generator/synthesis.blocks.0.conv1.weight" in found
    assert images(target).shape == (4, 3, 16, 20)
    assert found["discriminators/image.dense.weight"] == "resampled"
    even = torch.randn(4, 16, 1, 1)
    ours, theirs = (b.networks.discriminators["image"].dense for b in (target, source))
    with torch.no_grad():
        wide, small = (even.expand(-1, -1, *s).flatten(1) for s in ((4, 5), (4, 4)))
        torch.testing.assert_close(ours(wide), theirs(small))
    eight = ImageSpec(height=16, width=14, modalities={"image": 3})
    later = make(eight, seed=2)
    found = fill(later, source)
    assert "generator/synthesis.blocks.0.const" in fresh(later, found)
    first, second = later.networks.generator.synthesis.blocks[0], source.networks.generator
    assert torch.equal(first.conv1.weight, second.synthesis.blocks[1].conv1.weight)


def test_heads_at_the_last_level_only() -> None:
    """Generators without heads below the last level take the head over from the last level."""
    settings = {"generator_architecture": "resnet", "channel_base": 1024}
    source, target = make(image(16), **settings), make(image(32), seed=2, **settings)
    found = fill(target, source)
    head = "synthesis.blocks.{}.heads.image.weight"
    given = source.networks.generator.state_dict()[head.format(2)]
    assert torch.equal(target.networks.generator.state_dict()[head.format(3)], given)
    assert found["generator/" + head.format(3)] == ""


def test_a_shorter_mapping_takes_the_first_layers() -> None:
    source, target = make(image(), mapping_layers=4), make(image(), seed=2, mapping_layers=2)
    found = fill(target, source)
    assert not fresh(target, found)
    followed = KIND.inherited_settings(source.config)
    assert followed["mapping_layers"] == 4
    deep = make(image(), seed=2, **{k: v for k, v in followed.items() if k != "family"})
    fill(deep, source)
    assert torch.equal(images(deep), images(source))


def test_another_rate_of_the_mapping_keeps_the_styles() -> None:
    source, target = make(image()), make(image(), seed=2, mapping_rate=0.1)
    fill(target, source)
    torch.testing.assert_close(images(target), images(source), rtol=1e-4, atol=1e-4)


def test_noise_begins_silent_and_can_be_left_out() -> None:
    quiet, noisy = make(image(), noise=False), make(image(), seed=2)
    config = parse_model({"family": "stylegan2", **SMALL})
    fresh_one = ModelBundle(image(), Condition(), config, KIND.build(image(), Condition(), config))
    found = fill(fresh_one, quiet)
    assert {name.rpartition(".")[2] for name in fresh(fresh_one, found)} == {
        "noise_const",
        "noise_strength",
    }
    assert torch.equal(images(fresh_one), images(quiet))
    assert not fresh(quiet, fill(quiet, noisy))
    assert torch.equal(images(quiet), images(noisy, mode="none"))
    assert KIND.inherited_settings(quiet.config)["noise"] is False


def test_other_widths_stay_fresh() -> None:
    source, target = make(image()), make(image(), seed=2, channel_max=8)
    before = copy.deepcopy(target.networks.tensors())
    found = fill(target, source)
    new = fresh(target, found)
    assert "generator/synthesis.blocks.0.conv1.weight" in new
    assert "generator/mapping.layers.0.weight" in found
    after = target.networks.tensors()
    assert all(torch.equal(before[name], after[name]) for name in new)


def test_without_discriminators_they_stay_fresh() -> None:
    source, target = make(image(), classes("a", "b")), make(image(channels=1), seed=2)
    alone = Networks(source.networks.generator, torch.nn.ModuleDict())
    found = fill(target, ModelBundle(source.spec, source.condition, source.config, alone))
    assert {name.split("/")[0] for name in found} == {"generator"}


def test_settings_that_decide_on_tensors_are_followed() -> None:
    """Networks built with the followed settings have the source's tensors; losses are not among."""
    assert not {"mbstd_group", "r1_gamma", "path_weight", "optimisers"} & set(INHERITED)
    snapshot = synthograph.load(NVIDIA / "cond5_gray_64.pkl")
    source = ModelBundle(
        snapshot.info.spec,
        snapshot.info.condition,
        parse_model(snapshot.info.config["model"]),
        snapshot.networks,
    )
    config = parse_model(KIND.inherited_settings(source.config))
    networks = KIND.build(source.spec, source.condition, config)
    shapes = [{n: t.shape for n, t in x.tensors().items()} for x in (networks, source.networks)]
    assert shapes[0] == shapes[1]
