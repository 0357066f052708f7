"""Preparation from Python."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import synthograph
from synthograph.archive.reader import open_archive
from synthograph.core.errors import UserError

SCRIPT = """
import synthograph as sg
print("begun")
made = sg.prepare("photos", "out.zip", invariant=["mirror"], workers=2)
print(made)
"""


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 256, (24, 24, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def test_a_script_needs_no_main_guard_for_several_workers(photos: Path) -> None:
    Path("script.py").write_text(SCRIPT)
    words = [sys.executable, "script.py"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["begun", "out.zip: 4 images, 24x24, image 3 channels, 8 bit"]
    assert open_archive(Path("out.zip")).info.invariances == ["mirror"]


def test_the_result_is_for_programs_too(photos: Path) -> None:
    result = synthograph.prepare(photos, "out", grid="sheet.png", workers=1)
    assert (result.archive, result.summary.images) == (Path("out"), 4)
    assert result.grid == Path("sheet.png") and result.grid.is_file()
    part = synthograph.prepare(photos, "other", part="1/2", workers=1)
    assert (part.archive, part.part, part.files) == (Path("other"), "1/2", 2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 3}, "setting 'size': must be at least 4, got 3"),
        ({"width": 8}, "given together"),
        ({"transform": "crop-center", "size": 8}, "setting 'transform': 'crop-center' is unknown"),
        ({"invariant": "miror"}, "did you mean 'mirror'"),
    ],
)
def test_refusals_name_the_keyword(photos: Path, options: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        synthograph.prepare(photos, "out.zip", **options)
