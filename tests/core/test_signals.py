"""A signal is noted and answered; the next Ctrl-C interrupts; handlers are put back."""

import os
import signal
import threading

import pytest

from synthograph.core.errors import StoppedError
from synthograph.core.signals import NAMES, StopRequest


@pytest.mark.parametrize("name", NAMES)
def test_the_first_signal_is_noted(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    before = [signal.getsignal(getattr(signal, other)) for other in NAMES]
    with StopRequest("finishing") as stop:
        assert not stop.requested
        os.kill(os.getpid(), getattr(signal, name))
        assert (stop.requested, stop.reason) == (True, name)
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.reason == name
    assert capfd.readouterr().err == f"\n{name}: finishing\n"
    assert [signal.getsignal(getattr(signal, other)) for other in NAMES] == before


def test_the_second_interrupt_is_one(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt), StopRequest() as stop:
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.reason == "SIGTERM"
        os.kill(os.getpid(), signal.SIGINT)
    assert capfd.readouterr().err == ""


def test_threads_take_no_signals() -> None:
    before = signal.getsignal(signal.SIGTERM)

    def work() -> None:
        with StopRequest() as stop:
            assert not stop.requested and signal.getsignal(signal.SIGTERM) is before

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_larger_work_learns_of_a_signal_that_a_part_of_it_let_pass() -> None:
    with StopRequest() as whole:
        with StopRequest():
            pass
        whole.heed()
        with StopRequest():
            os.kill(os.getpid(), signal.SIGTERM)
        with pytest.raises(StoppedError, match=r"stopped on request \(SIGTERM\)"):
            whole.heed()
        with StopRequest():
            os.kill(os.getpid(), signal.SIGUSR1)
        assert whole.reason == "SIGTERM", "the first one counts"


def test_a_part_of_larger_work_knows_what_came_before_it_began() -> None:
    with StopRequest():
        os.kill(os.getpid(), signal.SIGTERM)
        with StopRequest() as part:
            assert part.reason == "SIGTERM"
