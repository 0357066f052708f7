"""Snapshots of any family by judges that are no networks of photographs, within every class.

python docs/results/families.py measure OUT.jsonl cells32.zip SNAPSHOT... [options]
python docs/results/families.py floor OUT.jsonl cells32.zip [options]
python docs/results/families.py table OUT.jsonl

Options name the judges: --classifier cells32.safetensors (own_classifier.py) and --autoencoder
cells32-ae.safetensors (autoencoder_judge.py).

500 synthetic images against split `test`: Frechet distance, coverage, recall and spread, of all
images and as means of the classes; and the share of synthetic images that the classifier takes for
the class that was asked for. `floor` measures the real training images in their place. Classes of a
network that are parts of a class, such as `glioma~2`, count as that class. `table` averages lines
whose runs lie in folders of one name but for `seedN`.
"""

import argparse
import json
import re
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch
from autoencoder_judge import judge
from safetensors.torch import load_file
from torch import Tensor

from synthograph.archive.batches import ArchiveRows, ImageSet, open_rows
from synthograph.features.base import Extractor
from synthograph.features.packaged import RANDOM, TRAINED
from synthograph.features.registry import extractor
from synthograph.metrics.measures import plain
from synthograph.models.snapshot import load
from synthograph.sampling.image_set import synthetic_images
from synthograph.stats.sample import Sample

MEASURES = ("frechet", "recall", "coverage", "spread")
COUNT, BATCH = 500, 100
PART = "~"


