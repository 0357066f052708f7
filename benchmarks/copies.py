"""How many copies the search of `synthograph audit` finds, under transforms that it plants itself
and others, and whether it convicts the right generators.

    python benchmarks/copies.py --kind knee --size 32
    python benchmarks/copies.py --archive cells.zip
    python benchmarks/copies.py --kind skin --generators
    python benchmarks/copies.py --kind skin --size 64 --seconds

The first two print recall at 0.1 % and 1 % false alarms. With `--seconds` the time of the search
in an audit of 600 training, 150 held-out and 300 synthetic images; under the PYTHONPATH of an older
tree it is that of the older code. With `--generators`, for each of ten seeds: a small decoder with
one latent vector per image is fitted by squared error to 20 training images and sampled 200 times
at those vectors with a little noise (overfitted); and 200 images of a set of phantoms with another
seed, so of other patients, slightly blurred and with noise (clean).
"""

import argparse
import math
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from synthograph.archive.batches import ImageSet, rows_of_split
from synthograph.archive.reader import open_archive
from synthograph.core.seeds import Streams
from synthograph.core.spec import ImageSpec
from synthograph.metrics.audit import copies as search
from synthograph.metrics.audit import transforms
from synthograph.metrics.audit.matcher import Pose, blur, warped
from synthograph.metrics.audit.search import Index
from synthograph.sources.phantoms import PhantomOptions, make_phantoms


def as_set(name: str, pixels: np.ndarray, groups: np.ndarray, labels: list[str]) -> ImageSet:
    """Pixels [n, c, h, w] as a set."""
    channels = pixels.shape[1]
    modalities = {"image": channels} if channels in (1, 3) else {"vis": 3, "nir": channels - 3}
    spec = ImageSpec(
        height=pixels.shape[2],
        width=pixels.shape[3],
        modalities=modalities,
        bits=8 * pixels.dtype.itemsize,
    )
    whole = torch.from_numpy(np.ascontiguousarray(pixels))
    return ImageSet(
        name=name,
        spec=spec,
        count=len(whole),
        batches=lambda: (whole[i : i + 256] for i in range(0, len(whole), 256)),
        batch=256,
        groups=torch.from_numpy(groups),
        labels=tuple(labels),
    )


def phantoms(kind: str, size: int, count: int, seed: int) -> tuple[np.ndarray, np.ndarray, list]:
    """Pixels, patients and classes."""
    items = make_phantoms(PhantomOptions(kind=kind, count=count, size=size, seed=seed)).items
    pictures = [np.concatenate(list(item.decode().modalities.values()), 2) for item in items]
    groups = np.array([int(item.group[1:]) for item in items])
    return np.stack(pictures).transpose(0, 3, 1, 2), groups, [item.label for item in items]


def real_sets(options: argparse.Namespace) -> tuple[ImageSet, ImageSet]:
    """Training set and hold-out."""
    if options.archive is not None:
        archive = open_archive(options.archive)
        one, two = (rows_of_split(archive, split).images for split in ("train", "test"))
        return one, two
    pixels, groups, labels = phantoms(options.kind, options.size, options.count, 3)
    held = groups % 5 == 0
    pick = lambda mask: [labels[i] for i in np.flatnonzero(mask)]  # noqa: E731
    return (
        as_set("train", pixels[~held], groups[~held], pick(~held)),
        as_set("holdout", pixels[held], groups[held], pick(held)),
    )


def affine(images: Tensor, matrix: Tensor, shift: Tensor, padding: str) -> Tensor:
    """Images seen in a pose."""
    return warped(images, Pose(matrix, shift), padding)[0]


def shear(x: Tensor, n: Tensor, s: Streams, o: Tensor) -> Tensor:
    """Sheared by up to a fifth."""
    matrix = torch.eye(2).repeat(len(x), 1, 1)
    matrix[:, 0, 1] = (s.uniform("shear", n, (1,))[:, 0] * 2 - 1) * 0.2
    return affine(x, matrix, torch.zeros(len(x), 2), "zeros")


