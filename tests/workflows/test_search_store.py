"""What processes of a search share."""

import sqlite3
from pathlib import Path

import pytest

from synthograph.core.errors import BlockedError, UserError
from synthograph.results.search import ParameterKind, Rung, SearchTrial, TrialState, TrialValue
from synthograph.workflows.search_space import Parameter
from synthograph.workflows.search_store import (
    JOURNAL,
    Store,
    Way,
    importances,
    refuse_storage,
)

MODE = Parameter("augment.mode", ParameterKind.CHOICE, choices=("none", "ada", {"x": 1}))
TARGET = Parameter("t", ParameterKind.NUMBER, 0.1, 10.0, log=True, when={MODE.path: ("ada",)})
BATCH = Parameter("b", ParameterKind.INTEGER, 4, 16, step=4)
ALL = (MODE, TARGET, BATCH)


def store(folder: Path, sha256: str = "a", url: str | None = None, goals: int = 1) -> Store:
    smaller = [True] * goals
    return Store(url, folder, name="s", sha256=sha256, smaller=smaller, seed=0)


def trial(number: int, drawn: dict[str, object], kernel: float | None) -> SearchTrial:
    values = (TrialValue(measure="kernel", value=kernel),)
    return SearchTrial(
        number=number, state=TrialState.COMPLETE, settings={}, parameters=drawn, seeds=(0,),
        kimg=1.0, seconds=2.0, values=values, rungs=(Rung(kimg=1.0, values=values),),
    )  # fmt: skip


def test_trials_are_seen_by_every_process(tmp_path: Path) -> None:
    one, other = store(tmp_path), store(tmp_path)
    fixed = {"augment.mode": "ada", "t": 1.0, "b": 8}
    first = one.ask(ALL, "home", trials=8, fixed=fixed)
    assert first.drawn == fixed and first.number == 0
    (seen,) = other.trials()
    assert seen.running and seen.drawn == fixed and seen.home == "home" and seen.record is None
    other.note(0, Way(rungs=(Rung(kimg=0.5),), seconds=3.0))
    taken = other.take_up(other.trials()[0])
    assert taken.way.taken_up == 1 and taken.kimg == 0.5 and taken.seconds == 3.0
    one.report(0, 0.5, 2.0)
    one.finish(trial(0, fixed, 1.5), [1.5], {"recall": float("inf")})
    (done,) = other.trials()
    assert not done.running and done.record is not None and done.record.value("kernel") == 1.5
    numbers = [other.ask(ALL, "home", trials=8, fixed=None) for _ in range(6)]
    assert [each.number for each in numbers] == list(range(1, 7))
    for each in numbers:
        assert each.drawn is not None and ("t" in each.drawn) == (each.drawn[MODE.path] == "ada")
        assert each.drawn["b"] in (4, 8, 12, 16)
    one.forget(1)
    one.begin_again(fixed)
    assert not next(each for each in one.trials() if each.number == 1).counted
    assert one.ask(ALL, "home", trials=8, fixed=None).drawn == fixed, "drawn once more"


def test_a_process_that_starts_again_draws_other_numbers(tmp_path: Path) -> None:
    drawn = [store(tmp_path).ask([TARGET_ALONE], "h", trials=9, fixed=None).drawn for _ in range(3)]
    assert len({each["t"] for each in drawn if each}) == 3


TARGET_ALONE = Parameter("t", ParameterKind.NUMBER, 0.1, 10.0)


def test_the_study_of_another_search_is_refused(tmp_path: Path) -> None:
    store(tmp_path)
    with pytest.raises(UserError, match="holds the study of another search called s"):
        store(tmp_path, sha256="b")


def test_a_torn_line_is_cut_and_the_rest_is_kept(tmp_path: Path) -> None:
    store(tmp_path).ask(ALL, "h", trials=8, fixed=None)
    with (tmp_path / JOURNAL).open("ab") as file:
        file.write(b'{"op_code": 4, "wor')
    assert store(tmp_path).ask(ALL, "h", trials=8, fixed=None).number == 1
    assert len(store(tmp_path).trials()) == 2


def test_a_file_that_is_no_journal(tmp_path: Path) -> None:
    (tmp_path / JOURNAL).write_text("no journal\n")
    with pytest.raises(UserError, match="cannot be used for a search"):
        store(tmp_path)


