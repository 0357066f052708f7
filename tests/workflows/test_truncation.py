"""Truncation measured against held-out images: the table, the picture, and what is refused."""

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthograph.archive.split import SplitOptions, split_archive
from synthograph.core.errors import UserError
from synthograph.core.progress import Silent
from synthograph.results import load
from synthograph.results.evaluation import Scope
from synthograph.sampling.image_set import synthetic_images
from synthograph.workflows import truncation
from synthograph.workflows.latent_requests import TruncationRequest
from tests.conftest import make_archive
from tests.metrics.images import Means
from tests.sampling.test_generate import make_snapshot
from tests.workflows.test_interpolate import Listener

Sweep = Callable[..., truncation.TruncationResult | None]


@pytest.fixture
def sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    monkeypatch.setattr(truncation, "extractor", lambda name, device: Means())
    monkeypatch.setattr(truncation, "feature_folder", lambda: tmp_path / "features")
    snapshot = make_snapshot(tmp_path / "network")
    cells = make_archive(
        tmp_path / "cells.zip",
        count=80,
        size=(8, 8),
        classes=("a b", "c/d"),
        modalities={"vis": 3, "nir": 1},
    )
    split_archive(cells, SplitOptions(test=0.2, val=0.5))

    def run(
        progress: Silent | None = None, **options: object
    ) -> truncation.TruncationResult | None:
        given = {
            "network": snapshot.path,
            "real": str(cells),
            "outdir": tmp_path / "out",
            "psi": "0.5,1",
            "num": 60,
            "seeds": "0,7",
            **options,
        }
        return truncation.run(TruncationRequest.parse(given), progress=progress or Silent())

    return run


def test_a_sweep_measures_all_images_and_classes(sweep: Sweep, tmp_path: Path) -> None:
    result = sweep()
    assert result is not None
    found = result.truncation
    assert load(tmp_path / "out" / "truncation.json") == found
    assert found.parts[0].scope == Scope() and found.images == 60
    assert [point.psi for point in found.parts[0].points] == [0.5, 1]
    assert found.provenance.real is not None and found.provenance.real.split == "val"
    assert any("not measured alone" in note for note in found.notes)
    text = "\n".join(result.lines())
    assert "all images" in text and "truncation.png" in text and "choose" not in text
    picture = Image.open(io.BytesIO((tmp_path / "out" / "truncation.png").read_bytes()))
    assert picture.height > 4 * 64 and picture.width > 2 * 128, "2 seeds of 2 classes, 2 psi"
    assert len(list((tmp_path / "features").glob("*.npy"))) == 3, "real images, and each psi"
    with pytest.raises(UserError, match="out exists already: choose another --outdir"):
        sweep()


def test_a_dry_run_writes_nothing_and_says_how_long(sweep: Sweep, tmp_path: Path) -> None:
    listener = Listener()
    assert sweep(listener, dry_run=True) is None
    assert not (tmp_path / "out").exists()
    assert "60 images at each psi of 0.5, 1, of the same seeds" in "\n".join(listener.said)
    assert listener.said[-1].startswith("takes about ")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"psi": "0.5,none"}, "--psi none: psi is a number"),
        ({"psi": "nan"}, "--psi nan"),
        ({"psi": "1000"}, "--psi 1000"),
        ({"seeds": "0-9999"}, "--seeds 0-9999: 40000 images on one picture"),
        ({"real": "cells.zip:fold1"}, "cells.zip"),
        ({"real": "none.zip"}, "none.zip"),
        ({"features": "seen"}, "seen"),
    ],
)
def test_what_is_refused(
    sweep: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    if "features" in options:
        monkeypatch.undo()
    with pytest.raises(UserError, match=says):
        sweep(**options)
    assert not (tmp_path / "out").exists()


def test_images_of_another_size_are_refused(sweep: Sweep, tmp_path: Path) -> None:
    make_archive(
        tmp_path / "large.zip",
        count=40,
        size=(16, 16),
        classes=("a b", "c/d"),
        modalities={"vis": 3, "nir": 1},
    )
    with pytest.raises(UserError, match="16x16 pixels"):
        sweep(real=str(tmp_path / "large.zip"))


def test_sets_of_one_seed_share_all_but_psi(tmp_path: Path) -> None:
    snapshot = make_snapshot(tmp_path / "network", classes=())
    how = {"seed": 0, "device": "cpu", "batch": 4}
    plain = synthetic_images(snapshot, (), 6, **how)
    same, half = (synthetic_images(snapshot, (), 6, **how, truncation=psi) for psi in (1.0, 0.5))
    assert plain.key == same.key != half.key and half.origin["truncation"] == 0.5
    whole, less = (np.concatenate([b.numpy() for b in s.batches()]) for s in (plain, half))
    assert whole.shape == less.shape and not (whole == less).all()
