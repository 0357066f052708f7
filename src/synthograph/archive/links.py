"""Images that lie in other archives: `links.json` says where, and what they are.

An archive with such a file holds no pixels of its own. It is read as any other as long as the
images that it names are where they were, or beside it, and still the same.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import pydantic

from synthograph.archive.manifest import check_member
from synthograph.core.config import Config
from synthograph.core.errors import UserError
from synthograph.core.record import UnreadableError
from synthograph.core.untrusted.containers import Container, Contents, open_container, unwrap
from synthograph.core.untrusted.dataset_json import LINKS, LISTS
from synthograph.core.untrusted.documents import JsonObject

Sha256 = Annotated[str, pydantic.Field(pattern=r"^[0-9a-f]{64}$")]
OWN = ""
"""Folder of the files of the first modality."""


class LinkedFrom(Config):
    """An archive that images lie in.

    Attributes:
        paths: where it may be, the most likely first; relative ones from the folder of the archive.
        images_hash: of its images, for whoever looks for it.
        stamp: of its files, which changes with them and is known without reading them.
    """

    paths: list[str] = pydantic.Field(min_length=1)
    images_hash: Sha256
    stamp: Sha256


class LinkedImage(Config):
    """Where an image lies.

    Attributes:
        source: number of the archive.
        file: of its first modality there.
        sha256: of its files, by the folder that they are in; the first modality has none.
    """

    source: int = pydantic.Field(ge=0)
    file: str
    sha256: dict[str, Sha256] = pydantic.Field(min_length=1)


class Links(Config):
    """What `links.json` holds; images by their file in the archive that links."""

    format: int = pydantic.Field(1, ge=1, le=1)
    sources: list[LinkedFrom]
    images: dict[str, LinkedImage]


@dataclass(frozen=True)
class Source:
    """An archive that images lie in, as it was found.

    Attributes:
        path: where.
        container: its files.
        stamp: of them, as they are now.
    """

    path: Path
    container: Container
    stamp: str


@dataclass(frozen=True, slots=True)
class Link:
    """A file that lies in another archive.

    Attributes:
        source: number of the archive.
        name: of the file there.
        sha256: of its bytes, in hex.
    """

    source: int
    name: str
    sha256: str


@dataclass(frozen=True)
class Linked:
    """The files of an archive that lie elsewhere.

    Attributes:
        sources: where.
        files: by their name in the archive.
    """

    sources: Sequence[Source] = ()
    files: Mapping[str, Link] = field(default_factory=dict)


def member(folder: str, file: str) -> str:
    """Name of a file in a folder of an archive; the first modality has no folder."""
    return file if folder == OWN else f"{folder}/{file}"


def stamp_of(container: Container, contents: Contents) -> str:
    """Hex sha256 over names, sizes and checksums (or times) of all files but the lists."""
    digest = hashlib.sha256()
    for name in contents.names:
        if name not in LISTS and name != LINKS:
            digest.update(f"{name}\n{container.stamp(name)}\n".encode())
    return digest.hexdigest()


def follow(document: JsonObject, path: Path) -> Linked:
    """Find the files that an archive links to, and check that they are what they were.

    Args:
        document: content of `links.json`.
        path: of the archive that holds it.

    Raises:
        UserError: it breaks a rule, an archive is not there, or an image in it has changed.
    """
    where = f"{path}: {LINKS}"
    try:
        links = Links.parse(document)
    except UserError as error:
        raise UserError(f"{where}: {error}") from None
    files: dict[str, Link] = {}
    for file, image in links.images.items():
        if image.source >= len(links.sources):
            raise UserError(f"{where}: {file!r} lies in archive {image.source}, which is not named")
        for folder, sha256 in image.sha256.items():
            here, there = (check_member(member(folder, name), where) for name in (file, image.file))
            files[here] = Link(image.source, there, sha256)
    found = []
    for number, source in enumerate(links.sources):
        wanted = [link for link in files.values() if link.source == number]
        found.append(_find(source, wanted, path))
    return Linked(found, files)


def _find(source: LinkedFrom, wanted: Sequence[Link], path: Path) -> Source:
    """The first place that has the images."""
    home = path.resolve().parent
    places = [Path(os.path.normpath(home / each)) for each in source.paths]
    places.append(home / places[0].name)
    reason = f"{places[0]} is not there"
    for place in dict.fromkeys(places):
        if not place.exists():
            continue
        try:
            return _checked(place, source, wanted)
        except (UserError, UnreadableError) as error:
            reason = str(error)
    raise UserError(
        f"{path}: {len({link.name for link in wanted})} of its files lie in another archive, and "
        f"{reason}: put that archive as it was at {places[0]} or beside {path.name}, or make "
        f"{path.name} again"
    )


def _checked(place: Path, source: LinkedFrom, wanted: Sequence[Link]) -> Source:
    container = unwrap(open_container(place, "archive"))
    contents = container.members()
    if LINKS in contents.names:
        raise UserError(f"{place} holds no images, but links to some")
    there = frozenset(contents.names)
    for link in wanted:
        if link.name not in there:
            raise UserError(f"{place} has no {link.name}")
    found = Source(place, container, stamp_of(container, contents))
    for link in wanted if found.stamp != source.stamp else ():
        if hashlib.sha256(container.read(link.name)).hexdigest() != link.sha256:
            raise UserError(f"{place}: {link.name} has changed")
    return found
