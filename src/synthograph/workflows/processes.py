"""Several processes on this machine: the same request once more in each."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from synthograph.core.children import environment, python_command
from synthograph.core.commands import LINE
from synthograph.core.console import say
from synthograph.core.cores import usable_cores
from synthograph.core.errors import (
    ExitCode,
    ProcessesError,
    StoppedError,
    SynthographError,
    UserError,
)
from synthograph.core.launched import LAUNCH, launch_name, place
from synthograph.core.signals import NAMES, StopRequest

FOLDER = "SYNTHOGRAPH_LAUNCH"
"""Environment variable: folder in which the processes report to the one that started them."""
THREADS = "OMP_NUM_THREADS"
_KILL = 9  # sent when a system runs out of memory; Windows has no name for it
CODE, LEADER, RESULT = "code", "leader", "result"


def launch(words: Sequence[str], processes: int) -> str:
    """Run a command in processes that torchrun starts. Signals go to rank 0, which stops all.

    Args:
        words: of the command, behind the program's name.
        processes: how many.

    Returns:
        What `report_result` got.

    Raises:
        ProcessesError: one of them failed, or all were stopped.
    """
    with _temporary_folder() as name:
        folder = Path(name)
        own = environment(**{THREADS: os.environ.get(THREADS) or _threads(processes), FOLDER: name})
        torchrun = [*python_command("torch.distributed.run"), "--standalone"]
        command = [*torchrun, f"--nproc-per-node={processes}", "-m", "synthograph"]
        # in a session of its own, so that Ctrl-C reaches the processes once, and through here
        workers = subprocess.Popen([*command, *words], env=own, start_new_session=True)

        def forward(number: int, again: bool) -> None:
            leader = folder / LEADER
            if again or not leader.exists():
                workers.terminate()
            else:
                os.kill(int(leader.read_text()), signal.SIGTERM)

        with StopRequest(forward=forward) as stop:
            status = workers.wait()
        if (folder / CODE).exists():
            raise ProcessesError(int((folder / CODE).read_text()))
        if stop.requested or status:
            raise ProcessesError(ExitCode.STOPPED if stop.requested else ExitCode.BUG)
        return (folder / RESULT).read_text()


def in_parts(words: Sequence[str], line: str, processes: int) -> None:
    """Run a command in processes that each make one part of the work; a second Ctrl-C ends them at
    once.

    Args:
        words: of the command, behind the program's name.
        line: the command as a whole, which goes on where they are stopped.
        processes: how many.

    Raises:
        ProcessesError: one of them failed, or all were stopped.
    """
    parts = [[*words, "--part", f"{number}/{processes}"] for number in range(1, processes + 1)]
    side_by_side(parts, line)


def side_by_side(
    commands: Sequence[Sequence[str]], line: str, variables: Mapping[str, str] | None = None
) -> None:
    """Run commands in a process each, the first of which is seen; a second Ctrl-C ends them at
    once.

    Args:
        commands: words of each, behind the program's name.
        line: the command as a whole, which goes on where they are stopped.
        variables: of the environment of each; unlike words, nobody else sees them.

    Raises:
        ProcessesError: one of them failed, or all were stopped.
    """
    given = dict(variables or {})
    with _temporary_folder() as name:
        running = []
        for number, words in enumerate(commands, start=1):
            first = number == 1  # whose progress stands for all
            with (Path(name) / str(number)).open("w") as log:
                own = environment(
                    **given, **_share_of_machine(number, len(commands)), **{LINE: line}
                )
                own.pop(LAUNCH, None)  # torchrun does not watch it; its exit code is read here
                process = subprocess.Popen(
                    [*python_command("synthograph"), *words],
                    env=own,
                    stdout=None if first else log,
                    stderr=None if first else log,
                    start_new_session=True,
                )
            running.append(process)

        def forward(number: int, again: bool) -> None:
            for process in running:
                process.send_signal(number)

        with StopRequest(forward=forward) as stop:
            codes = [process.wait() for process in running]
        for number, code in enumerate(codes, start=1):
            if code and number > 1:
                said = (Path(name) / str(number)).read_text(errors="replace")
                say(said[-2000:], error=True, end="")
            if code < 0 and not stop.requested:
                why = " (out of memory?)" if code == -_KILL else ""
                say(
                    f"part {number} was ended by signal {-code}{why}; the same command continues",
                    error=True,
                )
    ended = next((code for code in codes if code), 0)
    if ended < 0:
        ended = ExitCode.STOPPED if stop.requested else ExitCode.BUG
    if ended:
        raise ProcessesError(ended)


def _temporary_folder() -> "tempfile.TemporaryDirectory[str]":
    """A folder that is removed at the end.

    Raises:
        UserError: there is no place for one.
    """
    try:
        return tempfile.TemporaryDirectory()
    except OSError as error:
        raise UserError(
            f"no temporary files can be written ({error.strerror}): set TMPDIR=FOLDER to a folder "
            "that can"
        ) from error


def _share_of_machine(number: int, processes: int) -> dict[str, str]:
    """A GPU and processor cores of its own for one of several processes."""
    import torch

    threads = _threads(processes)
    if not torch.cuda.is_available():
        return {THREADS: os.environ.get(THREADS) or threads}
    count = torch.cuda.device_count()
    seen = os.environ.get("CUDA_VISIBLE_DEVICES")
    devices = seen.split(",") if seen else [str(k) for k in range(count)]
    return {THREADS: threads, "CUDA_VISIBLE_DEVICES": devices[(number - 1) % count]}


def _threads(processes: int) -> str:
    """The cores that may be used for each of several processes."""
    return str(max(usable_cores() // processes, 1))


def report_leader() -> None:
    """Report to the process that started this one where to send requests to stop."""
    _report(LEADER, str(os.getpid()))


def report_result(result: str) -> None:
    """Report to the process that started this one what came of it."""
    _report(RESULT, result)


def _report(name: str, text: str, *, first: bool = False) -> None:
    """Write a file for the process that started this one, whole or not at all.

    Args:
        name: of the file.
        text: its content.
        first: keep what another process reported before.
    """
    folder = Path(os.environ.get(FOLDER) or os.devnull)
    if not folder.is_dir():  # also where it belonged to a launch that is over
        return
    path = folder / name
    temporary = path.with_name(f"{name}.{os.getpid()}.tmp")
    temporary.write_text(text)
    if not (first and path.exists()):
        temporary.replace(path)


def leave(error: SynthographError) -> tuple[int, bool]:
    """How a process ends after an error.

    torchrun knows only success and failure, and starts again what failed: a stop on request, which
    all processes agree on, is a success to it.

    Returns:
        Exit code, and whether this process should print why.
    """
    code, here = int(error.exit_code), place()
    if here is None:
        if isinstance(error, StoppedError) and launch_name() is not None:
            return int(ExitCode.DONE), True
        return code, not isinstance(error, ProcessesError)
    # torchrun ends the others once one is dead, and would cut off the report
    for name in NAMES:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    _report(CODE, str(code), first=True)
    if isinstance(error, StoppedError):
        return int(ExitCode.DONE), here.rank == 0
    return code, True