def shift(x: Tensor, n: Tensor, s: Streams, o: Tensor) -> Tensor:
    """Moved by up to an eighth of the side; the border is black."""
    by = (s.uniform("shift", n, (2,)) * 2 - 1) * 0.25
    return affine(x, torch.eye(2).repeat(len(x), 1, 1), by, "zeros")


def smaller(x: Tensor, n: Tensor, s: Streams, o: Tensor) -> Tensor:
    """Shown at four fifths of the size."""
    return affine(x, 1.25 * torch.eye(2).repeat(len(x), 1, 1), torch.zeros(len(x), 2), "border")


def any_angle(x: Tensor, n: Tensor, s: Streams, o: Tensor) -> Tensor:
    """Rotated by any angle; corners are reflected."""
    a = (s.uniform("angle", n, (1,))[:, 0] * 2 - 1) * math.pi
    matrix = torch.stack((a.cos(), -a.sin(), a.sin(), a.cos()), 1).view(-1, 2, 2)
    return affine(x, matrix, torch.zeros(len(x), 2), "reflection")


def colour(x: Tensor, n: Tensor, s: Streams, o: Tensor) -> Tensor:
    """Channels scaled one by one."""
    return x * (1 + 0.3 * (s.uniform("colour", n, (x.shape[1], 1, 1)) * 2 - 1))


def combined(x: Tensor, n: Tensor, s: Streams, o: Tensor) -> Tensor:
    """Mirrored, cut out and recoloured."""
    for each in (transforms.flip, transforms.crop, transforms.intensity):
        x = each(x, n, s, o)
    return x


def in_turn(*names: str) -> transforms.Planter:
    """Several of the planted transforms, one after the other."""

    def change(x: Tensor, n: Tensor, s: Streams, o: Tensor) -> Tensor:
        for name in names:
            x = transforms.TRANSFORMS[name](x, n, s, o).clamp(0, 1)
        return x

    return change


def jpeg(quality: int, *, halved: bool) -> transforms.Planter:
    """As JPEG of one quality; `halved`: 4:2:0."""
    return lambda x, n, s, o: torch.stack(
        [transforms.compressed(each, quality, halved=halved) for each in x]
    )


def noisy(deviation: float) -> transforms.Planter:
    """With noise of one strength, of the range of values."""
    return lambda x, n, s, o: x + deviation * s.normal("noise", n, tuple(x.shape[1:]))


def levels(count: int) -> transforms.Planter:
    """With so many values per channel."""
    return lambda x, n, s, o: (x * (count - 1)).round() / (count - 1)


def unseen() -> dict[str, transforms.Planter]:
    """Transforms that the search was not made with, and such of one strength."""
    alone = {each.__name__: each for each in (shear, shift, smaller, any_angle, colour, combined)}
    grades = {f"jpeg {q} 4:2:0": jpeg(q, halved=True) for q in (30, 50, 75, 95)}
    grades |= {"jpeg 75 4:4:4": jpeg(75, halved=False)}
    grades |= {f"noise {share}": noisy(share) for share in (0.03, 0.06)}
    grades |= {f"levels {count}": levels(count) for count in (4, 8)}
    chains = ("crop jpeg", "flip grey", "screenshot jpeg", "pad resize", "intensity noise")
    chains += ("rotate grey", "turn gamma jpeg", "crop grey noise", "screenshot grey")
    return {f"{name}*": each for name, each in (alone | grades).items()} | {
        f"{chain}*": in_turn(*chain.split()) for chain in chains
    }


def table(options: argparse.Namespace, folder: Path) -> None:
    """Recall of all transforms; those with a star were not planted by the search itself."""
    train, holdout = real_sets(options)
    transforms.TRANSFORMS.update(unseen())
    start = time.process_time()
    index = Index(train, folder)
    found = search.find_copies(index, holdout, holdout, planted=options.planted).copies
    seconds = time.process_time() - start
    print(f"{train.name}: {train.count} images of {train.group_count} groups, hold-out "
          f"{holdout.count}; {seconds:.0f} s of processor time")  # fmt: skip
    for count in found.counts:
        print(f"{count.rate:.1%} false alarms: {count.holdout} of {holdout.count} "
              f"hold-out images flagged; extrapolated: {count.extrapolated}")  # fmt: skip
    for recall in found.recall:
        low, high = recall.interval
        print(f"{recall.rate:6.1%} {recall.transform:18} {recall.label or 'all':12} "
              f"{recall.recall:5.0%} ({recall.planted}; {low:.0%} to {high:.0%})")  # fmt: skip


