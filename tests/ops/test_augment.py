"""The pipeline against the published results, its derivatives, and what it may do to images."""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

from synthograph.ops.augment import AugmentPipe
from synthograph.ops.operations import BUNDLES, OPERATIONS, allowed
from synthograph.ops.warp import warp
from tests.conftest import NVIDIA

GROUPS = {f"all_{name}": BUNDLES[name] for name in ("blit", "geom", "color")} | {
    "bgc": BUNDLES["bgc"]
}


def published():
    for path in sorted(NVIDIA.glob("augment_*.npz")):
        for key in np.load(path).files:
            if key != "input":
                yield pytest.param(path, key, id=f"{path.stem}-{key}")


@pytest.mark.parametrize(("path", "key"), list(published()))
def test_equals_the_published_result(path, key: str) -> None:
    data = np.load(path)
    name, percentile = key.split("@")
    pipe = AugmentPipe(**dict.fromkeys(GROUPS.get(name, (name,)), 1))
    got = pipe(torch.from_numpy(data["input"]), debug_percentile=float(percentile)).numpy()
    error = np.linalg.norm(got - data[key]) / np.linalg.norm(data[key])
    assert error < 1e-5


def all_on(**settings: float) -> AugmentPipe:
    return AugmentPipe(**{**dict.fromkeys(OPERATIONS, 1), **settings})


@pytest.mark.parametrize("size", [(8, 8), (7, 12)])
def test_two_derivatives_through_everything(size: tuple[int, int]) -> None:
    """Along random directions: the pipeline is linear in the images, so any wrong term shows."""
    torch.manual_seed(0)
    pipe = all_on(noise=0).double()
    x = torch.randn(1, 3, *size, dtype=torch.float64, requires_grad=True)

    def run(x):
        return pipe(x, debug_percentile=0.7)

    assert gradcheck(run, (x,), fast_mode=True)
    assert gradgradcheck(run, (x,), fast_mode=True)


def test_probability_zero_changes_nothing() -> None:
    pipe = all_on()
    pipe.p.zero_()
    x = torch.rand(4, 3, 16, 16) * 2 - 1
    torch.testing.assert_close(pipe(x), x, atol=1e-5, rtol=0)


def test_operations_fire_with_their_probability() -> None:
    torch.manual_seed(0)
    pipe = AugmentPipe(brightness=0.5)
    pipe.p.fill_(0.6)
    changed = (pipe(torch.zeros(4000, 1, 4, 4)).abs().amax((1, 2, 3)) > 0).float().mean()
    assert changed.item() == pytest.approx(0.3, abs=0.03)


def test_modalities_share_geometry_and_not_colour() -> None:
    torch.manual_seed(0)
    grey = torch.rand(8, 1, 16, 16)
    both = torch.cat((grey.expand(-1, 3, -1, -1), grey), dim=1)
    modalities = {"vis": 3, "nir": 1}
    moved = AugmentPipe(modalities=modalities, **dict.fromkeys(BUNDLES["bg"], 1))(both)
    torch.testing.assert_close(moved[:, 0], moved[:, 3])
    coloured = AugmentPipe(modalities=modalities, brightness=1)(both)
    assert not torch.allclose(coloured[:, 0], coloured[:, 3])


def test_other_channel_counts_keep_their_colours() -> None:
    x = torch.rand(2, 4, 8, 8)
    torch.testing.assert_close(AugmentPipe(**dict.fromkeys(BUNDLES["color"], 1))(x), x)


def test_half_turn_of_a_non_square_image() -> None:
    x = torch.rand(1, 1, 16, 24)
    half_turn = torch.diag(torch.tensor([-1.0, -1.0, 1.0]))[None]
    # twice a half turn cancels the asymmetry of the filter
    torch.testing.assert_close(warp(warp(x, half_turn), half_turn), x, atol=0.35, rtol=0)
    smooth = torch.linspace(0, 1, 24)[None, None, None].expand(1, 1, 16, -1).contiguous()
    torch.testing.assert_close(warp(smooth, half_turn), smooth.flip(3), atol=0.02, rtol=0)


def test_images_whose_meaning_would_change_are_left_alone() -> None:
    kept, left_out = allowed(BUNDLES["bgc"], ["colour"])
    assert left_out == ["xflip", "rotate90", "rotate"]
    assert kept == [name for name in BUNDLES["bgc"] if name not in left_out]
    assert allowed(BUNDLES["bgc"], [])[1] == ["xflip", "rotate90", "rotate", *BUNDLES["color"]]
    assert not allowed(BUNDLES["bgcfnc"], ["mirror", "rotate", "colour"])[1]


def test_each_operation_is_declared_whole() -> None:
    """What an operation needs of the pipeline follows from its entry; names are used once."""
    assert set(BUNDLES["bgcfnc"]) == set(OPERATIONS)
    for name, operation in OPERATIONS.items():
        assert operation.name == name and name in BUNDLES[operation.bundle]
        x = torch.rand(2, 3, 8, 8) * 2 - 1
        changed = AugmentPipe(**{name: 1})(x, debug_percentile=0.9)
        assert changed.shape == x.shape and not torch.equal(changed, x)
    leaks = [operation.leak[0] for operation in OPERATIONS.values() if operation.leak]
    assert len(leaks) == len(set(leaks)) == 6


def test_unknown_settings_are_refused() -> None:
    with pytest.raises(TypeError, match="xflop"):
        AugmentPipe(xflop=1)
