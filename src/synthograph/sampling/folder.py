"""A folder that one request fills, alone or in parts. Notes in it name the request, so that it can
continue and no other request writes there meanwhile.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from synthograph.archive.parts import Part
from synthograph.core.commands import other_command
from synthograph.core.config import read_tree
from synthograph.core.errors import UserError
from synthograph.core.files import disk_errors, write_json
from synthograph.core.untrusted.documents import JsonObject

NOTE = ".unfinished"
PARTS, DONE = "parts", "done"
"""In a note: of how many parts the request is, and whether this one is made."""


class Unfinished:
    """Notes in a folder that say which request fills it, so that an interrupted one can continue.

    The note of a whole request vouches for its parts too, which then have none. Parts that were
    begun one by one have a note each, and all stay until the last part is made.

    Args:
        folder: where the images go; made if it is missing.
        command: what was asked, as JSON.
        names: of all files of the request.
        modalities: folders within `folder` that hold further files of these names.
        part: make only these of the files.
        verb: of the request, for messages.
        option: that names the folder.

    Attributes:
        own: numbers of the files to make.
        names: of these files.
        done: how many of them are there already, from the first on; known after `resume`.
    """

    def __init__(
        self,
        folder: Path,
        command: Mapping[str, object],
        names: Sequence[str],
        modalities: Sequence[str] = (),
        part: Part | None = None,
        verb: str = "generate",
        option: str = "--outdir",
    ) -> None:
        self.folder, self.part, self.modalities = folder, part, modalities
        self.own = range(len(names)) if part is None else part.numbers(len(names))
        self.names, self.done = names[self.own.start : self.own.stop], 0
        self.whole = folder / f"{NOTE}.json"
        self._verb, self._option = verb, option
        self._command = json.loads(json.dumps(command))
        self.note = self.whole
        if part is not None:
            self.note = folder / f"{NOTE}-{part.number}of{part.of}.json"
            self._command[PARTS] = part.of

    def resume(self) -> None:
        """Count the files that are there, and claim the folder for this request.

        Raises:
            UserError: a file exists that no interrupted request of this kind wrote, or another
                request was interrupted here.
        """
        with disk_errors(self.folder):
            if {self.note, self.whole} & set(self._notes()):
                there = (k for k, n in enumerate(self.names) if not (self.folder / n).exists())
                self.done = next(there, len(self.names))
                return
            folders = [self.folder, *(self.folder / name for name in self.modalities)]
            for path in (folder / name for folder in folders for name in self.names):
                if path.exists():
                    raise UserError(
                        f"{path} exists already: choose another {self._option}, or remove it first"
                    )
            self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.note, self._command)

    def _notes(self) -> dict[Path, JsonObject]:
        """All notes in the folder, which must be of this request."""
        found = {}
        whole = {name: value for name, value in self._command.items() if name != PARTS}
        for path in sorted(self.folder.glob(f"{NOTE}*.json")):
            try:
                known = read_tree(path)
            except UserError:
                if path.exists():
                    raise
                continue  # another process finished the request meanwhile
            recorded = {name: value for name, value in known.items() if name != DONE}
            other = other_command(recorded, whole if path == self.whole else self._command)
            if other is not None:
                raise UserError(
                    f"{self.folder}: another `{self._verb}` was interrupted here ({other}): run "
                    f"that one again to finish it, choose another {self._option}, or remove {path} "
                    "to give it up"
                )
            found[path] = known
        return found

    def finish(self) -> None:
        """Mark the request or part as finished; the last part removes the notes.

        Raises:
            UserError: another request was begun here at the same time.
        """
        if self.part is None:
            self.note.unlink(missing_ok=True)
        elif self.note.exists():
            write_json(self.note, {**self._command, DONE: True})
            notes = self._notes()
            if sum(DONE in known for known in notes.values()) == self.part.of:
                for path in notes:
                    path.unlink(missing_ok=True)
