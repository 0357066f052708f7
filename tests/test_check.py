"""Shapes are checked under pytest, in every test anew."""

import pytest
import torch
from jaxtyping import TypeCheckError

from synthograph.stats.nearest import squared_distances
from tests import CALLS, check_anew


def test_the_first_calls_of_a_function_are_checked() -> None:
    single, double = torch.zeros(2, 3), torch.zeros(2, 3, dtype=torch.float64)
    with pytest.raises(TypeCheckError):
        squared_distances(single, single)
    for _ in range(CALLS):
        squared_distances(double, double)
    squared_distances(single, single)
    check_anew()
    with pytest.raises(TypeCheckError):
        squared_distances(single, single)
