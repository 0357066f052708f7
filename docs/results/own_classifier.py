"""A classifier of one's own as feature extractor: ResNet-18 on the training images of an archive.

python docs/results/own_classifier.py ARCHIVE OUT.safetensors --side 32 --epochs 8

It needs MONAI (`pip install monai`). Beside OUT.safetensors it writes OUT.json, which says what the
shapes of its tensors cannot: `synthograph evaluate --features classifier:OUT.safetensors` reads
both. It learns from split train and tells how many images of val and test it gets right.
"""

import argparse
import json
import sys
from pathlib import Path

import torch
from monai.networks.nets import resnet18
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import cross_entropy, interpolate

from synthograph.archive.batches import archive_images
from synthograph.archive.manifest import in_split
from synthograph.archive.reader import Archive, open_archive

BATCH, RATE = 64, 3e-4


def main() -> None:
    """Train, tell, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("archive", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--side", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=8)
    given = parser.parse_args()
    torch.manual_seed(0)
    archive = open_archive(given.archive)
    images, labels = part(archive, "train", given.side)
    network = resnet18(
        spatial_dims=2,
        n_input_channels=images.shape[1],
        num_classes=len(archive.info.classes),
        conv1_t_size=3,
        conv1_t_stride=1,
    )
    train(network, images, labels, given.epochs)
    for name in ("val", "test"):
        right = score(network.eval(), *part(archive, name, given.side))
        sys.stdout.write(f"{name}: {right}\n")
    save_file(network.state_dict(), given.out)
    half = [0.5] * images.shape[1]
    about = {"side": given.side, "mean": half, "deviation": half, "stem_stride": 1}
    about |= {"source": f"ResNet-18 on {given.archive.name}, split train"}
    given.out.with_suffix(".json").write_text(json.dumps(about))


def part(archive: Archive, split: str, side: int) -> tuple[Tensor, Tensor]:
    """Images in [-1, 1] and class numbers of a split."""
    found = archive_images(archive, in_split(archive.rows, split), split=split)
    x = torch.cat([batch.float() for batch in found.batches()]) / 127.5 - 1
    x = interpolate(x, (side, side), mode="bilinear", antialias=True)
    return x, torch.tensor([archive.info.classes.index(name) for name in found.labels or ()])


def train(network: torch.nn.Module, images: Tensor, labels: Tensor, epochs: int) -> None:
    """Adam with classes of equal weight and mirrored images."""
    weights = 1 / torch.bincount(labels).float()
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    for epoch in range(epochs):
        for rows in torch.randperm(len(images)).split(BATCH):
            x = images[rows].flip(3) if torch.rand(()) < 0.5 else images[rows]
            loss = cross_entropy(network(x), labels[rows], weights)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        schedule.step()
        sys.stdout.write(f"epoch {epoch + 1} of {epochs}: loss {loss.item():.3f}\n")


@torch.inference_mode()
def score(network: torch.nn.Module, images: Tensor, labels: Tensor) -> str:
    """Share that is right."""
    chosen = torch.cat([network(x).argmax(1) for x in images.split(BATCH)])
    return f"{(chosen == labels).sum()} of {len(labels)} right"


if __name__ == "__main__":
    main()
