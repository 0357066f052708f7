"""Synthetic images of a study: one generator per fold and draw, which saw that fold's training
images alone; where images need masks, so did their mask generator.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from synthograph.archive.manifest import UNLABELLED, count_labels
from synthograph.archive.reader import Archive
from synthograph.core.config import flatten, parse_assignments, refuse_decided
from synthograph.core.console import heard_by
from synthograph.core.errors import StoppedError, UserError
from synthograph.core.files import remove
from synthograph.core.progress import Progress
from synthograph.core.signals import StopRequest
from synthograph.core.untrusted.documents import JsonObject
from synthograph.downstream import mixing
from synthograph.downstream.mixing import Amounts, Counts
from synthograph.models.published import PHANTOMS
from synthograph.models.registry import style_family
from synthograph.models.snapshot import load
from synthograph.models.transfer import defaults
from synthograph.training.config import RunConfig, TrackingConfig
from synthograph.training.setup import resolve_run
from synthograph.workflows import generate, train
from synthograph.workflows.race import begun
from synthograph.workflows.requests import GenerateRequest, TrainRequest
from synthograph.workflows.study_cells import percent
from synthograph.workflows.study_checks import Source
from synthograph.workflows.study_folds import Fold
from synthograph.workflows.study_jobs import JobRecord
from synthograph.workflows.study_masks import MaskMaking
from synthograph.workflows.study_settings import Condition, MixRule, StudySettings
from synthograph.workflows.training_lines import told

RUNS = "runs"
SAVE_MINUTES = 2.0
"""Minutes of training that a killed study loses at most."""


class GeneratorRecord(JobRecord):
    """Synthetic images that are there.

    Attributes:
        sets: their archives, relative to the record's folder where they lie there.
    """

    sets: list[Path]


@dataclass(frozen=True)
class Making:
    """One generator's work.

    Attributes:
        settings: of the study.
        fold: whose training images it sees.
        draw: number of the draw.
        archive: the fold as an archive with its split.
        folder: where its files are.
        source: who made the generator or the set, where the study does not train it.
        device: where to compute.
        tracking: who follows its training.
        mask_classes: of masks that its images need; none where they need none.
    """

    settings: StudySettings
    fold: Fold
    draw: int
    archive: Path
    folder: Path
    source: Source | None
    device: str
    tracking: TrackingConfig = field(default_factory=TrackingConfig)
    mask_classes: tuple[str, ...] = ()

    def run(self, progress: Progress) -> GeneratorRecord:
        """Train, go on, or take what is there; then generate."""
        if self.source is not None and self.source.path in self.settings.generator.sets:
            return GeneratorRecord(sets=[self.source.path], said=self.source.path.name)
        if self.source is None:
            with heard_by(self._listener(progress)):
                network = self._trained(progress)
        else:
            network = self.source.path
        masks, said = self._masks(), ""
        if masks is not None:
            masks.train(network, progress)
            said = f"; {masks.said()}"
        made, wanted = list[Path](), wanted_images(self.settings, self.fold)
        for number, (name, count) in enumerate(wanted.items()):
            if count:
                made.append(self.folder / f"synthetic-{number}.zip")
                self._generate(network, name, count, made[-1], masks, progress)
        return GeneratorRecord(
            sets=[path.relative_to(self.folder) for path in made],
            said=f"{sum(wanted.values())} images{said}",
        )

    def _masks(self) -> MaskMaking | None:
        """Who makes masks; None where images need none."""
        if not self.mask_classes:
            return None
        wanted = self.settings.generator.masks
        return MaskMaking(wanted, self.mask_classes, self.archive, self.folder, self.device)

    def _listener(self, progress: Progress) -> Callable[[str], None]:
        """Hears a training, and says how far it is and what alarms it."""
        title = f"generator of fold {self.fold.number}, draw {self.draw}"
        progress.log(f"{title}: its log is in {self.folder / RUNS}")
        return told(title, progress)

    def _trained(self, progress: Progress) -> Path:
        generator, runs = self.settings.generator, self.folder / RUNS
        earlier = begun(runs)
        if earlier:
            asked: JsonObject = {"resume": earlier[-1], "device": self.device}
        else:
            asked = {
                "data": self.archive,
                "cond": bool(self.fold.archive.info.classes),
                "cfg": generator.preset,
                "kimg": generator.kimg,
                "seed": self.settings.seed + 1000 * self.fold.number + self.draw,
                "metrics": "none",  # nothing chooses among its snapshots
                "settings": generator.settings,
                "init_from": generator.init_from,
                "save_every": SAVE_MINUTES,
                "outdir": runs,
                "device": self.device,
            }
        request = TrainRequest.parse(asked | self.tracking.options())
        try:
            with StopRequest("the training stops at its next step") as stop:
                result = train.run(request, progress=progress)
            stop.heed()
        except StoppedError as error:
            raise error.within("a study", "The same command continues") from None
        if result is None or result.snapshot is None:
            raise UserError(f"{runs}: the training left no snapshot: remove the folder")
        return result.snapshot

    def _generate(
        self,
        network: Path,
        name: str,
        count: int,
        dest: Path,
        masks: MaskMaking | None,
        progress: Progress,
    ) -> None:
        remove(dest)
        drawn: JsonObject = {
            "network": network,
            "classes": () if name == UNLABELLED else (name,),
            "trunc": self.settings.generator.trunc,
            "device": self.device,
        }
        if masks is not None:
            masks.generate(drawn, count, dest, progress)
            return
        drawn |= {"outdir": dest, "per_class": count}
        generate.run(GenerateRequest.parse(drawn), progress=progress)


DECIDED = {
    "training.kimg": "kimg",
    "seed": "seed of the study",
    "data.path": "data of the study",
    "device": "--device",
    "tracking": "--tracker, --tracking-uri and --experiment",
}
"""Settings of a generator that the study itself decides, and what gives them."""


def generator_config(settings: StudySettings, archive: Archive, device: str) -> RunConfig:
    """How the study trains its generators.

    Raises:
        UserError: the preset or a setting is unknown, or does not fit the images.
    """
    generator = settings.generator
    kimg = {} if generator.kimg is None else {"kimg": generator.kimg}
    cond = bool(archive.info.classes)
    tree = {"data": {"cond": cond}, "device": device, "training": kimg}
    fixed = parse_assignments(generator.settings)
    refuse_decided(flatten(fixed), DECIDED, "generator: settings", "study")
    start = generator.init_from
    known = start in PHANTOMS
    below = [defaults(load(PHANTOMS[start]), fixed.get("model"))] if known else []
    config = resolve_run(archive, generator.preset, [*below, fixed, tree])[0]
    if settings.labels:
        style_family(config.model.family)
    return config


def wanted_images(settings: StudySettings, fold: Fold) -> Counts:
    """Synthetic images of every class that the largest mixture of a fold needs."""
    rows = fold.part("train").rows
    counts = count_labels(rows, fold.archive.info.classes)
    rules: Mapping[MixRule, Callable[[float], Amounts]] = {
        MixRule.ADD: lambda ratio: mixing.add_percent(
            counts, dict.fromkeys(counts, float(percent(ratio)))
        ),
        MixRule.TOP_UP: lambda ratio: mixing.top_up(counts, ratio),
        MixRule.REPLACE: lambda ratio: mixing.replace(counts, dict.fromkeys(counts, ratio)),
    }
    found = [rules[settings.rule](ratio).added for ratio in settings.ratios]
    if Condition.SYNTHETIC in settings.conditions:
        found.append(mixing.only_synthetic(counts, {}).added)
    return {name: max(each.get(name, 0) for each in found) for name in counts}
