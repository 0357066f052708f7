"""Progress passes everything through, and stays quiet in log files unless work is long."""

import io
import sys
from collections.abc import Iterator

import pytest

from synthograph.core import progress
from synthograph.core.progress import Conversation, Printed, Silent, for_people, track


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_short_work_prints_nothing_to_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert list(track(range(5), total=5, what="work")) == [0, 1, 2, 3, 4]
    assert capsys.readouterr() == ("", "")


def test_long_work_prints_lines_to_stderr(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 1000, 6))
    monkeypatch.setattr(progress.time, "monotonic", lambda: float(next(clock)))
    assert list(track(range(4), total=4, what="work")) == [0, 1, 2, 3]
    out, err = capsys.readouterr()
    assert out == "" and err.splitlines() == ["work: 2 of 4, 12 s left", "work: 4 of 4, 0 s left"]


def test_a_terminal_gets_a_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    assert list(track(range(3), total=3, what="work")) == [0, 1, 2]
    assert "work" in terminal.getvalue() and "3/3" in terminal.getvalue()


def test_errors_pass_through() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        list(track(items(), total=2, what="work"))


def test_notes_are_printed_or_dropped(capsys: pytest.CaptureFixture[str]) -> None:
    Silent().log("dropped")
    Printed().log("a note")
    assert list(Silent().track("work")([1, 2], 2)) == list(Printed().track("work")([1, 2], 2))
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("a note\n", "")


def test_calls_from_python_are_silent_where_nobody_watches() -> None:
    assert isinstance(for_people(), Silent), "output is captured here"


def test_only_somebody_at_a_terminal_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    typed = Terminal(" mirror \n")
    for listener in (Conversation(), Printed(), Silent()):
        assert listener.ask("which?") == "", "input and output are no terminal here"
    monkeypatch.setattr(sys, "stdin", typed)
    assert Conversation().ask("which?") == "", "output goes to a file"
    shown = Terminal()
    monkeypatch.setattr(sys, "stdout", shown)
    assert Printed().ask("which?") == "", "a script is not kept waiting"
    assert Conversation().ask("which?") == "mirror"
    assert shown.getvalue() == "which? "
    assert Conversation().ask("which?") == "", "Ctrl-D is no answer"
