"""Commands typed in this process."""

import sys
from collections.abc import Callable

import pytest

from synthograph.cli import main

Typed = Callable[..., tuple[int, str, str]]
"""Words of a command line -> exit code, output and errors."""


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Typed:
    def call(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["synthograph", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main.run()
        printed = capsys.readouterr()
        return int(end.value.code or 0), printed.out, printed.err

    return call
