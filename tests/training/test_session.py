"""What a step of training asks of its gradients, and of the device that it runs on."""

import math
from types import SimpleNamespace

import pytest
import torch

from synthograph.core.seeds import Streams
from synthograph.core.spec import ImageSpec
from synthograph.models.base import Batch, Condition, Stage
from synthograph.models.registry import family, parse_model
from synthograph.ops.augment import AugmentPipe
from synthograph.ops.operations import OPERATIONS
from synthograph.training.augmentation import augment_with
from synthograph.training.config import AugmentConfig
from synthograph.training.controllers import Adaptive
from synthograph.training.session import Session
from synthograph.training.stats import RunningMoments

N, LABELS = 8, 3
MODEL = {"family": "stylegan2", "channel_base": 64, "channel_max": 8, "z_dim": 8, "w_dim": 8}


@pytest.fixture(scope="module")
def there() -> SimpleNamespace:
    """A batch and the phases of a step, all tensors on the device `meta`."""
    meta = torch.device("meta")
    spec = ImageSpec(height=16, width=16, modalities={"vis": 3, "nir": 1})
    config = parse_model(MODEL)
    networks = family("stylegan2").build(spec, Condition(("a", "b", "c"), LABELS), config)
    networks.generator.to(meta)
    networks.discriminators.to(meta)
    networks.buffers = {name: value.to(meta) for name, value in networks.buffers.items()}
    pipe = AugmentPipe(modalities=spec.modalities, **dict.fromkeys(OPERATIONS, 1))
    pipe.p.fill_(0.5)
    labels = torch.zeros(N, LABELS, device=meta)
    images = torch.zeros(N, 4, 16, 16, device=meta)
    batch = Batch(images, labels, labels, torch.arange(N), Streams(0), range(N), Stage(16))
    phases = family("stylegan2").phases(networks, config, augment_with(pipe))
    return SimpleNamespace(batch=batch, phases={phase.name: phase for phase in phases})


@pytest.mark.parametrize("name", ["Gmain", "Greg", "Dmain", "Dreg"])
def test_no_loss_waits_for_a_gpu(name: str, there: SimpleNamespace) -> None:
    """Reading a value from the device, as `bool(x)` or `x.cpu()` do, would raise."""
    terms = there.phases[name].loss(there.batch)
    terms.loss.backward()
    RunningMoments().add_all(terms.stats)
    if terms.real_signs is not None:
        Adaptive(AugmentConfig()).observe(terms.real_signs)
    there.phases[name].update_running_stats(
        {key: rows.mean(0) for key, rows in terms.batch_stats.items()}
    )


@pytest.mark.parametrize(("odd", "finite"), [(1e30, True), (-math.inf, False), (math.nan, False)])
def test_a_gradient_may_be_large_but_not_infinite(odd: float, finite: bool, there) -> None:
    """The square of 1e30 is infinite in fp32, the gradient itself is not."""
    module = torch.nn.Linear(3, 2)
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    module.bias.grad[0] = odd
    networks = SimpleNamespace(trained={"G": module})
    session = SimpleNamespace(state=SimpleNamespace(networks=networks))
    assert Session._finite(session, there.phases["Gmain"]) is finite
