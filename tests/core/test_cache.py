"""Where the cache is, whatever the environment holds."""

import os
import pwd
from pathlib import Path

import pytest

from synthograph.core.cache import CACHE, XDG, cache_folder, cache_part
from synthograph.core.errors import UserError


@pytest.fixture(autouse=True)
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    for name in (CACHE, XDG):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_cache_is_where_the_user_says(monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
    monkeypatch.setenv(CACHE, "/elsewhere")
    assert cache_folder() == Path("/elsewhere")
    monkeypatch.setenv(CACHE, "~/x")
    assert cache_folder() == home / "x"
    monkeypatch.setenv(CACHE, "~nobody-of-this-name/x")
    with pytest.raises(UserError, match="no such user; set SYNTHOGRAPH_CACHE"):
        cache_folder()


@pytest.mark.parametrize("given", [None, "", "relative", "./x"])
def test_what_is_empty_or_relative_counts_as_not_set(
    given: str | None, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    monkeypatch.setenv(CACHE, "")
    if given is not None:
        monkeypatch.setenv(XDG, given)
    assert cache_folder() == home / ".cache" / "synthograph"
    monkeypatch.setenv(XDG, "/xdg")
    assert cache_folder() == Path("/xdg/synthograph")


@pytest.mark.parametrize("given", [None, "", "here"])
def test_without_a_home_the_way_out_is_named(
    given: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME")
    if given is not None:
        monkeypatch.setenv("HOME", given)
    own = Path(pwd.getpwuid(os.getuid()).pw_dir)
    assert cache_folder() == own / ".cache" / "synthograph"

    def unknown(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(UserError, match="no home folder.*set SYNTHOGRAPH_CACHE=FOLDER"):
        cache_folder()
    monkeypatch.setenv(XDG, "/xdg")
    assert cache_folder() == Path("/xdg/synthograph")


def test_a_cache_that_cannot_be_made(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE, str(tmp_path / "file"))
    with pytest.raises(UserError, match="Not a directory.*set SYNTHOGRAPH_CACHE=FOLDER"):
        cache_part("pixels")
    monkeypatch.setenv(CACHE, str(tmp_path / "new"))
    assert cache_part("pixels").is_dir()
