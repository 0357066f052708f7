"""MLflow: a server, a database, or `mlflow.db` with `mlartifacts/` beside the runs.

The two lie where `mlflow server` looks for them when it is started in that folder, and the
database holds no path of theirs, so that the folder can be moved.
"""

import importlib.util
import json
import logging
import os
import re
import tempfile
import time
import warnings
from collections.abc import Mapping
from itertools import filterfalse
from pathlib import Path
from typing import Any

from synthograph.core.addresses import hidden
from synthograph.core.config import flatten
from synthograph.core.errors import UserError
from synthograph.core.files import atomic_path, link_or_copy, write_bytes, write_text
from synthograph.core.locks import Lock
from synthograph.core.untrusted.documents import JsonObject
from synthograph.training.trackers.base import Outcome, Tracker, failure

URI = "MLFLOW_TRACKING_URI"
DATABASE, ARTIFACTS = "mlflow.db", "mlartifacts"
PROXIED = "mlflow-artifacts:/"
"""How MLflow names a place of its server: `mlflow server` looks for it in `mlartifacts/`."""
DATABASES = ("sqlalchemy", "alembic")
"""What MLflow needs for a database."""
RUN_ID = "mlflow-run.txt"
"""File of the run directory that names its run of MLflow."""
BATCH = 100
"""Parameters that MLflow takes at once."""
LONGEST = 6000
"""Characters of a parameter at most."""
_SERVER = re.compile(r"https?://|databricks")
_STATUS = {
    Outcome.FINISHED: "FINISHED",
    Outcome.STOPPED: "KILLED",
    Outcome.FAILED: "FAILED",
}


