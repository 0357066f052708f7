"""W&B keeps the contract of trackers, in files that are read back."""

import json
import struct
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from synthograph.core.errors import UserError
from synthograph.training.trackers.base import Outcome, TrackingConfig
from synthograph.training.trackers.wandb import WandB
from tests.training.trackers.contract import TrackerContract
from tests.training.trackers.material import PARAMS, PICTURE

BLOCK = 1 << 15


def records(run: Path) -> Iterator[Any]:
    """What W&B wrote offline, sitting by sitting: a file header of 7 bytes, then the records of a
    LevelDB log, cut at blocks (checksum, length, first 1 or 2, last 1 or 4).
    """
    import wandb
    from wandb.proto.wandb_internal_pb2 import Record

    wandb.teardown()  # writes what its process has not written yet
    for file in sorted(run.glob("wandb/offline-run-*/*.wandb"), key=lambda f: f.stat().st_mtime):
        data, place, whole = file.read_bytes(), 7, b""
        while place < len(data):
            if BLOCK - place % BLOCK < 7:
                place += BLOCK - place % BLOCK
                continue
            _, length, kind = struct.unpack_from("<IHB", data, place)
            whole += data[place + 7 : place + 7 + length]
            place += 7 + length
            if kind in (1, 4):
                record = Record()
                record.ParseFromString(whole)
                whole = b""
                yield record


class TestWandB(TrackerContract):
    kind = WandB

    @pytest.fixture(autouse=True)
    def offline(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("WANDB_MODE", raising=False)

    def read(self, run: Path) -> dict[str, dict[int, float]]:
        found: dict[str, dict[int, float]] = defaultdict(dict)
        for record in records(run):
            items = record.history.item
            row = {i.key or "/".join(i.nested_key): json.loads(i.value_json) for i in items}
            found_now = {n: v for n, v in row.items() if isinstance(v, float | int)}
            for name, value in found_now.items():
                found[name][row["images"]] = value
        return found

    def test_what_is_written_offline(self, run: Path) -> None:
        parts = TrackingConfig(trackers=["wandb"], experiment="cells", parent="search-1")
        tracker = WandB(parts)
        tracker.start(run, PARAMS, 7)
        tracker.picture("fakes-000000.png", PICTURE, 8)
        (run / "config.json").write_text("{}")
        tracker.file(run / "config.json")
        tracker.close(Outcome.FINISHED)
        begun = next(each.run for each in records(run) if each.HasField("run"))
        told = {each.key: json.loads(each.value_json) for each in begun.config.update}
        assert told["training"] == PARAMS["training"]
        assert (begun.project, begun.run_group) == ("cells", "search-1")
        assert begun.display_name == "/".join(run.parts[-3:])
        assert list(begun.tags) == ["resumed"]
        (files,) = run.glob("wandb/offline-run-*/files")
        assert (files / "config.json").read_text() == "{}"
        assert not (files / "config.json").is_symlink()  # so that the folder can be moved
        (picture,) = files.glob("media/images/pictures*.png")
        assert picture.read_bytes()[:4] == PICTURE[:4]

    def test_online_needs_a_key(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("WANDB_MODE", "online")
        monkeypatch.setattr("wandb.api", type("Api", (), {"api_key": None}))
        with pytest.raises(UserError, match="WANDB_API_KEY"):
            WandB().check()
