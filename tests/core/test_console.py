"""Consoles that are closed, full, in another code page, or that nobody reads any more."""

import errno
import io
import os
import subprocess
import sys
from pathlib import Path

import pytest

import synthograph
from synthograph.core.console import heard_by, is_terminal, say

WRITE = """
import os, sys
from synthograph.core.console import open_streams, say
open_streams()
with open(sys.argv[1], "w") as file:
    try:
        os.write(2, b"of the C library")
    except OSError:
        pass
    file.write("kept")
for _ in range(3):
    say("Čočka 病变 " * 9000)
say("error", error=True)
"""


def started(tmp_path: Path, redirection: str, **more: str) -> "subprocess.CompletedProcess[bytes]":
    script = tmp_path / "write.py"
    script.write_text(WRITE, encoding="utf-8")
    command = f'exec "{sys.executable}" -P "{script}" "{tmp_path}/kept" {redirection}'
    source = str(Path(synthograph.__file__).parent.parent)
    own = {**os.environ, "PYTHONPATH": source, **more}
    return subprocess.run(["bash", "-c", command], env=own, capture_output=True, check=False)


@pytest.mark.skipif(os.name == "nt", reason="redirections of a POSIX shell")
@pytest.mark.parametrize("more", [{}, {"PYTHONUNBUFFERED": "1"}])
@pytest.mark.parametrize(
    "redirection",
    [">&-", "2>&-", "<&-", "<&- >&- 2>&-", "| true", "2> >(true)", "2> /dev/full"],
)
def test_work_goes_on_without_a_reader(
    redirection: str, more: dict[str, str], tmp_path: Path
) -> None:
    done = started(tmp_path, redirection, PYTHONIOENCODING="utf-8", **more)
    assert done.returncode == 0
    assert b"Traceback" not in done.stderr
    assert (tmp_path / "kept").read_text() == "kept"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_disk_below_standard_output_is_told(tmp_path: Path) -> None:
    done = started(tmp_path, "> /dev/full")
    assert b"DiskFullError: standard output goes to a disk without space" in done.stderr
    assert b"Exception ignored" not in done.stderr


@pytest.mark.parametrize("page", ["cp1252", "ascii", "cp437", "latin-1"])
def test_what_a_code_page_lacks_is_escaped(page: str, tmp_path: Path) -> None:
    done = started(tmp_path, "", PYTHONIOENCODING=page)
    assert done.returncode == 0
    assert "\\u75c5\\u53d8" in done.stdout.decode(page)


def test_a_stream_of_a_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    page = io.TextIOWrapper(io.BytesIO(), encoding="cp1252")
    monkeypatch.setattr(sys, "stdout", page)
    say("é 病")
    assert page.buffer.getvalue().decode("cp1252").strip() == "é \\u75c5"  # type: ignore[attr-defined]
    monkeypatch.setattr(sys, "stdout", None)
    say("to nobody")

    class Broken(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError(errno.EPIPE, "Broken pipe")

    monkeypatch.setattr(sys, "stdout", Broken())
    say("to nobody")


def test_nobody_sits_at_a_closed_stream() -> None:
    closed = io.StringIO()
    assert not is_terminal(closed)
    closed.close()
    assert not is_terminal(closed)
    assert not is_terminal(None)


def test_what_steers_a_terminal_is_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    """Names of others are printed; colours of tables stay."""
    say("a\x1b]52;c;aGk=\x07b\x1b[2Jc\rd\x9be\tf\n\x1b[1mbold\x1b[0m \u00e9")
    said = capsys.readouterr().out
    assert said == "a\\x1b]52;c;aGk=\\x07b\\x1b[2Jc\\rd\\x9be\tf\n\x1b[1mbold\x1b[0m \u00e9\n"


def test_a_listener_hears_lines_in_place_of_people(capsys: pytest.CaptureFixture[str]) -> None:
    def hear(line: str) -> None:
        if line.startswith("loud"):
            say(f"heard: {line}")

    with heard_by(hear):
        say("quiet")
        say("loud")
        say("wrong", error=True)
    say("after")
    found = capsys.readouterr()
    assert (found.out, found.err) == ("heard: loud\nafter\n", "wrong\n")