class MLflow(Tracker):
    """A run of MLflow, which a resumed run continues. Numbers of void images stay in its history;
    the newest of an image count is the valid one.
    """

    name = package = "mlflow"
    extra = "tune"
    _client: Any = None
    run_id = ""
    """Identity of the run, once it has started."""

    def check(self) -> None:
        """See `Tracker`; a server, or a database other than a file, has to answer now."""
        super().check()
        uri = self.settings.uri or os.environ.get(URI) or ""
        _refuse_file_store(uri)
        if not _SERVER.match(uri):
            _refuse_missing(*filterfalse(importlib.util.find_spec, DATABASES))
        if uri and _database(uri) is None:
            try:
                _connect(uri).search_experiments(max_results=1)
            except Exception as error:  # noqa: BLE001 - of any library below
                raise UserError(
                    f"MLflow does not answer at {hidden(uri)} ({failure(error)}): "
                    "start the server, correct --tracking-uri, or leave out --tracker mlflow"
                ) from None

    def start(self, run: Path, params: JsonObject, images: int) -> None:
        """See `Tracker`."""
        uri = self.settings.uri or os.environ.get(URI)
        if uri is None:
            uri = local_address(run.resolve().parent)
        _refuse_file_store(uri)
        database = _database(uri)
        if database is None:
            self._client = _connect(uri)
            experiment = self._experiment(None)
        else:
            database.parent.mkdir(parents=True, exist_ok=True)
            lock = database.with_name(f"{database.name}.lock")
            with Lock(lock, f"{database}: another process prepares it"):
                if not database.exists():
                    _make(database)
                self._client = _connect(uri)
                experiment = self._experiment(PROXIED)
        self.run_id = self.run_id or self._continued(run, images) or self._begun(run, experiment)
        place = str(self._client.get_run(self.run_id).info.artifact_uri)
        self._here: Path | None = None
        if database is not None and place.startswith(PROXIED):
            self._here = database.parent / ARTIFACTS / place.removeprefix(PROXIED)
        self._parameters(params)

    def _experiment(self, artifacts: str | None) -> str:
        """Identity of the experiment, which is made where it is not there."""
        name = self.settings.experiment
        found = self._client.get_experiment_by_name(name)
        if found is not None:
            return str(found.experiment_id)
        return str(self._client.create_experiment(name, artifact_location=artifacts))

    def _continued(self, run: Path, images: int) -> str | None:
        """Identity of the run that an earlier sitting began, if this one goes on with it."""
        from mlflow.exceptions import MlflowException  # slow, and an extra

        known = run / RUN_ID
        if not (images and known.exists()):
            return None
        run_id = known.read_text(encoding="utf-8").strip()
        try:
            self._client.update_run(run_id, status="RUNNING")
        except MlflowException as error:
            if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                raise
            return None  # in another store
        self._client.set_tag(run_id, "synthograph.state", f"resumed at {images} {self.unit}")
        return run_id

    def _begun(self, run: Path, experiment: str) -> str:
        """Identity of a run that is new."""
        tags = {"synthograph.run": str(run)}
        if self.settings.parent is not None:
            tags["mlflow.parentRunId"] = self.settings.parent
        begun = self._client.create_run(experiment, run_name=self.title(run), tags=tags)
        run_id = str(begun.info.run_id)
        write_text(run / RUN_ID, run_id)
        return run_id

    def _parameters(self, params: JsonObject) -> None:
        """Log parameters; MLflow keeps their first values, so that changed ones become tags."""
        from mlflow.entities import Param  # slow, and an extra

        wanted = {_named(name): _text(value) for name, value in flatten(params).items()}
        known = self._client.get_run(self.run_id).data.params
        new = [Param(name, value) for name, value in wanted.items() if name not in known]
        for first in range(0, len(new), BATCH):
            self._client.log_batch(self.run_id, params=new[first : first + BATCH])
        for name, value in wanted.items():
            if known.get(name, value) != value:
                self._client.set_tag(self.run_id, f"resumed.{name}", value)

    def scalars(self, values: Mapping[str, float], images: int) -> None:
        """See `Tracker`."""
        from mlflow.entities import Metric  # slow, and an extra

        now = round(time.time() * 1000)
        metrics = [Metric(_named(name), value, now, images) for name, value in values.items()]
        self._client.log_batch(self.run_id, metrics=metrics)

    def picture(self, name: str, png: bytes, images: int) -> None:
        """See `Tracker`."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / name
            write_bytes(path, png)
            self._keep(path, "pictures")

    def file(self, path: Path) -> None:
        """See `Tracker`."""
        self._keep(path, path.parent.name if path.parent.name == "snapshots" else "")

    def _keep(self, path: Path, folder: str) -> None:
        if self._here is None:
            self._client.log_artifact(self.run_id, str(path), folder or None)
        else:
            link_or_copy(path, self._here / folder / path.name)

    def close(self, outcome: Outcome) -> None:
        """See `Tracker`."""
        self._client.set_terminated(self.run_id, status=_STATUS[outcome])


def local_address(folder: Path) -> str:
    """Address of the database in a folder."""
    return _address(folder / DATABASE)


def _address(database: Path) -> str:
    from sqlalchemy import URL  # an extra

    return URL.create("sqlite", database=str(database)).render_as_string()


def _database(uri: str) -> Path | None:
    """File of an SQLite database; None for what is none."""
    if not uri.startswith("sqlite"):
        return None
    from sqlalchemy import make_url  # an extra

    return Path(make_url(uri).database or DATABASE).resolve()


def _make(database: Path) -> None:
    """Make a database, whole or not at all: MLflow takes seconds for it, and cannot go on with a
    part of one.
    """
    with atomic_path(database) as temporary:
        store = _connect(_address(temporary))._tracking_client.store
        store.engine.dispose()  # else the file stays open, and Windows does not rename it


def _refuse_file_store(uri: str) -> None:
    """Refuse a folder; MLflow itself does so too, or warns, by its version."""
    if uri and (uri.startswith("file:") or not ("://" in uri or _SERVER.match(uri))):
        raise UserError(
            f"{hidden(uri)} names a folder: MLflow is giving up its file store. Give "
            "sqlite:///FOLDER/mlflow.db or http://HOST:PORT with --tracking-uri"
        )


def _connect(uri: str) -> Any:  # noqa: ANN401 - MlflowClient, an extra
    """A client that tells nobody of its use and gives up on a server within a minute."""
    for name, value in {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    }.items():
        os.environ.setdefault(name, value)  # read when it is imported
    try:
        from mlflow.tracking import MlflowClient  # slow, and an extra

        for name in ("mlflow", "alembic"):
            logging.getLogger(name).setLevel(logging.WARNING)  # else they tell of every table
        warnings.filterwarnings("ignore", "The ``noload`` loader strategy")  # MLflow's own affair
        return MlflowClient(uri)
    except ModuleNotFoundError as error:
        _refuse_missing(str(error.name))
        raise


def _refuse_missing(*packages: str) -> None:
    if packages:
        own = packages[0] in ("mlflow", *DATABASES)
        way = (
            f"'synthograph[{MLflow.extra}]' brings it" if own else "it, the driver of the database"
        )
        raise UserError(f"MLflow needs {packages[0]}: pip install {way}")


def _named(name: str) -> str:
    """A name of letters that MLflow takes."""
    return re.sub(r"[^\w.\-/ ]", "_", name)


def _text(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return text[:LONGEST]
