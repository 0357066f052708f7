"""What holds for every family. A family's tests inherit `FamilyContract` and say how small its
smallest networks are.
"""

from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from torch.nn.utils import parameters_to_vector

from synthograph.archive.reader import open_archive
from synthograph.core.errors import UserError
from synthograph.core.spec import ImageSpec
from synthograph.models import registry, snapshot
from synthograph.models.base import Condition, Family, Networks
from synthograph.sampling.onnx_graph import DrawingGraph, GraphOptions, arguments, traced
from synthograph.training.config import RunConfig
from synthograph.training.presets import resolve
from synthograph.training.resume import resume_session
from synthograph.training.run import create_run
from synthograph.training.session import Session
from synthograph.training.setup import make_session, open_data, resolve_machine
from synthograph.training.state import SavedNumbers, Surroundings, save_state
from tests.conftest import make_archive
from tests.training.test_distributed import steps

SPECS = [
    ImageSpec(height=8, width=8, modalities={"image": 1}),
    ImageSpec(height=16, width=8, modalities={"image": 3}),
    ImageSpec(height=8, width=16, modalities={"vis": 3, "nir": 1}, bits=8),
    ImageSpec(height=8, width=8, modalities={"image": 1}, bits=16),
]


def configure(
    kind: Family, archive: Path, settings: dict[str, Any], *, cond: bool = True
) -> RunConfig:
    """A short run, with augmentation that acts."""
    pipe = {"xflip": 1, "scale": 1}
    adaptive = {"augment": {"mode": "ada", "p": 0.2, "speed_kimg": 0.1, "pipe": pipe}}
    always = {
        "data": {"path": str(archive), "cond": cond},
        "model": {"family": kind.name},
        "device": "cpu",
        "precision": "fp32",
    }
    spec = open_archive(archive).info.spec
    return resolve_machine(resolve(spec, "tiny", [adaptive, settings, always]))