def seconds(options: argparse.Namespace, folder: Path) -> None:
    """Time of the search for copies, with all that an audit plants."""
    pixels, groups, labels = phantoms(options.kind, options.size, 1050, 3)
    parts = [slice(0, 600), slice(600, 750), slice(750, 1050)]
    train, holdout, made = (as_set("set", pixels[p], groups[p], labels[p]) for p in parts)
    wall, used = time.perf_counter(), time.process_time()
    found = search.find_copies(Index(train, folder), holdout, made, planted=options.planted)
    wall, used = time.perf_counter() - wall, time.process_time() - used
    recalls = [r for r in found.copies.recall if r.label is None]
    planted = sum(r.planted for r in recalls) // len(search.RATES)
    each = 1000 * used / (1050 + planted)
    print(f"{torch.get_num_threads()} threads: {wall:.1f} s, {used:.1f} s of processor time, "
          f"{planted} planted copies, {each:.1f} ms an image")  # fmt: skip


def overfitted(images: Tensor, seed: int, count: int) -> Tensor:
    """Samples of a decoder that knows these images [n, c, h, w] in [0, 1] by heart."""
    torch.manual_seed(seed)
    codes = torch.randn(len(images), 32)
    size = images[0].numel()
    decoder = nn.Sequential(nn.Linear(32, 256), nn.LeakyReLU(0.2), nn.Linear(256, size))
    optimiser = torch.optim.Adam(decoder.parameters(), 2e-3)
    for _ in range(600):
        noisy = codes + 0.05 * torch.randn_like(codes)
        loss = (decoder(noisy) - images.flatten(1)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    drawn = torch.randint(0, len(images), (count,))
    with torch.no_grad():
        samples = decoder(codes[drawn] + 0.1 * torch.randn(count, 32))
    return samples.view(-1, *images.shape[1:])


def generators(options: argparse.Namespace, folder: Path) -> None:
    """Ten overfitted generators and ten clean ones."""
    train, holdout = real_sets(options)
    largest = train.spec.max_value
    kind = np.uint8 if train.spec.bits == 8 else np.uint16
    every = torch.cat([batch.to(torch.float32) for batch in train.batches()]) / largest
    convicted = {"overfitted": 0, "clean": 0}
    for seed in range(10):
        chosen = Streams(seed).permutation("benchmark", 0, len(every))[:20]
        fresh, *_ = phantoms(options.kind, options.size, 200, 1000 + seed)
        clean = torch.from_numpy(fresh.astype(np.float32)) / largest
        clean = blur(clean, 0.6) / blur(torch.ones_like(clean[:1, :1]), 0.6)
        clean = clean + 0.01 * Streams(seed).normal("noise", torch.arange(200), clean.shape[1:])
        made = {"overfitted": overfitted(every[chosen], seed, 200), "clean": clean}
        for name, images in made.items():
            pixels = (images * largest).round().clamp(0, largest).numpy().astype(kind)
            fake = as_set(name, pixels, np.arange(len(pixels)), [""] * len(pixels))
            index = Index(train, folder)
            found = search.find_copies(
                index, holdout, fake, seed=seed, planted=options.planted
            ).copies
            convicted[name] += found.found
            counts = [(c.flagged, f"p {c.p:.2g}") for c in found.counts]
            print(f"seed {seed} {name}: found {found.found}, {counts}", flush=True)
    print({name: f"{count} of 10" for name, count in convicted.items()})


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--archive", type=Path, help="split archive with train and test")
    parser.add_argument("--kind", default="skin", choices=("skin", "knee", "eye"))
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--planted", type=int, default=150)
    parser.add_argument("--generators", action="store_true")
    parser.add_argument("--seconds", action="store_true")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    job = generators if options.generators else seconds if options.seconds else table
    with tempfile.TemporaryDirectory() as folder:
        job(options, Path(folder))


if __name__ == "__main__":
    main()
