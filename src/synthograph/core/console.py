"""The console, whatever it is: a terminal, a file in another code page, a pipe that nobody reads
any more, or nothing at all.
"""

import contextlib
import errno
import io
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar, copy_context
from typing import IO, Any, cast

from synthograph.core.errors import DiskFullError

NAMES = ("stdin", "stdout", "stderr")
"""Streams of descriptor 0, 1 and 2."""
STDERR = 2
GONE = (errno.EPIPE, errno.EIO, errno.ESHUTDOWN, *([errno.EINVAL] if os.name == "nt" else []))
"""What a pipe answers whose reader ended, and a terminal that was closed."""


def open_streams() -> None:
    """Make the streams of a command ready, before it does anything.

    A closed one becomes the null device: else the next file that is opened would take its number,
    and get what is meant for it. Characters that a code page lacks are escaped. What is written to
    a reader that ended is dropped, and the work goes on.
    """
    for number, name in enumerate(NAMES):
        if not _is_open(number):
            with contextlib.suppress(OSError):
                os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest free number
        if getattr(sys, name) is None and _is_open(number):
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))
    for name in NAMES[1:]:
        setattr(sys, name, _lasting(getattr(sys, name)))


@contextlib.contextmanager
def heard_by(listener: Callable[[str], None]) -> Iterator[None]:
    """What is said on standard output goes to a listener meanwhile, who may say it, or not."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)


_LISTENER: ContextVar[Callable[[str], None] | None] = ContextVar("listener", default=None)


_CONTROL = re.compile(r"(\x1b\[[0-9;]*m)|[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Colours of tables, and what steers a terminal."""


def say(text: str, *, error: bool = False, end: str = "\n") -> None:
    """Print a line on standard output, or standard error, if anybody can read it.

    What steers a terminal is escaped: names in files of others could move the cursor, or set the
    clipboard.
    """
    text = _CONTROL.sub(lambda found: found[1] or ascii(found[0])[1:-1], text)
    listener = _LISTENER.get()
    if listener is not None and not error:
        copy_context().run(_tell, listener, text)
        return
    stream = sys.stderr if error else sys.stdout
    with contextlib.suppress(BrokenPipeError):
        try:
            print(text, file=stream, end=end, flush=True)
        except UnicodeEncodeError:
            plain = text.encode(stream.encoding, "backslashreplace").decode(stream.encoding)
            print(plain, file=stream, end=end, flush=True)


def _tell(listener: Callable[[str], None], text: str) -> None:
    _LISTENER.set(None)  # what the listener says is for people
    listener(text)


def is_terminal(stream: IO[Any] | None) -> bool:
    """Whether somebody sits at this stream; nobody does at one that is closed."""
    return stream is not None and not stream.closed and stream.isatty()


def _is_open(number: int) -> bool:
    try:
        os.fstat(number)
    except OSError:
        return False
    return True


class _Lasting(io.RawIOBase):
    """What is below a stream whose reader may end; the stream is kept, or it would close it."""

    def __init__(self, stream: io.TextIOWrapper, raw: io.RawIOBase) -> None:
        self._stream, self._raw, self._failed = stream, raw, False

    def writable(self) -> bool:
        """It is."""
        return True

    def fileno(self) -> int:
        """Of the stream itself."""
        return self._raw.fileno()

    def isatty(self) -> bool:
        """Whether the stream itself is a terminal."""
        return self._raw.isatty()

    def write(self, data: Any) -> int | None:  # noqa: ANN401 - whatever holds bytes
        """All or some of it; all of what nobody will read.

        Raises:
            DiskFullError: once, where the stream is a file on a full disk.
        """
        if self._failed:
            return len(data)
        try:
            return self._raw.write(data)
        except OSError as error:
            self._failed = True
            if self.fileno() == STDERR:
                return len(data)  # there is nowhere to say it
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise DiskFullError(
                    "standard output goes to a disk without space left; free some and run the same "
                    "command again"
                ) from error
            if error.errno not in GONE:
                raise
            return len(data)


def _lasting(stream: Any) -> Any:  # noqa: ANN401 - a stream, or what a caller put in its place
    """The same stream, which survives its reader and lacks no character."""
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    raw = getattr(stream.buffer, "raw", stream.buffer)  # the latter where Python does not buffer
    if not isinstance(raw, io.RawIOBase):
        return stream
    lasting = _Lasting(stream, raw)
    with contextlib.suppress(OSError):
        stream.flush()
    return io.TextIOWrapper(
        cast("IO[bytes]", lasting if raw is stream.buffer else io.BufferedWriter(lasting)),
        encoding=stream.encoding,
        errors="backslashreplace" if stream.errors == "strict" else stream.errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )
