"""Spaces over the configuration tree, checked before anything is trained."""

from pathlib import Path

import pytest

from synthograph.archive.reader import Archive, open_archive
from synthograph.core.errors import UserError
from synthograph.features import packaged
from synthograph.results.search import PRESET, ParameterKind
from synthograph.training import frozen
from synthograph.workflows.search_built_in import BUILT_IN
from synthograph.workflows.search_settings import SearchSettings
from synthograph.workflows.search_space import Space, open_space
from tests.conftest import make_archive


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Archive:
    return open_archive(make_archive(tmp_path_factory.mktemp("space") / "cells.zip"))


def opened(cells: Archive, space: object, **more: object) -> Space:
    tree = {"data": str(cells.path), "preset": "tiny", "space": space, **more}
    return open_space(cells, SearchSettings.parse(tree), "cpu")


def test_a_draw_becomes_a_configuration(cells: Archive) -> None:
    space = opened(
        cells,
        {
            "augment.target": {"low": 0.4, "high": 0.7, "when": {"augment.mode": "ada"}},
            "model.r1_gamma": {"times": [0.125, 8]},
            "augment.mode": ["noaug", "ada"],
            "training.batch": {"low": 8, "high": 32, "step": 8},
            "augment.pipe": ["blit", "bgc"],
        },
    )
    kinds = {each.path: each.kind for each in space.parameters}
    assert kinds["training.batch"] is ParameterKind.INTEGER
    assert list(kinds).index("augment.mode") < list(kinds).index("augment.target")
    own = space.base().model.r1_gamma
    drawn = {"model.r1_gamma": 2.0, "augment.mode": "ada", "augment.target": 0.5,
             "training.batch": 8, "augment.pipe": "blit"}  # fmt: skip
    config = space.configuration(drawn)
    assert config.model.r1_gamma == pytest.approx(2 * own)
    assert (config.augment.target, config.training.batch) == (0.5, 8)
    assert {n for n, of in config.augment.pipe.items() if of} <= {"xflip", "rotate90", "xint"}
    assert space.values(drawn)["model.r1_gamma"] == pytest.approx(2 * own)
    assert config.metrics.measures[:2] == ["kernel", "recall"]


def test_settings_of_whole_numbers_get_such(cells: Archive) -> None:
    """By what they take, not by what the preset gives: here nothing, or of another family."""
    space = opened(
        cells,
        {
            PRESET: ["tiny", "tiny-progressive"],
            "model.r1_interval": {"times": [0.25, 1], "when": {PRESET: "tiny"}},
            "model.mapping_width": {"low": 32, "high": 128, "when": {PRESET: "tiny"}},
            "model.batch_scale.4": {"low": 1, "high": 3, "when": {PRESET: "tiny-progressive"}},
        },
    )
    kinds = {each.path: each.kind for each in space.parameters}
    assert kinds["model.mapping_width"] is kinds["model.batch_scale.4"] is ParameterKind.INTEGER
    own = space.base("tiny").tree()["model"]["r1_interval"]
    drawn = {PRESET: "tiny", "model.r1_interval": 0.6, "model.mapping_width": 33}
    assert space.values(drawn)["model.r1_interval"] == round(0.6 * own) != 0.6 * own
    assert space.configuration(drawn).tree()["model"]["mapping_width"] == 33


def test_the_preset_itself_is_the_first_draw(cells: Archive) -> None:
    space = opened(
        cells,
        {
            "model.r1_gamma": {"times": [0.5, 2]},
            "augment.mode": ["none", "ada"],
            "augment.target": {"low": 0.4, "high": 0.7, "when": {"augment.mode": "ada"}},
        },
    )
    assert space.baseline() == {"model.r1_gamma": 1.0, "augment.mode": "none"}
    assert space.configuration(space.baseline() or {}) == space.base()
    outside = opened(cells, {"model.r1_gamma": {"low": 5, "high": 15}})
    assert outside.baseline() is None
    assert outside.configuration({}) == outside.base(), "which finalists are compared with"


