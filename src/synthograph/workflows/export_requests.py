"""What the jobs can be asked that hand networks and trainings to other programs and people. Nothing
here imports torch.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from synthograph.core.animations import MAX_SIDE
from synthograph.core.request import Flag, Place, Positional, Request
from synthograph.workflows.latent_requests import CENTER, OfNetwork

LICENCE = "licence of the network, such as CC-BY-4.0; not stated if not given"


class ExportRequest(OfNetwork):
    """Write a generator as an ONNX file, with which other programs make images without torch."""

    onnx: Path = Field(description="file to write, NAME.onnx")
    fp16: bool = Field(
        False, description="half precision: a smaller file, slightly different images"
    )
    noise_mode: Literal["const", "random", "none"] = Field(
        "const",
        description="const (fixed maps), random (an input that the program fills with standard "
        "normal numbers), or none",
    )
    trunc_center: Literal["global", "class"] = Field("global", description=CENTER)
    licence: str | None = Field(None, description=LICENCE)


class ConvertRequest(Request):
    """Write a generator as safetensors, and its discriminators beside it; nothing is executed. Or
    copy the images into an archive that links to them, or an archive into a folder of another tool.
    """

    source: Place = Field(
        description="published .pkl, snapshot or run directory; archive of mix --link; with --to "
        "any archive"
    )
    target: Place = Field(
        description="generator's file to write, NAME.safetensors; NAME.zip for an archive; with "
        "--to a new folder"
    )
    to: Literal["imagefolder", "huggingface", "monai", "nnunet", "coco"] | None = Field(
        None,
        description="write the archive's images for torchvision's ImageFolder (imagefolder), "
        "datasets (huggingface), MONAI, nnU-Net v2 or tools that read COCO",
    )
    public: bool = Field(
        False,
        description="leave out the digests of groups and images, by which a holder of an image "
        "could test whether it was trained on, and the folders that private files lay in",
    )
    fp16: bool = Field(
        False, description="weights in 16 bits: files of half the size, images nearly the same"
    )


class FilmRequest(Request):
    """Film a training: the grids of synthetic images in its run directory, in their order."""

    run: Annotated[Path, Positional("RUN")] = Field(
        description="run directory, which holds fakes-*.png"
    )
    out: Annotated[Path, Flag("--out", "-o")] = Field(
        description="NAME.webp, .gif, .mp4, NAME.png (all frames on one picture), or a folder"
    )
    fps: float = Field(4, ge=0.001, le=240, description="frames a second")
    every: int = Field(
        1, ge=1, description="show every Nth grid, counted back from the last one, which is shown"
    )
    width: int | None = Field(
        None, ge=64, le=MAX_SIDE, description="make wider grids smaller, to so many pixels"
    )


class CardRequest(Request):
    """Write a folder to hand on: the network without digests, and a model card about it."""

    network: Annotated[Path, Positional("RUN")] = Field(
        description="run directory (its best snapshot, else the newest), snapshot or .pkl"
    )
    outdir: Path = Field(description="new folder for the network, card.json and README.md")
    results: tuple[Path, ...] = Field(
        (), description="what evaluate, audit or study wrote about the network; repeat it"
    )
    title: str = Field("", description="name of the network; that of its run if not given")
    licence: str | None = Field(None, description=LICENCE)
    author: tuple[str, ...] = Field((), description="who made it, for the citation; repeat it")
    intended_use: str = Field("", description="what it may be used for, in a sentence or two")
