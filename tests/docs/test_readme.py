"""The first page is typed as it stands, on a small set and with a training of seconds."""

import csv
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Typed, typed
from tests.docs.test_markdown import ROOT

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
SHORT = {
    "kimg": 0.016,
    "batch": 8,
    "metrics": "none",
    "device": "cpu",
    "settings": [
        f"model.{name}={value}"
        for name, value in {"channel_base": 64, "channel_max": 4, "z_dim": 8, "w_dim": 8}.items()
    ],
}
APPENDED = {
    "train": "--kimg 0.016 --batch 8 --metrics none --device cpu "
    + " ".join(f"--set {text}" for text in SHORT["settings"]),
    "generate": "--per-class 12",
    "evaluate": "--features random-vgg16 --metrics frechet",
    "audit": "--features random-vgg16",
}
__all__ = ["typed"]


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder and a table as the page says; 30 patients with two images each."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    folder, rng = tmp_path / "PHOTOS", np.random.default_rng(0)
    folder.mkdir()
    with (tmp_path / "table.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["image_name", "diagnosis", "patient_id", "site"])
        for number in range(60):
            kind = number // 2 % 2
            pixels = rng.integers(100 * kind, 100 * kind + 100, (66, 70, 3), np.uint8)
            Image.fromarray(pixels).resize((80, 70)).save(folder / f"{number}.png")
            table.writerow(
                [f"{number}.png", ["benign", "malignant"][kind], number // 2, "AB"[number // 4 % 2]]
            )
    return folder


def commands(heading: str) -> Iterator[list[str]]:
    """Words of the commands below a heading, without the program's name."""
    section = re.search(rf"## {heading}\n(.*?)\n## ", TEXT, re.DOTALL)
    assert section is not None, heading
    blocks = "".join(re.findall(r"```\n(.*?)```", section[1], re.DOTALL))
    for line in blocks.replace("\\\n", " ").splitlines():
        program, *words = shlex.split(line)
        assert program == "synthograph", line
        yield words


@pytest.mark.slow
def test_the_commands_of_the_first_five_minutes(typed: Typed, photos: Path) -> None:
    for words in commands("Your own images"):
        appended = "--backbone random-vgg16" if words[:2] == ["classify", "train"] else ""
        code, out, err = typed(*words, *shlex.split(APPENDED.get(words[0], appended)))
        assert code == 0, (words, out, err)
    assert Path("report.html").stat().st_size > 10_000


@pytest.mark.slow
def test_the_snippet_defines_its_variables(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import synthograph

    (snippet,) = re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL)
    whole, draw, judge = synthograph.train, synthograph.generate, synthograph.evaluate
    monkeypatch.setattr(synthograph, "train", lambda **given: whole(**{**given, **SHORT}))
    monkeypatch.setattr(synthograph, "generate", lambda **g: draw(**{**g, "per_class": 12}))
    quick = {"features": "random-vgg16", "metrics": "frechet"}
    monkeypatch.setattr(synthograph, "evaluate", lambda **given: judge(**given, **quick))
    names: dict[str, object] = {}
    exec(compile(snippet, "README.md", "exec"), names)
    assert names["images"].shape == (2, 3, 64, 64)  # type: ignore[attr-defined]


def test_the_page_is_short() -> None:
    assert len(TEXT.splitlines()) <= 120
