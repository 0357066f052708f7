"""Masks of every program become the same class ids; what does not fit leaves nothing behind."""

import io
import json
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import synthograph as sg
from synthograph.core.errors import UserError
from synthograph.core.files import sha256_file
from synthograph.stats.masks import IGNORED
from synthograph.workflows.annotation_sets import OpenSet
from tests.sampling.test_generate import make_snapshot

DATA = Path(__file__).parents[1] / "data" / "annotations"
TRUTH = np.loadtxt(DATA / "truth.txt", dtype=np.uint8)
NAMES = ("background", "iris", "pupil", "sclera")
COLOURS = np.array([(0, 0, 0), (0, 0, 255), (255, 0, 0), (0, 255, 0)], np.uint8)
PALETTE = json.dumps({n: c.tolist() for n, c in zip(NAMES, COLOURS, strict=True)})
IMAGE = "seed0003_c-d"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    snapshot = make_snapshot(folder)
    sg.annotate_sample(network=snapshot.path, num=6, outdir=folder / "A")
    return folder / "A"


@pytest.fixture
def annotations(drawn: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(drawn, tmp_path / "A"))


@pytest.fixture
def palette(tmp_path: Path) -> str:
    path = tmp_path / "eye.json"
    path.write_text(PALETTE)
    return str(path)


def colours(ids: np.ndarray = TRUTH) -> np.ndarray:
    return COLOURS[ids]


def save(path: Path, pixels: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def flat(folder: Path) -> None:
    save(folder / f"{IMAGE}.png", colours())


def indexed(folder: Path) -> None:
    """Whose palette says the colours, and whose indices are in another order."""
    order = np.array([3, 1, 0, 2], np.uint8)
    image = Image.fromarray(order[TRUTH])
    table = np.zeros((256, 3), np.uint8)
    table[order] = COLOURS
    image.putpalette(table.tobytes())
    folder.mkdir()
    image.save(folder / f"{IMAGE}.png")


def indexed_grey(folder: Path) -> None:
    """Whose indices count, since no class has its colours."""
    image = Image.fromarray(TRUTH)
    image.putpalette(np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, 1).tobytes())
    folder.mkdir()
    image.save(folder / f"{IMAGE}_mask.png")


def label_image(folder: Path) -> None:
    save(folder / "deep" / f"{IMAGE}-label.tif", TRUTH.astype(np.uint16))


def layers(folder: Path) -> None:
    """As GIMP exports what was painted on a transparent layer."""
    alpha = np.where(TRUTH > 0, 255, 0).astype(np.uint8)
    hidden = np.where(TRUTH[:, :, None] > 0, colours(), 77).astype(np.uint8)
    save(folder / f"{IMAGE}.png", np.dstack([hidden, alpha]))


def sheet(folder: Path) -> None:
    """Painted on both modalities side by side: iris and sclera on one, the pupil on the other."""
    left, right = TRUTH.copy(), TRUTH.copy()
    left[TRUTH == 2] = 0
    right[TRUTH != 2] = 0
    save(folder / f"{IMAGE}.png", colours(np.hstack([left, right])))


def one_modality(folder: Path) -> None:
    save(folder / f"{IMAGE}.nir.png", colours())


def itk_snap(folder: Path) -> None:
    folder.mkdir()
    shutil.copy(DATA / "itk3d.nii.gz", folder / f"{IMAGE}-segmentation.nii.gz")


def slicer(folder: Path) -> None:
    folder.mkdir()
    shutil.copy(DATA / "slicer.seg.nrrd", folder / f"{IMAGE}.seg.nrrd")


def coco(folder: Path) -> None:
    folder.mkdir()
    text = (DATA / "coco.json").read_text().replace("IMAGE", f"folder/{IMAGE}")
    (folder / "instances.json").write_text(text)


def label_studio(folder: Path) -> None:
    folder.mkdir()
    text = (DATA / "label_studio.json").read_text().replace("IMAGE", IMAGE)
    (folder / "project.json").write_text(text)


