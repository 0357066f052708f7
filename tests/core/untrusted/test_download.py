"""Downloads: whole or not at all, and messages that help. No network."""

import hashlib
import io
import urllib.error
import urllib.request
from http.client import BadStatusLine
from http.client import HTTPMessage as Message
from pathlib import Path

import pytest

from synthograph.core import files
from synthograph.core.errors import DiskFullError, UserError
from synthograph.core.untrusted import download as module
from synthograph.core.untrusted.download import _encoded, _OnlyHttps, download, is_offline

URL = "https://example.org/some%20nets/network-snapshot-000100.pkl"
CONTENT = bytes(range(256)) * 9000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Answer(io.BytesIO):
    """What a server gives."""

    def __init__(self, content: bytes = CONTENT, length: int | None = None) -> None:
        super().__init__(content)
        self.headers = Message()
        if length is not None:
            self.headers["Content-Length"] = str(length)


class Server:
    """Stands in for the network and remembers what was asked of it."""

    def __init__(self, answer: Answer | Exception) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def __call__(self, url: str, timeout: float) -> Answer:
        self.asked.append(url)
        assert timeout > 0
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@pytest.fixture(autouse=True)
def connected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SYNTHOGRAPH_OFFLINE", raising=False)


def left_behind(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


def test_a_length_need_not_be_declared(tmp_path: Path) -> None:
    target, answer = tmp_path / "x", Server(Answer())
    assert download(URL, target, opener=answer, track=lambda pieces, total: 1 / 0) == SHA256
    assert target.read_bytes() == CONTENT
    assert left_behind(tmp_path) == [target]


@pytest.mark.parametrize("pin", [SHA256, SHA256[:8], None])
def test_hashes_that_fit(tmp_path: Path, pin: str | None) -> None:
    server, target = Server(Answer()), tmp_path / "x"
    for _ in range(2):
        assert download(URL, target, pin=pin, opener=server) == SHA256
    assert server.asked == [URL]


def test_hashes_that_do_not_fit(tmp_path: Path) -> None:
    target = tmp_path / "x"
    for pin, message in [("0" * 64, "expected 0000"), ("0" * 8, "one that begins with 00000000")]:
        with pytest.raises(UserError, match=message):
            download(URL, target, pin=pin, opener=Server(Answer()))
        assert not left_behind(tmp_path)
        target.write_bytes(b"changed")
        with pytest.raises(UserError, match="another file, or damaged"):
            download(URL, target, pin=pin, opener=Server(Answer()))
        target.unlink()


def test_offline_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(Answer())
    monkeypatch.setenv("SYNTHOGRAPH_OFFLINE", "1")
    assert is_offline()
    for offline in (None, True):
        with pytest.raises(UserError, match="put it as x into the folder"):
            download(URL, tmp_path / "x", offline=offline, opener=server)
    assert not server.asked
    assert download(URL, tmp_path / "x", offline=False, opener=server) == SHA256


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (urllib.error.URLError("Name or service not known"), "Name or service not known"),
        (TimeoutError("timed out"), "timed out"),
        (ConnectionResetError("reset"), "reset"),
        (PermissionError(13, "no sockets here"), "no sockets here"),
        (BadStatusLine("nonsense"), "nonsense"),
        (urllib.error.HTTPError(URL, 404, "Not Found", Message(), None), "answers 404 Not Found"),
    ],
)
def test_no_connection(tmp_path: Path, failure: Exception, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        download(URL, tmp_path / "new" / "x.pkl", opener=Server(failure))
    assert "on a connected machine download" in str(caught.value)
    assert not left_behind(tmp_path)


def test_a_connection_that_breaks(tmp_path: Path) -> None:
    class Broken(Answer):
        def read(self, size: int = -1) -> bytes:
            if self.tell():
                raise ConnectionResetError("reset by peer")
            return super().read(size)

    with pytest.raises(UserError, match="reset by peer"):
        download(URL, tmp_path / "new" / "x.pkl", opener=Server(Broken(length=len(CONTENT))))
    assert not left_behind(tmp_path)


def test_sizes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_BYTES", 1 << 20)
    for answer, message in [
        (Answer(length=len(CONTENT)), "at most 1048576 are downloaded"),
        (Answer(), "more than 1048576 bytes"),
        (Answer(b"short", length=9), "5 of 9 bytes came"),
    ]:
        with pytest.raises(UserError, match=message):
            download(URL, tmp_path / "new" / "x.pkl", opener=Server(answer))
    assert not left_behind(tmp_path)


def test_redirections_stay_with_https() -> None:
    handler, request = _OnlyHttps(), urllib.request.Request(URL)
    again = handler.redirect_request(
        request, io.BytesIO(), 302, "Found", Message(), "https://example.com/x.pkl"
    )
    assert again is not None and again.full_url == "https://example.com/x.pkl"
    with pytest.raises(UserError, match="which is not https"):
        handler.redirect_request(
            request, io.BytesIO(), 302, "Found", Message(), "http://example.org/x.pkl"
        )


def test_requests_carry_ascii_only() -> None:
    same = ("https://example.org", URL, "https://example.org/a+b,(c)~%C3%AF.pkl?x=1&y=%20")
    assert [_encoded(url) for url in same] == list(same)
    assert _encoded("https://example.org/naïve %.pkl?ü") == (
        "https://example.org/na%C3%AFve%20%.pkl?%C3%BC"
    )


@pytest.mark.parametrize("host", [f"{'a' * 70}.org", "a..org", "[x"])
def test_hosts_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """No connection is tried: the name itself is refused."""
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(UserError, match="cannot be reached .no valid address: .* connected mach"):
        download(f"https://{host}/x.pkl", tmp_path / "new" / "x.pkl")
    assert not left_behind(tmp_path)


@pytest.mark.parametrize(
    ("failure", "message"),
    [
        (ValueError("Invalid IPv6 URL"), "reached .no valid address: Invalid IPv6 URL.; on a"),
        (UserError("redirects to http"), "^redirects to http$"),
    ],
)
def test_redirections_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failure: Exception, message: str
) -> None:
    def refuse(self: object, url: str, timeout: float) -> None:
        raise failure

    monkeypatch.setattr(urllib.request.OpenerDirector, "open", refuse)
    with pytest.raises(UserError, match=message):
        download(URL, tmp_path / "x.pkl")


def test_a_full_disk_is_no_network_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(DiskFullError):
        download(URL, tmp_path / "new" / "x.pkl", opener=Server(Answer()))
    assert not left_behind(tmp_path)
