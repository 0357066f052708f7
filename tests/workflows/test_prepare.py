"""Preparation from Python."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import synthograph
from synthograph.archive.reader import open_archive
from synthograph.archive.writer import ArchiveWriter
from synthograph.core.errors import UserError
from synthograph.core.progress import Printed, Silent
from tests.conftest import make_archive

SCRIPT = """
import synthograph as sg
print("begun")
made = sg.prepare("photos", "out.zip", invariant=["mirror"], workers=2)
print(made)
"""


@pytest.fixture
def photos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 256, (24, 24, 3), np.uint8)
        Image.fromarray(pixels).save(folder / f"{number}.png")
    return folder


def test_a_script_needs_no_main_guard_for_several_workers(photos: Path) -> None:
    Path("script.py").write_text(SCRIPT)
    words = [sys.executable, "script.py"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["begun", "out.zip: 4 images, 24x24, image 3 channels, 8 bit"]
    assert open_archive(Path("out.zip")).info.invariances == ["mirror"]


def test_the_result_is_for_programs_too(photos: Path) -> None:
    result = synthograph.prepare(photos, "out", grid="sheet.png", workers=1)
    assert (result.archive, result.summary.images) == (Path("out"), 4)
    assert result.grid == Path("sheet.png") and result.grid.is_file()
    part = synthograph.prepare(photos, "other", part="1/2", workers=1)
    assert (part.archive, part.part, part.files) == (Path("other"), "1/2", 2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 3}, "setting 'size': must be at least 4, got 3"),
        ({"width": 8}, "given together"),
        ({"transform": "crop-center", "size": 8}, "setting 'transform': 'crop-center' is unknown"),
        ({"invariant": "miror"}, "did you mean 'mirror'"),
    ],
)
def test_refusals_name_the_keyword(photos: Path, options: dict, words: str) -> None:
    with pytest.raises(UserError, match=words):
        synthograph.prepare(photos, "out.zip", **options)


@pytest.mark.parametrize("dest", ["set.zip", "set"])
def test_force_replaces_an_archive_once_the_new_one_is_complete(
    photos: Path, dest: str, capsys: pytest.CaptureFixture[str]
) -> None:
    synthograph.prepare(photos, dest, workers=1)
    synthograph.split(dest, test=0.25, val=0.25)
    old = open_archive(Path(dest))
    with pytest.raises(UserError, match="choose another archive name or add --force to replace it"):
        synthograph.prepare(photos, dest, size=8, workers=1)
    with pytest.raises(UserError, match="must be at least 4"):
        synthograph.prepare(photos, dest, size=3, workers=1, force=True)
    (photos / "odd.png").write_bytes(b"no image")
    with pytest.raises(UserError, match="odd.png"):
        synthograph.prepare(photos, dest, size=8, workers=1, force=True)
    assert open_archive(Path(dest)).rows == old.rows, "nothing was replaced by a refused command"
    (photos / "odd.png").unlink()
    synthograph.prepare(photos, dest, size=8, workers=1, force=True, progress=Printed())
    assert f"{dest} (4 images, with its split) is replaced" in capsys.readouterr().out
    new = open_archive(Path(dest))
    assert (new.info.spec.height, new.info.namespace) == (8, old.info.namespace)
    assert {row.split for row in new.rows} == {None}
    assert sorted(path.name for path in Path().iterdir()) == ["photos", dest]


def test_force_replaces_an_unfinished_archive_of_another_command(photos: Path) -> None:
    ArchiveWriter(Path("set.zip"), {"another": "command"}).suspend()
    with pytest.raises(UserError, match="unfinished archive of another command"):
        synthograph.prepare(photos, "set.zip", workers=1)
    synthograph.prepare(photos, "set.zip", workers=1, force=True)
    assert len(open_archive(Path("set.zip")).rows) == 4
    assert not Path("set.zip.partial").exists()


def test_force_replaces_nothing_else_than_archives(photos: Path) -> None:
    Path("notes").mkdir()
    Path("notes/a.txt").write_text("mine")
    Path("notes.zip").write_bytes(b"mine")
    synthograph.prepare(photos, "set", workers=1)
    Path("set/a.txt").write_text("mine")
    for dest in ("notes", "notes.zip", "set"):
        for force in (True, False):
            with pytest.raises(UserError, match=f"{dest} exists already.*or remove it first"):
                synthograph.prepare(photos, dest, workers=1, force=force)
    Path("set/a.txt").unlink()
    with pytest.raises(UserError, match="set is what the archive is made of"):
        synthograph.prepare("set", "set", workers=1, force=True)


def test_force_replaces_the_picture_too(photos: Path) -> None:
    options = {"workers": 1, "grid": "sheet.png"}
    synthograph.prepare(photos, "set.zip", **options)
    before = Path("sheet.png").read_bytes()
    Image.new("RGB", (24, 24)).save(photos / "4.png")
    synthograph.prepare(photos, "set.zip", force=True, **options)
    assert Path("sheet.png").read_bytes() != before


class Answering(Silent):
    """Somebody who answers; remembers the questions."""

    def __init__(self, answer: str) -> None:
        self.answer, self.asked = answer, 0

    def ask(self, question: str) -> str:
        self.asked += 1
        return self.answer


def test_what_nobody_stated_is_taken_for_granted_by_nobody(photos: Path) -> None:
    result = synthograph.prepare(photos, "open.zip", workers=1)
    assert open_archive(Path("open.zip")).info.invariances is None
    assert any("was not stated, so none is taken for granted" in line for line in result.lines())
    facts = synthograph.inspect("open.zip").json()
    assert facts["invariances"] == "not stated"
    result = synthograph.prepare(photos, "no.zip", invariant="none", workers=1)
    assert open_archive(Path("no.zip")).info.invariances == []
    assert "  invariances: none" in result.lines()


def test_somebody_at_a_terminal_is_asked_once(photos: Path) -> None:
    somebody = Answering("Mirror rotate")
    synthograph.prepare(photos, "a.zip", workers=1, progress=somebody)
    assert open_archive(Path("a.zip")).info.invariances == ["mirror", "rotate"]
    synthograph.prepare(photos, "b.zip", workers=1, invariant="none", progress=somebody)
    synthograph.prepare("a.zip", "c.zip", workers=1, progress=somebody)
    synthograph.prepare(photos, "d.zip", workers=1, part="1/2", progress=somebody)
    assert somebody.asked == 1
    with pytest.raises(UserError, match="did you mean 'mirror'"):
        synthograph.prepare(photos, "e.zip", workers=1, progress=Answering("miror"))
    synthograph.prepare(photos, "f.zip", workers=1, progress=Answering(""))
    assert open_archive(Path("f.zip")).info.invariances is None


def test_an_archive_keeps_what_it_says_unless_something_else_is_said(photos: Path) -> None:
    synthograph.prepare(photos, "a.zip", workers=1, invariant="mirror")
    synthograph.prepare("a.zip", "b.zip", workers=1)
    synthograph.prepare("a.zip", "c.zip", workers=1, invariant="rotate,colour")
    found = [open_archive(Path(name)).info.invariances for name in ("b.zip", "c.zip")]
    assert found == [["mirror"], ["rotate", "colour"]]


def test_an_archive_is_made_anew_by_several_processes(photos: Path) -> None:
    synthograph.prepare(photos, "a.zip", workers=1)
    synthograph.prepare("a.zip", "b.zip", workers=2)
    one, other = (open_archive(Path(name)) for name in ("a.zip", "b.zip"))
    assert one.images_hash == other.images_hash


def test_an_archive_of_a_split_one_keeps_the_split(tmp_path: Path) -> None:
    source = make_archive(tmp_path / "a.zip", count=60, size=(16, 16))
    synthograph.split(archive=source, folds=2)
    old, made = open_archive(source), tmp_path / "b.zip"
    synthograph.prepare(source, made, size=8, workers=1)
    new = open_archive(made)
    parts = [(row.group, row.split, row.fold) for row in new.rows]
    assert parts == [(row.group, row.split, row.fold) for row in old.rows]
    assert {row.split for row in new.rows} == {"train", "val", "test"}
    assert new.info.split == old.info.split and new.info.namespace == old.info.namespace
    synthograph.prepare(source, tmp_path / "c.zip", synthetic=True, workers=1)
    never = open_archive(tmp_path / "c.zip")
    assert never.info.split is None and {row.split for row in never.rows} == {None}


def test_parts_that_nobody_was_asked_about_are_joined(photos: Path) -> None:
    somebody = Answering("mirror")
    for part in ("1/2", "2/2"):
        synthograph.prepare(photos, "a.zip", workers=1, part=part, progress=somebody)
    made = synthograph.prepare(photos, "a.zip", workers=1, progress=somebody)
    assert made.summary.images == 4 and somebody.asked == 0
    assert open_archive(Path("a.zip")).info.invariances is None


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"min_tissue": 0.3}, "^--min-tissue is about tiles of whole slides; give their side"),
        ({"min_sharpness": 3, "tile_seed": 1}, "^--min-sharpness and --tile-seed are about tiles"),
    ],
)
def test_options_of_tiles_are_refused_where_there_are_none(
    photos: Path, options: dict, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        synthograph.prepare(photos, "a.zip", workers=1, **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"window": "dicom"}, "leave --window dicom out"),
        ({"window": "full", "every": 2}, "leave --every, --window full out"),
        ({"min_tissue": 0.3, "tile": 8, "tile_seed": 1}, "leave --min-tissue, --tile-seed out"),
    ],
)
def test_options_of_files_are_refused_for_archives_and_layouts(
    photos: Path, options: dict, words: str
) -> None:
    made = synthograph.prepare(photos, "a.zip", workers=1)
    for about in ({"source": made.archive}, {"source": photos, "layout": "huggingface"}):
        with pytest.raises(UserError, match=words):
            synthograph.prepare(dest="b.zip", workers=1, **about, **options)
