"""A judge that never saw a photograph nor a class: the code of a small autoencoder of real images.

python docs/results/autoencoder_judge.py ARCHIVE OUT.safetensors --side 32

It learns from split train to draw images again through 64 numbers, and tells the deviation of what
it draws from images of val and test, beside that of the mean image. `families.py` measures by it.
"""

import argparse
import sys
from pathlib import Path

import torch
from own_classifier import part
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.functional import mse_loss

from synthograph.archive.reader import open_archive
from synthograph.core.files import sha256_file
from synthograph.features.base import NetworkExtractor, WeightDigest
from synthograph.features.preprocess import Preprocess

CODE, WIDTH, BATCH, RATE, STEPS = 64, 32, 64, 1e-3, 1500
SMALLEST = 4


def halvings(side: int) -> int:
    """How often a picture is halved."""
    return (side // SMALLEST).bit_length() - 1


def encoder(channels: int, side: int) -> nn.Sequential:
    """Images [n, channels, side, side] to codes [n, 64]."""
    widths = [channels, *(WIDTH * min(2**i, 4) for i in range(halvings(side)))]
    layers: list[nn.Module] = []
    for inputs, outputs in zip(widths, widths[1:], strict=False):
        layers += [nn.Conv2d(inputs, outputs, 4, 2, 1), nn.LeakyReLU(0.2)]
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(widths[-1] * SMALLEST**2, CODE))


def decoder(channels: int, side: int) -> nn.Sequential:
    """Codes to images."""
    widths = [channels, *(WIDTH * min(2**i, 4) for i in range(halvings(side)))][::-1]
    layers: list[nn.Module] = [nn.Linear(CODE, widths[0] * SMALLEST**2)]
    layers.append(nn.Unflatten(1, (widths[0], SMALLEST, SMALLEST)))
    for inputs, outputs in zip(widths, widths[1:], strict=False):
        layers += [nn.LeakyReLU(0.2), nn.ConvTranspose2d(inputs, outputs, 4, 2, 1)]
    return nn.Sequential(*layers)


def judge(path: Path) -> NetworkExtractor:
    """The extractor whose features are codes."""
    tensors = load_file(path)
    side, channels = int(tensors.pop("side")), tensors["0.weight"].shape[1]
    network = encoder(channels, side)
    network.load_state_dict(tensors)
    middle = (127.5,) * channels
    return NetworkExtractor(
        name="autoencoder",
        dims=CODE,
        digest=WeightDigest(sha256_file(path), path.name, verified=False),
        network=network.eval(),
        preprocess=Preprocess(side, mean=middle, deviation=middle),
        source="code of an autoencoder of the real training images",
        chunk=256,
        indicative=True,
    )


def main() -> None:
    """Train, tell, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--side", type=int, default=32)
    given = parser.parse_args()
    torch.manual_seed(0)
    archive = open_archive(given.archive)
    sets = {name: part(archive, name, given.side)[0] for name in ("train", "val", "test")}
    images = sets["train"]
    down, up = encoder(images.shape[1], given.side), decoder(images.shape[1], given.side)
    optimizer = torch.optim.Adam([*down.parameters(), *up.parameters()], lr=RATE)
    for step in range(STEPS):
        x = images[torch.randint(len(images), (BATCH,))]
        loss = mse_loss(up(down(x)), x)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step % 300 == 0:
            sys.stdout.write(f"step {step}: {loss.item():.4f}\n")
    mean = images.mean(0)
    with torch.inference_mode():
        for name, x in sets.items():
            left, whole = deviation(up(down(x)), x), deviation(mean, x)
            sys.stdout.write(f"{name}: {left:.3f} of {whole:.3f}\n")
    save_file({**down.state_dict(), "side": torch.tensor(given.side)}, given.out)


def deviation(x: Tensor, y: Tensor) -> float:
    """Root mean square difference; pixels are in [-1, 1]."""
    return float((x - y).square().mean().sqrt())


if __name__ == "__main__":
    main()