def label_studio_png(folder: Path) -> None:
    """One file for each area, named by the task; the JSON says which image that is of."""
    for k in (1, 2, 3):
        name = f"task-7-annotation-3-by-1-tag-{NAMES[k]}-0.png"
        save(folder / name, ((TRUTH == k) * 255).astype(np.uint8))
    tasks = [{"id": 7, "data": {"image": f"/data/upload/1/1a2b3c4d-{IMAGE}.png"}}]
    (folder / "tasks.json").write_text(json.dumps(tasks))


def cvat_png(folder: Path) -> None:
    save(folder / "SegmentationClass" / f"{IMAGE}.png", colours())
    save(folder / "SegmentationObject" / f"{IMAGE}.png", colours()[::-1].copy())
    lines = [f"{NAMES[k]}:{','.join(map(str, COLOURS[k]))}::" for k in (2, 0, 3, 1)]
    (folder / "labelmap.txt").write_text("# label:color_rgb:parts:actions\n" + "\n".join(lines))


def cvat_xml(folder: Path) -> None:
    """Masks as run lengths of a box, one as a polygon; a later layer lies on top."""
    runs = []
    for k in (2, 3):
        rows, columns = np.nonzero(TRUTH == k)
        top, left = rows.min(), columns.min()
        part = (TRUTH == k)[top : rows.max() + 1, left : columns.max() + 1]
        changes = np.flatnonzero(np.diff(np.r_[False, part.ravel()]))
        counts = np.diff(np.r_[0, changes, part.size])
        runs.append(
            f'<mask label="{NAMES[k]}" rle="{", ".join(map(str, counts))}" left="{left}" '
            f'top="{top}" width="{part.shape[1]}" height="{part.shape[0]}" z_order="1"/>'
        )
    iris = "1,1;3,1;3,4;1,4"
    folder.mkdir()
    (folder / "annotations.xml").write_text(
        f'<annotations><image name="{IMAGE}.png" width="8" height="8">{"".join(runs)}'
        f'<polygon label="iris" points="{iris}" z_order="0"/>'
        '<polygon label="iris" points="7,0;8,0;8,1;7,1" z_order="0"/></image></annotations>'
    )


@pytest.mark.parametrize(
    "write",
    [
        *(flat, indexed, indexed_grey, label_image, layers, sheet, one_modality, itk_snap, slicer),
        *(coco, label_studio, label_studio_png, cvat_png, cvat_xml),
    ],
)
def test_one_mask_of_many_programs(
    write: Callable[[Path], None], annotations: Path, palette: str, tmp_path: Path
) -> None:
    write(tmp_path / "masks")
    found = sg.annotate_import(annotations, masks=tmp_path / "masks", palette=palette)
    opened = OpenSet.read(annotations)
    (image,) = opened.about.painted
    assert image.id == IMAGE and [each.name for each in opened.about.classes] == list(NAMES)
    expected = TRUTH.copy()
    if write is slicer:
        expected[0] = 0  # which lies outside of the cropped file
    np.testing.assert_array_equal(opened.mask(image), expected)
    stored = Image.open(annotations / "masks" / f"{IMAGE}.png")
    assert stored.mode == "P"
    np.testing.assert_array_equal(np.asarray(stored.convert("RGB")), COLOURS[expected])
    assert (annotations / "painted.png").is_file()
    assert found.shares[IMAGE] == pytest.approx(
        [*np.bincount(expected.ravel(), minlength=4) / 64, 0]
    )


@pytest.mark.parametrize("write", [slicer, coco, label_studio, cvat_png])
def test_files_that_name_their_classes_need_no_palette(
    write: Callable[[Path], None], annotations: Path, tmp_path: Path
) -> None:
    write(tmp_path / "masks")
    found = sg.annotate_import(annotations, masks=tmp_path / "masks")
    assert {each.name for each in found.about.classes} == set(NAMES)
    assert found.about.classes[0].name == "background"
    again = sg.annotate_import(annotations, masks=tmp_path / "masks")
    assert again.about == found.about, "the palette of the set is that of the first import"


