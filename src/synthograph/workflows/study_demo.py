"""The study of `synthograph study --demo`: skin-lesion phantoms of two sites, and its file."""

from importlib import resources
from pathlib import Path

from synthograph.core.files import disk_errors, refuse_unwritable_folder, write_text
from synthograph.core.progress import Progress
from synthograph.workflows import phantom
from synthograph.workflows.requests import PhantomRequest

SIZE = 32
AUROC = "auroc=0.95"
"""Of the labels: clear enough that a few hundred images teach something."""
SITES = {"a": 480, "b": 320}
"""Images of the site that trains, and of the external one."""
STUDY = "demo.yaml"


def prepare(folder: Path, progress: Progress) -> Path:
    """Draw both sites and write the study file; what is there already stays.

    Args:
        folder: where all of it goes.
        progress: of the drawing.

    Returns:
        The study file.

    Raises:
        UserError: the folder cannot be written.
    """
    refuse_unwritable_folder(folder)
    with disk_errors(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for seed, (site, count) in enumerate(SITES.items(), start=1):
        dest = folder / f"site-{site}.zip"
        if not dest.exists():
            drawing = PhantomRequest(
                kind="skin",
                dest=dest,
                count=count,
                size=SIZE,
                seed=seed,
                site=site,
                settings=(AUROC,),
            )
            phantom.run(drawing, progress=progress)
    path = folder / STUDY
    if not path.exists():
        kept = resources.files("synthograph.workflows").joinpath("study_demo.yaml")
        write_text(path, kept.read_text("utf-8"))
    return path
