"""Projections on the page and on the console."""

from pathlib import Path

import pytest

from synthograph.report.projections import table
from synthograph.report.write import write_report
from synthograph.results import Projections, load
from synthograph.results.projection import NO_ANONYMISATION, Projection, ProjectionMethod
from synthograph.results.provenance import Features, ImageRecord


def found(held_out: int = 20) -> Projections:
    numbers = range(4)
    some = [
        Projection(
            file=f"secret{n}.png",
            split="train" if n < 3 else "val",
            psnr=None if n == 3 else 20.0 + n,
            ssim=0.5,
            ms_ssim=0.6,
            distance=0.1 * n,
            percentile=99.0 if n == 2 else 50.0,
        )
        for n in numbers
    ]
    return Projections(
        network="g.safetensors",
        network_sha256="0" * 64,
        method=ProjectionMethod(
            space="w", minimised="pixels", steps=1000, seed=0, precision="fp32"
        ),
        distance=Features.parse({"distance": "some-distance"}, "distance"),
        data=ImageRecord(archive="a.zip"),
        held_out=held_out,
        projections=tuple(some),
        version="0",
        command="synthograph project --target /home/secret/a.zip --outdir x",
    )


def test_a_row_for_every_split() -> None:
    shown = table(found())
    assert {len(row) for row in shown.rows} == {len(shown.head)}
    assert shown.rows[0][:3] == ["train", "3", "21.0 (20.5 to 21.5)"]
    assert shown.rows[1][:3] == ["val", "1", "inf"], "an equal image has no noise"
    assert [row[-1] for row in shown.rows] == ["1", "0"]
    assert "far off: further than 95 % of 20 held-out images" in shown.notes
    assert shown.head[5] == "distance by some"


@pytest.mark.parametrize("equal", [1, 2, 3])
def test_equal_images_leave_quartiles(equal: int) -> None:
    of_one = found().projections[0]
    psnr = [20.0, 21.0, 22.0, 23.0, 24.0]
    some = [of_one.replace(psnr=None if n >= 5 - equal else psnr[n]) for n in range(5)]
    ends = {1: "22.0 (21.0 to 23.0)", 2: "22.0 (21.0 to inf)", 3: "inf (21.0 to inf)"}
    assert table(found().replace(projections=tuple(some))).rows[0][2] == ends[equal]


def test_few_held_out_images_say_nothing_of_percentiles() -> None:
    shown = table(found(held_out=19))
    assert "far off" not in shown.head and len(shown.rows[0]) == len(shown.head)


@pytest.mark.parametrize("public", [False, True])
def test_the_page_says_that_it_is_no_anonymisation(tmp_path: Path, public: bool) -> None:
    file = tmp_path / "projections.json"
    found().save(file)
    assert load(file) == found()
    write_report([file], tmp_path / "page.html", public=public)
    text = (tmp_path / "page.html").read_text()
    assert "Projections into g.safetensors" in text
    assert NO_ANONYMISATION[1:] in text
    assert not (public and "secret" in text)


def test_a_folder_of_projections_is_read_without_the_records_of_single_ones(tmp_path: Path) -> None:
    """Which are many, and are called as patients are."""
    folder = tmp_path / "projected"
    folder.mkdir()
    found().save(folder / "projections.json")
    for name in ("secret0", "secret1"):
        (folder / f"{name}.json").write_text("{}")
        (folder / f"{name}.npz").touch()
    write_report([folder], tmp_path / "page.html", public=True)
    text = (tmp_path / "page.html").read_text()
    assert "Projections into g.safetensors" in text and "secret" not in text
