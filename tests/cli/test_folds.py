"""`synthograph audit --per-fold` as it is typed: images of one generator for each fold."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from synthograph.archive.batches import ArchiveRows
from synthograph.archive.reader import ArchiveInfo, open_archive
from synthograph.archive.split import SplitOptions, split_archive
from synthograph.archive.writer import ArchiveWriter, encode
from synthograph.features import registry
from synthograph.features.base import MissingWeightsError
from tests.cli.conftest import Typed
from tests.conftest import make_archive
from tests.metrics.images import Means


@pytest.fixture
def compare(typed: Typed, monkeypatch: pytest.MonkeyPatch) -> Typed:
    monkeypatch.setattr(registry, "extractor", lambda name, **options: Means())
    return partial(typed, "audit")


@pytest.fixture
def cells(tmp_path: Path) -> Path:
    path = make_archive(tmp_path / "cells.zip", count=120)
    split_archive(path, SplitOptions(test=0.0, val=0.0, folds=3))
    return path


def generated(cells: Path, fold: int, *, copies: bool, digests: bool = True) -> Path:
    """Images of a generator that was trained without a fold: of what it saw, or new ones."""
    archive, path = open_archive(cells), cells.with_name(f"made{fold}.zip")
    writer = ArchiveWriter(path, {"fold": fold})
    rng = np.random.default_rng(fold)
    for row in archive.rows:
        if row.fold != fold:
            pixels = np.moveaxis(archive.read(row), 0, 2)
            if not copies:
                pixels = rng.permutation(pixels.reshape(-1, 3)).reshape(pixels.shape)
                pixels = np.clip(pixels + rng.integers(-40, 40), 0, 255).astype(np.uint8)
            made = replace(row, file="", split=None, fold=None, origin="synthetic")
            writer.add([encode({"image": pixels}, None, made)])
    about = {
        "config": {"data": {"fold": fold}},
        "images_hash": archive.images_hash,
        "manifest_hash": archive.manifest_hash,
    }
    if digests:
        seen = ArchiveRows(archive, [row for row in archive.rows if row.fold != fold])
        about["group_digests"] = sorted(seen.groups)
    info = archive.info
    writer.finish(
        ArchiveInfo(classes=info.classes, spec=info.spec, namespace="m", snapshots=[about])
    )
    return path


@pytest.mark.parametrize("copies", [True, False])
def test_generators_are_judged_by_what_they_saw(
    compare: Typed, cells: Path, tmp_path: Path, copies: bool
) -> None:
    made = [generated(cells, fold, copies=copies) for fold in (2, 0, 1)]
    words = [word for path in made for word in ("--per-fold", path)]
    out = tmp_path / "out"
    code, text, error = compare(*words, "--train", cells, "--outdir", out)
    assert code == 0, error
    document = json.loads((out / "cross-fold.json").read_text())
    found = document["tests"]["means"]
    assert document["folds"] == [2, 0, 1] and found["images"] == 120 and found["groups"] == 60
    assert found["seen"] is copies
    assert ("nearer to what they saw" in text) is copies
    assert not copies or found["share_nearer"] == 1.0


def test_a_dry_run_checks_and_writes_nothing(
    compare: Typed, cells: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def extractor(name: str, **options: object) -> Means:
        if name == "inception":
            raise MissingWeightsError("get them")
        return Means()

    monkeypatch.setattr(registry, "extractor", extractor)
    made = [generated(cells, fold, copies=False) for fold in (2, 0)]
    common = ("--per-fold", made[0], "--train", cells)
    both = (*common, "--per-fold", made[1])
    out = tmp_path / "out"
    more = ("--features", "inception,random-vgg16", "--outdir", out, "--dry-run")
    code, text, error = compare(*both, *more)
    assert code == 0, error
    assert "skipped: features inception: get them" in text
    assert "made2.zip, 80 images, trained without fold 2" in text and "p =" not in text
    assert not out.exists()
    code, _, error = compare(*common, "--dry-run")
    assert code == 2 and "give at least two" in error
    code, _, error = compare(*both, "--synthetic", made[0], "--holdout", cells)
    assert code == 2 and "--synthetic and --holdout would not change" in error


@pytest.mark.parametrize("digests", [True, False])
def test_folds_that_were_drawn_again_clear_nobody(
    compare: Typed, cells: Path, digests: bool
) -> None:
    made = [generated(cells, fold, copies=True, digests=digests) for fold in (2, 0, 1)]
    words = [word for path in made for word in ("--per-fold", path)]
    split_archive(cells, SplitOptions(test=0.0, val=0.0, folds=3, seed=5), force=True)
    code, _, error = compare(*words, "--train", cells)
    assert code == 2 and "cells.zip has other folds or labels than it was trained with" in error
    assert ("groups of fold 2" in error) is digests


def test_sets_that_do_not_belong_together(compare: Typed, cells: Path, tmp_path: Path) -> None:
    made = generated(cells, 0, copies=False)
    code, _, error = compare("--per-fold", made)
    assert code == 2 and "--train" in error
    code, _, error = compare("--per-fold", made, "--train", cells)
    assert code == 2 and "give at least two" in error
    other = make_archive(tmp_path / "other.zip", seed=1)
    code, _, error = compare("--per-fold", made, "--train", other)
    assert code == 2 and "has no folds" in error
    split_archive(other, SplitOptions(test=0.0, val=0.0, folds=3))
    code, _, error = compare("--per-fold", made, "--train", other)
    assert code == 2 and "was not trained with --fold on other.zip" in error
    code, _, error = compare("--per-fold", other, "--train", cells)
    assert code == 2 and "names 0 generators" in error
