"""Draw how measures went over the snapshots of a run, from files that `evaluate --out` wrote.

python docs/results/snapshots.py EVALUATION.json... -o curve.png

Prints the same numbers as a table. Bands are 95 % intervals, dotted lines real images against real
ones, dashed ones the value against the images that were trained on. `--features` names the
extractor; without it the first one counts.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt

from synthograph.results import Evaluation
from synthograph.results.evaluation import Entry, Measurements

SHOWN = ("frechet", "kernel", "precision", "recall", "coverage", "spectrum")


def main() -> None:
    """Draw and print what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--features")
    arguments = parser.parse_args()
    found = [evaluation(path, arguments.features) for path in arguments.files]
    found.sort(key=lambda pair: pair[0])
    draw(found, arguments.output)
    sys.stdout.write(table(found, SHOWN[:3]) + "\n")
    sys.stdout.write(table(found, SHOWN[3:]))


def evaluation(path: Path, features: str | None) -> tuple[float, dict[str, Entry]]:
    """Thousands of images seen, and measures of all images by name, of one extractor."""
    found = Evaluation.load(path)
    (own,) = (line for line in found.results if isinstance(line, Measurements))
    entries: dict[str, Entry] = {}
    for entry in own.entries:
        used = entry.provenance.features
        if entry.scope.whole and features in (None, used and used.extractor):
            entries.setdefault(entry.name, entry)
        elif entry.scope.whole and used is None:
            entries[entry.name] = entry
    return found.kimg or 0, entries


def draw(found: list[tuple[float, dict[str, Entry]]], output: Path) -> None:
    """A panel for every measure."""
    figure, axes = plt.subplots(2, 3, figsize=(12, 6), layout="constrained", sharex=True)
    kimg = [seen for seen, _ in found]
    for axis, name in zip(axes.flat, SHOWN, strict=True):
        entries = [entries[name] for _, entries in found]
        low, high = zip(*((e.interval.low, e.interval.high) for e in entries), strict=True)
        axis.fill_between(kimg, low, high, alpha=0.2, color="C0")
        axis.plot(kimg, [e.value for e in entries], "o-", color="C0", label="held-out images")
        axis.plot(kimg, [e.train.value for e in entries], "--", color="C1", label="training")
        axis.plot(kimg, [e.floor.value for e in entries], ":", color="0.3", label="real")
        axis.set(title=name)
        if name in ("frechet", "spectrum"):
            axis.set(yscale="log")
    for axis in axes[1]:
        axis.set(xlabel="thousands of images seen")
    axes[0, 0].legend()
    figure.savefig(output, dpi=80)


def table(found: list[tuple[float, dict[str, Entry]]], names: Sequence[str]) -> str:
    """Measures of these names in Markdown: value and interval."""
    lines = [["kimg", *names], ["---"] * (1 + len(names))]
    for kimg, entries in found:
        lines.append([str(kimg), *(cell(entries[name]) for name in names)])
    last = found[-1][1]
    lines.append(["real vs real", *(f"{last[name].floor.value:.3g}" for name in names)])
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def cell(entry: Entry) -> str:
    """Value and interval."""
    low, high = entry.interval.low, entry.interval.high
    return f"{entry.value:.3g} ({low:.3g} to {high:.3g})"


if __name__ == "__main__":
    main()
