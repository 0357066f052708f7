"""Finding, pairing and labelling, on folders and zips made for the purpose."""

import json
import os
import pickle
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from synthograph.core.errors import UserError
from synthograph.core.record import UnreadableError, array_of
from synthograph.sources.files import FileSource, FileSourceOptions, RejectedFile, read_files


def draw(root: Path, *names: str, size: tuple[int, int] = (8, 6), mode: str = "L") -> Path:
    for place, name in enumerate(names):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, size, place if mode == "L" else (place, 0, 0)).save(root / name)
    return root


def listing(root: Path, **tree: object) -> None:
    (root / "dataset.json").write_text(json.dumps(tree), encoding="utf-8")


def read(source: Path, **options: object) -> FileSource:
    return read_files(FileSourceOptions(source=source, **options))  # type: ignore[arg-type]


def labels(found: FileSource) -> dict[str, str | None]:
    return {item.name: item.label for item in found.items}


def pack(root: Path, target: Path) -> Path:
    with zipfile.ZipFile(target, "w") as file:
        for path in sorted(root.rglob("*")):
            if path.is_file():
                file.write(path, path.relative_to(root))
    return target


def test_class_folders(tmp_path: Path) -> None:
    draw(tmp_path, "red cell/1.png", "weiße Zelle/2.bmp", "weiße Zelle/3.tif")
    found = read(tmp_path)
    assert labels(found) == {
        "red cell/1.png": "red cell",
        "weiße Zelle/2.bmp": "weiße Zelle",
        "weiße Zelle/3.tif": "weiße Zelle",
    }
    assert found.classes is None
    assert found.rejects == []
    assert "labels come from the names of sub-folders" in found.remarks
    picture = pickle.loads(pickle.dumps(found.items[2])).decode()
    assert array_of(picture.modalities["image"]).shape == (6, 8, 1)
    assert picture.mask is None


@pytest.mark.parametrize(
    "names",
    [
        ("a/1.png", "a/2.png"),
        ("a/1.png", "2.png"),
        ("a/x/1.png", "b/2.png"),
        ("00000/1.png", "00001/2.png"),
        ("1.png", "2.png"),
    ],
)
def test_what_are_no_class_folders(tmp_path: Path, names: tuple[str, ...]) -> None:
    found = read(draw(tmp_path, *names))
    assert set(labels(found).values()) == {None}
    assert "no labels found" in found.remarks


def test_numbered_class_folders_have_numeric_order(tmp_path: Path) -> None:
    assert read(draw(tmp_path, "10/a.png", "9/b.png")).classes == ["9", "10"]


def test_other_files_are_counted_and_hidden_ones_are_not(tmp_path: Path) -> None:
    draw(tmp_path, "1.png", ".hidden.png", "__MACOSX/x.png")
    for name in ("notes.txt", "more.txt", "scan.dcm", "Thumbs.db"):
        (tmp_path / name).touch()
    found = read(tmp_path)
    assert len(found.items) == 1
    assert "2 file(s) are no images and ignored: .txt 2" in found.remarks
    assert [reject.name for reject in found.rejects] == ["scan.dcm"]


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no PNG, .* image .found: nothing"):
        read(tmp_path)
    (tmp_path / "scan.psd").touch()
    with pytest.raises(UserError, match="1 x Photoshop is not read: save"):
        read(tmp_path)
    with pytest.raises(UserError, match="SOURCE .*no such folder or zip"):
        read(tmp_path / "gone")


