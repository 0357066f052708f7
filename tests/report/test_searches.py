"""A search on the page and on the console."""

from pathlib import Path

from synthograph.core.interval import Interval
from synthograph.report.searches import drawing, search_tree, sentence, tables
from synthograph.report.words import percent
from synthograph.report.write import write_report
from synthograph.results import Search, load
from synthograph.results.search import (
    ParameterKind,
    Retraining,
    Rung,
    SearchConstraint,
    SearchObjective,
    SearchParameter,
    SearchTrial,
    SearchWinner,
    TrialState,
    TrialValue,
)


def trial(number: int, kernel: float, state: TrialState, **more: object) -> SearchTrial:
    values = (
        TrialValue(measure="kernel", value=kernel, interval=Interval(kernel - 0.1, kernel + 0.1)),
        TrialValue(measure="recall", value=0.5, spread=0.1),
    )
    settings = {"model.r1_gamma": 0.1 * (number + 1), "augment.mode": "ada"}
    return SearchTrial(
        number=number, state=state, settings=settings, seeds=(0,), kimg=3.0, seconds=1.0,
        values=values, rungs=(Rung(kimg=3.0, values=values),), feasible=True, **more,
    )  # fmt: skip


def search(**changes: object) -> Search:
    again = [
        Retraining(
            trial=number, baseline=not number, seeds=(10_000, 10_001), runs=("a", "b"),
            by_seed={"kernel": (kernel, kernel + 0.1), "recall": (0.5, None)},
            values=(TrialValue(measure="kernel", value=kernel + 0.05, spread=0.07),),
            feasible=True, within_noise=number == 1,
        )
        for number, kernel in ((1, 0.5), (0, 1.0))
    ]  # fmt: skip
    found = Search(
        name="mine",
        data="cells.zip",
        measured_on="cells.zip:val (129 images of 25 groups)",
        family="stylegan2",
        preset="tiny",
        kimg=10.0,
        objectives=(
            SearchObjective(
                measure="kernel", title="Distance", smaller=True, noise=0.2, noise_of_trials=0.3
            ),
        ),
        constraints=(SearchConstraint(measure="recall", at_least=None),),
        extractor="random-conv",
        parameters=(
            SearchParameter(
                path="model.r1_gamma", kind=ParameterKind.NUMBER, low=0.125, high=8.0, log=True,
                relative=True, preset_value=0.1, importance=0.9,
            ),
            SearchParameter(
                path="augment.mode", kind=ParameterKind.CHOICE, choices=("none", "ada"),
                when={"preset": ("tiny",)}, importance=0.1,
            ),
        ),
        trials=(
            trial(0, 1.0, TrialState.COMPLETE, baseline=True, within_noise=False),
            trial(1, 0.5, TrialState.COMPLETE, within_noise=True),
            trial(2, 2.0, TrialState.ENDED, reason="2 of 2 others were better at 3 kimg"),
            trial(3, 2.0, TrialState.DIVERGED).replace(values=(), rungs=(), feasible=None),
        ),
        retrained=tuple(again),
        winner=SearchWinner(
            trial=1, settings={"model.r1_gamma": 0.2}, gain=0.5, beyond_noise=True,
            sentence="trial 1 is better", file="winner.yaml",
        ),
        search_sha256="0",
        notes=("a note",),
        version="1",
    )  # fmt: skip
    return found.replace(**changes)


def test_tables_say_what_is_within_noise() -> None:
    finalists, settings, trials = tables(search())
    assert [row[0] for row in finalists.rows] == ["trial 1", "trial 0 (the preset)"]
    assert [row[-1] for row in finalists.rows] == ["best", "worse"]
    assert finalists.rows[0][3] == "0.500, 0.600"
    assert "up to 0.200 between means of 2 seeds is within noise" in finalists.notes[0]
    assert settings.rows[0][1:] == ["0.125 to 8 times the preset, log", "0.1", "0.2", percent(0.9)]
    assert settings.rows[1][1] == "none, ada; only with preset tiny"
    assert len({len(row) for row in trials.rows} | {len(trials.head)}) == 1
    assert trials.rows[2][1] == "ended early" and "better at 3 kimg" in trials.rows[2][-1]
    assert trials.rows[3][3] == "–"
    assert trials.notes[-1].endswith("came to the end, 1 cannot be told from the best.")


def test_the_page_shows_it_and_its_pictures(tmp_path: Path) -> None:
    path, page = tmp_path / "search.json", tmp_path / "report.html"
    search().save(path)
    assert load(path) == search()
    write_report([path], page)
    text = page.read_text()
    for word in ("Search mine", "trial 1 is better", "ended early", "Test images were never"):
        assert word.lower() in text.lower()
    assert "Not measured yet" not in text, "a search is all that this page is about"
    svg = drawing(search(), "a")
    assert svg.count("explains, percent") == 1 and "r1_gamma" in svg and ">ada<" in svg
    assert "/" not in search_tree(search())["about"]


def test_a_search_that_nobody_won() -> None:
    lost = search(winner=None, retrained=(), trials=search().trials[3:])
    assert "nothing is recommended" in sentence(lost)
    assert drawing(lost, "a") == "" and len(list(tables(lost))) == 2
    none = search(winner=None, retrained=(), trials=())
    assert drawing(none, "a") == "" and list(tables(none))[-1].rows == []


def test_a_public_search_names_no_folder() -> None:
    found = search(data="/home/ada/cells.zip", command="synthograph search --data /home/ada/c.zip")
    public = found.public()
    assert public.data == "cells.zip" and "ada" not in public.command
