"""The folder of a study: what stands where, and what was fixed before the first look at test
images.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from synthograph.archive.batches import ArchiveRows
from synthograph.archive.ledger import note_look
from synthograph.core.commands import other_command
from synthograph.core.config import Config
from synthograph.core.errors import UserError
from synthograph.core.files import disk_errors, refuse_unwritable_folder, write_bytes, write_json
from synthograph.core.locks import Lock
from synthograph.core.progress import Progress
from synthograph.core.untrusted.documents import JsonObject
from synthograph.core.version import VERSION
from synthograph.workflows.study_cells import Cell
from synthograph.workflows.study_folds import folds_table
from synthograph.workflows.study_inputs import Inputs
from synthograph.workflows.study_settings import TASKS, StudySettings, digest, read_frozen

FROZEN, CHOICES = "frozen/study.json", "frozen/choices.json"
FOLDS, RESULT = "folds.csv", "study.json"
LOCK = ".lock"


class Frozen(Config):
    """What a study was begun with.

    Attributes:
        sha256: of all that follows but the version.
        settings: of the study file, with every default.
        images: archive to the hashes of its images and of its manifest; an external one that is
            called as the study's own is `external NAME`.
        folds: hash of the table of folds.
    """

    sha256: str
    settings: JsonObject
    images: dict[str, list[str]]
    folds: str
    version: str = VERSION


class Choices(Config):
    """What was fixed before the first prediction of a test image.

    Attributes:
        study: hash of the frozen study.
        ratios: `FOLD/DRAW` to the ratio that validation images chose.
        classifiers: name of a cell to the hash of its classifier.
    """

    study: str
    ratios: dict[str, float]
    classifiers: dict[str, str]


@dataclass(frozen=True)
class StudyFolder:
    """Places within the folder of a study."""

    path: Path

    def fold(self, number: int) -> Path:
        """The archive of a fold."""
        return self.path / "folds" / f"{number}"

    def fold_record(self, number: int) -> Path:
        """What stands once that archive is complete."""
        return self.path / "folds" / f"{number}.made" / "fold.json"

    def generator(self, fold: int, draw: int) -> Path:
        """Folder of a generator."""
        return self.path / "generators" / f"fold{fold}-draw{draw}"

    def cell(self, cell: Cell) -> Path:
        """Folder of a cell."""
        return self.path / "cells" / cell.name

    def predictions(self, name: str) -> Path:
        """Table of an arm's predictions."""
        return self.path / "predictions" / f"{name}.csv"

    @property
    def result(self) -> Path:
        """What came of it."""
        return self.path / RESULT

    def lock(self, what: str) -> Lock:
        """For what one process does while the others wait."""
        return Lock(self.path / LOCK, f"{self.path}: another process {what}")

    def freeze(self, inputs: Inputs) -> Frozen:
        """Write down what the study is, or check that it is what it was begun with.

        Raises:
            UserError: it was begun with other settings or images.
        """
        refuse_unwritable_folder(self.path)
        wanted = _frozen(inputs)
        with disk_errors(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        with self.lock("begins the study"):
            if not (self.path / FROZEN).exists():
                # a start that was killed leaves hidden files and these
                own = {FOLDS, Path(FROZEN).parent.name}
                names = {each.name for each in self.path.iterdir()} - own
                if any(not name.startswith(".") for name in names):
                    raise UserError(
                        f"{self.path}: is a folder with other files: name an empty one by --outdir"
                    )
                with disk_errors(self.path):
                    (self.path / FROZEN).parent.mkdir(exist_ok=True)
                write_bytes(self.path / FOLDS, folds_table(inputs.folds))
                write_json(self.path / FROZEN, wanted.tree())
        begun = read_frozen(Frozen, self.path / FROZEN)
        if begun.sha256 != wanted.sha256 and _today(begun) != _today(wanted):
            raise UserError(self._otherwise(begun, wanted))
        return begun

    def _otherwise(self, begun: Frozen, wanted: Frozen) -> str:
        keys = ("settings", "images", "folds")
        then, now = ({key: each.tree()[key] for key in keys} for each in (begun, wanted))
        looked = (
            "its test images were looked at, so nothing may change any more"
            if (self.path / CHOICES).exists()
            else "a study does not change on its way"
        )
        return (
            f"{self.path} was begun otherwise ({other_command(then, now)}): {looked}; name another "
            "folder by --outdir, or go back to the file that it was begun with"
        )

    def choose(
        self, frozen: Frozen, choices: Choices, inputs: Inputs, progress: Progress
    ) -> Choices:
        """Fix ratios and classifiers, and write into the ledgers that test images are looked at."""
        path = self.path / CHOICES
        with self.lock("looks at the test images"):
            if not path.exists():
                for line in _note(inputs, f"study {inputs.settings.name} {frozen.sha256:.12}"):
                    progress.log(f"warning: {line}")
                write_json(path, choices.tree())
        found = read_frozen(Choices, path)
        if found.study != frozen.sha256:
            raise UserError(f"{path}: belongs to another study: remove the folder {self.path}")
        return found


def _frozen(inputs: Inputs) -> Frozen:
    own = inputs.archive.path.name
    images = {own: _hashes(ArchiveRows(inputs.archive, inputs.archive.rows))}
    for name, rows in inputs.external.items():
        images[f"external {name}" if name == own else name] = _hashes(rows)
    folds = digest([[(row.file, row.split) for row in fold.rows] for fold in inputs.folds])
    about: JsonObject = {
        "settings": _without_folders(inputs.settings.tree()),
        "images": images,
        "folds": folds,
    }
    return Frozen(sha256=digest(about), **about)


def _today(frozen: Frozen) -> JsonObject:
    """What a study is, with the defaults of keys that came after it was begun; as it was begun if
    none may be so any more.
    """
    settings = dict(frozen.settings)
    for options in (rules.options for rules in TASKS.values()):
        given: JsonObject = settings.get(options, {})
        # a seed among them was accepted once, and never had an effect
        kept = {name: value for name, value in given.items() if name != "seed"}
        settings[options] = _without_folder(kept)
    with contextlib.suppress(UserError):
        settings = StudySettings.parse(settings).tree()
    return {**frozen.tree(), "settings": settings, "sha256": "", "version": ""}


def _hashes(images: ArchiveRows) -> list[str]:
    return [images.archive.images_hash, images.archive.manifest_hash]


def _without_folders(tree: JsonObject) -> JsonObject:
    """Settings with names of files in place of paths, which differ from machine to machine."""
    generator = dict(tree["generator"])
    for key in ("snapshots", "sets"):
        generator[key] = [Path(path).name for path in generator[key]]
    if generator["trained_on"]:
        generator["trained_on"] = Path(generator["trained_on"]).name
    external = [Path(path).name for path in tree["external"]]
    data = Path(tree["data"]).name
    trainings = {
        rules.options: _without_folder(tree[rules.options])
        for rules in TASKS.values()
        if rules.options in tree
    }
    return {**tree, **trainings, "data": data, "external": external, "generator": generator}


def _without_folder(options: JsonObject) -> JsonObject:
    """Options of a training with the name of a file of weights in place of its path."""
    if options.get("weights") is None:
        return options
    return {**options, "weights": Path(str(options["weights"])).name}


def _note(inputs: Inputs, what: str) -> list[str]:
    """Warnings of ledgers that cannot be written."""
    tested = [row for fold in inputs.folds for row in fold.part("test").rows]
    looked = [*inputs.external.values()]
    if tested:
        looked.insert(0, ArchiveRows(inputs.archive, tested))
    noted = (
        note_look(each.archive.path, what, images=len(each.rows), groups=len(each.groups))
        for each in looked
    )
    return [line for line in noted if line is not None]
