"""The offline default: the same numbers everywhere, different for different images."""

import copy
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from synthograph.core.devices import Precision
from synthograph.features.base import NetworkExtractor
from synthograph.features.random_vgg import DIMS, NAME, draw, network
from synthograph.features.registry import extractor
from tests.features.states import images

SHA256 = "2d5392408f58292573d4294fc88b1e98e77de8d7499311aa522da55c4e7160f3"


@pytest.fixture(scope="module")
def random_vgg() -> NetworkExtractor:
    return extractor(NAME)  # type: ignore[return-value]


def test_the_weights_are_the_same_on_every_machine(random_vgg: NetworkExtractor) -> None:
    assert random_vgg.digest.sha256 == SHA256
    told = random_vgg.describe()
    assert told["extractor"] == "random-vgg16"
    assert told["indicative"] is True
    assert told["weights"]["sha256"] == SHA256
    assert "random weights" in told["source"]


def test_weights_by_hand() -> None:
    """One filter in Python's integers."""
    from synthograph.core.seeds import random_words

    drawn = [int(w) >> 8 for w in random_words(2020, "random-vgg16/x", torch.tensor([1]), 6)[0]]
    signed = [2 * d - (2**24 - 1) for d in drawn]
    # variance 2 / inputs: of a uniform number between -a and a it is a^2 / 3
    expected = [s / 2**24 * (6 / 6) ** 0.5 for s in signed]
    plain = draw("x", (2, 6), centred=False)[1]
    np.testing.assert_allclose(plain, expected, rtol=1e-6)
    centred = draw("x", (2, 6), centred=True)[1]
    np.testing.assert_allclose(centred, np.array(expected) - np.mean(expected), atol=1e-6)


def test_variance_and_independence() -> None:
    first, second = (draw(name, (64, 128, 3, 3), centred=False) for name in ("a", "b"))
    assert float(first.var()) * 1152 == pytest.approx(2, rel=0.02)
    correlation = np.corrcoef(first.flatten(), second.flatten())[0, 1]
    assert abs(correlation) < 0.02
    layer = network()[0].hidden.weight
    assert float(layer.sum(1).abs().max()) < 1e-5


def test_golden_values(random_vgg: NetworkExtractor) -> None:
    """What one picture gives; convolutions of other machines round differently."""
    got = random_vgg(images(1, 3, 64, 64))
    assert got.shape == (1, DIMS)
    np.testing.assert_allclose(got[0, :4], [-0.186673, -0.225810, -0.239732, 0.063353], atol=2e-4)


def test_another_process_gives_the_same(random_vgg: NetworkExtractor) -> None:
    code = (
        "from synthograph.features.registry import extractor\n"
        "from tests.features.states import images\n"
        "print(extractor('random-vgg16')(images(3, 1, 40, 24, seed=5)).numpy().tobytes().hex())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    expected = random_vgg(images(3, 1, 40, 24, seed=5))
    got = np.frombuffer(bytes.fromhex(done.stdout.strip()), np.float32).reshape(3, DIMS)
    np.testing.assert_allclose(got, expected, rtol=1e-4)


def test_batches_do_not_matter(random_vgg: NetworkExtractor) -> None:
    pictures = images(70, 3, 32, 32)
    whole = random_vgg(pictures)
    parts = torch.cat([random_vgg(part) for part in pictures.split(27)])
    torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-5)


def collinearity(features: torch.Tensor) -> tuple[float, float]:
    """Mean cosine of two images, and how many directions hold the variance."""
    unit = features / features.norm(dim=1, keepdim=True)
    cosines = (unit @ unit.T)[~torch.eye(len(unit), dtype=torch.bool)]
    spread = torch.linalg.eigvalsh(features.double().T.cov())
    return float(cosines.mean()), float(spread.sum() ** 2 / spread.square().sum())


def test_zero_sum_filters_make_features_less_collinear(random_vgg: NetworkExtractor) -> None:
    pictures = images(60, 3, 32, 32, seed=3)
    plain = copy.deepcopy(random_vgg.network)
    with torch.no_grad():
        for name in ("hidden", "last"):
            weight = plain.get_submodule(name).weight
            weight.copy_(draw(f"{name}.weight", tuple(weight.shape), centred=False))
    cosine, directions = collinearity(random_vgg(pictures))
    before = collinearity(replace(random_vgg, network=plain)(pictures))
    assert 1 - cosine > 2 * (1 - before[0])
    assert directions > 1.5 * before[1]


def textures(count: int, seed: int) -> torch.Tensor:
    """Smooth pictures with fine detail, 0 ... 255 as fractional numbers."""
    generator = torch.Generator().manual_seed(seed)
    detail = torch.rand(count, 3, 32, 32, generator=generator)
    fine = torch.nn.functional.interpolate(detail, (64, 64), mode="bicubic")
    return 0.5 * images(count, 3, 64, 64, seed=seed).float() + 100 * fine


@pytest.mark.parametrize("defect", ["blur", "noise"])
def test_blur_and_noise_are_seen(random_vgg: NetworkExtractor, defect: str) -> None:
    """The change of the mean features is far above what two halves of one set differ by."""
    pictures = textures(48, 1)
    if defect == "blur":
        changed = torch.nn.functional.avg_pool2d(pictures, 3, 1, 1, count_include_pad=False)
    else:
        changed = pictures + 16 * torch.randn(pictures.shape, generator=torch.manual_seed(2))
    whole, other = (
        random_vgg(x.round().clamp(0, 255).to(torch.uint8)) for x in (pictures, changed)
    )
    floor = (whole[:24].mean(0) - whole[24:].mean(0)).norm()
    assert float((whole.mean(0) - other.mean(0)).norm() / floor) > 2


def test_bf16_comes_near(random_vgg: NetworkExtractor) -> None:
    pictures = images(16, 3, 32, 32, seed=4)
    exact, coarse = random_vgg(pictures), extractor(NAME, precision=Precision.BF16)(pictures)
    assert coarse.dtype == torch.float32
    spread = (exact - exact.mean(0)).norm()
    assert 0 < float((coarse - exact).norm() / spread) < 0.1
