"""Every cohort as a tiny folder of the right shape, all of it invented."""

import gzip
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

Said = tuple[str | None, str | None, str | None]
"""Class, group and split of an image."""


@dataclass(frozen=True)
class Example:
    """A folder of a cohort, and what is to come of it.

    Attributes:
        images: file -> class, group and split; files that are left out are not named.
        tables: file -> text.
        others: image files that make no image of the archive by themselves.
        invariant: what is stated.
        crossing: groups in two splits of the official one.
        columns: columns of the first image.
        modalities: how many there are.
        masks: how many images have one.
    """

    images: Mapping[str, Said]
    tables: Mapping[str, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    invariant: tuple[str, ...] = ("mirror", "rotate")
    crossing: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)
    modalities: int = 1
    masks: int = 0

    def write(self, folder: Path) -> Path:
        """Write the folder."""
        for number, name in enumerate([*self.images, *self.others]):
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(picture(path.name, number))
        for name, text in self.tables.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            data = text.encode()
            path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
        return folder


def picture(name: str, number: int) -> bytes:
    """A small file of the format of its name: PNG, JPEG, TIFF, NIfTI or DICOM."""
    mask = name.split(".")[0].endswith(("_seg", "_gt", "-seg"))
    values = np.random.default_rng(number).integers(0, 3 if mask else 256, (16, 16), np.uint8)
    if name.endswith((".nii", ".nii.gz")):
        import nibabel

        volume = np.repeat(values[:, :, None], 2, axis=2)
        data = nibabel.Nifti1Image(volume.astype(np.int16), np.eye(4)).to_bytes()
        return gzip.compress(data) if name.endswith(".gz") else data
    if name.endswith(".dcm"):
        return scan(values)
    file = io.BytesIO()
    kind = {"jpg": "JPEG", "jpeg": "JPEG", "png": "PNG"}.get(name.rpartition(".")[2], "TIFF")
    Image.fromarray(values).save(file, kind)
    return file.getvalue()


def scan(values: np.ndarray) -> bytes:
    """A DICOM file of these values."""
    from pydicom.dataset import FileDataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage, generate_uid

    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = MRImageStorage, generate_uid()
    data = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    data.SOPClassUID, data.SOPInstanceUID = MRImageStorage, meta.MediaStorageSOPInstanceUID
    data.Modality, data.PatientID = "MR", "somebody"
    data.Rows, data.Columns = values.shape
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated, data.BitsStored, data.HighBit, data.PixelRepresentation = 8, 8, 7, 0
    data.PixelData = values.tobytes()
    file = io.BytesIO()
    data.save_as(file, enforce_file_format=True)
    return file.getvalue()


FINDINGS = (
    "No Finding,Enlarged Cardiomediastinum,Cardiomegaly,Lung Opacity,Lung Lesion,Edema,"
    "Consolidation,Pneumonia,Atelectasis,Pneumothorax,Pleural Effusion,Pleural Other,Fracture,"
    "Support Devices"
)


def findings(**states: str) -> str:
    """Cells of the findings, blank where nothing is said."""
    return ",".join(states.get(name.replace(" ", "_"), "") for name in FINDINGS.split(","))


CHEXPERT = f"Path,Sex,Age,Frontal/Lateral,AP/PA,{FINDINGS}\n"
MIMIC = "00000001-00000002-00000003-00000004-0000000{}"

