"""Seconds per thousand images with one process and with several, the batch being the same.

python benchmarks/scaling.py ARCHIVE --kimg 2 --processes 1,2

Every row is a training of its own by command, one after the other; the time is that of the status
lines after the first, so neither start-up nor warming counts.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("--kimg", type=float, default=2.0)
    parser.add_argument("--processes", default="1,2")
    parser.add_argument("--options", default="--cond --cfg tiny --aug fixed --p 0.3")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    cores = os.cpu_count() or 1
    rows = []
    for count in [int(part) for part in arguments.processes.split(",")]:
        for threads in sorted({1, max(cores // count, 1)}):
            if arguments.device == "cpu" or threads == max(cores // count, 1):
                rows.append((count, threads, train(arguments, count, threads)))
    alone = rows[0][2]
    print("| processes | threads each | s/kimg | times as fast as the first row |")
    print("|---|---|---|---|")
    for count, threads, seconds in rows:
        print(f"| {count} | {threads} | {seconds:.2f} | {alone / seconds:.2f} |")


def train(arguments: argparse.Namespace, processes: int, threads: int) -> float:
    """Seconds per thousand images of a short run."""
    with tempfile.TemporaryDirectory() as folder:
        command = [
            *(sys.executable, "-m", "synthograph", "train", *arguments.options.split()),
            *("--data", str(arguments.archive), "--kimg", str(arguments.kimg)),
            *("--gpus", str(processes), "--device", arguments.device, "--batch", "32"),
            *("--set", f"training.tick_kimg={arguments.kimg / 4}", "--outdir", folder),
        ]
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        (stats,) = Path(folder).glob("*/stats.jsonl")
        lines = [json.loads(line) for line in stats.read_text().splitlines()][1:]
        seconds = sum(line["Timing/sec_per_tick"]["mean"] for line in lines)
        shown = lines[-1]["Progress/kimg"]["mean"] - 0.032  # without the first step
        return float(seconds / shown)


if __name__ == "__main__":
    main()
