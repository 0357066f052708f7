"""Training and generation in the configurations of README.md, fast and plain path in one run.

python benchmarks/run.py --config A --path fast --json a.json
"""

import argparse
import json
import subprocess
import sys
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

import torch
from configurations import CONFIGURATIONS
from machine import peaks
from measure import measure, needed_operations
from plain import plain_operations, use_plain

from synthograph.core.devices import keep_freed_memory

PARTS = ("g_main", "g_path", "d_main", "d_r1", "augmentation", "data", "rest")


def main() -> None:
    """Measure what the command line asks for, print a table, write JSON."""
    arguments = read_arguments()
    asked = [
        (name, path)
        for name in arguments.config.split(",")
        for path in (("plain", "fast") if arguments.path == "both" else (arguments.path,))
    ]
    if len(asked) == 1:
        rows = [row(*asked[0], arguments)]
    else:  # one process each, so that peak memory is a row's own
        rows = [in_process(name, path, arguments) for name, path in asked]
    print(table(rows))
    if arguments.json is not None:
        arguments.json.write_text(json.dumps(rows[0] if len(rows) == 1 else rows, indent=2) + "\n")


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", default="A,B", help=", ".join(CONFIGURATIONS))
    parser.add_argument("--path", choices=["fast", "plain", "both"], default="both")
    parser.add_argument("--precision", default="auto", help="of the fast path: auto, fp32, bf16")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--threads", type=int, default=None)
    parser.add_argument("--json", type=Path, default=None)
    return parser.parse_args()


def in_process(name: str, path: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """`row` in a process of its own."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "row.json"
        command = [sys.executable, __file__, "--config", name, "--path", path, "--json", str(file)]
        for option in ("precision", "device", "threads"):
            value = getattr(arguments, option)
            command += [] if value is None else [f"--{option}", str(value)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        found: dict[str, Any] = json.loads(file.read_text())
        return found


def row(name: str, path: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """All figures of one configuration on one path, with the machine's peaks beside them."""
    configuration = CONFIGURATIONS[name]
    if configuration.needs_gpu and not torch.cuda.is_available():
        raise SystemExit(f"configuration {name} needs a GPU, and torch finds none here")
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    plain = path == "plain"
    if not plain:
        keep_freed_memory()  # as the command line does
    with plain_operations() if plain else nullcontext():
        figures = measure(
            configuration,
            device=arguments.device,
            precision="fp32" if plain else arguments.precision,
            adjust=use_plain if plain else lambda session: None,
        )
    device = torch.device(figures["device"])
    # what the mathematics needs, not what zeros between pixels or a kernel per image add to it
    needed = needed_operations(configuration, str(device)) / 1e9
    rate = needed / (figures["sec_per_kimg"] / 1000)
    best = peaks(device)
    return {
        "config": name,
        "path": path,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        **figures,
        "gflop_per_image": needed,
        "effective_gflops": rate,
        **best,
        "of_fp32_peak": rate / best["peak_fp32_gflops"],
    }


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as two tables in Markdown, each under 100 characters wide; then the ratios."""
    speed = [
        "config | path | precision | s/kimg | images/s | in bf16 | MB | GFLOP/image | GFLOP/s"
        " | of fp32 peak"
    ]
    parts = [" | ".join(["config", "path", *PARTS])]
    for r in rows:
        in_bf16 = r["gen_bf16_images_per_sec"]
        speed.append(
            f"{r['config']} | {r['path']} | {r['precision']} | {r['sec_per_kimg']:.1f}"
            f" | {r['gen_images_per_sec']:.0f} | {'' if in_bf16 is None else f'{in_bf16:.0f}'}"
            f" | {r['peak_memory_mb']:.0f} | {r['gflop_per_image']:.2f}"
            f" | {r['effective_gflops']:.0f} | {r['of_fp32_peak']:.2f}"
        )
        seconds = (f"{r['parts'][part]:.2f}" for part in PARTS)
        parts.append(" | ".join([r["config"], r["path"], *seconds]))
    by_config: dict[str, dict[str, float]] = {}
    for r in rows:
        by_config.setdefault(r["config"], {})[r["path"]] = r["sec_per_kimg"]
    ratios = [
        f"{name}: the plain path takes {paths['plain'] / paths['fast']:.2f} times as long"
        for name, paths in by_config.items()
        if len(paths) == 2
    ]
    return "\n".join([*in_markdown(speed), "", *in_markdown(parts), "", *ratios])


def in_markdown(lines: list[str]) -> list[str]:
    """A head and rows of cells as a table."""
    rule = " | ".join("---" for _ in lines[0].split(" | "))
    return [f"| {line} |" for line in (lines[0], rule, *lines[1:])]


if __name__ == "__main__":
    main()
