"""The process of a trial: trains what it is told to, line by line, and ends with who started it.

    python -m synthograph.workflows.search_worker

Every line of its input is the request of a training, in JSON. Its output is a line of JSON per
line of the training's log, and one with the run or with what went wrong. A trial that breaks this
process, by memory or otherwise, does not end the search.
"""

import json
import os
import queue
import signal
import sys
import threading
from typing import Any

from synthograph.core.console import heard_by, open_streams, say
from synthograph.core.errors import ExitCode, SynthographError, one_line
from synthograph.core.progress import Silent
from synthograph.core.untrusted.documents import JsonObject
from synthograph.workflows import train
from synthograph.workflows.requests import TrainRequest

LOG, RUN, ERROR, CODE = "log", "run", "error", "code"
"""Keys of what this process says."""


def main() -> None:
    """Train until the input ends; whoever wrote it may be gone then, so a training stops, saved."""
    open_streams()
    asked: queue.Queue[str | None] = queue.Queue()
    training = threading.Event()
    threading.Thread(target=_listen, args=(asked, training), daemon=True).start()
    while (line := asked.get()) is not None:
        training.set()
        _say(_answer(json.loads(line)))
        training.clear()


def _listen(asked: "queue.Queue[str | None]", training: threading.Event) -> None:
    for line in sys.stdin:
        asked.put(line)
    asked.put(None)
    if training.is_set():
        os.kill(os.getpid(), signal.SIGTERM)


def _answer(tree: JsonObject) -> JsonObject:
    """Train; the run, or what went wrong."""
    try:
        with heard_by(lambda line: _say({LOG: line})):
            result = train.run(TrainRequest.parse(tree), progress=Silent())
    except SynthographError as error:
        return {ERROR: one_line(str(error)), CODE: int(error.exit_code)}
    except (MemoryError, RuntimeError, OSError) as error:  # this trial is too large, for example
        return {ERROR: one_line(f"{type(error).__name__}: {error}")[:300], CODE: int(ExitCode.BUG)}
    if result is None:
        return {ERROR: "nothing was trained", CODE: int(ExitCode.BUG)}
    return {RUN: str(result.run)}


def _say(message: Any) -> None:  # noqa: ANN401 - JSON data
    say(json.dumps(message))


if __name__ == "__main__":
    main()
