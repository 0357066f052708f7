"""Whatever stands in dataset.json: an archive, or a refusal."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthograph.archive.reader import Archive, open_archive
from synthograph.core.untrusted.dataset_json import DATASET, MANIFEST
from tests.conftest import make_archive
from tests.fuzz.damage import answers, damaged, fuzz

FILES = ["00000/img00000000.png", "00000/img00000001.png"]
TOKENS = (
    b"[",
    b"]",
    b"{",
    b"}",
    b"null",
    b"-1",
    b"1e999",
    b"NaN",
    b'"',
    b"\\ud800",
    b"99999999999",
)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(),
        st.floats(),
        st.text(max_size=8),
        st.sampled_from(FILES),
    ),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module", params=["ours", "published"])
def folder(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    path = make_archive(tmp_path_factory.mktemp("fuzz") / "set", count=2, size=(8, 8))
    if request.param == "published":
        (path / MANIFEST).unlink()
        document = {"labels": [[name, index] for index, name in enumerate(FILES)]}
        (path / DATASET).write_text(json.dumps(document))
    (path.parent / "kept.json").write_bytes((path / DATASET).read_bytes())
    return path


def read(folder: Path, data: bytes) -> None:
    (folder / DATASET).write_bytes(data)
    found = answers(lambda: open_archive(folder), (4 << 20) + 200 * len(data))
    if found is not None:
        assert isinstance(found, Archive)
        for row in found.rows:
            answers(lambda row=row: (found.read(row), found.read_mask(row)))


@fuzz(100)
@given(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(str.encode)))
def test_arbitrary_bytes(folder: Path, data: bytes) -> None:
    read(folder, data)


@fuzz(200)
@given(st.data())
def test_damaged_documents(folder: Path, data: st.DataObject) -> None:
    sample = (folder.parent / "kept.json").read_bytes()
    read(folder, data.draw(damaged((sample,), TOKENS)))


@fuzz(200)
@given(st.data())
def test_documents_of_other_values(folder: Path, data: st.DataObject) -> None:
    document = json.loads((folder.parent / "kept.json").read_bytes())
    names = [*document, "labels", "classes", "spec", "invariances", "snapshots"]
    document[data.draw(st.sampled_from(names))] = data.draw(VALUES)
    read(folder, json.dumps(document).encode())


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "9" * 5000, '{"classes": "ab"}']
)
def test_deep_and_long(folder: Path, text: str) -> None:
    read(folder, text.encode())
