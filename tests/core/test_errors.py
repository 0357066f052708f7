"""Exit codes are a contract with scripts."""

import pytest

from synthograph.core import errors


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (errors.SynthographError, 1),
        (errors.UserError, 2),
        (errors.StoppedError, 3),
        (errors.DivergedError, 4),
        (errors.DiskFullError, 5),
    ],
)
def test_exit_codes(kind: type[errors.SynthographError], code: int) -> None:
    assert int(kind.exit_code) == code and issubclass(kind, errors.SynthographError)
    assert errors.ExitCode.DONE == 0
    assert kind.label == ("stopped" if kind is errors.StoppedError else "error")


def test_messages_are_one_line_whatever_they_name() -> None:
    assert errors.one_line("a\nb\r\tc\x1b[2J \udcff d ö") == "a b c [2J d ö"
