"""Fidelity and diversity of a generator over truncation."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

import synthograph
from synthograph.archive.batches import ArchiveRows, ImageSet, path_and_split
from synthograph.archive.reader import open_archive
from synthograph.core.contact_sheets import as_rgb, contact_sheet
from synthograph.core.devices import pick_device
from synthograph.core.errors import UserError
from synthograph.core.files import new_folder, refuse_output
from synthograph.core.names import nearest
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.features.base import Extractor
from synthograph.features.packaged import default_extractor
from synthograph.features.registry import feature_folder
from synthograph.metrics.evaluate import check_kind
from synthograph.metrics.truncation import truncation_parts
from synthograph.models.base import NoiseMode, TruncationCenter
from synthograph.models.snapshot import Snapshot
from synthograph.report.truncations import MEANING, tables
from synthograph.results.provenance import Features, ImageRecord, Provenance
from synthograph.results.truncation import Truncation
from synthograph.sampling import interpolation as films
from synthograph.sampling.image_set import synthetic_images
from synthograph.sampling.latents import MAX_PSI, Rendering, check_rendering, of_seeds, space_of
from synthograph.sampling.seeds import parse_seeds
from synthograph.workflows.evaluation_inputs import open_source
from synthograph.workflows.extractors import extractor
from synthograph.workflows.latent_inputs import open_network
from synthograph.workflows.latent_requests import TruncationRequest
from synthograph.workflows.requests import EvaluateRequest
from synthograph.workflows.tables import worded_lines

PSIS = ("0.3", "0.4", "0.5", "0.6", "0.7", "0.8", "0.9", "1")
MIN_NUM, MAX_NUM = 200, 1000
"""Synthetic images at every psi, where the number of real ones does not say. Few are enough: psi is
compared with psi at equal numbers, and there are many psi."""
MAX_PICTURE = 4096
"""Images of the picture."""
FILE, PICTURE = "truncation.json", "truncation.png"
CHOSEN_HERE = (
    "psi was chosen on these images: measure its result on others, such as split test "
    "(evaluate --real ARCHIVE:test)"
)


@dataclass(frozen=True, repr=False)
class TruncationResult(Result):
    """What was measured, and the folder with the files."""

    truncation: Truncation
    outdir: Path

    def lines(self) -> Iterator[str]:
        """The tables, and where the files are."""
        for words in tables(self.truncation):
            yield from worded_lines(words)
        yield from (f"note: {note}" for note in self.truncation.notes)
        yield f"{self.outdir}: {FILE}, {PICTURE}"


@dataclass(frozen=True)
class _Plan:
    """Everything that is opened and checked before the long work begins.

    Attributes:
        real: the reference.
        at: synthetic images at every psi.
        seeds: of the picture.
        notes: what is known of the reference.
    """

    snapshot: Snapshot
    extractor: Extractor
    real: ImageSet
    at: Mapping[float, ImageSet]
    seeds: Sequence[int]
    rendering: Rendering
    notes: Sequence[str]


def run(request: TruncationRequest, *, progress: Progress) -> TruncationResult | None:
    """Measure a generator at several psi.

    Returns:
        What was found; None for a dry run. Features are kept, so that the same command after an
        interruption begins behind them.

    Raises:
        UserError: images that cannot be compared, a reference that was trained on, a psi that is
            none, or something is in the way.
    """
    refuse_output(request.outdir, "--outdir")
    plan = _plan(request, progress)
    for line in _lines(plan):
        progress.log(line)
    if request.dry_run:
        progress.log(f"takes about {_seconds(plan):.0f} s on {plan.rendering.device}")
        return None
    parts, left_out = truncation_parts(
        plan.real,
        plan.at,
        plan.extractor,
        folder=feature_folder(),
        tracks=progress.track,
        seed=request.seed,
    )
    found = Truncation(
        network=plan.snapshot.path.name,
        network_sha256=plan.snapshot.sha256,
        center=request.trunc_center,
        parts=tuple(parts),
        images=next(iter(plan.at.values())).count,
        provenance=_provenance(request, plan),
        notes=(MEANING, *plan.notes, *left_out, CHOSEN_HERE),
    )
    with new_folder(request.outdir) as folder:
        found.save(folder / FILE)
        (folder / PICTURE).write_bytes(_picture(plan))
    return TruncationResult(found, request.outdir)


def _plan(request: TruncationRequest, progress: Progress) -> _Plan:
    """Open everything, and refuse what cannot be measured."""
    psis, seeds = _psis(request.psi), parse_seeds(request.seeds)
    snapshot = open_network(request.network, progress)
    space_of(snapshot)
    device, center = str(pick_device(request.device)), TruncationCenter(request.trunc_center)
    rendering = Rendering(center=center, noise=NoiseMode.RANDOM, batch=request.batch, device=device)
    check_rendering(snapshot, rendering)
    images = len(seeds) * max(len(snapshot.info.condition.classes), 1) * len(psis)
    if images > MAX_PICTURE:
        raise UserError(
            f"--seeds {request.seeds}: {images} images on one picture, at most {MAX_PICTURE}; name "
            "fewer seeds"
        )
    reference, notes = _reference(request, snapshot, progress)
    real, num = reference.images, request.num
    num = min(max(real.count, MIN_NUM), MAX_NUM) if num is None else num
    at = {}
    for psi in psis:
        made = synthetic_images(
            snapshot,
            reference.rows,
            num,
            seed=request.seed,
            device=device,
            batch=request.batch,
            truncation=psi,
            center=center,
        )
        at[psi] = replace(made, name=f"{made.name} at psi {psi:g}")
    check_kind(real, at[psis[0]])
    one = extractor(request.features or default_extractor(), device=device)
    return _Plan(snapshot, one, real, at, seeds, rendering, notes)


def _psis(words: Sequence[str]) -> list[float]:
    """Values of psi, by size.

    Raises:
        UserError: one is no number, or out of range.
    """
    found = []
    for word in words or PSIS:
        try:
            psi = float(word)
        except ValueError:
            psi = float("nan")
        if not abs(psi) <= MAX_PSI:
            raise UserError(f"--psi {word}: psi is a number, usually 0 to 1, such as 0.5,0.7,1")
        found.append(psi)
    return sorted(set(found))


def _reference(
    request: TruncationRequest, snapshot: Snapshot, progress: Progress
) -> tuple[ArchiveRows, list[str]]:
    """The real images and notes on them: the split that is named, else split val.

    Raises:
        UserError: there are none, one is synthetic, or the generator saw them.
    """
    path, split = path_and_split(request.real)
    if split is None:
        splits = {row.split for row in open_archive(path).rows} - {None}
        if splits and "val" not in splits:
            known = sorted(filter(None, splits))
            raise UserError(f"--real {path}: has no split val; {nearest('val', known)}")
        split = "val" if splits else None
    real = str(path) if split is None else f"{path}:{split}"
    asked = EvaluateRequest(network=snapshot.path, real=real, seed=request.seed)
    return open_source(asked, progress).reference()


def _lines(plan: _Plan) -> Iterator[str]:
    first, psis = next(iter(plan.at.values())), ", ".join(f"{psi:g}" for psi in plan.at)
    yield f"reference: {plan.real.describe()}"
    yield f"generated: {first.count} images at each psi of {psis}, of the same seeds"
    yield f"features: {plan.extractor.name}"
    yield from (f"note: {note}" for note in plan.notes)


def _seconds(plan: _Plan) -> float:
    """Estimated seconds of a whole run, from the time of a few images; features that are kept take
    less.
    """
    made = next(iter(plan.at.values()))
    begin = time.perf_counter()
    some = next(iter(made.batches()))
    drawn = time.perf_counter()
    plan.extractor(some)
    seen = time.perf_counter()
    images = made.count * len(plan.at)
    return ((drawn - begin) * images + (seen - drawn) * (images + plan.real.count)) / len(some)


def _picture(plan: _Plan) -> bytes:
    """A row for every seed of every class, a column for every psi."""
    snapshot, spec = plan.snapshot, plan.snapshot.info.spec
    classes: list[str | None] = [*snapshot.info.condition.classes] or [None]
    seeds = [seed for _ in classes for seed in plan.seeds]
    keys = of_seeds(snapshot, seeds, [name for name in classes for _ in plan.seeds])
    psis = torch.tensor(list(plan.at), dtype=torch.float64)
    path = films.between(keys.values, spherical=True)
    film = films.Film(keys, films.steps_at_keys(len(keys), psis), path, plan.rendering)
    drawn = [as_rgb(p, spec.modalities.values()) for p in films.frames(snapshot, film)]
    titles = [
        f"seed {seed}" if name is None else f"{name} {seed}"
        for seed, name in zip(seeds, keys.labels, strict=True)
    ]
    starts = range(0, len(drawn), len(psis))
    rows = [(name, drawn[at : at + len(psis)]) for name, at in zip(titles, starts, strict=True)]
    return contact_sheet(rows, heads=[f"psi {psi:g}" for psi in plan.at])


def _provenance(request: TruncationRequest, plan: _Plan) -> Provenance:
    return Provenance(
        features=Features(**plan.extractor.describe()),
        real=ImageRecord(**{"name": plan.real.name, **plan.real.origin}),
        seed=request.seed,
        version=synthograph.__version__,
        command=request.command_line(),
    )
