"""Transforms of trainings: what an archive says of its images is obeyed."""

from pathlib import Path

import pytest

import synthograph as sg
from synthograph.archive.split import SplitOptions, split_archive
from synthograph.core.errors import UserError
from synthograph.downstream import classifier
from tests.conftest import make_archive

FEW = {"backbone": "small", "steps": 4, "batch": 8, "device": "cpu"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Dark and bright noise, of which nobody said what leaves its meaning alone."""
    path = make_archive(
        tmp_path_factory.mktemp("transforming") / "set.zip", count=48, invariances=None
    )
    split_archive(path, SplitOptions(test=0.3, val=0.2))
    return path


def notes(data: Path, **asked: object) -> str:
    planned = sg.classify_train(
        data=data, out=data.with_name("plan.safetensors"), dry_run=True, **FEW, **asked
    )
    return "\n".join(planned.notes)


def test_only_what_never_changes_meaning_where_nobody_said(data: Path) -> None:
    said = notes(data)
    assert "transforms of training images: crop, brightness" in said
    assert "--invariant mirror,rotate,colour" in said
    assert "mirror, quarter, turn, crop" in notes(data, invariant="mirror,rotate")


def test_a_word_against_the_archive_is_refused(data: Path, tmp_path: Path) -> None:
    stated = tmp_path / "stated.zip"
    sg.prepare(data, stated, invariant="none")
    with pytest.raises(UserError, match="would change what its images mean"):
        notes(stated, invariant="mirror")
    with pytest.raises(UserError, match="'mirror' would change what these images mean"):
        notes(stated, transforms="mirror")
    with pytest.raises(UserError, match="'mirror'"):
        notes(data, invariant="miror")


def test_the_control_of_a_mixture_gets_all_transforms(data: Path, tmp_path: Path) -> None:
    control = tmp_path / "control.zip"
    sg.mix(data, dest=control, add="8", control="augmentation")
    said = notes(control, invariant="mirror,rotate,colour")
    assert "fourier" in said
    assert "stand for synthetic images" in said
    assert notes(control, invariant="mirror,rotate,colour", transforms="no-noise") == notes(
        control, invariant="mirror,rotate,colour", transforms="all,no-noise"
    )
    with pytest.raises(UserError, match="leave --transforms none out"):
        notes(control, transforms="none")
    with pytest.raises(UserError, match="leave --probe out"):
        notes(control, probe=True)


def test_what_was_done_and_whose_style_was_seen_stand_in_the_file(
    data: Path, tmp_path: Path
) -> None:
    other = make_archive(tmp_path / "other.zip", count=20)
    out = tmp_path / "c.safetensors"
    asked = {"transforms": "default,fourier", "invariant": "colour", "style": other}
    sg.classify_train(data=data, out=out, **FEW, **asked)
    info = classifier.load(out).info
    assert info.network is not None
    assert "fourier" in info.network.settings["transforms"]
    with pytest.raises(UserError, match="seen by"):
        sg.classify_evaluate(model=out, data=str(other))
    with pytest.raises(UserError, match="default,fourier"):
        notes(data, style=other)
