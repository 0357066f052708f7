"""`--features classifier:FILE` with what `classify train` wrote."""

from pathlib import Path

import pytest
import torch

import synthograph as sg
from synthograph.archive.batches import open_rows
from synthograph.archive.split import SplitOptions, split_archive
from synthograph.core.devices import Precision
from synthograph.core.errors import UserError
from synthograph.downstream import classifier
from synthograph.features.base import ChoosyExtractor
from synthograph.workflows import extractors
from synthograph.workflows.classifying import extractor_of
from tests.conftest import make_archive

BOTH = {"vis": 3, "nir": 1}
FEW = {"backbone": "small", "steps": 2, "batch": 8, "every": 2, "transforms": "none"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An archive of two modalities, higher than wide."""
    path = tmp_path_factory.mktemp("own") / "set.zip"
    make_archive(path, count=48, size=(32, 16), modalities=BOTH)
    split_archive(path, SplitOptions(test=0.3, val=0.2))
    return path


@pytest.fixture(scope="module")
def trained(data: Path) -> Path:
    out = data.with_name("own.safetensors")
    sg.classify_train(data=data, out=out, **FEW)
    return out


def test_features_are_those_that_the_classifier_uses(data: Path, trained: Path) -> None:
    name = f"classifier:{trained}"
    found = extractors.extractor(name)
    images = next(open_rows(f"{data}:test").images.batches())
    assert torch.equal(found(images), extractor_of(classifier.load(trained), "cpu")(images))
    told = found.describe()
    assert found.name == f"classifier:own.safetensors@{told['weights']['sha256'][:8]}"
    assert (told["size"], told["precision"], told["indicative"]) == ([32, 16], "fp32", True)
    assert extractors.missing_weights(name) is None
    coarse = extractors.extractor(name, precision=Precision.BF16)
    torch.testing.assert_close(coarse(images), found(images), rtol=0.1, atol=0.1)


def test_it_takes_images_of_its_channels_only(trained: Path) -> None:
    found = extractors.extractor(f"classifier:{trained}")
    assert isinstance(found, ChoosyExtractor)
    assert [number for number in (1, 3, 4) if found.takes(number)] == [4]
    with pytest.raises(UserError, match=r"images have 1 channels, classifier:own.* takes 4"):
        found(torch.zeros(2, 1, 32, 16, dtype=torch.uint8))


def test_it_judges_synthetic_images(data: Path, trained: Path, tmp_path: Path) -> None:
    made = make_archive(tmp_path / "made.zip", count=24, size=(32, 16), modalities=BOTH, seed=1)
    found = sg.evaluate(
        synthetic=made,
        real=f"{data}:test",
        features=(f"classifier:{trained}",),
        metrics=("frechet",),
    )
    (line,) = found.evaluation.results
    assert {str(entry.scope) for entry in line.entries if entry.scope.modality} == set()
    assert all(entry.extractor.startswith("classifier:own.safetensors@") for entry in line.entries)
    assert any("sees all channels together" in note for note in line.notes)


def test_a_layer_behind_an_extractor_names_it(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "probe.safetensors"
    sg.classify_train(data=data, out=out, backbone="random-vgg16", probe=True)
    with pytest.raises(UserError, match="give --features random-vgg16") as error:
        extractors.extractor(f"classifier:{out}")
    assert str(out) in str(error.value)


def test_other_names_are_those_of_the_registry(tmp_path: Path) -> None:
    for name in ("classifier:", "incepton", f"classifier:{tmp_path / 'none.pth'}"):
        with pytest.raises(UserError, match=r"give the file|unknown|no such file"):
            extractors.extractor(name)
        with pytest.raises(UserError, match=r"give the file|unknown|no such file"):
            extractors.missing_weights(name)
