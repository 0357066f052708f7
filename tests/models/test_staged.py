"""The engine follows a schedule, and knows no family's optimisers by name."""

from pathlib import Path

import pytest
import torch

from synthograph.training.setup import make_session, open_data
from tests.models.contract import FamilyContract, configure
from tests.models.staged import FIRST, RATES, Staged


class TestStaged(FamilyContract):
    kind = Staged()
    rounding = 1e-4
    settings = {
        "model": {"optimisers": {key: {"lr": lr, "eps": 0.1} for key, lr in RATES.items()}},
        "training": {"kimg": 0.05, "batch": 2, "batch_gpu": 1},
    }

    def test_every_step_obeys_its_stage(self, archive: Path) -> None:
        session = self.session(archive)
        networks, seen = session.state.networks, []
        session.rate_factor = 0.5  # as after a rollback
        while session.state.progress.images < 50:
            before = session.state.progress.images
            stage = session.stage
            session.step()
            optimisers = session.state.optimisers
            seen.append(
                (
                    before,
                    session.state.progress.images - before,
                    {key: each.param_groups[0]["lr"] for key, each in optimisers.items()},
                    float(networks.generator.fade) == pytest.approx(stage.fade),
                    len(optimisers["critic"].state),
                )
            )
        first = [entry for entry in seen if entry[0] < FIRST]
        assert [entry[:2] for entry in first] == [(0, 6), (6, 6), (12, 6), (18, 6)]
        assert all(entry[1] == 4 for entry in seen[4:])
        assert first[0][2] == {"painter": 0.005, "critic": 0.0025}
        assert seen[4][2] == {"painter": 0.005, "critic": 0.01}
        assert all(entry[3] for entry in seen)
        assert [bool(entry[4]) for entry in seen[:5]] == [True, True, True, False, True], (
            "the optimisers start anew with the second stage"
        )

    def test_the_average_forgets_by_images_not_by_steps(self, archive: Path) -> None:
        """A stage of larger batches halves an average after as many images."""
        averaging = {"training": self.settings["training"] | {"ema_kimg": 0.02, "ema_ramp": None}}
        config = configure(self.kind, archive, {**self.settings, **averaging})
        session, sizes = make_session(config, open_data(config)), []
        while session.state.progress.images < 50:
            old = [p.detach().clone() for p in session.state.ema.parameters()]
            seen = session.state.progress.images
            session.step()
            sizes.append(session.state.progress.images - seen)
            share = 0.5 ** (sizes[-1] / 20)
            current = session.state.networks.generator.parameters()
            for before, average, new in zip(
                old, session.state.ema.parameters(), current, strict=True
            ):
                torch.testing.assert_close(average, before * share + new * (1 - share))
        assert set(sizes) == {6, 4}
