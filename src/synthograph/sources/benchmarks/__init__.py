"""Image sets that are published as a few files of many images each, such as MNIST and CIFAR-10. A
new one is one file of this room that holds a `Benchmark`, and one entry in `BENCHMARKS`.
"""

from synthograph.sources.benchmarks.base import Benchmark
from synthograph.sources.benchmarks.cifar import Cifar
from synthograph.sources.benchmarks.medmnist import MedMnist
from synthograph.sources.benchmarks.mnist import Mnist

BENCHMARKS: tuple[Benchmark, ...] = (MedMnist(), Mnist(), Cifar())

__all__ = ["BENCHMARKS", "Benchmark"]
