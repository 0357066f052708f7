"""The page on extending works: its blocks are applied to a copy of the source, and their tests run.

That shows too that an extension needs one new file and an entry, and no other change.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "extending.md"
MOST = 30
BLOCK = re.compile(r"^```(python|diff)\n# (\S+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    """A file of the page, or what is new in one."""

    path: str
    text: str
    is_change: bool

    def apply(self, root: Path) -> None:
        """Write it below a copy of the repository."""
        path = root / self.path
        if not self.is_change:
            assert not path.exists(), f"{self.path} is no new file"
            path.parent.mkdir(exist_ok=True)
            path.write_text(self.text)
            return
        text = path.read_text()
        for hunk in self.text.split("...\n"):
            lines = hunk.splitlines(keepends=True)
            old = "".join(line[1:] for line in lines if line[0] != "+")
            new = "".join(line[1:] for line in lines if line[0] != "-")
            assert text.count(old) == 1, (
                f"{self.path} has these lines {text.count(old)} times:\n{old}"
            )
            text = text.replace(old, new)
        path.write_text(text)


def blocks() -> list[Block]:
    found = BLOCK.findall(PAGE.read_text(encoding="utf-8"))
    return [Block(path, text, kind == "diff") for kind, path, text in found]


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    root = tmp_path / "copy"
    root.mkdir()
    shutil.copy(ROOT / "pyproject.toml", root)
    for name in ("src", "tests"):
        shutil.copytree(ROOT / name, root / name, ignore=shutil.ignore_patterns("__pycache__"))
    for block in blocks():
        block.apply(root)
    return root


def test_every_example_is_short_and_fits_the_source(copy: Path) -> None:
    for block in blocks():
        lines = [line for line in block.text.splitlines() if line.strip("+ ")]
        assert len(lines) < MOST, block.path


@pytest.mark.slow
def test_every_extension_passes_the_tests_that_the_page_shows(copy: Path) -> None:
    tests = [block.path for block in blocks() if block.path.startswith("tests/")]
    assert len(tests) == 6, "one for each kind of extension"
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-m", "not slow", *tests]
    environment = {**os.environ, "PYTHONPATH": str(copy / "src")}
    done = subprocess.run(command, cwd=copy, env=environment, capture_output=True, text=True)
    assert not done.returncode, done.stdout + done.stderr
