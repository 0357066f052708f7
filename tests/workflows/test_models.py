"""Families, their settings, and all about one of them."""

from pathlib import Path

import pytest

from synthograph.core.errors import UserError
from synthograph.core.progress import Silent
from synthograph.models.registry import FAMILIES
from synthograph.results.search import ParameterKind, Search, SearchParameter
from synthograph.workflows.models import ModelsResult, ParameterResult, run
from synthograph.workflows.requests import ModelsRequest


def ask(**given: object) -> ModelsResult | ParameterResult:
    return run(ModelsRequest.parse(given), progress=Silent())


def search(folder: Path) -> Path:
    """A search of the R1 weight with two trials."""
    tree = {
        "kind": "search",
        "name": "first",
        "data": "set.zip",
        "measured_on": "set.zip:val",
        "family": "stylegan2",
        "preset": "tiny",
        "kimg": 10,
        "objectives": [{"measure": "kernel", "title": "Kernel", "smaller": True}],
        "parameters": [
            {
                "path": "model.r1_gamma",
                "kind": "number",
                "low": 0.5,
                "high": 2.0,
                "log": True,
                "relative": True,
                "preset_value": 0.01,
                "importance": 0.7,
            }
        ],
        "trials": [
            {
                "number": number,
                "state": state,
                "settings": {"model.r1_gamma": value},
                "seeds": [0],
                "kimg": 10,
                "seconds": 1,
                "values": [{"measure": "kernel", "value": result}],
            }
            for number, (value, state, result) in enumerate(
                [(0.01, "complete", 0.3), (0.02, "complete", 0.1), (0.015, "ended early", 0.05)]
            )
        ],
        "winner": {
            "trial": 1,
            "settings": {"preset": "tiny"},
            "sentence": "trial 1 won",
            "file": "winner.yaml",
        },
        "search_sha256": "00",
        "version": "1",
    }
    folder.mkdir()
    Search.parse(tree, "search.json").save(folder / "search.json")
    return folder


def test_every_family_says_what_it_is_for_and_what_its_presets_cost() -> None:
    text = "\n".join(ask().lines())
    for name, family in FAMILIES.items():
        assert f"{name}  presets: " in text
        assert all(preset in text for preset in family.preset_names())
        assert len(family.about) > 100
    assert "model.r1_gamma" not in text and "--family NAME" in text


def test_a_family_has_a_table_of_all_settings_with_their_meaning() -> None:
    for name in FAMILIES:
        found = ask(family=name)
        assert list(found.families) == [name]
        rows = found.families[name]["settings"]
        assert all(row["meaning"] for row in rows), [r["path"] for r in rows if not r["meaning"]]
        assert any("training.batch" in line for line in found.lines())


@pytest.mark.parametrize("name", ["r1_gamma", "model.r1_gamma", "gamma", "--gamma"])
def test_all_about_a_setting(name: str) -> None:
    found = ask(family="stylegan2", parameter=name, size=32)
    assert isinstance(found, ParameterResult)
    text = "\n".join(found.lines())
    assert "model.r1_gamma  of stylegan2: weight of the R1 penalty" in text
    assert "type: float, >= 0" in text and "--gamma or --set model.r1_gamma=VALUE" in text
    assert "at 32x32 0.01 in cifar" in text
    assert found.json()["families"]["stylegan2"]["presets"]["paper256"] == 1


def test_without_a_family_every_one_that_has_it_answers() -> None:
    assert set(ask(parameter="start_dimension").families) == {"stylegan1"}
    assert set(ask(parameter="training.batch").families) == set(FAMILIES)
    inside = ask(parameter="model.optimisers.G.lr", family="stylegan2")
    assert "each: lr > 0" in "\n".join(inside.lines())


def test_what_searches_found(tmp_path: Path) -> None:
    folder = search(tmp_path / "s")
    found = ask(parameter="r1_gamma", search=[str(folder)])
    text = "\n".join(found.lines())
    assert "tried model.r1_gamma from 0.5 to 2 times the preset's 0.01, by the logarithm" in text
    assert "Kernel, the best first: 0.02 gave 0.100, 0.01 gave 0.300\n" in text
    assert "trial 1 won" in text
    assert found.json()["searches"][0]["importance"] == 0.7
    other = "\n".join(ask(parameter="training.batch", search=[str(folder)]).lines())
    assert "did not try training.batch" in other


def test_a_search_across_presets_answers_for_each_family(tmp_path: Path) -> None:
    folder = search(tmp_path / "s")
    first = Search.load(folder / "search.json")
    preset = SearchParameter(
        path="preset", kind=ParameterKind.CHOICE, choices=("tiny", "tiny-projected", "of-later")
    )
    trials = [
        each.replace(settings={**each.settings, "preset": name})
        for each, name in zip(first.trials, ["tiny", "tiny-projected", "tiny"], strict=True)
    ]
    across = first.replace(parameters=(*first.parameters, preset), trials=tuple(trials))
    across.save(folder / "search.json")

    def said(of: str) -> str:
        return "\n".join(ask(family=of, parameter="r1_gamma", search=[str(folder)]).lines())

    assert "Kernel, the best first: 0.01 gave 0.300\n" in said("stylegan2")
    batch = ask(family="projected", parameter="training.batch", search=[str(folder)])
    assert "trials): did not try training.batch" in "\n".join(batch.lines())
    grown = ask(family="stylegan1", parameter="training.batch", search=[str(folder)])
    assert "is of stylegan2 and projected: did not try" in "\n".join(grown.lines())


@pytest.mark.parametrize(
    ("given", "part"),
    [
        ({"parameter": "r1_gama"}, "did you mean 'r1_gamma'?"),
        ({"parameter": "model.r1gamma"}, "did you mean 'model.r1_gamma'?"),
        ({"parameter": "zzz"}, "'synthograph models --family NAME' lists all"),
        ({"family": "stylegan3"}, "did you mean"),
        ({"parameter": "batch", "search": ["/nonexistent"]}, "holds no search.json"),
    ],
)
def test_what_is_unknown_is_refused(given: dict[str, object], part: str) -> None:
    with pytest.raises(UserError) as error:
        ask(**given)
    assert part in str(error.value)


def test_a_search_needs_a_setting(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--parameter"):
        ask(search=[str(search(tmp_path / "s"))])


def test_bounds_inside_a_type_are_not_shown_as_code() -> None:
    result = ask(parameter="modality_r1")
    assert any("type: dict[str, float]" in line for line in result.lines())
