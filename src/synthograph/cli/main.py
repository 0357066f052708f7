"""Entry point: the verbs, and errors as one line with an exit code."""

import sys
import traceback
from typing import Annotated, NoReturn

import typer

from synthograph.cli.convert import convert
from synthograph.cli.demo import demo
from synthograph.cli.doctor import doctor
from synthograph.cli.generate import generate
from synthograph.cli.inspect import inspect
from synthograph.cli.launch import leave
from synthograph.cli.models import models
from synthograph.cli.phantom import phantom
from synthograph.cli.prepare import prepare
from synthograph.cli.split import split
from synthograph.cli.train import train
from synthograph.cli.usage import UsageError, explain
from synthograph.cli.weights import weights
from synthograph.core.errors import (
    ExitCode,
    StoppedError,
    SynthographError,
    UserError,
    one_line,
)

app = typer.Typer(
    name="synthograph",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="From a small private image set to a labelled synthetic set that you can defend.",
)
for verb in (demo, phantom, prepare, split, train, generate, convert, inspect, models, doctor):
    app.command()(verb)
app.add_typer(weights, name="weights")


def _version(wanted: bool) -> None:
    if wanted:
        import synthograph

        typer.echo(f"synthograph {synthograph.__version__}")
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
_GOES_ON = "interrupted; an unfinished archive goes on with the same command"


def run() -> None:
    """Run the command line; the process ends with the exit code of `core.errors`."""
    try:
        words = sys.argv[1:] or ["--help"]
        code = app(args=words, prog_name="synthograph", standalone_mode=False)
        if code == INTERRUPTED:
            _end(StoppedError(_GOES_ON))
    except typer.Abort:
        _end(StoppedError(_GOES_ON))
    except SynthographError as error:
        _end(error)
    except UsageError as error:
        _end(UserError(explain(error)))
    sys.exit(code if isinstance(code, int) else int(ExitCode.DONE))


def _end(error: SynthographError) -> NoReturn:
    """Say in one line what ended the command, and leave with its exit code."""
    if _debug:
        traceback.print_exc()
    code, speaks = leave(error)
    message = one_line(str(error))
    said = message.startswith(error.label)  # "stopped on request" need not be said twice
    if speaks:
        typer.echo(message if said else f"{error.label}: {message}", err=True)
    sys.exit(code)
