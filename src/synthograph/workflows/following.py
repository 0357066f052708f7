"""Who follows a training of `classify train` or `segment train` while it runs.

Trackers write into `tracking/00000-NAME` beside the file `NAME.safetensors`, as they write into a
run directory of `train`; a training that goes on takes the folder of its earlier sitting.
"""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from synthograph.core.errors import UserError
from synthograph.core.files import refuse_unwritable_folder
from synthograph.core.untrusted.documents import JsonObject
from synthograph.downstream.fitting import CHOSEN
from synthograph.downstream.watcher import Watcher
from synthograph.training.run import numbered_folder
from synthograph.training.trackers import check_trackers, followers
from synthograph.training.trackers.base import Trackers
from synthograph.workflows.followed import Followed, FollowedFit

FOLDER = "tracking"
UNIT = "steps"
FINISHED = ".finished"
"""In the folder of a training whose file is written: another one does not go on there."""


def check_following(request: FollowedFit, out: Path | None) -> None:
    """Refuse, before any work, what cannot be followed.

    Args:
        request: of a training.
        out: file to be written; None for a dry run without one.

    Raises:
        UserError: a package is missing, a server does not answer, the folder cannot be written, or
            options say where and nobody is named.
    """
    check_trackers(request.tracking())
    given = request.changed(("tracking_uri", "experiment"))
    if given and not request.tracker:
        raise UserError(f"{given[0]}: nobody follows the training; name who with --tracker")
    if request.tracker and out is not None:
        refuse_unwritable_folder(out.parent / FOLDER)


class Following(Watcher):
    """Hands on what a training tells and what becomes of it.

    Args:
        trackers: who gets it; nobody if empty.
        out: file of the classifier or segmenter.
        asked: what was asked for, which trackers show beside the settings of the training.
    """

    def __init__(self, trackers: Trackers | None, out: Path, asked: JsonObject) -> None:
        self._trackers, self._out, self._asked = trackers, out, asked
        self._step = 0
        self._folder: Path | None = None

    def begin(self, settings: JsonObject, step: int) -> None:
        """See `Watcher`."""
        self._step = step
        if self._trackers is not None:
            self._folder = _folder(self._out, goes_on=step > 0)
            self._trackers.start(self._folder, {**self._asked, **settings}, step)

    def scalars(self, values: Mapping[str, float | None], step: int) -> None:
        """See `Watcher`."""
        self._step = step
        if self._trackers is not None:
            self._trackers.scalars(values, step)

    def written(self, scores: Mapping[str, float]) -> None:
        """The file is written; these are the scores of the chosen weights on validation images."""
        known = {f"{CHOSEN}/{n}": v if math.isfinite(v) else None for n, v in scores.items()}
        self.scalars(known, self._step)
        if self._trackers is not None and self._folder is not None:
            self._trackers.file(self._out)
            with suppress(OSError):
                (self._folder / FINISHED).touch()


@contextmanager
def following(request: FollowedFit, out: Path, log: Callable[[str], None]) -> Iterator[Following]:
    """Have a training followed, by those whom the request names.

    Args:
        request: of the training.
        out: file to be written.
        log: gets a line where a tracker fails; the training continues.
    """
    settings = request.tracking()
    if not settings.trackers:
        yield Following(None, out, {})
        return
    own = {*Followed.model_fields, "dry_run"}
    with Trackers(followers(settings, UNIT), log) as trackers:
        yield Following(trackers, out, request.model_dump(mode="json", exclude=own))


def _folder(out: Path, *, goes_on: bool) -> Path:
    """The folder of a training: a new one, or that of its earlier sitting, if that had one."""
    home = out.parent / FOLDER
    if goes_on and home.is_dir():
        name = re.compile(rf"\d+-{re.escape(out.stem)}")
        known = sorted(path for path in home.iterdir() if name.fullmatch(path.name))
        if known and not (known[-1] / FINISHED).exists():
            return known[-1]
    return numbered_folder(home, out.stem, lambda folder: None)
