"""The table of slides: counts and stains by slide."""

import csv
import math
from pathlib import Path

import numpy as np
import pytest
import tifffile

from synthograph.core.errors import UserError
from synthograph.core.progress import Silent
from synthograph.workflows import prepare
from synthograph.workflows.requests import PrepareRequest

pytest.importorskip("openslide")


def slide(path: Path, red: int) -> None:
    pixels = np.full((256, 256, 3), 240, np.uint8)
    pixels[:, :128] = (red, 60, 160)
    scale = {"resolution": (20000, 20000), "resolutionunit": "CENTIMETER"}
    tifffile.imwrite(path, pixels, tile=(64, 64), photometric="rgb", **scale)


def test_counts_and_stain_of_each_slide(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    slide(tmp_path / "in" / "a.tif", 150)
    slide(tmp_path / "in" / "b.tif", 100)
    table, said = tmp_path / "t.csv", list[str]()
    request = PrepareRequest(
        source=tmp_path / "in", dest=tmp_path / "o.zip", tile=64, mpp=0.5, per_slide=5,
        slide_table=table, workers=1,
    )  # fmt: skip
    progress = Silent()
    progress.log = said.append  # type: ignore[method-assign]
    prepare.run(request, progress=progress)
    rows = list(csv.DictReader(table.read_text().splitlines()))
    assert [row["slide"] for row in rows] == ["a.tif", "b.tif"]
    for row, red in zip(rows, (150, 100), strict=True):
        assert row["tiles"] == "5" and row["tiles with less than 50% of tissue"] == "8"
        assert row["tiles that were not drawn"] == "3"
        assert float(row["od_red"]) == pytest.approx(-math.log10(red / 255), abs=5e-4)
        assert float(row["od_red_sd"]) == 0
    assert any("red 0.32 (0.23 to 0.41)" in line for line in said)
    with pytest.raises(UserError, match="--slide-table"):
        prepare.run(request.model_copy(update={"dest": tmp_path / "p.zip"}), progress=Silent())


def test_a_table_without_slides_is_refused(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    tifffile.imwrite(tmp_path / "in" / "a.tif", np.zeros((64, 64), np.uint8))
    request = PrepareRequest(
        source=tmp_path / "in", dest=tmp_path / "o.zip", slide_table=tmp_path / "t.csv"
    )
    with pytest.raises(UserError, match="no whole slide to list; leave --slide-table out"):
        prepare.run(request, progress=Silent())


def test_pseudonyms_change_the_names_alone(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    slide(tmp_path / "in" / "a.tif", 150)
    slide(tmp_path / "in" / "b.tif", 100)
    (tmp_path / "secret").write_text("0123456789abcdef")

    def listed(name: str, **options: Path) -> list[list[str]]:
        table, sheet = tmp_path / f"{name}.csv", tmp_path / f"{name}.png"
        request = PrepareRequest(
            source=tmp_path / "in", dest=tmp_path / f"{name}.zip", tile=64, mpp=0.5, per_slide=5,
            slide_table=table, slide_sheet=sheet, workers=1, **options,
        )  # fmt: skip
        prepare.run(request, progress=Silent())
        assert sheet.read_bytes().startswith(b"\x89PNG")
        return list(csv.reader(table.read_text().splitlines()))

    plain, told = listed("plain"), listed("told", pseudonymise=tmp_path / "secret")
    assert [row[1:] for row in told] == [row[1:] for row in plain]
    names = {row[0] for row in told[1:]}
    assert len(names) == 2 and all(set(name) <= set("0123456789abcdef") for name in names)