def test_files_of_slicer_that_number_segments_each_for_itself(
    annotations: Path, tmp_path: Path
) -> None:
    """Names say what they are."""
    (tmp_path / "m").mkdir()
    about = OpenSet.read(annotations).about
    painted = {image.id: k for k, image in enumerate(about.images[:2], start=1)}
    for name, k in painted.items():
        fields = "type: uint8\ndimension: 3\nsizes: 8 8 1\nencoding: raw"
        own = f"Segment0_Name:={NAMES[k]}\nSegment0_LabelValue:=1\nSegment0_Color:={k - 1} 1 0"
        data = (TRUTH == k).astype(np.uint8).tobytes()
        path = tmp_path / "m" / f"{name}.seg.nrrd"
        path.write_bytes(f"NRRD0004\n{fields}\n{own}\n\n".encode() + data)
    found = sg.annotate_import(annotations, masks=tmp_path / "m")
    opened = OpenSet.read(annotations)
    classes = [each.name for each in found.about.classes]
    assert {*classes} == {"background", "iris", "pupil"}
    for image in opened.about.painted:
        k = painted[image.id]
        np.testing.assert_array_equal(opened.mask(image) == classes.index(NAMES[k]), TRUTH == k)
        assert (opened.mask(image) > 0).sum() == (TRUTH == k).sum()


def test_a_zip_and_the_palette_of_the_ocular_project(annotations: Path, tmp_path: Path) -> None:
    data = io.BytesIO()
    Image.fromarray(colours()).save(data, format="PNG")
    with zipfile.ZipFile(tmp_path / "m.zip", "w") as packed:
        packed.writestr(f"eyes/{IMAGE}_mask.png", data.getvalue())
    found = sg.annotate_import(annotations, masks=tmp_path / "m.zip", palette="ocular")
    assert found.about.classes[3].name == "sclera"
    np.testing.assert_array_equal(OpenSet.read(annotations).mask(found.about.painted[0]), TRUTH)


def test_soft_edges_are_refused_with_place_and_share(
    annotations: Path, palette: str, tmp_path: Path
) -> None:
    soft = colours()
    soft[3, 5] = (9, 120, 9)
    soft[4, 5] = (4, 250, 4)
    save(tmp_path / "m" / f"{IMAGE}.png", soft)
    options = {"masks": tmp_path / "m", "palette": palette}
    before = sha256_file(annotations / "annotations.json")
    with pytest.raises(UserError, match=r"#097809 and 1 more .* row 3, column 5, 3.12% of the"):
        sg.annotate_import(annotations, **options)
    assert sha256_file(annotations / "annotations.json") == before
    assert not (annotations / "masks").exists() and not (annotations / "palette.json").exists()
    with pytest.raises(UserError, match=r"#097809 stand"):
        sg.annotate_import(annotations, tolerance=8, **options)
    found = sg.annotate_import(annotations, tolerance=8, ignore_unknown=True, **options)
    text = repr(found)
    assert "of unknown colour, ignored: 1 pixel in 1 mask" in text
    assert "snapped to a colour at most 8 away: 1 pixel" in text
    ids = OpenSet.read(annotations).mask(found.about.painted[0])
    assert ids[3, 5] == IGNORED and ids[4, 5] == 3


def test_panels_that_contradict_each_other(annotations: Path, palette: str, tmp_path: Path) -> None:
    other = np.where(TRUTH == 1, 3, TRUTH)
    save(tmp_path / "m" / f"{IMAGE}.png", colours(np.hstack([TRUTH, other])))
    with pytest.raises(UserError, match="side by side are painted with different classes"):
        sg.annotate_import(annotations, masks=tmp_path / "m", palette=palette)
    edge = TRUTH.copy()
    edge[1, 1] = 3
    save(tmp_path / "m" / f"{IMAGE}.png", colours(np.hstack([TRUTH, edge])))
    found = sg.annotate_import(annotations, masks=tmp_path / "m", palette=palette)
    assert OpenSet.read(annotations).mask(found.about.painted[0])[1, 1] == IGNORED
    assert "different in two modalities, ignored: 1 pixel" in repr(found)


