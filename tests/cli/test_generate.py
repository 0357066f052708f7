"""`synthograph generate` as it is typed: what stops it, what goes on, what it refuses."""

import json
import shlex
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from synthograph.archive.batches import ArchiveRows
from synthograph.archive.reader import open_archive
from synthograph.cli import main
from synthograph.core.errors import DiskFullError, SynthographError
from synthograph.models import snapshot as snapshots
from synthograph.sampling import generate as sampling
from synthograph.workflows import generate as workflow
from synthograph.workflows import latent_inputs
from tests.cli.conftest import Typed
from tests.cli.signalled import run_until
from tests.conftest import NVIDIA, make_archive

NETWORK = NVIDIA / "cond2_rgb_32.pkl"
MANY = ("--class", "0", "--num", "40", "--batch", "4")


@pytest.fixture
def run(typed: Typed) -> Typed:
    return partial(typed, "generate", "--network", NETWORK)


def run_until_batch(
    batch: int, signals: list[signal.Signals], outdir: Path
) -> "subprocess.CompletedProcess[str]":
    """Run a command that gets signals when the pixels of that batch are computed."""
    words = ("generate", "--network", NETWORK, "--outdir", outdir, *MANY)
    return run_until("synthograph.sampling.latents", "to_pixels", batch, signals, *words)


def stopped(number: signal.Signals, outdir: Path) -> list[str]:
    """Stop a command in its third batch; the words of the command that goes on."""
    done = run_until_batch(3, [number], outdir)
    assert done.returncode == 3, done.stderr
    assert f"{number.name}: the images at work are finished and kept" in done.stderr
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith(f"stopped on request ({number.name}) after 12 of 40 images"), last
    name, *words = shlex.split(last.partition("Continue with: ")[2])
    assert name == "synthograph"
    return words


def test_a_folder_that_is_stopped_goes_on(run: Typed, typed: Typed, tmp_path: Path) -> None:
    out = tmp_path / "out of it"
    words = stopped(signal.SIGTERM, out)
    kept = {path.name: path.stat().st_mtime_ns for path in out.glob("seed*.png")}
    assert sorted(kept) == [f"seed{k:04d}.png" for k in range(12)], "whole batches"
    note = json.loads((out / ".unfinished.json").read_text())
    code, _, error = run("--outdir", out, "--seeds", "160-161", "--class", "0")
    assert code == 2
    assert f"another `generate` was interrupted here (`{note['typed']}`)" in error
    assert "remove" in error and "choose another --outdir" in error
    code, text, error = typed(*words)
    assert (code, text.strip()) == (0, f"{out}: 40 images"), error
    assert all((out / name).stat().st_mtime_ns == time for name, time in kept.items())
    assert len(list(out.glob("seed*.png"))) == 40
    assert not (out / ".unfinished.json").exists()


def test_an_archive_that_is_stopped_goes_on(run: Typed, typed: Typed, tmp_path: Path) -> None:
    out = tmp_path / "set.zip"
    words = stopped(signal.SIGINT, out)
    journal = tmp_path / "set.zip.partial" / "journal.jsonl"
    assert journal.read_bytes().count(b"\n") == 12, "whole batches"
    assert not out.exists()
    code, _, error = run("--outdir", out, "--seeds", "160-161", "--class", "0")
    typed_line = json.loads((tmp_path / "set.zip.partial" / "command.json").read_text())["typed"]
    assert code == 2 and f"(`{typed_line}`)" in error
    code, text, error = typed(*words)
    assert (code, text.strip()) == (0, f"{out}: 40 images"), error
    assert len(open_archive(out).rows) == 40
    assert [path.name for path in tmp_path.iterdir()] == ["set.zip"]


