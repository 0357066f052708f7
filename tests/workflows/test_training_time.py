"""What a night allows is proposed as commands that work."""

import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

import synthograph
from synthograph.archive.batches import ArchiveRows
from synthograph.archive.reader import open_archive
from synthograph.training.estimate import Estimate
from synthograph.training.setup import open_data, resolve_run
from synthograph.workflows import training_time
from synthograph.workflows.requests import TrainRequest
from synthograph.workflows.training_time import describe_estimate, without_preset
from tests.conftest import make_archive

Say = Callable[..., list[str]]


def asked(words: list[str]) -> dict:
    """Options of a command, by name."""
    pairs = zip(words, words[1:], strict=False)
    return {name.removeprefix("--"): value for name, value in pairs if name.startswith("--")}


@pytest.fixture
def say(monkeypatch: pytest.MonkeyPatch) -> Say:
    def lines(archive: Path, *, auto: float, tiny: float, **options: object) -> list[str]:
        """With so many seconds for a thousand images."""
        monkeypatch.setattr(
            training_time, "quick_estimate", lambda *_: Estimate(auto, None, 4, narrow=8)
        )
        monkeypatch.setattr(training_time, "coarse_estimate", lambda *_: Estimate(tiny, None, 4))
        request = TrainRequest.parse({"data": archive, "device": "cpu", **options})
        config, _ = resolve_run(open_archive(archive), "auto", [request.setting_tree()])
        return list(without_preset(request, config, open_data(config)))

    return lines


def test_the_same_images_where_they_fit(tmp_path: Path, say: Say) -> None:
    archive = make_archive(tmp_path / "set.zip", size=(16, 16))
    said = say(archive, auto=3072.0, tiny=14.0, cond=True)
    assert "25000 kimg with preset auto take about 888d 21h" in said[0]
    words = shlex.split(said[-1])
    assert words[:2] == ["synthograph", "train"] and "--cond" in words and len(said) == 3
    options = asked(words)
    assert (options["cfg"], options["kimg"], options["data"]) == ("tiny", "2000", str(archive))


def test_smaller_images_where_these_do_not(
    tmp_path: Path, say: Say, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    archive = make_archive(tmp_path / "set.zip", count=60, size=(32, 16))
    synthograph.split(archive=archive)
    said = say(archive, auto=3072.0, tiny=2000.0)
    prepared, train = shlex.split(said[2]), asked(shlex.split(said[3]))
    assert prepared[:2] == ["synthograph", "prepare"]
    source, dest = prepared[-2:]
    sizes = {name: int(value) for name, value in asked(prepared).items()}
    made = synthograph.prepare(source, dest, workers=1, **sizes)
    assert (made.summary.spec.width, made.summary.spec.height) == (8, 16)
    assert train["data"] == dest and train["kimg"] == "70"
    request = TrainRequest.parse(train)
    config, _ = resolve_run(open_archive(request.data), train["cfg"], [request.setting_tree()])
    assert config.training.kimg == 70
    data = open_data(config)
    whole = open_archive(archive)
    assert data.groups == ArchiveRows(whole, [r for r in whole.rows if r.split == "train"]).groups


def test_nothing_is_proposed_where_it_fits_or_was_chosen(archive: Path, say: Say) -> None:
    said = say(archive, auto=1.0, tiny=1.0)
    assert len(said) == 1 and "take about 6h 56m" in said[0]
    assert say(archive, auto=3072.0, tiny=14.0, cfg="auto") == []


def test_a_scaled_time_says_so(archive: Path) -> None:
    config, _ = resolve_run(open_archive(archive), "tiny", [{"device": "cpu"}])
    scaled = describe_estimate(config, Estimate(90.0, None, 4, narrow=4))
    assert scaled.startswith("scaled: 90.00 s/kimg, so 40 kimg take about 1h 00m; measured on")
    assert "1/4 of the channels" in scaled
    assert describe_estimate(config, Estimate(90.0, None, 4)).startswith("measured: 90.00 s/kimg")
