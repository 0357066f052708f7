"""Libraries that print what they also raise are kept silent; what they raise becomes a reason."""

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence

from synthograph.core.record import UnreadableError


@contextlib.contextmanager
def silent(talkers: Sequence[logging.Logger]) -> Iterator[None]:
    """Nothing that these loggers say is printed meanwhile, and no warning."""
    before = [logger.disabled for logger in talkers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            for logger in talkers:
                logger.disabled = True
            yield
        finally:
            for logger, disabled in zip(talkers, before, strict=True):
                logger.disabled = disabled


@contextlib.contextmanager
def damage(talkers: Sequence[logging.Logger], words: str, *, quoted: bool) -> Iterator[None]:
    """Whatever a silent library raises on damaged bytes becomes the reason.

    Args:
        talkers: loggers of the library.
        words: the reason, before what was raised.
        quoted: whether the text of the error is told; else its kind alone, since the text may name
            a patient.

    Raises:
        UnreadableError: in place of every error; those of our own stay as they are.
    """
    try:
        with silent(talkers):
            yield
    except UnreadableError:
        raise
    except Exception as error:  # noqa: BLE001 - libraries raise many kinds
        reason = " ".join(str(error).split())[:200] if quoted else ""
        raise UnreadableError(f"{words} ({reason or type(error).__name__})") from None
