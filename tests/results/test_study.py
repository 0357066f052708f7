"""What a study says of itself."""

import pytest

from synthograph.results.study import StudyFacts


@pytest.mark.parametrize(
    ("unit", "several"),
    [
        ("patient", "patients"),
        ("block of slices", "blocks of slices"),
        ("biopsy", "biopsies"),
        ("day", "days"),
    ],
)
def test_several_groups_are_called_as_readers_do(unit: str, several: str) -> None:
    about = StudyFacts(name="a", data="a.zip", classes=("a", "b"), unit=unit)
    assert about.units == several
