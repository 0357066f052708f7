"""Whatever stands in a file of results: a result whose public form can be made, or a refusal."""

import json
from pathlib import Path

import pytest
from hypothesis import given

from synthograph import results
from synthograph.results.base import Document
from tests.fuzz.damage import answers, damaged, fuzz
from tests.results.examples import example

KINDS = (results.Audit, results.DomainGap, results.Evaluation, results.Sensitivity)
SAMPLES = tuple(json.dumps(example(schema).tree()).encode() for schema in KINDS)
DEEP = b'{"deep": ' + b"[" * 900 + b"]" * 900 + b"}"
TOKENS = (
    *(b"[", b"{", b": ", b"null", b"true", b'"x"', b"1e999", b"NaN", b"-1", b"9" * 400, b"[]"),
    *(b"{}", b"0.5", b"\0", b'"\\ud800"', DEEP),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@fuzz(300)
@given(data=damaged(SAMPLES, TOKENS))
def test_results_are_read_or_refused(folder: Path, data: bytes) -> None:
    path = folder / "x.json"
    path.write_bytes(data)
    found = answers(lambda: results.load(path))
    if found is not None:
        assert isinstance(found, Document)
        found.public().save(path)
        assert results.load(path) == found.public()


def test_nested_data_is_refused_before_it_is_too_deep_to_walk(folder: Path) -> None:
    path = folder / "deep.json"
    tree = example(results.Evaluation).tree()
    text = json.dumps(tree).replace('"version": "a text"', f'"deep": {DEEP.decode()}')
    path.write_text(text)
    assert answers(lambda: results.load(path)) is None
