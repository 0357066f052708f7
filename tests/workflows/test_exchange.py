"""Archives to the folders of other tools and back: nothing is lost that the folder can hold."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthograph.archive.exchange import FORMATS
from synthograph.archive.manifest import Row
from synthograph.archive.reader import ArchiveInfo, open_archive
from synthograph.archive.split import rewrite
from synthograph.archive.writer import ArchiveWriter, encode
from synthograph.core.errors import UserError
from synthograph.core.progress import Silent
from synthograph.core.spec import ImageSpec
from synthograph.sources.layouts import LAYOUTS
from synthograph.workflows import convert, prepare
from synthograph.workflows.export_requests import ConvertRequest
from synthograph.workflows.requests import PrepareRequest
from tests.conftest import make_archive

KINDS = [({"image": 3}, 8), ({"t1": 1, "flair": 1}, 16)]
SPLITS = ("train", "train", "val", "test", "train", "val")


def make(
    path: Path,
    modalities: dict[str, int],
    bits: int,
    splits: Sequence[str | None] = SPLITS,
) -> Path:
    """Six images: two classes, three patients, three splits, masks but for the last one; the fifth
    is synthetic.
    """
    rng, dtype = np.random.default_rng(0), np.uint8 if bits == 8 else np.uint16
    writer = ArchiveWriter(path, {})
    for number, split in enumerate(splits):
        pixels = {
            n: rng.integers(0, 2**bits, (8, 12, c)).astype(dtype) for n, c in modalities.items()
        }
        mask = rng.choice([0, 3, 7, 255], (8, 12)).astype(np.uint8) if number < 5 else None
        row = Row("", f"class {number % 2}", f"P{number // 2}", split, columns={"site": "A,B"})
        row = replace(row, origin="synthetic") if number == 4 else row
        writer.add([encode(pixels, mask, row)])
    spec = ImageSpec(height=8, width=12, modalities=modalities, bits=bits)
    writer.finish(ArchiveInfo(classes=["class 0", "class 1"], spec=spec, namespace="test"))
    return path


def to(archive: Path, kind: str, target: Path) -> convert.Exchanged:
    request = ConvertRequest.parse({"source": archive, "target": target, "to": kind})
    result = convert.run(request, progress=Silent())
    assert isinstance(result, convert.Exchanged)
    return result


def back(source: Path, dest: Path, **options: object) -> None:
    asked = {"source": source, "dest": dest, "invariant": "none", "workers": 1, **options}
    prepare.run(PrepareRequest.parse(asked), progress=Silent())


def content(path: Path) -> dict[bytes, tuple[object, ...]]:
    archive = open_archive(path)
    found = {}
    for row in archive.rows:
        mask = archive.read_mask(row)
        known = row.label, row.group, row.split, row.origin, row.columns.get("site")
        found[archive.read(row).tobytes()] = (*known, None if mask is None else mask.tobytes())
    return found


@pytest.mark.parametrize(("modalities", "bits"), KINDS, ids=str)
@pytest.mark.parametrize("kind", FORMATS)
def test_there_and_back(kind: str, modalities: dict[str, int], bits: int, tmp_path: Path) -> None:
    archive = make(tmp_path / "a.zip", modalities, bits)
    folder = tmp_path / "Dataset501_Cells"
    result = to(archive, kind, folder)
    if kind in LAYOUTS:
        back(folder, tmp_path / "b.zip", layout=kind)
    else:
        first, *others = modalities
        back(
            folder / first,
            tmp_path / "b.zip",
            labels=folder / "synthograph.csv",
            masks=folder / "masks",
            modality=[f"{m}={folder / m}" for m in others],
        )
    wanted = content(archive)
    if kind == "nnunet":  # trains on masks only, and says so
        wanted = {pixels: known for pixels, known in wanted.items() if known[-1] is not None}
        assert "no mask, so left out, of 1 images" in "\n".join(result.lines())
    assert content(tmp_path / "b.zip") == wanted
    assert result.images == len(wanted)
    assert open_archive(tmp_path / "b.zip").info.spec.bits == bits


@pytest.mark.parametrize(
    "modalities",
    [{"vis": 3}, {"grey": 1}, {"first": 1, "mask": 1}, {"R": 1, "x_file_name": 3, "image": 1}],
    ids=str,
)
@pytest.mark.parametrize("kind", LAYOUTS)
def test_names_of_modalities_and_that_there_is_no_split_come_back(
    kind: str, modalities: dict[str, int], tmp_path: Path
) -> None:
    archive = make(tmp_path / "a.zip", modalities, 8, [None] * 6)
    folder = tmp_path / "Dataset501_Cells"
    to(archive, kind, folder)
    back(folder, tmp_path / "b.zip", layout=kind)
    wanted = content(archive)
    if kind == "nnunet":
        wanted = {pixels: known for pixels, known in wanted.items() if known[-1] is not None}
    assert content(tmp_path / "b.zip") == wanted
    assert list(open_archive(tmp_path / "b.zip").info.spec.modalities.items()) == list(
        modalities.items()
    )


OWN = (
    "file_name",
    "file_name_modality",
    "masks_file_name",
    "id",
    "width",
    "license",
    "masked",
    "image",
    "class",
)
"""Names that some format gives a meaning of its own."""


@pytest.mark.parametrize("kind", LAYOUTS)
def test_columns_that_are_called_as_the_format_calls_its_own(kind: str, tmp_path: Path) -> None:
    archive = open_archive(make(tmp_path / "a", {"image": 3}, 8))
    own = {name: f"my {name}" for name in OWN}
    rewrite(archive, [replace(row, columns={**row.columns, **own}) for row in archive.rows])
    folder = tmp_path / "Dataset501_Cells"
    to(archive.path, kind, folder)
    back(folder, tmp_path / "b.zip", layout=kind)
    wanted = content(archive.path)
    if kind == "nnunet":
        wanted = {pixels: known for pixels, known in wanted.items() if known[-1] is not None}
    assert content(tmp_path / "b.zip") == wanted
    for row in open_archive(tmp_path / "b.zip").rows:
        cells = {name: row.columns.get(f"{name}_column", row.columns.get(name)) for name in OWN}
        assert cells == own


def test_monai_reads_its_datalist(tmp_path: Path) -> None:
    decathlon = pytest.importorskip("monai.data.decathlon_datalist", reason="monai is missing")
    to(make(tmp_path / "a.zip", {"t1": 1, "flair": 1}, 16), "monai", tmp_path / "set")
    read = decathlon.load_decathlon_datalist
    items = read(tmp_path / "set" / "datalist.json", True, "training")
    assert len(items) == 3 and len(read(tmp_path / "set" / "datalist.json", True, "test")) == 1
    for item in items:
        assert all(Path(file).is_file() for file in (*item["image"], item["label"]))
        assert item["class"] in ("class 0", "class 1") and item["group"].startswith("P")


def test_a_datalist_of_others(tmp_path: Path) -> None:
    """Numbers of classes, names alone for test images, one of several files, and files beside."""
    for name in "abcd":
        Image.new("L", (8, 8), ord(name)).save(tmp_path / f"{name}.png")
    items = [{"image": "./a.png", "label": 1}, {"image": "b.png", "label": 0}]
    tree = {"labels": {"0": "healthy", "1": "ill"}, "training": items, "test": ["c.png"]}
    (tmp_path / "mine.json").write_text(json.dumps(tree))
    (tmp_path / "also.json").write_text(json.dumps({"training": [{"image": "d.png"}]}))
    told: list[str] = []

    class Listener(Silent):
        def log(self, line: str) -> None:
            told.append(line)

    asked = {
        "source": tmp_path / "mine.json",
        "dest": tmp_path / "out" / "b.zip",
        "layout": "monai",
        "invariant": "none",
        "workers": 1,
    }
    (tmp_path / "out").mkdir()
    prepare.run(PrepareRequest.parse(asked), progress=Listener())
    rows = open_archive(tmp_path / "out" / "b.zip").rows
    known = {row.columns["source_file"]: (row.label, row.split) for row in rows}
    assert known == {
        "a.png": ("ill", "train"),
        "b.png": ("healthy", "train"),
        "c.png": (None, "test"),
    }
    assert "note: 1 image file(s) are ignored: nothing names them" in told


def test_a_list_without_images_says_no_split(tmp_path: Path) -> None:
    Image.new("L", (8, 8)).save(tmp_path / "a.png")
    tree = {"training": [{"image": "a.png"}], "validation": [], "test": []}
    (tmp_path / "list.json").write_text(json.dumps(tree))
    back(tmp_path, tmp_path / "b.zip", layout="monai")
    assert [row.split for row in open_archive(tmp_path / "b.zip").rows] == [None]


def test_modalities_that_have_no_file_of_their_own(tmp_path: Path) -> None:
    """One file with several, as in the Medical Segmentation Decathlon, or named by one word."""
    for name in "ab":
        Image.new("L", (8, 8), ord(name)).save(tmp_path / f"{name}.png")
    listed = {"training": [{"image": ["a.png", "b.png"]}]}
    names = ["FLAIR", "T1w", "T2w"]
    tree = {"modality": {str(n): name for n, name in enumerate(names)}, **listed}
    (tmp_path / "list.json").write_text(json.dumps(tree))
    with pytest.raises(UserError, match=r"FLAIR, T1w, T2w, and 'a.png' stands for 2 of them"):
        back(tmp_path, tmp_path / "b.zip", layout="monai")
    (tmp_path / "list.json").write_text(json.dumps({**tree, "modality": {"0": "MR", "1": "MR"}}))
    back(tmp_path, tmp_path / "b.zip", layout="monai")
    spec = open_archive(tmp_path / "b.zip").info.spec
    assert spec.modalities == {"image0": 1, "image1": 1}


def test_nnunet_keeps_its_rules(tmp_path: Path) -> None:
    archive = make(tmp_path / "a.zip", {"t1": 1, "flair": 1}, 16)
    with pytest.raises(UserError, match="name the folder .*Dataset501_a"):
        to(archive, "nnunet", tmp_path / "mine")
    with pytest.raises(UserError, match="has no masks"):  # a name would not help it
        to(make_archive(tmp_path / "bare.zip"), "nnunet", tmp_path / "mine")
    folder = tmp_path / "Dataset007_Cells"
    to(archive, "nnunet", folder)
    tree = json.loads((folder / "dataset.json").read_text())
    assert tree["labels"] == {"background": 0, "class_3": 1, "class_7": 2, "ignore": 3}
    assert tree["channel_names"] == {"0": "t1", "1": "flair"} and tree["numTraining"] == 4
    images, labels = (
        sorted(p.name for p in (folder / n).iterdir()) for n in ("imagesTr", "labelsTr")
    )
    assert images == [f"{n[:-4]}_000{c}.png" for n in labels for c in (0, 1)]
    values = np.unique(np.asarray(Image.open(folder / "labelsTr" / labels[0])))
    assert set(values) <= {0, 1, 2, 3}
    (split,) = json.loads((folder / "splits_final.json").read_text())
    assert [len(split["train"]), len(split["val"])] == [3, 1]
    # a folder of others has neither our table nor our record of values
    (folder / "synthograph.csv").unlink()
    del tree["mask_values"]
    (folder / "dataset.json").write_text(json.dumps(tree))
    back(folder, tmp_path / "b.zip", layout="nnunet")
    other = open_archive(tmp_path / "b.zip")
    masks = np.stack([other.read_mask(row) for row in other.rows])
    assert set(np.unique(masks)) == {0, 1, 2, 255}
    assert [row.split for row in other.rows].count("test") == 1


def test_what_is_no_such_folder(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    Image.new("L", (8, 8)).save(tmp_path / "x" / "1.png")
    for layout in LAYOUTS:
        with pytest.raises(UserError, match="holds no"):
            back(tmp_path / "x", tmp_path / "b.zip", layout=layout)
    with pytest.raises(UserError, match="--layout coco.*leave --masks out"):
        back(tmp_path / "x", tmp_path / "b.zip", layout="coco", masks=tmp_path)
    archive = make(tmp_path / "a.zip", {"image": 3}, 8)
    to(archive, "monai", tmp_path / "set")
    next((tmp_path / "set" / "masks").iterdir()).unlink()
    items = json.loads((tmp_path / "set" / "datalist.json").read_text())
    items["training"][0]["image"] = "../outside.png"
    (tmp_path / "set" / "datalist.json").write_text(json.dumps(items))
    with pytest.raises(UserError, match=r"lists '../outside.png', which is not there"):
        back(tmp_path / "set", tmp_path / "b.zip", layout="monai")
    with pytest.raises(UserError, match="exists already"):
        to(archive, "coco", tmp_path / "set")


def test_nothing_of_others_is_dropped_or_made_up(tmp_path: Path) -> None:
    here, outside = tmp_path / "x", tmp_path / "outside.png"
    here.mkdir()
    for path in (here / "a.png", outside):
        Image.new("L", (8, 8)).save(path)
    (here / "link.png").symlink_to(outside)

    def refused(layout: str, message: str) -> None:
        with pytest.raises(UserError, match=message):
            back(here, tmp_path / "b.zip", layout=layout)

    table = here / "metadata.csv"
    for lines, message in {
        "file_name,origin\na.png,alien\n": "origin 'alien': known are real and synthetic",
        "file_name,split\na.png,nosuch\n": "split 'nosuch': known are train",
        "file_name,label,label\na.png,a,b\n": "two columns 'label'",
        "file_name\nlink.png\n": "lists 'link.png', link to a file outside the folder",
    }.items():
        table.write_text(lines)
        refused("huggingface", message)
    for label, message in {
        "masks/a.png": "lists 'masks/a.png', which is not there",
        "[1, 2]": r"label \[1, 2\] is neither",
    }.items():
        item = {"image": "a.png", "label": json.loads(label) if label[0] == "[" else label}
        (here / "list.json").write_text(json.dumps({"training": [item]}))
        refused("monai", message)
    tree = {"channel_names": {"0": "t1"}, "labels": {"background": 0}}
    (here / "dataset.json").write_text(json.dumps(tree))
    (here / "imagesTr").mkdir()
    (here / "imagesTr" / "case_0000.png").symlink_to(outside)
    refused("nnunet", "case_0000.png: link to a file outside the folder")


def test_an_archive_needs_a_tool(tmp_path: Path) -> None:
    archive = make(tmp_path / "a.zip", {"image": 3}, 8)
    request = ConvertRequest(source=archive, target=tmp_path / "b")
    with pytest.raises(UserError, match="say for which tool, such as --to monai"):
        convert.run(request, progress=Silent())
