"""Sequences of one examination are found by the last word of their names."""

from pathlib import Path

import nibabel
import numpy as np
import pytest

from synthograph.core.errors import UserError
from synthograph.core.record import array_of
from synthograph.sources.files import FileSourceOptions, read_files
from synthograph.sources.pairing import pair_sequences
from synthograph.workflows.reading import read_as
from synthograph.workflows.requests import PrepareRequest

T1, FLAIR = "T1w", "FLAIR"


def volume(path: Path, seed: int, shift: float = 0.0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 900, (8, 9, 4)).astype(np.int16)
    affine = np.diag([1.0, 1.0, 3.0, 1.0])
    affine[0, 3] = shift
    nibabel.save(nibabel.Nifti1Image(values, affine), path)


def test_bids_sequences_lie_in_any_folder(tmp_path: Path) -> None:
    for n, visit in enumerate(("sub-01/ses-1", "sub-01/ses-2", "sub-02/ses-1")):
        stem = visit.replace("/", "_")
        volume(tmp_path / visit / "anat" / f"{stem}_acq-mprage_T1w.nii.gz", n)
        folder = tmp_path / "derivatives" / "reg" / visit / "anat"
        volume(folder / f"{stem}_FLAIR.nii.gz", 10 + n, shift=5.0 if n == 2 else 0.0)
    (tmp_path / "participants.tsv").write_text(
        "participant_id\tage\nsub-01\t34\nsub-02\tn/a\n", encoding="utf-8"
    )
    found = read_files(FileSourceOptions(source=tmp_path, sequences=(T1, FLAIR)))
    assert len(found.items) == 8
    (reject,) = found.rejects
    assert reject.name.startswith("sub-02") and "does not lie where the image does" in reject.reason
    first, *_, last = found.items
    assert first.group == "sub-01" and first.columns["age"] == "34"
    assert (first.columns["session"], last.columns["session"]) == ("1", "2")
    pixels = last.decode().modalities
    assert [*pixels] == [T1, FLAIR]
    values = np.random.default_rng(11).integers(0, 900, (8, 9, 4))
    assert np.array_equal(array_of(pixels[FLAIR])[:, :, 0], values[::-1, ::-1, 3].T) or (
        np.array_equal(np.sort(array_of(pixels[FLAIR]).ravel()), np.sort(values[:, :, 3].ravel()))
    )


def test_which_files_belong_together() -> None:
    names = [
        "a/p1_T1w.nii",
        "a/p1_FLAIR.nii",
        "b/p1_FLAIR.nii",
        "x/T1w.nii",
        "x/FLAIR.nii",
        "sub-1/sub-1_run-1_T1w.nii",
        "sub-1/sub-1_run-2_FLAIR.nii",
        "sub-2/sub-2_acq-a_T1w.nii",
        "sub-2/sub-2_acq-a_FLAIR.nii",
        "sub-2/sub-2_acq-b_FLAIR.nii",
        "sub-3/sub-3_T1w.nii",
        "sub-3/sub-3_acq-a_FLAIR.nii",
        "sub-3/sub-3_acq-b_FLAIR.nii",
    ]
    images, pairs, reasons = pair_sequences(names, (T1, FLAIR))
    assert images == [name for name in names if name.endswith("T1w.nii")]
    assert pairs[FLAIR] == {
        "a/p1_T1w.nii": "a/p1_FLAIR.nii",
        "x/T1w.nii": "x/FLAIR.nii",
        "sub-2/sub-2_acq-a_T1w.nii": "sub-2/sub-2_acq-a_FLAIR.nii",
    }
    assert reasons["sub-1/sub-1_run-1_T1w.nii"] == "no FLAIR file of sub-1 run-1"
    assert reasons["sub-3/sub-3_T1w.nii"].startswith("2 FLAIR files fit: ")
    with pytest.raises(UserError, match="--sequences T2: no image is named ..._T2; .* FLAIR, T1w"):
        pair_sequences(names, (T1, "T2"))


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"sequences": (T1, FLAIR), "primary": "a"}, "--sequences names all modalities"),
        ({"sequences": (T1, T1)}, "given twice"),
        ({"sequences": ("1w",)}, "a modality is named by"),
        ({"channels": ("a", "b"), "modality": ("c=d",)}, "--channels names all modalities"),
        ({"channels": ("a", "a")}, "given twice"),
    ],
)
def test_names_of_modalities(tmp_path: Path, given: dict[str, object], reason: str) -> None:
    request = PrepareRequest.parse({"source": tmp_path, "dest": tmp_path / "out.zip", **given})
    with pytest.raises(UserError, match=reason):
        read_as(request)