def test_databases_are_shared_locked_or_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("sqlalchemy")
    path = tmp_path / "s.db"
    url = f"sqlite:///{path}?timeout=0.1"
    store(tmp_path, url=url).ask(ALL, "h", trials=8, fixed=None)
    assert len(store(tmp_path, url=url).trials()) == 1
    assert not (tmp_path / JOURNAL).exists()
    holder = sqlite3.connect(path)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(BlockedError, match="locked by another program"):
        store(tmp_path, url=url).ask(ALL, "h", trials=8, fixed=None)
    holder.close()
    with pytest.raises(UserError, match="cannot be used for a search"):
        store(tmp_path, url="nonsense")
    with pytest.raises(UserError, match="cannot be used for a search"):
        store(tmp_path, url=f"sqlite:///{tmp_path}/not/there/s.db")


def test_a_database_is_tried_before_anything_is_made(tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy")
    path = tmp_path / "s.db"
    url = f"sqlite:///{path}?timeout=0.1"
    refuse_storage(url, "s", "a")
    assert not list(tmp_path.iterdir()), "nothing was written"
    sqlite3.connect(path).execute("CREATE TABLE others (x)").connection.close()
    refuse_storage(url, "s", "a")
    store(tmp_path, url=url)
    before = path.read_bytes()
    refuse_storage(url, "s", "a")
    refuse_storage(url, "another", "b")
    with pytest.raises(UserError, match="holds the study of another search called s"):
        refuse_storage(url, "s", "b")
    assert path.read_bytes() == before
    holder = sqlite3.connect(path)
    holder.execute("BEGIN EXCLUSIVE")
    with pytest.raises(BlockedError, match="locked by another program"):
        refuse_storage(url, "s", "a")
    holder.close()
    path.write_text("no database, but a text that is long enough to have a header" * 20)
    with pytest.raises(UserError, match="file is not a database"):
        refuse_storage(url, "s", "a")
    with pytest.raises(UserError, match=r"there is no folder .*: make it"):
        refuse_storage(f"sqlite:///{tmp_path}/not/there/s.db", "s", "a")
    with pytest.raises(UserError, match=r"\*\*\*@127") as error:
        refuse_storage("postgresql://ann:s3cret@127.0.0.1:9/x", "s", "a")
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize("kind", ["postgresql", "nosuch", "mysql+nosuch", "post gresql"])
def test_a_password_of_a_database_is_told_to_nobody(kind: str, tmp_path: Path) -> None:
    pytest.importorskip("sqlalchemy")
    with pytest.raises(UserError, match=r"\*\*\*@127") as error:
        store(tmp_path, url=f"{kind}://ann:s3cret@127.0.0.1:9/x")
    assert "s3cret" not in str(error.value)


def test_a_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "optuna", None)
    with pytest.raises(UserError, match=r"pip install 'synthograph\[tune\]'"):
        store(tmp_path)


def test_what_explains_most_is_found() -> None:
    steep = Parameter("steep", ParameterKind.NUMBER, 0.0, 1.0)
    flat = Parameter("flat", ParameterKind.NUMBER, 0.0, 1.0)
    drawn = [{"steep": k / 20, "flat": (7 * k % 20) / 20} for k in range(20)]
    found = importances([steep, flat], drawn, [d["steep"] for d in drawn], smaller=True)
    assert found["steep"] > 0.8 > found["flat"] and sum(found.values()) == pytest.approx(1)
    turned = importances([steep, flat], drawn, [-d["steep"] for d in drawn], smaller=False)
    assert turned == found
    assert importances([steep], drawn[:2], [1.0, 2.0], smaller=True) == {}, "too few"
    assert importances([steep], drawn, [1.0] * 20, smaller=True) == {}, "all alike"


def test_several_objectives(tmp_path: Path) -> None:
    both = store(tmp_path, goals=2)
    asked = both.ask(ALL, "h", trials=8, fixed=None)
    both.report(asked.number, 1.0, 2.0)
    both.finish(trial(0, {}, 1.0), [1.0, 2.0], {})
    ended = both.ask(ALL, "h", trials=8, fixed=None)
    both.finish(trial(1, {}, None).replace(state=TrialState.ENDED), None, {})
    assert [each.running for each in both.trials()] == [False, False] and ended.number == 1
