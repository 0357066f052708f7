"""Downloads over https: a file appears complete under its name, or not at all.

Files that are there already are not downloaded, so a machine without a connection works with files
that were copied there.
"""

import hashlib
import http.client
import io
import math
import os
import string
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from synthograph.core.errors import UserError
from synthograph.core.files import CHUNK, atomic_path, disk_errors, sha256_file
from synthograph.core.progress import Track

Opener = Callable[[str, float], Any]
"""Opens an address with a time limit in seconds, as `urlopen` does."""

OFFLINE = "SYNTHOGRAPH_OFFLINE"
MAX_BYTES = 4 << 30
TIMEOUT = 60.0


def download(
    url: str,
    target: Path,
    *,
    pin: str | None = None,
    offline: bool | None = None,
    track: Track | None = None,
    opener: Opener | None = None,
) -> str:
    """Download a file, unless it is there already.

    Args:
        url: an https address.
        target: the file; its folder is made.
        pin: the file's sha256 in hex, or how it begins; None where it is not known.
        offline: never connect; as $SYNTHOGRAPH_OFFLINE says unless given.
        track: shows progress over (pieces, their number).
        opener: opens addresses; the standard library's, which follows only https, unless given.

    Returns:
        Hex sha256 of the file.

    Raises:
        UserError: no connection, a refusal by the server, a file that is too large or cut short,
            or another hash.
        DiskFullError: no space for it.
    """
    with disk_errors(target):
        if target.is_file():
            digest = sha256_file(target)
            check_pin(target, digest, pin)
            return digest
    if is_offline() if offline is None else offline:
        why = OFFLINE if offline is None else "--offline"
        raise UserError(f"{why} forbids downloads: {by_hand(url, target)}")
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    sha256 = hashlib.sha256()
    with atomic_path(target) as temporary:
        with temporary.open("wb") as file:
            for piece in _pieces(url, target, track, opener or _open):
                sha256.update(piece)
                file.write(piece)
        check_pin(target, sha256.hexdigest(), pin)
    return sha256.hexdigest()


def file_name(url: str) -> str:
    """The name of the file that an address ends in.

    Raises:
        ValueError: it is no address.
    """
    return Path(urllib.parse.unquote(urllib.parse.urlsplit(url).path)).name


def is_offline() -> bool:
    """Whether $SYNTHOGRAPH_OFFLINE forbids connections."""
    return os.environ.get(OFFLINE, "").lower() not in ("", "0", "false", "no")


def by_hand(url: str, target: Path) -> str:
    """How to bring a file to a machine that cannot download it."""
    return (
        f"on a connected machine download {url} and put it as {target.name} into the folder "
        f"{target.parent}"
    )


def check_pin(path: Path, digest: str, pin: str | None) -> None:
    """Check a file's sha256 against the published one.

    Args:
        path: the file, for the message.
        digest: its sha256 in hex.
        pin: what is known: all of it, how it begins, or None for nothing.

    Raises:
        UserError: it is another file.
    """
    if pin is not None and not digest.startswith(pin):
        what = "expected" if len(pin) == len(digest) else "expected one that begins with"
        raise UserError(
            f"{path}: its sha256 is {digest}, {what} {pin}; it is another file, or damaged"
        )


def _pieces(url: str, target: Path, track: Track | None, opener: Opener) -> Iterator[bytes]:
    """A file in pieces; network failures become errors that say what to do."""
    try:
        with opener(url, TIMEOUT) as answer:
            declared = answer.headers.get("Content-Length")
            total = int(declared) if declared and declared.isdecimal() else None
            if total is not None and total > MAX_BYTES:
                raise UserError(f"{url}: has {total} bytes, at most {MAX_BYTES} are downloaded")
            pieces: Iterable[bytes] = _read(answer, url, total)
            if track is not None and total:
                pieces = track(pieces, math.ceil(total / CHUNK))
            yield from pieces
    except urllib.error.HTTPError as error:
        raise UserError(
            f"{url}: the server answers {error.code} {error.reason}; {by_hand(url, target)}"
        ) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise UserError(f"{url}: cannot be reached ({reason}); {by_hand(url, target)}") from None


def _read(answer: io.BufferedIOBase, url: str, total: int | None) -> Iterator[bytes]:
    """Pieces of a response, whose length is checked."""
    done = 0
    while piece := answer.read(CHUNK):
        done += len(piece)
        if done > MAX_BYTES:
            raise UserError(f"{url}: more than {MAX_BYTES} bytes, which is no snapshot")
        yield piece
    if total is not None and done != total:
        raise UserError(f"{url}: {done} of {total} bytes came; run the same command again")


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    """Follows redirections to https only."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: Any,  # noqa: ANN401 - urllib's answer
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        """The request to go on with."""
        if not newurl.startswith("https://"):
            raise UserError(f"{req.full_url}: redirects to {newurl}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(url: str, timeout: float) -> Any:  # noqa: ANN401 - urllib's answer
    try:
        return urllib.request.build_opener(_OnlyHttps()).open(_encoded(url), timeout=timeout)
    except UserError:
        raise
    except ValueError as error:  # no host can be called so, here or where a redirection leads
        raise urllib.error.URLError(f"no valid address: {error}") from None


def _encoded(url: str) -> str:
    """An address in ASCII, as requests need it; what is encoded already stays."""
    parts = urllib.parse.urlsplit(url)
    path, query = (
        urllib.parse.quote(t, safe=string.punctuation) for t in (parts.path, parts.query)
    )
    return parts._replace(path=path, query=query).geturl()
