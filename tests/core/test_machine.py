"""Software and machine of this process."""

import platform
from pathlib import Path

import torch

from synthograph.core.machine import software_and_machine
from synthograph.results.environment import Environment


def test_a_processor_in_words_without_host_and_person() -> None:
    found = software_and_machine(torch.device("cpu"), 2)
    assert set(found) == set(Environment.model_fields)
    made = Environment(**found)
    assert (made.gpu, made.processes, made.threads) == ("", 2, torch.get_num_threads())
    assert made.torch == torch.__version__ and made.processor
    names = {platform.node(), Path.home().name}
    assert not names & {value for value in found.values() if isinstance(value, str)}
