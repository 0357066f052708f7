"""The losses of the projected family against plain writings-out."""

from pathlib import Path

import pytest
import torch
from torch.nn.functional import conv2d

from synthograph.archive.reader import open_archive
from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.features.taps import UNTRAINED
from synthograph.models.base import Batch, Condition, Phase
from synthograph.models.projected.config import ProjectedConfig
from synthograph.models.projected.family import Projected
from synthograph.models.projected.networks import Discriminator, Head, NormalisedConv
from synthograph.models.projected.phases import Losses
from synthograph.models.spread import pair_distances, spread_loss
from synthograph.training.augmentation import set_strength
from synthograph.training.config import RunConfig
from synthograph.training.presets import resolve
from synthograph.training.resume import extended
from synthograph.training.session import Session
from synthograph.training.setup import make_session, open_data, resolve_machine, resolve_run
from tests.conftest import make_archive
from tests.models.projected.test_family import SMALL


def session(tmp_path: Path, **model: object) -> Session:
    archive = make_archive(tmp_path / "set.zip", size=(8, 8))
    parts = [
        {"data": {"path": str(archive), "cond": True}, "device": "cpu", "precision": "fp32"},
        {"model": {"family": "projected", **SMALL, "norm_group": 4, **model}},
        {"training": {"batch": 8, "batch_gpu": 4, "kimg": 0.1}},
    ]
    config = resolve_machine(resolve(open_archive(archive).info.spec, "tiny-projected", parts))
    return make_session(config, open_data(config))


def parts_of(made: Session) -> tuple[Phase, Phase, Losses, Discriminator]:
    first, second = made.phases
    losses = first.loss.__self__  # type: ignore[attr-defined]
    head = made.state.networks.discriminators["image"]
    assert isinstance(losses, Losses) and isinstance(head, Discriminator)
    return first, second, losses, head


def test_the_second_phase_takes_what_the_first_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = session(tmp_path)
    first, second, losses, _ = parts_of(made)
    batch = made.batch(8)
    drawn: list[int] = []
    plain = losses._synthesise

    def counted(part: Batch, phase: str) -> tuple[torch.Tensor, torch.Tensor]:
        drawn.append(len(part))
        return plain(part, phase)

    monkeypatch.setattr(losses, "_synthesise", counted)
    for phase in (first, second):
        made.run_phase(phase, batch)
    assert drawn == [4, 4]
    made.microbatch = 8  # another cut: nothing was left for these images
    made.run_phase(second, batch)
    assert drawn == [4, 4, 8]


@pytest.mark.parametrize("group", [4, 32])
def test_real_images_are_judged_apart_from_synthetic_ones(tmp_path: Path, group: int) -> None:
    made = session(tmp_path, norm_group=group)
    _, second, losses, head = parts_of(made)
    batch = made.batch(4)
    with torch.no_grad():
        real = head(losses._mixed(batch.reals, batch, "Dmain")["image"], batch.labels)
        alone = torch.stack([x.mean(1) for x in real]).mean(0)
    assert torch.equal(second.loss(batch).stats["Loss/scores/real"], alone)


def test_pairs_share_a_draw_of_the_augmentation(tmp_path: Path) -> None:
    made = session(tmp_path)
    *_, losses, _ = parts_of(made)
    set_strength(made.pipe, 1)
    batch = made.batch(8)
    equal = batch.reals[::2].repeat_interleave(2, 0)
    seen = losses._mixed(equal, batch, "test")["image"]
    assert float(pair_distances(seen).max()) < 1e-4
    (tmp_path / "apart").mkdir()
    apart = session(tmp_path / "apart", shared_draw=False)
    set_strength(apart.pipe, 1)
    seen = parts_of(apart)[2]._mixed(equal, batch, "test")["image"]
    assert float(pair_distances(seen).max()) > 1e-2


def test_the_spread_loss_asks_for_the_distances_that_heads_keep(tmp_path: Path) -> None:
    made = session(tmp_path)
    first, _, losses, head = parts_of(made)
    head.spread.copy_(torch.tensor([[50.0, 0.01], [40.0, 0.0]]))
    batch = made.batch(4)
    with torch.no_grad():
        mixed = losses._mixed(losses._synthesise(batch, "Gmain")[0], batch, "Gmain")
    expected, ratio = spread_loss(mixed, batch.synthetic_labels, {"image": head.spread})
    stats = first.loss(batch).stats
    assert float(expected.min()) > 0.1, "the first picture falls short"
    torch.testing.assert_close(stats["Loss/spread"], expected)
    torch.testing.assert_close(stats["Progress/spread"], ratio)


def test_the_mean_distance_follows_real_pairs(tmp_path: Path) -> None:
    made = session(tmp_path)
    _, second, losses, head = parts_of(made)
    batch = made.batch(8)
    made.run_phase(second, batch)
    with torch.no_grad():
        distances = pair_distances(losses._mixed(batch.reals, batch, "Dmain")["image"])
    kinds = batch.labels[::2].argmax(1)
    for kind in kinds.unique():
        expected = distances[kinds == kind].mean(0)
        torch.testing.assert_close(head.spread[kind], expected, rtol=1e-4, atol=1e-5)
    powers = [x.square().mean() for x in losses._mixed(batch.reals, batch, "Dmain")["image"]]
    assert torch.stack(powers).tolist() == pytest.approx([1, 1], rel=1e-3), "unit variance"
    before = head.spread.clone()
    made.run_phase(second, batch)
    torch.testing.assert_close(head.spread, before, rtol=1e-4, atol=1e-5)


