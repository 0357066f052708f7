"""A long run with random kills against one that is never stopped: equal files, flat memory.

python benchmarks/soak.py ARCHIVE --kimg 150 --kills 10 --outdir /tmp/soak

Both runs go on side by side with one thread each. The killed one gets SIGKILL at random moments
and is resumed by command. At the end weights, state, statistics and pictures have to be equal byte
for byte, timings and resources apart.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

APART = ("Timing", "Resources", "timestamp")


def main() -> None:
    """Run both, compare, print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--kimg", type=float, required=True)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0, help="of the moments of the kills")
    parser.add_argument("--outdir", type=Path, required=True)
    parser.add_argument("--options", default="--cond --cfg tiny --aug ada --snap 5 --save-every 1")
    arguments = parser.parse_args()
    new = [
        *arguments.options.split(),
        "--data",
        str(arguments.archive),
        "--kimg",
        str(arguments.kimg),
    ]
    start = time.monotonic()
    whole = launch([*new, "--outdir", str(arguments.outdir / "whole")])
    killed = kill_again_and_again(new, arguments, whole)
    if whole.wait() != 0:
        raise SystemExit("the unbroken run failed; see its log.txt")
    hours = (time.monotonic() - start) / 3600
    one, other = (only_run(arguments.outdir / name) for name in ("whole", "killed"))
    print(json.dumps({"hours": hours, "kills": killed, **compare(one, other)}, indent=2))


def launch(options: list[str]) -> subprocess.Popen[bytes]:
    """A training process of one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "synthograph", "train", *options]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)


def kill_again_and_again(
    new: list[str], arguments: argparse.Namespace, whole: "subprocess.Popen[bytes]"
) -> list[float]:
    """Train with kills spread over the length of the unbroken run; the shares of it at each."""
    rng = random.Random(arguments.seed)
    moments = sorted(rng.uniform(0.01, 0.95) for _ in range(arguments.kills))
    outdir = arguments.outdir / "killed"
    process, done = launch([*new, "--outdir", str(outdir)]), []
    while process.poll() is None or moments:
        time.sleep(rng.uniform(0.05, 1.0))
        share = images_shown(outdir) / (arguments.kimg * 1000)
        if moments and share >= moments[0]:
            process.kill()
            process.wait()
            done.append(round(share, 4))
            moments.pop(0)
            process = launch(["--resume", str(only_run(outdir))])
        if process.poll() not in (None, 0):
            raise SystemExit(f"the killed run failed with {process.returncode}")
        if whole.poll() not in (None, 0):
            raise SystemExit(f"the unbroken run failed with {whole.returncode}")
    return done


def only_run(outdir: Path) -> Path:
    """The run directory in a folder of one."""
    (path,) = (p for p in outdir.iterdir() if p.is_dir() and p.name[0].isdigit())
    return path


def images_shown(outdir: Path) -> float:
    """Images at the newest state or status line."""
    if not outdir.is_dir() or not any(p.name[0].isdigit() for p in outdir.iterdir()):
        return 0
    run = only_run(outdir)
    states = [int(p.name) for p in (run / "state").glob("*") if p.name.isdecimal()]
    return max([*(entry["Progress/kimg"]["mean"] * 1000 for entry in statistics(run)), *states, 0])


def statistics(run: Path) -> list[dict[str, Any]]:
    """Complete lines of `stats.jsonl`."""
    file = run / "stats.jsonl"
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def compare(one: Path, other: Path) -> dict[str, Any]:
    """Which files differ, and how memory went."""
    names = sorted(
        str(p.relative_to(one))
        for pattern in ("snapshots/*.safetensors", "*.png", "state/*/tensors.safetensors")
        for p in one.glob(pattern)
    )
    newest = max(name for name in names if name.startswith("state/"))
    names = [name for name in names if not name.startswith("state/") or name == newest]
    odd = [
        n
        for n in names
        if not (other / n).exists() or (one / n).read_bytes() != (other / n).read_bytes()
    ]
    kept = [
        [{k: v for k, v in e.items() if not k.startswith(APART)} for e in statistics(run)]
        for run in (one, other)
    ]
    memory = [e["Resources/cpu_mem_gb"]["mean"] for e in statistics(one)]
    quarter = len(memory) // 4
    return {
        "files compared": len(names),
        "files that differ": odd,
        "statistics equal": kept[0] == kept[1],
        "peak memory after a quarter, GB": memory[quarter],
        "peak memory at the end, GB": memory[-1],
    }


if __name__ == "__main__":
    main()