def test_several_painters_and_replacing(annotations: Path, palette: str, tmp_path: Path) -> None:
    flat(tmp_path / "first")
    save(tmp_path / "second" / f"{IMAGE}.png", colours(TRUTH[::-1].copy()))
    first, second = tmp_path / "first", tmp_path / "second"
    sg.annotate_import(annotations, masks=first, palette=palette, painter="anna")
    with pytest.raises(UserError, match="add --replace, or name another --painter"):
        sg.annotate_import(annotations, masks=second, painter="anna")
    found = sg.annotate_import(annotations, masks=second, painter="ben")
    opened = OpenSet.read(annotations)
    (image,) = opened.about.painted
    assert found.about.painters == ("anna", "ben")
    np.testing.assert_array_equal(opened.mask(image), TRUTH)
    np.testing.assert_array_equal(opened.mask(image, image.others[0]), TRUTH[::-1])
    sg.annotate_import(annotations, masks=second, painter="anna", replace=True)
    opened = OpenSet.read(annotations)
    np.testing.assert_array_equal(opened.mask(opened.about.painted[0]), TRUTH[::-1])
    for name in ("../x", "a/b", ""):
        with pytest.raises(UserError, match="--painter"):
            sg.annotate_import(annotations, masks=second, painter=name)


def test_files_that_are_not_used_are_named(annotations: Path, palette: str, tmp_path: Path) -> None:
    flat(tmp_path / "m")
    save(tmp_path / "m" / "seed0099.png", colours())
    shutil.copy(annotations / "images" / "seed0000_a-b.png", tmp_path / "m")
    (tmp_path / "m" / "notes.txt").write_text("hello")
    text = repr(sg.annotate_import(annotations, masks=tmp_path / "m", palette=palette))
    for words in (
        "1 file without paint",
        "1 file of no image of the set",
        "1 file of another kind",
        "class 'iris' is painted in one image only",
    ):
        assert words in text


def test_points_and_lines_are_told(annotations: Path, palette: str, tmp_path: Path) -> None:
    cvat_xml(tmp_path / "m")
    path = tmp_path / "m" / "annotations.xml"
    tag = '<polyline label="iris" points="1,1;2,2"/></image>'
    path.write_text(path.read_text().replace("</image>", tag))
    found = sg.annotate_import(annotations, masks=tmp_path / "m", palette=palette)
    np.testing.assert_array_equal(OpenSet.read(annotations).mask(found.about.painted[0]), TRUTH)
    assert "not drawn: 1 point, line or tag, which have no area" in repr(found)


def test_dry_run_writes_nothing(annotations: Path, palette: str, tmp_path: Path) -> None:
    flat(tmp_path / "m")
    before = {p: sha256_file(p) for p in annotations.rglob("*") if p.is_file()}
    found = sg.annotate_import(annotations, masks=tmp_path / "m", palette=palette, dry_run=True)
    assert "would have 1 mask" in repr(found)
    assert before == {p: sha256_file(p) for p in annotations.rglob("*") if p.is_file()}


def bad(name: str, pixels: np.ndarray) -> Callable[[Path], None]:
    return lambda folder: save(folder / name, pixels)


def two(folder: Path) -> None:
    flat(folder)
    save(folder / "again" / f"{IMAGE}.png", colours())


def bomb(folder: Path) -> None:
    folder.mkdir()
    (folder / "a.xml").write_text('<!DOCTYPE x [<!ENTITY a "aaaa">]><annotations>&a;</annotations>')


def wide(folder: Path) -> None:
    folder.mkdir()
    (folder / "a.xml").write_text("<!DOCTYPE x []><annotations/>", encoding="utf-16")