@pytest.mark.parametrize(
    ("fixed", "said"),
    [
        ("training.kimg=5", "training.kimg is decided by the search: give it as kimg"),
        ("metrics.patience=2", "give it as first_rung and halving"),
        ("training.max_hours=1", "give it as hours"),
        ("seed=5", "seed is decided by the search: give it as seeds"),
        ("data.path=x.zip", "give it as data"),
        ("device=cuda", "give it as --device"),
        ("tracking.uri=http://127.0.0.1:9", "give it as --tracker, --tracking-uri"),
        ("tracking={uri: x}", "give it as --tracker, --tracking-uri"),
    ],
)
def test_settings_that_would_be_replaced_are_refused(cells: Archive, fixed: str, said: str) -> None:
    settings = SearchSettings(data=cells.path, preset="tiny", settings=[fixed])
    with pytest.raises(UserError, match="settings: ") as caught:
        open_space(cells, settings, "cpu")
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("space", "said"),
    [
        ({"model.r1_gama": [1]}, "unknown setting, did you mean 'model.r1_gamma'?"),
        ({"model.r1_gamma": {"low": -1, "high": 2}}, "model.r1_gamma: -1: must be at least 0"),
        ({"training.batch": [16, 1 << 22]}, "training.batch: 4194304: must be at most"),
        ({"training.batch": {"low": 4, "high": 8.5}}, "takes whole numbers"),
        ({"training.batch": {"low": 4, "high": 8, "step": 0.5}}, "takes whole numbers"),
        ({"model.mapping_width": {"low": 4, "high": 8.5}}, "takes whole numbers"),
        ({"training.batch": {"low": 8, "high": 32}}, "values between are drawn, too"),
        ({"training.batch": {"times": [0.5, 2]}}, "times the preset's: training.batch_gpu 14 is"),
        ({"augment.mode": ["none", "adaa"]}, "did you mean 'ada'?"),
        ({"training.kimg": [1, 2]}, "is decided by the search: give it as kimg"),
        ({"precision": ["fp32", "bf16"]}, "says how to compute: fix it under settings"),
        ({"threads": [1, 2]}, "says how to compute: fix it under settings"),
        ({"training.max_hours": {"low": 1, "high": 2}}, "give it as hours"),
        ({"metrics.num": [10, 20]}, "would change what trials are measured by"),
        ({"data.subset": [10, 20]}, "would change what trials are measured by"),
        ({"preset": ["tiny", "tinny"]}, "'tinny' is unknown"),
        ({"model.path_weight": {"times": [0.5, 2]}}, "there are no multiples"),
        ({"augment.p": {"low": 0.1, "high": 0.2, "when": {"augment.mod": "x"}}}, "is not searched"),
        (
            {"augment.mode": ["none", "ada"],
             "augment.target": {"low": 0, "high": 1, "when": {"augment.mode": "adda"}}},
            "augment.mode is never adda: did you mean 'ada'?",
        ),
        (
            {"augment.p": {"low": 0.1, "high": 0.2, "when": {"augment.target": 1}},
             "augment.target": {"low": 0, "high": 1, "when": {"augment.p": 1}}},
            "depend on each other",
        ),
        ("smal-data", "did you mean 'small-data'?"),
    ],
)  # fmt: skip
def test_what_the_configuration_refuses(cells: Archive, space: object, said: str) -> None:
    with pytest.raises(UserError) as caught:
        opened(cells, space)
    assert said in str(caught.value)


def test_a_value_that_needs_another_setting_gets_it(cells: Archive) -> None:
    space = opened(
        cells,
        {
            "augment.mode": ["none", "fixed"],
            "augment.p": {"low": 0.1, "high": 0.5, "when": {"augment.mode": "fixed"}},
        },
    )
    assert [each.path for each in space.parameters] == ["augment.mode", "augment.p"]
    with pytest.raises(UserError, match="augment.mode: fixed: .*needs a strength"):
        opened(cells, {"augment.mode": ["none", "fixed"]})


@pytest.mark.parametrize("name", BUILT_IN)
def test_built_in_spaces_fit_what_is_there(cells: Archive, name: str) -> None:
    space = opened(cells, name)
    assert len(space.parameters) >= 4
    for parameter in space.parameters:
        if parameter.path == "model.r1_gamma":
            assert parameter.relative is (name == "small-data")
    presets = {each.path: each for each in space.parameters}.get(PRESET)
    assert presets is not None and len(presets.choices) >= 2


def test_what_images_forbid_is_left_out_of_a_built_in_space(tmp_path: Path) -> None:
    knees = make_archive(tmp_path / "knees.zip", invariances=())
    space = opened(open_archive(knees), "published")
    assert "data.mirror" not in [each.path for each in space.parameters]
    assert any("left out of the space: data.mirror" in note for note in space.notes)


def test_a_preset_without_its_weights_is_left_out_of_a_built_in_space(
    cells: Archive, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(packaged.Package, "path", None)
    monkeypatch.setenv("SYNTHOGRAPH_CACHE", str(tmp_path))
    frozen._taps.cache_clear()
    space = opened(cells, "small-data", preset="tiny")
    presets = next(each for each in space.parameters if each.path == PRESET)
    assert presets.choices == ("tiny", "tiny-progressive")
    (note,) = space.notes
    assert "preset: tiny-projected: the weights of efficientnet-lite0 are not here" in note
    with pytest.raises(UserError, match="preset: tiny-projected: the weights"):
        opened(cells, {PRESET: ["tiny", "tiny-projected"]}, preset="tiny")


def test_presets_that_are_still_growing_are_left_out_of_a_built_in_space(tmp_path: Path) -> None:
    large = open_archive(make_archive(tmp_path / "large.zip", size=(32, 32)))

    def tried(kimg: float, **more: object) -> tuple[bool, list[str]]:
        space = opened(large, "small-data", kimg=kimg, **more)
        found = next(each for each in space.parameters if each.path == PRESET)
        said = [note for note in space.notes if "its networks grow until 20 kimg" in note]
        return "tiny-progressive" in found.choices, said

    among, (note,) = tried(40)
    assert not among and note.endswith("compared at 12: it takes part with a kimg of 67 or more")
    assert tried(67) == (True, [])
    assert not tried(66)[0] and tried(20, halving=1)[0]
    assert tried(10, preset="tiny-progressive")[0], "which was asked for"


def test_a_race_is_no_preset_of_a_search(cells: Archive) -> None:
    with pytest.raises(UserError, match="race of tiny and tiny-projected, a search needs one"):
        opened(cells, "sizes", preset="quick")


def test_a_preset_that_is_judged_through_its_own_eyes_is_named(cells: Archive) -> None:
    space = {PRESET: ["tiny", "tiny-projected"]}
    judge = "metrics.features=efficientnet-lite0"
    (note,) = opened(cells, space, settings=[judge]).notes
    assert "discriminator of tiny-projected looks through efficientnet-lite0" in note
    assert not opened(cells, space, settings=["metrics.features=random-vgg16"]).notes
    assert not opened(cells, {PRESET: ["tiny"]}, settings=[judge]).notes
