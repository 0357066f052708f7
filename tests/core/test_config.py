"""The configuration tree refuses what it does not know, in words that help."""

import enum
from pathlib import Path
from typing import Any

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthograph.core.config import Config, merge, parse_assignments, read_tree, set_path
from synthograph.core.errors import UserError


class Kind(enum.StrEnum):
    ROUND = "round"
    SQUARE = "square"


class Inner(Config):
    rate: float = pydantic.Field(0.1, gt=0)
    kind: Kind = Kind.ROUND

    @pydantic.model_validator(mode="after")
    def _together(self) -> "Inner":
        if self.kind is Kind.SQUARE and self.rate > 1:
            raise ValueError("square things are slow")
        return self


class Outer(Config):
    name: str
    batch: int = 4
    inner: Inner = Inner()
    maybe: Inner | None = None


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"name": "x", "bacth": 1}, "unknown setting 'bacth': did you mean 'batch'?"),
        ({"name": "x", "inner": {"rat": 1}}, "'inner.rat': did you mean 'rate'?"),
        ({"name": "x", "maybe": {"kindd": 1}}, "'maybe.kindd': did you mean 'kind'?"),
        ({"name": "x", "zzz": 1}, "known are: name, batch, inner, maybe"),
        ({}, "setting 'name' is missing"),
        ({"name": "x", "batch": "many"}, "'batch'.*integer.*got 'many'"),
        ({"name": "x", "batch": 1.5}, "'batch'.*got 1.5"),
        ({"name": "x", "inner": {"rate": -1}}, "'inner.rate'.*greater than 0, got -1"),
        ({"name": "x", "inner": {"rate": float("nan")}}, "'inner.rate'.*finite number, got nan"),
        ({"name": "x", "inner": {"rate": float("inf")}}, "'inner.rate'.*finite number"),
        ({"name": "x", "inner": {"kind": "sqare"}}, "'inner.kind': 'sqare' is unknown: did you "),
        ({"name": "x", "inner": 3}, "'inner'.*got 3"),
        ({"name": "x", "inner": {"kind": "square", "rate": 2}}, "'inner': square things are slow$"),
        ({"name": "x", 3: 4}, "'3'"),
    ],
)
def test_refusals_name_the_setting_and_the_way_out(tree: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        Outer.parse(tree)


def test_rules_of_the_root_do_not_print_the_whole_tree() -> None:
    with pytest.raises(UserError) as caught:
        Inner.parse({"kind": "square", "rate": 2})
    assert str(caught.value) == "square things are slow"


def test_values_in_messages_are_bounded() -> None:
    bomb: list[Any] = ["lol"]
    for _ in range(30):
        bomb = [bomb] * 10
    for value in (bomb, "x" * 10**6, 1 << 20_000):
        trees: list[dict[str, Any]] = [{"inner": value}, {"maybe": value}]
        if value is not bomb:
            trees.append({"inner": {"kind": value}})
        for tree in trees:
            with pytest.raises(UserError) as caught:
                Outer.parse({"name": "x", **tree})
            assert len(str(caught.value)) < 500


def test_a_config_is_frozen_and_its_tree_builds_it_again() -> None:
    config = Outer.parse({"name": "x", "inner": {"kind": "square"}})
    with pytest.raises(pydantic.ValidationError):
        config.batch = 5  # type: ignore[misc]
    assert Outer.parse(config.tree()) == config
    assert config.tree()["inner"] == {"rate": 0.1, "kind": "square"}


def test_merge_goes_into_mappings_and_replaces_the_rest() -> None:
    base = {"a": {"b": 1, "c": [1, 2]}, "d": {"e": 1}}
    assert merge(base, {"a": {"c": [3]}, "d": None, "f": 1}) == {
        "a": {"b": 1, "c": [3]},
        "d": None,
        "f": 1,
    }
    assert base == {"a": {"b": 1, "c": [1, 2]}, "d": {"e": 1}}


trees = st.recursive(
    st.integers(), lambda inner: st.dictionaries(st.sampled_from("abc"), inner), max_leaves=6
)


@given(
    st.dictionaries(st.sampled_from("abc"), trees), st.dictionaries(st.sampled_from("ab"), trees)
)
@settings(max_examples=60, deadline=None)
def test_merge_is_idempotent_and_keeps_what_is_put_over(a: dict, b: dict) -> None:
    assert merge(a, {}) == a and merge(merge(a, b), b) == merge(a, b)


def test_set_path_leaves_the_rest() -> None:
    assert set_path({"a": {"b": 1}}, "a.c.d", 2) == {"a": {"b": 1, "c": {"d": 2}}}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=1", 1),
        ("a=1e-3", 1e-3),
        ("a=1E5", 1e5),
        ("a=-2.5e+3", -2500.0),
        ("a=.5", 0.5),
        ("a=true", True),
        ("a=null", None),
        ("a=", None),
        ("a=[1, 2]", [1, 2]),
        ("a=x=y", "x=y"),
        ("a=nan", "nan"),
        ("a='1e-3'", "1e-3"),
        ("a={b: 1}", {"b": 1}),
    ],
)
def test_assignments_are_yaml_with_exponents(text: str, value: object) -> None:
    result = parse_assignments([text])["a"]
    assert result == value and type(result) is type(value)


def test_assignments_join() -> None:
    assert parse_assignments(["a.b=1", "a.c=2", "a.b=3"]) == {"a": {"b": 3, "c": 2}}


@pytest.mark.parametrize(
    "text",
    ["a", "=1", "a..b=1", ".a=1", "a=[1", "a=2024-13-45", "a=" + "[" * 1200, "a=" + "1" * 5000],
)
def test_broken_assignments_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="--set"):
        parse_assignments([text])


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.json", b"{", "cannot be read"),
        ("a.json", b"[1]", "holds list"),
        ("a.json", b"\xff\xfe", "cannot be read"),
        ("a.json", b"[" * 100_000, "cannot be read"),
        ("a.yaml", b"a: [1", "cannot be read"),
        ("a.yaml", b"a: 2024-13-45", "cannot be read"),
        ("a.yaml", b"!!python/object/apply:os.system ['true']", "cannot be read"),
        ("a.yaml", b"[" * 1200, "cannot be read"),
        ("a.yaml", b"a: &x [1]\nb: *x\n", "aliases"),
        ("a.yaml", b"", "holds NoneType"),
        ("missing.yaml", None, "No such file"),
    ],
)
def test_broken_files_are_refused(
    tmp_path: Path, name: str, data: bytes | None, words: str
) -> None:
    path = tmp_path / name
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(UserError, match=words) as caught:
        read_tree(path)
    assert str(path) in str(caught.value)


def test_json_and_yaml_of_one_tree(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('\ufeff{"a": {"b": 1}}', encoding="utf-8")
    (tmp_path / "a.yaml").write_text("a:\n  b: 1\n", encoding="utf-8")
    assert read_tree(tmp_path / "a.json") == read_tree(tmp_path / "a.yaml") == {"a": {"b": 1}}


@given(st.binary(max_size=60))
@settings(max_examples=80, deadline=None)
def test_any_bytes_give_a_mapping_or_a_user_error(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    for name in ("f.json", "f.yaml"):
        path = tmp_path_factory.getbasetemp() / name
        path.write_bytes(data)
        try:
            assert isinstance(read_tree(path), dict)
        except UserError:
            pass
