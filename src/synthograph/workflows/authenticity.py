"""Memorisation by recovery: projections of training and of held-out images, compared."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from synthograph.archive.batches import in_random_order, open_rows
from synthograph.archive.reader import open_archive
from synthograph.core.contact_sheets import contact_sheet
from synthograph.core.errors import StoppedError, UserError
from synthograph.core.files import new_folder, refuse_output, write_bytes, write_text
from synthograph.core.progress import Progress
from synthograph.core.request import Result, keeping
from synthograph.core.version import VERSION
from synthograph.features.base import Extractor
from synthograph.metrics.audit.audit import refuse_seen, refuse_strange_training
from synthograph.metrics.audit.recovery import HELD_OUT, OWN, TRAIN, recovery
from synthograph.metrics.overlap import trained_on
from synthograph.models.snapshot import Snapshot
from synthograph.report.recoveries import MEANING, tables
from synthograph.report.words import several
from synthograph.results.authenticity import Authenticity
from synthograph.results.projection import Projection
from synthograph.results.provenance import Features, ImageRecord, Provenance
from synthograph.sampling.generate import ImageRequest, generate_archive, jobs_in_turn
from synthograph.stats.intervals import MIN_GROUPS
from synthograph.workflows import project
from synthograph.workflows.classifying import open_backbone
from synthograph.workflows.environment import here
from synthograph.workflows.latent_inputs import open_network
from synthograph.workflows.latent_requests import AuthenticityRequest, ProjectRequest
from synthograph.workflows.project_files import RESULT
from synthograph.workflows.projected import ProjectedSet
from synthograph.workflows.tables import csv_text, worded_lines

FIRST_OWN = 1_000_000_000
"""Seed of the first of the network's own images: none that people are likely to publish."""
SHOWN = 8
"""Pairs of each set on the picture, the closest first."""
FILES = ("authenticity.json", "pairs.csv", "pairs.png")
ROLES = (TRAIN, HELD_OUT, OWN)


@dataclass(frozen=True, repr=False)
class AuthenticityResult(Result):
    """What the comparison found, and the folder of its files."""

    authenticity: Authenticity
    outdir: Path

    def lines(self) -> Iterator[str]:
        """The table, the answer and its limits."""
        found = self.authenticity
        for table in tables(found):
            yield from worded_lines(table)
        yield f"{found.answer.value}: {found.sentence}"
        yield MEANING[found.answer]
        yield from (f"- {limit}" for limit in found.limits)
        yield from (f"note: {note}" for note in found.notes)
        yield f"{self.outdir}: {', '.join(FILES)}"


def run(request: AuthenticityRequest, *, progress: Progress) -> AuthenticityResult | None:
    """Compare projections of training and held-out images, which are made first where a network
    and an archive are named.

    Returns:
        What was found; None for a dry run.

    Raises:
        UserError: projections that cannot be compared, or images that the network saw.
        StoppedError: a signal came while images were projected; the same command continues.
    """
    extractor = open_backbone(request.features, request.device)
    notes = list[str]()
    if request.network is not None:
        paths = _project(request, notes, progress)
    else:
        paths = _given(request)
        refuse_output(request.outdir, "--outdir")
    if request.dry_run and request.network is not None:
        return None
    sets = {role: ProjectedSet.open(path) for role, path in paths.items()}
    _refuse(sets)
    for role, each in sets.items():
        progress.log(f"{role}: {each.path}, {len(each.found.projections)} projections")
    if request.dry_run:
        return None
    found = _compared(request, sets, extractor, notes)
    result = AuthenticityResult(found, request.outdir)
    with keeping(result):
        _write(request.outdir, found, sets)
    return result


def _given(request: AuthenticityRequest) -> dict[str, Path]:
    if request.train is None or request.held_out is None:
        raise UserError(
            "give --train and --held-out (folders that 'project' wrote), or --network and "
            "--archive to project now"
        )
    every = zip(ROLES, (request.train, request.held_out, request.own), strict=True)
    return {role: path for role, path in every if path is not None}