def one_id(folder: Path) -> None:
    folder.mkdir()
    tree = json.loads((DATA / "coco.json").read_text().replace("IMAGE", IMAGE))
    tree["images"] *= 2
    (folder / "c.json").write_text(json.dumps(tree))


def doubled(folder: Path) -> None:
    label_studio(folder)
    tree = json.loads((folder / "project.json").read_text())
    tree[0]["annotations"] *= 2
    (folder / "project.json").write_text(json.dumps(tree))


def other_class(folder: Path) -> None:
    folder.mkdir()
    text = (DATA / "coco.json").read_text().replace("IMAGE", IMAGE).replace("sclera", "scelra")
    (folder / "c.json").write_text(text)


def lone_pieces(folder: Path) -> None:
    label_studio_png(folder)
    (folder / "tasks.json").unlink()


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (bad(f"{IMAGE}.png", colours()[:, :6].copy()), "is 6x8 pixels, the images are 8x8 or 16x8"),
        (bad(f"{IMAGE}.png", np.full((8, 8), 9, np.uint8)), "#090909 stand"),
        (bad(f"{IMAGE}.tif", np.full((8, 8), 900, np.uint16)), "class ids are 0 to 255"),
        (bad(f"{IMAGE}.png", ((TRUTH > 0) * 255).astype(np.uint8)), "#ffffff stand"),
        (bad("other.png", colours()), "no file is a mask of an image"),
        (two, "are both masks of"),
        (bomb, "declares a document type"),
        (wide, "declares a document type"),
        (one_id, "two images have one id"),
        (doubled, "was annotated 2 times"),
        (other_class, "did you mean 'sclera'"),
        (lone_pieces, "put the JSON export"),
        (lambda folder: (folder.mkdir(), (folder / f"{IMAGE}.png").write_bytes(b"\x89PNG")), "PNG"),
        (lambda folder: folder.mkdir(), "no file is a mask"),
    ],
)
def test_masks_that_do_not_fit(
    write: Callable[[Path], None],
    message: str,
    annotations: Path,
    palette: str,
    tmp_path: Path,
) -> None:
    write(tmp_path / "masks")
    before = {p: sha256_file(p) for p in annotations.rglob("*") if p.is_file()}
    with pytest.raises(UserError, match=message):
        sg.annotate_import(annotations, masks=tmp_path / "masks", palette=palette)
    assert before == {p: sha256_file(p) for p in annotations.rglob("*") if p.is_file()}


def test_classes_stay_those_of_the_masks_that_are_there(
    annotations: Path, palette: str, tmp_path: Path
) -> None:
    flat(tmp_path / "m")
    with pytest.raises(UserError, match="--palette is missing"):
        sg.annotate_import(annotations, masks=tmp_path / "m")
    sg.annotate_import(annotations, masks=tmp_path / "m", palette=palette)
    (tmp_path / "o.json").write_text('{"background": 0, "pupil": "#ff0000", "iris": "#0000ff"}')
    with pytest.raises(UserError, match="keep these and their order"):
        sg.annotate_import(
            annotations, masks=tmp_path / "m", palette=str(tmp_path / "o.json"), replace=True,
            ignore_unknown=True,
        )  # fmt: skip
    with pytest.raises(UserError, match="no such file; give a file, or ocular"):
        sg.annotate_import(annotations, masks=tmp_path / "m", palette="oculr")


def test_a_mask_that_was_changed_by_hand_is_noticed(
    annotations: Path, palette: str, tmp_path: Path
) -> None:
    flat(tmp_path / "m")
    sg.annotate_import(annotations, masks=tmp_path / "m", palette=palette)
    path = annotations / "masks" / f"{IMAGE}.png"
    for pixels, message in (
        (TRUTH[::-1].copy(), "another mask than the one that was imported"),
        (TRUTH + 4, "class id 4"),
        (TRUTH[:4], "is 8x4"),
    ):
        save(path, pixels)
        opened = OpenSet.read(annotations)
        with pytest.raises(UserError, match=message):
            opened.mask(opened.about.painted[0])
