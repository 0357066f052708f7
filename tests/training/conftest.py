"""Runs of these tests train on the smallest images that have two levels."""

from pathlib import Path

import pytest

from tests.conftest import make_archive


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return make_archive(tmp_path / "set.zip", size=(8, 8))