class Judges:
    """Extractors, and the last layer of the classifier."""

    def __init__(self, given: argparse.Namespace) -> None:
        self.every: dict[str, Extractor] = {"random": extractor(RANDOM)}
        if given.autoencoder:
            self.every["autoencoder"] = judge(given.autoencoder)
        if given.trained:
            self.every["lite0"] = extractor(TRAINED)
        self.last: tuple[Tensor, Tensor] | None = None
        if given.classifier:
            self.every["classifier"] = extractor(f"classifier:{given.classifier}")
            tensors = load_file(given.classifier)
            self.last = tensors["fc.weight"], tensors["fc.bias"]

    def features(self, images: ImageSet) -> dict[str, Tensor]:
        """Judge -> [n, d]."""
        found = defaultdict(list)
        for batch in images.batches():
            for name, each in self.every.items():
                found[name].append(each(batch))
        return {name: torch.cat(rows) for name, rows in found.items()}

    def right(
        self, features: dict[str, Tensor], labels: Sequence[str], classes: Sequence[str]
    ) -> dict[str, float]:
        """Class -> share that the classifier takes for it."""
        if self.last is None:
            return {}
        weight, bias = self.last
        chosen = (features["classifier"] @ weight.T + bias).argmax(1).tolist()
        pairs = [(name, classes[i] == name) for name, i in zip(labels, chosen, strict=True)]
        return {c: mean([hit for name, hit in pairs if name == c]) for c in classes}


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean."""
    return sum(values) / len(values)


def line(real: dict, fake: dict, judges: Judges, classes: Sequence[str]) -> dict:
    """All measures. `real` and `fake` hold features, labels and groups."""
    found: dict = {"right": judges.right(fake["features"], fake["labels"], classes)}
    for name in judges.every:
        ours, theirs = (Sample(s["features"][name], s["groups"]) for s in (real, fake))
        found[name] = {"all": plain(ours, theirs, MEASURES)}
        for one in classes:
            rows = [torch.tensor([c == one for c in s["labels"]]) for s in (real, fake)]
            parts = ours.subset(rows[0]), theirs.subset(rows[1])
            found[name][one] = plain(*parts, MEASURES)
    return found


def described(images: ImageSet, judges: Judges) -> dict:
    """Features, labels without parts, and groups."""
    labels = [label.split(PART)[0] for label in images.labels or ()]
    return {"features": judges.features(images), "labels": labels, "groups": images.groups}


def measure(given: argparse.Namespace) -> None:
    """A line per snapshot that has none."""
    known = {each["what"] for each in lines(given.out)} if given.out.exists() else set()
    judges, test = Judges(given), open_rows(f"{given.archive}:test")
    real, classes = described(test.images, judges), test.archive.info.classes
    for path in given.snapshots:
        what = f"{path}{' without noise' * given.no_noise}"
        if what in known:
            continue
        snapshot = load(path)
        if given.no_noise:
            for name, strength in snapshot.generator.named_parameters():
                if name.endswith("noise_strength"):
                    torch.nn.init.zeros_(strength)
        fake = synthetic_images(
            snapshot, drawn_like(given, test), COUNT, seed=0, device="cpu", batch=BATCH
        )
        found = line(real, described(fake, judges), judges, classes)
        keep(given.out, {"what": what, "images": snapshot.info.images_seen, **found})


def drawn_like(given: argparse.Namespace, test: ArchiveRows) -> Sequence:
    """Rows whose labels synthetic images have."""
    return open_rows(f"{given.labels}:train").rows if given.labels else test.rows


def floor(given: argparse.Namespace) -> None:
    """The real training images in place of synthetic ones."""
    judges, test = Judges(given), open_rows(f"{given.archive}:test")
    train = open_rows(f"{given.archive}:train")
    sides = (described(rows.images, judges) for rows in (test, train))
    found = line(*sides, judges, test.archive.info.classes)
    found["right of test"] = judges.right(
        {"classifier": judges.features(test.images)["classifier"]},
        list(test.images.labels or ()),
        test.archive.info.classes,
    )
    keep(given.out, {"what": f"{given.archive}/floor", "images": 0, **found})


def keep(out: Path, found: dict) -> None:
    """Add a line, and tell it."""
    with out.open("a") as file:
        file.write(json.dumps(found) + "\n")
    sys.stdout.write(f"{found['what']}\n")


def lines(path: Path) -> list[dict]:
    """What was measured."""
    return [json.loads(text) for text in path.read_text().splitlines()]


def columns(found: dict) -> Iterator[tuple[str, float]]:
    """Title and value; recall and coverage are means of the classes, spread is that of the class
    with the least.
    """
    for name in ("classifier", "autoencoder", "random", "lite0"):
        if name not in found:
            continue
        whole, parts = found[name]["all"], [v for k, v in found[name].items() if k != "all"]
        yield f"{name}: Frechet", whole["frechet"]
        yield "recall", mean([part["recall"] for part in parts])
        yield "coverage", mean([part["coverage"] for part in parts])
        yield "spread", min(part["spread"] for part in parts)
    if found["right"]:
        yield "as asked", mean(list(found["right"].values()))


def table(given: argparse.Namespace) -> None:
    """Markdown; seeds as mean and range."""
    groups = defaultdict(list)
    for each in lines(given.out):
        name = re.sub(r"seed\d+", "seed", each["what"]).split("/snapshots")[0]
        groups[name, round(each["images"] / 1000)].append(list(columns(each)))
    titles = [title for title, _ in next(iter(groups.values()))[0]]
    sys.stdout.write(f"| | kimg | {' | '.join(titles)} |\n|---|---|{'---|' * len(titles)}\n")
    for (name, kimg), found in groups.items():
        cells = [shown([one[place][1] for one in found]) for place in range(len(titles))]
        sys.stdout.write(f"| {name} | {kimg} | {' | '.join(cells)} |\n")


def shown(values: Sequence[float]) -> str:
    """The mean, with the range where there are several."""
    ends = f" ({min(values):.3g} to {max(values):.3g})" if len(values) > 1 else ""
    return f"{mean(values):.3g}{ends}"


def main() -> None:
    """Parse and do."""
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(required=True)
    for name, verb in (("measure", measure), ("floor", floor), ("table", table)):
        own = verbs.add_parser(name)
        own.add_argument("out", type=Path)
        own.set_defaults(verb=verb)
        if verb is table:
            continue
        own.add_argument("archive", type=Path)
        if verb is measure:
            own.add_argument("snapshots", type=Path, nargs="+")
            own.add_argument("--no-noise", action="store_true", help="without noise inputs")
            own.add_argument("--labels", type=Path, help="archive of a network's own classes")
        own.add_argument("--classifier", type=Path)
        own.add_argument("--autoencoder", type=Path)
        own.add_argument("--trained", action="store_true", help=f"by {TRAINED} as well")
    given = parser.parse_args()
    torch.set_num_threads(1)
    given.verb(given)


if __name__ == "__main__":
    main()
