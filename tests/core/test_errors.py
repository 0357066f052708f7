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
