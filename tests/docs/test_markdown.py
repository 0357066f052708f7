"""Markdown of the repository: lines stay short, and links within it lead somewhere."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WIDTH = 100
LINK = re.compile(r"\]\(([^)\s]+)\)|^\[[^\]^]+\]:\s+(\S+)", re.MULTILINE)
FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def pages() -> list[Path]:
    """Markdown under version control or about to be."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if found.returncode:  # a source tree without git
        return sorted(p for p in ROOT.rglob("*.md") if ".venv" not in p.parts)
    return [ROOT / name for name in found.stdout.splitlines() if (ROOT / name).exists()]


def links(text: str) -> list[str]:
    """Targets of links and pictures, also of reference-style ones; none from code."""
    return [inline or named for inline, named in LINK.findall(FENCE.sub("", text))]


def anchors(text: str) -> set[str]:
    """What a page's headings are called in addresses."""
    heads = re.findall(r"^#+ +(.*)$", FENCE.sub("", text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


def problems(page: Path) -> list[str]:
    """Links of a page that lead nowhere."""
    found = []
    for link in links(page.read_text(encoding="utf-8")):
        if "://" in link or link.startswith("mailto:"):
            continue
        name, _, anchor = link.partition("#")
        target = page.parent / name if name else page
        if not target.exists():
            found.append(f"{link}: no such file")
        elif anchor and anchor not in anchors(target.read_text(encoding="utf-8")):
            found.append(f"{link}: no such heading")
    return found


def test_there_are_pages() -> None:
    names = {str(page.relative_to(ROOT)) for page in pages()}
    assert {"README.md", "docs/guide.md", "benchmarks/README.md"} <= names


@pytest.mark.parametrize("page", pages(), ids=lambda page: str(page.relative_to(ROOT)))
def test_lines_are_short_and_links_lead_somewhere(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()
    long = {i: line[:60] for i, line in enumerate(lines, 1) if len(line) > WIDTH}
    assert not long, f"over {WIDTH} characters"
    assert not problems(page)


def test_the_readme_is_short_and_shows_the_two_commands() -> None:
    lines = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(lines) <= 120
    assert {"make demo", "make test"} <= set(lines)


def test_a_link_that_leads_nowhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("# One, two\n")
    page = tmp_path / "a.md"
    page.write_text(
        "[x](b.md#one-two) [y](b.md#three) ![z](c.png)\n\n[w]: d.md\n```\n[v](e.md)\n```\n"
    )
    assert problems(page) == [
        "b.md#three: no such heading",
        "c.png: no such file",
        "d.md: no such file",
    ]
