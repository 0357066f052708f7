"""Pictures of a run: the same latents at every snapshot, one class per row."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from synthograph.archive.stream import TrainingStream
from synthograph.core.contact_sheets import as_rgb, contact_sheet
from synthograph.core.spec import ImageSpec
from synthograph.ops.pixels import to_pixels
from synthograph.training.session import Session

COLUMNS, ROWS_WITHOUT_CLASSES, MAX_ROWS = 12, 8, 16
AT_ONCE = 32
"""Images drawn or decoded at once, where no fewer train at once."""


class ImageGrid:
    """Rows of real images [n, c, h, w]; synthetic ones get their labels and fixed latents."""

    def __init__(self, spec: ImageSpec, stream: TrainingStream, classes: Sequence[str]) -> None:
        self.spec = spec
        numbers, self.titles = _choose(stream, classes)
        self.labels = stream.labels(numbers)
        parts = (stream.gather(some)[0] for some in numbers.split(AT_ONCE))
        self.reals = np.concatenate([to_pixels(part, spec.bits) for part in parts])

    def synthetic(self, session: Session) -> np.ndarray:
        """The averaged generator's images for fixed latents, pixels [n, c, h, w]."""
        ema, family = session.state.ema, session.family
        indices = torch.arange(len(self.labels))
        z = session.streams.normal("grid", indices, (session.config.model.z_dim,))
        parts = []
        at_once = min(AT_ONCE, session.microbatch)  # what training has memory for
        with torch.no_grad():
            for some, label in zip(z.split(at_once), self.labels.split(at_once), strict=True):
                images = family.sample(ema, some.to(session.device), label.to(session.device))
                parts.append(to_pixels(images, self.spec.bits))
        return np.concatenate(parts)

    def draw(self, pixels: np.ndarray) -> bytes:
        """PNG of `reals` or `synthetic`."""
        channels = list(self.spec.modalities.values())
        shown = [as_rgb(np.asarray(one), channels) for one in pixels]
        per_row = len(shown) // len(self.titles)
        rows = [
            (title, shown[i * per_row : (i + 1) * per_row]) for i, title in enumerate(self.titles)
        ]
        return contact_sheet(rows)


def _choose(stream: TrainingStream, classes: Sequence[str]) -> tuple[Tensor, list[str]]:
    """Numbers of the images to show, row by row, and the titles of the rows."""
    everything = torch.arange(len(stream))
    if not stream.label_width or not classes:
        rows = min(ROWS_WITHOUT_CLASSES, max(len(stream) // COLUMNS, 1))
        return everything[torch.arange(rows * COLUMNS) % len(stream)], [""] * rows
    index = stream.labels(everything).argmax(1)
    numbers = []
    titles = list(classes[:MAX_ROWS])
    for row in range(len(titles)):
        members = (index == row).nonzero()[:, 0]
        numbers.append(members[torch.arange(COLUMNS) % len(members)])
    return torch.cat(numbers), titles
