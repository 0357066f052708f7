"""What four published projects do with a trained generator, typed at small scale."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from synthograph.archive.reader import open_archive
from synthograph.archive.split import SplitOptions, split_archive
from synthograph.core.spec import ImageSpec
from synthograph.features import registry
from synthograph.models.base import Condition
from synthograph.models.registry import family, parse_model
from synthograph.models.snapshot import SnapshotInfo, save_snapshot
from synthograph.results import Authenticity, Projections
from tests.cli.conftest import Typed
from tests.conftest import make_archive
from tests.metrics.images import Means
from tests.sampling.test_generate import MODEL


def network(
    folder: Path,
    modalities: dict[str, int],
    classes: tuple[str, ...],
    bits: int,
    *,
    side: int = 8,
    groups: Sequence[str] = (),
) -> Path:
    """An untrained generator, which may say that it saw groups."""
    spec = ImageSpec(height=side, width=side, modalities=modalities, bits=bits)
    torch.manual_seed(0)
    networks = family("stylegan2").build(
        spec, Condition(classes, len(classes)), parse_model(dict(MODEL))
    )
    info = SnapshotInfo(
        family="stylegan2",
        config={"model": MODEL},
        spec=spec,
        classes=list(classes),
        label_width=len(classes),
        group_digests=list(groups),
    )
    return save_snapshot(folder, info, networks.generator, networks)


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        return np.asarray(picture)


def test_skin_lesions_are_projected_by_class_drawn_again_and_measured(
    typed: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "extractor", lambda name, **_: Means())
    classes = ("benign", "melanoma")
    lesions = make_archive(tmp_path / "lesions.zip", classes=classes)
    split_archive(lesions, SplitOptions(test=0.5, val=0.0))
    net = network(tmp_path / "net", {"image": 3}, classes, 8, side=16)
    for split in ("train", "test"):
        asked = ("--target", f"{lesions}:{split}", "--num", "3", "--steps", "3")
        how = ("--distance", "pixels", "--class", "melanoma", "--outdir", tmp_path / split)
        code, text, error = typed("project", "--network", net, *asked, *how)
        assert code == 0, error
        assert "no anonymisation" in text
    found = Projections.load(tmp_path / "train" / "projections.json").projections
    assert {each.label for each in found} == {"melanoma"}
    latent = tmp_path / "train" / found[0].latent
    code, _, error = typed(
        "generate", "--network", net, "--projected-w", latent, "--outdir", tmp_path / "again"
    )
    assert code == 0, error
    (drawn,) = (tmp_path / "again").glob("*.png")
    assert np.array_equal(pixels(drawn), pixels(tmp_path / "train" / found[0].result))
    sides = ("--train", tmp_path / "train", "--held-out", tmp_path / "test")
    code, text, error = typed("authenticity", *sides, "--outdir", tmp_path / "distances")
    assert code == 0, error
    assert "undecidable" in text
    pairs = Authenticity.load(tmp_path / "distances" / "authenticity.json").pairs
    assert len(pairs) == 6
    assert all(each.cosine is not None and 0 <= each.cosine <= 2 for each in pairs)


def test_eyes_in_two_modalities_become_films(typed: Typed, tmp_path: Path) -> None:
    net = network(tmp_path / "net", {"vis": 3, "nir": 1}, (), 8)
    loop = ("--process", "interpolation", "--interpolation", "noiseloop", "--diameter", "10")
    pace = ("--easing", "easeInOutQuad", "--frames", "6", "--fps", "24", "--random_seed", "1")
    code, _, error = typed(
        "interpolate", "--network", net, *loop, *pace, "--out", tmp_path / "loop.webp"
    )
    assert code == 0, error
    with Image.open(tmp_path / "loop.webp") as film:
        assert film.n_frames == 6
        assert film.width == 2 * film.height
    sweep = ("--process", "truncation", "--start", "0", "--stop", "1", "--increment", "0.5")
    code, _, error = typed(
        *("interpolate", "--network", net, "--seeds", "3", *sweep, "--space", "w"),
        *("--out", tmp_path / "frames"),
    )
    assert code == 0, error
    frames = [pixels(path) for path in sorted((tmp_path / "frames").glob("*.png"))]
    assert len(frames) == 3
    assert not np.array_equal(frames[0], frames[-1])


def test_knees_of_16_bits_are_mixed_at_psi_07(typed: Typed, tmp_path: Path) -> None:
    net = network(tmp_path / "net", {"image": 1}, (), 16)
    asked = ("--rows", "0-2", "--cols", "3-7", "--styles", "0-1", "--trunc", "0.7")
    out = tmp_path / "mixed"
    code, _, error = typed("mix-styles", "--network", net, *asked, "--outdir", out)
    assert code == 0, error
    assert len(list(out.glob("[0-9]*-[0-9]*.png"))) == 15
    assert pixels(next(out.glob("[0-9]*-[0-9]*.png"))).dtype == np.uint16
    assert (out / "grid.png").exists()
    psi = ("--seeds", "4", "--trunc", "0.7", "--outdir", tmp_path / "one")
    assert typed("generate", "--network", net, *psi)[0] == 0
    (column,) = out.glob("col-*4.png")
    assert np.array_equal(pixels(tmp_path / "one" / "seed0004.png"), pixels(column))


def test_thyroid_nodules_are_drawn_by_class_and_range_of_seeds(
    typed: Typed, tmp_path: Path
) -> None:
    classes = ("benign", "malignant")
    net = network(tmp_path / "net", {"image": 1}, classes, 8)
    for name, seeds in (("benign", "0-4"), ("malignant", "5-6")):
        asked = ("--class", name, "--seeds", seeds, "--noise-mode", "const", "--trunc", "1")
        code, _, error = typed(
            "generate", "--network", net, *asked, "--outdir", tmp_path / f"{name}.zip"
        )
        assert code == 0, error
        rows = open_archive(tmp_path / f"{name}.zip").rows
        first, _, last = seeds.partition("-")
        wanted = [str(seed) for seed in range(int(first), int(last) + 1)]
        assert [row.columns["seed"] for row in rows] == wanted
        assert {row.label for row in rows} == {name}
        assert not any(row.real for row in rows)
