"""Errors that a user sees as one line, each with the exit code that scripts can rely on."""

import enum


class ExitCode(enum.IntEnum):
    """What the process returns to the shell."""

    DONE = 0
    BUG = 1
    BAD_INPUT = 2
    STOPPED = 3
    DIVERGED = 4
    DISK_FULL = 5


class SynthographError(Exception):
    """Base of everything that the command line reports without a traceback."""

    exit_code = ExitCode.BUG


class UserError(SynthographError, ValueError):
    """The input breaks a rule. The message names the value or file, the rule and the way out."""

    exit_code = ExitCode.BAD_INPUT


class StoppedError(SynthographError):
    """The run was asked to stop, saved its state and can be resumed."""

    exit_code = ExitCode.STOPPED


class DivergedError(SynthographError):
    """Training produced numbers that cannot be trusted any more."""

    exit_code = ExitCode.DIVERGED


class DiskFullError(SynthographError):
    """No space left; what was saved before stays valid."""

    exit_code = ExitCode.DISK_FULL
