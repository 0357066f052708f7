"""`synthograph report` and what it says on the console."""

from pathlib import Path

import pytest

import synthograph
from synthograph.core.errors import UserError
from tests.cli.conftest import Typed
from tests.report import material


def test_page_and_console(tmp_path: Path, typed: Typed) -> None:
    run = material.run_directory(tmp_path)
    (run / "stats.jsonl").write_text("{\n")
    numbers = material.write(tmp_path / "n.json", material.evaluation(material.entries()))
    page = tmp_path / "out" / "report.html"
    code, said, _ = typed("report", run, numbers, "-o", page)
    assert code == 0
    assert page.exists()
    assert page.with_suffix(".json").exists()
    assert "faithful?  No answer without a clean audit" in said
    assert "left out: stats.jsonl: 1 line could not be read" in said
    assert "missing: audit: synthograph audit --synthetic made.zip" in said
    assert "--public leaves them out" in said
    assert f"{page}   0." in said
    with pytest.raises(UserError, match="--force"):
        synthograph.report([run, numbers], out=page)
    result = synthograph.report([run, numbers], out=page, public=True, force=True, title="Cells")
    said = repr(result)
    assert "--public leaves" not in said
    assert "Synthetic images are left out of this page, since no audit of images" in said
    assert "<h1>Cells</h1>" in page.read_text()
