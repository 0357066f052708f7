"""DICOM: values as pydicom has them, polarity, windows, frames, series, and nobody's name."""

import io
import zipfile
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    generate_uid,
)

from synthograph.core.errors import UserError
from synthograph.core.progress import Silent
from synthograph.core.record import UnreadableError, array_of
from synthograph.core.untrusted.containers import Folder
from synthograph.sources.base import AS_IT_COMES, Dicom, Grey, Reading, SourceFile
from synthograph.sources.dicom import DicomReader, check_tags
from synthograph.sources.files import FileSourceOptions, read_files
from synthograph.sources.readers import READERS, FileDecoder
from synthograph.sources.view import View, Window, WindowScope
from synthograph.workflows import prepare
from synthograph.workflows.reading import read_as
from synthograph.workflows.requests import PrepareRequest
from tests.sources.contract import ReaderContract

READER = next(reader for reader in READERS if isinstance(reader, DicomReader))
VALUES = np.random.default_rng(0).integers(0, 4096, (12, 16), dtype=np.uint16)


def scan(values: np.ndarray = VALUES, **elements: object) -> bytes:
    """A DICOM file with `elements` beside what every image has."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = CTImageStorage
    data = FileDataset("", {}, file_meta=meta, preamble=bytes(128))
    data.SOPClassUID, data.SOPInstanceUID = CTImageStorage, generate_uid()
    data.Rows, data.Columns = values.shape[-2:]
    data.SamplesPerPixel, data.PhotometricInterpretation = 1, "MONOCHROME2"
    data.BitsAllocated = 8 * values.dtype.itemsize
    data.BitsStored = 12 if values.dtype.itemsize == 2 else 8
    data.HighBit = data.BitsStored - 1
    data.PixelRepresentation = int(values.dtype.kind == "i")
    if values.ndim == 3:
        data.NumberOfFrames = len(values)
    data.PixelData = values.tobytes()
    for key, value in elements.items():
        setattr(data, key, value)
    meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
    file = io.BytesIO()
    data.save_as(file, enforce_file_format=True)
    return file.getvalue()


def saved(folder: Path, name: str, data: bytes) -> SourceFile:
    (folder / name).write_bytes(data)
    return SourceFile(Folder(folder), name)


def values_of(file: SourceFile, grey: Grey = Grey.VALUES, frame: str = "") -> np.ndarray:
    pixels, _ = READER.read(file, frame, Reading(dicom=Dicom(grey=grey)))
    return array_of(pixels)[:, :, 0]


class TestDicomReader(ReaderContract):
    reader = READER
    samples = {"a.dcm": scan(), "IM0001": scan(VALUES.astype(np.uint8))}


class TestFrames(ReaderContract):
    reader = READER
    samples = {"cine.dcm": scan(np.stack([VALUES, VALUES // 2]))}
    images = 2


@pytest.mark.parametrize(
    "name",
    ["CT_small.dcm", "MR_small.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm"]
    + ["MR_small_implicit.dcm", "MR_small_jpeg_ls_lossless.dcm", "MR_small_jp2klossless.dcm"]
    + ["693_J2KI.dcm", "examples_overlay.dcm"],
)
def test_values_are_those_of_pydicom(name: str) -> None:
    path = get_testdata_file(name, download=False)
    if not isinstance(path, str):
        pytest.skip(f"pydicom does not bring {name}")
    data = pydicom.dcmread(path)
    file = SourceFile(Folder(Path(path).parent), Path(path).name)
    expected = apply_modality_lut(data.pixel_array, data)
    assert np.array_equal(values_of(file), expected)
    if "WindowCenter" in data:
        shown = apply_voi_lut(expected, data).astype(np.float64)
        ours = values_of(file, Grey.DICOM)
        assert ours.dtype == np.uint16
        both = shown.max() > shown.min()
        assert not both or np.corrcoef(shown.ravel(), ours.ravel())[0, 1] > 0.9999


def test_colours_are_rgb() -> None:
    for name in ("examples_rgb_color.dcm", "examples_palette.dcm", "examples_ybr_color.dcm"):
        path = get_testdata_file(name, download=False)
        if not isinstance(path, str):
            pytest.skip(f"pydicom does not bring {name}")
        file = SourceFile(Folder(Path(path).parent), Path(path).name)
        frame = next(iter(READER.frames(file, AS_IT_COMES)))
        pixels, _ = READER.read(file, frame.name, AS_IT_COMES)
        assert array_of(pixels).dtype == np.uint8 and array_of(pixels).shape[2] == 3


def test_rescaled_signed_values_and_windows(tmp_path: Path) -> None:
    signed = (VALUES.astype(np.int16) - 2048).astype(np.int16)
    told = {"RescaleSlope": 2, "RescaleIntercept": -24, "WindowCenter": 40, "WindowWidth": 400}
    file = saved(tmp_path, "a.dcm", scan(signed, **told))
    assert np.array_equal(values_of(file), signed.astype(int) * 2 - 24)
    shown = values_of(file, Grey.DICOM).astype(float) / 65535
    values = signed.astype(float) * 2 - 24
    expected = np.clip((values - 39.5) / 399 + 0.5, 0, 1)  # PS3.3 C.11.2.1.2.1
    assert np.abs(shown - expected).max() < 1e-3
    full = values_of(file, Grey.FULL).astype(float) / 65535
    assert np.abs(full - (signed.astype(float) + 2048) / 4095).max() < 1e-3
    bare = saved(tmp_path, "b.dcm", scan())
    with pytest.raises(UnreadableError, match="proposes no window; give --window full"):
        values_of(bare, Grey.DICOM)


@pytest.mark.parametrize("kind", ["MONOCHROME2", "MONOCHROME1"])
def test_a_window_by_center_and_width_is_that_of_pydicom(tmp_path: Path, kind: str) -> None:
    signed = (VALUES.astype(np.int16) - 2048).astype(np.int16)
    source = tmp_path / "in"
    source.mkdir()
    told = {"RescaleSlope": 2, "RescaleIntercept": -24, "PhotometricInterpretation": kind}
    saved(source, "a.dcm", scan(signed, **told))
    request = PrepareRequest(
        source=source, dest=tmp_path / "out", window="center=40,width=400", size=8
    )
    reading = read_as(request)
    decoder = FileDecoder((("image", Folder(source), "a.dcm"),), reading=reading)
    shown = View(Window.parse("C40W400", WindowScope.ARCHIVE)).apply(decoder())
    data = pydicom.dcmread(source / "a.dcm")
    data.WindowCenter, data.WindowWidth = 40, 400
    expected = apply_voi_lut(apply_modality_lut(data.pixel_array, data), data).astype(float)
    low, high = expected.min(), expected.max()
    share = (expected - low) / (high - low)
    share = 1 - share if kind == "MONOCHROME1" else share
    ours = array_of(shown.modalities["image"])[:, :, 0] / 65535
    assert np.abs(ours - share).max() * 255 <= 1


@pytest.mark.parametrize("grey", Grey)
def test_white_is_turned_over_where_zero_is_white(tmp_path: Path, grey: Grey) -> None:
    told = {"WindowCenter": 2000, "WindowWidth": 4000}
    dark = saved(tmp_path, "a.dcm", scan(**told))
    white = saved(tmp_path, "b.dcm", scan(PhotometricInterpretation="MONOCHROME1", **told))
    one, other = values_of(dark, grey).astype(float), values_of(white, grey).astype(float)
    assert np.corrcoef(one.ravel(), other.ravel())[0, 1] < -0.9999


def test_deflated_files_and_deep_colours(tmp_path: Path) -> None:
    for name, shape in (("image_dfl.dcm", (512, 512)), ("SC_rgb_rle_16bit.dcm", (100, 100, 3))):
        path = get_testdata_file(name, download=False)
        if not isinstance(path, str):
            pytest.skip(f"pydicom does not bring {name}")
        file = SourceFile(Folder(Path(path).parent), Path(path).name)
        pixels = array_of(READER.read(file, "", Reading(dicom=Dicom(captures=True)))[0])
        expected = pydicom.dcmread(path).pixel_array
        assert expected.shape == shape and np.array_equal(pixels.squeeze(), expected)
    frames = np.stack([VALUES, VALUES // 2])
    file = saved(tmp_path, "a.dcm", scan(frames, PixelSpacing=[1, 1]))
    assert READER.read(file, "1", Reading(spacing=2.0))[0].shape == (6, 8, 1)
    saved(tmp_path, "a.dcm", scan(frames[:, :6], PixelSpacing=[1, 1]))
    assert READER.read(file, "1", AS_IT_COMES)[0].shape == (6, 16, 1), "a changed file is read"


@pytest.mark.parametrize("identity", ["1.2.3.4", "1.2.826.0.1." + "9" * 50])  # beyond the head, too
def test_deflated_files_that_grow_as_bombs_do_are_refused(tmp_path: Path, identity: str) -> None:
    bomb = pydicom.dcmread(io.BytesIO(scan(SOPInstanceUID=identity)))
    bomb.add_new(0x00291010, "OB", bytes(40 << 20))
    bomb.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    bomb.file_meta.MediaStorageSOPInstanceUID = identity
    bomb.save_as(tmp_path / "bomb.dcm", enforce_file_format=True)
    for head in (128 * b"\0" + b"DICM", b""):  # a preamble is not needed
        data = head + (tmp_path / "bomb.dcm").read_bytes()[132:]
        with pytest.raises(UnreadableError, match="as bombs do"):
            list(READER.frames(saved(tmp_path, f"{len(head)}.dcm", data), AS_IT_COMES))
    end = 144 + int.from_bytes(data[8:12], "little")
    file = saved(tmp_path, "command.dcm", (128 * b"\0" + b"DICM" + data)[:end] + bytes(12))
    with pytest.raises(UnreadableError, match="holds a command set"):
        list(READER.frames(file, AS_IT_COMES))
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as packed:
        packed.write(tmp_path / "bomb.dcm", "a.dcm")
    (reject,) = read_files(FileSourceOptions(source=tmp_path / "set.zip")).rejects
    assert "as bombs do" in reject.reason


def test_eight_bits_stay_eight(tmp_path: Path) -> None:
    file = saved(tmp_path, "a.dcm", scan(VALUES.astype(np.uint8)))
    assert values_of(file).dtype == values_of(file, Grey.FULL).dtype == np.uint8


def test_enhanced_files_say_it_of_each_frame(tmp_path: Path) -> None:
    def functional(slope: float, spacing: float) -> Dataset:
        rescale, measures, own = Dataset(), Dataset(), Dataset()
        rescale.RescaleSlope, rescale.RescaleIntercept, rescale.RescaleType = slope, 0, "US"
        measures.PixelSpacing = [spacing, spacing]
        own.PixelValueTransformationSequence = Sequence([rescale])
        own.PixelMeasuresSequence = Sequence([measures])
        return own

    frames = Sequence([functional(1, 0.5), functional(3, 0.25)])
    two = np.stack([VALUES, VALUES])
    file = saved(tmp_path, "a.dcm", scan(two, PerFrameFunctionalGroupsSequence=frames))
    assert np.array_equal(values_of(file, frame="1"), VALUES.astype(int) * 3)
    columns = [frame.columns["pixel_mm"] for frame in READER.frames(file, AS_IT_COMES)]
    assert columns == ["0.5x0.5", "0.25x0.25"]


def test_pixels_are_brought_to_a_size(tmp_path: Path) -> None:
    file = saved(tmp_path, "a.dcm", scan(PixelSpacing=[0.5, 1.0]))
    pixels, notes = READER.read(file, "", Reading(spacing=1.0))
    assert array_of(pixels).shape == (6, 16, 1) and "resampled to pixels of 1 mm" in notes
    with pytest.raises(UnreadableError, match="does not say how large a pixel is"):
        READER.read(saved(tmp_path, "b.dcm", scan()), "", Reading(spacing=1.0))


def test_series_captures_and_copies(tmp_path: Path) -> None:
    uid = generate_uid()
    saved(tmp_path, "a.dcm", scan(SeriesDescription="PD TSE", SOPInstanceUID=uid))
    saved(tmp_path, "again.dcm", scan(SeriesDescription="PD TSE", SOPInstanceUID=uid))
    saved(tmp_path, "scout.dcm", scan(ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"]))
    saved(tmp_path, "shot.dcm", scan(SOPClassUID="1.2.840.10008.5.1.4.1.1.7"))
    saved(tmp_path, "endo.dcm", scan(SOPClassUID="1.2.840.10008.5.1.4.1.1.77.1.1"))
    found = read_files(FileSourceOptions(source=tmp_path))
    assert [item.name for item in found.items] == ["a.dcm", "endo.dcm"]
    assert {reject.name for reject in found.rejects} == {"scout.dcm", "shot.dcm"}
    assert any("1 file(s) hold no image that is wanted" in r for r in found.remarks)
    wanted = Reading(dicom=Dicom(series="^PD", captures=True))
    found = read_files(FileSourceOptions(source=tmp_path, reading=wanted))
    assert [item.name for item in found.items] == ["a.dcm"] and not found.rejects


def hide_everywhere(source: Path, secret: str) -> None:
    """Plant a name in private elements, an overlay, the preamble, and in place of a number."""
    private = pydicom.dcmread(source / "0.dcm")
    private.private_block(0x0029, f"{secret} CREATOR", create=True).add_new(1, "LO", secret)
    private.add_new(0x60003000, "OW", secret.encode() * 2)
    private.add_new(0x60000022, "LO", secret)
    private.preamble = (secret * 16).encode()[:128]
    private.save_as(source / "0.dcm")
    odd = pydicom.dcmread(source / "1.dcm")
    odd.PixelSpacing = [1, 1]
    data = io.BytesIO()
    odd.save_as(data)
    saved(source, "odd.dcm", data.getvalue().replace(b"1\\1 ", b"Zan "))


def test_nobody_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    secret, source = "Zanzibar", tmp_path / "in"
    source = source / f"{secret}_19330102"
    source.mkdir(parents=True)
    told: dict[str, object] = dict.fromkeys(
        "PatientName ReferringPhysicianName OperatorsName InstitutionName PatientComments "
        "StudyDescription SeriesDescription ImageComments AccessionNumber StationName "
        "PatientAddress DeviceSerialNumber ProtocolName RequestingPhysician MedicalRecordLocator "
        "PerformedProcedureStepDescription AdmittingDiagnosesDescription OtherPatientNames "
        "FrameComments TransducerData".split(),
        secret,
    )
    person, request = Dataset(), Dataset()
    person.PatientName, request.RequestedProcedureDescription = secret, secret
    told |= {
        "OtherPatientIDsSequence": Sequence([person]),
        "RequestAttributesSequence": Sequence([request]),
        "ReferencedStudySequence": Sequence([person]),
        "EncapsulatedDocument": secret.encode() + b"!",
    }
    told |= {"PatientBirthDate": "19330102", "StudyDate": "19440506", "PatientAge": "093Y"}
    for n in range(9):
        saved(source, f"{n}.dcm", scan(PatientID=f"{secret}-{n // 2}", PatientSex="F", **told))
    hide_everywhere(source, secret)
    broken = scan(**told, PatientID=secret)
    saved(source, "broken.dcm", broken[: len(broken) - 50])
    (tmp_path / "salt").write_bytes(b"0123456789abcdef")
    request = PrepareRequest(
        source=tmp_path / "in",
        dest=tmp_path / "out.zip",
        size=16,
        transform="stretch",
        window="full",
        tag=("PatientSex", "PatientAge"),
        pseudonymise=tmp_path / "salt",
        allow_rejects=True,
        grid=tmp_path / "grid.png",
    )
    result = prepare.run(request, progress=Silent())
    told_aloud = "\n".join(result.lines()) + "".join(capfd.readouterr())
    rejected = (tmp_path / "out.zip.rejected.csv").read_text(encoding="utf-8")
    with zipfile.ZipFile(tmp_path / "out.zip") as packed:
        inside = b"".join(packed.read(name) for name in packed.namelist())
        manifest = packed.read("manifest.csv").decode()
    names = f"{source.name}/"  # of files, which a list of rejected ones has to name
    everything = inside + (told_aloud + rejected).replace(names, "").encode()
    everything += (tmp_path / "grid.png").read_bytes()
    for word in (secret, "19330102", "19440506", "093Y"):
        assert word.encode() not in everything
    assert "broken.dcm" in rejected and "over 89" in manifest and ",F" in manifest
    assert isinstance(result, prepare.PrepareResult) and result.summary.groups == 5


@pytest.mark.parametrize("tag", ["PatientName", "StudyDate", "PatientID", "SeriesDescription", "x"])
def test_columns_that_may_name_somebody_are_refused(tag: str) -> None:
    with pytest.raises(UserError, match=f"--tag {tag}"):
        check_tags([tag])
    check_tags(["Laterality", "PatientSex", "KVP", "Manufacturer"])


def test_what_is_no_image_is_said(tmp_path: Path) -> None:
    data = scan()
    plan = pydicom.dcmread(io.BytesIO(data))
    for key in ("Rows", "Columns", "PixelData"):
        delattr(plan, key)
    plan.save_as(tmp_path / "plan.dcm")
    (tmp_path / "text.dcm").write_bytes(b"hello" * 100)
    for name in ("plan.dcm", "text.dcm"):
        with pytest.raises(UnreadableError, match="without an image|damaged"):
            list(READER.frames(SourceFile(Folder(tmp_path), name), AS_IT_COMES))


def test_a_secret_must_be_one(tmp_path: Path) -> None:
    (tmp_path / "short").write_bytes(b"abc\n")
    (tmp_path / "in").mkdir()
    saved(tmp_path / "in", "a.dcm", scan())
    for secret, match in (("short", "fewer than 16 bytes"), ("gone", "cannot be read")):
        request = PrepareRequest(
            source=tmp_path / "in", dest=tmp_path / "o.zip", pseudonymise=tmp_path / secret
        )
        with pytest.raises(UserError, match=match):
            prepare.run(request, progress=Silent())


def test_more_frames_than_anybody_has_are_refused_before_they_are_listed(tmp_path: Path) -> None:
    many = saved(tmp_path, "a.dcm", scan(np.zeros((100_001, 1, 1), np.uint8)))
    with pytest.raises(UnreadableError, match="claims 100001 frames, more than 100000"):
        next(iter(READER.frames(many, AS_IT_COMES)))
