"""Several tests at once."""

import pytest

from synthograph.stats.comparisons import holm


def test_holm() -> None:
    assert holm([0.01, 0.04, None, 0.03]) == pytest.approx([0.03, 0.06, None, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0] and holm([None]) == [None]
