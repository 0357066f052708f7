"""Libraries are silent for a while, and speak again."""

import logging
import warnings

import pytest

from synthograph.sources.silence import silent


def test_loggers_and_warnings_are_silent_and_then_as_before(
    caplog: pytest.LogCaptureFixture,
) -> None:
    loud, off = logging.getLogger("silence.loud"), logging.getLogger("silence.off")
    off.disabled = True
    with pytest.raises(OSError, match="gone"), silent([loud, off]):
        warnings.warn("nobody hears this", stacklevel=1)
        loud.error("nor this")
        raise OSError("gone")
    assert not caplog.records and not loud.disabled and off.disabled
    loud.error("but this")
    assert [record.message for record in caplog.records] == ["but this"]