def _refuse(sets: dict[str, ProjectedSet]) -> None:
    """Refuse projections that were found in different ways, or of images on the wrong side."""
    first = sets[TRAIN]
    for each in sets.values():
        if (space := each.found.method.space) != "w":
            raise UserError(
                f"{each.path}: projections to {space}, which can fit any image: only those with "
                "--space w show what is remembered"
            )
        for what, theirs in each.comparable.items():
            ours = first.comparable[what]
            if theirs != ours:
                raise UserError(
                    f"{each.path}: its {what} is {theirs!s:.30}, that of {first.path} is "
                    f"{ours!s:.30}: project all sets with the same network and options"
                )
    for role, wrong in ((TRAIN, {"val", "test"}), (HELD_OUT, {"train"})):
        strange = [one for one in sets[role].found.projections if one.split in wrong]
        if strange:
            raise UserError(
                f"{sets[role].path}: {len(strange)} of its images are of split "
                f"{strange[0].split}, so they are not {role} images: project ARCHIVE:train "
                "and ARCHIVE:test separately"
            )


# --- projecting -----------------------------------------------------------------------------------


def _project(request: AuthenticityRequest, notes: list[str], progress: Progress) -> dict[str, Path]:
    """Project what is not projected yet; a note for each thing that cannot be checked."""
    given = [path for path in (request.train, request.held_out, request.own) if path is not None]
    if given or request.archive is None or request.network is None:
        raise UserError(
            "--network goes with --archive, and makes the projections itself: leave out --train, "
            "--held-out and --own"
        )
    for name in FILES:
        refuse_output(request.outdir / name, "--outdir")
    snapshot = open_network(request.network, progress)
    train, held_out = _splits(request.archive, snapshot, notes)
    for target in (train, held_out):
        _refuse_few_groups(target, request.num)
    own = request.outdir / "own.zip"
    if own.exists():
        _refuse_other_images(own, request, snapshot)
    elif not request.dry_run:
        request.outdir.mkdir(parents=True, exist_ok=True)
        classes = snapshot.info.condition.classes
        jobs = [(FIRST_OWN + seed, name) for seed, name in jobs_in_turn(request.num, classes)]
        generate_archive(snapshot, ImageRequest(jobs), own, track=progress.track("own images"))
    targets = dict(zip(ROLES, (train, held_out, str(own)), strict=True))
    if request.dry_run:
        progress.log(f"{request.num} images of the network itself are made and projected, too")
        del targets[OWN]
    return {role: _one(request, snapshot, role, text, progress) for role, text in targets.items()}


def _splits(text: str, snapshot: Snapshot, notes: list[str]) -> tuple[str, str]:
    """Training and held-out split of an archive, checked against what the network saw."""
    rows = open_rows(text)
    there = {row.split for row in rows.archive.rows}
    held_out = next((name for name in ("test", "val") if name in there), None)
    if rows.split is not None or held_out is None or "train" not in there:
        raise UserError(
            f"--archive {text}: needs an archive with the splits train and test: run "
            "'synthograph split' before training, and name no split here"
        )
    train, test = (open_rows(f"{text}:{split}").real() for split in ("train", held_out))
    trained = trained_on([snapshot.info.tree()])
    notes += refuse_seen(trained, test)
    notes += refuse_strange_training(trained, train.groups, train.name)
    return f"{text}:train", f"{text}:{held_out}"


def _refuse_few_groups(target: str, count: int) -> None:
    """Refuse before the long work if the images that `project` chooses are of too few groups."""
    rows = list(open_rows(target).rows)
    groups, of_all = ({row.group for row in some} for some in (in_random_order(rows)[:count], rows))
    if len(groups) >= MIN_GROUPS:
        return
    way_out = f"take more than --num {count} images"
    if len(of_all) < MIN_GROUPS:
        way_out = f"there are {len(of_all)} in all: split the archive into larger parts"
    raise UserError(
        f"{target}: the images to project are of {several(len(groups), 'group')}, at least "
        f"{MIN_GROUPS} of training and of held-out images are needed: {way_out}"
    )


