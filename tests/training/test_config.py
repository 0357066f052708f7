"""Settings of a run: an option for each, called by whatever gave them."""

from pathlib import Path

import pytest

from synthograph.core.config import calling, describe
from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.features import packaged
from synthograph.features.packaged import RANDOM, TRAINED
from synthograph.models.registry import FAMILIES
from synthograph.training.config import OPTIONS, RunConfig, TrainRequest
from synthograph.training.presets import resolve
from synthograph.training.resume import extended

SPEC = ImageSpec(height=16, width=16, modalities={"image": 3})


def test_every_option_is_about_a_setting_and_says_what_it_does() -> None:
    known = {setting.path for setting in describe(RunConfig)}
    for family in FAMILIES.values():
        known |= {setting.path for setting in describe(family.Config, "model.")}
    assert set(OPTIONS) <= known
    for option in OPTIONS.values():
        assert TrainRequest.model_fields[option.name].description


def test_what_is_typed_becomes_settings() -> None:
    assert TrainRequest().setting_tree() == {}
    typed = {"data": Path("a.zip"), "cond": True, "seed": 0, "gamma": 0.0, "fold": 0}
    request = TrainRequest.parse(
        {**typed, "aug": "noaug", "augpipe": "blit", "metrics": "frechet, kernel"}
    )
    tree = request.setting_tree()
    pipe = tree["augment"].pop("pipe")
    assert tree == {
        "data": {"path": "a.zip", "cond": True, "fold": 0},
        "augment": {"mode": "none"},
        "metrics": {"measures": ["frechet", "kernel"]},
        "seed": 0,
        "model": {"r1_gamma": 0.0},
    }
    assert pipe["xflip"] == 1 and pipe["scale"] == 0
    assert TrainRequest.parse({"metrics": "none"}).given() == {"metrics.measures": []}
    with pytest.raises(UserError, match="--augpipe 'blot' is unknown: did you mean 'blit'"):
        TrainRequest.parse({"augpipe": "blot"}).given()


@pytest.mark.parametrize(
    ("typed", "sets", "file", "words"),
    [
        ({"gamma": -1.0}, {}, {}, "^--gamma -1: must be at least 0$"),
        ({}, {"model": {"r1_gamma": -1}}, {}, "^--set model.r1_gamma -1: must be at least 0$"),
        ({}, {}, {"training": {"bacth": 1}}, "^run.yaml: training.bacth: unknown setting, did you"),
        ({"batch": 0}, {"training": {"batch": 1}}, {}, "^--batch 0: must be at"),
        ({"p": 2.0}, {}, {}, "^--p 2: must be at most 1$"),
        ({"batch": 64, "batch_gpu": 21}, {}, {}, "must divide .* 64; the nearest that does: 16$"),
        ({"precision": "fp8"}, {}, {}, "^--precision: 'fp8' is unknown: known are: auto, fp32"),
        ({"aug": "fixed"}, {}, {}, "^augment.mode|needs a strength"),
    ],
)
def test_refused_settings_of_a_run(typed: dict, sets: dict, file: dict, words: str) -> None:
    with pytest.raises(UserError, match=words), calling(TrainRequest.flags()):
        request = TrainRequest.parse({**typed, "config": "run.yaml"})
        parts = [{"data": {"path": "x"}}, file, sets, request.setting_tree()]
        with calling(request.names(sets, file)):
            resolve(SPEC, "tiny", parts)


def test_a_section_cannot_be_a_number() -> None:
    for section in ("data", "model", "augment", "training", "metrics"):
        with pytest.raises(UserError, match="group of settings"):
            RunConfig.check_sections({section: 4})


@pytest.mark.parametrize("here", [True, False])
def test_a_run_keeps_the_extractor_that_it_began_with(
    here: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = TRAINED if here else RANDOM
    monkeypatch.setattr(packaged, "trained_is_here", lambda: here)
    begun = resolve(SPEC, "tiny", [{"data": {"path": "a.zip"}}])
    assert begun.metrics.features == own
    (shown,) = [s.default for s in describe(RunConfig) if s.path == "metrics.features"]
    assert shown == own
    kept = begun.tree()  # as config.json holds it
    monkeypatch.setattr(packaged, "trained_is_here", lambda: not here)
    again = extended(RunConfig.parse(kept), {"training": {"kimg": 1000}}, tmp_path)
    assert again.metrics.features == own
    with pytest.raises(UserError, match=f"was started with metrics.features = '{own}'"):
        extended(again, {"metrics": {"features": RANDOM if here else TRAINED}}, tmp_path)
    old = RunConfig.parse({**kept, "metrics": []})
    assert old.metrics.features == RANDOM, "runs of before measures were built"
