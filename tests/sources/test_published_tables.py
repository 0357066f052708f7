"""The tables and names of four published sets, with made-up rows; no image of them is needed."""

import json
from pathlib import Path

import pytest

from synthograph.core.record import SourceItem
from synthograph.sources.files import FileSource, FileSourceOptions, read_files


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    return root


def by_name(found: FileSource) -> dict[str, SourceItem]:
    assert found.rejects == []
    return {item.name: item for item in found.items}


@pytest.mark.parametrize("folder", ["", "train/train/"])
def test_isic_2020(tmp_path: Path, folder: str) -> None:
    table = tmp_path / "train.csv"
    table.write_text(
        "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,"
        "benign_malignant,target\n"
        "ISIC_2637011,IP_7279968,male,45.0,head/neck,unknown,benign,0\n"
        "ISIC_0015719,IP_3075186,female,45.0,upper extremity,unknown,benign,0\n"
        "ISIC_0149568,IP_0962375,female,55.0,,melanoma,malignant,1\n"
    )
    source = touch(tmp_path / "set", f"{folder}ISIC_2637011.jpg", f"{folder}ISIC_0149568.jpg")
    columns = {"file": "image_name", "label": "target", "group": "patient_id"}
    found = read_files(FileSourceOptions(source=source, table=table, columns=columns))
    item = by_name(found)[f"{folder}ISIC_0149568.jpg"]
    assert (item.label, item.group) == ("1", "IP_0962375")
    assert item.columns == {
        "sex": "female",
        "age_approx": "55.0",
        "anatom_site_general_challenge": "",
        "diagnosis": "melanoma",
        "benign_malignant": "malignant",
    }
    assert found.classes == ["0", "1"]
    assert any(
        f"1 row(s) of {table} are about no image of this source: row" in r for r in found.remarks
    )

    (source / "dataset.json").write_text('{"classes": ["benign", "melanoma"]}')
    found = read_files(FileSourceOptions(source=source, table=table, columns=columns))
    assert [item.label for item in found.items] == ["melanoma", "benign"]
    assert found.classes == ["benign", "melanoma"]


def test_ham10000(tmp_path: Path) -> None:
    table = tmp_path / "HAM10000_metadata.csv"
    table.write_text(
        "lesion_id,image_id,dx,dx_type,age,sex,localization\n"
        "HAM_0000118,ISIC_0027419,bkl,histo,80.0,male,scalp\n"
        "HAM_0000118,ISIC_0025030,bkl,histo,80.0,male,scalp\n"
        "HAM_0002730,ISIC_0026769,mel,histo,,male,scalp\n"
    )
    source = touch(
        tmp_path / "set",
        "HAM10000_images_part_1/ISIC_0027419.jpg",
        "HAM10000_images_part_1/ISIC_0025030.jpg",
        "HAM10000_images_part_2/ISIC_0026769.jpg",
    )
    columns = {"file": "image_id", "label": "dx", "group": "lesion_id"}
    found = read_files(FileSourceOptions(source=source, table=table, columns=columns))
    assert [(i.label, i.group) for i in found.items] == [
        ("bkl", "HAM_0000118"),
        ("bkl", "HAM_0000118"),
        ("mel", "HAM_0002730"),
    ]
    assert found.classes is None
    assert found.items[2].columns["age"] == ""


@pytest.fixture
def thyroid(tmp_path: Path) -> Path:
    meta = [["1a.jpeg", 0, 1, "PTC"], ["1b.jpeg", 0, 1, "PTC"], ["12a.jpeg", 1, 12, "FA"]]
    tree = {"labels": [entry[:2] for entry in meta], "meta": meta}
    (tmp_path / "bi_dataset.json").write_text(json.dumps(tree))
    return touch(tmp_path / "set", "1a.jpeg", "1b.jpeg", "12a.jpeg")


def test_tharun_thompson_by_meta(thyroid: Path) -> None:
    table = thyroid.parent / "bi_dataset.json"
    found = by_name(read_files(FileSourceOptions(source=thyroid, table=table)))
    item = found["12a.jpeg"]
    assert (item.label, item.group, item.columns) == ("1", "12", {"diagnosis": "FA"})
    assert found["1a.jpeg"].group == found["1b.jpeg"].group == "1"


def test_tharun_thompson_as_dataset_json_in_the_folder(thyroid: Path) -> None:
    (thyroid / "dataset.json").write_bytes((thyroid.parent / "bi_dataset.json").read_bytes())
    found = by_name(read_files(FileSourceOptions(source=thyroid)))
    assert (found["12a.jpeg"].label, found["12a.jpeg"].group) == ("1", "12")


def test_tharun_thompson_by_name(thyroid: Path) -> None:
    regex = r"(?P<patient>\d+)(?P<picture>[a-z])\.jpeg$"
    found = by_name(read_files(FileSourceOptions(source=thyroid, name_regex=regex)))
    assert found["12a.jpeg"].group == "12"
    assert found["12a.jpeg"].columns == {"patient": "12", "picture": "a"}


def test_external_thyroid_set_has_meta_only(tmp_path: Path) -> None:
    touch(tmp_path, "NIK-A008_0.jpeg", "NIK-A008_1.jpeg")
    meta = [[f"NIK-A008_{i}.jpeg", 0, "NIK-A008", "FVPTC"] for i in range(2)]
    (tmp_path / "dataset.json").write_text(json.dumps({"meta": meta}))
    found = by_name(read_files(FileSourceOptions(source=tmp_path)))
    assert {item.group for item in found.values()} == {"NIK-A008"}


def test_oai_akoa_names(tmp_path: Path) -> None:
    touch(
        tmp_path,
        "OAI9896743_BaseLine_3_de3d_RIGHT.nii.gz_0.png",
        "OAI9896743_BaseLine_3_de3d_RIGHT.nii.gz_11.png",
        "OAI9005075_12Month_1_de3d_LEFT.nii.gz_5.png",
    )
    regex = (
        r"OAI(?P<patient>\d+)_(?P<visit>[^_]+)_.*_(?P<side>LEFT|RIGHT)\.nii\.gz_(?P<slice>\d+)\.png"
    )
    found = read_files(FileSourceOptions(source=tmp_path, name_regex=regex))
    item = by_name(found)["OAI9896743_BaseLine_3_de3d_RIGHT.nii.gz_11.png"]
    assert item.group == "9896743"
    assert item.label is None
    assert item.columns == {
        "patient": "9896743",
        "visit": "BaseLine",
        "side": "RIGHT",
        "slice": "11",
    }
    assert len({item.group for item in found.items}) == 2


def test_oai_akoa_table_beside_the_pattern(tmp_path: Path) -> None:
    name = "OAI9896743_BaseLine_3_de3d_RIGHT.nii.gz_0"
    touch(tmp_path, f"{name}.png")
    (tmp_path / "grades.csv").write_text(f"file,label,kl\n{name},high,3\n")
    regex = r"OAI(?P<patient>\d+)_.*_(?P<side>LEFT|RIGHT)\."
    options = FileSourceOptions(source=tmp_path, table=tmp_path / "grades.csv", name_regex=regex)
    (item,) = read_files(options).items
    assert (item.label, item.group) == ("high", "9896743")
    assert item.columns == {"kl": "3", "patient": "9896743", "side": "RIGHT"}
