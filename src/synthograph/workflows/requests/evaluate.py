"""What `evaluate` can be asked."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from synthograph.core.request import Positional, Request, Words


class EvaluateRequest(Request):
    """Evaluate synthetic images against real ones: fidelity, diversity, each with interval and
    floor.
    """

    run: Annotated[Path | None, Positional()] = Field(
        None, description="run directory: its best snapshot, else the newest; its images"
    )
    network: Path | None = Field(None, description="snapshot or .pkl to evaluate")
    synthetic: Path | None = Field(
        None, description="archive or folder of PNG files to evaluate, from any source"
    )
    real: str | None = Field(
        None, description="archive of real images, ARCHIVE, ARCHIVE:test, ARCHIVE:fold2 ..."
    )
    features: Words = Field((), description="extractor, default random-vgg16; can be repeated")
    metrics: Words = Field(
        (), description="names such as frechet,coverage or fid5k_full; default all of our own"
    )
    by: tuple[str, ...] = Field(
        (), description="manifest column whose values are measured one by one"
    )
    num: int | None = Field(
        None, ge=1, le=1_000_000, description="number of synthetic images to generate"
    )
    seed: int = Field(0, ge=0, description="seed of labels, halves and blocks")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    batch: int = Field(64, ge=1, description="images at once; does not change them")
    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="of features: fp32, or bf16: faster, numbers about 1 % off"
    )
    sensitivity: bool = Field(
        False, description="also plant defects in real images: which measures notice them"
    )
    gpus: int = Field(1, ge=1, le=1024, description="processes that extract features, one per GPU")
    part: str | None = Field(
        None, description="only extract part 2/4, on any machine that shares the cache"
    )
    out: Path | None = Field(None, description="also write all results to this JSON file")
    dry_run: bool = Field(False, description="validate and print the plan")
