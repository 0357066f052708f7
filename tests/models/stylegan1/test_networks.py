"""The networks of a stage: what they are while a level is faded in, and before they have grown."""

from pathlib import Path

import numpy as np
import pytest
import torch

from synthograph.core.errors import UserError
from synthograph.core.files import sha256_file
from synthograph.core.spec import ImageSpec
from synthograph.core.untrusted.tensors import read_tensors, write_tensors
from synthograph.models.base import Condition
from synthograph.models.snapshot import OWNER, SnapshotInfo, load, partner, save_snapshot
from synthograph.models.stylegan1.config import StyleGAN1Config
from synthograph.models.stylegan1.family import StyleGAN1
from synthograph.models.stylegan1.networks import Discriminator, Generator, adaptive_norm
from synthograph.models.stylegan2.networks import Noise, NoiseMode, minibatch_deviation

SPEC = ImageSpec(height=16, width=32, modalities={"vis": 3, "nir": 1})
SMALL = {"channel_base": 128, "channel_max": 8, "z_dim": 6, "w_dim": 5, "mbstd_group": 2}


def config(**settings: object) -> StyleGAN1Config:
    return StyleGAN1Config.parse({**SMALL, **settings})


def generator(**settings: object) -> Generator:
    torch.manual_seed(0)
    made = Generator(SPEC, 0, config(**settings))
    for name, parameter in made.named_parameters():
        if name.endswith(("noise_strength", "bias")):  # most begin at 0
            torch.nn.init.normal_(parameter)
    return made.eval()


def discriminator(**settings: object) -> Discriminator:
    torch.manual_seed(1)
    return Discriminator(SPEC, "vis", Condition(), config(**settings)).eval()


@torch.no_grad()
def test_without_a_share_of_the_new_level_images_are_those_of_the_stage_before() -> None:
    made, ws = generator(), torch.randn(3, 6, 5)
    features = made.synthesis.levels(ws, Noise(NoiseMode.CONST, None), 2)
    before, new = made.synthesis.image(features[:2], 1.0), made.synthesis.image(features, 1.0)
    enlarged = before.repeat_interleave(2, 2).repeat_interleave(2, 3)
    assert torch.equal(made.synthesis.image(features, 0.0), enlarged)
    blended = made.synthesis.image(features, 0.25)
    torch.testing.assert_close(blended, 0.75 * enlarged + 0.25 * new)


@torch.no_grad()
def test_without_a_share_of_the_new_level_scores_are_those_of_the_stage_before() -> None:
    judge, image = discriminator(), torch.randn(4, 3, 16, 32)
    halved = image.reshape(4, 3, 8, 2, 16, 2).mean((3, 5))
    before = judge.judge(halved, None, 1, 1.0)
    torch.testing.assert_close(judge.judge(image, None, 2, 0.0), before)
    assert not torch.allclose(judge.judge(image, None, 2, 0.5), before)


@torch.no_grad()
def test_networks_that_have_not_grown_make_and_read_large_images() -> None:
    made, judge = generator(), discriminator()
    assert made.synthesis.growth.get() == judge.growth.get() == (0, 1.0)
    image = made(torch.randn(2, 6), noise_mode="const")
    assert image.shape == (2, 4, 16, 32)
    blocks = image.reshape(2, 4, 4, 4, 8, 4)
    assert torch.equal(blocks, blocks[:, :, :, :1, :, :1].expand_as(blocks))
    small = torch.randn(2, 3, 4, 8)
    large = small.repeat_interleave(4, 2).repeat_interleave(4, 3)
    torch.testing.assert_close(judge(large), judge.judge(small, None, 0, 1.0))
    with pytest.raises(UserError, match=r"image: this network needs .*\[n, 3, 16, 32\]"):
        judge(small)


@torch.no_grad()
def test_coarse_layers_take_the_same_noise_whatever_the_stage() -> None:
    made, ws = generator(), torch.randn(2, 6, 5)
    maps = torch.randn(2, made.synthesis.noise_pixels)
    known = [made.synthesis.levels(ws, Noise(NoiseMode.RANDOM, maps), level)[0] for level in (0, 2)]
    assert torch.equal(*known)
    still = made.synthesis.levels(ws, Noise(NoiseMode.NONE, None), 0)[0]
    assert not torch.equal(known[0], still)


