"""Training that starts with trained weights, of images of another size or kind too."""

import pytest
import torch

from synthograph.core.spec import ImageSpec
from synthograph.models.base import Condition, ModelBundle
from synthograph.models.stylegan1.config import StyleGAN1Config
from synthograph.models.stylegan1.family import StyleGAN1
from synthograph.models.stylegan2.networks import Noise, NoiseMode
from synthograph.training.presets import resolve

FAMILY = StyleGAN1()
SMALL = {"channel_base": 64, "channel_max": 8, "z_dim": 6, "w_dim": 5, "mapping_layers": 2}


def bundle(
    side: int, channels: int = 1, classes: tuple[str, ...] = (), seed: int = 0, width: int = 16
) -> ModelBundle:
    torch.manual_seed(seed)
    spec = ImageSpec(height=side, width=side * width // 16, modalities={"image": channels})
    condition, config = Condition(classes, len(classes)), StyleGAN1Config.parse(SMALL)
    return ModelBundle(spec, condition, config, FAMILY.build(spec, condition, config))


def started(target: ModelBundle, source: ModelBundle) -> set[str]:
    """Fills the target; names that stayed fresh."""
    starts, wanted = FAMILY.map_weights(target, source), target.networks.tensors()
    with torch.no_grad():
        for name, start in starts.items():
            assert start.value.shape == wanted[name].shape, name
            wanted[name].copy_(start.value)
    return set(wanted) - set(starts)


@torch.no_grad()
def images(made: ModelBundle, level: int, label: torch.Tensor | None = None) -> torch.Tensor:
    generator, z = made.networks.generator, torch.linspace(-1, 1, 12).reshape(2, 6)
    ws = generator.mapping(z, label)
    features = generator.synthesis.levels(ws, Noise(NoiseMode.NONE, None), level)
    return generator.synthesis.image(features, 1.0)


@pytest.mark.parametrize("sides", [(32, 16), (16, 32)])
def test_levels_of_one_size_are_taken_over(sides: tuple[int, int]) -> None:
    target, source = bundle(sides[0]), bundle(sides[1], seed=1)
    before = [part.growth.get() for part in target.networks.discriminators.values()]
    fresh = started(target, source)
    assert torch.equal(images(target, 2), images(source, 2))
    image = torch.randn(4, 1, 16, 16)
    with torch.no_grad():
        scores = [
            each.networks.discriminators["image"].judge(image, None, 2, 1.0)
            for each in (target, source)
        ]
    assert torch.equal(*scores)
    learned = {name for name in fresh if ".growth." not in name}
    blocks = ("generator/synthesis.blocks.3.", "discriminators/image.blocks.2.")
    assert all(n.startswith(blocks) for n in learned)
    assert bool(learned) == (sides[0] > sides[1])
    after = [part.growth.get() for part in target.networks.discriminators.values()]
    assert before == after == [(0, 1.0)], "the new run grows by its own schedule"


def test_classes_go_by_their_names() -> None:
    target, source = bundle(16, classes=("b", "new", "a")), bundle(16, classes=("a", "b"), seed=1)
    started(target, source)
    for place, name in enumerate(("b", "new", "a")):
        if name == "new":
            continue
        theirs = ("a", "b").index(name)
        ours = images(target, 2, torch.eye(3)[[place] * 2])
        torch.testing.assert_close(ours, images(source, 2, torch.eye(2)[[theirs] * 2]))
    fresh = started(bundle(16), source)
    assert {"generator/mapping.layers.0.weight", "discriminators/image.out.weight"} <= fresh


def test_grey_images_begin_as_the_mean_of_colours_and_look_alike() -> None:
    grey, colour = bundle(16), bundle(16, channels=3, seed=1)
    started(grey, colour)
    torch.testing.assert_close(images(grey, 2), images(colour, 2).mean(1, keepdim=True))
    image = torch.randn(4, 1, 16, 16)
    with torch.no_grad():
        one, three = (
            made.networks.discriminators["image"].judge(x, None, 2, 1.0)
            for made, x in ((grey, image), (colour, image.expand(-1, 3, -1, -1)))
        )
    torch.testing.assert_close(one, three)


def test_another_shape_resamples_the_constant() -> None:
    wide, square = bundle(16, width=20), bundle(16, seed=1)
    fresh = started(wide, square)
    assert "generator/synthesis.blocks.0.const" not in fresh
    assert "discriminators/image.dense.weight" in fresh


def test_a_penalty_of_the_preset_does_not_meet_another_loss() -> None:
    spec = ImageSpec(height=16, width=16, modalities={"image": 1})
    data = {"data": {"path": "x.zip"}}
    for old, new in (("progressive", "tiny-progressive"), ("tiny-progressive", "progressive")):
        source = resolve(spec, old, [data]).model
        below = {"model": StyleGAN1().inherited_settings(source)}
        model = resolve(spec, new, [data, below]).model
        assert isinstance(model, StyleGAN1Config) and isinstance(source, StyleGAN1Config)
        assert (model.loss, model.z_dim) == (source.loss, source.z_dim)


def test_a_loss_that_is_asked_for_takes_its_penalty_from_the_preset() -> None:
    wasserstein = StyleGAN1Config.parse(SMALL)
    assert FAMILY.inherited_settings(wasserstein)["r1_gamma"] is None
    assert "r1_gamma" not in FAMILY.inherited_settings(wasserstein, {"loss": "logistic"})
    assert "loss" in FAMILY.inherited_settings(wasserstein, {"r1_gamma": 2})
