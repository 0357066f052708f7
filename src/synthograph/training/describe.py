"""Describes run directories and checkpoint states without trusting them.

`facts` are filled in order, as far as they can be read, with plain JSON data.
"""

import contextlib
import json
from pathlib import Path

from synthograph.core.config import read_tree
from synthograph.core.errors import UserError
from synthograph.core.files import disk_errors
from synthograph.core.untrusted.dataset_json import LISTS
from synthograph.core.untrusted.documents import JsonObject
from synthograph.core.untrusted.tensors import read_document, read_tensors
from synthograph.models.snapshot_files import find_snapshot, list_snapshots
from synthograph.results.environment import told
from synthograph.results.training import SnapshotRecord
from synthograph.training.run import CONFIG, STATS, read_config
from synthograph.training.state import NUMBERS, TENSORS, list_states, state_problem

TAIL = 1 << 16


def is_state(path: Path) -> bool:
    """Whether a folder is one state of a run, complete or not."""
    numbered = path.name.isdecimal() and path.parent.name == "state"
    return path.is_dir() and (numbered or all((path / n).is_file() for n in (TENSORS, NUMBERS)))


def list_runs(path: Path) -> list[Path]:
    """Run directories that lie in a folder, by name; none where the folder is a run or an archive
    itself.
    """
    if not path.is_dir() or any((path / name).is_file() for name in (CONFIG, *LISTS)):
        return []
    return sorted(folder for folder in path.iterdir() if (folder / CONFIG).is_file())


def describe_runs(path: Path, facts: JsonObject, *, quick: bool = False) -> None:
    """Summarise the run directories in a folder; `quick` takes states as they lie there, without
    comparing their hashes.

    Raises:
        UserError: the folder cannot be listed. A run that cannot be read is listed as refused.
    """
    facts["kind"] = "folder of runs"
    facts["runs"] = {}
    with disk_errors(path):
        for folder in list_runs(path):
            facts["runs"][folder.name] = _outline(folder, quick)


def _outline(path: Path, quick: bool) -> JsonObject:
    """How far a run is, the state it would resume from and its newest snapshot."""
    try:
        config = read_config(path)
    except UserError as error:
        return {"refused": str(error)}
    state = _newest_state(path / "state", quick)
    shown = _shown(path / STATS)
    snapshots = list_snapshots(path)
    return {
        "kimg shown": shown if shown is not None or state is None else state / 1000,
        "kimg planned": config.training.kimg,
        "state": "none" if state is None else f"at {state} images",
        "newest snapshot": snapshots[-1].name if snapshots else None,
    }


def _newest_state(folder: Path, quick: bool) -> int | None:
    """Images at the newest state from which a run resumes."""
    complete = (s for s in list_states(folder) if quick or state_problem(s) is None)
    newest = next(complete, None)
    return None if newest is None else int(newest.name)


def describe_run(path: Path, facts: JsonObject) -> None:
    """Describe a run directory.

    Raises:
        UserError: its configuration cannot be read.
    """
    facts["kind"] = "run directory"
    config = read_config(path)
    facts |= {
        "family": config.model.family,
        "trained on": config.data.path,
        "split": config.data.split,
        "fold": config.data.fold,
        "seed": config.seed,
        "kimg planned": config.training.kimg,
        "kimg shown": _shown(path / STATS),
    }
    with disk_errors(path):
        snapshots = list_snapshots(path)
        facts["snapshots"] = [file.name for file in snapshots]
        facts["snapshot that is used"] = find_snapshot(path).name if snapshots else None
        if snapshots:
            facts["environments"] = _environments(snapshots[-1])
        states = reversed(list_states(path / "state"))
        facts["states"] = {file.name: state_problem(file) or "complete" for file in states}
    facts["model"] = config.model.tree()


def _environments(snapshot: Path) -> str:
    """Where a run was trained, by its newest snapshot; empty where that does not say."""
    with contextlib.suppress(UserError):
        return told(SnapshotRecord.parse(read_document(snapshot), snapshot.name).environments)
    return ""


def describe_state(path: Path, facts: JsonObject) -> None:
    """Describe a checkpoint state, which is a folder.

    Raises:
        UserError: it is incomplete or damaged, so that no run resumes from it.
    """
    facts["kind"] = "training state"
    with disk_errors(path):
        facts["bytes"] = sum(file.stat().st_size for file in path.iterdir() if file.is_file())
        problem = state_problem(path)
    if problem is not None:
        raise UserError(f"{path}: {problem}; a run resumes from the state before it")
    numbers = read_tree(path / NUMBERS)
    tensors, _ = read_tensors(path / TENSORS)
    parts: dict[str, int] = {}
    for name, tensor in tensors.items():
        part = name.partition("/")[0]
        parts[part] = parts.get(part, 0) + tensor.numel()
    facts |= {
        "progress": numbers.get("progress"),
        "saved right after a snapshot": numbers.get("boundary"),
        "saved on": numbers.get("surroundings"),
        "tensors": len(tensors),
        "values": parts,
    }


def _shown(path: Path) -> float | None:
    """Thousands of images at the last status line."""
    try:
        with path.open("rb") as file:
            file.seek(max(path.stat().st_size - TAIL, 0))
            last = json.loads(file.read(TAIL).rstrip().rpartition(b"\n")[2])
        return float(last["Progress/kimg"]["mean"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None
