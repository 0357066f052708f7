"""A network with its model card, as a folder for a model hub."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from synthograph.core.errors import UserError
from synthograph.core.files import new_folder, refuse_output, sha256_file, write_json, write_text
from synthograph.core.outputs import is_run
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.core.version import VERSION
from synthograph.models import snapshot as snapshots
from synthograph.models.snapshot import Snapshot, SnapshotInfo
from synthograph.models.snapshot_files import GENERATOR, kimg_of
from synthograph.report.card import INTENDED, LIBRARY, NOT_FOR, markdown, measures_of, of_network
from synthograph.report.document import build
from synthograph.report.gather import Inputs, gather
from synthograph.report.runs import Run
from synthograph.results.base import public_name
from synthograph.results.card import CARD, CardData, CardNetwork, CardTraining, ModelCard
from synthograph.workflows.export_requests import CardRequest
from synthograph.workflows.latent_inputs import open_network

PAGE, CONFIG = "README.md", "config.json"
_NAME = re.compile(rf"{GENERATOR}-\d{{6,12}}(\.\d{{3}})?\.safetensors", re.ASCII)


@dataclass(frozen=True, repr=False)
class CardResult(Result):
    """A folder that was written.

    Attributes:
        folder: where it is.
        card: what it says.
    """

    folder: Path
    card: ModelCard

    def lines(self) -> Iterator[str]:
        """What is there, and what the card lacks."""
        card = self.card
        yield f"{self.folder}: {card.network.file}, {CONFIG}, {CARD}, {PAGE}"
        yield f"  {len(card.measures)} numbers; licence: {card.licence or 'not stated (--licence)'}"
        if card.left_out:
            yield f"  left out: results of another network ({card.left_out})"
        for verdict in card.verdicts:
            yield f"  {verdict.question.partition('?')[0].lower() + '?':<10} {verdict.headline}"
        if not any(not each.chose for each in card.measures):
            yield "  missing: numbers on a test split; add --results evaluation.json"


def run(request: CardRequest, *, progress: Progress) -> CardResult:
    """Gather what is known, and write it beside the network.

    Raises:
        UserError: the folder exists, or something that was named cannot be read.
    """
    refuse_output(request.outdir, "--outdir")
    snapshot = open_network(request.network, progress)
    inputs = _inputs(request)
    name = _file_name(snapshot)
    with new_folder(request.outdir) as folder:
        for further in snapshots.convert(snapshot.path, folder / name, public=True)[1:]:
            further.unlink()  # discriminators are for training, not for use
        shared = snapshots.load(folder / name)
        write_json(folder / CONFIG, _config(shared))
        files = {each: sha256_file(folder / each) for each in (name, CONFIG)}
        card = _card(request, snapshot, inputs).replace(files=files)
        card = card.replace(network=card.network.replace(file=name, sha256=files[name]))
        card.save(folder / CARD)
        write_text(folder / PAGE, markdown(card))
    return CardResult(request.outdir, card)


def _inputs(request: CardRequest) -> Inputs:
    """What the run and the results say, without what is private."""
    runs = [request.network] if request.network.is_dir() and is_run(request.network) else []
    named = [*runs, *request.results]
    inputs = gather(named) if named else Inputs()
    others = [run.path for run in inputs.runs if run.path not in runs]
    if others:
        raise UserError(f"--results {others[0]}: is a run directory; a card is of one network")
    return inputs.public()


def _file_name(snapshot: Snapshot) -> str:
    """A name by which the folder is known for one of snapshots."""
    if _NAME.fullmatch(snapshot.path.name):
        return snapshot.path.name
    return f"{GENERATOR}-{snapshot.info.images_seen // 1000:06d}.safetensors"


def _config(snapshot: Snapshot) -> dict[str, object]:
    """What the network is, for programs that read no safetensors header."""
    info = snapshot.info
    return {
        "library_name": LIBRARY,
        "model_type": info.family,
        "spec": info.spec.tree(),
        "classes": info.classes,
        "label_width": info.label_width,
        "model": info.model.tree(),
        "package_version": VERSION,
    }


def _card(request: CardRequest, snapshot: Snapshot, inputs: Inputs) -> ModelCard:
    inputs, others = of_network(inputs, snapshot.sha256)
    info, run = snapshot.info, inputs.runs[0] if inputs.runs else None
    title = request.title or public_name(run.path.name if run else snapshot.path.stem)
    known = bool(inputs.runs or inputs.numbers or inputs.results)
    return ModelCard(
        title=title,
        licence=request.licence,
        authors=request.author,
        intended_use=request.intended_use or INTENDED,
        not_for=NOT_FOR,
        network=CardNetwork(
            file=snapshot.path.name,
            sha256=snapshot.sha256,
            of_sha256=snapshot.sha256,
            family=info.family,
            kimg=kimg_of(snapshot.path, info.images_seen),
            images=info.spec.describe(),
            classes=tuple(info.classes),
            parameters=sum(p.numel() for p in snapshot.generator.parameters()),
            settings=info.model.tree(),
        ),
        data=CardData(
            name=_archive(run),
            images=len(info.image_digests),
            groups=len(info.group_digests),
            split=info.split,
            fold=info.fold,
            invariances=None if info.invariances is None else tuple(info.invariances),
            images_hash=info.images_hash,
            manifest_hash=info.manifest_hash,
        ),
        training=_training(run, info),
        measures=tuple(measures_of(inputs)),
        verdicts=build(inputs, title=title, public=True).verdicts if known else (),
        left_out=others,
        package_version=VERSION,
    )


def _archive(run: Run | None) -> str:
    """The file that the run was trained on, without its folders."""
    return "" if run is None else public_name(str(run.section("data").get("path", "")))


def _training(run: Run | None, info: SnapshotInfo) -> CardTraining:
    environments, started = tuple(info.environments), info.initialised_from is not None
    if run is None:
        return CardTraining(environments=environments, started_from_another=started)
    sections = {name: run.section(name) for name in ("training", "augment", "metrics")}
    seconds = run.curves.seconds
    return CardTraining(
        hours=None if seconds is None else seconds / 3600,
        environments=environments,
        commands=run.commands,
        settings={**sections, "seed": run.config.get("seed")},
        started_from_another=started,
        alarms=tuple(f"at {at:g} kimg: {text}" for at, text in run.curves.alarms),
    )
