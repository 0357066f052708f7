"""The configuration tree refuses what it does not know, in words that help."""

import enum
from pathlib import Path
from typing import Any

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from synthograph.core.config import (
    Config,
    calling,
    flatten,
    merge,
    parse_assignments,
    read_tree,
    set_path,
    takes_whole,
)
from synthograph.core.errors import SettingError, UserError


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
    sides: tuple[int, ...] | None = None
    weights: dict[str, float] = {}
    quick: bool | int = False
    free: dict[str, object] = {}


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"name": "x", "bacth": 1}, "unknown setting 'bacth': did you mean 'batch'?"),
        ({"name": "x", "inner": {"rat": 1}}, "'inner.rat': did you mean 'rate'?"),
        ({"name": "x", "maybe": {"kindd": 1}}, "'maybe.kindd': did you mean 'kind'?"),
        ({"name": "x", "zzz": 1}, "known are: name, batch, inner, maybe, "),
        ({}, "setting 'name': must be given"),
        ({"name": "x", "batch": "many"}, "'batch'.*whole number.*got 'many'"),
        ({"name": "x", "batch": 1.5}, "'batch'.*got 1.5"),
        ({"name": "x", "inner": {"rate": -1}}, "'inner.rate'.*greater than 0, got -1"),
        ({"name": "x", "inner": {"rate": float("nan")}}, "'inner.rate'.*finite number, got nan"),
        ({"name": "x", "inner": {"rate": float("inf")}}, "'inner.rate'.*finite number"),
        ({"name": "x", "inner": {"kind": "sqare"}}, "'inner.kind': 'sqare' is unknown: did you "),
        ({"name": "x", "inner": 3}, "'inner'.*got 3"),
        ({"name": "x", "inner": {"kind": "square", "rate": 2}}, "'inner': square things are slow$"),
        ({"name": "x", 3: 4}, "'3'"),
        ({"name": "x", "batch": True}, "'batch'.*whole number, got true"),
        ({"name": "x", "inner": {"rate": False}}, "'inner.rate'.*a number, got false"),
        ({"name": "x", "maybe": {"rate": True}}, "'maybe.rate'.*a number, got true"),
        ({"name": "x", "sides": [1, True]}, "'sides'.*whole number, got true"),
        ({"name": "x", "weights": {"a": True}}, "'weights'.*a number, got true"),
    ],
)
def test_refusals_name_the_setting_and_the_way_out(tree: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        Outer.parse(tree)


def test_true_and_false_where_they_have_a_meaning() -> None:
    found = Outer.parse({"name": "x", "quick": True, "free": {"a": True}})
    assert found.quick is True and found.free == {"a": True}


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
        ("a.json", b"{", "line 1, column 2: not valid JSON"),
        ("a.json", b"[1]", "holds list"),
        ("a.json", b"\xff\xfe", "not UTF-8 text"),
        ("a.json", b"[" * 100_000, "not valid JSON"),
        ("a.yaml", b"a: [1", "line 1, column 6: not valid YAML"),
        ("a.yaml", b"a: 2024-13-45", "not valid YAML"),
        ("a.yaml", b"!!python/object/apply:os.system ['true']", "not valid YAML"),
        ("a.yaml", b"[" * 1200, "not valid YAML"),
        ("a.yaml", b"a: &x [1]\nb: *x\n", "aliases"),
        ("a.yaml", b"", "holds NoneType"),
        ("missing.yaml", None, "No such file"),
        ("a.json", b'{"a": 1,}', "a comma before a closing bracket"),
        ("a.json", b'{"a": 1, "a": 2}', "key 'a' is given twice"),
        ("a.json", b'{"a": NaN}', "NaN is not a JSON number"),
        ("a.yaml", b"b: 1\na:\n  b: 1\n  b: 2\n", "line 4, column 3: .*'b' is given twice"),
        ("a.yaml", b"a:\n\tb: 1\n", "line 2, column 1: .*spaces, not tabs"),
        ("a.yaml", b"a: 1\nb: \0", "line 2: holds a NUL byte"),
        ("a.yaml", b"- a\n- b\n", "holds list"),
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
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("tree", "names", "words"),
    [
        ({"inner": {"rate": -1}}, {"inner.rate": "--rate"}, "--rate -1: must be greater than 0"),
        ({"inner": {"rat": 1}}, {"inner.rat": "a.yaml: rat"}, "a.yaml: rat: unknown setting, did"),
        ({"inner": {"kind": "roud"}}, {"inner.kind": "--kind"}, "--kind: 'roud' is unknown: did"),
        ({"inner": {"kind": "square", "rate": 2}}, {"inner.rate": "--rate"}, "^square things are"),
        ({"batch": "x"}, {"inner.rate": "--rate"}, "^setting 'batch': must be a whole number, "),
        ({"inner": {"rate": "x"}}, {"inner.rate": "--rate"}, "^--rate 'x': must be a number$"),
    ],
)
def test_settings_are_called_as_they_were_given(
    tree: dict[str, Any], names: dict[str, str], words: str
) -> None:
    with pytest.raises(UserError, match=words), calling(names):
        Outer.parse({"name": "x", **tree})


def test_a_setting_of_a_part_has_its_whole_path() -> None:
    inner = SettingError("rate", "must be small", value="9")
    assert str(inner.under("model")) == "setting 'model.rate': must be small, got 9"
    assert str(SettingError("", "no good").under("model")) == "setting 'model': no good"
    rule = SettingError("", "a.b 3 does not divide a.c 4").called({"a.b": "--b"})
    assert str(rule) == "--b 3 does not divide a.c 4"


def test_a_value_in_place_of_a_section_is_refused() -> None:
    Outer.check_sections({"inner": {"rate": 1}, "batch": 3})
    with pytest.raises(UserError, match="'inner': is a group of settings: .*inner.NAME=VALUE"):
        Outer.check_sections({"inner": 4})


@pytest.mark.parametrize(
    ("path", "whole"),
    [("batch", True), ("count", True), ("inner.rate", False), ("quick", False), ("free", False),
     ("weights.a", False), ("steps.8", True), ("steps.9", False), ("maybe.rate", False),
     ("nothing", False), ("name.nothing", False)],
)  # fmt: skip
def test_settings_of_whole_numbers_by_their_types(path: str, whole: bool) -> None:
    class Counted(Outer):
        count: int | None = None
        steps: dict[int, int] = {8: 1}

    config = Counted.parse({"name": "x", "weights": {"a": 1}, "free": {"b": 1}})
    assert takes_whole(config, path) is whole


def test_a_flat_tree_has_dotted_paths() -> None:
    tree = {"a": {"b": 1, "d": {}}, "c": 2}
    assert flatten(tree) == {"a.b": 1, "a.d": {}, "c": 2}
    assert list(flatten(tree, sections=True)) == ["a", "a.b", "a.d", "c"]


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
