"""Software and machine in words that may be published."""

import pytest

from synthograph.results.environment import Environment, distinct, told

VERSIONS = {"synthograph": "1.0", "python": "3.12.1", "torch": "2.12.0"}
CPU = Environment(**VERSIONS, processor="Some CPU @ 2 GHz", threads=1)
GPUS = Environment(**VERSIONS, processor="Other CPU", threads=8, gpu="Some GPU", processes=4)
SOFTWARE = "synthograph 1.0, Python 3.12.1, PyTorch 2.12.0"


@pytest.mark.parametrize(
    ("environment", "machine"),
    [
        (CPU, "Some CPU @ 2 GHz, 1 thread"),
        (GPUS, "4 × Some GPU, Other CPU, 8 threads in each of 4 processes"),
    ],
)
def test_words(environment: Environment, machine: str) -> None:
    assert str(environment) == told([environment]) == f"{SOFTWARE}; {machine}"
    assert Environment.parse(environment.tree(), "file") == environment == environment.public()


def test_several_are_numbered_and_each_is_told_once() -> None:
    assert distinct([CPU, GPUS, CPU]) == (CPU, GPUS)
    assert told([CPU, GPUS, CPU]) == f"2 different environments: (1) {CPU}. (2) {GPUS}"
    assert told([]) == ""


def test_half_of_the_truth_is_not_told() -> None:
    assert distinct([CPU, None]) == ()
    assert told([CPU, None, GPUS]) == ""


def test_a_processor_cannot_smuggle_a_path() -> None:
    named = CPU.replace(processor="/home/somebody/cpu.txt")
    assert "somebody" not in str(named.public())
