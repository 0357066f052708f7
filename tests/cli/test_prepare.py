"""`synthograph prepare` as it is typed: what works, and what bad input gets."""

import csv
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthograph.archive.reader import open_archive
from synthograph.cli import main
from tests.cli.signalled import run_until, words_of

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Type a command line in `tmp_path`; gives the exit code and all that was printed."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object, workers: int = 1) -> tuple[int, str]:
        line = ["synthograph", "prepare", *map(str, arguments), "--workers", str(workers)]
        monkeypatch.setattr(sys, "argv", line)
        with pytest.raises(SystemExit) as end:
            main.run()
        printed = capsys.readouterr()
        text = printed.out + printed.err
        assert "Traceback" not in text
        return int(end.value.code or 0), text

    return call


def save(path: Path, seed: int = 0, *, size: tuple[int, int] = (16, 16), mode: str = "RGB") -> Path:
    """A noise image; size is (width, height)."""
    rng = np.random.default_rng(seed)
    width, height = size
    if mode == "I;16":
        pixels = rng.integers(0, 65536, (height, width), np.uint16)
    else:
        shape = (height, width, 3) if mode == "RGB" else (height, width)
        pixels = rng.integers(0, 256, shape, np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Six photographs and a table `labels.csv` beside them, with names that need care."""
    lines = ["image_name,target,patient_id,source,age"]
    for i in range(6):
        save(tmp_path / "my photos" / f"Läsion {i}.png", i)
        lines.append(f"Läsion {i},{'no' if i % 2 else 'yes'},P{i // 2},clinic,{40 + i}")
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return tmp_path / "my photos"


ROLES = "file=image_name,label=target,group=patient_id"


def test_a_folder_with_a_table(run: Run, photos: Path) -> None:
    code, text = run(photos, "out.zip", "--labels", "labels.csv", "--column", ROLES, workers=2)
    assert code == 0 and "6 images, 16x16, image 3 channels, 8 bit" in text
    assert "class no: 3" in text and "groups: 3" in text and "warning" not in text
    archive = open_archive(Path("out.zip"))
    assert [row.label for row in archive.rows] == ["yes", "no"] * 3
    assert archive.rows[3].group == "P1"
    assert archive.rows[3].columns == {
        "source_file": "Läsion 3.png",
        "source": "clinic",
        "age": "43",
    }
    original = np.asarray(Image.open(photos / "Läsion 3.png")).transpose(2, 0, 1)
    assert np.array_equal(archive.read(archive.rows[3]), original)
    assert sorted(os.listdir()) == ["labels.csv", "my photos", "out.zip"]


def test_twice_gives_the_same_images(run: Run, photos: Path) -> None:
    for name in ("a.zip", "b"):
        assert run(photos, name)[0] == 0
    a, b = open_archive(Path("a.zip")), open_archive(Path("b"))
    assert a.images_hash == b.images_hash and a.manifest_hash == b.manifest_hash


def test_class_folders_and_no_groups(run: Run, tmp_path: Path) -> None:
    for i in range(6):
        save(tmp_path / "set" / ("10" if i % 2 else "9") / f"{i}.png", i)
    code, text = run("set", "out.zip")
    assert code == 0 and "warning: no groups were given" in text
    archive = open_archive(Path("out.zip"))
    assert archive.info.classes == ["9", "10"]
    assert archive.rows[0].group == archive.rows[0].columns["source_file"]


def test_a_zip_is_a_source(run: Run, photos: Path) -> None:
    with zipfile.ZipFile("photos.zip", "w") as packed:
        for path in sorted(photos.iterdir()):
            packed.write(path, f"photos/{path.name}")
    assert run("photos.zip", "out.zip")[0] == 0
    assert run(photos, "same.zip")[0] == 0
    hashes = {open_archive(Path(name)).images_hash for name in ("out.zip", "same.zip")}
    assert len(hashes) == 1


def test_an_archive_is_a_source(run: Run, photos: Path) -> None:
    run(
        photos,
        "a.zip",
        "--labels",
        "labels.csv",
        "--column",
        ROLES,
        "--invariant",
        "mirror, rotate",
    )
    assert run("a.zip", "b", "--size", 8)[0] == 0
    a, b = open_archive(Path("a.zip")), open_archive(Path("b"))
    assert b.info.namespace == a.info.namespace and b.info.classes == a.info.classes
    assert b.info.invariances == ["mirror", "rotate"] and b.rows == a.rows
    assert (b.info.spec.width, b.info.spec.height) == (8, 8)
    code, text = run("a.zip", "c", "--labels", "labels.csv", "--masks", "x")
    assert code == 2 and "leave --labels, --masks out" in text


def test_modalities_and_masks(run: Run, tmp_path: Path) -> None:
    for i in range(3):
        save(tmp_path / "vis" / f"{i}.png", i)
        save(tmp_path / "nir" / f"{i}.png", 10 + i, mode="L")
        save(tmp_path / "masks" / f"{i}.png", 20 + i, mode="L")
    arguments = ["--primary", "vis", "--modality", "nir=nir", "--masks", "masks"]
    assert run("vis", "out.zip", *arguments)[0] == 0
    archive = open_archive(Path("out.zip"))
    assert archive.info.spec.modalities == {"vis": 3, "nir": 1}
    mask = archive.read_mask(archive.rows[1])
    assert np.array_equal(mask, np.asarray(Image.open("masks/1.png")))
    assert np.array_equal(archive.read(archive.rows[1])[3], np.asarray(Image.open("nir/1.png")))
    os.remove("nir/1.png")
    code, text = run("vis", "b.zip", *arguments)
    assert code == 2 and "1 of 3 files rejected, the first: 1.png: no nir image" in text
    code, text = run("vis", "b.zip", *arguments, "--modality", "nir=vis")
    assert code == 2 and "--modality nir is given twice" in text


def test_tiles_of_large_images(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "slides" / "s.png", size=(100, 40))
    code, text = run("slides", "out.zip", "--tile", 32, "--overlap", 4, "--size", 16)
    assert code == 0 and "8 images, 16x16" in text
    rows = open_archive(Path("out.zip")).rows
    corners = {(int(r.columns["tile_x"]), int(r.columns["tile_y"])) for r in rows}
    assert corners == {(x, y) for x in (0, 28, 56, 68) for y in (0, 8)}
    assert {row.group for row in rows} == {"s.png"}


def test_sizes_that_are_not_square_and_sixteen_bits(run: Run, tmp_path: Path) -> None:
    for i in range(2):
        save(tmp_path / "knees" / f"{i}.png", i, size=(50, 40), mode="I;16")
    code, text = run(
        "knees", "out.zip", "--width", 32, "--height", 28, "--transform", "center-crop"
    )
    assert code == 0 and "32x28, image 1 channel, 16 bit" in text
    archive = open_archive(Path("out.zip"))
    assert archive.read(archive.rows[0]).dtype == np.uint16
    assert archive.read(archive.rows[0]).max() > 30_000


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--transform", "crop-center", "--size", "8"], "'crop-center' is unknown"),
        (["--resize-filter", "lanzcos"], "did you mean 'lanczos'"),
        (["--invariant", "miror"], "did you mean 'mirror'"),
        (["--size", "0"], "--size 0: must be at least 4"),
        (["--size", "34"], "34x34 fit no grid: .*prepare with --size"),
        (["--size", "8", "--width", "8"], "give one or the other"),
        (["--width", "8"], "given together"),
        (["--size", "17", "--transform", "pad"], "fit no grid"),
        (["--overlap", "3"], "give the tile size too"),
        (["--modality", "nir"], "not of the form NAME=DIR"),
        (["--modality", "nir=nowhere"], "nowhere"),
        (["--labels", "nowhere.csv"], "nowhere.csv"),
        (["--column", "file=x"], "--labels TABLE"),
        (["--name-regex", "(x"], "name-regex"),
    ],
)
def test_options_that_make_no_sense(
    run: Run, photos: Path, arguments: list[str], words: str
) -> None:
    before = sorted(os.listdir())
    code, text = run(photos, "out.zip", *arguments)
    assert code == 2 and text.splitlines()[-1].startswith("error: ")
    assert re.search(words, text), text
    assert sorted(os.listdir()) == before


def test_workers_are_at_least_one(run: Run, photos: Path) -> None:
    code, text = run(photos, "out.zip", workers=0)
    assert code == 2 and "--workers" in text


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ("cut", "1 of 6 files rejected, the first: Läsion 1.png: PNG is damaged: cut short"),
        ("size", "1 of 6 files rejected, the first: Läsion 1.png: is 9x16"),
        ("mode", "Läsion 1.png: is 16x16 image grey 8 bit, most are 16x16 image RGB"),
        ("text", "Läsion 1.png"),
        ("row", "1 of 6 files rejected, the first: Läsion 1.png: no row in labels.csv"),
    ],
)
def test_files_that_cannot_be_used(run: Run, photos: Path, spoil: str, words: str) -> None:
    path = photos / "Läsion 1.png"
    if spoil == "cut":
        path.write_bytes(path.read_bytes()[:100])
    elif spoil == "size":
        save(path, size=(9, 16))
    elif spoil == "mode":
        save(path, mode="L")
    elif spoil == "text":
        path.write_text("no image")
    else:
        table = Path("labels.csv")
        table.write_text(table.read_text().replace("Läsion 1,", "Läsion 9,"))
    before = set(os.listdir())
    told = ["--labels", "labels.csv", "--column", ROLES]
    code, text = run(photos, "out.zip", *told)
    assert code == 2 and words in text
    assert set(os.listdir()) - before == {"out.zip.rejected.csv"}
    with open("out.zip.rejected.csv", newline="", encoding="utf-8") as file:
        assert [row[0] for row in csv.reader(file)] == ["file", "Läsion 1.png"]
    code, text = run(photos, "out.zip", *told, "--allow-rejects")
    assert code == 0 and "rejected: 1, listed in out.zip.rejected.csv" in text
    assert len(open_archive(Path("out.zip")).rows) == 5


def test_sources_and_destinations_that_are_not_there(run: Run, photos: Path) -> None:
    Path("empty").mkdir()
    Path("file.txt").write_text("x")
    Path("taken.zip").write_text("x")
    Path("link").symlink_to("empty")
    for source, dest, words in (
        ("nowhere", "out.zip", "nowhere"),
        ("empty", "out.zip", "holds no PNG, JPEG"),
        ("file.txt", "out.zip", "file.txt"),
        (photos, "taken.zip", "taken.zip exists already"),
        (photos, "link", "link is a link or a mounted volume"),
        (photos, ".", "is a folder without a name of its own"),
        (photos, photos, "exists already"),
        (photos, "file.txt/out.zip", "is not a folder"),
    ):
        code, text = run(source, dest)
        assert code == 2 and words in text, text
    there = ["empty", "file.txt", "labels.csv", "link", "my photos", "taken.zip"]
    assert sorted(os.listdir()) == there


def killed(
    source: str, dest: object, *arguments: object, how: signal.Signals = signal.SIGKILL
) -> Path:
    """Stop a command before its sixth image is written; gives its journal."""
    words = ("prepare", source, dest, *arguments, "--workers", 1)
    done = run_until("synthograph.archive.writer:ArchiveWriter", "add", 6, [how], *words)
    assert done.returncode == (3 if how == signal.SIGINT else -how), done.stderr
    journal = Path(f"{dest}.partial/journal.jsonl")
    assert journal.read_bytes().count(b"\n") == 5
    return journal


def test_a_changed_file_is_not_mixed_in(run: Run, tmp_path: Path) -> None:
    for i in range(12):
        save(tmp_path / "many" / f"{i}.png", i, size=(300, 300))
    journal = killed("many", "out.zip", "--size", 64, how=signal.SIGINT)
    save(tmp_path / "many" / "11.png", 1234, size=(300, 300))
    code, text = run("many", "out.zip", "--size", 64)
    assert code == 2 and "its source has changed" in text and journal.exists()


def test_a_modality_of_another_name_is_another_command(run: Run, tmp_path: Path) -> None:
    for name in ("set", "other"):
        for i in range(3):
            save(tmp_path / name / f"{i}.png", i, size=(8, 8), mode="L")
    common = ("set", "out.zip", "--primary", "vis")
    assert run(*common, "--modality", "nir=other", "--part", "1/2")[0] == 0
    for arguments in (
        ("--modality", "ir=other"),
        ("--modality", "nir=other", "--primary", "rgb"),
        ("--masks", "other"),
    ):
        code, text = run(*common, *arguments)
        assert code == 2 and "another command" in text
    assert run(*common, "--modality", "nir=other")[0] == 0
    assert open_archive(Path("out.zip")).info.spec.modalities == {"vis": 1, "nir": 1}


def test_a_killed_prepare_goes_on(run: Run, tmp_path: Path) -> None:
    for i in range(12):
        save(tmp_path / "many" / f"{i}.png", i, size=(300, 300))
    assert run("many", "whole.zip", "--size", 64)[0] == 0
    dest = Path("many/out.zip")  # inside the source: what is unfinished is no source itself
    journal = killed("many", dest, "--size", 64)
    code, text = run("many", dest, "--size", 64)
    assert code == 0 and "unfinished archive(s) left out: out.zip.partial" in text
    with zipfile.ZipFile("whole.zip") as whole, zipfile.ZipFile(dest) as done:
        assert done.namelist() == whole.namelist()
        contents = [{name: z.read(name) for name in z.namelist()} for z in (whole, done)]
    documents = [json.loads(content.pop("dataset.json")) for content in contents]
    assert contents[0] == contents[1]
    assert documents[0].pop("namespace") != documents[1].pop("namespace")
    assert documents[0] == documents[1] and not journal.exists()


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="Windows has no process groups")
def test_workers_end_with_a_command_that_is_killed(run: Run, tmp_path: Path) -> None:
    for i in range(40):
        save(tmp_path / "many" / f"{i}.png", i)
    words = ("prepare", "many", "out.zip", "--workers", 2)
    add = ("synthograph.archive.writer:ArchiveWriter", "add", 3, [signal.SIGKILL])
    process = subprocess.Popen(words_of(*add, *words), start_new_session=True)
    assert process.wait(timeout=60) == -signal.SIGKILL
    deadline = time.monotonic() + 30
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(process.pid, 0)
            time.sleep(0.05)
    assert run("many", "out.zip", "--workers", 2)[0] == 0


def test_a_folder_in_its_own_source_is_refused(run: Run, photos: Path) -> None:
    for dest in (photos / "out", photos / "deep" / "out"):
        code, text = run(photos, dest)
        assert code == 2 and "lies inside" in text and not dest.parent.joinpath("out").exists()
    assert run(photos, photos / "out.zip")[0] == 0


def test_the_summary_counts_masks_and_names_small_sets(run: Run, tmp_path: Path) -> None:
    for i in range(3):
        save(tmp_path / "set" / f"{i}.png", i)
    save(tmp_path / "masks" / "1.png", 1, mode="L")
    code, text = run("set", "out.zip", "--masks", "masks")
    assert code == 0 and "masks: 1 of 3 images have one" in text
    assert "note: 3 images are very few" in text


@pytest.mark.skipif(not hasattr(signal, "pthread_sigmask"), reason="Windows has no signal masks")
def test_interrupts_show_no_tracebacks_of_workers(run: Run, tmp_path: Path) -> None:
    for i in range(400):  # more than are done before the last interrupt
        save(tmp_path / "many" / f"{i}.png", i, size=(100, 100))
    for wait in (0.05, 0.15, 0.4):
        command = [sys.executable, "-m", "synthograph", "prepare", "many", "out.zip"]
        process = subprocess.Popen(
            [*command, "--size", "64", "--workers", "2"],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + 30
        while not Path("out.zip.partial/command.json").exists():  # workers start right after it
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.002)
        time.sleep(wait)
        os.killpg(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert errors.decode().startswith("stopped: "), errors
        assert process.returncode == 3 and errors.count(b"\n") == 1, errors
        shutil.rmtree("out.zip.partial")


def test_published_archives_are_sources(run: Run, tmp_path: Path) -> None:
    for i in range(4):
        save(tmp_path / "old" / "00000" / f"img{i:08d}.png", i)
    labels = [[f"00000/img{i:08d}.png", i % 2] for i in range(4)]
    (tmp_path / "old" / "dataset.json").write_text(json.dumps({"labels": labels}))
    assert run("old", "new.zip")[0] == 0
    archive = open_archive(Path("new.zip"))
    assert [row.label for row in archive.rows] == ["0", "1", "0", "1"]
    buffer = io.BytesIO(archive.files.read("dataset.json"))
    assert json.load(buffer)["labels"] == labels


def test_a_patient_in_two_spellings_is_told(run: Run, tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path / f"in/{number}.png", number)
    lines = (f"{number}.png,{name}" for number, name in enumerate(("P1", "p 01", "P2", "P3")))
    (tmp_path / "t.csv").write_text("\n".join(("file,group", *lines)))
    code, text = run("in", "o.zip", "--labels", "t.csv")
    assert code == 0 and "1 groups come under several spellings: P1 = p 01" in text