EXAMPLES: Mapping[str, Example] = {
    "isic2020": Example(
        images={
            "train/ISIC_0000001.jpg": ("benign", "IP_1", None),
            "train/ISIC_0000002.jpg": ("malignant", "IP_1", None),
        },
        tables={
            "ISIC_2020_Training_GroundTruth_v2.csv": (
                "image_name,patient_id,lesion_id,sex,age_approx,anatom_site_general_challenge,"
                "diagnosis,benign_malignant,target\n"
                "ISIC_0000001,IP_1,IL_1,male,45.0,torso,nevus,benign,0\n"
                "ISIC_0000002,IP_1,IL_2,male,45.0,torso,melanoma,malignant,1\n"
                "ISIC_0000003,IP_2,IL_3,female,30.0,torso,unknown,benign,0\n"
            ),
            "ISIC_2020_Training_Duplicates.csv": (
                "image_name_1,image_name_2\nISIC_0000001,ISIC_0000003\n"
            ),
        },
        others=("train/ISIC_0000003.jpg",),
        columns={"sex": "male", "age_approx": "45.0", "diagnosis": "nevus"},
    ),
    "ham10000": Example(
        images={
            "HAM10000_images_part_1/ISIC_0000001.jpg": ("bkl", "HAM_1", "train"),
            "HAM10000_images_part_2/ISIC_0000002.jpg": ("bkl", "HAM_1", "train"),
            "ISIC2018_Task3_Test_Images/ISIC_0000003.jpg": ("mel", "HAM_2", "test"),
        },
        tables={
            "HAM10000_metadata.csv": (
                "lesion_id,image_id,dx,dx_type,age,sex,localization,dataset\n"
                "HAM_1,ISIC_0000001,bkl,histo,80.0,male,scalp,vidir\n"
                "HAM_1,ISIC_0000002,bkl,histo,80.0,male,scalp,vidir\n"
            ),
            "ISIC2018_Task3_Test_GroundTruth.csv": (
                "lesion_id,image_id,dx,dx_type,age,sex,localization,dataset\n"
                "HAM_2,ISIC_0000003,mel,histo,60.0,male,back,vidir\n"
            ),
        },
        columns={"dx_type": "histo", "localization": "scalp"},
    ),
    "isic2019": Example(
        images={
            "ISIC_2019_Training_Input/ISIC_0000001.jpg": ("NV", "HAM_1", "train"),
            "ISIC_2019_Training_Input/ISIC_0000002_downsampled.jpg": ("MEL", None, "train"),
            "ISIC_2019_Test_Input/ISIC_0000003.jpg": ("UNK", None, "test"),
        },
        tables={
            "ISIC_2019_Training_GroundTruth.csv": (
                "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK\n"
                "ISIC_0000001,0.0,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0\n"
                "ISIC_0000002_downsampled,1.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0\n"
            ),
            "ISIC_2019_Training_Metadata.csv": (
                "image,age_approx,anatom_site_general,lesion_id,sex\n"
                "ISIC_0000001,55.0,anterior torso,HAM_1,female\n"
                "ISIC_0000002_downsampled,,,,\n"
            ),
            "ISIC_2019_Test_GroundTruth.csv": (
                "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK,score_weight,validation_weight\n"
                "ISIC_0000003,0.0,0.0,0.0,0.0,0.0,0.0,0.0,0.0,1.0,1.0,0.0\n"
            ),
        },
        columns={"anatom_site_general": "anterior torso"},
    ),
    "bcn20000": Example(
        images={
            "BCN_20k_train/bcn_20k_train/BCN_0000000001.jpg": ("MEL", "BCN_1", None),
            "BCN_20k_train/bcn_20k_train/BCN_0000000002.jpg": ("NV", "BCN_2", None),
        },
        tables={
            "bcn_20k_train.csv": (
                "bcn_filename,age_approx,anatom_site_general,diagnosis,lesion_id,capture_date,sex,"
                "split\n"
                "BCN_0000000001.jpg,55.0,anterior torso,MEL,BCN_1,2012-05-16,male,train\n"
                "BCN_0000000002.jpg,50.0,anterior torso,NV,BCN_2,2015-07-09,female,train\n"
            )
        },
        columns={"sex": "male"},
    ),
    "oai": Example(
        images={
            "OAI9000001_BaseLine_3_de3d1_SAG_3D_DESS_WE_LEFT.nii.gz_0.png": ("2", "9000001", None),
            "OAI9000001_BaseLine_3_de3d1_SAG_3D_DESS_WE_R_I_G_H_T.nii.gz_0.png": (
                "0",
                "9000001",
                None,
            ),
        },
        tables={
            "kXR_SQ_BU00.txt": (
                "ID|SIDE|READPRJ|VERSION|V00XRKL\n"
                "9000001|2: Left|15|0.8|2\n"
                "9000001|2: Left|37|0.8|1\n"
                "9000001|1: Right|15|0.8|0\n"
            )
        },
        invariant=(),
        columns={"side": "left", "visit": "baseline"},
    ),
    "fastmri-knee": Example(
        images={
            "knee_mri_clinical_seq_batch2/exam_1/study_a/MR4_b/1.dcm": (None, "exam_1", None),
            "knee_mri_clinical_seq_batch2/exam_2/study_c/MR4_d/1.dcm": (None, "exam_2", None),
        },
        invariant=(),
    ),
    "chexpert": Example(
        images={
            "train/patient00001/study1/view1_frontal.jpg": ("No Finding", "patient00001", "train"),
            "train/patient00002/study2/view1_frontal.jpg": ("Edema", "patient00002", "train"),
            "valid/patient64541/study1/view1_frontal.jpg": ("Cardiomegaly", "patient64541", "val"),
        },
        tables={
            "train.csv": CHEXPERT
            + "CheXpert-v1.0-small/train/patient00001/study1/view1_frontal.jpg,Female,68,Frontal,"
            + f"AP,{findings(No_Finding='1.0')}\n"
            + "CheXpert-v1.0-small/train/patient00002/study2/view1_frontal.jpg,Male,87,Frontal,AP,"
            + f"{findings(Edema='1.0', Fracture='0.0')}\n"
            + "CheXpert-v1.0-small/train/patient00002/study2/view2_lateral.jpg,Male,87,Lateral,,"
            + f"{findings(Edema='1.0')}\n"
            + "CheXpert-v1.0-small/train/patient00003/study1/view1_frontal.jpg,Male,41,Frontal,AP,"
            + f"{findings(Edema='-1.0', Pneumonia='1.0')}\n"
            + "CheXpert-v1.0-small/train/patient00003/study2/view1_frontal.jpg,Male,41,Frontal,AP,"
            + f"{findings(Edema='1.0', Pneumonia='1.0')}\n",
            "valid.csv": CHEXPERT
            + "CheXpert-v1.0-small/valid/patient64541/study1/view1_frontal.jpg,Male,73,Frontal,AP,"
            + f"{findings(Cardiomegaly='1.0')}\n",
        },
        others=(
            "train/patient00002/study2/view2_lateral.jpg",
            "train/patient00003/study1/view1_frontal.jpg",
            "train/patient00003/study2/view1_frontal.jpg",
        ),
        invariant=(),
        columns={"view": "frontal", "Age": "68", "AP/PA": "AP", "study": "study1"},
    ),
    "mimic-cxr": Example(
        images={
            f"files/p10/p10000001/s50000001/{MIMIC.format(1)}.jpg": ("Edema", "10000001", "train"),
            f"files/p10/p10000002/s50000002/{MIMIC.format(2)}.jpg": (
                "No Finding",
                "10000002",
                "val",
            ),
            f"files/p10/p10000003/s50000003/{MIMIC.format(3)}.jpg": (
                "Pneumonia",
                "10000003",
                "test",
            ),
        },
        tables={
            "mimic-cxr-2.0.0-split.csv.gz": "dicom_id,study_id,subject_id,split\n"
            + "".join(
                f"{MIMIC.format(n)},5000000{study},1000000{study},{split}\n"
                for n, study, split in (
                    (1, 1, "train"),
                    (2, 2, "validate"),
                    (3, 3, "test"),
                    (4, 1, "train"),
                )
            ),
            "mimic-cxr-2.0.0-chexpert.csv.gz": f"subject_id,study_id,{FINDINGS}\n"
            + f"10000001,50000001,{findings(Edema='1.0')}\n"
            + f"10000002,50000002,{findings(No_Finding='1.0')}\n"
            + f"10000003,50000003,{findings(Pneumonia='1.0', Edema='0.0')}\n",
            "mimic-cxr-2.0.0-metadata.csv.gz": (
                "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows,"
                "Columns,StudyDate,StudyTime\n"
            )
            + "".join(
                f"{MIMIC.format(n)},1000000{study},5000000{study},CHEST,{view},16,16,21800506,1.0\n"
                for n, study, view in (
                    (1, 1, "PA"),
                    (2, 2, "AP"),
                    (3, 3, "AP"),
                    (4, 1, "LATERAL"),
                )
            ),
        },
        others=(f"files/p10/p10000001/s50000001/{MIMIC.format(4)}.jpg",),
        invariant=(),
        columns={"study_id": "50000001", "ViewPosition": "PA"},
    ),
    "nih-chestxray": Example(
        images={
            "images/00000001_000.png": ("Cardiomegaly", "1", "train"),
            "images/00000002_000.png": ("No Finding", "2", "test"),
        },
        tables={
            "Data_Entry_2017_v2020.csv": (
                "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,"
                "View Position,OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],\n"
                "00000001_000.png,Cardiomegaly,0,1,57,M,PA,2682,2749,0.143,0.143,\n"
                "00000001_001.png,Cardiomegaly|Emphysema,1,1,58,M,PA,2894,2729,0.143,0.143,\n"
                "00000002_000.png,No Finding,0,2,80,M,PA,2500,2048,0.171,0.171,\n"
            ),
            "train_val_list.txt": "00000001_000.png\n00000001_001.png\n",
            "test_list.txt": "00000002_000.png\n",
        },
        others=("images/00000001_001.png",),
        invariant=(),
        columns={"Patient Gender": "M", "View Position": "PA", "Follow-up #": "0"},
    ),
    "brats": Example(
        images={
            "BraTS20_Training_001/BraTS20_Training_001_flair.nii.gz": (
                "HGG",
                "BraTS20_Training_001",
                None,
            ),
            "BraTS20_Training_002/BraTS20_Training_002_flair.nii.gz": (
                "LGG",
                "BraTS20_Training_002",
                None,
            ),
        },
        tables={
            "name_mapping.csv": (
                "Grade,BraTS_2017_subject_ID,BraTS_2018_subject_ID,TCGA_TCIA_subject_ID,"
                "BraTS_2019_subject_ID,BraTS_2020_subject_ID\n"
                "HGG,NA,NA,NA,NA,BraTS20_Training_001\nLGG,NA,NA,NA,NA,BraTS20_Training_002\n"
            )
        },
        others=tuple(
            f"BraTS20_Training_{n}/BraTS20_Training_{n}_{end}.nii.gz"
            for n in ("001", "002")
            for end in ("t1", "t1ce", "t2", "seg")
        ),
        invariant=("mirror",),
        modalities=4,
        masks=4,
    ),
    "tcga": Example(
        images={
            "TCGA-A1-A0SB-01Z-00-DX1.00000000-0000.tif": (None, "TCGA-A1-A0SB", None),
            "TCGA-A1-A0SB-11A-01-TS1.00000000-0001.tif": (None, "TCGA-A1-A0SB", None),
            "TCGA-B6-A0I1-01Z-00-DX1.00000000-0002.tif": (None, "TCGA-B6-A0I1", None),
        },
        columns={"site": "A1", "sample": "tumour", "slide": "DX"},
    ),
    "panda": Example(
        images={
            "train_images/0005f7aaab2800f6170c399693a96917.tiff": (
                "0",
                "0005f7aaab2800f6170c399693a96917",
                None,
            ),
            "train_images/000920ad0b612851f8e01bcc880d9b3d.tiff": (
                "5",
                "000920ad0b612851f8e01bcc880d9b3d",
                None,
            ),
        },
        tables={
            "train.csv": (
                "image_id,data_provider,isup_grade,gleason_score\n"
                "0005f7aaab2800f6170c399693a96917,karolinska,0,0+0\n"
                "000920ad0b612851f8e01bcc880d9b3d,radboud,5,4+5\n"
            )
        },
        columns={"data_provider": "karolinska", "gleason_score": "0+0"},
    ),
    "camelyon17": Example(
        images={
            "center_0/patient_000/patient_000_node_0.tif": ("negative", "patient_000", None),
            "center_0/patient_000/patient_000_node_1.tif": ("macro", "patient_000", None),
            "center_1/patient_020/patient_020_node_0.tif": ("itc", "patient_020", None),
        },
        tables={
            "stages.csv": (
                "patient,stage\npatient_000.zip,pN1\npatient_000_node_0.tif,negative\n"
                "patient_000_node_1.tif,macro\npatient_020.zip,pN0\npatient_020_node_0.tif,itc\n"
            )
        },
        columns={"centre": "0", "node": "0"},
    ),
    "breakhis": Example(
        images={
            "benign/SOB/adenosis/SOB_B_A_14-22549AB/40X/SOB_B_A-14-22549AB-40-001.png": (
                "benign",
                "14-22549",
                "train",
            ),
            "malignant/SOB/ductal_carcinoma/SOB_M_DC_14-13412/100X/SOB_M_DC-14-13412-100-001.png": (
                "malignant",
                "14-13412",
                "train",
            ),
            "malignant/SOB/lobular/SOB_M_LC_14-13412/100X/SOB_M_LC-14-13412-100-001.png": (
                "malignant",
                "14-13412",
                "test",
            ),
        },
        tables={
            "dsfold1.txt": (
                "SOB_B_A-14-22549AB-40-001.png|40|1|train\n"
                "SOB_M_DC-14-13412-100-001.png|100|1|train\n"
                "SOB_M_LC-14-13412-100-001.png|100|1|test\n"
            )
        },
        crossing=("14-13412",),
        columns={"type": "adenosis", "slide": "14-22549AB", "magnification": "40"},
    ),
    "acdc": Example(
        images={
            "training/patient001/patient001_frame01.nii.gz": ("DCM", "patient001", "train"),
            "training/patient001/patient001_frame12.nii.gz": ("DCM", "patient001", "train"),
            "testing/patient101/patient101_frame01.nii.gz": ("NOR", "patient101", "test"),
        },
        tables={
            "training/patient001/Info.cfg": (
                "ED: 1\nES: 12\nGroup: DCM\nHeight: 184.0\nNbFrame: 30\nWeight: 95.0\n"
            ),
            "testing/patient101/Info.cfg": (
                "ED: 1\nES: 14\nGroup: NOR\nHeight: 174.0\nNbFrame: 30\nWeight: 85.0\n"
            ),
        },
        others=(
            "training/patient001/patient001_4d.nii.gz",
            "training/patient001/patient001_frame01_gt.nii.gz",
            "training/patient001/patient001_frame12_gt.nii.gz",
            "testing/patient101/patient101_frame01_gt.nii.gz",
        ),
        invariant=(),
        columns={"series": "frame01"},
        masks=6,
    ),
    "kermany-oct": Example(
        images={
            "train/CNV/CNV-1016042-1.jpeg": ("CNV", "1016042", "train"),
            "train/NORMAL/NORMAL-1038998-1.jpeg": ("NORMAL", "1038998", "train"),
            "test/CNV/CNV-1016042-2.jpeg": ("CNV", "1016042", "test"),
            "val/DRUSEN/DRUSEN-1083159-1.jpeg": ("DRUSEN", "1083159", "val"),
        },
        invariant=("mirror",),
        crossing=("1016042",),
        columns={"number": "1"},
    ),
    "eyepacs": Example(
        images={
            "train/10_left.jpeg": ("0", "10", "train"),
            "train/10_right.jpeg": ("2", "10", "train"),
            "test/1_left.jpeg": ("4", "1", "test"),
        },
        tables={
            "trainLabels.csv": "image,level\n10_left,0\n10_right,2\n",
            "retinopathy_solution.csv": "image,level,Usage\n1_left,4,Private\n",
        },
        invariant=(),
        columns={"side": "left"},
    ),
    "mura": Example(
        images={
            "train/XR_WRIST/patient00006/study1_positive/image1.png": (
                "positive",
                "patient00006",
                "train",
            ),
            "train/XR_HAND/patient00006/study1_negative/image1.png": (
                "negative",
                "patient00006",
                "train",
            ),
            "valid/XR_WRIST/patient11185/study1_positive/image1.png": (
                "positive",
                "patient11185",
                "val",
            ),
        },
        tables={"train_image_paths.csv": "MURA-v1.1/train/XR_WRIST/...\n"},
        invariant=(),
        columns={"part": "WRIST", "study": "study1"},
    ),
}
