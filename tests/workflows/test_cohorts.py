"""What is said about cohorts."""

import pytest

from synthograph.core.errors import UserError
from synthograph.core.progress import Silent
from synthograph.sources.cohorts import cohort_names
from synthograph.workflows.cohorts import run
from synthograph.workflows.requests import CohortsRequest, PrepareRequest


def test_all_are_listed() -> None:
    found = run(CohortsRequest(), progress=Silent())
    text = "\n".join(found.lines())
    assert list(found.json()) == cohort_names()
    assert all(name in text for name in cohort_names()) and "--cohort NAME --dry-run" in text


@pytest.mark.parametrize("name", cohort_names())
def test_one_is_told_whole(name: str) -> None:
    found = run(CohortsRequest(name=name), progress=Silent())
    text = " ".join(line.strip() for line in found.lines())
    record = found.json()
    assert all(trap["text"] in text for trap in record["traps"])
    assert all(said in text for said in (record["unit"], record["home"], *record["unsure"]))


def test_none_is_refused() -> None:
    with pytest.raises(UserError, match="'synthograph cohorts' lists all"):
        run(CohortsRequest(name="isic"), progress=Silent())


@pytest.mark.parametrize("name", cohort_names())
def test_options_of_a_cohort_are_those_of_prepare(name: str) -> None:
    record = run(CohortsRequest(name=name), progress=Silent()).json()
    asked = {"source": "a", "dest": "b.zip", "invariant": record["invariant"], **record["options"]}
    assert PrepareRequest.parse(asked)
