"""What the jobs that use synthetic images can be asked: mixing, classifiers, segmenters, studies.
Like `requests`, it imports no torch.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from synthograph.core.errors import UserError
from synthograph.core.request import Flag, Positional, Request, Words
from synthograph.results.classification import Combine
from synthograph.workflows.followed import SIDE_BY_SIDE, Followed, FollowedFit
from synthograph.workflows.latent_requests import Files

MASK_CLASSES = (
    "names of the mask values, background first: background,nucleus for 0 and 1, or "
    "background=0,nucleus=255; by default all values are classes, named by their number"
)


class MixRequest(Request):
    """Put synthetic images beside real training images, by one rule; validation and test stay."""

    real: Annotated[Files, Positional("REAL...")] = Field(
        min_length=1, description="archives of real images, split"
    )
    synthetic: Files = Field(
        (), description="set of synthetic images, or table of files (img_path); may be repeated"
    )
    dest: Annotated[Path | None, Flag("--out", "-o")] = Field(
        None, description="archive to be written: NAME.zip or a folder"
    )
    add: Words = Field((), description="images per class: 100, or MEL=100,NV=50")
    add_percent: Words = Field((), description="images per 100 real ones of a class: 50 or MEL=200")
    top_up: float | None = Field(
        None, gt=0, le=1000, description="every class up to the largest one, times this"
    )
    replace: Words = Field((), description="share of the real images to replace: 0.5 or MEL=0.5")
    only_real: bool = Field(False, description="real images alone")
    only_synthetic: Words = Field(
        (), description="no real training image: all (as many as there were), 500 or MEL=500"
    )
    amounts: Path | None = Field(
        None, description="JSON file of classes, seeds and class_map (seeds 0-510: 0 to 509)"
    )
    synt_n_imgs: str | None = Field(
        None, description="thousands of images per class in class order: 0,15"
    )
    control: Literal["none", "duplicates", "augmentation", "shuffled"] = Field(
        "none",
        description="instead of synthetic images: as many repeated real ones (duplicates), "
        "augmentation, or the same under shuffled labels (shuffled)",
    )
    seed: int = Field(0, description="seed of the choice; a larger amount holds a smaller one")
    link: bool = Field(
        False, description="copy no image: point into the archives, which have to stay"
    )
    dry_run: bool = Field(False, description="print the amounts and write nothing")
    force: bool = Field(False, description="replace an archive that is there")

    def rule(self) -> str:
        """The field of the one rule that was given.

        Raises:
            UserError: none was, or several.
        """
        names = [
            *("add", "add_percent", "top_up", "replace", "only_real", "only_synthetic"),
            *("amounts", "synt_n_imgs"),
        ]
        flags = self.flags()
        given = [name for name in names if getattr(self, name)]
        if len(given) != 1:
            known = ", ".join(flags[name] for name in names)
            found = " and ".join(flags[name] for name in given) or "none"
            raise UserError(f"give one rule of {known}; given: {found}")
        return given[0]


class FitOptions(Request):
    """What trainings of classifiers and segmenters share (ranges: `downstream/fitting.py`)."""

    data: Path = Field(description="archive, split; real images or a mixture")
    out: Annotated[Path | None, Flag("--out", "-o")] = Field(None, description="file to be written")
    steps: int | None = Field(
        None, description="optimiser steps; 20 passes, but 200 to 5000, if not given"
    )
    batch: int = Field(32, description="images per step")
    rate: float | None = Field(None, description="learning rate; fits the network if not given")
    weight_decay: float = Field(0.01, description="weight decay of kernels")
    optimiser: Literal["adamw", "adam"] = Field("adamw", description="adamw or adam")
    schedule: Literal["cosine", "plateau", "constant"] = Field(
        "cosine", description="of the learning rate: cosine, plateau or constant"
    )
    every: int | None = Field(
        None, description="steps between validations; a twentieth of all if not given"
    )
    patience: int = Field(
        6, description="validations without a better one that end training early; 0: never"
    )
    precision: Literal["auto", "fp32", "bf16"] = Field("auto", description="auto, fp32 or bf16")
    transforms: Words = Field(
        (),
        description="of training images: default, all, none or names: mirror, quarter, turn, "
        "scale, crop, shift, stretch, fourier, stain, clahe, brightness, contrast, saturation, "
        "hue, blur, noise; no-NAME leaves one out",
    )
    invariant: Words = Field(
        (),
        description="what leaves the meaning of the images alone: mirror, rotate, colour or none; "
        "as the archive says if not given",
    )
    style: Path | None = Field(
        None, description="archive whose style 'fourier' takes; the other images if not given"
    )
    seed: int = Field(0, description="seed of first weights, order of images and transforms")
    curves: Path | None = Field(
        None, description="also draw loss and validation score over the steps: NAME.png"
    )

    def fit_settings(self, *, images: int, rate: float) -> dict[str, object]:
        """Settings of `FitConfig` for so many training images; `rate` where none was given."""
        passes = -(-20 * images // max(self.batch, 1))
        given = self.model_dump(include=FIT_FIELDS)
        return {
            **given,
            "steps": self.steps if self.steps is not None else min(max(passes, 200), 5000),
            "rate": self.rate if self.rate is not None else rate,
        }


FIT_FIELDS = {
    *("steps", "batch", "rate", "weight_decay", "optimiser", "schedule", "every", "patience"),
    *("precision", "seed"),
}


class ClassifyTrainRequest(FollowedFit, FitOptions):
    """Train a classifier on split train; split val chooses it, split test is never looked at."""

    group = "classify"

    data: Path = Field(description="archive with labels, split; real images or a mixture")
    out: Annotated[Path | None, Flag("--out", "-o")] = Field(
        None, description="classifier to be written: NAME.safetensors"
    )
    backbone: str | None = Field(
        None,
        description="small, googlenet, lite0..2, resnet18..101, densenet121..264, "
        "efficientnet-b0..b7, names of timm; lite0 where its weights are, else small; with --probe "
        "as of evaluate --features",
    )
    probe: bool = Field(
        False, description="leave the network as it is and fit its last layer: seconds"
    )
    weights: Path | None = Field(
        None,
        description="weights of the network: .pth or .safetensors of torchvision, timm, ..., or "
        "imagenet, which downloads those",
    )
    side: int | None = Field(
        None, ge=16, le=2048, description="shorter side of what the network sees; fits the network"
    )
    measure: Literal[
        "auroc", "balanced_accuracy", "macro_f1", "average_precision", "accuracy", "brier"
    ] = Field("auroc", description="score on validation images that chooses, and that ends early")
    balance: Literal["weights", "sampling", "none"] = Field(
        "weights",
        description="classes count the same by weights or by sampling; none: every image does",
    )
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    dry_run: bool = Field(False, description="print the plan and train nothing")


class EvaluateOptions(Request):
    """What scoring a classifier and a segmenter share."""

    model: Path = Field(description="file of a trained network")
    data: str = Field(description="archive, or ARCHIVE:split; split test if there are splits")
    by: Words = Field((), description="also for each value of these columns, such as site,sex")
    out: Annotated[Path | None, Flag("--out", "-o")] = Field(
        None, description="also write the scores as JSON"
    )
    seed: int = Field(0, description="seed of the intervals")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")


class ClassifyEvaluateRequest(EvaluateOptions):
    """Score a classifier on real images that neither it nor its generator saw."""

    group = "classify"

    model: Path = Field(description="classifier of classify train")
    combine: Combine = Field(
        "mean",
        description="how the images of a group decide together: mean (of their probabilities) or "
        "vote",
    )


class PredictOptions(Request):
    """What using a classifier and a segmenter share."""

    model: Path = Field(description="file of a trained network")
    data: str = Field(
        description="archive, ARCHIVE:split, folder or zip of image files, or one image file; "
        "labels and masks are not needed"
    )
    transform: Literal["center-crop", "center-crop-wide", "pad", "stretch"] | None = Field(
        None, description="how files of another shape are brought to size; as in training if known"
    )
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")


class ClassifyPredictRequest(PredictOptions):
    """Write the probability of every class for images: of an archive, a folder, or one file."""

    group = "classify"

    model: Path = Field(description="classifier of classify train")
    out: Annotated[Path, Flag("--out", "-o")] = Field(description="table to be written: NAME.csv")
    pictures: Path | None = Field(
        None,
        description="also a picture per image into this folder: what speaks for its class "
        "(Grad-CAM), and the probabilities",
    )


class SegmentTrainRequest(FollowedFit, FitOptions):
    """Train a segmenter on masks of split train; split val chooses it, test is never looked at."""

    group = "segment"

    data: Path = Field(description="archive with masks, split; real images or a mixture")
    out: Annotated[Path | None, Flag("--out", "-o")] = Field(
        None, description="segmenter to be written: NAME.safetensors"
    )
    network: Literal["unet", "residual-unet", "attention-unet"] = Field(
        "unet", description="unet, residual-unet or attention-unet"
    )
    width: int = Field(
        16, ge=4, le=128, description="channels of its first layer, twice as many after each next"
    )
    classes: Words = Field((), description=MASK_CLASSES)
    batch: int = Field(8, description="images per step")
    measure: str = Field(
        "dice",
        description="score on validation images that chooses: dice or iou, mean over classes, or "
        "of one class as dice:NAME",
    )
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    dry_run: bool = Field(False, description="print the plan and train nothing")


class SegmentEvaluateRequest(EvaluateOptions):
    """Score a segmenter on masks of real images that neither it nor its generator saw."""

    group = "segment"

    model: Path = Field(description="segmenter of segment train")
    table: Path | None = Field(None, description="also write the scores of every image: NAME.csv")
    overlays: Path | None = Field(
        None, description="also draw the worst, middle and best images: NAME.png"
    )


class SegmentPredictRequest(PredictOptions):
    """Write a mask for every image, a PNG of mask values as in training: of an archive, a folder,
    or one file.
    """

    group = "segment"

    model: Path = Field(description="segmenter of segment train")
    out: Annotated[Path, Flag("--out", "-o")] = Field(description="folder of masks to be written")
    pictures: Path | None = Field(
        None, description="also a folder of pictures: every image beside its mask"
    )


class StudyRequest(Followed):
    """Do synthetic images help? Cross-validation by patient, as a study file says."""

    study: Annotated[Path | None, Positional("STUDY.yaml")] = Field(
        None, description="file of data, conditions, folds, generators; keys: docs/formats.md"
    )
    outdir: Path | None = Field(
        None, description="folder of the study; that of the file without its ending if not given"
    )
    trained_on: Path | None = Field(
        None, description="table with a column group: what generators of others were trained on"
    )
    plan: bool = Field(
        False, description="check everything; print groups, smallest difference and hours"
    )
    demo: bool = Field(
        False, description="a small study of skin phantoms of two sites, in the folder study-demo"
    )
    gpus: int = Field(1, ge=1, le=1024, description=SIDE_BY_SIDE)
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
