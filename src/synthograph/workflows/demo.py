"""The whole chain on phantoms, in a few minutes on a laptop."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from synthograph.archive.gallery import gallery
from synthograph.archive.manifest import in_split
from synthograph.archive.reader import open_archive
from synthograph.core.contact_sheets import contact_sheet
from synthograph.core.errors import BlockedError, UserError
from synthograph.core.files import disk_errors, refuse_unwritable_folder, write_bytes
from synthograph.core.progress import Progress
from synthograph.core.request import Result
from synthograph.workflows import evaluate, generate, phantom, report, split, train
from synthograph.workflows.requests import (
    DemoRequest,
    EvaluateRequest,
    GenerateRequest,
    PhantomRequest,
    ReportRequest,
    SplitRequest,
    TrainRequest,
)

SIZE, SEED = 64, 1
"""Seed 0 draws what the starting network has learned."""
PER_CLASS = 150
"""Synthetic images of a class, as many as measures need to say something."""
START = "phantom:skin"
"""The network of the package that short trainings on one's own images begin with, too."""
PHANTOMS = ("auroc=0.98", "separation=2", "confounders=0.5")
"""Classes that are plain to see, and half as much hair as usual, which short trainings smear."""


@dataclass(frozen=True, repr=False)
class DemoResult(Result):
    """What there is to look at.

    Attributes:
        report: the page.
        picture: real rows above synthetic rows.
        run: the training.
        synthetic: the archive of labelled synthetic images.
    """

    report: Path
    picture: Path
    run: Path
    synthetic: Path

    def lines(self) -> Iterator[str]:
        """What to look at, and what to try next."""
        yield f"""
Look at  {self.report}   the report: open it in a browser
         {self.picture}   real rows above synthetic rows, class by class
         {self.run}   pictures of the training, statistics, snapshots
         {self.synthetic}   {2 * PER_CLASS} labelled images; manifest.csv says where each comes from

Next, on your own images:
  synthograph prepare PHOTOS mine.zip --size 64 --transform center-crop \\
      --labels table.csv --column file=image_name,label=diagnosis,group=patient_id
  synthograph split mine.zip
  synthograph train --data mine.zip --cond --cfg tiny --dry-run
More of this generator:
  synthograph generate --network {self.run} --seeds 0-99 --class melanoma --outdir melanomas"""


def run(request: DemoRequest, *, progress: Progress) -> DemoResult:
    """Draw phantoms, split them, train, generate, measure and report.

    Raises:
        UserError: the folder cannot be written.
        StoppedError: a signal came while it trained or generated.
    """
    folder = _new_folder(request.outdir)
    real, synthetic = folder / "skin.zip", folder / "synthetic.zip"

    def say(result: Result) -> None:
        for line in result.lines():
            progress.log(line)

    progress.log("1 of 6: drawing skin-lesion phantoms")
    drawing = PhantomRequest(
        kind="skin", dest=real, count=request.count, size=SIZE, seed=SEED, settings=PHANTOMS
    )
    say(phantom.run(drawing, progress=progress))
    progress.log("2 of 6: splitting by patient")
    say(split.run(SplitRequest(archive=real, seed=SEED), progress=progress))
    progress.log(f"3 of 6: training a small generator, which begins with {START}")
    training = {
        "data": real,
        "cond": True,
        "cfg": "tiny",
        "kimg": request.kimg,
        "seed": SEED,
        "metrics": "none",  # they would take longer than the training
        "init_from": START,
        "outdir": folder / "runs",
    }
    trained = train.run(TrainRequest.parse(training), progress=progress)
    assert trained is not None, "it is no dry run"
    progress.log("4 of 6: generating labelled images")
    making = GenerateRequest(network=trained.snapshot, outdir=synthetic, per_class=PER_CLASS)
    generate.run(making, progress=progress)
    progress.log("5 of 6: measuring synthetic images against real ones")
    picture = folder / "real-and-generated.png"
    write_bytes(picture, _side_by_side(real, synthetic))
    numbers = folder / "evaluation.json"
    _measure(EvaluateRequest(synthetic=synthetic, real=f"{real}:test", out=numbers), progress)
    progress.log("6 of 6: writing the report")
    about = [path for path in (trained.run, real, synthetic, numbers) if path.exists()]
    title = "Demonstration: skin-lesion phantoms"
    page = ReportRequest(paths=about, out=folder / "report.html", title=title)
    for line in report.run(page, progress=progress).verdicts():
        progress.log(f"  {line}")
    return DemoResult(page.out, picture, trained.run, synthetic)


def _measure(request: EvaluateRequest, progress: Progress) -> None:
    """All measures of our own, into a file; too few images are no reason to stop."""
    try:
        evaluate.run(request, progress=progress)
    except BlockedError:  # of a disk, not of the images
        raise
    except UserError as error:
        progress.log(f"not measured: {error}")


def _new_folder(outdir: Path) -> Path:
    """The next numbered folder."""
    refuse_unwritable_folder(outdir)
    with disk_errors(outdir):
        outdir.mkdir(parents=True, exist_ok=True)
        taken = [int(path.name) for path in outdir.iterdir() if path.name.isdecimal()]
        folder = outdir / f"{max(taken, default=-1) + 1:05d}"
        folder.mkdir()
    return folder


def _side_by_side(real: Path, synthetic: Path, columns: int = 16) -> bytes:
    """PNG: for every class a row of real test images and one of synthetic images."""
    archive = open_archive(real)
    held_out = dict(gallery(archive, in_split(archive.rows, "test"), columns=columns))
    generated = dict(gallery(open_archive(synthetic), columns=columns))
    rows = []
    for label, images in held_out.items():
        rows += [(f"{label}, real", images), (f"{label}, synthetic", generated[label])]
    return contact_sheet(rows)
