"""Memorisation by recovery on the page and on the console."""

from dataclasses import replace
from pathlib import Path

import torch

from synthograph.metrics.audit.recovery import Recovery, recovery
from synthograph.report.commands import Beside
from synthograph.report.numbers import Numbers
from synthograph.report.recoveries import histogram, recovery_tree, tables
from synthograph.report.verdicts import copies_verdict
from synthograph.report.write import write_report
from synthograph.results import Audit, Authenticity, load
from tests.report import material


def found(gain: float = 0.0) -> Authenticity:
    torch.manual_seed(0)
    psnr = 20 + torch.randn(20).double()
    names = [f"secret{number}.png" for number in range(20)]
    train = Recovery("train.json", names, names, ["a"] * 20, psnr + gain, cosine=psnr / 100)
    held_out = replace(train, file="held.json", groups=[f"other{n}" for n in range(20)], psnr=psnr)
    own = replace(train, file="own.json", psnr=psnr + 20, perceptual=psnr / 50)
    return recovery(train, held_out, own, network="g.safetensors", permutations=99, controls=5)


def test_every_row_has_a_cell_per_column() -> None:
    (table,) = tables(found())
    assert {len(row) for row in table.rows} == {len(table.head)}
    assert [row[0] for row in table.rows] == [
        "training images",
        "held-out images",
        "the generator's own images",
    ]
    assert table.rows[0][4] == "–"
    assert table.rows[2][2] == "–"
    assert "100" in table.notes[1]


def test_answers_say_what_they_mean() -> None:
    assert "do not share it" in recovery_tree(found(gain=6))["meaning"]
    assert "reached alike" in recovery_tree(found())["meaning"]


def test_the_picture_has_both_sets_and_the_floor() -> None:
    svg = histogram(found(), "differences")
    assert "training images" in svg
    assert "held-out images" in svg


def test_the_page_shows_it_and_names_no_image(tmp_path: Path) -> None:
    found(gain=6).save(tmp_path / "authenticity.json")
    assert isinstance(load(tmp_path / "authenticity.json"), Authenticity)
    write_report([tmp_path / "authenticity.json"], tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "Does g.safetensors remember its training images?" in text
    assert "signs of memorisation" in text
    write_report([tmp_path / "authenticity.json"], tmp_path / "public.html", public=True)
    for page in ("public.html", "public.json"):
        assert "secret" not in (tmp_path / page).read_text()


def test_a_generator_that_remembers_makes_a_clean_audit_suspicious() -> None:
    audit = Audit.parse(material.audit("clean"), "a.json")
    said = "Projections show that g remembers."
    verdict = copies_verdict(audit, Numbers(), beside=Beside(remembered=said))
    assert verdict.headline == "Suspicious, but no copy was shown"
    assert said in verdict.reasons
    assert copies_verdict(audit, Numbers()).headline == "No copies found"
