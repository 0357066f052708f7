"""Jobs of a study, shared by any number of processes and machines: whoever is free claims one.

A job stands in a folder of the study, which all of them see. It is claimed by a lock there, and is
done once its record stands there. A killed process leaves neither: the job is claimed again.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from synthograph.core.config import Config, read_tree
from synthograph.core.errors import BlockedError, UserError
from synthograph.core.files import disk_errors, write_json
from synthograph.core.locks import Lock
from synthograph.core.progress import Progress
from synthograph.core.untrusted.documents import JsonObject
from synthograph.training.loop import duration

CLAIM = "claim"
SECONDS_BETWEEN = 1.0


class JobRecord(Config):
    """What stands in a job's folder once it is done; kinds of jobs add their own.

    Attributes:
        seconds: that it took.
        said: what came of it, in words.
    """

    seconds: float = 0.0
    said: str = ""


R = TypeVar("R", bound=JobRecord)


@dataclass(frozen=True)
class Job:
    """Something that one process does.

    Attributes:
        kind: of jobs that take about as long.
        title: in messages.
        record: file that stands once it is done; its folder is the job's own.
        needs: files that must stand before.
        work: does it, and says what came of it.
    """

    kind: str
    title: str
    record: Path
    needs: tuple[Path, ...]
    work: Callable[[], JobRecord]

    @property
    def done(self) -> bool:
        """Whether its record stands."""
        return self.record.is_file()

    @property
    def ready(self) -> bool:
        """Whether all that it needs stands."""
        return all(path.exists() for path in self.needs)

    @property
    def claim(self) -> Lock:
        """Who holds it does the job."""
        return Lock(self.record.parent / CLAIM, f"{self.title}: another process is at it")

    def do(self) -> bool:
        """Do it, unless another process has it or was faster.

        Returns:
            Whether this process did it.
        """
        lock = self.claim
        with disk_errors(self.record):
            self.record.parent.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire()
            except BlockedError:
                return False
        try:
            if self.done:
                return False
            begun = time.monotonic()
            made = self.work()
            taken = round(time.monotonic() - begun, 1)
            write_json(self.record, made.model_copy(update={"seconds": taken}).tree())
        finally:
            lock.release()
        return True


def work_off(jobs: Sequence[Job], progress: Progress) -> None:
    """Do all jobs, together with whoever else does the same; returns once all of them are done.

    Args:
        jobs: those that others need come first.
        progress: hears of every job that this process did, with the time that is left.
    """
    waiting = False
    while left := [job for job in jobs if not job.done]:
        mine = next((job for job in left if job.ready and job.do()), None)
        if mine is not None:
            waiting = False
            progress.log(_line(mine, jobs))
        elif undone := [job for job in left if not job.done]:
            if not waiting:
                first = next((job for job in undone if job.ready), undone[0])
                progress.log(
                    f"waiting for {len(undone)} jobs that other processes are at, such as "
                    f"{first.title}: {first.claim.holder()}"
                )
            waiting = True
            time.sleep(SECONDS_BETWEEN)


def _line(job: Job, jobs: Sequence[Job]) -> str:
    done = [each for each in jobs if each.done]
    said = _read(job)
    left = remaining(jobs)
    until = f", {duration(left)} left" if left else ""
    words = f": {said.said}" if said.said else ""
    return f"{len(done)} of {len(jobs)}{until}: {job.title}{words}"


def remaining(jobs: Sequence[Job]) -> float:
    """Seconds that one process needs for the jobs that are left, by those of their kind that are
    done; kinds of which none is done do not count.
    """
    total = 0.0
    for kind in {job.kind for job in jobs}:
        same = [job for job in jobs if job.kind == kind]
        taken = [_read(job).seconds for job in same if job.done]
        total += (len(same) - len(taken)) * sum(taken) / max(len(taken), 1)
    return total


def read_record(kind: type[R], path: Path) -> R:
    """What a job that is done left.

    Raises:
        UserError: the file was damaged.
    """
    return kind.parse(_tree(path))


def _tree(path: Path) -> JsonObject:
    try:
        return read_tree(path)
    except UserError as error:
        raise UserError(
            f"{error}: remove this file and run the same command again, which does this part anew"
        ) from None


def _read(job: Job) -> JobRecord:
    tree = _tree(job.record)
    return JobRecord(seconds=tree.get("seconds", 0.0), said=tree.get("said", ""))
