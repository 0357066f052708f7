"""Folders of images: interrupted requests and finished parts go on, nothing of others comes in."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from synthograph.archive.parts import Part
from synthograph.core.errors import StoppedError, UserError
from synthograph.core.signals import StopRequest
from synthograph.models.snapshot import Snapshot
from synthograph.sampling.generate import ImageRequest, begin_files, generate_files, jobs_of
from tests.sampling.test_generate import make_snapshot

REQUEST = ImageRequest(jobs_of(range(6), ["a b"]), batch=2)


@pytest.fixture
def snapshot(tmp_path: Path) -> Snapshot:
    return make_snapshot(tmp_path / "snapshots")


def begun(
    snapshot: Snapshot, out: Path, *, part: Part | None = None, request: ImageRequest = REQUEST
) -> None:
    """Stop after the first batch."""

    def asked(items: Any, total: int) -> Any:
        for item in items:
            yield item
            stop.reason = "SIGTERM"

    stop = StopRequest()
    with pytest.raises(StoppedError):
        generate_files(snapshot, request, out, part=part, stop=stop, track=asked)


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_parts_of_another_request_stay_out_of_an_interrupted_one(
    snapshot: Snapshot, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    begun(snapshot, out)
    before = content(out)
    other = replace(REQUEST, truncation=0.5)
    with pytest.raises(UserError, match=r"another .* remove .*/\.unfinished\.json to give it up"):
        generate_files(snapshot, other, out, part=Part(2, 2))
    assert content(out) == before


@pytest.mark.parametrize("interrupted", [False, True])
def test_parts_are_of_one_request(snapshot: Snapshot, tmp_path: Path, interrupted: bool) -> None:
    out = tmp_path / "out"
    if interrupted:
        begun(snapshot, out, part=Part(1, 2))
    else:
        generate_files(snapshot, REQUEST, out, part=Part(1, 2))
    before = content(out)
    other = make_snapshot(tmp_path / "others", classes=("a b", "c"))
    for one, part in [(other, Part(2, 2)), (other, None), (snapshot, Part(3, 3)), (snapshot, None)]:
        with pytest.raises(UserError, match=r"another .* remove .*unfinished-1of2\.json"):
            generate_files(one, REQUEST, out, part=part)
    assert content(out) == before


def test_a_finished_part_goes_on_beside_an_interrupted_one(
    snapshot: Snapshot, tmp_path: Path
) -> None:
    out, whole = tmp_path / "out", tmp_path / "whole"
    generate_files(snapshot, REQUEST, whole)
    generate_files(snapshot, REQUEST, out, part=Part(1, 2))
    begun(snapshot, out, part=Part(2, 2))
    for number in (1, 2):
        paths = generate_files(snapshot, REQUEST, out, part=Part(number, 2))
        assert [path.name for path in paths] == [
            f"seed{3 * number - 3 + k:04d}.png" for k in (0, 1, 2)
        ]
    assert content(out) == content(whole), "no note is left"


def test_processes_that_share_a_request_leave_its_note(snapshot: Snapshot, tmp_path: Path) -> None:
    """So that one that is there late, when all others are done, still knows the files."""
    out, whole = tmp_path / "out", tmp_path / "whole"
    generate_files(snapshot, REQUEST, whole)
    begin_files(snapshot, REQUEST, out)
    begun(snapshot, out, part=Part(1, 2))
    for _ in range(2):
        generate_files(snapshot, REQUEST, out, part=Part(2, 2))
    generate_files(snapshot, REQUEST, out, part=Part(1, 2))
    assert [path.name for path in out.glob(".*")] == [".unfinished.json"]
    made: list[int] = []
    generate_files(snapshot, REQUEST, out, track=lambda items, n: (made.append(n), items)[1])
    assert made == [0] and content(out) == content(whole)


@pytest.mark.parametrize("part", [None, Part(1, 2)])
def test_files_of_every_modality_are_kept(
    snapshot: Snapshot, tmp_path: Path, part: Part | None
) -> None:
    out = tmp_path / "out"
    (out / "nir").mkdir(parents=True)
    (out / "nir" / "seed0000.png").write_bytes(b"of a patient")
    with pytest.raises(UserError, match=r"nir/seed0000\.png exists already"):
        generate_files(snapshot, REQUEST, out, part=part)
    assert content(out) == {"nir/seed0000.png": b"of a patient"}


@pytest.mark.parametrize("part", [None, Part(1, 2)])
def test_another_process_may_finish_first(
    snapshot: Snapshot, tmp_path: Path, part: Part | None
) -> None:
    out = tmp_path / "out"

    def finished_by_another(items: Any, total: int) -> Any:
        yield from items
        for note in out.glob(".unfinished*"):
            note.unlink()

    paths = generate_files(snapshot, REQUEST, out, part=part, track=finished_by_another)
    assert all(path.exists() for path in paths)
    assert not list(out.glob(".*"))


def test_a_damaged_note_is_named(snapshot: Snapshot, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / ".unfinished-7of9.json").write_text("{")
    with pytest.raises(UserError, match=r"unfinished-7of9\.json"):
        generate_files(snapshot, REQUEST, out)