def test_symlink_loop_does_not_hang(tmp_path: Path) -> None:
    draw(tmp_path, "a/1.png", "b/1.png")
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "a" / "2.png").symlink_to("2.png")
    found = read(tmp_path)
    assert list(labels(found)) == ["a/1.png", "b/1.png"]
    assert found.rejects[0].name == "a/2.png"
    assert any("a/loop" in remark for remark in found.remarks)


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A set in the form of shared/data."""
    root = draw(tmp_path / "set", "images/1.png", "images/2.png", "t2/1.png")
    listing(root, classes=["x", "y", "z"], labels=[["images/1.png", 1], ["images/2.png", 0]])
    return root


@pytest.mark.parametrize("packed", [False, True])
def test_dataset_json_names_classes_and_chooses_folders(shared: Path, packed: bool) -> None:
    found = read(pack(shared, shared.with_suffix(".zip")) if packed else shared)
    assert labels(found) == {"images/1.png": "y", "images/2.png": "x"}
    assert found.classes == ["x", "y", "z"]
    assert found.rejects == []
    assert (
        "1 image file(s) in t2/ are ignored: dataset.json lists none of that folder"
        in found.remarks
    )


def test_zip_of_the_folder_itself(shared: Path) -> None:
    target = shared.parent / "wrapped.zip"
    with zipfile.ZipFile(target, "w") as file:
        for path in sorted(shared.rglob("*.*")):
            file.write(path, path.relative_to(shared.parent))
    found = read(target, modalities={"t2": target / "set" / "t2"})
    assert labels(found) == {"images/1.png": "y"}
    assert found.items[0].decode().modalities.keys() == {"image", "t2"}


def test_dataset_json_beside_the_source(shared: Path) -> None:
    assert labels(read(shared / "images")) == {"1.png": "y", "2.png": "x"}
    assert labels(read(shared / "t2")) == {"1.png": None}


def test_foreign_dataset_json_beside_the_source(tmp_path: Path) -> None:
    draw(tmp_path, "imagesTr/1.png")
    listing(tmp_path, labels={"background": 0})
    found = read(tmp_path / "imagesTr")
    assert labels(found) == {"1.png": None}
    assert any("is not used" in remark for remark in found.remarks)


def test_dataset_json_that_lists_a_missing_file(shared: Path) -> None:
    (shared / "images" / "1.png").unlink()
    for source in (shared, shared / "images"):
        with pytest.raises(
            UserError, match=r"lists 1 file\(s\) that are not there, first '.*1.png'"
        ):
            read(source)


def test_image_that_dataset_json_does_not_list(shared: Path) -> None:
    draw(shared, "images/3.png")
    found = read(shared)
    assert found.rejects == [RejectedFile("images/3.png", "dataset.json has no entry for it")]
    assert len(found.items) == 2


def test_listed_file_with_an_unusual_name_is_kept_and_fails_later(shared: Path) -> None:
    (shared / "images" / "scan").write_bytes(b"GIF89a")
    listing(shared, labels=[["images/scan", 0]])
    found = read(shared)
    with pytest.raises(UnreadableError, match="GIF is damaged"):
        next(item for item in found.items if item.name == "images/scan").decode()


def test_labels_null_and_label_vectors(tmp_path: Path) -> None:
    draw(tmp_path, "00000/1.png", "00000/2.png")
    listing(tmp_path, labels=None)
    assert labels(read(tmp_path)) == {"00000/1.png": None, "00000/2.png": None}
    listing(tmp_path, labels=[["00000/1.png", [0.25, 1]], ["00000/2.png", [0, 2]]])
    found = read(tmp_path)
    assert found.items[0].columns == {"y.0": "0.25", "y.1": "1.0"}
    assert found.items[0].label is None
    assert any("label vectors come from" in remark for remark in found.remarks)


def test_broken_dataset_json(tmp_path: Path) -> None:
    draw(tmp_path, "1.png")
    (tmp_path / "dataset.json").write_bytes(b"\xff\xfe")
    with pytest.raises(UserError, match="dataset.json: is not UTF-8 text"):
        read(tmp_path)
    (tmp_path / "dataset.json").write_text('{"labels": [["1.png", 0],]}')
    with pytest.raises(UserError, match="dataset.json, line 1"):
        read(tmp_path)


def test_table_before_dataset_json(shared: Path) -> None:
    table = shared / "t.csv"
    table.write_text("name,y,patient,age\n1,1,P1,30\n2,0,,40\n9,0,P9,1\n")
    found = read(shared, table=table, columns={"file": "name", "label": "y", "group": "patient"})
    assert labels(found) == {"images/1.png": "y", "images/2.png": "x"}
    assert [item.group for item in found.items] == ["P1", None]
    assert [item.columns for item in found.items] == [{"age": "30"}, {"age": "40"}]
    assert found.classes == ["x", "y", "z"]
    assert any("1 row(s) of" in remark for remark in found.remarks)
    assert "1 image(s) have no group there: images/2.png" in found.remarks


def test_table_about_something_else_is_not_named_by_dataset_json(shared: Path) -> None:
    table = shared / "t.csv"
    table.write_text("file,label,has_t2\nimages/1.png,1,1\nimages/2.png,0,1\n")
    found = read(shared, table=table, columns={"label": "has_t2"})
    assert labels(found) == {"images/1.png": "1", "images/2.png": "1"}
    assert found.classes == ["1"]
    assert any("classes are not named by" in remark for remark in found.remarks)
    assert found.items[0].columns == {"table_label": "1"}
    assert any("kept as table_label" in remark for remark in found.remarks)


def test_indices_that_pandas_wrote_as_decimals_are_named(shared: Path) -> None:
    (shared / "t.csv").write_text("file,label\n1,1.0\n2,0.0\n")
    assert labels(read(shared, table=shared / "t.csv")) == {
        "images/1.png": "y",
        "images/2.png": "x",
    }


def test_table_with_words_that_dataset_json_does_not_know(shared: Path) -> None:
    (shared / "t.csv").write_text("file,label\n1,left\n2,right\n")
    found = read(shared, table=shared / "t.csv")
    assert labels(found) == {"images/1.png": "left", "images/2.png": "right"}
    assert found.classes is None


def test_classes_that_are_numbers_are_not_shifted_by_a_table(tmp_path: Path) -> None:
    draw(tmp_path, "a.png", "b.png")
    listing(tmp_path, classes=["1", "2", "3"], labels=[["a.png", 0], ["b.png", 1]])
    (tmp_path / "t.csv").write_text("file,label\na,1\nb,2\n")
    found = read(tmp_path, table=tmp_path / "t.csv")
    assert labels(found) == {"a.png": "1", "b.png": "2"}
    assert found.classes == ["1", "2", "3"]
    (tmp_path / "t.csv").write_text("file,label\na,1\nb,3\n")
    found = read(tmp_path, table=tmp_path / "t.csv")
    assert labels(found) == {"a.png": "1", "b.png": "3"}
    assert found.classes == ["1", "3"]
    assert any("classes are not named by" in remark for remark in found.remarks)
    listing(tmp_path, classes=["1", "2", "3"], labels=None)
    (tmp_path / "t.csv").write_text("file,label\na,1\nb,2\n")
    with pytest.raises(UserError, match="label 1 could be the class '1'"):
        read(tmp_path, table=tmp_path / "t.csv")


def test_table_index_outside_the_classes(shared: Path) -> None:
    (shared / "t.csv").write_text("file,label\n1,3\n2,0\n")
    listing(shared, classes=["x", "y", "z"], labels=None)
    with pytest.raises(UserError, match=r"t.csv, row 2: label 3 lies outside the 3 classes"):
        read(shared, table=shared / "t.csv", masks=shared / "t2")


def test_table_with_groups_only_leaves_labels_to_dataset_json(shared: Path) -> None:
    (shared / "t.csv").write_text("file,group\n1,a\n2,b\n")
    found = read(shared, table=shared / "t.csv")
    assert labels(found) == {"images/1.png": "y", "images/2.png": "x"}
    assert [item.group for item in found.items] == ["a", "b"]


def test_images_without_row_or_label_are_rejected(tmp_path: Path) -> None:
    draw(tmp_path, "1.png", "2.png", "3.png")
    (tmp_path / "t.csv").write_text("file,label\n1,x\n2,\n")
    found = read(tmp_path, table=tmp_path / "t.csv")
    assert labels(found) == {"1.png": "x"}
    reasons = {reject.name: reject.reason for reject in found.rejects}
    assert reasons["3.png"] == "no row in t.csv"
    assert reasons["2.png"].endswith("t.csv, row 3")


def test_rows_of_another_folder_are_about_no_image_of_this_one(tmp_path: Path) -> None:
    source = draw(tmp_path / "photos" / "site_a", "1.png", "2.png", "5.png")
    rows = "site_a/1,benign\nsite_a/2,benign\nsite_b/5,malignant\nsite_b/6,malignant\n"
    (tmp_path / "t.csv").write_text(f"file,label\n{rows}")
    found = read(source, table=tmp_path / "t.csv")
    assert labels(found) == {"1.png": "benign", "2.png": "benign"}
    assert found.rejects == [RejectedFile("5.png", "no row in t.csv")]
    found = read(source.rename(tmp_path / "other"), table=tmp_path / "t.csv")
    assert len(found.items) == 3
    assert any("images by folder: site_a 2, site_b 1" in remark for remark in found.remarks)


def test_one_patient_in_two_unicode_forms_is_one_group(tmp_path: Path) -> None:
    draw(tmp_path, "gr\u00fcn/M\u00fcller_1.png", "gru\u0308n/Mu\u0308ller_2.png", "x/Y_1.png")
    found = read(tmp_path, name_regex=r"/(?P<patient>[^/]+)_")
    assert {item.group for item in found.items} == {"M\u00fcller", "Y"}
    assert set(labels(found).values()) == {"gr\u00fcn", "x"}


def test_table_that_fits_no_image(tmp_path: Path) -> None:
    draw(tmp_path, "1.png")
    (tmp_path / "t.csv").write_text("file,label\nISIC_7,x\n")
    with pytest.raises(UserError, match="the table names 'ISIC_7', the first image is '1.png'"):
        read(tmp_path, table=tmp_path / "t.csv")
    with pytest.raises(UserError, match="give one with --labels"):
        read(tmp_path, columns={"file": "x"})


def test_label_vectors_of_a_table_switch_class_folders_off(tmp_path: Path) -> None:
    draw(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "t.csv").write_text("file,y.0,y.1\n1,0,1\n2,1,0.5\n")
    found = read(tmp_path, table=tmp_path / "t.csv")
    assert set(labels(found).values()) == {None}
    assert found.items[1].columns == {"y.0": "1", "y.1": "0.5"}


def test_name_regex_gives_label_group_and_columns(tmp_path: Path) -> None:
    draw(tmp_path, "p1_left_3.png", "p2_right_4.png", "other.png")
    found = read(tmp_path, name_regex=r"(?P<patient>p\d)_(?P<label>[a-z]+)_(?P<slice>\d)")
    assert labels(found) == {"p1_left_3.png": "left", "p2_right_4.png": "right"}
    assert found.items[0].group == "p1"
    assert found.items[0].columns == {"patient": "p1", "slice": "3"}
    assert found.rejects == [RejectedFile("other.png", "its name does not fit --name-regex")]
    with pytest.raises(UserError, match="fits no image"):
        read(tmp_path, name_regex="(?P<patient>zzz)")


def test_table_wins_over_regex_and_contradictions_are_refused(tmp_path: Path) -> None:
    draw(tmp_path, "p1_left.png")
    (tmp_path / "t.csv").write_text("file,label,group,side\np1_left,x,g,left\n")
    regex = "(?P<patient>p.)_(?P<side>[a-z]+)"
    found = read(tmp_path, table=tmp_path / "t.csv", name_regex=regex)
    assert (found.items[0].label, found.items[0].group) == ("x", "g")
    assert found.items[0].columns == {"side": "left", "patient": "p1"}
    (tmp_path / "t.csv").write_text("file,label,side\np1_left,x,RIGHT\n")
    with pytest.raises(UserError, match="side = 'left', another place says 'RIGHT'"):
        read(tmp_path, table=tmp_path / "t.csv", name_regex=regex)


def test_partners_inside_the_source(tmp_path: Path) -> None:
    draw(tmp_path, "train/images/b.png", "train/images/c.png", mode="RGB")
    draw(tmp_path, "train/NIR/a.png", "train/NIR/b.png", "train/masks/b.png")
    found = read(
        tmp_path,
        primary="vis",
        modalities={"nir": tmp_path / "train" / "NIR"},
        masks=tmp_path / "train" / "masks",
    )
    assert list(labels(found)) == ["train/images/b.png"]
    assert found.rejects == [
        RejectedFile("train/images/c.png", "no nir image named 'train/images/c'"),
    ]
    assert "1 nir file(s) fit no image and are ignored" in found.remarks
    assert any("1 image(s) have no mask" in remark for remark in found.remarks)
    picture = found.items[0].decode()
    assert list(picture.modalities) == ["vis", "nir"]
    nir = array_of(picture.modalities["nir"])
    assert np.unique(nir).tolist() == [1]  # b, not the first by position
    assert picture.mask is not None
    assert np.unique(picture.mask).tolist() == [2]


def test_partners_outside_the_source_and_in_zips(tmp_path: Path) -> None:
    draw(tmp_path / "a", "x/1.png", "y/1.png")
    nir = pack(draw(tmp_path / "n", "x/1.jpg", "y/1.jpg"), tmp_path / "nir.zip")
    found = read(tmp_path / "a", modalities={"nir": nir})
    assert labels(found) == {"x/1.png": "x", "y/1.png": "y"}
    assert all(len(item.decode().modalities) == 2 for item in found.items)


def test_partners_that_cannot_be_read_are_rejected_with_their_reason(tmp_path: Path) -> None:
    draw(tmp_path / "a", "1.png", "2.png", "masks/1.png")
    draw(tmp_path, "2.png")
    (tmp_path / "a" / "masks" / "2.png").symlink_to(tmp_path / "2.png")
    (tmp_path / "a" / "masks" / "notes.txt").symlink_to(tmp_path / "gone")
    (reject,) = read(tmp_path / "a", masks=tmp_path / "a" / "masks").rejects
    assert reject.name == "masks/2.png"
    assert reject.reason.startswith("link to a file outside the folder")
    (tmp_path / "a" / "masks" / "1.png").unlink()
    with pytest.raises(UserError, match=r"masks in .*: 1 file\(s\), 2.png: link to a file outside"):
        read(tmp_path / "a", masks=tmp_path / "a" / "masks")


def test_partner_in_another_partner_folder(tmp_path: Path) -> None:
    draw(tmp_path, "1.png", "nir/1.png", "nir/masks/1.png")
    found = read(tmp_path, modalities={"nir": tmp_path / "nir"}, masks=tmp_path / "nir" / "masks")
    assert list(labels(found)) == ["1.png"]
    assert found.remarks == ["no labels found"]
    assert found.items[0].decode().mask is not None


def test_partner_folders_that_are_refused(tmp_path: Path) -> None:
    draw(tmp_path, "1.png", "nir/2.png")
    with pytest.raises(UserError, match="no file fits an image by name"):
        read(tmp_path, modalities={"nir": tmp_path / "nir"})
    with pytest.raises(UserError, match="no file fits an image by name"):
        read(tmp_path, masks=tmp_path / "nir")
    with pytest.raises(UserError, match="given twice"):
        read(tmp_path, masks=tmp_path)
    with pytest.raises(UserError, match="given twice"):
        read(tmp_path, modalities={"a": tmp_path / "nir", "b": tmp_path / "nir"})
    with pytest.raises(UserError, match="--modality nir .*no such folder"):
        read(tmp_path, modalities={"nir": tmp_path / "gone"})
    for name in ("image", "masks", "../x", ""):
        with pytest.raises(UserError, match="modality"):
            read(tmp_path, modalities={name: tmp_path / "nir"})


def test_import_brings_no_torch() -> None:
    code = "import sys, synthograph.sources.files; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)
