"""What a generator of two modalities brings over one of each alone, at equal images and seeds.

    python docs/results/two_modalities.py eyes.zip --work two --seeds 3 --kimg 12

Trained are, per seed, a generator of both modalities and one of each. Images are measured against
split test, modality by modality. A segmenter of each modality, trained on real phantoms, stands for
the painter: it paints eight images of every generator, by that modality alone. So masks of one and
of two modalities have one truth. Printed are lines of tables in Markdown. What is in the work
folder is not done again, so a killed command goes on.
"""

import argparse
import json
import math
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from masks import COLOURS, dice_of, paint

import synthograph as sg
from synthograph.archive.reader import open_archive
from synthograph.archive.writer import ArchiveWriter, encode
from synthograph.core.files import write_json
from synthograph.core.spec import ImageSpec
from synthograph.downstream import segmenter
from synthograph.downstream.segmenter import Segmenter
from synthograph.models.snapshot import load
from synthograph.results.annotations import MaskClass, PaintedMask
from synthograph.sampling.pictures import by_modality
from synthograph.stats.intervals import quantile
from synthograph.workflows.annotation_sets import OpenSet, indexed_png, mask_digest
from synthograph.workflows.race import begun

CLASSES = ("background", "sclera", "iris", "pupil")
BOTH, PAINTED, TESTED = "both", 8, "1000-1149"
MEASURES = ("frechet", "recall", "coverage")


def single(source: Path, dest: Path, modality: str) -> Path:
    """The same images and masks with one modality."""
    if not dest.exists():
        archive = open_archive(source)
        writer = ArchiveWriter(dest, {"modality": modality}, replace=True)
        for row in archive.rows:
            parts = by_modality(archive.info.spec, archive.read(row))
            writer.add([encode({modality: parts[modality]}, archive.read_mask(row), row)])
        spec = archive.info.spec
        alone = {modality: spec.modalities[modality]}
        one = ImageSpec(height=spec.height, width=spec.width, modalities=alone, bits=spec.bits)
        writer.finish(archive.info.model_copy(update={"spec": one}))
    return dest


def painter_of(data: Path, out: Path, steps: int) -> Segmenter:
    """A segmenter of real phantoms."""
    if not out.exists():
        options = {"steps": steps, "batch": 16, "patience": 0, "width": 16}
        sg.segment_train(data=data, out=out, classes=CLASSES, transforms="all", **options)
        found = sg.segment_evaluate(model=out, data=str(data))
        sys.stdout.writelines(f"{line}\n" for line in found.lines())
    return segmenter.load(out, torch.device("cpu"))


def trained(data: Path, folder: Path, args: argparse.Namespace, seed: int) -> Path:
    """A snapshot of a generator."""
    done = folder / "done.json"
    if not done.exists():
        earlier = begun(folder)
        asked: Mapping[str, object] = {"resume": earlier[-1]} if earlier else {
            "data": data, "cond": True, "cfg": args.preset, "kimg": args.kimg, "seed": seed,
            "metrics": "none", "save_every": 1, "outdir": folder,
        }  # fmt: skip
        found = sg.train(**asked)
        assert found is not None and found.snapshot is not None, "it trained"
        write_json(done, str(found.snapshot))
    return Path(json.loads(done.read_text()))


def image_values(network: Path, data: Path, out: Path, num: int) -> dict[str, float]:
    """`MODALITY MEASURE` -> value, against real test images."""
    if not out.exists():
        asked = {"features": ("efficientnet-lite0",), "metrics": MEASURES, "num": num}
        sg.evaluate(network=network, real=f"{data}:test", out=out, **asked)
    only, *others = open_archive(data).info.spec.modalities
    found = {}
    for line in json.loads(out.read_text())["results"]:
        for entry in line.get("entries", []):
            scope = entry["scope"]
            modality = scope.get("modality") or ("" if others else only)
            if modality and not scope.get("column"):
                name = entry["name"].split("/")[0]
                found[f"{modality} {name}"] = entry["value"]
    return found


def channels(spec: ImageSpec, pixels: np.ndarray, modality: str) -> np.ndarray:
    """The channels of a modality of images [n, channels, h, w]."""
    names = list(spec.modalities)
    first = sum(spec.modalities[name] for name in names[: names.index(modality)])
    return pixels[:, first : first + spec.modalities[modality]]


