"""`synthograph audit` as it is typed, with the extractor that needs no file."""

import csv
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthograph.archive.reader import open_archive
from synthograph.archive.split import SplitOptions, split_archive
from synthograph.features import registry
from synthograph.metrics.audit import audit as audits
from synthograph.metrics.audit import memorisation
from synthograph.results.audit import Overlap
from tests.cli.conftest import Typed
from tests.conftest import NVIDIA, make_archive
from tests.metrics.images import Means

NETWORK = NVIDIA / "cond2_rgb_32.pkl"


@pytest.fixture
def search(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> Typed:
    monkeypatch.setattr(memorisation, "EXCHANGES", 39)
    return partial(typed, "audit")


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    """A split archive: 28 patients for training, 24 held out."""
    path = make_archive(tmp_path / "cells.zip", count=104, classes=("0", "1"))
    split_archive(path, SplitOptions(test=0.46, val=0.0))
    return path


@pytest.fixture
def pictures(cells: Path, tmp_path: Path) -> Path:
    """PNG files of some generator, the first two being training images."""
    folder, rng = tmp_path / "pictures", np.random.default_rng(5)
    folder.mkdir()
    archive = open_archive(cells)
    train = [row for row in archive.rows if row.split == "train"]
    for number in range(30):
        pixels = rng.integers(0, 200, (16, 16, 3)).astype(np.uint8)
        if number < 2:
            pixels = np.moveaxis(archive.read(train[number]), 0, 2)
        Image.fromarray(pixels).save(folder / f"made{number:02d}.png")
    return folder


def sets(cells: Path, pictures: Path) -> tuple[object, ...]:
    return ("--synthetic", pictures, "--train", f"{cells}:train", "--holdout", f"{cells}:test")


@pytest.mark.slow
def test_copies_are_found_shown_and_listed(
    search: Typed,
    cells: Path,
    pictures: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    search_overlap = audits.content_overlap

    def none(*asked: object, **how: object) -> Overlap:
        # so few images of noise are too much alike for the search to be sure of them
        return search_overlap(*asked, **how).replace(share=0.0, believed=0.0)

    monkeypatch.setattr(audits, "content_overlap", none)
    out = tmp_path / "new" / "audit"
    code, text, error = search(*sets(cells, pictures), "--outdir", out, "--seed", "4")
    assert code == 0, error
    assert "training: cells.zip:train, 56 images of 28 groups" in text
    assert "held out: cells.zip:test, 48 images of 24 groups" in text
    assert "cannot be checked" in text, "a folder of PNG files knows no generator"
    assert "verdict: COPIES FOUND (an indication)" in text and "closer_to_training" in text
    document = json.loads((out / "audit.json").read_text())
    assert document["kind"] == "audit" and document["verdict"]["answer"] == "copies found"
    assert document["provenance"]["seed"] == 4
    assert document["provenance"]["command"].startswith("synthograph audit --synthetic")
    assert document["pictures"] == {"pairs": "pairs.png"}
    with Image.open(out / "pairs.png") as shown:
        assert shown.width > 100
    with (out / "withhold.csv").open(newline="") as file:
        listed = list(csv.DictReader(file))
    assert {"made00.png", "made01.png"} <= {Path(row["file"]).name for row in listed}
    assert all(row["training_file"].startswith("00000/img") for row in listed)
    before = (out / "audit.json").read_bytes()
    code, _, error = search(*sets(cells, pictures), "--outdir", out)
    assert code == 2 and "exists already" in error
    assert (out / "audit.json").read_bytes() == before


def test_a_dry_run_checks_and_writes_nothing(
    search: Typed, cells: Path, pictures: Path, tmp_path: Path
) -> None:
    out = tmp_path / "audit"
    code, text, error = search(*sets(cells, pictures), "--outdir", out, "--dry-run")
    assert code == 0, error
    assert "synthetic: pictures, 30 images" in text and not out.exists()
    whole = ("--synthetic", pictures, "--train", cells, "--holdout", cells, "--dry-run")
    code, text, error = search(*whole)
    assert code == 0, error
    assert "cells.zip:train" in text and "cells.zip:test" in text, "a divided archive's own splits"


def test_equal_images_are_listed_however_few_patients_there_are(
    search: Typed, tmp_path: Path, pictures: Path
) -> None:
    path = make_archive(tmp_path / "few.zip", count=26, classes=("0", "1"), seed=7)
    split_archive(path, SplitOptions(test=0.5, val=0.0))
    archive = open_archive(path)
    row = next(row for row in archive.rows if row.split == "train")
    Image.fromarray(np.moveaxis(archive.read(row), 0, 2)).save(pictures / "made07.png")
    out = tmp_path / "audit"
    code, text, error = search(*sets(path, pictures), "--outdir", out)
    assert code == 0, error
    assert "verdict: COPIES FOUND" in text and "copies: 1 synthetic images equal" in text
    with (out / "withhold.csv").open(newline="") as file:
        (listed,) = csv.DictReader(file)
    assert listed["file"].endswith("made07.png")
    assert listed["training_file"] == row.file and listed["score"] == ""


def test_bad_input_is_refused_in_words(
    search: Typed, typed: Typed, cells: Path, pictures: Path, tmp_path: Path
) -> None:
    fake = ("--synthetic", pictures)
    same = (*fake, "--train", f"{cells}:train", "--holdout", f"{cells}:train")
    code, _, error = search(*same)
    assert code == 2 and "28 groups are in cells.zip:train and in cells.zip:train" in error
    assert "'P" in error, "a group is named"
    held = ("--train", f"{cells}:train", "--holdout", f"{cells}:test")
    for place, (count, size, words) in enumerate(
        ((5, 16, "5 synthetic images say nothing"), (12, 32, "bring them to one size and kind"))
    ):
        folder = tmp_path / f"few{place}"
        folder.mkdir()
        for number in range(count):
            Image.new("RGB", (size, size), (number, 0, 0)).save(folder / f"{number}.png")
        code, _, error = search("--synthetic", folder, *held)
        assert code == 2 and words in error
    code, _, error = search(*sets(cells, pictures), "--features", "inception")
    assert code == 2 and "synthograph weights get inception" in error
    code, _, error = search(*sets(cells, pictures), "--features", "nothing")
    assert code == 2 and "is unknown" in error
    code, _, error = search(*fake, "--train", f"{cells}:train")
    assert code == 2 and "an audit needs --synthetic ARCHIVE" in error
    code, _, error = search("--synthetic", cells, *held)
    assert code == 2 and "holds the real images of cells.zip themselves" in error
    made = tmp_path / "made.zip"
    command = ("generate", "--network", NETWORK, "--outdir", made, "--seeds", "0-9")
    assert typed(*command)[0] == 0
    code, _, error = search(*fake, "--train", made, "--holdout", f"{cells}:test")
    assert code == 2 and "is synthetic" in error


def test_two_extractors_of_one_name_are_refused(
    search: Typed, cells: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "extractor", lambda name, **_: Means("classifier:m.pt"))
    named = ("--features", "classifier:a/m.pt", "--features", "classifier:b/m.pt")
    code, _, error = search(*sets(cells, pictures), *named)
    assert code == 2
    assert "classifier:a/m.pt and classifier:b/m.pt are both called classifier:m.pt" in error
