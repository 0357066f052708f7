"""Settings are called by whatever gave them."""

from pathlib import Path

import pytest

from synthograph.cli.settings import TRAIN_OPTIONS, setting_names
from synthograph.core.config import calling, describe
from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.training.config import RunConfig, resolve

SPEC = ImageSpec(height=16, width=16, modalities={"image": 3})


def test_every_flag_is_about_a_setting() -> None:
    known = {setting.path for setting in describe(RunConfig)} | {"model.r1_gamma"}
    assert set(TRAIN_OPTIONS) <= known


@pytest.mark.parametrize(
    ("given", "sets", "file", "words"),
    [
        ({"model": {"r1_gamma": -1.0}}, {}, {}, "^--gamma -1: must be at least 0$"),
        ({}, {"model": {"r1_gamma": -1}}, {}, "^--set model.r1_gamma -1: must be at least 0$"),
        ({}, {}, {"training": {"bacth": 1}}, "^run.yaml: training.bacth: unknown setting, did you"),
        ({"training": {"batch": 0}}, {"training": {"batch": 1}}, {}, "^--batch 0: must be at"),
        ({"augment": {"p": 2.0}}, {}, {}, "^--p 2: must be at most 1$"),
        ({"precision": "fp8"}, {}, {}, "^--precision: 'fp8' is unknown: known are: auto, fp32"),
        ({"augment": {"mode": "fixed"}}, {}, {}, "^augment.mode|needs a strength"),
    ],
)
def test_refused_settings_of_a_run(given: dict, sets: dict, file: dict, words: str) -> None:
    flags = [f"{k}.{n}" for k, v in given.items() if isinstance(v, dict) for n in v]
    flags += [key for key, value in given.items() if not isinstance(value, dict)]
    names = setting_names(flags, sets, file, Path("run.yaml"))
    parts = [{"data": {"path": "x"}}, file, sets, given]
    with pytest.raises(UserError, match=words), calling(names):
        resolve(SPEC, "tiny", parts)


def test_a_section_cannot_be_a_number() -> None:
    for section in ("data", "model", "augment", "training", "metrics"):
        with pytest.raises(UserError, match="group of settings"):
            RunConfig.check_sections({section: 4})