def mask_values(network: Path, painter: Segmenter, modality: str, folder: Path) -> list[float]:
    """Dice of generated masks by class, against the painter of a modality."""
    record = folder / f"{modality}.json"
    if not record.exists():
        spec, made = load(network).info.spec, folder / f"{modality}.zip"
        annotations, out = folder / modality, folder / f"{modality}.safetensors"
        if not annotations.exists():
            sg.annotate_sample(network=network, num=PAINTED, outdir=annotations, trunc=0.7)
        painted(annotations, network, painter, modality)
        for path in (made, out):
            path.unlink(missing_ok=True)
        sg.annotate_train(annotations, network=network, out=out, preset="linear")
        sg.annotate_generate(network=network, mask_generator=out, seeds=TESTED, out=made)
        archive = open_archive(made)
        pixels = np.stack([archive.read(row) for row in archive.rows])
        truth = paint(painter, channels(spec, pixels, modality))
        said = np.stack([archive.read_mask(row) for row in archive.rows])
        write_json(record, np.nanmean(dice_of(truth, said, len(CLASSES)), 0)[1:].tolist())
    return [float(each) for each in json.loads(record.read_text())]


def painted(folder: Path, network: Path, painter: Segmenter, modality: str) -> None:
    """Paint all images of a set by one modality."""
    opened, images = OpenSet.read(folder), []
    classes = [MaskClass(name=n, colour=c) for n, c in zip(CLASSES, COLOURS, strict=True)]
    (folder / "masks").mkdir(exist_ok=True)
    snapshot = load(network)
    for image, pixels in opened.redrawn(snapshot, "cpu"):
        ids = paint(painter, channels(snapshot.info.spec, pixels[None], modality))[0]
        (folder / "masks" / f"{image.id}.png").write_bytes(indexed_png(ids, classes))
        mask = PaintedMask(painter="segmenter", sha256=mask_digest(ids))
        images.append(image.replace(mask=mask))
    about = opened.about.replace(images=tuple(images), classes=tuple(classes))
    about.save(folder / "annotations.json")


def table(values: Mapping[tuple[str, int], Mapping[str, float]], seeds: int) -> Iterator[str]:
    """Per measure: means over seeds of one and of both, and their difference with its interval
    (Student's t on the differences of seeds).
    """
    yield "| measure | alone | both | difference (95 % interval) |"
    yield "|---|---|---|---|"
    for name in values[BOTH, 0]:
        modality = name.split()[0]
        one = [values[modality, seed][name] for seed in range(seeds)]
        two = [values[BOTH, seed][name] for seed in range(seeds)]
        gains = [b - a for a, b in zip(one, two, strict=True)]
        mean = statistics.mean(gains)
        wide = quantile(seeds - 1) * statistics.stdev(gains) / math.sqrt(seeds)
        ends = f"{mean - wide:+.3f} to {mean + wide:+.3f}"
        means = f"{statistics.mean(one):.3f} | {statistics.mean(two):.3f}"
        yield f"| {name} | {means} | {mean:+.3f} ({ends}) |"


def main(given: Sequence[str] | None = None) -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("eyes", type=Path, help="archive of two modalities with masks and a split")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--kimg", type=float, default=12)
    parser.add_argument("--preset", default="tiny-projected")
    parser.add_argument("--num", type=int, default=400, help="synthetic images that are measured")
    parser.add_argument("--painter-steps", type=int, default=1000)
    parser.add_argument("--only", help="prepare: painters alone; SEED: one seed, without tables")
    args = parser.parse_args(given)
    args.work.mkdir(parents=True, exist_ok=True)
    modalities = list(open_archive(args.eyes).info.spec.modalities)
    data = {m: single(args.eyes, args.work / f"{m}.zip", m) for m in modalities}
    painters = {
        m: painter_of(data[m], args.work / f"{m}.safetensors", args.painter_steps)
        for m in modalities
    }
    wanted = range(args.seeds)
    if args.only is not None:
        wanted = range(0) if args.only == "prepare" else [int(args.only)]
    values: dict[tuple[str, int], Mapping[str, float]] = {}
    for seed in wanted:
        for kind in (BOTH, *modalities):
            folder, own = args.work / f"{kind}-{seed}", data.get(kind, args.eyes)
            network = trained(own, folder / "runs", args, seed)
            found = image_values(network, own, folder / "evaluation.json", args.num)
            for modality in modalities if kind == BOTH else (kind,):
                dice = mask_values(network, painters[modality], modality, folder)
                named = zip(CLASSES[1:], dice, strict=True)
                found |= {f"{modality} Dice {name}": value for name, value in named}
            values[kind, seed] = found
            sys.stdout.write(f"{kind}, seed {seed}: {json.dumps(found)}\n")
            sys.stdout.flush()
    if args.only is None:
        sys.stdout.writelines(f"{line}\n" for line in table(values, args.seeds))


if __name__ == "__main__":
    main()
