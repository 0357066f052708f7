"""`synthograph phantom` as it is typed."""

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from synthograph.archive.reader import open_archive
from synthograph.cli import main
from synthograph.sources.phantoms import PhantomOptions

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0}, raising=False)

    def call(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["synthograph", "phantom", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main.run()
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out + printed.err

    return call


@pytest.mark.parametrize(
    ("kind", "modalities", "bits", "invariances"),
    [
        ("skin", {"image": 3}, 8, ["mirror", "rotate"]),
        ("eye", {"vis": 3, "nir": 1}, 8, []),
        ("knee", {"image": 1}, 16, []),
    ],
)
def test_every_kind_is_an_archive_with_masks(
    run: Run, kind: str, modalities: dict[str, int], bits: int, invariances: list[str]
) -> None:
    code, text = run(kind, "out.zip", "--count", 12, "--size", 16)
    assert code == 0 and "12 images, 16x16" in text and "groups: " in text
    archive = open_archive(Path("out.zip"))
    assert archive.info.spec.modalities == modalities and archive.info.spec.bits == bits
    assert set(invariances) <= set(archive.info.invariances)
    assert kind == "skin" or "mirror" not in archive.info.invariances
    assert len(archive.info.classes) == 2
    for row in archive.rows:
        assert archive.read_mask(row) is not None and row.label in archive.info.classes
        assert row.columns["source_file"].startswith(kind) and row.columns["site"] == "a"


def test_the_seed_decides(run: Run) -> None:
    for name, seed in (("a.zip", 1), ("b.zip", 1), ("c.zip", 2)):
        assert run("skin", name, "--count", 3, "--size", 16, "--seed", seed)[0] == 0
    a, b, c = (open_archive(Path(f"{name}.zip")) for name in "abc")
    assert a.images_hash == b.images_hash != c.images_hash
    assert not np.array_equal(a.read(a.rows[0]), a.read(a.rows[1]))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["scin"], "did you mean 'skin'"),
        (["skin", "--site", "c"], "--site: 'c' is unknown: known are: a, b"),
        (["skin", "--count", "0"], "--count 0: must be at least 1"),
        (["skin", "--size", "17"], "fit no grid"),
        (["skin", "--set", "auroq=0.9"], "did you mean 'auroc'"),
        (["skin", "--set", "auroc"], "--set"),
        (
            ["eye", "--count", "4", "--set", "patient_effect=0.3"],
            "for eyes count, size, seed, site",
        ),
        (["skin", "--set", "auroc=2"], "--set auroc 2: must be at most 0.999"),
    ],
)
def test_refusals(run: Run, arguments: list[str], words: str) -> None:
    kind, *rest = arguments
    code, text = run(kind, "out.zip", *(rest or ["--count", "3"]))
    assert code == 2 and words in text and not os.listdir()


def test_help_names_every_setting(run: Run) -> None:
    code, text = run("--help")
    assert code == 0 and all(name in text for name in PhantomOptions.model_fields)


def test_numbers_of_a_file_are_refused_by_its_name(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"count: 40.9\nkind: skin\ndest: {tmp_path / 'p.zip'}\n")
    code, text = run("--config", tmp_path / "a.yaml")
    assert code == 2 and text == f"error: {tmp_path}/a.yaml: count 40.9: must be a whole number\n"
    code, text = run("--config", tmp_path / "a.yaml", "--count", "x")
    assert code == 2 and text == "error: --count x: must be a whole number\n"
