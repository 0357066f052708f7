"""Numbers and sentences for readers."""

import pytest

from synthograph.report.curves import Curve, Panel, draw, thinned
from synthograph.report.numbers import Numbers, sentence
from synthograph.report.words import NARROW, amount, count, listed, number, percent, several
from synthograph.results.evaluation import Entry, parse_line
from tests.report import material


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0.0, "0"),
        (280.0, "280"),
        (23.44, "23.4"),
        (0.00861, "0.00861"),
        (-0.0000546, "−0.0000546"),
        (1234567.0, f"1{NARROW}234{NARROW}567"),
        (2e-7, "2.0e−07"),
    ],
)
def test_number(value: float | None, text: str) -> None:
    assert number(value) == text


def test_shares_are_percent() -> None:
    assert amount("recall", 0.582) == f"58{NARROW}%"
    assert percent(0.004) == f"0.4{NARROW}%"
    assert amount("frechet", 0.582) == "0.582"


def test_lists() -> None:
    assert listed(["a"]) == "a"
    assert listed(["a", "b", "c"]) == "a, b and c"
    assert listed(list("abcdefgh")) == "a, b, c, d, e, f and 2 more"
    assert several(1, "image") == "1 image"
    assert several(2000, "class", "classes") == f"2{NARROW}000 classes"
    assert count(None) == "–"


def test_sentence_says_number_interval_floor_and_finding() -> None:
    entry = Entry.parse(material.entry("recall", same=0.1), "e")
    said = sentence(entry).replace(NARROW, " ")
    assert said == (
        "Recall 50 % (95 % interval 30 % to 70 %), 200 real and 200 synthetic images. Between two "
        "halves of the real images it is 50 % (40 % to 60 %); with as many synthetic images 10 %, "
        "lower than between real images."
    )


def test_long_curves_are_thinned() -> None:
    x = [float(i) for i in range(5000)]
    line = thinned(Curve("a", x, [None if i < 2500 else 1.0 for i in range(5000)]))
    assert len(line.x) == 400
    assert line.y[0] is None
    assert line.y[-1] == 1


def test_curves_take_the_colours_of_the_page() -> None:
    svg = draw(Panel([Curve("a<b", [0, 1], [1, 2])], "$x$", alarms=[0.5]), "a & b")
    assert svg.startswith('<svg class="curve" viewBox=')
    assert 'aria-label="a &amp; b"' in svg
    assert "var(--accent)" in svg
    assert "var(--signal)" in svg
    assert "#01020" not in svg
    assert "<metadata" not in svg
    assert "$x$" in svg  # shown as it is, not set as a formula


def test_path_lengths_by_rules_of_our_own_stand_under_no_published_name() -> None:
    line = {"metric": "ppl2_wend", "published": True, "results": {"ppl2_wend": 1.0}}
    own = {"metric": "ppl2_wend_5k", "published": False, "results": {"ppl2_wend_5k": 2.0}}
    lines = tuple(parse_line(each, "x") for each in (line, own))
    assert [each.metric for each in Numbers(("x",), lines).published] == ["ppl2_wend"]
