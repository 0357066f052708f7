"""Geometric augmentation of images so large that they are filtered: milliseconds of a warp, of its
derivative by the images, and of the derivative of that, as R1 takes it.

python benchmarks/warp.py
"""

import time

import torch

from synthograph.ops.transforms import rotation
from synthograph.ops.warp import warp

ROUNDS = 5


def main() -> None:
    """Measure two sizes, print the fastest of several rounds."""
    for count, size in ((4, 512), (8, 320)):
        value, first, second = (
            min(times) * 1e3 for times in zip(*rounds(count, size), strict=True)
        )
        print(f"{count} of {size}x{size}: {value:.0f} ms; {first:.0f} ms; {second:.0f} ms")


def rounds(count: int, size: int) -> list[list[float]]:
    """Seconds of the three, several times."""
    images = torch.randn(count, 3, size, size, requires_grad=True)
    inverse = rotation(torch.linspace(0.1, 0.7, count))
    found = []
    for _ in range(ROUNDS):
        marks = [time.perf_counter()]
        warped = warp(images, inverse)
        marks.append(time.perf_counter())
        (gradient,) = torch.autograd.grad(warped.tanh().sum(), images, create_graph=True)
        marks.append(time.perf_counter())
        torch.autograd.grad(gradient.square().sum(), images)
        marks.append(time.perf_counter())
        found.append([end - start for start, end in zip(marks, marks[1:], strict=False)])
    return found


if __name__ == "__main__":
    main()
