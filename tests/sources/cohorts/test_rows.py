"""Class, group and split of images by the record of a cohort."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from synthograph.core.errors import UserError
from synthograph.core.untrusted.containers import Folder
from synthograph.sources.cells import MISSING, missing_marks
from synthograph.sources.cohorts import load_cohort
from synthograph.sources.cohorts.rows import CohortRows, Wanted, read_cohort
from tests.sources.cohorts.examples import CHEXPERT, EXAMPLES, FINDINGS, findings

MARKS = missing_marks(MISSING)


def read(name: str, folder: Path, **given: object) -> CohortRows:
    """A cohort whose images are files of any content."""
    wanted = Wanted(cohort=load_cohort(name), **given)  # type: ignore[arg-type]
    names = Folder(folder).members().names
    images = [n for n in names if n.endswith((".png", ".jpg", ".jpeg", ".tif", ".tiff", ".dcm"))]
    return read_cohort(wanted, Folder(folder), names, images, MARKS)


def write(folder: Path, tables: dict[str, str], images: list[str]) -> Path:
    for name in images:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    for name, text in tables.items():
        (folder / name).write_text(text)
    return folder


def test_the_folder_itself_counts_as_part_of_names(tmp_path: Path) -> None:
    folder = write(tmp_path / "test", {}, ["CNV/CNV-1-1.jpeg", "DME/DME-2-1.jpeg"])
    rows = read("kermany-oct", folder).rows
    assert {row.split for row in rows.values()} == {"test"}


def test_a_training_part_alone_has_no_split(tmp_path: Path) -> None:
    folder = write(tmp_path / "train", {}, ["CNV/CNV-1-1.jpeg", "DME/DME-2-1.jpeg"])
    found = read("kermany-oct", folder)
    assert {row.split for row in found.rows.values()} == {None}
    assert any("'synthograph split' cuts one" in remark for remark in found.remarks)


def test_what_a_user_says_goes_before_the_record(tmp_path: Path) -> None:
    folder = EXAMPLES["breakhis"].write(tmp_path)
    regex = r"SOB_(?P<class>[BM])_[A-Z]+-(?P<patient>\d\d-\d+[A-Z]*)-"
    own = read("breakhis", folder, name_regex=regex).rows
    assert {row.group for row in own.values()} == {"14-22549AB", "14-13412"}
    assert {row.label for row in own.values()} == {"B", "M"}
    assert {row.split for row in own.values()} == {"train", "test"}  # of the list
    kinds = read("breakhis", folder, columns={"label": "type", "group": "slide"}).rows
    assert {row.label for row in kinds.values()} == {
        "adenosis",
        "ductal_carcinoma",
        "lobular_carcinoma",
    }
    assert "14-22549AB" in {row.group for row in kinds.values()}


def test_images_are_left_out_by_rule_and_kept_on_demand(tmp_path: Path) -> None:
    folder = EXAMPLES["chexpert"].write(tmp_path)
    found = read("chexpert", folder)
    assert len(found.rows) == 3 and len(found.left_out) == 3
    assert any("lateral views; --keep lateral" in remark for remark in found.remarks)
    assert len(read("chexpert", folder, keep=["lateral"]).rows) == 4
    two = read("chexpert", folder, columns={"label": "Edema"}).rows
    assert sorted(str(row.label) for row in two.values()) == ["Edema", "Edema", "no Edema"]


def test_a_mri_grade_belongs_to_one_visit_and_side(tmp_path: Path) -> None:
    table = "ID|SIDE|READPRJ|V00XRKL\n9000001|1|15|3\n9000001|2|15|1\n"
    names = [
        "00m/0.C.2/9000001/20050101/00593811/1.dcm",
        "OAI9000001_BaseLine_3_x_LEFT.nii.gz_0.png",
        "OAI9000001_V01_3_x_LEFT.nii.gz_0.png",
        "9000001R.png",
    ]
    folder = write(tmp_path, {"kxr_sq_bu00.txt": table}, names)
    rows = read("oai", folder).rows
    assert {row.group for row in rows.values()} == {"9000001"}
    assert [rows[name].label for name in names] == [None, "1", None, None]
    assert rows[names[0]].columns == {"visit": "baseline"}
    assert rows[names[3]].columns == {"side": "right"}


@pytest.mark.parametrize(
    ("name", "given", "words"),
    [
        ("chexpert", {"keep": ["side"]}, "--keep side: --cohort chexpert leaves nothing out"),
        ("eyepacs", {"columns": {"group": "nobody"}}, "column 'nobody' for the group"),
        ("eyepacs", {"columns": {"split": "level"}}, "names no split"),
        ("eyepacs", {"columns": {"file": "picture"}}, "expects the column 'picture'"),
        ("eyepacs", {"columns": {"label": "lvl"}}, "did you mean 'level'"),
        ("mura", {"name_regex": "(?P<patient>nobody)"}, "no image fits"),
        ("mura", {"name_regex": "("}, "is not a regular expression"),
    ],
)
def test_errors_name_the_way_out(
    tmp_path: Path, name: str, given: dict[str, object], words: str
) -> None:
    folder = EXAMPLES[name].write(tmp_path)
    with pytest.raises(UserError) as caught:
        read(name, folder, **given)
    assert words in str(caught.value) and "\n" not in str(caught.value)


def test_a_role_that_no_column_has(tmp_path: Path) -> None:
    folder = write(tmp_path, {"train.csv": "image_id,data_provider\n1,x\n"}, ["1.png"])
    with pytest.raises(UserError, match="'isup_grade' for the label, .* --column label=NAME"):
        read("panda", folder)


def test_nothing_is_left_but_rules_that_say_why(tmp_path: Path) -> None:
    name = "train/patient00001/study1/view2_lateral.jpg"
    table = CHEXPERT + f"CheXpert-v1.0/{name},Male,87,Lateral,,{findings(Edema='1.0')}\n"
    with pytest.raises(UserError, match="no image is left: .*1 image.s. are left out"):
        read("chexpert", write(tmp_path, {"train.csv": table}, [name]))


def test_a_year_of_brats_and_its_time_points(tmp_path: Path) -> None:
    names = [
        "BraTS-GLI-00001-000/BraTS-GLI-00001-000-t2f.png",
        "BraTS-GLI-00001-001/BraTS-GLI-00001-001-t2f.png",
        "BraTS2021_00002/BraTS2021_00002_flair.png",
        "HGG/Brats18_CBICA_AAB_1/Brats18_CBICA_AAB_1_flair.png",
        "LGG/BraTS19_2013_10_1/BraTS19_2013_10_1_flair.png",
    ]
    rows = read("brats", write(tmp_path, {}, names)).rows
    assert [rows[name].group for name in names] == [
        "BraTS-GLI-00001",
        "BraTS-GLI-00001",
        "BraTS2021_00002",
        "Brats18_CBICA_AAB_1",
        "BraTS19_2013_10_1",
    ]
    assert [rows[name].label for name in names[3:]] == ["HGG", "LGG"]
    assert rows[names[1]].columns == {"timepoint": "001"}


def test_centres_have_twenty_patients_each(tmp_path: Path) -> None:
    names = [f"patient_{number:03d}_node_0.tif" for number in (0, 19, 20, 59, 96)]
    table = "patient,stage\n" + "".join(f"{name},itc\n" for name in names)
    rows = read("camelyon17", write(tmp_path, {"stages.csv": table}, names)).rows
    assert [rows[name].columns["centre"] for name in names] == ["0", "0", "1", "2", "4"]


@pytest.mark.parametrize(
    ("barcode", "columns"),
    [
        ("TCGA-02-0001-01C-01D-0182-01", {"site": "02", "sample": "tumour"}),
        ("TCGA-AB-CD12-11A-03-BS3", {"site": "AB", "sample": "normal", "slide": "BS"}),
        ("TCGA-AB-CD12", {"site": "AB"}),
        ("brca/TCGA-AB-CD12-01Z-00-DX1.uuid_x1_y2", {"slide": "DX"}),
    ],
)
def test_barcodes(tmp_path: Path, barcode: str, columns: dict[str, str]) -> None:
    (row,) = read("tcga", write(tmp_path, {}, [f"{barcode}.png"])).rows.values()
    assert row.group == barcode.partition("/")[2][:12] or barcode[:12]
    assert len(row.group or "") == 12
    assert columns.items() <= row.columns.items()


PATIENTS = st.dictionaries(
    st.integers(1, 99_999), st.tuples(st.sampled_from(["train", "valid"]), st.integers(1, 3))
)


@given(PATIENTS)
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_no_patient_is_in_two_splits(
    tmp_path_factory: pytest.TempPathFactory, patients: dict[int, tuple[str, int]]
) -> None:
    patients = {0: ("valid", 1), **patients}
    names = {
        split: [
            f"{split}/patient{number:05d}/study{study}/view1_frontal.jpg"
            for number, (part, studies) in patients.items()
            if part == split
            for study in range(1, studies + 1)
        ]
        for split in ("train", "valid")
    }
    tables = {
        f"{split}.csv": CHEXPERT
        + "".join(f"{name},F,60,Frontal,AP,{findings(Edema='1.0')}\n" for name in names[split])
        for split in names
    }
    folder = write(tmp_path_factory.mktemp("cohort"), tables, [*names["train"], *names["valid"]])
    rows = read("chexpert", folder).rows
    splits: dict[str | None, set[str | None]] = {}
    for row in rows.values():
        splits.setdefault(row.group, set()).add(row.split)
    assert len(rows) == sum(map(len, names.values()))
    assert all(len(parts) == 1 for parts in splits.values())
    assert len(splits) == len(patients)


def test_a_patient_in_two_parts_is_said_where_nobody_expects_it(tmp_path: Path) -> None:
    names = [f"{split}/patient00001/study1/view1_frontal.jpg" for split in ("train", "valid")]
    told = f"F,60,Frontal,AP,{findings(Edema='1.0')}\n"
    tables = {f"{name.partition('/')[0]}.csv": f"{CHEXPERT}{name},{told}" for name in names}
    found = read("chexpert", write(tmp_path, tables, names))
    assert any("1 group(s) lie in two parts" in remark for remark in found.remarks)
    known = read("kermany-oct", EXAMPLES["kermany-oct"].write(tmp_path / "oct"))
    assert not any("lie in two parts" in remark for remark in known.remarks)


@pytest.mark.parametrize("name", EXAMPLES)
def test_only_splits_that_are_known_to_share_patients_do(name: str) -> None:
    assert bool(EXAMPLES[name].crossing) == load_cohort(name).split_shares_groups


def test_findings_of_the_record_are_those_of_the_table() -> None:
    for name in ("chexpert", "mimic-cxr"):
        assert load_cohort(name).label.findings == tuple(FINDINGS.split(","))
