"""Draw how runs went, from their `stats.jsonl`.

python docs/results/curves.py RUN_DIR... -o curves.png
"""

import argparse
import json
from pathlib import Path

import matplotlib.pyplot as plt

PANELS = {
    "scores of the discriminator": ("Loss/scores/real", "Loss/scores/fake"),
    "signs": ("Loss/signs/real", "Loss/signs/fake"),
    "augmentation p": ("Progress/augment",),
    "R1 penalty": ("Loss/r1_penalty",),
}


def main() -> None:
    """Draw what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    figure, axes = plt.subplots(1, len(PANELS), figsize=(14, 3), layout="constrained")
    for number, run in enumerate(arguments.runs):
        lines = (run / "stats.jsonl").read_text(encoding="utf-8").splitlines()
        entries = [json.loads(line) for line in lines]
        for axis, (title, names) in zip(axes, PANELS.items(), strict=True):
            for name, style in zip(names, ("-", "--"), strict=False):
                seen = [e for e in entries if name in e]
                kimg = [e["Progress/kimg"]["mean"] for e in seen]
                label = " ".join([run.name.split("-")[1], *name.split("/")[2:]])
                means = [e[name]["mean"] for e in seen]
                axis.plot(kimg, means, style, color=f"C{number}", label=label)
            axis.set(title=title, xlabel="thousands of images")
    axes[0].legend(fontsize="small")
    figure.savefig(arguments.output, dpi=80)


if __name__ == "__main__":
    main()
