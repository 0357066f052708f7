"""Variables of the environment that torchrun sets, and other software too."""

import pytest

from synthograph.core.errors import UserError
from synthograph.core.launched import Launched, launched, place, restarts

WHOLE = {
    "WORLD_SIZE": "2",
    "RANK": "1",
    "LOCAL_RANK": "1",
    "MASTER_ADDR": "127.0.0.1",
    "MASTER_PORT": "1234",
}


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*WHOLE, "TORCHELASTIC_RESTART_COUNT"):
        monkeypatch.delenv(name, raising=False)


def test_what_torchrun_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    assert launched() is None
    for name, value in WHOLE.items():
        monkeypatch.setenv(name, value)
    assert launched() == Launched(2, 1, 1, "127.0.0.1", 1234) == place()


@pytest.mark.parametrize("value", ["", " ", "1"])
def test_alone(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "7")  # of other software
    monkeypatch.setenv("WORLD_SIZE", value)
    assert launched() is None


@pytest.mark.parametrize("name", list(WHOLE)[1:])
@pytest.mark.parametrize("value", [None, "", "first", "-1", "9999"])
def test_one_that_is_missing_or_wrong_is_named(
    name: str, value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for known, given in WHOLE.items():
        monkeypatch.setenv(known, given)
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)
    if value and (name == "MASTER_ADDR" or (name, value) == ("MASTER_PORT", "9999")):
        assert launched() is not None
        return
    with pytest.raises(UserError, match=f"^{name}.*unset WORLD_SIZE"):
        launched()
    assert place() is None


@pytest.mark.parametrize("value", ["auto", "0", "-2", "2.5", "²"])
def test_a_size_that_is_no_number(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", value)
    with pytest.raises(UserError, match=f"^WORLD_SIZE={value}: is"):
        launched()
    assert place() is None


def test_restarts(monkeypatch: pytest.MonkeyPatch) -> None:
    assert restarts() == 0
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "3")
    assert restarts() == 3
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "x")
    with pytest.raises(UserError, match="RESTART_COUNT=x"):
        restarts()
