"""Snapshots by name or address: starting weights of our own, which lie in the package, and
published networks, downloaded once into the cache.

Nothing is downloaded that the cache holds already, so a machine without connection works with files
that were put there.
"""

import hashlib
import re
from pathlib import Path

from synthograph.core.cache import weights_folder
from synthograph.core.errors import UserError
from synthograph.core.files import disk_errors
from synthograph.core.names import misspelt, nearest
from synthograph.core.progress import Track
from synthograph.core.spec import ImageSpec
from synthograph.core.untrusted.download import Opener, download, file_name

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

PHANTOMS = {
    f"phantom:{kind}": Path(__file__).parent / "phantoms" / f"{kind}.safetensors"
    for kind in ("skin", "knee")
}
"""Name -> file in the package: small networks that learned phantoms, see docs/results/tiny.md."""

AFRESH = "none"
"""Word for random weights, where a start is taken by default."""
MIN_SIDE, MAX_SIDE, MAX_KIMG = 32, 64, 60
"""Sides of images, and longest training in thousands of images, for which one is suggested."""

LICENCE = (
    "these published weights carry the NVIDIA Source Code License: for research and other "
    "non-commercial use only, which holds for what is trained from them as well"
)


def locate(text: str, *, track: Track | None = None) -> Path:
    """The file or folder that a user means by a path, an https address or a name that is ours or
    published; `./NAME` is a path even where NAME is such a name.

    Raises:
        UserError: an address that is not https, a name that is neither published nor a path, or a
            download that failed.
    """
    if text in PHANTOMS:
        return PHANTOMS[text]
    if text in PUBLISHED or "://" in text:
        return fetch(text, track=track)
    path = Path(text)
    with disk_errors(path):
        known = path.exists()
    if not known and path.name == text and not path.suffix:
        way = nearest(text, [*PHANTOMS, *PUBLISHED, AFRESH])
        raise UserError(f"{text!r} is neither a file nor a known network: {way}")
    refuse_misspelt(path)
    return path


def refuse_misspelt(path: Path) -> None:
    """Refuse a path that is not there where a known network, or what lies in its folder, is called
    nearly so.

    Raises:
        UserError: one is, and which.
    """
    with disk_errors(path):
        if path.exists():
            return
    bare = str(path) == path.name
    if way := misspelt(path, [*PHANTOMS, *PUBLISHED] if bare else ()):
        what = "is neither a file nor a known network" if bare else "there is no such file"
        raise UserError(f"{path}: {what}{way}")


def suggested(spec: ImageSpec, kimg: float) -> str | None:
    """Which of our own networks to start with: for images and trainings about like those that were
    measured, small ones of one modality. None for others, and where the file is missing.
    """
    sides = (spec.height, spec.width)
    if len(spec.modalities) > 1 or min(sides) < MIN_SIDE or max(sides) > MAX_SIDE:
        return None
    name = "phantom:skin" if spec.channels == 3 else "phantom:knee"
    return name if kimg <= MAX_KIMG and PHANTOMS[name].is_file() else None


def named(path: Path) -> str | None:
    """The name or address that was read as a path; None for what exists and all other paths."""
    text = re.sub("^([a-z]{2,}):/+", r"\1://", path.as_posix())  # a path keeps one of two slashes
    if text == AFRESH or not is_name(text):
        return None
    with disk_errors(path):
        return None if path.exists() else text


def is_name(text: str) -> bool:
    """Whether a text names a network wherever it is read, as no path does."""
    return text in PHANTOMS or text in PUBLISHED or text == AFRESH or "://" in text


def licence(text: str) -> str | None:
    """The licence to show for what a user names, or None where none is known."""
    published = text in PUBLISHED or text.startswith(f"{HOST}/")
    return LICENCE if published else None


def fetch(text: str, *, track: Track | None = None, opener: Opener | None = None) -> Path:
    """The file behind a published name or an https address, downloaded unless it is there.

    A download appears whole under its name or not at all. An address may end in `#sha256=<hex>`; a
    file with another hash is then refused.

    Args:
        text: name or address.
        track: shows progress.
        opener: opens addresses; the standard library's, which follows only https, unless given.

    Raises:
        UserError: no such name, not https, no connection, a refusal by the server, a file that is
            too large or cut short, or another hash.
        DiskFullError: no space for it.
    """
    url, pin = _address(text)
    target = _place(url)
    download(url, target, pin=pin, track=track, opener=opener)
    return target


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


def _place(url: str) -> Path:
    """Where the file of an address is kept; addresses never share a file.

    Raises:
        UserError: the address names no snapshot, or is none.
    """
    try:
        name = file_name(url)
        key = hashlib.sha256(url.encode()).hexdigest()[:8]
    except ValueError as error:  # a bracket without end, or bytes that are no text
        raise UserError(f"{url}: is no valid address ({error}); copy it anew") from None
    if not name.endswith(SUFFIXES) or "\0" in name or "\\" in name:
        raise UserError(f"{url}: names no {' or '.join(SUFFIXES)} file")
    folder = weights_folder()
    return folder / name if url in PUBLISHED.values() else folder / key / name
