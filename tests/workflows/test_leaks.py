"""Leaks that are planted, each refused by name, and clean studies, none of which is refused."""

import io
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file, save_file

import synthograph as sg
from synthograph.archive.batches import ArchiveRows
from synthograph.archive.linked import linked
from synthograph.archive.manifest import Row
from synthograph.archive.reader import Archive, ArchiveInfo, open_archive
from synthograph.archive.split import SplitOptions, rewrite, split_archive
from synthograph.archive.writer import ArchiveWriter, encode
from synthograph.core.errors import UserError
from synthograph.core.progress import Silent
from synthograph.core.spec import ImageSpec
from synthograph.workflows.study_inputs import Inputs, open_inputs
from synthograph.workflows.study_settings import read_study
from tests.conftest import NVIDIA

BACKBONE = "random-vgg16"
CLASSES = ("benign", "melanoma")
SIDE = 32
Change = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Taken:
    """An image of a hospital: what the manifest says, and its pixels [h, w, c]."""

    row: Row
    pixels: np.ndarray


def picture(seed: int, label: int, channels: int = 3, bits: int = 8) -> np.ndarray:
    """A blurred random texture, brighter in the second class."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(110 + 40 * label, 30, (16, 16, 1)).repeat(2, 0).repeat(2, 1)
    smooth = (coarse + np.roll(coarse, 1, 0) + np.roll(coarse, 1, 1)) / 3
    smooth = smooth + rng.normal(0, 10, channels)
    top = 255 if bits == 8 else 65535
    return (smooth.clip(0, 255) / 255 * top).astype(np.uint8 if bits == 8 else np.uint16)


def patients(
    count: int = 24, *, per: int = 2, seed: int = 0, name: str = "P", **kind: int
) -> list[Taken]:
    """Images of patients, of one class each."""
    found = []
    for number in range(count):
        for image in range(per):
            pixels = picture(1000 * seed + 10 * number + image, number % 2, **kind)
            found.append(Taken(Row("", CLASSES[number % 2], f"{name}{number}"), pixels))
    return found


def write(
    path: Path,
    images: Sequence[Taken],
    *,
    namespace: str = "home",
    snapshots: Sequence[dict] = (),
    cut: bool = False,
) -> Path:
    """An archive of them, split by group if that is wanted."""
    writer = ArchiveWriter(path, {"test": str(path)})
    for image in images:
        writer.add([encode({"image": image.pixels}, None, image.row)])
    channels, bits = images[0].pixels.shape[2], 8 * images[0].pixels.dtype.itemsize
    spec = ImageSpec(height=SIDE, width=SIDE, modalities={"image": channels}, bits=bits)
    classes = list(dict.fromkeys(i.row.label for i in images if i.row.label))
    writer.finish(
        ArchiveInfo(classes=classes, spec=spec, namespace=namespace, snapshots=list(snapshots))
    )
    if cut:
        split_archive(path, SplitOptions(test=0.25, val=0.25))
    return path


def saw(archive: Archive, split: str | None) -> dict[str, list[str]]:
    """What the document of a generator says that was trained on a split."""
    rows = ArchiveRows(archive, [r for r in archive.rows if split is None or r.split == split])
    return {"group_digests": list(rows.groups), "image_digests": list(rows.pixels)}


def synthetic(path: Path, *documents: dict, seed: int = 77, count: int = 40) -> Path:
    """A set of a generator that these documents describe."""
    made = [
        Taken(
            Row("", CLASSES[n % 2], "synthetic-g", origin="synthetic", columns={"seed": str(n)}),
            picture(100_000 * seed + n, n % 2),
        )
        for n in range(count)
    ]
    return write(path, made, namespace="made", snapshots=documents)


def jpeg(pixels: np.ndarray) -> np.ndarray:
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=75)
    return np.asarray(Image.open(data))


SOME = ("jpeg", "all of it")
CHANGES: dict[str, Change] = {
    "equal": lambda pixels: pixels,
    "jpeg": jpeg,
    "mirrored": lambda pixels: pixels[:, ::-1],
    "turned": lambda pixels: np.rot90(pixels, 1),
    "brightened": lambda pixels: (pixels * 1.1 + 10).clip(0, 255).astype(np.uint8),
    "all of it": lambda pixels: jpeg((pixels[::-1] * 0.8 + 20).astype(np.uint8)),
}


def resized(pixels: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR))


def shifted(pixels: np.ndarray, down: int, right: int) -> np.ndarray:
    edge = ((8, 8), (8, 8), (0, 0))
    whole = np.pad(pixels, edge, mode="edge")
    return whole[8 + down : 8 + down + SIDE, 8 + right : 8 + right + SIDE]


CUTS: dict[str, Change] = {
    "shifted": lambda pixels: shifted(pixels, 2, -3),
    "shifted, mirrored, darker": lambda pixels: shifted(pixels[:, ::-1] // 2, -2, 2),
    "cropped": lambda pixels: resized(pixels[1:-1, 1:-1], SIDE),
    "padded": lambda pixels: resized(np.pad(pixels, ((3, 3), (3, 3), (0, 0))), SIDE),
    "negative": lambda pixels: 255 - pixels,
}


def renamed(images: Sequence[Taken], change: Change, name: str = "new") -> list[Taken]:
    """The same pictures as other pixels, of patients with other names."""
    return [
        Taken(
            replace(image.row, group=f"{name}{image.row.group}"),
            np.ascontiguousarray(change(image.pixels)),
        )
        for image in images
    ]


def plan(folder: Path, data: Path, **settings: object) -> Inputs:
    """Everything that a study checks before any work; what it would cost is not measured."""
    tree = {
        "data": str(data),
        "folds": 3,
        "conditions": ["real", "mixed"],
        "classifier": {"backbone": BACKBONE},
        "primary": {"measure": "accuracy"},
        **settings,
    }
    file = folder / f"study{len(list(folder.glob('*.yaml')))}.yaml"
    file.write_text(yaml.safe_dump(tree))
    return open_inputs(read_study(file), "cpu", Silent())


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return write(tmp_path / "home.zip", patients(), cut=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """An archive, split, and a classifier of it."""
    folder = tmp_path_factory.mktemp("leaks")
    data = write(folder / "home.zip", patients(), cut=True)
    model = folder / "c.safetensors"
    sg.classify_train(data=data, out=model, backbone=BACKBONE, probe=True)
    return data, model


def moved(path: Path, group: str, new: str, split: str | None = None) -> None:
    """Rename a group in the manifest, on one of its images."""
    archive = open_archive(path)
    place = next(n for n, row in enumerate(archive.rows) if row.group == group)
    rows = list(archive.rows)
    rows[place] = replace(rows[place], group=new, split=split or rows[place].split)
    rewrite(archive, rows)


def of(path: Path, split: str) -> str:
    """A group of a split."""
    return next(row.group for row in open_archive(path).rows if row.split == split)


@pytest.mark.parametrize(
    "spelling",
    ["{}", "{} ", "p{n}", "P0{n}", "P-{n}", "P_{n}", "{}.0", "{}.", "{}\u200b", "\uff30{n}"],
)
def test_one_patient_in_two_splits(home: Path, tmp_path: Path, spelling: str) -> None:
    """Whatever somebody made of the name."""
    group, other = of(home, "test"), of(home, "train")
    moved(home, other, spelling.format(group, n=group[1:]))
    message = "are in two splits|are called alike"
    options = {"only_real": True, "dest": tmp_path / "m.zip"}
    with pytest.raises(UserError, match=message):
        sg.mix(home, **options)
    with pytest.raises(UserError, match=message):
        sg.classify_train(data=home, out=tmp_path / "c.safetensors", probe=True)
    with pytest.raises(UserError, match=message):
        plan(tmp_path, home, folds="split")


def test_one_patient_under_two_spellings_is_not_cut_into_folds(tmp_path: Path) -> None:
    images = patients()
    images[0] = replace(images[0], row=replace(images[0].row, group="p 00"))
    with pytest.raises(UserError, match="'P0' and 'p 00'"):
        plan(tmp_path, write(tmp_path / "home.zip", images))


def test_synthetic_images_never_judge(
    home: Path, tmp_path: Path, trained: tuple[Path, Path]
) -> None:
    archive = open_archive(home)
    where = next(n for n, row in enumerate(archive.rows) if row.split == "test")
    rows = [replace(r, origin="synthetic") if n == where else r for n, r in enumerate(archive.rows)]
    rewrite(archive, rows)
    for attempt in (
        lambda: sg.classify_evaluate(model=trained[1], data=str(home)),
        lambda: sg.mix(home, only_real=True, dest=tmp_path / "m.zip"),
        lambda: plan(tmp_path, home),
        lambda: plan(tmp_path, trained[0], external=[str(home)]),
    ):
        with pytest.raises(UserError, match="is synthetic"):
            attempt()


@pytest.mark.parametrize("through", ["itself", "its parent", "its parent's parent"])
@pytest.mark.parametrize("split", ["val", "test"])
def test_a_generator_that_saw_a_test_patient(
    home: Path, tmp_path: Path, through: str, split: str
) -> None:
    document: dict = saw(open_archive(home), split)
    for _ in range(["itself", "its parent", "its parent's parent"].index(through)):
        document = {**saw(open_archive(home), "train"), "initialised_from": document}
    made = synthetic(tmp_path / "made.zip", document)
    with pytest.raises(UserError, match="outside the training split"):
        sg.mix(home, synthetic=made, add="2", dest=tmp_path / "m.zip")
    with pytest.raises(UserError, match=f"{split} groups of fold 0"):
        plan(tmp_path, home, folds="split", draws=1, generator={"sets": [str(made)]})


def test_one_generator_of_all_patients_feeds_no_fold(tmp_path: Path) -> None:
    """The design of a thyroid study that was published."""
    data = write(tmp_path / "home.zip", patients())
    made = synthetic(tmp_path / "made.zip", saw(open_archive(data), None))
    with pytest.raises(UserError, match="test groups of fold 0"):
        plan(tmp_path, data, draws=1, generator={"sets": [str(made)]})


def test_a_generator_that_is_known_by_pixels_alone(home: Path, tmp_path: Path) -> None:
    archive = open_archive(home)
    pixels = saw(archive, "test")["image_digests"]
    made = synthetic(tmp_path / "made.zip", {"group_digests": ["0"], "image_digests": pixels})
    with pytest.raises(UserError, match="equal validation or test images"):
        sg.mix(home, synthetic=made, add="2", dest=tmp_path / "m.zip")
    with pytest.raises(UserError, match="images that equal"):
        plan(tmp_path, home, folds="split", draws=1, generator={"sets": [str(made)]})


@pytest.mark.parametrize("way", ["itself", "mixed", "near"])
def test_projections_of_test_images(home: Path, tmp_path: Path, way: str) -> None:
    """They are nearly the images themselves, whatever the generator was trained on."""
    network, out = NVIDIA / "cond2_rgb_32.pkl", tmp_path / "found"
    kind = {"network": network, "of_class": "0"}
    how = {"num": 1, "steps": 1, "distance": "pixels"}
    sg.project(target=f"{home}:test", outdir=out, **kind, **how)
    (latents,) = out.glob("*.npz")
    if way == "mixed":
        sg.mix_styles(rows="1", cols=str(latents), outdir=tmp_path / "mixed", **kind)
        latents = tmp_path / "mixed" / "latents.npz"
    elif way == "near":
        sg.neighbours(latents=latents, num=1, outdir=tmp_path / "near", **kind)
        latents = tmp_path / "near" / "latents.npz"
    sg.generate(network=network, latents=[latents], outdir=tmp_path / "drawn.zip")
    message = "or its images are projections of, 1 "
    with pytest.raises(UserError, match=f"{message}groups of .*, and project images of that alone"):
        sg.mix(home, synthetic=tmp_path / "drawn.zip", add="1", dest=tmp_path / "m.zip")
    (drawn,) = open_archive(tmp_path / "drawn.zip").info.snapshots
    archive = open_archive(home)
    made = synthetic(tmp_path / "made.zip", {**drawn, **saw(archive, "train")})
    with pytest.raises(UserError, match="projected, such as"):
        sg.evaluate(real=f"{home}:test", synthetic=str(made), features=BACKBONE)
    with pytest.raises(UserError, match=f"it was trained on, {message}of 6 test groups"):
        plan(tmp_path, home, folds="split", draws=1, generator={"sets": [str(made)]})


def test_projections_of_training_images_and_of_others(home: Path, tmp_path: Path) -> None:
    archive = open_archive(home)
    proven, dest = saw(archive, "train"), tmp_path / "m.zip"
    made = synthetic(tmp_path / "made.zip", {**proven, "projected": saw(archive, "train")})
    assert not sg.mix(home, synthetic=made, add="2", dest=dest).notes
    settings = {"folds": "split", "draws": 1, "generator": {"sets": [str(made)]}}
    plan(tmp_path, home, **settings)
    strange = {**proven, "projected": {"group_digests": ["0"], "image_digests": ["1"]}}
    made = synthetic(tmp_path / "strange.zip", strange)
    settings["generator"] = {"sets": [str(made)]}
    (note,) = sg.mix(home, synthetic=made, add="2", dest=dest, force=True).notes
    assert "are projections of images that" in note and "is not known" in note
    with pytest.raises(UserError, match="does not hold, which may be of test patients"):
        plan(tmp_path, home, **settings)
    pixels = saw(archive, "val")["image_digests"]
    made = synthetic(tmp_path / "v.zip", {**proven, "projected": {"image_digests": pixels}})
    with pytest.raises(UserError, match="images that equal validation or test images"):
        sg.mix(home, synthetic=made, add="2", dest=dest, force=True)


def stolen(home: Path, dest: Path, change: str) -> Path:
    """Test images, changed, as a set of a generator that saw training images alone."""
    archive = open_archive(home)
    taken = [
        Taken(
            replace(row, group="synthetic-g", split=None, origin="synthetic"),
            np.ascontiguousarray(CHANGES[change](archive.read(row).transpose(1, 2, 0))),
        )
        for row in archive.rows
        if row.split == "test"
    ]
    return write(dest, taken, namespace="made", snapshots=[saw(archive, "train")])


@pytest.mark.parametrize("change", ["equal", *SOME])
def test_test_images_that_are_called_synthetic(home: Path, tmp_path: Path, change: str) -> None:
    made = stolen(home, tmp_path / "made.zip", change)
    with pytest.raises(UserError, match="are validation or test images|show the same picture"):
        sg.mix(home, synthetic=made, add="2", dest=tmp_path / "m.zip")


@pytest.mark.parametrize("change", ["equal", *SOME])
def test_a_set_of_test_images_serves_no_study(home: Path, tmp_path: Path, change: str) -> None:
    """Before any work, also where its record says that the generator saw training images alone."""
    made = stolen(home, tmp_path / "made.zip", change)
    with pytest.raises(UserError, match="are validation or test images|show the same picture"):
        plan(
            tmp_path,
            home,
            folds="split",
            draws=1,
            ratios=[0.1],
            generator={"sets": [str(made)]},
        )


@pytest.mark.parametrize("control", ["none", "duplicates"])
def test_a_mixture_is_no_data_of_a_study(home: Path, tmp_path: Path, control: str) -> None:
    """Even where its rows were changed to call all images real."""
    path, made = tmp_path / "m.zip", synthetic(tmp_path / "s.zip", saw(open_archive(home), "train"))
    given = {"synthetic": made} if control == "none" else {}
    sg.mix(home, control=control, add="2", dest=path, **given)
    archive = open_archive(path)
    rewrite(archive, [replace(row, origin="real") for row in archive.rows])
    with pytest.raises(UserError, match="is a mixture: give the archive of real images"):
        plan(tmp_path, path)
    archive = open_archive(made)
    rewrite(archive, [replace(row, origin="real", group=row.file) for row in archive.rows])
    with pytest.raises(UserError, match="names the generator of its images"):
        plan(tmp_path, made)


def test_archives_that_were_joined_are_data_of_a_study(tmp_path: Path) -> None:
    paths = [
        write(tmp_path / f"{n}.zip", patients(12, seed=n), namespace=f"n{n}", cut=True)
        for n in (0, 1)
    ]
    sg.mix(paths, only_real=True, dest=tmp_path / "both.zip")
    plan(tmp_path, tmp_path / "both.zip")


def test_external_patients_in_another_spelling(home: Path, tmp_path: Path) -> None:
    """Refused where both archives are of one namespace, else told."""
    spelled = [
        Taken(replace(i.row, group=f"{i.row.group.lower()} "), i.pixels) for i in patients(seed=9)
    ]
    here = write(tmp_path / "here.zip", spelled)
    with pytest.raises(UserError, match="are called alike"):
        plan(tmp_path, home, external=[str(here)])
    there = write(tmp_path / "there.zip", spelled, namespace="there")
    assert any(
        "are called as groups" in note for note in plan(tmp_path, home, external=[str(there)]).notes
    )


def test_a_generator_that_saw_the_images_that_choose(home: Path, tmp_path: Path) -> None:
    """The archive was cut anew after its mixture was made."""
    made = synthetic(tmp_path / "made.zip", saw(open_archive(home), "train"))
    mixed = tmp_path / "m.zip"
    sg.mix(home, synthetic=made, add="2", dest=mixed)
    archive = open_archive(mixed)
    cut = {"train": "val", "val": "train"}
    rows = [
        replace(r, split=cut.get(r.split or "", r.split)) if r.real else r for r in archive.rows
    ]
    rewrite(archive, rows)
    with pytest.raises(UserError, match="was trained on 12 of 12 validation groups"):
        sg.classify_train(data=mixed, out=tmp_path / "c.safetensors", probe=True)


def test_a_classifier_whose_record_was_emptied(trained: tuple[Path, Path], tmp_path: Path) -> None:
    data, model = trained
    with safe_open(model, "pt") as file:
        header = dict(file.metadata())
    ((key, text),) = ((k, v) for k, v in header.items() if "group_digests" in v)
    emptied = json.loads(text) | {"group_digests": [], "image_digests": []}
    path = tmp_path / "emptied.safetensors"
    save_file(load_file(model), path, header | {key: json.dumps(emptied)})
    with pytest.raises(UserError, match="does not say what it was trained on"):
        sg.classify_evaluate(model=path, data=f"{data}:train")


@pytest.mark.parametrize("change", [name for name in CHANGES if name != "equal"])
def test_pictures_that_come_again_as_other_pixels(
    tmp_path: Path, trained: tuple[Path, Path], change: str
) -> None:
    data, model = trained
    rows = open_archive(data).rows
    train = [i for i, row in zip(patients(), rows, strict=True) if row.split == "train"]
    again = renamed(train[:6], CHANGES[change])
    twice = write(tmp_path / "twice.zip", [*patients(), *again])
    with pytest.raises(UserError, match="show the same picture as images of other groups"):
        plan(tmp_path, twice)
    fresh = patients(seed=5, name="X")
    other = write(tmp_path / "other.zip", [*fresh, *again], namespace="other")
    with pytest.raises(UserError, match=r"show the same picture as images of home\.zip"):
        plan(tmp_path, data, external=[str(other)])
    with pytest.raises(UserError, match=r"show the same picture as images that trained c"):
        sg.classify_evaluate(model=model, data=str(other))


def cut_again(data: Path, cut: str, count: int = 8) -> list[Taken]:
    """Other cuts of training images, under other names."""
    rows = open_archive(data).rows
    train = [i for i, row in zip(patients(), rows, strict=True) if row.split == "train"]
    return renamed(train[:count], CUTS[cut])


@pytest.mark.parametrize("cut", CUTS)
def test_external_images_that_are_other_cuts_of_training_images(
    tmp_path: Path, trained: tuple[Path, Path], cut: str
) -> None:
    images = [*patients(8, seed=5, name="X"), *cut_again(trained[0], cut)]
    other = write(tmp_path / "other.zip", images, namespace="other")
    with pytest.raises(UserError, match=r"look like other cuts of images of home\.zip"):
        plan(tmp_path, trained[0], external=[str(other)])


def test_other_cuts_of_training_images(tmp_path: Path, trained: tuple[Path, Path]) -> None:
    """Many are refused, a few are told with their names."""
    data, model = trained
    again = cut_again(data, "shifted")
    twice = write(tmp_path / "twice.zip", [*patients(), *again])
    with pytest.raises(UserError, match="look like other cuts of images of other groups"):
        plan(tmp_path, twice)
    few = write(tmp_path / "few.zip", [*patients(seed=5, name="X"), *again[:2]], namespace="few")
    notes = sg.classify_evaluate(model=model, data=str(few)).evaluation.notes
    (note,) = [note for note in notes if "other cuts of images that trained c" in note]
    assert "00000/img00000048.png = " in note and "look at them" in note


@pytest.mark.parametrize("change", SOME)
def test_training_images_that_are_test_images_as_other_pixels(
    home: Path, tmp_path: Path, change: str
) -> None:
    rows = open_archive(home).rows
    images = [Taken(r, i.pixels) for r, i in zip(rows, patients(), strict=True)]
    tested = [image for image in images if image.row.split == "test"]
    again = [
        replace(i, row=replace(i.row, split="train")) for i in renamed(tested, CHANGES[change])
    ]
    path = write(tmp_path / "again.zip", [*images, *again])
    with pytest.raises(UserError, match="show the same picture as training images"):
        sg.mix(path, only_real=True, dest=tmp_path / "m.zip")
    one = write(tmp_path / "one.zip", [*patients(seed=3, name="Y")], namespace="one", cut=True)
    extra = write(tmp_path / "extra.zip", again, namespace="extra")
    with pytest.raises(UserError, match=r"show the same picture as training images of extra\.zip"):
        sg.mix((home, one, extra), only_real=True, dest=tmp_path / "m.zip")


def test_external_images_that_trained(tmp_path: Path, trained: tuple[Path, Path]) -> None:
    data, model = trained
    copy = write(tmp_path / "copy.zip", patients())
    with pytest.raises(UserError, match="groups train or choose"):
        plan(tmp_path, data, external=[str(copy)])
    other = renamed(patients(), CHANGES["equal"])
    equal = write(tmp_path / "equal.zip", other, namespace="other")
    with pytest.raises(UserError, match="images equal images of home.zip"):
        plan(tmp_path, data, external=[str(equal)])
    with pytest.raises(UserError, match="equal images that c.safetensors saw"):
        sg.classify_evaluate(model=model, data=str(equal))


@pytest.mark.parametrize("split", ["train", "val"])
def test_validation_is_no_test(trained: tuple[Path, Path], split: str) -> None:
    with pytest.raises(UserError, match="were seen by c.safetensors"):
        sg.classify_evaluate(model=trained[1], data=f"{trained[0]}:{split}")


def test_a_classifier_of_another_fold_saw_the_test_patients(
    tmp_path: Path, trained: tuple[Path, Path]
) -> None:
    data, model = trained
    whole = open_archive(data)
    turned = {"train": "test", "val": "train", "test": "val"}
    rows = [replace(row, split=turned[row.split or ""]) for row in whole.rows]
    linked(whole, rows, tmp_path / "fold1.zip")
    with pytest.raises(UserError, match="were seen by c.safetensors"):
        sg.classify_evaluate(model=model, data=str(tmp_path / "fold1.zip"))


def test_a_classifier_of_a_merged_archive_saw_the_test_patients(tmp_path: Path) -> None:
    """Its training groups are known by the archive that they came from."""
    paths = [
        write(tmp_path / f"{n}.zip", patients(seed=n), namespace=f"n{n}", cut=True) for n in (0, 1)
    ]
    sg.mix(paths, only_real=True, dest=tmp_path / "both.zip", link=True)
    sg.classify_train(
        data=tmp_path / "both.zip", out=tmp_path / "c.safetensors", backbone=BACKBONE, probe=True
    )
    for path in paths:
        sg.classify_evaluate(model=tmp_path / "c.safetensors", data=f"{path}:test")
        with pytest.raises(UserError, match="were seen by c.safetensors"):
            sg.classify_evaluate(model=tmp_path / "c.safetensors", data=f"{path}:train")


@pytest.mark.parametrize("change", ["equal", *SOME])
def test_a_threshold_that_test_images_chose(tmp_path: Path, change: str) -> None:
    """Test images stand in for validation, under other names."""
    rows = open_archive(write(tmp_path / "home.zip", patients(), cut=True)).rows
    images = [Taken(r, i.pixels) for r, i in zip(rows, patients(), strict=True)]
    tested = [image for image in images if image.row.split == "test"]
    chosen = [replace(i, row=replace(i.row, split="val")) for i in renamed(tested, CHANGES[change])]
    rest = [image for image in images if image.row.split != "val"]
    path = write(tmp_path / "swapped.zip", [*rest, *chosen])
    model = tmp_path / "c.safetensors"
    sg.classify_train(data=path, out=model, backbone=BACKBONE, probe=True)
    with pytest.raises(UserError, match="equal images that|show the same picture"):
        sg.classify_evaluate(model=model, data=str(path))
    with pytest.raises(UserError, match="under several names|show the same picture"):
        plan(tmp_path, path, folds="split")


def test_a_mixture_is_not_mixed_again(home: Path, tmp_path: Path) -> None:
    made = synthetic(tmp_path / "made.zip", saw(open_archive(home), "train"))
    for number, options in enumerate(
        ({"synthetic": made, "add": "2"}, {"control": "duplicates", "add": "2"})
    ):
        path = tmp_path / f"m{number}.zip"
        sg.mix(home, dest=path, **options)
        with pytest.raises(UserError, match="is a mixture already"):
            sg.mix(path, synthetic=made, add="2", dest=tmp_path / "n.zip")


def clean_grey(folder: Path) -> dict:
    return {"data": write(folder / "a.zip", patients(channels=1))}


def clean_sixteen_bits(folder: Path) -> dict:
    return {"data": write(folder / "a.zip", patients(channels=1, bits=16))}


def clean_split(folder: Path) -> dict:
    return {"data": write(folder / "a.zip", patients(), cut=True), "folds": "split"}


def clean_same_names_elsewhere(folder: Path) -> dict:
    """Every hospital has a patient P1."""
    there = write(folder / "b.zip", patients(seed=9), namespace="there")
    return {"data": write(folder / "a.zip", patients()), "external": [str(there)]}


def clean_external_alone(folder: Path) -> dict:
    there = write(folder / "b.zip", patients(seed=9, name="Q"), namespace="there")
    here = write(folder / "a.zip", patients())
    return {"data": here, "external": [str(there)], "folds": "external"}


def clean_two_external_sets_alone(folder: Path) -> dict:
    further = write(folder / "c.zip", patients(6, seed=5, name="R"), namespace="further")
    made = clean_external_alone(folder)
    return {**made, "external": [*made["external"], str(further)]}


def clean_without_groups(folder: Path) -> dict:
    images = [Taken(replace(i.row, group=""), i.pixels) for i in patients(40, per=1)]
    return {"data": write(folder / "a.zip", images)}


def clean_copies_of_one_patient(folder: Path) -> dict:
    images = patients()
    return {"data": write(folder / "a.zip", [*images, *images[:10]])}


def clean_copies_under_two_groups(folder: Path) -> dict:
    """Which the folds keep together."""
    images = patients()
    return {"data": write(folder / "a.zip", [*images, *renamed(images[:4], CHANGES["equal"])])}


def clean_slices(folder: Path) -> dict:
    """Neighbouring slices of a patient look the same, those of two patients do not."""
    images = [
        Taken(i.row, (i.pixels * (1 - step / 50)).astype(np.uint8))
        for i in patients(per=1)
        for step in range(4)
    ]
    return {"data": write(folder / "a.zip", images)}


def blank_images() -> list[Taken]:
    """Empty images are equal wherever they are."""
    return [
        Taken(Row("", "benign", group), np.zeros((SIDE, SIDE, 3), np.uint8))
        for group in ("P0", "P2", "P4", "P6")
    ]


def clean_blank_images(folder: Path) -> dict:
    there = write(folder / "b.zip", [*patients(seed=9), *blank_images()], namespace="there")
    here = write(folder / "a.zip", [*patients(), *blank_images()])
    return {"data": here, "external": [str(there)]}


def clean_proven_set(folder: Path) -> dict:
    data = write(folder / "a.zip", patients(), cut=True)
    made = synthetic(folder / "made.zip", saw(open_archive(data), "train"))
    return {"data": data, "folds": "split", "draws": 1, "generator": {"sets": [str(made)]}}


def clean_declared_set(folder: Path) -> dict:
    data = write(folder / "a.zip", patients(), cut=True)
    made = synthetic(folder / "made.zip")
    groups = {row.group for row in open_archive(data).rows if row.split == "train"}
    (folder / "groups.csv").write_text("group\n" + "\n".join(sorted(groups)) + "\n")
    generator = {"sets": [str(made)], "trained_on": str(folder / "groups.csv")}
    return {"data": data, "folds": "split", "draws": 1, "generator": generator}


def clean_alike_pictures(folder: Path) -> dict:
    """All images show one organ: what they share is not what tells them apart."""
    organ = picture(1, 0).astype(float)
    images = [Taken(i.row, (0.8 * organ + 0.2 * i.pixels).astype(np.uint8)) for i in patients()]
    return {"data": write(folder / "a.zip", images)}


CLEAN = [each for name, each in sorted(globals().items()) if name.startswith("clean_")]


@pytest.mark.parametrize("make", CLEAN, ids=[each.__name__ for each in CLEAN])
def test_clean_studies_are_not_refused(tmp_path: Path, make: Callable[[Path], dict]) -> None:
    inputs = plan(tmp_path, **make(tmp_path))
    assert 0 < inputs.task.expected_error(inputs.tested) < 1


@pytest.mark.parametrize(
    ("make", "tested", "outside"),
    [
        (clean_external_alone, 24, [24]),
        (clean_two_external_sets_alone, 24, [24, 6]),
        (clean_copies_under_two_groups, 24, []),
    ],
)
def test_a_plan_counts_joined_groups(
    tmp_path: Path, make: Callable[[Path], dict], tested: int, outside: list[int]
) -> None:
    """Those with an equal image are one; where only external sets test, the first one decides."""
    inputs = plan(tmp_path, **make(tmp_path))
    assert len({row.group for row in inputs.tested}) == tested
    found = [inputs.groups(images.rows, name) for name, images in inputs.external.items()]
    assert found == outside


def test_copies_in_an_external_set_join_their_groups(tmp_path: Path) -> None:
    images = patients(seed=9, name="Q")
    more = [*images, *renamed(images[:4], CHANGES["equal"])]
    there = write(tmp_path / "b.zip", more, namespace="there")
    here = write(tmp_path / "a.zip", patients())
    inputs = plan(tmp_path, data=here, external=[str(there)])
    ((name, found),) = inputs.external.items()
    assert len(found.groups) > 24 and inputs.groups(found.rows, name) == 24


def test_a_plan_says_that_few_groups_decide_nothing(tmp_path: Path) -> None:
    few = write(tmp_path / "b.zip", patients(8, seed=9, name="Q"), namespace="there")
    here = write(tmp_path / "a.zip", patients())
    (tmp_path / "study.yaml").write_text(f"data: {here}\nexternal: [{few}]\nfolds: external\n")
    said = str(sg.study(study=tmp_path / "study.yaml", plan=True, device="cpu"))
    wanted = "auroc rests on 4 groups of test images, at least 5 are needed"
    assert f"nothing will be decided: {wanted}" in said, said


def test_clean_mixtures_and_evaluations_are_not_refused(
    trained: tuple[Path, Path], tmp_path: Path
) -> None:
    data, model = trained
    made = synthetic(tmp_path / "made.zip", saw(open_archive(data), "train"))
    mixed = tmp_path / "m.zip"
    assert not sg.mix(data, synthetic=made, add="5", dest=mixed, link=True).notes
    out = tmp_path / "c.safetensors"
    sg.classify_train(data=mixed, out=out, backbone=BACKBONE, probe=True)
    sg.classify_evaluate(model=out, data=str(data))
    there = write(tmp_path / "there.zip", patients(seed=9), namespace="there")
    sg.classify_evaluate(model=model, data=str(there))


def test_empty_images_are_no_copies_for_a_classifier(tmp_path: Path) -> None:
    here = write(tmp_path / "a.zip", [*patients(), *blank_images()], cut=True)
    out = tmp_path / "c.safetensors"
    sg.classify_train(data=here, out=out, backbone=BACKBONE, probe=True)
    others = [*patients(seed=9), *blank_images()]
    there = write(tmp_path / "there.zip", others, namespace="there")
    sg.classify_evaluate(model=out, data=str(there))
