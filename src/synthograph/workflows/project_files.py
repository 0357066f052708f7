"""What is written of projections: files of each target as soon as it is done, and from all of them
the results, the table and the contact sheet.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from synthograph.archive.png import decode_png, encode_png
from synthograph.core.animations import open_animation
from synthograph.core.contact_sheets import as_rgb, contact_sheet
from synthograph.core.files import write_bytes, write_json, write_text
from synthograph.core.version import VERSION
from synthograph.models.snapshot import Snapshot
from synthograph.ops.similarity import ms_ssim, psnr, ssim
from synthograph.results.base import read_tree
from synthograph.results.projection import Projection, ProjectionMethod, Projections
from synthograph.results.provenance import Features, ImageRecord
from synthograph.sampling.latents import FoundOn, Latents, Rendering, Space, render
from synthograph.sampling.pictures import by_modality
from synthograph.sampling.target_distance import TargetDistance
from synthograph.workflows.project_targets import TargetSet, network_range
from synthograph.workflows.tables import csv_text

RESULT, TABLE, SHEET = "projections.json", "projections.csv", "projections.png"
COLUMNS = (
    *("file", "group", "split", "label", "latent", "psnr", "ssim", "ms_ssim", "distance"),
    "percentile",
)
MAX_ROWS = 500
"""Targets that the contact sheet shows at most; it is held in memory."""
FPS = 10
"""Frames of a second of a progress video, as published."""


@dataclass(frozen=True)
class Outputs:
    """The folder of projections.

    Attributes:
        folder: where.
        targets: what is projected.
        snapshot: into whose styles.
        reported: the perceptual distance that stands in results.
        device: where images are drawn.
    """

    folder: Path
    targets: TargetSet
    snapshot: Snapshot
    reported: TargetDistance
    device: str

    @property
    def records(self) -> list[str]:
        """The file of every target that is written last."""
        return [f"{name}.json" for name in self.targets.names]

    def write(
        self,
        number: int,
        ws: Float[Tensor, "s w"],
        *,
        tuned: Snapshot | None = None,
        film: Sequence[Float[Tensor, "s w"]] = (),
        ending: str | None = None,
    ) -> None:
        """Everything of one target that is done; its record last, by which it counts as done.

        Args:
            number: of the target.
            ws: its styles.
            tuned: the generator that they are for, where it is the target's own.
            film: styles on the way.
            ending: of the progress video; None for none.
        """
        name, label = self.targets.names[number], self.targets.labels[number]
        network = tuned or self.snapshot
        found_on = FoundOn(*map(frozenset, self.targets.digests(number)))
        latents = Latents(ws[None], Space.W, (label,), (name,), (0,), found_on=found_on)
        latents.save(self.folder / f"{name}.npz", network)
        (made,) = self._drawn(network, ws[None])
        (given,) = self.targets.pixels([number])
        files = [
            self._picture(f"{name}.{kind}.png", x) for kind, x in (("from", given), ("to", made))
        ]
        if ending is not None:
            self._animate(f"{name}.{ending}", given, network, torch.stack([*film, ws]))
        row = self.targets.rows[number]
        record = Projection(
            file=self.targets.files[number],
            group=row.group,
            split=row.split,
            label=label,
            latent=f"{name}.npz",
            **({} if tuned is None else {"generator": tuned.path.name}),
            target=files[0],
            result=files[1],
            **self._measured(given, made),
        )
        write_json(self.folder / f"{name}.json", record.tree())

    def _drawn(self, network: Snapshot, ws: Float[Tensor, "n s w"]) -> Iterator[np.ndarray]:
        """Pixels of styles, each drawn alone, so that `generate` gives the same bytes."""
        return render(network, ws, [0] * len(ws), Rendering(batch=1, device=self.device))

    def _picture(self, file: str, pixels: np.ndarray) -> str:
        """Write a PNG per modality, those after the first into folders of their own."""
        for place, (modality, part) in enumerate(by_modality(self.targets.spec, pixels).items()):
            folder = self.folder / modality if place else self.folder
            folder.mkdir(exist_ok=True)
            write_bytes(folder / file, encode_png(part))
        return file

    def _read(self, file: str) -> np.ndarray:
        """Pixels [channels, h, w] of what `_picture` wrote."""
        parts = []
        for place, modality in enumerate(self.targets.spec.modalities):
            path = (self.folder / modality if place else self.folder) / file
            parts.append(decode_png(path.read_bytes(), str(path)))
        return np.concatenate(parts, axis=2).transpose(2, 0, 1)

    def _measured(self, given: np.ndarray, made: np.ndarray) -> dict[str, float | None]:
        x, y = (torch.from_numpy(pixels)[None] for pixels in (given, made))
        noise = psnr(x, y)
        pair = (network_range(pixels)[None].to(self.device) for pixels in (made, given))
        return {
            "psnr": float(noise) if noise.isfinite() else None,
            "ssim": float(ssim(x, y)),
            "ms_ssim": float(ms_ssim(x, y)),
            "distance": float(self.reported.perceived(*pair)),
        }

    def _animate(
        self, file: str, given: np.ndarray, network: Snapshot, film: Float[Tensor, "f s w"]
    ) -> None:
        """The target beside what is drawn on the way."""
        channels = list(self.targets.spec.modalities.values())
        still, path = as_rgb(given, channels), self.folder / file
        path.unlink(missing_ok=True)  # of a run that was interrupted before the record
        with open_animation(path, frames=len(film), fps=FPS) as animation:
            for pixels in self._drawn(network, film):
                animation.add(np.concatenate((still, as_rgb(pixels, channels)), axis=1))

    def finish(
        self, method: ProjectionMethod, reference: Projections | None, command: str
    ) -> Projections:
        """Write the results of all targets.

        Args:
            method: how they were found.
            reference: projections whose held-out images percentiles refer to; None takes the
                held-out ones among these targets.
            command: that was typed.
        """
        found = []
        for name in self.records:
            path = self.folder / name
            found.append(Projection.parse(read_tree(path), str(path)))
        archive = self.targets.source.archive
        found, held_out = with_percentiles(found, reference)
        about = {} if reference is None else {"reference": reference.data}
        result = Projections(
            network=self.snapshot.path.name,
            network_sha256=self.snapshot.sha256,
            method=method,
            distance=Features.parse(self.reported.perceptual.describe(), "distance"),
            data=ImageRecord(
                archive=self.targets.data,
                images_hash=None if self.targets.resizing else archive.images_hash,
                split=self.targets.source.split,
                images=len(found),
            ),
            resizing=self.targets.resizing,
            modalities=tuple(self.targets.spec.modalities),
            **about,
            held_out=held_out,
            projections=tuple(found),
            version=VERSION,
            command=command,
        )
        rows = ([p.tree().get(column) for column in COLUMNS] for p in result.projections)
        write_text(self.folder / TABLE, csv_text(COLUMNS, rows))
        write_bytes(self.folder / SHEET, self._sheet(result))
        result.save(self.folder / RESULT)
        return result

    def _sheet(self, result: Projections) -> bytes:
        channels = list(self.targets.spec.modalities.values())
        rows = []
        for each in result.projections[:MAX_ROWS]:
            pair = [as_rgb(self._read(file), channels) for file in (each.target, each.result)]
            noise = "equal" if each.psnr is None else f"{each.psnr:.1f} dB"
            rows.append((f"{each.target.removesuffix('.from.png')}  {noise}", pair))
        return contact_sheet(rows, heads=("target", "projection"))


def with_percentiles(
    found: Sequence[Projection], reference: Projections | None
) -> tuple[list[Projection], int]:
    """Projections with their place among held-out images, and how many these are.

    Args:
        found: projections.
        reference: whose images are held out; None takes those of `found` in split val, else in
            split test, each image without itself.
    """
    splits = ([p for p in found if p.split == split] for split in ("val", "test"))
    held_out = list(reference.unseen()) if reference else next(filter(None, splits), [])
    placed = []
    for each in found:
        others = [one.distance for one in held_out if one is not each]
        place = {"percentile": percentile(each.distance, others)} if others else {}
        placed.append(each.replace(**place))
    return placed, len(held_out)


def percentile(value: float, others: Sequence[float]) -> float:
    """Share of other values that are smaller, in percent; equal ones count half."""
    smaller = sum(other < value for other in others)
    equal = sum(other == value for other in others)
    return 100 * (smaller + equal / 2) / len(others)
