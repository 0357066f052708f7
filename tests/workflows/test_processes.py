"""Several processes: what the one that started them learns of their end."""

import errno
import os
import signal
import sys
from pathlib import Path

import pytest

from synthograph.core.errors import ExitCode, ProcessesError, StoppedError, UserError
from synthograph.core.signals import StopRequest
from synthograph.workflows import processes
from synthograph.workflows.requests import GenerateRequest
from tests.conftest import ONE_OF_TWO


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """This process as one of two, and where it leaves word."""
    for name, value in {**ONE_OF_TWO, processes.FOLDER: str(tmp_path), "RANK": "1"}.items():
        monkeypatch.setenv(name, value)
    return tmp_path


def test_the_first_word_stays_and_is_whole(worker: Path) -> None:
    assert processes.leave(UserError("bad")) == (2, True)
    assert processes.leave(StoppedError("asked")) == (0, False)
    assert (worker / processes.CODE).read_text() == "2"
    processes.report_leader()
    processes.report_leader()
    assert int((worker / processes.LEADER).read_text()) > 0


def test_a_stop_is_success_to_torchrun_also_with_one_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert processes.leave(StoppedError("asked")) == (ExitCode.STOPPED, True)
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "17")
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert processes.leave(StoppedError("asked")) == (ExitCode.DONE, True)
    assert processes.leave(UserError("bad")) == (2, True)


def test_a_process_that_ends_is_not_ended_in_the_middle_of_its_word(
    worker: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_text

    def cut_off(self: Path, text: str) -> int:
        signal.raise_signal(signal.SIGTERM)  # as torchrun does when another process died
        return write(self, text)

    monkeypatch.setattr(Path, "write_text", cut_off)
    signal.signal(signal.SIGTERM, lambda *_: pytest.fail("it was interrupted"))
    processes.leave(UserError("another process ended"))
    assert (worker / processes.CODE).read_text() == "2"


@pytest.fixture
def instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script that runs where this command would run in parts."""
    script = tmp_path / "instead.sh"
    script.touch(0o755)
    monkeypatch.setattr(sys, "executable", str(script))
    return script


WORDS, LINE = ["generate", "--gpus", "2"], "synthograph generate --gpus 2"


def test_a_part_that_is_killed_is_named(instead: Path, capsys: pytest.CaptureFixture[str]) -> None:
    instead.write_text('#!/bin/sh\ncase "$*" in *--part\\ 2/2) kill -9 $$;; esac\n')
    with pytest.raises(ProcessesError) as ended:
        processes.in_parts(WORDS, LINE, 2)
    assert processes.leave(ended.value) == (ExitCode.BUG, False), "it was said already"
    line = "part 2 was ended by signal 9 (out of memory?); the same command continues\n"
    assert capsys.readouterr().err == line


def test_parts_know_the_whole_command_and_get_their_own_options(
    instead: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instead.write_text(f'#!/bin/sh\nfor last; do :; done\necho "$*" > {tmp_path}/${{last%/2}}\n')
    processes.in_parts([*WORDS, "--network", "a b"], LINE, 2)
    for number in (1, 2):
        words = f"-P -m synthograph generate --gpus 2 --network a b --part {number}/2\n"
        assert (tmp_path / str(number)).read_text() == words
    instead.write_text(f'#!/bin/sh\necho "$SYNTHOGRAPH_LINE" > {tmp_path}/line\n')
    processes.in_parts(WORDS, LINE, 1)
    assert (tmp_path / "line").read_text() == f"{LINE}\n"
    monkeypatch.setenv("SYNTHOGRAPH_LINE", LINE)
    part = GenerateRequest(network="a", outdir="b", gpus=2, part="1/2")
    assert part.command_line() == LINE


def test_requests_to_stop_are_handed_on_as_they_come(
    instead: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    received = tmp_path / "received"
    instead.write_text(
        "#!/bin/sh\n"
        f"trap 'echo TERM >> {received}; kill -INT {os.getpid()}' TERM\n"
        f"trap 'echo INT >> {received}; exit 3' INT\n"
        f"kill -TERM {os.getpid()}\n"
        "for k in 1 2 3 4 5 6 7 8 9; do sleep 1; done\n"
    )
    ready, real = [], StopRequest.__enter__
    # before that, an interrupt would end the tests
    signal.signal(signal.SIGTERM, lambda number, frame: ready.append(number))

    def installed(self: StopRequest) -> StopRequest:
        real(self)
        if ready:
            os.kill(os.getpid(), signal.SIGTERM)
        return self

    monkeypatch.setattr(StopRequest, "__enter__", installed)
    with pytest.raises(ProcessesError) as ended:
        processes.in_parts(WORDS, LINE, 1)
    assert ended.value.exit_code == ExitCode.STOPPED
    assert received.read_text() == "TERM\nINT\n"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler, "as it was before"


@pytest.mark.parametrize("folder", ["", "gone", "file"])
def test_nobody_is_told_where_the_folder_of_a_launch_is_gone(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(processes.FOLDER, folder and str(tmp_path / folder))
    processes.report_result("x")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_cores_are_shared(monkeypatch: pytest.MonkeyPatch, instead: Path, tmp_path: Path) -> None:
    monkeypatch.setattr(processes, "usable_cores", lambda: 6)
    monkeypatch.setenv("OMP_NUM_THREADS", "")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    instead.write_text(
        f"#!/bin/sh\nfor l; do :; done\necho $OMP_NUM_THREADS > {tmp_path}/${{l%/2}}\n"
    )
    processes.in_parts(WORDS, LINE, 2)
    assert [(tmp_path / str(number)).read_text() for number in (1, 2)] == ["3\n", "3\n"]


@pytest.mark.parametrize(("seen", "wanted"), [(None, "01010"), ("4,6", "46464")])
def test_every_process_gets_a_gpu(
    monkeypatch: pytest.MonkeyPatch, seen: str | None, wanted: str
) -> None:
    """Of those that the user lets it see; processes beyond their number share them."""
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    if seen is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)
    found = [processes._share_of_machine(number, 5) for number in range(1, 6)]
    assert "".join(each["CUDA_VISIBLE_DEVICES"] for each in found) == wanted


def test_no_place_for_temporary_files(monkeypatch: pytest.MonkeyPatch, instead: Path) -> None:
    def refuse() -> None:
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(processes.tempfile, "TemporaryDirectory", refuse)
    with pytest.raises(UserError, match="No usable temporary directory found.*set TMPDIR=FOLDER"):
        processes.in_parts(WORDS, LINE, 2)
