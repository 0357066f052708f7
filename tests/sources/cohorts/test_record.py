"""Records of cohorts: complete, with sources, and refused where they break a rule."""

import re
from pathlib import Path

import pytest

from synthograph.core.errors import UserError
from synthograph.sources.cohorts import Cohort, cohort_names, load_cohort

OWN = """
title = "a cohort of our own"
holds = "two images"
home = "https://example.org"
paper = "nobody 2026"
unit = "patient"
official_split = "none"
why_invariant = "nobody knows"
"""


@pytest.mark.parametrize("name", cohort_names())
def test_a_record_says_everything_with_a_source(name: str) -> None:
    cohort = load_cohort(name)
    assert cohort.name == name and cohort.home.startswith("https://")
    assert len(cohort.traps) >= 3
    for text in (cohort.holds, cohort.paper, cohort.unit, cohort.official_split):
        assert len(text) >= 4
    for trap in cohort.traps:
        assert re.search(r"\d{4}|https://", trap.source), trap.source
        assert trap.text.endswith(".") and str(trap) == f"{trap.text} ({trap.source})"
        sentences = re.split(r"[.:;] ", trap.text)
        assert max(len(sentence.split()) for sentence in sentences) <= 25, trap.text
    assert cohort.label.optional or cohort.classes


@pytest.mark.parametrize("name", cohort_names())
def test_what_is_kept_names_nobody_and_no_day(name: str) -> None:
    kept = " ".join(load_cohort(name).kept).lower()
    assert not re.search(r"date|time(?!point)|name|birth", kept)


def test_a_cohort_of_ones_own_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "ours.toml"
    path.write_text(OWN)
    assert load_cohort(str(path)).name == "ours"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (OWN + "titel = 'x'", "titel"),
        (OWN + "= 3", "is no TOML"),
        (OWN.replace('unit = "patient"', ""), "unit"),
        (OWN + "patterns = ['(']", "patterns"),
        (OWN + "[[tables]]\nnames = ['a']", "a key, or a join, or holds pairs"),
        (OWN + "[[tables]]\nnames = []\nkey = 'a'", "names"),
        (OWN + "invariant = ['miror']", "invariant"),
    ],
)
def test_a_file_that_is_no_record_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "ours.toml"
    path.write_text(text)
    with pytest.raises(UserError, match=re.escape(words)) as caught:
        load_cohort(str(path))
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_an_unknown_name_gets_the_nearest() -> None:
    with pytest.raises(UserError, match="did you mean 'isic2020'"):
        load_cohort("isic2021")
    with pytest.raises(UserError, match="no such file|cannot be read"):
        load_cohort("nothing.toml")


def test_the_record_on_the_page_on_extending_is_one(tmp_path: Path) -> None:
    page = Path(__file__).parents[3] / "docs" / "extending.md"
    (text,) = re.findall(r"^```toml\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)
    (tmp_path / "ours.toml").write_text(text)
    cohort = load_cohort(str(tmp_path / "ours.toml"))
    assert cohort.label.values == {"0": "benign", "1": "malignant"}
    assert cohort.leave_out[0].name == "doppler" and cohort.tables[0].key == "image"


def test_a_record_is_plain_data() -> None:
    for name in cohort_names():
        cohort = load_cohort(name)
        assert Cohort.parse(cohort.tree()) == cohort