def test_a_second_interrupt_ends_at_once(tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run_until_batch(1, [signal.SIGINT, signal.SIGINT], out)
    assert done.returncode == 3 and "Traceback" not in done.stderr, done.stderr
    assert "SIGINT: the images at work are finished and kept; Ctrl-C once more" in done.stderr
    assert "stopped: interrupted; the same command continues an unfinished archive" in done.stderr
    assert [path.name for path in out.iterdir()] == [".unfinished.json"]


@pytest.mark.slow
def test_an_interrupt_of_several_processes_names_the_command_that_was_typed(
    tmp_path: Path,
) -> None:
    out = tmp_path / "out"
    drawn = ("--num", "20000", "--class", "0")
    options = ("--device", "cpu", "--batch", "4", "--gpus", "2")
    words = ["synthograph", "generate", "--network", NETWORK, *drawn, "--outdir", out, *options]
    typed_line = shlex.join(map(str, words))
    process = subprocess.Popen(
        [sys.executable, "-m", *shlex.split(typed_line)], text=True, stderr=subprocess.PIPE
    )
    deadline = time.monotonic() + 60
    while len(list(out.glob("seed*.png"))) < 5:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it never began"
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 3, err
    assert f"Continue with: {typed_line}\n" in err and "--part" not in err
    assert [path.name for path in out.glob(".*")] == [".unfinished.json"]


@pytest.fixture
def in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Parts are made by this process, one after the other."""

    def parts(words: list[str], line: str, processes: int) -> int:
        for number in range(1, processes + 1):
            own = [*words, "--part", f"{number}/{processes}"]
            try:
                main.app(args=own, standalone_mode=False)
            except SynthographError as error:
                return int(error.exit_code)
        return 0

    monkeypatch.setattr(workflow, "in_parts", parts)


@pytest.mark.usefixtures("in_turn")
def test_several_processes_fill_a_folder_and_draw_the_grid(run: Typed, tmp_path: Path) -> None:
    options = ("--seeds", "0-4", "--class", "0", "--device", "cpu", "--grid")
    code, _, error = run("--outdir", tmp_path / "one", *options, tmp_path / "one.png")
    assert code == 0, error
    code, text, error = run(
        "--outdir", tmp_path / "two", *options, tmp_path / "two.png", "--gpus", 2
    )
    assert code == 0, error
    assert text.endswith(f"{tmp_path / 'two'}: 5 images\n{tmp_path / 'two.png'}\n")
    assert (tmp_path / "two.png").read_bytes() == (tmp_path / "one.png").read_bytes()
    made = {path.name: path.read_bytes() for path in (tmp_path / "two").iterdir()}
    assert made == {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}


@pytest.mark.usefixtures("in_turn")
def test_several_processes_go_on_where_one_had_finished(
    run: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, options = tmp_path / "out", ("--seeds", "0-5", "--class", "0", "--batch", "1")
    write, written = sampling.write_bytes, []

    def full(path: Path, data: bytes) -> None:
        if len(written) == 4:
            raise DiskFullError(f"{path}: no space left")
        written.append(path.name)
        write(path, data)

    monkeypatch.setattr(sampling, "write_bytes", full)
    assert run("--outdir", out, *options, "--gpus", 2)[0] == 5
    monkeypatch.setattr(sampling, "write_bytes", write)
    code, _, error = run("--outdir", out, "--seeds", "6", "--class", "0", "--gpus", 2)
    assert code == 2 and "another `generate` was interrupted here" in error
    code, text, error = run("--outdir", out, *options, "--gpus", 2)
    assert code == 0 and f"{out}: 6 images\n" in text, error
    assert sorted(path.name for path in out.iterdir()) == [f"seed000{k}.png" for k in range(6)]


@pytest.mark.usefixtures("in_turn")
def test_parts_take_the_snapshot_that_was_found(
    run: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one that is there when a process looks again."""
    find, asked = snapshots.find_snapshot, []
    monkeypatch.setattr(
        latent_inputs,
        "find_snapshot",
        lambda path: asked.append(path) or find(NETWORK if path == tmp_path else path),
    )
    code, _, error = run(
        "--network", tmp_path, "--outdir", tmp_path / "out", "--seeds", "0-1", "--gpus", 2
    )
    assert code == 0, error
    assert asked == [tmp_path, NETWORK, NETWORK]


@pytest.mark.parametrize(
    ("name", "ways"),
    [
        ("x.tar", ("x.zip", "x for a folder")),
        ("x.TAR", ("x.zip", "x for a folder")),
        ("a.b.gz", ("a.b.zip", "a.b for a folder")),
        ("x.png", ("x.zip", "x for a folder")),
        ("x.safetensors", ("x.zip", "x for a folder")),
    ],
)
def test_folders_named_like_files_are_refused(
    run: Typed, tmp_path: Path, name: str, ways: tuple[str, str]
) -> None:
    code, _, error = run("--outdir", tmp_path / name, "--seeds", "0")
    assert code == 2
    assert all(way in error for way in ways), error
    assert not list(tmp_path.iterdir())


def test_a_folder_of_such_a_name_that_is_there_is_taken(run: Typed, tmp_path: Path) -> None:
    (tmp_path / "x.tar").mkdir()
    assert run("--outdir", tmp_path / "x.tar", "--seeds", "0", "--class", "0")[0] == 0
    assert (tmp_path / "x.tar" / "seed0000.png").exists()


def test_a_link_that_leads_nowhere_is_no_folder(run: Typed, tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    code, _, error = run("--outdir", tmp_path / "loop", "--seeds", "0")
    assert code == 2 and "is a file, so nothing can be written into it" in error


def test_the_folder_of_a_grid_is_made(run: Typed, tmp_path: Path) -> None:
    grid = tmp_path / "new" / "grid.png"
    code, _, error = run("--outdir", tmp_path / "x", "--seeds", "0-1", "--grid", grid)
    assert code == 0, error
    assert grid.read_bytes().startswith(b"\x89PNG")


def test_zip_in_capitals_is_an_archive(run: Typed, tmp_path: Path) -> None:
    assert run("--outdir", tmp_path / "X.ZIP", "--seeds", "0", "--class", "0")[0] == 0
    assert len(open_archive(tmp_path / "X.ZIP").rows) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ("--outdir x.zip --format jpeg", "--format jpeg: archives hold PNG"),
        ("--outdir x --grid g.png --num 5000", "5000 images are too many for one picture"),
        ("--outdir x --seeds 0-9999999", "20000000 images, more than the 10000000 of one command"),
        ("--outdir x --seeds ''", "neither a number nor a range"),
        ("--outdir x --seeds 5-3", "runs backwards, write 3-5"),
        ("--outdir x --trunc nan", "--trunc nan"),
        ("--outdir x --trunc 1e300", "at most 100"),
        ("--outdir x --class 0 --class 0", "class '0' is named more than once"),
        ("--outdir x --grid x/seed0000.png", "name it x/grid.png"),
        ("--outdir x --grid y/../x/seed0000.png", "name it x/grid.png"),
        ("--outdir x --grid x/image/seed0000.png", "name it x/grid.png"),
        (f"--outdir x --network {'n' * 300}", "File name too long"),
        ("--outdir /dev/null", "/dev/null is a file, so nothing can be written into it"),
        ("--outdir /proc/nothing", "/proc: nothing can be written there"),
    ],
)
def test_refused_before_anything_is_written(
    run: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, error = run(*shlex.split(options))
    assert (code, words in error) == (2, True), error
    assert not list(tmp_path.iterdir())


def test_copies_are_left_out_counted_and_recorded(run: Typed, typed: Typed, tmp_path: Path) -> None:
    images = tmp_path / "images"
    code, _, error = run("--class", "0", "--seeds", "1,4,10-69", "--outdir", images)
    assert code == 0, error
    train = tmp_path / "train.zip"
    code, _, error = typed("prepare", images, train)
    assert code == 0, error
    wanted = ("--class", "0", "--seeds", "0-5", "--reject-copies", train)
    code, text, error = run(*wanted, "--outdir", tmp_path / "set.zip")
    assert code == 0, error
    assert f"left out as too similar to an image of {train}: 2" in text
    made = open_archive(tmp_path / "set.zip")
    assert [row.columns["seed"] for row in made.rows] == ["0", "2", "3", "5"]
    (snapshot,) = made.info.snapshots
    assert snapshot["rejected"]["images"] == 2 and snapshot["rejected"]["seeds"] == [
        [1, "0"],
        [4, "0"],
    ]
    code, _, error = run(*wanted, "--outdir", tmp_path / "folder")
    assert code == 2 and "name NAME.zip" in error
    assert "whether its training images are those of" in text and "cannot be checked" in text


def test_an_archive_that_trained_nothing_is_refused(
    run: Typed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = make_archive(tmp_path / "train.zip", count=60, size=(32, 32))
    archive, known = open_archive(train), snapshots.load(NETWORK)
    ours = sorted(ArchiveRows(archive, archive.rows).groups)

    def trained(groups: list[str]) -> None:
        info = known.info.model_copy(update={"group_digests": groups})
        monkeypatch.setattr(latent_inputs, "load", lambda path: replace(known, info=info))

    wanted = ("--class", "0", "--seeds", "0-1", "--reject-copies", train)
    trained(["0" * 16])
    code, _, error = run(*wanted, "--outdir", tmp_path / "set.zip")
    assert code == 2 and "trained on none of its 30 groups" in error
    assert not (tmp_path / "set.zip").exists()
    trained([*ours[5:], "0" * 16, "1" * 16])
    code, text, error = run(*wanted, "--outdir", tmp_path / "set.zip")
    assert code == 0, error
    assert f"saw 2 groups that are not in {train}" in text and "cannot be checked" not in text
    trained(ours)
    code, text, error = run(*wanted, "--outdir", tmp_path / "other.zip")
    assert code == 0, error
    assert "--reject-copies: " not in text
