"""XML of others: what it holds, and what is refused of it."""

import pytest

from synthograph.core.errors import UserError
from synthograph.core.untrusted import markup
from synthograph.core.untrusted.markup import MAX_DEPTH, parse_xml

BOMB = b"""<!DOCTYPE lolz [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><r>&b;</r>"""
OUTSIDE = b"""<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/hostname">]><r>&x;</r>"""


def test_elements_attributes_and_text() -> None:
    root = parse_xml('<a k="é"><b>one</b><b>two</b></a>'.encode(), "x.xml")
    assert root.tag == "a" and root.get("k") == "é"
    assert [b.text for b in root.iter("b")] == ["one", "two"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (BOMB, "declares a document type; XML with one is not read$"),
        (OUTSIDE, "declares a document type; XML with one is not read$"),
        (b"<a><b></a>", "not valid XML: mismatched tag"),
        (b"<a>&x;</a>", "not valid XML: undefined entity"),
        (b"", "not valid XML: no element found"),
        (b'<?xml version="1.0" encoding="nothing"?><a/>', "not valid XML: unknown encoding"),
        (b"<a>" * (MAX_DEPTH + 1), "XML is nested more than 64 levels deep"),
    ],
)
def test_what_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(UserError, match=f"^x.xml: {words}"):
        parse_xml(data, "x.xml")


def test_sizes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(markup, "MAX_ELEMENTS", 3)
    with pytest.raises(UserError, match="more than 3 elements"):
        parse_xml(b"<a><b/><b/><b/></a>", "x.xml")
    monkeypatch.setattr(markup, "MAX_XML_BYTES", 3)
    with pytest.raises(UserError, match="larger than"):
        parse_xml(b"<a/>", "x.xml")
