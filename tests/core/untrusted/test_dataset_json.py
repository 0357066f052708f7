"""`dataset.json`: labels, vectors and patients, and every refusal."""

import json

import pytest

from synthograph.core.errors import UserError
from synthograph.core.untrusted.dataset_json import (
    DatasetJson,
    ImageEntry,
    is_finite,
    parse_dataset_json,
    shortened,
)


def read(text: str) -> DatasetJson:
    return parse_dataset_json(json.loads(text), "d", lambda name, _: name.removeprefix("./"))


def test_labels_and_classes() -> None:
    found = read('{"classes": ["a", "u\\u0308"], "labels": [["1.png", 1], ["2.png", 0]], "x": 1}')
    assert found == DatasetJson(
        {"1.png": ImageEntry(1, None, {}), "2.png": ImageEntry(0, None, {})}, ("a", "\u00fc"), False
    )


@pytest.mark.parametrize("text", ["{}", '{"labels": null, "meta": null, "classes": []}'])
def test_nothing(text: str) -> None:
    assert read(text) == DatasetJson({}, None, False)


def test_patients_complete_labels() -> None:
    found = read(
        '{"labels": [["a", 0], ["c", 2]], "meta": '
        '[["a", 0, 7, "PTC"], ["b", 1, "Mu\\u0308ller"], ["c", 2, null, null]]}'
    )
    assert found.grouped
    assert found.images == {
        "a": ImageEntry(0, "7", {"diagnosis": "PTC"}),
        "b": ImageEntry(1, "M\u00fcller", {}),
        "c": ImageEntry(2, None, {"diagnosis": ""}),
    }


def test_vectors_with_patients() -> None:
    found = read('{"labels": [["a", [0.5, 1]]], "meta": [["a", 0, 7, "x"], ["b", 1, 8]]}')
    assert found.images == {
        "a": ImageEntry(None, "7", {"y.0": "0.5", "y.1": "1.0", "diagnosis": "x"})
    }
    assert found.without_label == {"b"}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"labels": {"background": 0}}', r'"labels" must be a list of \[file.*remove it'),
        ('{"meta": {"by": "us"}}', r'"meta" must be a list of \[file.*patient.*remove it'),
        ('{"labels": ["a.png"]}', "entry 1 of"),
        ('{"labels": [["a.png"]]}', "entry 1 of"),
        ('{"labels": [[1, 1]]}', "entry 1 of"),
        ('{"labels": [["", 1]]}', "entry 1 of"),
        ('{"meta": [["a", 0]]}', 'entry 1 of "meta".*patient'),
        ('{"labels": [["a.png", 1], ["a.png", 1]]}', "entry 2 of .*'a.png' is listed twice"),
        ('{"labels": [["a.png", 1], ["./a.png", 2]]}', "listed twice"),
        ('{"labels": [["a.png", "1"]]}', "entry 'a.png': label '1' is neither a class index"),
        ('{"labels": [["a.png", 1.5]]}', "neither a class index"),
        ('{"labels": [["a.png", true]]}', "neither a class index"),
        ('{"labels": [["a.png", null]]}', "neither a class index"),
        ('{"labels": [["a.png", -1]]}', "neither a class index"),
        ('{"labels": [["a.png", []]]}', r"label \[\] is neither a class index"),
        ('{"labels": [["a.png", 2]], "classes": ["x", "y"]}', "outside the 2 classes, 0 to 1"),
        ('{"labels": [["a.png", [NaN]]]}', "entry 'a.png': nan is not a finite number"),
        ('{"labels": [["a.png", ["1"]]]}', "not a finite number"),
        ('{"labels": [["a.png", [true]]]}', "not a finite number"),
        ('{"labels": [["a.png", [1' + "0" * 400 + "]]]}", r"1000.*\.\.\. is not a finite number"),
        ('{"labels": [["a.png", [1]], ["b.png", [1, 2]]]}', "differ in length"),
        ('{"labels": [["a.png", [1]], ["b.png", 1]]}', "use one kind"),
        ('{"labels": [["a", 1]], "meta": [["a", 0, 1, "x"]]}', 'is 1 in "labels" and 0 in "meta"'),
        ('{"classes": ["x", "x"]}', '"classes" must be'),
        ('{"classes": ["u\\u0308", "\\u00fc"]}', "different names"),
        ('{"classes": [""]}', '"classes" must be'),
        ('{"classes": "xy"}', '"classes" must be'),
        ('{"classes": {"x": 1}}', '"classes" must be'),
        ('{"classes": [1]}', '"classes" must be'),
    ],
)
def test_refusals(text: str, reason: str) -> None:
    with pytest.raises(UserError, match=f"^d.*{reason}"):
        read(text)


def test_numbers_and_words() -> None:
    assert is_finite("1e3")
    assert not is_finite("one")
    assert not is_finite("inf")
    assert not is_finite(True)
    assert len(shortened("x" * 99)) == 60
