"""The time of a training is measured, and what is measured leaves no trace."""

import torch
from torch import Tensor, nn

from synthograph.downstream.fit_time import fit_seconds, validations
from synthograph.downstream.fitting import Batch, FitConfig, Score, Task
from synthograph.downstream.orders import shuffled


def test_the_time_is_measured_and_nothing_is_trained() -> None:
    network, looked = nn.Linear(4, 1), []
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}

    def loss(batch: Batch) -> Tensor:
        return network(torch.ones(len(batch.numbers), 4)).square().mean()

    made = Task(network, loss, lambda: Score(1.0), shuffled(20, 0), "ones")
    config = FitConfig(steps=30, batch=8, every=7)
    found = fit_seconds(made, config, looked.append, checked=5, more=20)
    assert found > 0
    assert looked == [5]
    assert validations(config) == 5
    assert all((before[name] == tensor).all() for name, tensor in network.state_dict().items())
    assert all(each.grad is None for each in network.parameters())
