"""Libraries that print what they also raise are kept silent."""

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence


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