class FamilyContract:
    """Subclass it with a family, settings of small networks and a short run.

    Attributes:
        kind: the family.
        settings: parts of the configuration tree; the run has to pass all stages.
        rounding: relative difference that two processes may make, where their gradients are summed
            in another order than those of microbatches.
    """

    kind: ClassVar[Family]
    settings: ClassVar[dict[str, Any]]
    rounding: ClassVar[float] = 0.0

    @pytest.fixture(autouse=True)
    def registered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The family is known while its tests run, if it is not always."""
        monkeypatch.setitem(registry.FAMILIES, self.kind.name, self.kind)

    @pytest.fixture
    def archive(self, tmp_path: Path) -> Path:
        """Two modalities, two classes."""
        return make_archive(tmp_path / "set.zip", size=(8, 8), modalities={"vis": 3, "nir": 1})

    def session(self, archive: Path) -> Session:
        config = configure(self.kind, archive, self.settings)
        return make_session(config, open_data(config))

    def build(self, spec: ImageSpec, width: int = 0) -> tuple[Networks, Any]:
        tree = {"family": self.kind.name, **self.settings.get("model", {})}
        config = registry.parse_model(tree)
        torch.manual_seed(0)
        return self.kind.build(spec, Condition((), width), config), config

    @pytest.mark.parametrize("spec", SPECS, ids=str)
    def test_images_of_every_kind(self, spec: ImageSpec) -> None:
        networks, config = self.build(spec, width=3)
        z, label = torch.randn(2, config.z_dim), torch.eye(3)[:2]
        images = self.kind.sample(networks.generator, z, label)
        assert images.shape == (2, spec.channels, spec.height, spec.width)
        assert images.dtype == torch.float32 and bool(images.isfinite().all())
        assert set(networks.discriminators) == set(spec.modalities)
        again = self.kind.sample(networks.generator, z[1:], label[1:])
        torch.testing.assert_close(again, images[1:], rtol=1e-4, atol=1e-5)
        plain, _ = self.build(spec)
        assert self.kind.sample(plain.generator, z, None).shape == images.shape

    def test_optimisers_step_all_parameters_and_nothing_twice(self) -> None:
        networks, config = self.build(SPECS[2])
        assert networks.trained.keys() == self.kind.optimiser_rates(config).keys()
        stepped = [id(p) for module in networks.trained.values() for p in module.parameters()]
        modules = (networks.generator, networks.discriminators)
        assert sorted(stepped) == sorted(id(p) for m in modules for p in m.parameters())
        frozen = self.kind.discriminator_layers(networks)
        assert len(frozen) == len(networks.discriminators)

    def test_phases_reach_every_parameter(self, archive: Path) -> None:
        """In a run that passes all stages; statistics are one number per image."""
        session, stages = self.session(archive), []
        networks = session.state.networks
        moved = {
            id(p): p.detach().clone() for m in networks.trained.values() for p in m.parameters()
        }
        while session.state.progress.images < session.config.training.images:
            stages.append(session.stage)
            session.step()
        assert {phase.key for phase in session.phases} == set(networks.trained)
        for module in networks.trained.values():
            still = [n for n, p in module.named_parameters() if torch.equal(p, moved[id(p)])]
            assert not still, f"never trained: {still}"
        runs = {stage.optimiser_run for stage in stages}
        assert runs == set(range(len(runs))), "the run of these tests passes all stages"
        assert session.state.non_finite() is None

    @pytest.mark.parametrize("spec", SPECS, ids=str)
    def test_images_of_every_kind_train_without_labels(
        self, spec: ImageSpec, tmp_path: Path
    ) -> None:
        path = make_archive(
            tmp_path / "set.zip",
            size=(spec.height, spec.width),
            modalities=dict(spec.modalities),
            bits=spec.bits,
            classes=(),
        )
        config = configure(self.kind, path, self.settings, cond=False)
        session = make_session(config, open_data(config))
        trained = session.state.networks.trained
        before = {key: parameters_to_vector(m.parameters()) for key, m in trained.items()}
        session.step()
        assert session.state.non_finite() is None
        for key, module in trained.items():
            assert not torch.equal(parameters_to_vector(module.parameters()), before[key]), key

    def test_saved_and_loaded(self, archive: Path, tmp_path: Path) -> None:
        session = self.session(archive)
        session.step()
        state = session.state
        path = snapshot.save_snapshot(tmp_path, session.info, state.ema, state.networks)
        loaded = snapshot.load(path)
        z, label = torch.randn(2, session.config.model.z_dim), torch.eye(2)
        ours = self.kind.sample(state.ema, z, label)
        assert torch.equal(self.kind.sample(loaded.generator, z, label), ours)
        theirs = loaded.training_networks.tensors()
        assert all(torch.equal(t, theirs[n]) for n, t in state.networks.tensors().items())

    def test_other_programs_can_draw_any_number_of_images(
        self, archive: Path, tmp_path: Path
    ) -> None:
        """All operations can be written down; what they give is what `sample` gives."""
        session = self.session(archive)
        session.step()
        networks = session.state.networks
        saved = snapshot.save_snapshot(tmp_path, session.info, networks.generator, networks)
        graph = DrawingGraph(snapshot.load(saved), GraphOptions())
        drawn = traced(graph).module()
        for count in (1, 3):
            inputs = graph.example(count)
            images = drawn(**dict(zip(arguments(inputs), inputs.values(), strict=True)))
            label = torch.eye(2)[inputs["class"]]
            for row in range(count):
                psi = float(inputs["truncation"][row]) if "truncation" in inputs else 1.0
                alone = self.kind.sample(
                    networks.generator,
                    inputs["z"][row : row + 1],
                    label[row : row + 1],
                    truncation=psi,
                )
                torch.testing.assert_close(images[row], alone[0], rtol=1e-4, atol=1e-4)

    def test_a_run_stopped_after_every_step_equals_the_unbroken_one(
        self, archive: Path, tmp_path: Path
    ) -> None:
        config = configure(self.kind, archive, self.settings)
        whole = self.session(archive)
        run = create_run(tmp_path / "runs", config, "test")
        broken = make_session(config, open_data(config))
        while whole.state.progress.images < config.training.images:
            whole.step()
            broken.step()
            here = Surroundings.here(config.precision, 1, broken.device)
            numbers = SavedNumbers(broken.state.progress, run.lengths(), False, here, broken.data)
            save_state(run.states, broken.state, numbers)
            run.close()
            broken, run = resume_session(run.path, {})
            one, other = whole.state.tensors(), broken.state.tensors()
            assert one.keys() == other.keys()
            different = [name for name in one if not torch.equal(one[name], other[name])]
            assert not different, (whole.state.progress.images, different)
        assert broken.state.progress == whole.state.progress
        run.close()

    @pytest.mark.slow
    def test_two_processes_equal_two_microbatches(self, archive: Path, tmp_path: Path) -> None:
        config = configure(self.kind, archive, self.settings)
        family = f"{type(self.kind).__module__}:{type(self.kind).__name__}"
        alone, both = (steps(config, tmp_path / str(n), n, family) for n in (1, 2))
        assert alone.keys() == both.keys()
        for name, tensor in alone.items():
            torch.testing.assert_close(both[name], tensor, rtol=self.rounding, atol=self.rounding)

    def test_unknown_presets_are_refused(self) -> None:
        for name in self.kind.preset_names():
            tree = self.kind.preset(name, SPECS[0], 1)
            assert registry.parse_model(tree["model"]).family == self.kind.name
        with pytest.raises(UserError, match="preset 'no such'"):
            self.kind.preset("no such", SPECS[0], 1)
