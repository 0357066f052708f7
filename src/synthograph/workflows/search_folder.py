"""The folder of a search: what stands where, and what the search was begun with."""

import uuid
from dataclasses import dataclass
from pathlib import Path

from synthograph.archive.reader import Archive
from synthograph.core.commands import other_command
from synthograph.core.config import Config
from synthograph.core.errors import UserError
from synthograph.core.files import disk_errors, refuse_unwritable_folder, write_json
from synthograph.core.locks import Lock
from synthograph.core.untrusted.documents import JsonObject
from synthograph.core.version import VERSION
from synthograph.workflows.search_settings import SearchSettings
from synthograph.workflows.search_winner import RESULT
from synthograph.workflows.study_settings import digest, read_frozen

FROZEN, PAGE = "frozen/search.json", "report.html"
LOCK = ".lock"


class Frozen(Config):
    """What a search was begun with.

    Attributes:
        sha256: of settings and images.
        home: name of this folder among processes that share no folder.
        settings: of the search file, with every default, without what may change.
        images: hashes of the images and of the manifest.
    """

    sha256: str
    home: str
    settings: JsonObject
    images: list[str]
    version: str = VERSION


@dataclass(frozen=True)
class SearchFolder:
    """Places within the folder of a search.

    Attributes:
        home: its name among processes that share no folder.
    """

    path: Path
    home: str

    def trial(self, number: int) -> Path:
        """Folder of a trial."""
        return self.path / "trials" / f"{number:05d}"

    def final(self, name: str) -> Path:
        """Folder of a finalist's new run."""
        return self.path / "finals" / name

    @property
    def result(self) -> Path:
        """What came of it."""
        return self.path / RESULT

    def lock(self, what: str) -> Lock:
        """For what one process does while the others wait."""
        return Lock(self.path / LOCK, f"{self.path}: another process {what}")


def begun_with(path: Path, settings: SearchSettings, archive: Archive) -> Frozen:
    """What a search in a folder is, or would be, begun with; nothing is written.

    Raises:
        UserError: it was begun with other settings or images, or holds other files.
    """
    refuse_other_files(path)
    wanted = _frozen(settings, archive)
    if not (path / FROZEN).exists():
        return wanted
    begun = read_frozen(Frozen, path / FROZEN)
    if begun.sha256 != wanted.sha256 and _today(begun) != _today(wanted):
        then, now = ({"settings": f.settings, "images": f.images} for f in (begun, wanted))
        raise UserError(
            f"{path} was begun otherwise ({other_command(then, now)}): trials of both could not be "
            "compared; name another folder by --outdir, or go back to what it was begun with"
        )
    return begun


def begin(path: Path, settings: SearchSettings, archive: Archive) -> tuple[SearchFolder, Frozen]:
    """The folder of a search: made, or that of the same search.

    Raises:
        UserError: see `begun_with`.
    """
    with disk_errors(path):
        path.mkdir(parents=True, exist_ok=True)
    with Lock(path / LOCK, f"{path}: another process begins the search"):
        frozen = begun_with(path, settings, archive)
        if not (path / FROZEN).exists():
            with disk_errors(path):
                (path / FROZEN).parent.mkdir(exist_ok=True)
            write_json(path / FROZEN, frozen.tree())
    return SearchFolder(path, frozen.home), frozen


def refuse_other_files(path: Path) -> None:
    """Refuse a place where no search can begin.

    Raises:
        UserError: it cannot be written to, or holds files and no search.
    """
    refuse_unwritable_folder(path)
    if not path.is_dir() or (path / FROZEN).exists():
        return
    names = {each.name for each in path.iterdir()} - {Path(FROZEN).parent.name}
    if any(not name.startswith(".") for name in names):
        raise UserError(f"{path}: is a folder with other files: name an empty one by --outdir")


def _today(frozen: Frozen) -> JsonObject:
    """What a search is, with the defaults of keys that came after it was begun."""
    settings = SearchSettings.parse(frozen.settings).frozen()
    return {"settings": settings, "images": frozen.images}


def _frozen(settings: SearchSettings, archive: Archive) -> Frozen:
    about: JsonObject = {
        "settings": settings.frozen(),
        "images": [archive.images_hash, archive.manifest_hash],
    }
    return Frozen(sha256=digest(about), home=uuid.uuid4().hex, **about)
