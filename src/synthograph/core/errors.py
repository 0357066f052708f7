"""Errors that a user sees as one line, each with the exit code that scripts can rely on."""

import enum
from collections.abc import Mapping


class ExitCode(enum.IntEnum):
    """What the process returns to the shell."""

    DONE = 0
    BUG = 1
    BAD_INPUT = 2
    STOPPED = 3
    DIVERGED = 4
    DISK_FULL = 5


class SynthographError(Exception):
    """Base of everything that the command line reports without a traceback: `label: message`.

    Attributes:
        result: what the job had found when it could not be written; None where there is nothing.
    """

    exit_code = ExitCode.BUG
    label = "error"
    result: object = None


class UserError(SynthographError, ValueError):
    """The input breaks a rule. The message names the value or file, the rule and the way out."""

    exit_code = ExitCode.BAD_INPUT


class SettingError(UserError):
    """A value of a configuration breaks a rule.

    Args:
        path: dotted path of the setting; empty for a rule of the whole configuration.
        rule: what it must be, and the way out.
        value: what was given, as a short text; None where the rule says it itself.
        unknown: whether there is no such setting; `rule` then names the nearest.
    """

    def __init__(
        self, path: str, rule: str, *, value: str | None = None, unknown: bool = False
    ) -> None:
        self.path, self.rule, self.value, self.unknown = path, rule, value, unknown
        lead = f"unknown setting '{path}': " if unknown else f"setting '{path}': "
        got = "" if value is None else f", got {value}"
        super().__init__(f"{lead if path else ''}{rule}{got}")

    def under(self, parent: str) -> "SettingError":
        """The same error, for a configuration that is the section `parent` of a larger one."""
        path = f"{parent}.{self.path}" if self.path else parent
        return SettingError(path, self.rule, value=self.value, unknown=self.unknown)

    def moved(self, names: Mapping[str, str]) -> "SettingError":
        """The same of the settings that these ones were built from.

        Args:
            names: dotted path -> path of the setting that gave the value.
        """
        path = names.get(self.path, self.path)
        return SettingError(path, self._rule(names), value=self.value, unknown=self.unknown)

    def called(self, names: Mapping[str, str]) -> UserError:
        """The same error, with settings named as the user gave them.

        Args:
            names: dotted path -> what people call it, such as `--gamma` or `run.yaml: seed`.
        """
        name, rule = names.get(self.path), self._rule(names)
        if name is not None:
            lead = f"{name}: unknown setting, " if self.unknown else f"{name}: "
            lead = lead if self.value is None else f"{name} {self.value}: "
            return UserError(f"{lead}{rule}")
        if any(path.startswith(f"{self.path}.") for path in names) and self.value is None:
            return UserError(rule)  # a rule between settings names them itself
        return SettingError(self.path, rule, value=self.value, unknown=self.unknown)

    def _rule(self, names: Mapping[str, str]) -> str:
        rule = self.rule
        for path, other in names.items():
            rule = rule.replace(f"{path} ", f"{other} ") if "." in path else rule
        return rule


class BlockedError(UserError):
    """Something other than the input is in the way, such as a disk, a lock or unfinished work of
    another command. Earlier results stay valid, and the same command continues.
    """


class StoppedError(SynthographError):
    """The run was asked to stop, saved its state and can be resumed."""

    exit_code = ExitCode.STOPPED
    label = "stopped"

    def within(self, what: str, way: str) -> "StoppedError":
        """The same of a piece of a larger work.

        Args:
            what: the larger work.
            way: how it goes on.
        """
        return StoppedError(f"{str(self).partition('; ')[0]}, in {what}; the state is saved. {way}")


class DivergedError(SynthographError):
    """Training diverged: its numbers are no longer finite or meaningful."""

    exit_code = ExitCode.DIVERGED


class DiskFullError(SynthographError):
    """No space left; what was saved before stays valid."""

    exit_code = ExitCode.DISK_FULL


class ProcessesError(SynthographError):
    """Other processes of the command ended early, and have said why themselves.

    Args:
        code: the exit code of the first of them.
    """

    def __init__(self, code: int) -> None:
        super().__init__(f"its processes ended with exit code {code}, and said why")
        self.exit_code = ExitCode(code) if code in list(ExitCode) else ExitCode.BUG


def one_line(text: str) -> str:
    """A message as one printable line; names of files may contain anything."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())