def test_kernels_have_a_largest_singular_value_of_one() -> None:
    torch.manual_seed(0)
    layer = NormalisedConv(3, 5, 3)
    for _ in range(50):
        layer.iterate()
    x = torch.randn(2, 3, 6, 6)
    largest = torch.linalg.matrix_norm(layer.weight.flatten(1), 2)
    torch.testing.assert_close(
        layer(x), conv2d(x, layer.weight / largest, padding=1), rtol=1e-3, atol=1e-4
    )


@torch.no_grad()
def test_a_head_without_hidden_layers_is_linear() -> None:
    """And so sees the mean of a class only, whatever kinds of image the class holds."""
    torch.manual_seed(0)
    one, other = torch.randn(2, 4, 4, 4, 4)
    label = torch.eye(2)[[0, 1, 0, 1]]
    for layers, bent in ((0, False), (2, True)):
        config = ProjectedConfig.parse({**SMALL, "head_layers": layers})
        head = Head(4, (4, 4), 2, config)
        assert sum(isinstance(part, NormalisedConv) for part in head.layers) == layers
        between = head((one + other) / 2, label) - (head(one, label) + head(other, label)) / 2
        assert (float(between.abs().max()) > 1e-3) is bent
        assert len(Head(4, (16, 16), 2, config).layers) == 3 * 2, "halvings are hidden layers"


def test_no_head_of_the_preset_is_linear() -> None:
    spec = ImageSpec(height=32, width=32, modalities={"image": 3})
    features = {"name": UNTRAINED, "strides": [4, 8, 16, 32], "channels": [24, 40, 112, 320]}
    parts = {"data": {"path": "set.zip"}, "model": {"features": features}}
    config = resolve(spec, "tiny-projected", [parts]).model
    made = Projected().build(spec, Condition(), config).discriminators["image"]
    assert isinstance(made, Discriminator)
    assert [len(head.layers) // 3 for head in made.heads] == [2, 2, 2, 2]  # type: ignore[arg-type]


@pytest.mark.parametrize(("gpus", "share"), [(1, 32), (2, 16), (3, 8), (5, 4), (7, 4), (17, 2)])
def test_shares_of_all_gpus_divide_the_batch(gpus: int, share: int) -> None:
    spec = ImageSpec(height=32, width=32, modalities={"image": 3})
    config = resolve(spec, "tiny-projected", [{"data": {"path": "set.zip"}}], gpus=gpus)
    assert config.training.batch_gpu == share


def test_networks_of_other_features_are_refused(tmp_path: Path) -> None:
    made = session(tmp_path)
    features = made.config.model.frozen_features
    assert features is not None and features.sha256 and features.channels == [24, 40]
    tree = made.config.tree()
    tree["model"]["features"]["sha256"] = "0" * 64
    with pytest.raises(UserError, match="are not those that this .* with --init-from none$"):
        make_session(RunConfig.parse(tree), made.rows)
    with pytest.raises(UserError, match="cannot be resumed"):
        extended(made.config, {"model": {"features": {"name": "vgg16"}}}, tmp_path)


def test_one_image_at_once_is_refused(tmp_path: Path) -> None:
    archive = make_archive(tmp_path / "set.zip", size=(8, 8))
    coarse = {"features": {"name": UNTRAINED, "strides": [32]}}  # one place
    model = {"family": "projected", **SMALL, **coarse, "pairs": False, "spread_weight": 0.0}
    parts = [
        {"data": {"path": str(archive)}, "device": "cpu", "precision": "fp32", "model": model},
        {"training": {"batch": 1, "kimg": 0.1}},
    ]
    config = resolve_machine(resolve(open_archive(archive).info.spec, "tiny-projected", parts))
    with pytest.raises(UserError, match="one image at once .* must be 2 or more"):
        make_session(config, open_data(config)).step()


def test_settings_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    archive = open_archive(make_archive(tmp_path / "set.zip", size=(8, 8)))
    model = {"family": "projected", **SMALL}

    def refused(match: str, **settings: object) -> None:
        with pytest.raises(UserError, match=match):
            resolve_run(archive, "tiny-projected", [{"model": {**model, **settings}}])

    refused("spread_weight needs pairs", pairs=False)
    refused(
        "features.strides.*pictures at 4, 8, 16, 32",
        features={"name": SMALL["features"]["name"], "strides": [3]},
    )
    refused("multiple of 2", norm_group=3)
    with pytest.raises(UserError, match="batch_gpu 1 must be a multiple of 2, the images of one"):
        resolve_run(archive, "tiny-projected", [{"model": model, "training": {"batch_gpu": 1}}])
