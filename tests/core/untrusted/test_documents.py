"""Text, JSON and YAML of others are bounded and refused in one line."""

import gzip
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from synthograph.core.errors import UserError
from synthograph.core.untrusted import documents
from synthograph.core.untrusted.documents import (
    as_text,
    office_text,
    parse_json,
    parse_yaml,
    read_text,
)


def test_a_mark_at_the_start_is_no_text() -> None:
    assert as_text(b"\xef\xbb\xbfa", "f", "way") == "a"


def test_large_files_and_odd_paths_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").write_text("12345")
    assert read_text(tmp_path / "a", "way") == "12345"
    monkeypatch.setattr(documents, "MAX_TEXT_BYTES", 4)
    with pytest.raises(UserError, match="is larger than 0 MiB; way out"):
        read_text(tmp_path / "a", "way out")
    for path in (tmp_path, tmp_path / "no", tmp_path / "a" / "b", tmp_path / "nul\0"):
        with pytest.raises(UserError, match="cannot be read"):
            read_text(path, "way")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipes_are_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path(os.devnull)):
        with pytest.raises(UserError, match="is a pipe or a device, not a file; way out"):
            read_text(path, "way out")


@pytest.mark.parametrize("digits", ["9" * 400, "-" + "9" * 400])
def test_settings_beyond_floating_point_are_refused(digits: str) -> None:
    assert parse_yaml("[9007199254740993]", "a") == [9007199254740993]
    with pytest.raises(UserError, match="a number of 1329 bits, the limit is 1023"):
        parse_yaml(f"[{digits}]", "a")
    with pytest.raises(UserError, match="a number of 1329 bits, the limit is 1023"):
        parse_json(f"[{digits}]", "a", bounded=True)


@pytest.mark.parametrize("parse", [parse_json, parse_yaml])
def test_what_is_nested_too_deeply_is_refused(parse: Callable[[str, str], object]) -> None:
    for text in ("[" * 100_000 + "]" * 100_000, '{"a": ' * 50_000 + "1" + "}" * 50_000):
        with pytest.raises(
            UserError, match="f: not valid .*: nested more deeply than can be read; a few"
        ):
            parse(text, "f")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"a": 1,}', "f, line 1, column [89]: not valid JSON: a comma before a closing bracket"),
        ('[\n{"a": Infinity}]', "Infinity is not a JSON number"),
        ('{"a": -1e999}', "f: not valid JSON: -1e999 is not a finite number"),
        ('{"a": {"b": 1, "b": 2}}', "key 'b' is given twice"),
        ('{"a":\n "b\\u0000"}', "f, line 2: holds a NUL character"),
        ('{"a": "\\uD800"}', r"f: holds \\ud800, half of a character"),
        ('{"\\udc00\\ud800": 1}', r"f: holds \\udc00, half of a character"),
        ("", "f, line 1, column 1"),
    ],
)
def test_json_that_is_refused(text: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        parse_json(text, "f")


def test_whole_characters_may_be_written_in_halves() -> None:
    assert parse_json('["\\ud83d\\ude00", "C:\\\\ud800"]', "f") == [
        "\N{GRINNING FACE}",
        r"C:\ud800",
    ]


def test_nan_passes_where_the_caller_says_so() -> None:
    assert parse_json("[NaN]", "f", nan=True)[0] != 0


@given(st.text(max_size=40))
def test_any_text_is_data_or_refused_in_one_line(text: str) -> None:
    for parse in (parse_json, parse_yaml):
        try:
            parse(text, "f")
        except UserError as error:
            assert str(error).startswith("f") and "\n" not in str(error)


def test_text_packed_by_gzip_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    packed = gzip.compress("a;é".encode())
    assert office_text(packed, "f", "way") == ("a;é", None)
    for broken, words in ((packed[:-6], "damaged"), (b"\x1f\x8bno", "damaged")):
        with pytest.raises(UserError, match=words):
            office_text(broken, "f", "way")
    monkeypatch.setattr(documents, "MAX_TEXT_BYTES", 1 << 20)
    with pytest.raises(UserError, match="to more than 1048576 bytes; way out"):
        office_text(gzip.compress(bytes(1 << 24)), "f", "way out")
