"""Every schema: written, read, equal; refused where it breaks a rule; public without secrets."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from synthograph import results
from synthograph.core.errors import UserError
from synthograph.core.interval import Interval
from synthograph.results import evaluation
from synthograph.results.audit import Copies
from synthograph.results.base import (
    MAX_ITEMS,
    WAY_OUT,
    WITHHELD,
    Document,
    Prose,
    Schema,
    lines_of,
    public_command,
    public_prose,
    read_lines,
)
from synthograph.results.evaluation import (
    Entry,
    Evaluation,
    Floor,
    Measurements,
    PublishedMeasure,
    ResultLine,
    SensitivityLine,
    Value,
    parse_line,
)
from synthograph.results.provenance import ImageRecord
from tests.results.examples import PLACES, SECRET, example


def schemas(of: type[Schema] = Schema) -> Iterator[type[Schema]]:
    for each in of.__subclasses__():
        if each.__module__.startswith("synthograph.results."):
            yield each
        yield from schemas(each)


SCHEMAS = [each for each in schemas() if each not in (Document, ResultLine, evaluation._Holder)]
DOCUMENTS = [each for each in SCHEMAS if issubclass(each, Document)]
LINES = (Measurements, PublishedMeasure, SensitivityLine)


def test_the_room_names_its_documents() -> None:
    found = {*DOCUMENTS, results.StatusLine}
    assert {getattr(results, name) for name in results.__all__} == {*found, results.load}


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.__name__)
def test_written_read_equal(schema: type[Schema]) -> None:
    made = example(schema)
    tree = json.loads(json.dumps(made.tree(), allow_nan=False))
    assert schema.parse(tree, "x.json") == made
    names = {field.alias or name for name, field in schema.model_fields.items()}
    assert names <= tree.keys()
    assert made.replace() == made


@pytest.mark.parametrize("schema", DOCUMENTS, ids=lambda schema: schema.__name__)
def test_files(schema: type[Document], tmp_path: Path) -> None:
    made, path = example(schema), tmp_path / "x.json"
    made.save(path)
    assert schema.load(path) == schema.load(str(path)) == made
    tree = json.loads(path.read_text())
    assert tree["schema_version"] == tree["format"] == 1
    del tree["schema_version"]  # as files were before
    path.write_text(json.dumps(tree))
    assert schema.load(path) == made
    path.write_text(json.dumps({**tree, "schema_version": 2}))
    with pytest.raises(UserError, match=r"x\.json: schema_version is 2, a newer synthograph"):
        schema.load(path)


@pytest.mark.parametrize("schema", DOCUMENTS, ids=lambda schema: schema.__name__)
def test_the_schema_of_a_file_is_found_by_its_content(
    schema: type[Document], tmp_path: Path
) -> None:
    if schema is results.BestSnapshot:  # which lies where only it can
        return
    path = tmp_path / "x.json"
    example(schema).save(path)
    assert results.load(path) == results.load(str(path)) == example(schema)
    path.write_text('{"kind": ["audit"]}')
    with pytest.raises(UserError, match="is none of the files"):
        results.load(path)


@pytest.mark.parametrize("schema", LINES, ids=lambda schema: schema.__name__)
def test_lines(schema: type[ResultLine], tmp_path: Path) -> None:
    made, path = example(schema), tmp_path / "x.jsonl"
    path.write_text(lines_of([made, made]) + '{"entries": 3}\n[1]\n{"a": NaN}\n\n')
    found, broken = read_lines(path, parse_line)
    assert found == [made, made]
    assert broken[0] == f"x.jsonl, line 3: line.entries is a number, expected a list; {WAY_OUT}"
    assert "holds a list, expected an object" in broken[1]
    assert "NaN" in broken[2]


def test_a_line_may_be_as_long_as_a_file(tmp_path: Path) -> None:
    line = Measurements(entries=(), notes=("what some of many classes lack " * 40,) * 2000)
    (tmp_path / "x.jsonl").write_text(lines_of([line, line]))
    assert read_lines(tmp_path / "x.jsonl", parse_line) == ([line, line], [])


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.__name__)
def test_no_folder_is_public(schema: type[Schema], place: str) -> None:
    for text in (place, f"a note on {place}"):
        found = json.dumps(example(schema, text).public().tree())
        assert SECRET not in found
    parsed = schema.parse(json.loads(found), "x.json")
    assert parsed.public() == parsed


def test_sentences_are_withheld_and_names_are_cut() -> None:
    line = Measurements(
        entries=(),
        notes=(
            f"kept in /ward/{SECRET}/a.zip",
            "shares: 3/4 / 1/2, or rows 255/65535: more of a.zip:test, class N/A",
        ),
        snapshot=f"/ward/{SECRET}/generator.safetensors",
    )
    public = line.public()
    assert public.notes == (WITHHELD, line.notes[1])
    assert public.snapshot == "generator.safetensors"


def test_folders_without_a_root_are_no_names_of_files_and_stand_in_no_sentence() -> None:
    place = f"{SECRET}/cells"
    record = ImageRecord(name=place, archive=place).public()
    assert (record.name, record.archive) == ("cells", "cells")
    assert Measurements(notes=(f"of {place}: 9 images",)).public().notes == (WITHHELD,)


@pytest.mark.parametrize(
    ("note", "public"),
    [
        (f"the generator saw 1 of the 2 groups only, not '{SECRET}': less is seen", WITHHELD),
        (f"2 images equal training images, such as {SECRET}.png", "2 images equal training images"),
        (f"3 groups are in both, such as '{SECRET}', 'b'", "3 groups are in both"),
    ],
)
def test_notes_name_no_patient(note: str, public: str) -> None:
    assert Measurements(notes=(note,)).public().notes == (public,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"value": True}, r"results\[0\]\.entries\[0\]\.value is true or false, expected a number"),
        ({"value": "1"}, "value is a text, expected a number"),
        ({"interval": [2, 1]}, r"interval is \[2, 1\], expected a lower and an upper end"),
        ({"interval": [1]}, "interval is a list, expected a lower and an upper end"),
        ({"n_real": -1}, "n_real is -1, expected a whole number, 0 or more"),
        ({"n_real": 1.5}, "n_real is a number, expected a whole number"),
        ({"notes": {}}, "notes is an object, expected a list"),
        ({"floor": []}, "floor is a list, expected an object"),
        ({"name": None}, "name is nothing, expected a text"),
        ({"value": 10**400}, "value is not a finite number"),
        ({"notes": ["x"] * 100_001}, "notes has more than 100000 entries"),
    ],
)
def test_entries_of_another_type_are_refused_by_name(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    tree = Evaluation(results=(Measurements(entries=(example(Entry),)),)).tree()
    tree["results"][0]["entries"][0] |= changes
    path = tmp_path / "n.json"
    path.write_text(json.dumps(tree))
    with pytest.raises(UserError, match=rf"^n\.json: .*{message}.*{WAY_OUT}$"):
        Evaluation.load(path)


def test_missing_entries_are_named() -> None:
    tree = example(Value).tree()
    del tree["name"]
    with pytest.raises(UserError, match="v: name is missing"):
        Value.parse(tree, "v")
    with pytest.raises(UserError, match="value is a text"):  # which says more
        Value.parse({"value": "x"}, "v")


def test_unknown_entries_are_left_alone() -> None:
    made = example(Value)
    assert Value.parse({**made.tree(), "later": 1}, "v") == made


@pytest.mark.parametrize("number", [float("nan"), float("inf"), float("-inf")])
def test_numbers_that_are_not_finite_are_refused(number: float) -> None:
    with pytest.raises(UserError, match=r"Value\.value is not a finite number"):
        Value(name="recall", value=number)
    with pytest.raises(UserError, match="finite"):
        Value(name="spectrum", value=1.0, curve=(0.0, number))
    with pytest.raises(UserError, match="finite"):
        Value.parse({**example(Value).tree(), "value": number}, "v")


def test_a_missing_value_needs_a_reason_and_has_no_interval() -> None:
    with pytest.raises(UserError, match="why"):
        Value(name="recall", value=None)
    with pytest.raises(UserError, match="without a value"):
        Value(name="recall", value=None, interval=Interval(0, 1), notes=("why",))


def test_notes_are_added_at_the_end() -> None:
    value = Value(name="recall", value=0.5, notes=("a note",))
    assert value.noted("another").notes == ("a note", "another")


def entry(measure: str, same: float, interval: Interval | None = None) -> Entry:
    floor = Floor(value=0.5, low=0.4, high=0.6, same_n=same, n=(10, 10), splits=3)
    return Entry(name=measure, value=0.5, interval=interval, floor=floor)


@pytest.mark.parametrize(
    ("measure", "same", "within"),
    [("frechet", 0.6, True), ("frechet", 0.7, False), ("recall", 0.4, True), ("recall", 0.3, False)]
    + [("ms_ssim", 0.5, None)],
)
def test_floors(measure: str, same: float, *, within: bool | None) -> None:
    assert entry(measure, same).at_floor is within


def test_intervals_beyond_floors_and_nearness_to_training() -> None:
    assert entry("frechet", 0.7, Interval(0.61, 0.8)).interval_beyond
    assert not entry("frechet", 0.7, Interval(0.6, 0.8)).interval_beyond
    assert entry("recall", 0.1, Interval(0.1, 0.39)).interval_beyond
    near = Value(name="frechet", value=0.1, interval=Interval(0.0, 0.2))
    far = entry("frechet", 0.7, Interval(0.3, 0.8)).replace(train=near)
    assert far.nearer_to_training
    assert far.gap == pytest.approx(0.4)
    assert far.tree()["gap"] == far.gap
    assert not entry("recall", 0.1, Interval(0.3, 0.8)).replace(train=near).nearer_to_training


def test_a_public_command_names_no_folder_that_only_holds_what_was_written() -> None:
    command = "synthograph audit --train ward7/set.zip:train --outdir /home/anna.schmidt"
    assert public_command(command) == (
        "synthograph audit --train set.zip:train --outdir '(folder)'"
    )
    assert public_command("synthograph report --outdir=ward7 anna/") == (
        "synthograph report '--outdir=(folder)' '(folder)'"
    )


def test_a_public_command_does_not_say_who_followed_a_run() -> None:
    command = "synthograph train --tracking-uri http://ward7.example:5000/?a=b --kimg 5"
    assert public_command(f"{command} --experiment anna --tracking-parent ward7") == (
        "synthograph train --tracking-uri '(server)' --kimg 5 --experiment '(experiment)' "
        "--tracking-parent '(run)'"
    )
    assert public_command("synthograph train --experiment=anna --set tracking.uri=ward7=anna") == (
        "synthograph train '--experiment=(experiment)' --set 'tracking.uri=(server)'"
    )


def test_a_sentence_that_may_be_absent_is_a_sentence_where_it_is_there() -> None:
    class Reason(Schema):
        reason: Prose | None = None

    assert Reason(reason="too few groups, such as anna").public().reason == "too few groups"
    assert Reason(reason="see ward7/anna for them").public().reason == WITHHELD
    assert Reason().public().reason is None


def test_an_audit_lists_as_many_copies_as_there_are() -> None:
    many = tuple(range(MAX_ITEMS + 1))
    assert len(Copies(withhold=many, proof=many, identical=many).withhold) == len(many)


def test_many_slashes_are_judged_in_no_time() -> None:
    assert public_prose("N/A in 3/8 and 1234/5678") == "N/A in 3/8 and 1234/5678"
    assert public_prose("1/" * 200 + "abcd") == WITHHELD
