"""The latent tools as people type them: pictures, and one line for what cannot be."""

from pathlib import Path

import pytest

from tests.cli.conftest import Typed
from tests.conftest import NVIDIA

NETWORK = NVIDIA / "cond2_rgb_32.pkl"
MIX = ("mix-styles", "--network", NETWORK, "--rows", "85,100", "--cols", "55,821")
NEAR = ("neighbours", "--network", NETWORK, "--num", "2", "--distance", "20")


def test_a_sheet_of_mixed_styles(typed: Typed, tmp_path: Path) -> None:
    out = tmp_path / "mixed"
    code, text, error = typed(*MIX, "--styles", "0-6", "--class", "1", "--outdir", out)
    assert code == 0 and f"{out}: 4 mixtures, grid.png, latents.npz" in text, error
    assert {p.name for p in out.glob("[0-9]*.png")} == {
        f"{row}-{col}.png" for row in (85, 100) for col in (55, 821)
    }


def test_mixtures_are_drawn_and_mixed_again(typed: Typed, tmp_path: Path) -> None:
    typed(*MIX, "--class", "0", "--outdir", tmp_path / "mixed")
    latents = tmp_path / "mixed" / "latents.npz"
    code, text, error = typed(
        "generate", "--network", NETWORK, "--latents", latents, "--outdir", tmp_path / "again"
    )
    assert code == 0, error
    for name in ("85-55.png", "100-821.png"):
        again = (tmp_path / "again" / name).read_bytes()
        assert again == (tmp_path / "mixed" / name).read_bytes()
    code, _, error = typed(*NEAR[:3], "--latents", latents, "--outdir", tmp_path / "x")
    assert code == 2 and "holds 4 latents" in error


def test_neighbours(typed: Typed, tmp_path: Path) -> None:
    out = tmp_path / "near"
    code, text, error = typed(*NEAR, "--seed", "85", "--class", "1", "--outdir", out)
    assert code == 0 and f"{out}: 2 neighbours, sheet.png" in text, error


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (MIX, "is conditional: name a class, --class 0 or 1"),
        ((*MIX, "--class", "7"), "--class: class '7' is unknown"),
        ((*MIX, "--class", "1", "--rows", "x"), "--rows 'x': 'x' is neither a number"),
        ((*MIX, "--class", "1", "--trunc-center", "mean"), "--trunc-center"),
        ((*NEAR, "--seed", "x"), "--seed x"),
        ((*NEAR, "--seed", "-1"), "--seed"),
        ((*NEAR, "--class", "1"), "give --seed or --latents"),
        ((*NEAR, "--seed", "1", "--class", "1", "--space", "x"), "--space"),
    ],
)
def test_one_line_before_work(typed: Typed, tmp_path: Path, words: tuple, line: str) -> None:
    code, _, error = typed(*words, "--outdir", tmp_path / "out")
    assert code == 2 and line in error and error.strip().count("\n") == 0
    assert not (tmp_path / "out").exists()
