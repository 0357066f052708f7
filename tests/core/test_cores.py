"""How many cores may be used, as the files of the system say."""

import os
from pathlib import Path

import pytest

from synthograph.core import cores


def system(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    own: str,
    files: dict[str, str],
    affinity: int = 8,
) -> None:
    (folder / "own").write_text(own)
    for name, text in files.items():
        path = folder / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    monkeypatch.setattr(cores, "OWN_GROUPS", folder / "own")
    monkeypatch.setattr(cores, "GROUPS", folder / "groups")
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(affinity)), raising=False)


@pytest.mark.parametrize(
    ("own", "files", "usable"),
    [
        ("", {}, 8),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000\n"}, 8),
        ("0::/a/b\n", {"a/b/cpu.max": "150000 100000\n"}, 2),
        ("0::/a/b\n", {"a/b/cpu.max": "max 100000", "a/cpu.max": "300000 100000"}, 3),
        ("0::/\n", {"cpu.max": "50000 100000\n"}, 1),
        ("0::/a\n", {"a/cpu.max": "1600000 100000\n"}, 8),
        ("0::/a\n", {"a/cpu.max": "nonsense"}, 8),
        (
            "4:cpu,cpuacct:/docker/x\n2:memory:/docker/x\n",  # a container sees its own as the root
            {"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"},
            4,
        ),
        (
            "4:cpu,cpuacct:/slurm/job\n",
            {
                "cpu,cpuacct/slurm/job/cpu.cfs_quota_us": "200000",
                "cpu,cpuacct/slurm/job/cpu.cfs_period_us": "100000",
            },
            2,
        ),
        ("4:cpu:/\n", {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, 8),
    ],
)
def test_limits_of_control_groups(
    own: str,
    files: dict[str, str],
    usable: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    system(tmp_path, monkeypatch, own, files)
    assert cores.usable_cores() == usable


def test_affinity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    system(tmp_path, monkeypatch, "0::/a\n", {"a/cpu.max": "300000 100000"}, affinity=1)
    assert cores.usable_cores() == 1
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    assert cores.usable_cores() == 2
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert cores.usable_cores() == 1
