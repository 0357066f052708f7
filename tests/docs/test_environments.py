"""The environments of conda ask for what the package asks for."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
OURS = {"pytorch-cpu": "torch", "pytorch-gpu": "torch", "matplotlib-base": "matplotlib"}
"""Packages that conda calls otherwise."""


@pytest.mark.parametrize("name", ["environment.yml", "environment-cuda.yml"])
def test_an_environment_asks_for_what_the_package_asks_for(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    least = {re.split("[>=]", each)[0]: each.partition(">=")[2] for each in project["dependencies"]}
    asked = yaml.safe_load((ROOT / name).read_text())["dependencies"]
    plain = [each for each in asked if isinstance(each, str) and ">=" in each]
    assert len(plain) >= 5
    for package, _, version in (each.partition(">=") for each in plain):
        assert least[OURS.get(package, package)] == version, package
    assert f">={asked[0].partition('=')[2]}" == project["requires-python"]
    (through_pip,) = (each["pip"] for each in asked if not isinstance(each, str))
    assert through_pip == ["-e .[all]"]
