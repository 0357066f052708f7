"""Training that starts with trained weights: what belongs to a class goes by the class's name."""

import torch

from synthograph.core.spec import ImageSpec
from synthograph.models.base import Condition, ModelBundle
from synthograph.models.projected.config import ProjectedConfig
from synthograph.models.projected.family import Projected
from synthograph.models.stylegan2.networks import NoiseMode
from tests.models.projected.test_family import SMALL

FAMILY = Projected()
SPEC = ImageSpec(height=8, width=8, modalities={"image": 3})
EMBED = "generator/mapping.embed.weight"
HEAD = "discriminators/image.heads.0.embed.weight"
SPREAD = "discriminators/image.spread"


def bundle(
    classes: tuple[str, ...] = (),
    seed: int = 0,
    width: int | None = None,
    spec: ImageSpec = SPEC,
) -> ModelBundle:
    torch.manual_seed(seed)
    condition = Condition(classes, len(classes) if width is None else width)
    config = ProjectedConfig.parse(SMALL)
    networks = FAMILY.build(spec, condition, config)
    for discriminator in networks.discriminators.values():
        spread = discriminator.spread
        spread += torch.arange(1.0, len(spread) + 1)[:, None] * bool(seed)
    return ModelBundle(spec, condition, config, networks)


def started(target: ModelBundle, source: ModelBundle) -> dict[str, torch.Tensor]:
    """All tensors of the target after their start."""
    wanted = {name: tensor.clone() for name, tensor in target.networks.tensors().items()}
    for name, start in FAMILY.map_weights(target, source).items():
        assert start.value.shape == wanted[name].shape, name
        wanted[name] = start.value
    return wanted


def test_classes_go_by_their_names() -> None:
    target, source = bundle(("keratosis", "melanoma")), bundle(("melanoma", "naevus"), seed=1)
    fresh, theirs, found = (
        target.networks.tensors(),
        source.networks.tensors(),
        started(target, source),
    )
    for name in (EMBED, HEAD):
        assert torch.equal(found[name][:, 1], theirs[name][:, 0])
        assert torch.equal(found[name][:, 0], fresh[name][:, 0])
    assert found[SPREAD].tolist() == [[0, 0], [1, 1]], "no real pair of the new class was seen"
    const = "generator/synthesis.blocks.0.const"
    assert torch.equal(found[const], theirs[const])


def test_another_number_of_classes() -> None:
    target, source = bundle(("b", "new", "a")), bundle(("a", "b"), seed=1)
    theirs, found = source.networks.tensors(), started(target, source)
    torch.testing.assert_close(found[EMBED][:, [2, 0]], theirs[EMBED] * 1.5**0.5)
    assert torch.equal(found[HEAD][:, [2, 0]], theirs[HEAD])
    assert found[SPREAD].tolist() == [[2, 2], [0, 0], [1, 1]]


def test_the_same_labels_take_over_everything() -> None:
    for classes, width in ((), None), (("a", "b"), None), ((), 3):
        target, source = bundle(classes, width=width), bundle(classes, seed=1, width=width)
        theirs, found = source.networks.tensors(), started(target, source)
        assert all(torch.equal(found[name], theirs[name]) for name in theirs)
        assert not any(start.how for start in FAMILY.map_weights(target, source).values())


def test_labels_that_have_nothing_in_common_stay_fresh() -> None:
    source = bundle(("a", "b"), seed=1)
    for target in (bundle(("c", "d")), bundle(), bundle(width=2)):
        fresh, found = target.networks.tensors(), started(target, source)
        for name in {EMBED, HEAD, SPREAD} & set(fresh):
            assert torch.equal(found[name], fresh[name]), name


def images(made: ModelBundle) -> torch.Tensor:
    z = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    label = torch.eye(2).repeat(2, 1)
    return FAMILY.sample(made.networks.generator, z, label, noise=NoiseMode.NONE)


@torch.no_grad()
def test_images_begin_as_the_source_s_whatever_the_modality_channels_and_size() -> None:
    source = bundle(("a", "b"), seed=1)
    wanted = images(source)
    changes = {"smear": (8, 3), "grey": (8, 1), "image": (16, 3)}
    for name, (side, channels) in changes.items():
        spec = ImageSpec(height=side, width=side, modalities={name: channels})
        target = bundle(("a", "b"), spec=spec)
        found = started(target, source)
        for key, tensor in target.networks.tensors().items():
            tensor.copy_(found[key])
        made = images(target)
        if channels == 1:
            torch.testing.assert_close(made, wanted.mean(1, keepdim=True))
        else:
            small = made if side == 8 else made.reshape(4, 3, 8, 2, 8, 2).mean((3, 5))
            assert torch.corrcoef(torch.stack([small.flatten(), wanted.flatten()]))[0, 1] > 0.95
        theirs = source.networks.tensors()
        loaded = {
            key
            for key in found
            if key.startswith("discriminators/")
            and torch.equal(found[key], theirs[key.replace(f"/{name}.", "/image.")])
        }
        assert len(loaded) == sum(key.startswith("discriminators/") for key in theirs)
