"""A run of a tracker that others are parts of: that of a search or a study."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from synthograph.core.locks import Lock
from synthograph.core.untrusted.documents import JsonObject
from synthograph.training.config import TrackingConfig
from synthograph.training.trackers.base import Outcome, failure
from synthograph.training.trackers.mlflow import RUN_ID, URI, MLflow, local_address


@contextmanager
def parent_run(
    settings: TrackingConfig, folder: Path, params: JsonObject, warn: Callable[[str], None]
) -> Iterator[TrackingConfig]:
    """Have the runs of a search in one run of MLflow, and in one group of W&B.

    Args:
        settings: what the search was asked for.
        folder: the search's own; the same folder goes on with the same run.
        params: what it searches.
        warn: gets a line where MLflow fails; the work goes on.

    Yields:
        Settings for the runs of its parts.
    """
    parts = settings.model_copy(update={"parent": folder.name})
    if MLflow.name not in (settings.trackers or ()):
        yield parts
        return

    def attempt(call: Callable[[], None]) -> bool:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - whatever happens there, the work goes on
            warn(f"{MLflow.name} fails ({failure(error)}); the work continues")
            return False
        return True

    if settings.uri is None and URI not in os.environ:
        settings = settings.model_copy(update={"uri": local_address(folder.resolve())})
    tracker, raised = MLflow(settings), None

    def start() -> None:
        # of several processes, the first begins the run
        with Lock(folder / f".{RUN_ID}.lock", f"{folder}: another process begins its run"):
            tracker.start(folder, params, int((folder / RUN_ID).exists()))

    if attempt(start):
        parts = settings.model_copy(update={"parent": tracker.run_id})
    try:
        yield parts
    except BaseException as error:
        raised = error
        raise
    finally:
        if tracker.run_id:
            attempt(lambda: tracker.close(Outcome.of(raised)))