def _one(
    request: AuthenticityRequest, snapshot: Snapshot, role: str, target: str, progress: Progress
) -> Path:
    """Project one set, unless that was done."""
    folder = request.outdir / role
    asked = ProjectRequest(
        network=snapshot.path,
        target=target,
        outdir=folder,
        num=request.num,
        steps=request.steps,
        distance="pixels",
        seed=request.seed,
        device=request.device,
        dry_run=request.dry_run,
    )
    progress.log(f"{role}: {target}")
    if (folder / RESULT).is_file() and not request.dry_run:
        _refuse_other_options(request, snapshot, target, ProjectedSet.open(folder))
        return folder
    try:
        project.run(asked, progress=progress)
    except StoppedError as stopped:
        said = str(stopped).partition(". Continue with:")[0]
        raise StoppedError(f"{said}. Continue with: {request.command_line()}") from None
    return folder


def _refuse_other_images(own: Path, request: AuthenticityRequest, snapshot: Snapshot) -> None:
    """Refuse to take over images of another network, or another number of them."""
    archive = open_archive(own)
    networks = {row.columns.get("network") for row in archive.rows}
    if (networks, len(archive.rows)) != ({snapshot.sha256[:16]}, request.num):
        raise UserError(
            f"{own}: holds images of another network, or another number than {request.num}: "
            "choose another --outdir, or give the options as they were"
        )


def _refuse_other_options(
    request: AuthenticityRequest, snapshot: Snapshot, target: str, there: ProjectedSet
) -> None:
    """Refuse to take over projections that this request would not make."""
    method, found = there.found.method, there.found
    count = min(request.num, len(open_rows(target).rows))
    wanted = (snapshot.sha256, target, request.steps, request.seed, count)
    has = (found.network_sha256, found.data.archive, method.steps, method.seed)
    if (*has, len(found.projections)) != wanted:
        raise UserError(
            f"{there.path}: was projected with another network, archive, number, seed or steps: "
            "choose another --outdir, or give the options as they were"
        )


# --- writing --------------------------------------------------------------------------------------


def _compared(
    request: AuthenticityRequest,
    sets: dict[str, ProjectedSet],
    extractor: Extractor,
    notes: Sequence[str],
) -> Authenticity:
    recovered = {role: each.recovery(extractor) for role, each in sets.items()}
    first = sets[TRAIN].found
    found = recovery(
        recovered[TRAIN],
        recovered[HELD_OUT],
        recovered.get(OWN),
        network=first.network,
        seed=request.seed,
    )
    about = Provenance(
        features=Features(**extractor.describe()),
        generated=ImageRecord(networks=(first.network_sha256,)),
        seed=request.seed,
        version=VERSION,
        environment=here(request.device),
        command=request.command_line(),
    )
    settings = {**found.settings, "steps": first.method.steps, "distance": first.distance_name}
    return found.replace(settings=settings, notes=tuple(notes), provenance=about)


def _write(outdir: Path, found: Authenticity, sets: dict[str, ProjectedSet]) -> None:
    """Write the files, into a new folder or beside projections that were made in it."""
    picture = _picture(sets)
    if outdir.is_dir():
        _fill(outdir, found, picture)
        return
    with new_folder(outdir) as folder:
        _fill(folder, found, picture)


def _fill(folder: Path, found: Authenticity, picture: bytes) -> None:
    head = ("set", "image", "group", "label", "pixel", "perceptual", "cosine")
    rows = [
        (p.role, p.image, p.group, p.label, *map(_cell, (p.pixel, p.perceptual, p.cosine)))
        for p in found.pairs
    ]
    write_text(folder / "pairs.csv", csv_text(head, rows))
    write_bytes(folder / "pairs.png", picture)
    found.save(folder / "authenticity.json")


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.6g}"


def _picture(sets: dict[str, ProjectedSet]) -> bytes:
    """The pairs that are closest: image above, projection below."""
    rows = []
    for role, each in sets.items():
        closest = sorted(each.found.projections, key=_distance)[:SHOWN]
        for what, files in (
            ("", [one.target for one in closest]),
            (" reached", [one.result for one in closest]),
        ):
            rows.append((f"{role}{what}", [each.shown(file) for file in files]))
    return contact_sheet(rows)


def _distance(one: Projection) -> float:
    return -math.inf if one.psnr is None else -one.psnr
