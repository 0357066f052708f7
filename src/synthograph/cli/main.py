"""Entry point: the verbs, and errors as one line with an exit code."""

import errno
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, NoReturn

import typer

from synthograph.cli.options import json_verb, plain_verb
from synthograph.cli.usage import UsageError, explain
from synthograph.cli.weights import weights
from synthograph.core.console import say
from synthograph.core.devices import keep_freed_memory
from synthograph.core.errors import (
    ExitCode,
    StoppedError,
    SynthographError,
    UserError,
    one_line,
)
from synthograph.core.launched import place
from synthograph.workflows import request_of
from synthograph.workflows.processes import leave

app = typer.Typer(
    name="synthograph",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="From a small private image set to a labelled synthetic set that you can defend.",
)
VERBS = (
    *("demo", "phantom", "prepare", "split", "train", "generate", "evaluate", "audit"),
    *("authenticity", "domain_gap", "directions", "embeddings", "interpolate", "truncation"),
    *("mix", "project", "study", "search", "report", "film", "convert", "export", "card"),
    *("inspect", "models", "cohorts", "doctor", "mix_styles", "neighbours"),
)
WITH_JSON = ("inspect", "models", "cohorts")
for name in VERBS:
    app.command()((json_verb if name in WITH_JSON else plain_verb)(request_of(name)))
GROUPS = {
    "annotate": (
        "Paint a few synthetic images, and get masks for thousands.",
        ("sample", "import", "from-real", "agreement", "train", "generate", "review"),
    ),
    "classify": (
        "Train a classifier, evaluate it on held-out patients, predict.",
        ("train", "evaluate", "predict"),
    ),
    "segment": (
        "Train a segmenter, evaluate it on held-out patients, write masks.",
        ("train", "evaluate", "predict"),
    ),
}
"""Command of several verbs -> its help, and the verbs."""
for group, (words, verbs) in GROUPS.items():
    several = typer.Typer(help=words)
    for name in verbs:
        request = request_of(f"{group}_{name.replace('-', '_')}")
        several.command(name)(plain_verb(request))
    app.add_typer(several, name=group)
app.add_typer(weights, name="weights")


def _version(wanted: bool) -> None:
    if wanted:
        import synthograph

        say(f"synthograph {synthograph.__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """Options before the verb."""
    global _debug
    _debug = debug


_debug = False
INTERRUPTED = 130
"""What typer makes of Ctrl-C; its older versions abort."""
ARCHIVE = "the same command continues an unfinished archive"
NOTHING = ("stopped before anything was begun", "nothing is left of it: run it again")
LEFT = {
    "card": NOTHING,
    "export": NOTHING,
    "generate": ("stopped before anything was begun", ARCHIVE),
    "phantom": (None, ARCHIVE),
    "prepare": (None, ARCHIVE),
    "project": (
        "stopped before anything was begun",
        "targets that are done are kept, and the same command continues",
    ),
    "search": (
        "stopped before anything was begun",
        "trials are saved, and the same command continues",
    ),
    # the run directory may be there already
    "train": (
        "stopped before the first step was begun",
        "--resume RUN_DIR continues from the last saved state",
    ),
}
"""What verbs say of a signal that came too early, if they answer signals themselves, and of Ctrl-C;
of others only that they may be run again, which goes on with what they keep.
"""


def run(asked: Sequence[str] = ()) -> None:
    """Run the command line; the process ends with the exit code of `core.errors`.

    Args:
        asked: names of the signals that interrupted it; may fill while it runs.
    """
    keep_freed_memory()
    try:
        words = sys.argv[1:] or ["--help"]
        _refuse_company(words)
        code = app(args=words, prog_name="synthograph", standalone_mode=False)
        if code == INTERRUPTED:
            _end(_interrupted(words, asked))
    except (typer.Abort, KeyboardInterrupt):  # the latter before and after typer is at work
        _end(_interrupted(words, asked))
    except SynthographError as error:
        _end(error)
    except UsageError as error:
        _end(UserError(explain(error)))
    except (MemoryError, RuntimeError, OSError) as error:
        if not _lacks_memory(error):
            raise
        _end(
            UserError(
                f"out of memory ({one_line(str(error))[:200]}); ask for less at once: a smaller "
                "batch, network or image size"
            )
        )
    sys.exit(code if isinstance(code, int) else int(ExitCode.DONE))


def _verb(words: Sequence[str]) -> str:
    return next((word for word in words if not word.startswith("-")), "")


def _refuse_company(words: Sequence[str]) -> None:
    """Several processes would write the same files, unless they train.

    Raises:
        UserError: torchrun started several of another command.
    """
    verb = _verb(words)
    if place() is not None and verb not in ("", "train"):
        raise UserError(f"{verb} is the work of one process: start it without torchrun")


def _interrupted(words: Sequence[str], asked: Sequence[str]) -> StoppedError:
    """What an interrupted command leaves behind."""
    early, late = LEFT.get(_verb(words), (None, "run the same command again"))
    if asked and early is not None:
        return StoppedError(f"{early} ({asked[0]})")
    return StoppedError(f"interrupted; {late}")


def _lacks_memory(error: BaseException) -> bool:
    """Whether an error says that memory could not be had; torch has no type of its own for it on
    the CPU.
    """
    words = ("can't allocate memory", "out of memory", "not enough memory")
    return (
        isinstance(error, MemoryError)
        or getattr(error, "errno", None) == errno.ENOMEM
        or (isinstance(error, RuntimeError) and any(word in str(error) for word in words))
    )


def _end(error: SynthographError) -> NoReturn:
    """Say in one line what ended the command, and leave with its exit code."""
    if _debug:
        traceback.print_exc()
    code, speaks = leave(error)
    message = one_line(str(error))
    said = message.startswith(error.label)  # "stopped on request" need not be said twice
    if speaks and message:
        say(message if said else f"{error.label}: {message}", error=True)
    sys.exit(code)
