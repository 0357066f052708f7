"""Weights & Biases: offline files in the run directory, until the user says otherwise."""

import io
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from synthograph.core.errors import UserError
from synthograph.core.files import link_or_copy, write_text
from synthograph.core.untrusted.documents import JsonObject
from synthograph.training.trackers.base import Outcome, Tracker

MODE, ONLINE = "WANDB_MODE", "online"
RUN_ID = "wandb-run.txt"
"""File of the run directory that names its run of W&B, where that can be continued."""
RESUMED = "resumed"


class WandB(Tracker):
    """A run of W&B. Online, a resumed run continues it. Offline it cannot: each sitting has a run
    of its own, in the group of the first.
    """

    name = package = extra = "wandb"
    _run: Any = None

    def check(self) -> None:
        """See `Tracker`; online needs a key, which W&B would otherwise ask for."""
        super().check()
        if os.environ.get(MODE) == ONLINE:
            _refuse_without_key()

    def start(self, run: Path, params: JsonObject, images: int) -> None:
        """See `Tracker`."""
        import wandb  # slow, and an extra

        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        mode = os.environ.get(MODE, "offline")
        if mode == ONLINE:
            _refuse_without_key()
        known = run / RUN_ID
        continued = known.read_text(encoding="utf-8") if images and known.exists() else None
        self._run = wandb.init(
            project=self.settings.experiment,
            name=self.title(run),
            group=self.settings.parent or run.name,
            tags=[RESUMED] if images else [],
            config=params,
            dir=run,
            id=continued,
            resume="allow" if mode == ONLINE else None,
            reinit="create_new",
            settings=wandb.Settings(
                mode=mode, console="off", silent=True, disable_git=True, save_code=False
            ),
        )
        self._run.define_metric("*", step_metric=self.unit)
        if mode == ONLINE:
            write_text(known, self._run.id)

    def scalars(self, values: Mapping[str, float], images: int) -> None:
        """See `Tracker`."""
        self._run.log({**values, self.unit: images})

    def picture(self, name: str, png: bytes, images: int) -> None:
        """See `Tracker`."""
        import wandb  # slow, and an extra

        with Image.open(io.BytesIO(png)) as picture:
            shown = wandb.Image(picture, caption=name)
            self._run.log({"pictures": shown, self.unit: images})

    def file(self, path: Path) -> None:
        """See `Tracker`."""
        kept = Path(self._run.dir) / path.name
        link_or_copy(path, kept)
        self._run.save(str(kept), base_path=self._run.dir, policy="now")

    def close(self, outcome: Outcome) -> None:
        """See `Tracker`."""
        self._run.finish(exit_code=0 if outcome is Outcome.FINISHED else 1)


def _refuse_without_key() -> None:
    import wandb  # slow, and an extra

    if not wandb.api.api_key:
        raise UserError(
            f"{MODE}={ONLINE} needs a key of W&B: run 'wandb login' or set WANDB_API_KEY; without "
            f"{MODE} the run is written to files, for 'wandb sync' later"
        )
