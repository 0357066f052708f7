"""Projections that were written, with their pictures: for comparisons and exports."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32
from torch import Tensor

from synthograph.archive.png import decode_png
from synthograph.core.contact_sheets import as_rgb
from synthograph.core.errors import UserError
from synthograph.core.untrusted.documents import read_bounded
from synthograph.features.base import Extractor
from synthograph.metrics.audit.embeddings import paired
from synthograph.metrics.audit.recovery import Recovery
from synthograph.results.projection import Projections
from synthograph.workflows.project_files import RESULT

MAX_PICTURE = 64 << 20


@dataclass(frozen=True)
class ProjectedSet:
    """Projections and the folder that their files are in."""

    path: Path
    found: Projections

    @classmethod
    def open(cls, path: Path) -> "ProjectedSet":
        """By its file or its folder.

        Raises:
            UserError: it is no file of projections.
        """
        file = path / RESULT if path.is_dir() else path
        return cls(file, Projections.load(file))

    @property
    def comparable(self) -> dict[str, object]:
        """What projections have to share to be compared."""
        method = self.found.method
        return {
            "network": self.found.network_sha256,
            "steps": method.steps,
            "minimised distance": method.minimised,
            "reported distance": self.found.distance_name,
        }

    def beside(self, file: str) -> Path:
        """A file that the projections name.

        Raises:
            UserError: its name leads elsewhere.
        """
        if Path(file).name != file or file == "..":
            raise UserError(f"{self.path}: the file {file!r:.80} does not lie beside it")
        return self.path.parent / file

    def parts(self, file: str) -> list[np.ndarray]:
        """Of a picture every modality [h, w, channels], in the order of the network."""
        folder, names = self.beside(file).parent, self.found.modalities
        places = [folder, *(self.beside(name) for name in names[1:])]
        if not names:  # older files
            inner = (each for each in sorted(folder.iterdir()) if (each / file).is_file())
            places += [each for each in inner if not (each / RESULT).exists()]
        packed = (
            read_bounded(each / file, "a picture of 'project'", limit=MAX_PICTURE)
            for each in places
        )
        return [decode_png(data, file) for data in packed]

    def pixels(self, file: str) -> np.ndarray:
        """Of a picture, modalities one after the other [channels, h, w]."""
        return _joined(self.parts(file))

    def shown(self, file: str) -> np.ndarray:
        """A picture in colours, modalities side by side [h, w, 3]."""
        parts = self.parts(file)
        return as_rgb(_joined(parts), [part.shape[2] for part in parts])

    def pictures(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Every image and what the network makes most like it."""
        return ((self.pixels(e.target), self.pixels(e.result)) for e in self.found.projections)

    def features(self, extractor: Extractor) -> tuple[Float32[Tensor, "n d"], ...]:
        """Of the images, and of their projections."""
        pairs = [extractor(torch.from_numpy(np.stack(pair))) for pair in self.pictures()]
        found = torch.stack(pairs)
        return found[:, 0], found[:, 1]

    def recovery(self, extractor: Extractor) -> Recovery:
        """As the comparison takes it."""
        every = self.found.projections
        cosines = paired(*self.features(extractor), names=[each.file for each in every]).pairs
        psnr = [torch.inf if each.psnr is None else each.psnr for each in every]
        return Recovery(
            str(self.path),
            [each.file for each in every],
            [each.group or each.file for each in every],
            [each.label or "" for each in every],
            torch.tensor(psnr, dtype=torch.float64),
            torch.tensor([each.distance for each in every], dtype=torch.float64),
            torch.tensor([each.distance for each in cosines], dtype=torch.float64),
        )


def _joined(parts: list[np.ndarray]) -> np.ndarray:
    return np.concatenate(parts, axis=2).transpose(2, 0, 1)