def test_only_levels_with_a_stage_have_heads_and_readers() -> None:
    made = generator(start_dimension=16, final_dimension=16)
    judge = discriminator(start_dimension=16, final_dimension=16)
    assert [len(block.heads) for block in made.synthesis.blocks] == [0, 2]
    assert [block.from_image is not None for block in judge.blocks] == [True]
    assert judge.from_image is None
    assert made.num_ws == 4
    assert made(torch.randn(1, 6)).shape == (1, 4, 16, 32)


def test_an_image_without_any_finding_is_judged_too() -> None:
    """A label vector may be all zero; a class never is, and has a score of its own alone."""
    image = torch.randn(3, 3, 16, 32)
    judge = Discriminator(SPEC, "vis", Condition((), 2), config())
    for label in (torch.zeros(3, 2), torch.tensor([[1.0, 1], [0, 2], [0, 0]])):
        scores = judge.judge(image, label, 2, 1.0)
        judge.zero_grad()
        scores.square().sum().backward()
        assert bool((scores != 0).all()) and bool(judge.conv.weight.grad.any())
    classes = Discriminator(SPEC, "vis", Condition(("a", "b"), 2), config())
    assert len(classes.out.weight) == 2 and len(judge.out.weight) == 3


def test_every_map_gets_the_mean_and_deviation_of_its_style() -> None:
    x, scale, shift = torch.randn(2, 3, 8, 8) * 7 + 5, torch.rand(2, 3) + 0.5, torch.randn(2, 3)
    y = adaptive_norm(x, scale, shift)
    torch.testing.assert_close(y.mean((2, 3)), shift, atol=1e-5, rtol=0)
    torch.testing.assert_close(y.std((2, 3), correction=0), scale)
    flat = adaptive_norm(torch.full((1, 1, 4, 4), 3.0), torch.ones(1, 1), torch.zeros(1, 1))
    assert bool(flat.isfinite().all())


@pytest.mark.parametrize("count", [12, 10, 3])
def test_minibatch_deviation_is_one_number_of_whole_groups(count: int) -> None:
    """Twelve images in groups of four; and counts that the group does not divide."""
    x = torch.randn(count, 5, 4, 4, dtype=torch.float64)
    found = minibatch_deviation(x, 4)
    assert found.shape == (count, 1, 4, 4)
    images = x.numpy()
    for start in range(0, count, min(4, count)):
        group = images[start : start + 4]
        mean = group.mean(axis=0)
        deviation = np.sqrt(((group - mean) ** 2).mean(axis=0) + 1e-8)  # of the population
        expected = torch.full_like(found[start : start + 4], float(deviation.mean()))
        torch.testing.assert_close(found[start : start + 4], expected)


@pytest.mark.parametrize(
    ("level", "fade", "words"),
    [
        (-3, 1.0, "grown to level -3; theirs are 1 to 2"),
        (0, 1.0, "grown to level 0; theirs are 1 to 2"),
        (3, 1.0, "grown to level 3; theirs are 1 to 2"),
        (1 << 62, 1.0, "grown to level 4611686018427387904"),
        (1, 0.5, "level 1 is faded in to 0.5, which must be 1, at the first"),
        (2, 1.5, "level 2 is faded in to 1.5, which must be from 0 to 1"),
        (2, -0.5, "level 2 is faded in to -0.5, which must be from 0 to 1"),
        (2, 0.5, None),
    ],
)
def test_files_that_have_grown_as_no_network_can_are_refused(
    tmp_path: Path, level: int, fade: float, words: str | None
) -> None:
    """A level decides how much images are enlarged, and so how much memory they take."""
    settings = config(start_dimension=16)
    made = StyleGAN1().build(SPEC, Condition(), settings)
    info = SnapshotInfo(family="stylegan1", config={"model": settings.tree()}, spec=SPEC)
    path = save_snapshot(tmp_path, info, made.generator, made)
    grown = {"growth.level": torch.tensor(level), "growth.fade": torch.tensor(fade)}
    tensors, document = read_tensors(path)
    others, _ = read_tensors(partner(path))
    others |= {f"discriminators/vis.{name}": value for name, value in grown.items()}
    write_tensors(partner(path), others, {"format": 1, OWNER: sha256_file(path)})
    if words is None:
        assert load(path).discriminators["vis"].growth.get() == (level, fade)
        return
    with pytest.raises(UserError, match=f"{partner(path).name}: says .*{words}"):
        _ = load(path).discriminators
    tensors |= {f"synthesis.{name}": value for name, value in grown.items()}
    write_tensors(path, tensors, document)
    with pytest.raises(UserError, match=f"{path.name}: says .*{words}"):
        load(path)
