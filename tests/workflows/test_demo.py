"""The demonstration where something is in its way."""

from pathlib import Path

import pytest

from synthograph.core.errors import BlockedError, UserError
from synthograph.core.progress import Printed
from synthograph.workflows import demo
from synthograph.workflows.requests import EvaluateRequest


@pytest.mark.parametrize(("error", "ends"), [(UserError, False), (BlockedError, True)])
def test_a_disk_in_the_way_is_no_lack_of_images(
    error: type[UserError],
    ends: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def refuse(request: EvaluateRequest, *, progress: Printed) -> None:
        raise error("why")

    monkeypatch.setattr(demo.evaluate, "run", refuse)
    asked = EvaluateRequest(synthetic=Path("a.zip"), real="b.zip")
    if ends:
        with pytest.raises(BlockedError, match="why"):
            demo._measure(asked, Printed())
    else:
        demo._measure(asked, Printed())
        assert capsys.readouterr().out == "not measured: why\n"
