"""Generation from Python."""

import zipfile
from pathlib import Path

import pytest

import synthograph
from synthograph.core.errors import UserError
from synthograph.core.progress import Printed
from synthograph.workflows import generate as workflow
from tests.conftest import NVIDIA
from tests.sampling.test_generate import make_snapshot

NETWORK = NVIDIA / "cond2_rgb_32.pkl"


def test_the_result_says_what_is_where(tmp_path: Path) -> None:
    folder, grid = tmp_path / "images", tmp_path / "grid.png"
    made = synthograph.generate(network=NETWORK, outdir=folder, per_class=1, grid=grid)
    assert (made.outdir, made.count, made.part, made.left_out) == (folder, 2, None, None)
    assert len(list(folder.iterdir())) == 2 and grid.is_file()
    assert repr(made) == f"{folder}: 2 images\n{grid}"
    part = synthograph.generate(network=NETWORK, outdir=tmp_path / "set.zip", num=4, part="2/2")
    assert (part.count, part.part) == (2, "2/2")
    assert repr(part).endswith("the same command without --part joins them")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "jpg"}, "setting 'kind': 'jpg' is unknown: did you mean 'jpeg'"),
        ({"noise_mode": "off"}, "setting 'noise_mode': 'off' is unknown"),
        ({"num": 0}, "setting 'num': must be at least 1, got 0"),
        ({"num": 1, "seeds": "0"}, "--seeds and --num exclude each other"),
    ],
)
def test_refusals(tmp_path: Path, options: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        synthograph.generate(network=NETWORK, outdir=tmp_path / "x", **options)


def test_noise_modes_of_a_network_without_noise(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    network, made = make_snapshot(tmp_path, noise=False).path, []
    for mode in ("const", "random", "none"):
        dest = tmp_path / f"{mode}.zip"
        synthograph.generate(
            network=network, outdir=dest, num=2, noise_mode=mode, progress=Printed()
        )
        note = f"note: --noise-mode {mode} has no effect"
        assert capsys.readouterr().out.count(note) == (mode != "const")
        with zipfile.ZipFile(dest) as archive:
            made.append({name: archive.read(name) for name in archive.namelist()})
    assert made[0] == made[1] == made[2]


def test_processes_run_the_request_wherever_it_came_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not the command line of this process, which may be a notebook's."""
    started = []
    monkeypatch.setattr(workflow, "in_parts", lambda *given: started.append(given))
    synthograph.generate(network=NETWORK, outdir=tmp_path / "x", num=2, gpus=2, device="cpu")
    options = ["--num", "2", "--device", "cpu", "--gpus", "2"]
    words = ["generate", "--network", str(NETWORK), "--outdir", str(tmp_path / "x"), *options]
    assert started == [(words, " ".join(["synthograph", *words]), 2)]
