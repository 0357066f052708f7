"""Snapshots by name or address: published networks, downloaded once into the cache.

Nothing is downloaded that the cache holds already, so a machine without connection works with files
that were put there.
"""

import hashlib
import http.client
import io
import math
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from synthograph.core.errors import UserError
from synthograph.core.files import CHUNK, atomic_path, cache_folder, disk_errors
from synthograph.core.names import nearest
from synthograph.core.progress import Track

Opener = Callable[[str, float], Any]
"""Opens an address with a time limit in seconds, as `urlopen` does."""

OFFLINE = "SYNTHOGRAPH_OFFLINE"
MAX_BYTES = 4 << 30
TIMEOUT = 60.0
SUFFIXES = (".pkl", ".safetensors")
PIN = "sha256="

HOST = "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained"
SOURCES = {
    "ffhq256": "ffhq-res256-mirror-paper256-noaug",
    "ffhq512": "ffhq-res512-mirror-stylegan2-noaug",
    "ffhq1024": "ffhq-res1024-mirror-stylegan2-noaug",
    "celebahq256": "celebahq-res256-mirror-paper256-kimg100000-ada-target0.5",
    "lsundog256": "lsundog-res256-paper256-kimg100000-noaug",
}
WHOLE = ("metfaces", "brecahad", "cifar10", "afhqcat", "afhqdog", "afhqwild")
PUBLISHED = {
    **{name: f"{HOST}/transfer-learning-source-nets/{file}.pkl" for name, file in SOURCES.items()},
    **{name: f"{HOST}/{name}.pkl" for name in WHOLE},
}
"""Published name -> address."""

LICENCE = (
    "these published weights carry the NVIDIA Source Code License: for research and other "
    "non-commercial use only, which holds for what is trained from them as well"
)


def locate(
    text: str,
    *,
    folder: Path | None = None,
    offline: bool | None = None,
    track: Track | None = None,
) -> Path:
    """The file or folder that a user means by a path, an https address or a published name.

    Args:
        text: what the user gave; `./NAME` is a path even where NAME is published.
        folder: where downloads are kept; the cache unless given.
        offline: never connect; as $SYNTHOGRAPH_OFFLINE says unless given.
        track: shows progress over (pieces, their number).

    Raises:
        UserError: an address that is not https, a name that is neither published nor a path, or a
            download that failed.
    """
    if text in PUBLISHED or "://" in text:
        return fetch(text, folder=folder, offline=offline, track=track)
    path = Path(text)
    with disk_errors(path):
        known = path.exists()
    if not known and path.name == text and not path.suffix:
        raise UserError(
            f"{text!r} is neither a file nor a published network: {nearest(text, PUBLISHED)}"
        )
    return path


def licence(text: str) -> str | None:
    """The licence to show for what a user names, or None where none is known."""
    published = text in PUBLISHED or text.startswith(f"{HOST}/")
    return LICENCE if published else None


def fetch(
    text: str,
    *,
    folder: Path | None = None,
    offline: bool | None = None,
    track: Track | None = None,
    opener: Opener | None = None,
) -> Path:
    """The file behind a published name or an https address, downloaded unless it is there.

    A download appears whole under its name or not at all. An address may end in `#sha256=<hex>`; a
    file with another hash is then refused.

    Args:
        text: name or address.
        folder: where downloads are kept; `weights` in the cache unless given.
        offline: never connect; as $SYNTHOGRAPH_OFFLINE says unless given.
        track: shows progress over (pieces, their number).
        opener: opens addresses; the standard library's, which follows only https, unless given.

    Raises:
        UserError: no such name, not https, no connection, a refusal by the server, a file that is
            too large or cut short, or another hash.
        DiskFullError: no space for it.
    """
    url, pin = _address(text)
    target = _place(url, cache_folder() / "weights" if folder is None else folder)
    with disk_errors(target):
        there = target.is_file()
    if there:
        _check_pin(target, _hash(target), pin)
        return target
    if is_offline() if offline is None else offline:
        raise UserError(f"{OFFLINE} forbids downloads: {_by_hand(url, target)}")
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(target) as temporary:
        _check_pin(target, _download(url, temporary, target, track, opener or _open), pin)
    return target


def is_offline() -> bool:
    """Whether $SYNTHOGRAPH_OFFLINE forbids connections."""
    return os.environ.get(OFFLINE, "").lower() not in ("", "0", "false", "no")


def _address(text: str) -> tuple[str, str | None]:
    """Address and pinned hash of what a user named."""
    url, _, fragment = PUBLISHED.get(text, text).partition("#")
    if "://" not in url:
        raise UserError(f"network {text!r} is unknown: {nearest(text, PUBLISHED)}")
    if not url.startswith("https://"):
        raise UserError(f"{url}: only https:// addresses are downloaded; give a path instead")
    if not fragment:
        return url, None
    pin = fragment.removeprefix(PIN).lower()
    if not fragment.startswith(PIN) or len(pin) != 64 or set(pin) - set("0123456789abcdef"):
        raise UserError(f"{text}: after # only {PIN} and 64 hex digits may follow")
    return url, pin


def _place(url: str, folder: Path) -> Path:
    """Where the file of an address is kept; addresses never share a file.

    Raises:
        UserError: the address names no snapshot.
    """
    name = Path(urllib.parse.unquote(urllib.parse.urlsplit(url).path)).name
    if not name.endswith(SUFFIXES) or "\0" in name or "\\" in name:
        raise UserError(f"{url}: names no {' or '.join(SUFFIXES)} file")
    if url in PUBLISHED.values():
        return folder / name
    return folder / hashlib.sha256(url.encode()).hexdigest()[:8] / name


def _by_hand(url: str, target: Path) -> str:
    """How a file comes to a machine that cannot download it."""
    return (
        f"on a connected machine download {url} and put it as {target.name} into the folder "
        f"{target.parent}"
    )


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_pin(target: Path, digest: str, pin: str | None) -> None:
    if pin is not None and digest != pin:
        raise UserError(
            f"{target}: its sha256 is {digest}, expected {pin}; it is another file, or damaged"
        )


def _download(url: str, temporary: Path, target: Path, track: Track | None, opener: Opener) -> str:
    """Write what is behind an address to `temporary`.

    Returns:
        Hex sha256.
    """
    digest = hashlib.sha256()
    with temporary.open("wb") as file:
        for piece in _pieces(url, target, track, opener):
            digest.update(piece)
            file.write(piece)
    return digest.hexdigest()


def _pieces(url: str, target: Path, track: Track | None, opener: Opener) -> Iterator[bytes]:
    """What is behind an address, in pieces; the network's failures as errors that help."""
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
            f"{url}: the server answers {error.code} {error.reason}; {_by_hand(url, target)}"
        ) from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "reason", None) or error
        raise UserError(f"{url}: cannot be reached ({reason}); {_by_hand(url, target)}") from None


def _read(answer: io.BufferedIOBase, url: str, total: int | None) -> Iterator[bytes]:
    """Pieces of an answer, whose length is checked."""
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
    return urllib.request.build_opener(_OnlyHttps()).open(url, timeout=timeout)
