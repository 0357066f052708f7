"""What `audit` can be asked."""

from pathlib import Path

from pydantic import Field

from synthograph.core.request import Request, Words


class AuditRequest(Request):
    """Search synthetic images for memorised ones: copies, nearest neighbours, membership."""

    synthetic: str | None = Field(
        None, description="archive or folder of PNG files to audit, from any source"
    )
    train: str | None = Field(None, description="what was trained on, ARCHIVE or ARCHIVE:split")
    holdout: str | None = Field(None, description="patients never seen, ARCHIVE or ARCHIVE:split")
    features: Words = Field((), description="extractor, default random-vgg16; can be repeated")
    outdir: Path | None = Field(
        None, description="new folder for audit.json, pairs.png and withhold.csv"
    )
    seed: int = Field(0, ge=0, description="seed of draws, permutations and transforms")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    export: Path | None = Field(
        None, description="new folder for the TensorBoard projector: all images"
    )
    per_fold: tuple[str, ...] = Field(
        (), description="only the cross-fold test: images of a generator per fold; repeat it"
    )
    embeddings: Path | None = Field(
        None, description="only distances of pairs of vectors in this tensors.tsv"
    )
    metadata: Path | None = Field(
        None, description="metadata.tsv that says which vectors are a pair"
    )
    dry_run: bool = Field(False, description="validate and print the plan")
