"""What is told of tensors that do not fit, and whether the way out helps."""

import numpy as np
import pytest
import torch
from torch import Tensor

from synthograph.core.errors import UserError
from synthograph.models.base import NoiseMode, TruncationCenter
from synthograph.models.inputs import (
    require_image,
    require_label,
    require_same_count,
    require_shape,
    require_styles,
)
from tests.models.stylegan2.test_networks import build, square


def way_out(error: pytest.ExceptionInfo[UserError], **names: object) -> Tensor:
    """What the Python that a message proposes gives."""
    code = str(error.value).partition("; try ")[2].partition(" for ")[0]
    assert code, error.value
    made = eval(code, {"torch": torch, **names})
    assert isinstance(made, Tensor)
    return made


@pytest.mark.parametrize(
    "given", [torch.randn(8), np.zeros((2, 8)), [[0.0] * 8], torch.zeros(2, 8, dtype=torch.cfloat)]
)
def test_ways_to_latents_that_fit(given: object) -> None:
    with pytest.raises(UserError, match=r"^z: this network needs a tensor of shape \[n, 8\]") as e:
        require_shape(given, [8], "z")
    assert require_shape(way_out(e, z=given), [8], "z").shape[1] == 8


@pytest.mark.parametrize("given", [torch.randn(2, 7), torch.randn(7), torch.tensor(1.0), None, "z"])
def test_latents_that_nothing_makes_fit(given: object) -> None:
    with pytest.raises(UserError, match=r"shape \[n, 8\], got [^;]+$"):
        require_shape(given, [8], "z")


@pytest.mark.parametrize("given", [None, torch.tensor([0, 2, 1]), torch.eye(3)[0], [[0, 1, 0]]])
def test_ways_to_labels_that_fit(given: object) -> None:
    with pytest.raises(UserError, match="^label: this network needs") as error:
        require_label(given, 3)
    assert require_label(way_out(error, label=given), 3).shape[1] == 3


def test_labels_and_latents_are_equally_many() -> None:
    z = torch.randn(4, 8)
    with pytest.raises(UserError, match="4 latents need 4 rows, got 1") as error:
        require_same_count(z, torch.eye(3)[:1])
    require_same_count(z, way_out(error, label=torch.eye(3)[:1]))
    with pytest.raises(UserError, match="4 latents need 4 rows, got 3$"):
        require_same_count(z, torch.eye(3))


def test_networks_refuse_what_does_not_fit() -> None:
    networks, plain = build(square(16), width=2), build(square(16))
    generator, z, label = networks.generator, torch.randn(2, 8), torch.eye(2)
    ws = generator.mapping(z, label)
    with pytest.raises(UserError, match=r"z: .* \[n, 8\], got \[2, 9\]"):
        generator(torch.randn(2, 9), label)
    with pytest.raises(UserError, match="z: .* got none"):
        generator.mapping(None, label)
    with pytest.raises(UserError, match=r"label: .* \[n, 2\], got \[2, 3\]"):
        generator(z, torch.eye(3)[:2])
    with pytest.raises(UserError, match="label: this network is not conditional, leave the label"):
        plain.generator(z, label)
    assert torch.equal(plain.generator(z, label[:, :0]), plain.generator(z))
    with pytest.raises(UserError, match=rf"ws: .* \[n, {generator.num_ws}, 8\], got \[2, 5, 8\]"):
        generator.synthesis(ws[:, :5])
    with pytest.raises(UserError, match="noise: .* got"):
        generator.synthesis(ws, noise=torch.randn(2, 5))
    with pytest.raises(UserError, match="noise mode 'off' is unknown"):
        generator(z, label, noise_mode="off")
    image = generator(z, label)
    judge = networks.discriminators["image"]
    with pytest.raises(UserError, match=r"image: .* \[n, 3, 16, 16\], got \[2, 3, 8, 8\]"):
        judge(image[:, :, ::2, ::2], label)
    for mode in (*NoiseMode, "random"):
        assert generator(z.double(), label, noise_mode=mode).dtype == torch.float32
    with pytest.raises(
        UserError, match="truncation center 'clas' is unknown: did you mean 'class'"
    ):
        TruncationCenter("clas")


def test_styles_of_one_row_and_images_of_whole_numbers() -> None:
    for given in (torch.randn(2, 8), torch.randn(6, 8)):
        with pytest.raises(UserError, match=r"^ws: .* \[n, 6, 8\], got") as error:
            require_styles(given, 6, 8)
        assert require_styles(way_out(error, ws=given), 6, 8).shape[1:] == (6, 8)
    image = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8)
    with pytest.raises(UserError, match="image: needs values in .*, got torch.uint8") as error:
        require_image(image, [3, 4, 4])
    assert float(require_image(way_out(error, image=image), [3, 4, 4]).abs().max()) <= 1
