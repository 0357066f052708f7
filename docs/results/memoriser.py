"""Makes a generator that remembers: its weights are tuned until fixed latents, one for every
training image, give these images (Bojanowski et al. 2018, "Optimizing the latent space of
generative networks"). A check of `synthograph authenticity`; see latents.md.

    python docs/results/memoriser.py RUN few.zip memoriser
"""

import sys
from pathlib import Path

import torch
from torch import nn

from synthograph.archive.batches import open_rows
from synthograph.models.base import Networks
from synthograph.models.registry import style_family
from synthograph.models.snapshot import load, save_snapshot
from synthograph.models.snapshot_files import find_snapshot
from synthograph.sampling.latents import Rendering, of_seeds, styles

STEPS, RATE, BATCH = 1500, 4e-3, 16


def main(run: Path, archive: str, folder: Path) -> None:
    """Tune the generator of a run to split train of an archive, and write it as a snapshot."""
    snapshot, rows = load(find_snapshot(run)), open_rows(f"{archive}:train")
    family, generator = style_family(snapshot.info.family), snapshot.generator
    labels = [row.label for row in rows.ordered]
    ws = styles(snapshot, of_seeds(snapshot, range(len(labels)), labels), Rendering())
    wanted = torch.cat(list(rows.images.batches())).float() / 127.5 - 1
    optimiser = torch.optim.Adam(generator.requires_grad_(True).parameters(), RATE)
    for step in range(STEPS):
        optimiser.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
        some = torch.randperm(len(ws), generator=torch.Generator().manual_seed(step))[:BATCH]
        loss = (family.synthesis(generator, ws[some]) - wanted[some]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    sys.stdout.write(f"root mean square difference {float(loss.detach()) ** 0.5 / 2:.3f}\n")
    info = snapshot.info.model_copy(update={"group_digests": list(rows.groups)})
    save_snapshot(folder, info, generator, Networks(generator, nn.ModuleDict()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))
