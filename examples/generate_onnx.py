"""Make images with an ONNX file of `synthograph export`: needs numpy, onnxruntime and Pillow only.

    python generate_onnx.py cells.onnx --outdir images --seeds 0-15 --class lymphocyte --trunc 0.8

A seed gives the image that `synthograph generate` gives, up to a grey level. Random noise, where
the file asks for it, is drawn otherwise than there.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import onnxruntime
from PIL import Image


def seeds_of(text: str) -> list[int]:
    """Seeds of `0-15,20`."""
    seeds: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        seeds += range(int(first), int(last or first) + 1)
    return seeds


def inputs_of(document: dict, seeds: list[int], number: int, psi: float) -> dict[str, np.ndarray]:
    """What the network needs for one image of every seed."""
    count, z_dim = len(seeds), document["z_dim"]
    z = np.stack([np.random.RandomState(seed).randn(z_dim) for seed in seeds])
    noise = np.stack(
        [np.random.RandomState(seed + 1).randn(document["noise_pixels"]) for seed in seeds]
    )
    known = {
        "z": z.astype(np.float32),
        "class": np.full(count, number, np.int64),
        "label": np.tile(np.eye(document["label_width"], dtype=np.float32)[:1], (count, 1)),
        "truncation": np.full(count, psi, np.float32),
        "noise": noise.astype(np.float32),
    }
    return {name: known[name] for name in document["inputs"]}


def pixels_of(images: np.ndarray, bits: int) -> np.ndarray:
    """Images in [-1, 1] as whole numbers of 8 or 16 bits."""
    half = 2.0 ** (bits - 1)
    scaled = np.clip(images.astype(np.float64) * (half - 0.5) + half, 0, 2**bits - 1)
    return scaled.astype(np.uint8 if bits == 8 else np.uint16)


def save(pixels: np.ndarray, path: Path) -> None:
    """Write [channels, h, w] as PNG; Pillow makes 16-bit grey of uint16."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)).save(path)


def main() -> None:
    """Read the command line and write the images."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--outdir", type=Path, required=True)
    parser.add_argument("--seeds", type=seeds_of, default=seeds_of("0-15"))
    parser.add_argument("--class", dest="label", help="class by name; the first if not given")
    parser.add_argument("--trunc", type=float, default=1.0, help="truncation psi")
    parser.add_argument("--batch", type=int, default=16)
    asked = parser.parse_args()

    session = onnxruntime.InferenceSession(str(asked.model), providers=["CPUExecutionProvider"])
    document = json.loads(session.get_modelmeta().custom_metadata_map["synthograph"])
    if asked.label is not None and asked.label not in document["classes"]:
        parser.error(f"--class {asked.label}: the file knows {', '.join(document['classes'])}")
    if asked.trunc != 1 and "truncation" not in document["inputs"]:
        parser.error("--trunc: the file has no truncation")
    number = document["classes"].index(asked.label) if asked.label else 0
    spec = document["spec"]
    for start in range(0, len(asked.seeds), asked.batch):
        seeds = asked.seeds[start : start + asked.batch]
        (images,) = session.run(["images"], inputs_of(document, seeds, number, asked.trunc))
        for seed, pixels in zip(seeds, pixels_of(images, spec["bits"]), strict=True):
            begin = 0
            for place, (modality, channels) in enumerate(spec["modalities"].items()):
                folder = asked.outdir / modality if place else asked.outdir
                save(pixels[begin : begin + channels], folder / f"seed{seed:04d}.png")
                begin += channels
    print(f"{asked.outdir}: {len(asked.seeds)} images")


if __name__ == "__main__":
    main()
