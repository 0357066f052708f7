"""Whatever stands in a configuration: a tree of ours, or a refusal."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from synthograph.core.config import parse_assignments, read_tree
from synthograph.core.spec import ImageSpec
from synthograph.training.config import RunConfig
from synthograph.training.presets import resolve
from tests.fuzz.damage import answers, damaged, fuzz

SPEC = ImageSpec(height=16, width=16, modalities={"image": 3})
TREE = resolve(SPEC, "tiny", [{"data": {"path": "set.zip"}}]).tree()
SAMPLES = (json.dumps(TREE).encode(), yaml.safe_dump(TREE).encode())
TOKENS = (
    *(b"[", b"{", b": ", b"- ", b"&a ", b"*a", b"!!python/object:os.system", b"!!binary ", b"|\n"),
    *(
        b"? ",
        b"<<: ",
        b"%YAML 9",
        b"---\n",
        b"\t",
        b"1e999",
        b".nan",
        b"2001-99-99",
        b"1:2:3",
        b"\0",
    ),
)
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


def read(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    config = answers(lambda: RunConfig.parse(read_tree(path)))
    assert config is None or isinstance(config, RunConfig)
    if isinstance(config, RunConfig):
        assert RunConfig.parse(json.loads(json.dumps(config.tree(), allow_nan=False))) == config


@fuzz(200)
@given(
    st.sampled_from(["x.json", "x.yaml"]),
    st.one_of(st.binary(max_size=100), st.text(max_size=60).map(str.encode)),
)
def test_arbitrary_bytes(folder: Path, name: str, data: bytes) -> None:
    read(folder / name, data)


@fuzz(150)
@given(st.sampled_from(["x.json", "x.yaml"]), damaged(SAMPLES, TOKENS))
def test_damaged_trees(folder: Path, name: str, data: bytes) -> None:
    read(folder / name, data)


@fuzz(200)
@given(st.data())
def test_trees_of_other_values(folder: Path, data: st.DataObject) -> None:
    tree = json.loads(SAMPLES[0])
    place = data.draw(st.sampled_from([tree, *(v for v in tree.values() if isinstance(v, dict))]))
    place[data.draw(st.sampled_from([*place, "surprise"]))] = data.draw(VALUES)
    config = answers(lambda: RunConfig.parse(tree))
    assert config is None or isinstance(config, RunConfig)


@fuzz(200)
@given(st.lists(st.text(max_size=30), max_size=3))
def test_assignments(texts: list[str]) -> None:
    answers(lambda: parse_assignments(texts))


@pytest.mark.parametrize("name", ["x.json", "x.yaml"])
@pytest.mark.parametrize(
    "text",
    ["[" * 20_000, "{a: " * 20_000, "a: &a [b]\nc: [*a, *a]", "9" * 5000, "? ? ? ?", "- " * 20_000],
)
def test_deep_and_long(folder: Path, name: str, text: str) -> None:
    read(folder / name, text.encode())


def test_memory_is_in_proportion_to_the_file(folder: Path) -> None:
    (folder / "x.json").write_bytes(SAMPLES[0])
    answers(lambda: read_tree(folder / "x.json"), 8 << 20)
