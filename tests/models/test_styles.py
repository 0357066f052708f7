"""What the latent tools know of a model: latents to styles, styles to images."""

import pytest
import torch

from synthograph.core.errors import UserError
from synthograph.core.seeds import Streams
from synthograph.core.spec import ImageSpec
from synthograph.models import registry
from synthograph.models.base import Condition, NoiseMode, TruncationCenter
from synthograph.models.registry import style_family
from synthograph.models.styles import LatentSpace, truncate
from tests.models.staged import Staged

SPEC = ImageSpec(height=8, width=16, modalities={"vis": 3, "nir": 1}, bits=8)
SMALL = {"channel_base": 64, "channel_max": 8, "z_dim": 6, "w_dim": 5}


@pytest.fixture(name="network", params=[{}, {"family": "stylegan1", "start_dimension": 16}])
def _network(request):
    torch.manual_seed(0)
    config = registry.parse_model({**SMALL, **request.param})
    family = style_family(config.family)
    generator = family.build(SPEC, Condition(("a", "b"), 2), config).generator.eval()
    for name, parameter in generator.named_parameters():
        if "noise" in name:  # begins at 0
            torch.nn.init.normal_(parameter)
    torch.nn.init.normal_(generator.mapping.w_avg)
    return family, generator


def test_sizes_of_the_latent_space(network):
    family, generator = network
    space = family.latent_space(generator)
    assert (space.z_dim, space.w_dim, space.rows) == (6, 5, generator.num_ws)
    assert space.noise[-1] == (8, 16)
    assert space.noise_pixels == sum(h * w for h, w in space.noise) > 0
    assert LatentSpace(1, 1, 1, ()).noise_pixels == 0


@pytest.mark.parametrize("noise", NoiseMode)
@pytest.mark.parametrize("center", TruncationCenter)
def test_sampling_is_mapping_truncation_and_synthesis(network, noise, center):
    family, generator = network
    z, label, seeds = torch.randn(3, 6), torch.eye(2)[[0, 1, 0]], torch.tensor([5, 6, 7])
    how = {"truncation": 0.5, "cutoff": 2, "center": center, "noise": noise, "seeds": seeds}
    with torch.no_grad():
        whole = family.sample(generator, z, label, **how)
        ws = family.mapping(generator, z, label)
        mean = family.mean_styles(generator, 3, label, center)
        pulled = torch.cat(((ws[:, :2] + mean[:, None]) / 2, ws[:, 2:]), 1)
        maps = family.noise_maps(generator, seeds) if noise is NoiseMode.RANDOM else None
        parts = family.synthesis(generator, pulled, noise=noise, maps=maps)
    assert torch.allclose(whole, parts, atol=1e-5)
    assert whole.shape == (3, 4, 8, 16)


def test_noise_maps_are_those_of_the_seed(network):
    family, generator = network
    seeds, pixels = torch.tensor([9, 3]), family.latent_space(generator).noise_pixels
    expected = Streams(0).normal("sample/noise", seeds, (pixels,))
    assert torch.equal(family.noise_maps(generator, seeds), expected)


def test_gradients_reach_styles_and_noise_maps(network):
    family, generator = network
    ws = family.mapping(generator, torch.randn(1, 6), torch.eye(2)[:1]).detach().requires_grad_()
    maps = family.noise_maps(generator, torch.tensor([0])).requires_grad_()
    family.synthesis(generator, ws, noise=NoiseMode.RANDOM, maps=maps).square().sum().backward()
    assert (ws.grad.abs().sum((0, 2)) > 0).all()
    assert (maps.grad != 0).any()


def test_feature_maps_of_every_resolution(network):
    family, generator = network
    with torch.no_grad():
        ws = family.mapping(generator, torch.randn(2, 6), torch.eye(2))
        maps = family.feature_maps(generator, ws)
        other = family.feature_maps(generator, ws.flip(0), noise=NoiseMode.CONST)
    assert list(maps) == ["4x8", "8x16"]
    for name, features in maps.items():
        assert f"{features.shape[2]}x{features.shape[3]}" == name
        assert torch.allclose(features, other[name].flip(0), atol=1e-5)
        assert not torch.allclose(features[0], features[1])


def test_truncation_at_its_ends():
    ws, mean = torch.randn(2, 3, 4), torch.randn(2, 4)
    assert torch.equal(truncate(ws, 1.0, mean), ws)
    assert torch.equal(truncate(ws, 0.0, mean), mean[:, None].expand(2, 3, 4))
    assert torch.equal(truncate(ws, 0.0, mean, 1)[:, 1:], ws[:, 1:])


def test_a_family_without_styles_is_refused_in_one_line(monkeypatch):
    monkeypatch.setitem(registry.FAMILIES, Staged.name, Staged())
    with pytest.raises(UserError, match="has no mapping.*needs a generator of stylegan2") as error:
        style_family(Staged.name)
    assert "\n" not in str(error.value)
