"""What each job can be asked: one request per job, called after it. Nothing here imports torch, so
that options and help are there at once.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from synthograph.core.request import Flag, Place, Positional, Request, Words
from synthograph.features.packaged import DEFAULTS
from synthograph.sources.cells import MISSING
from synthograph.training.config import TrainRequest as TrainRequest
from synthograph.workflows.latent_requests import ONE_EXTRACTOR, OfNetwork, Rendered

MAX_IMAGES = 10_000_000
"""Images that one request makes at most."""
GPUS = "processes, one per GPU; does not change the images"
COPIES = "leave out images too similar to one of TRAIN.zip[:split]"


class PrepareRequest(Request):
    """Turn image files into an archive: every file decoded once, checked, brought to one size."""

    source: Place = Field(
        description="folder, zip or archive with images; also files of MNIST or CIFAR"
    )
    dest: Place = Field(description="archive to be written: NAME.zip or a folder")
    labels: Path | None = Field(None, description="table (CSV or TSV) of labels, groups, ...")
    column: Words = Field(
        (), description="roles of the table's columns: file=...,label=...,group=...,split=..."
    )
    name_regex: str | None = Field(
        None,
        description="regular expression whose named groups become columns; class, patient and "
        "split get their role",
    )
    folders: str | None = Field(
        None,
        description="what the levels of folders are: split, class, patient or *, such as "
        "split/class/patient",
    )
    split_files: Words = Field(
        (), description="official split as lists of files: train.txt,test.txt or test=FILE"
    )
    missing: Words = Field(
        MISSING, description="cells that hold no label, group or split, beside the empty one"
    )
    cohort: str | None = Field(
        None,
        description="public cohort that SOURCE is, such as isic2020: its tables, patients, split "
        "and known traps; 'synthograph cohorts' lists them",
    )
    keep: Words = Field(
        (), description="images that the cohort leaves out and you want, such as lateral"
    )
    layout: Literal["huggingface", "monai", "nnunet", "coco"] | None = Field(
        None,
        description="SOURCE is a folder of another tool, which says what belongs together: "
        "metadata.csv, datalist (monai), dataset of nnU-Net v2, or coco",
    )
    modality: tuple[str, ...] = Field(
        (), description="further modality as NAME=DIR, paired by file name"
    )
    sequences: Words = Field(
        (),
        description="modalities by the last word of file names, such as T1w,FLAIR for "
        "sub-01_T1w.nii.gz and sub-01_FLAIR.nii.gz, wherever they lie below SOURCE",
    )
    primary: str | None = Field(None, description="name of the first modality; image if not given")
    masks: Path | None = Field(
        None,
        description="folder of masks, paired by file name; or beside, for all found beside images",
    )
    mask_suffix: str | None = Field(
        None, description="ending of names that masks beside images have, such as _mask; or none"
    )
    invariant: Words = Field(
        (),
        description="changes that leave an image's meaning alone: mirror,rotate,colour or none; "
        "not stated if not given",
    )
    window: str | None = Field(
        None,
        description="values that become black and white: LOW,HIGH, center=C,width=W, or "
        "percentiles 0.5%,99.5%; of DICOM files also dicom (as they propose) or full (all bits)",
    )
    window_scope: Literal["archive", "volume", "image"] = Field(
        "archive",
        description="take percentiles over training images, all where no split says which these "
        "are (archive), over each volume, or over each image",
    )
    axis: Literal["sagittal", "coronal", "axial"] | None = Field(
        None, description="how volumes are cut; the plane they were taken in if not given"
    )
    every: int = Field(1, ge=1, description="take every Nth slice of a volume or stack")
    min_foreground: float = Field(
        0.0, ge=0, le=1, description="leave out slices with a smaller share of foreground"
    )
    spacing: float | None = Field(
        None, gt=0, description="resample slices and DICOM images to pixels of this side, in mm"
    )
    pages: bool = Field(
        False, description="take every page of TIFF stacks and animations as an image"
    )
    channels: Words = Field(
        (),
        description="modalities that the channels of an image or stack become, in their order, "
        "such as dapi,gfp",
    )
    mpp: float | None = Field(
        None, gt=0, description="scale of tiles of whole slides, in micrometres per pixel"
    )
    per_slide: int | None = Field(
        None, ge=1, description="tiles of each whole slide, drawn at random; all if not given"
    )
    min_tissue: float = Field(
        0.5, ge=0, le=1, description="smallest share of tissue in a tile of a whole slide"
    )
    min_sharpness: float = Field(
        0.0, ge=0, description="smallest sharpness of a tile of a whole slide, such as 3; 0 for any"
    )
    tile_seed: int = Field(0, ge=0, description="seed of the draw of tiles")
    slide_sheet: Path | None = Field(
        None, description="also draw a PNG of all whole slides with the tiles that are taken"
    )
    slide_table: Path | None = Field(
        None,
        description="also write a CSV table of all whole slides: tiles, those left out, stain",
    )
    polygons: Path | None = Field(
        None,
        description="polygons that were drawn on whole slides (GeoJSON of QuPath, XML of ASAP) "
        "label their tiles: a folder of files called like the slides, or beside",
    )
    polygon_classes: Words = Field(
        (),
        description="classes of polygons under other names: Tumor=tumour,_1=tumour,_2=hole; "
        "NAME= leaves some out",
    )
    polygon_share: float = Field(
        0.5, gt=0, le=1, description="share of a tile that a class must cover to be its label"
    )
    polygon_outside: str | None = Field(
        None,
        description="label of tiles that no class covers so, such as none; they are left out if "
        "not given",
    )
    polygon_masks: Literal["background", "ignored"] | None = Field(
        None,
        description="also make masks of polygons; elsewhere they hold 0 (background) or 255 "
        "(ignored)",
    )
    tag: Words = Field(
        (), description="DICOM elements that become columns, such as Laterality,PatientSex"
    )
    pseudonymise: Path | None = Field(
        None,
        description="file with a secret (16 bytes or more) that turns names of files and DICOM "
        "patient ids into pseudonyms",
    )
    series_description: str | None = Field(
        None, description="take DICOM series whose description matches this regular expression"
    )
    captures: bool = Field(False, description="also take DICOM secondary captures and localisers")
    colour: Literal["grey", "rgb"] | None = Field(
        None, description="convert all images to grey or to rgb"
    )
    size: int | None = Field(None, description="side of square images")
    width: int | None = Field(None, description="width of the images")
    height: int | None = Field(None, description="height of the images")
    transform: str | None = Field(None, description="center-crop, center-crop-wide, pad or stretch")
    resize_filter: str = Field("lanczos", description="lanczos or box")
    tile: int | None = Field(None, description="cut images into tiles of this side")
    overlap: int = Field(0, description="pixels that neighbouring tiles share")
    check_text: bool = Field(
        False,
        description="look for burned-in text and for metadata that may name people; what is found "
        "is listed and shown beside the archive, and stays in",
    )
    allow_rejects: bool = Field(False, description="leave out files that cannot be used")
    synthetic: bool = Field(
        False, description="the images were made by a generator: they train, and never judge"
    )
    force: bool = Field(
        False, description="replace an archive that is there, once the new one is complete"
    )
    grid: Path | None = Field(None, description="also draw a PNG with a row of images per class")
    dry_run: bool = Field(
        False,
        description="say what would be read: classes, groups, split; write nothing",
    )
    workers: int | None = Field(None, ge=1, description="processes; one per core if not given")
    part: str | None = Field(
        None,
        description="prepare only part 2/4, on any machine; the command without --part joins all",
    )


class PhantomRequest(Request):
    """Make an archive of phantoms: skin lesions, eyes in two modalities, or 16-bit knees."""

    kind: Annotated[str, Positional()] = Field(description="skin, eye or knee")
    dest: Place = Field(description="archive to be written: NAME.zip or a folder")
    count: int = Field(2000, description="number of images")
    size: int = Field(64, description="side in pixels")
    seed: int = Field(0, description="seed of patients, factors and pixels")
    site: str = Field("a", description="camera: a or b")
    grid: Path | None = Field(None, description="also draw a PNG with a row of images per class")
    settings: Annotated[tuple[str, ...], Flag("--set")] = Field(
        (),
        description="further settings as name=value: site_shift, prevalence, confounders, "
        "confounder_correlation, images_per_patient; of skin and knee also auroc, separation, "
        "patient_effect",
    )


class SplitRequest(Request):
    """Cut an archive into train, val and test. Groups stay whole, classes keep their shares."""

    archive: Place = Field(description="archive to split, in place")
    test: float = Field(0.2, description="share of the images for test, which only reports use")
    val: float = Field(0.1, description="share of the images for validation, which selects models")
    folds: int | None = Field(None, description="cross-validation folds of the train part")
    seed: int = Field(0, description="seed of the random order")
    ungrouped: Literal["refuse", "train", "own"] = Field(
        "refuse",
        description="images without group where others have one: refuse, train (they only train) "
        "or own (each counts as a patient of its own)",
    )
    force: bool = Field(False, description="replace an existing split")


class Seeds(OfNetwork):
    """Which seeds and classes images are made of."""

    seeds: str | None = Field(
        None, description="seeds such as 0-35,97 for every class; 0-15 if not given"
    )
    num: int | None = Field(
        None, ge=1, le=MAX_IMAGES, description="number of images in all, classes taking turns"
    )
    per_class: int | None = Field(
        None, ge=1, le=MAX_IMAGES, description="number of images of every class"
    )
    classes: Annotated[tuple[str, ...], Flag("--class")] = Field(
        (), description="class by name or index; all if not given"
    )


class _Images(Seeds):
    """Which images, and where they go."""

    outdir: Path = Field(description="folder for PNG files, or NAME.zip for an archive")
    latents: tuple[Path, ...] = Field(
        (), description="draw the latents of this file, NAME.npz, instead of seeds; repeat it"
    )
    projected_w: Path | None = Field(
        None, description="draw this projection, a .npz file with the styles w"
    )
    save_latents: Path | None = Field(
        None, description="also write w and z of the images to this file, NAME.npz"
    )


class GenerateRequest(Rendered, _Images):
    """Generate labelled images; the same class and seed always give the same image."""

    kind: Annotated[Literal["png", "jpeg"], Flag("--format")] = Field(
        "png", description="png or jpeg, for single files"
    )
    grid: Path | None = Field(None, description="also draw all images on one PNG")
    gpus: int = Field(1, ge=1, le=1024, description=GPUS)
    part: str | None = Field(
        None,
        description="generate only part 2/4, on any machine; "
        "an archive then needs the command without --part to join the parts",
    )
    reject_copies: str | None = Field(None, description=COPIES)


class EvaluateRequest(Request):
    """Evaluate synthetic images against real ones: fidelity, diversity, each with interval and
    floor.
    """

    run: Annotated[Path | None, Positional()] = Field(
        None, description="run directory: its best snapshot, else the newest, and its archive"
    )
    network: Path | None = Field(None, description="snapshot or .pkl to evaluate")
    synthetic: Path | None = Field(
        None, description="archive or folder of PNG files to evaluate, made by any program"
    )
    real: str | None = Field(
        None, description="archive of real images, ARCHIVE, ARCHIVE:test, ARCHIVE:fold2 ..."
    )
    features: Words = Field((), description=f"extractor, default {DEFAULTS}; can be repeated")
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
        "fp32", description="of the extractor: fp32, or bf16 (faster, numbers about 1 % off)"
    )
    sensitivity: bool = Field(
        False, description="also plant defects in real images, to see which measures notice them"
    )
    gpus: int = Field(1, ge=1, le=1024, description="processes that extract features, one per GPU")
    part: str | None = Field(
        None, description="only extract part 2/4, on any machine that shares the cache"
    )
    out: Path | None = Field(None, description="also write all results to this JSON file")
    dry_run: bool = Field(False, description="validate and print the plan")


class AuditRequest(Request):
    """Search synthetic images for memorised ones: copies, nearest neighbours, membership."""

    synthetic: str | None = Field(
        None, description="archive or folder of PNG files to audit, from any source"
    )
    train: str | None = Field(None, description="what was trained on, ARCHIVE or ARCHIVE:split")
    holdout: str | None = Field(None, description="patients never seen, ARCHIVE or ARCHIVE:split")
    features: Words = Field((), description=f"extractor, default {DEFAULTS}; can be repeated")
    outdir: Path | None = Field(
        None, description="new folder for audit.json, pairs.png and withhold.csv"
    )
    seed: int = Field(0, ge=0, description="seed of draws, permutations and transforms")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    per_fold: tuple[str, ...] = Field(
        (), description="only the cross-fold test: images from one fold's generator; repeat it"
    )
    dry_run: bool = Field(False, description="validate and print the plan")


class EmbeddingsRequest(Request):
    """Export images for the TensorBoard projector, or measure distances of pairs of vectors."""

    archives: Annotated[tuple[str, ...], Positional()] = Field(
        (), description="archives to export, ARCHIVE or ARCHIVE:split"
    )
    synthetic: tuple[str, ...] = Field(
        (), description="further archive or folder of PNG files, shown as synthetic; repeat it"
    )
    projections: tuple[Path, ...] = Field(
        (), description="what 'project' wrote: its images beside their projections; repeat it"
    )
    latents: tuple[Path, ...] = Field(
        (), description="instead of images: NAME.npz, whose styles are the vectors; repeat it"
    )
    network: Path | None = Field(None, description="that the latents are of, as in generate")
    of_class: Annotated[str | None, Flag("--class")] = Field(
        None, description="class of latents z, by name or index"
    )
    outdir: Path | None = Field(None, description="new folder for the export or for pairs.json")
    features: str | None = Field(None, description=ONE_EXTRACTOR)
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    tensors: Path | None = Field(
        None, description="instead of an export: tensors.tsv with pairs of vectors to compare"
    )
    metadata: Path | None = Field(
        None, description="metadata.tsv that says which vectors are a pair"
    )
    dry_run: bool = Field(False, description="validate and print the plan")


class DomainGapRequest(Request):
    """Measure the gap between sets of images: two sites, or real and synthetic."""

    archives: Annotated[tuple[str, ...], Positional()] = Field(
        description="two or more archives, ARCHIVE or ARCHIVE:split"
    )
    features: Words = Field((), description=f"extractor, default {DEFAULTS}; can be repeated")
    of_class: Annotated[tuple[str, ...], Flag("--class")] = Field(
        (), description="only images of this class: CLASS, or ARCHIVE=CLASS for one archive"
    )
    most: int = Field(2000, ge=10, description="images of a set at most, drawn at random")
    outdir: Path | None = Field(
        None, description="also write results, map and thumbnails to this folder"
    )
    seed: int = Field(0, ge=0, description="seed of folds, permutations and draws")
    device: str = Field("auto", description="auto, cpu, cuda or cuda:N")
    dry_run: bool = Field(False, description="validate and print the plan")


class ReportRequest(Request):
    """Write one page on a synthetic set: data, training, measures, copies, use, with verdicts."""

    paths: Annotated[tuple[Path, ...], Positional("RUN_OR_FOLDER...")] = Field(
        description="run directories, archives, study folders, and what evaluate, audit, "
        "domain-gap, classify evaluate and segment evaluate wrote with --out or --outdir"
    )
    out: Annotated[Path, Flag("--out", "-o")] = Field(
        Path("report.html"), description="page to write; the same content goes beside it as JSON"
    )
    title: str = Field("", description="title of the page; the name of the set if not given")
    public: bool = Field(
        False,
        description="leave out real images and local folders, and synthetic images of a run too "
        "unless an audit of images of its network is clean",
    )
    checklist: Words = Field(
        (),
        description="checklists for a manuscript beside the page, filled in as far as the files "
        "know: claim (CLAIM 2024), tripod-ai (TRIPOD+AI)",
    )
    force: bool = Field(False, description="replace a page that is there")


class InspectRequest(Request):
    """Say what a file or folder is; nothing in it is executed. Exit code 2 means refused."""

    path: Place = Field(
        description="snapshot, classifier, segmenter, mask generator, pickle, archive, annotation "
        "set, state, latents, run directory, or folder of runs"
    )
    quick: bool = Field(False, description="read no images of an archive")
    full: bool = Field(False, description="every setting of a model, and lists as a whole")


class ModelsRequest(Request):
    """List model families, presets and every hyper-parameter with default, range and meaning."""

    family: str | None = Field(None, description="show all settings of this family")
    parameter: str | None = Field(
        None, description="show all about this setting, such as r1_gamma or training.batch"
    )
    search: Annotated[tuple[Path, ...], Flag("--search")] = Field(
        (), description="folders of searches: what they found of the setting"
    )
    preset: str | None = Field(None, description="show the values of this preset")
    size: int = Field(256, description="side of the images that the preset is for")


class CohortsRequest(Request):
    """List the public cohorts that 'prepare --cohort' knows, or say everything about one."""

    name: Annotated[str | None, Positional()] = Field(
        None, description="cohort to tell about, or a file NAME.toml of one of your own"
    )


class DoctorRequest(Request):
    """Say which versions and devices are here, which fast paths are used and why, and what missing
    extras would add.
    """


class WeightsRequest(Request):
    """List the weights that measures can use, and what is here; `get` and `import` fetch them."""


class GetWeightsRequest(Request):
    """Download a file of weights, check its hash and keep it."""

    name: Annotated[str, Positional()] = Field(description="name that 'synthograph weights' lists")
    offline: bool = Field(False, description="do not connect; say which file to put where")


class ImportWeightsRequest(Request):
    """Check a file of weights and keep it; nothing in it is executed."""

    name: Annotated[str, Positional()] = Field(description="name that 'synthograph weights' lists")
    file: Place = Field(description="the published file, or safetensors of the same")


class DemoRequest(Request):
    """Run the whole chain on phantoms: archive, split, training, generation, measures, report."""

    outdir: Path = Field(Path("demo"), description="folder of demonstrations")
    kimg: float = Field(8.0, ge=0.01, le=1e7, description="thousands of images to train on")
    count: int = Field(2000, ge=40, description="number of phantoms")
