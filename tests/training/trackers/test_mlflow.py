"""MLflow keeps the contract of trackers: in files that are moved, and on a server."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from synthograph.core.errors import UserError
from synthograph.training.trackers import mlflow
from synthograph.training.trackers.base import Outcome, TrackingConfig
from synthograph.training.trackers.mlflow import ARTIFACTS, DATABASE, RUN_ID, MLflow, local_address
from synthograph.training.trackers.parts import parent_run
from tests.training.trackers.contract import TrackerContract
from tests.training.trackers.material import PARAMS, PICTURE

pytest.importorskip("mlflow")
pytest.importorskip("sqlalchemy")


def client(folder: Path) -> Any:
    from mlflow.tracking import MlflowClient

    return MlflowClient(local_address(folder))


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database without runs, which takes seconds to make."""
    folder = tmp_path_factory.mktemp("empty")
    run = folder / "run"
    run.mkdir()
    tracker = MLflow(TrackingConfig(trackers=["mlflow"]))
    tracker.start(run, {}, 0)
    tracker._client.delete_run(tracker.run_id)
    return folder / DATABASE


@pytest.fixture(autouse=True)
def database(empty: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    shutil.copyfile(empty, tmp_path / DATABASE)


class TestMLflow(TrackerContract):
    kind = MLflow

    def read(self, run: Path) -> dict[str, dict[int, float]]:
        store, run_id = client(run.parent), (run / RUN_ID).read_text()
        return {
            name: {
                entry.step: entry.value
                for entry in sorted(
                    store.get_metric_history(run_id, name), key=lambda each: each.timestamp
                )
            }
            for name in store.get_run(run_id).data.metrics
        }

    def test_what_a_run_holds(self, run: Path) -> None:
        tracker = MLflow(TrackingConfig())
        tracker.start(run, {**PARAMS, "many": {f"p{i}": i for i in range(150)}}, 0)
        tracker.scalars({"Metrics/kernel (x 1e3), val": 2.0}, 5)
        tracker.close(Outcome.STOPPED)
        assert client(run.parent).get_run(tracker.run_id).info.status == "KILLED"
        longer = {**PARAMS, "training": {"kimg": 3.0, "batch": 4}}
        MLflow().start(run, longer, 5)
        found = client(run.parent).get_run(tracker.run_id)
        assert found.info.status == "RUNNING"
        assert found.data.params["training.kimg"] == "1.5"  # MLflow keeps the first value
        assert found.data.tags["resumed.training.kimg"] == "3.0"
        assert found.data.tags["synthograph.state"] == "resumed at 5 images"
        assert found.data.params["many.p149"] == "149"
        assert found.data.metrics == {"Metrics/kernel _x 1e3__ val": 2.0}

    def test_a_run_that_its_store_does_not_know_begins_anew(self, run: Path) -> None:
        (run / RUN_ID).write_text("0" * 32)
        tracker = MLflow()
        tracker.start(run, PARAMS, 5)
        assert (run / RUN_ID).read_text() == tracker.run_id != "0" * 32

    def test_no_part_of_a_database_is_left(
        self, run: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        database = run.parent / DATABASE
        database.unlink()

        def killed(uri: str) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(mlflow, "_connect", killed)
        with pytest.raises(KeyboardInterrupt):
            MLflow().start(run, PARAMS, 0)
        assert not database.exists()

    @pytest.mark.parametrize("uri", ["mlruns", "file:///data/mlruns", "./mlruns"])
    def test_the_file_store_is_refused(self, uri: str) -> None:
        with pytest.raises(UserError, match="sqlite:///FOLDER"):
            MLflow(TrackingConfig(uri=uri)).check()

    def test_a_server_that_is_not_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        address = f"http://ann:s3cret@127.0.0.1:{free_port()}"
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        with pytest.raises(UserError, match="MLflow does not answer at http://") as error:
            MLflow(TrackingConfig()).check()
        assert "s3cret" not in str(error.value)

    def test_an_address_of_a_kind_that_mlflow_does_not_know(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "nosuch://ann:s3cret@host/")
        with pytest.raises(UserError, match="does not answer at nosuch://") as error:
            MLflow(TrackingConfig()).check()
        assert "s3cret" not in str(error.value) and "\n" not in str(error.value)

    def test_what_a_database_needs_is_missing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(mlflow, "DATABASES", ("sqlalchemy", "no_such_package"))
        with pytest.raises(UserError, match=r"needs no_such_package: .*synthograph\[tune\]"):
            MLflow().check()

    def test_a_driver_that_no_extra_brings_is_said(self) -> None:
        with pytest.raises(UserError, match="needs nosuchdriver: pip install it, the driver"):
            mlflow._refuse_missing("nosuchdriver")

    def test_a_password_is_refused(self) -> None:
        with pytest.raises(UserError, match="MLFLOW_TRACKING_URI") as error:
            TrackingConfig.parse({"uri": "http://ann:s3cret@host"})
        assert "s3cret" not in str(error.value)


class TestParts:
    def test_a_search_and_its_runs(self, tmp_path: Path) -> None:
        search, asked, said = tmp_path, TrackingConfig(trackers=["mlflow"]), list[str]()
        ids = set()
        for sitting in range(2):
            with parent_run(asked, search, {"trials": 2}, said.append) as parts:
                run = search / "trials" / f"0000{sitting}-run"
                run.mkdir(parents=True)
                part = MLflow(parts)
                part.start(run, PARAMS, 0)
                found = client(search).get_run(part.run_id)
                assert found.data.tags["mlflow.parentRunId"] == parts.parent
                assert found.info.run_name.endswith(f"/trials/0000{sitting}-run")
                ids.add(parts.parent)
        (parent,) = ids
        assert client(search).get_run(parent).info.status == "FINISHED"
        assert not said

    def test_it_goes_on_without_mlflow(self, tmp_path: Path) -> None:
        said: list[str] = []
        uri = f"sqlite:///{__file__}/x.db"  # no folder
        asked = TrackingConfig(trackers=["mlflow", "wandb"], uri=uri)
        with parent_run(asked, tmp_path, {}, said.append) as parts:
            assert parts.parent == tmp_path.name
        assert len(said) == 1
        assert said[0].startswith("mlflow fails (")


SERVER = """
import sys
from mlflow.server import app
app.run("127.0.0.1", int(sys.argv[1]), threaded=True)
"""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture
def moved(tmp_path: Path) -> Path:
    """A run that was written without a server, in a folder that has been moved since."""
    run = tmp_path / "00000-run"
    (run / "snapshots").mkdir(parents=True)
    tracker = MLflow()
    tracker.start(run, PARAMS, 0)
    snapshot = run / "snapshots" / "generator-000000.safetensors"
    snapshot.write_bytes(b"weights")
    tracker.file(snapshot)
    tracker.picture("fakes-000000.png", PICTURE, 0)
    tracker.close(Outcome.FINISHED)
    place = tmp_path / "moved here, 50 %"
    place.mkdir()
    for name in (run.name, DATABASE, ARTIFACTS):
        (tmp_path / name).rename(place / name)
    return place / run.name


@pytest.fixture
def server(moved: Path) -> Iterator[str]:
    """Address of MLflow's server, started in the folder that was moved."""
    pytest.importorskip("flask", reason="MLflow's server needs flask")
    pytest.importorskip("flask_cors", reason="MLflow's server needs flask-cors")
    port = free_port()
    settings = {  # what `mlflow server` without options sets
        "_MLFLOW_SERVER_FILE_STORE": f"sqlite:///{DATABASE}",
        "_MLFLOW_SERVER_ARTIFACT_ROOT": "mlflow-artifacts:/",
        "_MLFLOW_SERVER_ARTIFACT_DESTINATION": f"./{ARTIFACTS}",
        "_MLFLOW_SERVER_SERVE_ARTIFACTS": "true",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(port)],
        cwd=moved.parent,
        env={**os.environ, **settings},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    address = f"http://127.0.0.1:{port}"
    try:
        while True:
            try:
                urllib.request.urlopen(f"{address}/health", timeout=60).close()
                break
            except OSError:
                assert process.poll() is None, "MLflow's server ended"
                time.sleep(0.05)
        yield address
    finally:
        process.kill()
        process.wait()


def fetch(address: str, path: str) -> bytes:
    with urllib.request.urlopen(f"{address}/{path}", timeout=60) as answer:
        return answer.read()


def test_what_a_server_shows(server: str, moved: Path, tmp_path: Path) -> None:
    before = (moved / RUN_ID).read_text()
    run = tmp_path / "00001-run"
    run.mkdir()
    (run / "config.json").write_text("{}")
    settings = TrackingConfig(trackers=["mlflow"], uri=server, parent=before)
    MLflow(settings).check()
    for images, outcome in ((0, Outcome.FAILED), (4, Outcome.FINISHED)):
        tracker = MLflow(settings)
        tracker.start(run, PARAMS, images)
        tracker.scalars({"Loss/G/loss": 1.0 + images}, images)
        tracker.file(run / "config.json")
        tracker.close(outcome)
    api = f"api/2.0/mlflow/runs/get?run_id={tracker.run_id}"
    found = json.loads(fetch(server, api))["run"]
    tags = {each["key"]: each["value"] for each in found["data"]["tags"]}
    assert found["info"]["status"] == "FINISHED"
    assert found["info"]["run_name"].endswith(f"/{run.name}")
    assert tags["mlflow.parentRunId"] == before
    assert tags["synthograph.state"] == "resumed at 4 images"
    assert {"key": "training.batch", "value": "4"} in found["data"]["params"]
    history = json.loads(
        fetch(
            server,
            f"api/2.0/mlflow/metrics/get-history?run_id={tracker.run_id}&metric_key=Loss/G/loss",
        )
    )
    assert [(each["step"], each["value"]) for each in history["metrics"]] == [(0, 1.0), (4, 5.0)]
    assert fetch(server, f"get-artifact?run_id={tracker.run_id}&path=config.json") == b"{}"
    # what was written before the folder was moved is found too
    name = "snapshots/generator-000000.safetensors"
    assert fetch(server, f"get-artifact?run_id={before}&path={name}") == b"weights"
    pictures = fetch(server, f"api/2.0/mlflow/artifacts/list?run_id={before}&path=pictures")
    assert b"pictures/fakes-000000.png" in pictures
